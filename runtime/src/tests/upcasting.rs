//! Events of earlier builds in a running system: hydrating, snapshots, projections and subscriptions read the same.

use std::sync::LazyLock;

use super::*;
use crate::*;
use foldhouse_store::{Append, EventStoreExt, NewEvent, Payload, SnapshotCriteria, SnapshotStore};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Till {
    cents: i64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum TillEvent {
    Paid { cents: i64 },
}

impl Aggregate for Till {
    const TYPE: &'static str = "till";
    type Event = TillEvent;

    fn apply(&mut self, TillEvent::Paid { cents }: &TillEvent) {
        self.cents += cents;
    }

    fn upcasters() -> &'static Upcasters<TillEvent> {
        static UPCASTERS: LazyLock<Upcasters<TillEvent>> = LazyLock::new(|| {
            Upcasters::new()
                .on("Paid", 1, |fields| {
                    let euros: i64 = fields.take("euros")?;
                    fields.set("cents", &(euros * 100))
                })
                .split("Swapped", 1, |mut old| {
                    let cents: i64 = old.fields.take("euros")?;
                    let paid = |cents: i64| -> Result<OldEvent, UpcastError> {
                        let mut fields = Fields::none();
                        fields.set("cents", &cents)?;
                        Ok(OldEvent::new("Paid", 2, fields))
                    };
                    Ok(vec![paid(-cents)?, paid(cents + 1)?])
                })
                .split("Opened", 1, |_| Ok(Vec::new()))
                .skip("Noted")
        });
        &UPCASTERS
    }
}

struct Pay(i64);

impl Command for Pay {
    type Aggregate = Till;
    type Reply = i64;
    type Rejection = Never;

    fn decide(&self, till: &Till, _: &CommandContext) -> Decided<Self> {
        let paid = TillEvent::Paid { cents: self.0 };
        Ok(Decision::event(paid, till.cents + self.0))
    }
}

fn till_stream() -> StreamId {
    StreamId::new("acme", "till", "1").unwrap()
}

/// Appends an event as an earlier build recorded it.
async fn record(store: &MemoryStore, event_type: &str, schema_version: u16, euros: i64) {
    let mut payload = Fields::none();
    payload.set("euros", &euros).unwrap();
    let payload = Payload::message_pack(payload.into_payload().unwrap());
    let mut event = NewEvent::new(SystemClock.new_id(), event_type, payload);
    event.schema_version = schema_version;
    let append = Append::to(till_stream(), ExpectedVersion::Any, [event]);
    store.append(append).await.unwrap();
}

/// What three earlier builds left: it begins with an event that is none today.
async fn old_till() -> Arc<MemoryStore> {
    let store = Arc::new(MemoryStore::new());
    record(&store, "Opened", 1, 0).await;
    record(&store, "Paid", 1, 3).await;
    record(&store, "Swapped", 1, 7).await;
    record(&store, "Noted", 5, 0).await;
    store
}

/// The sum of all payments.
struct Takings;

impl Projection for Takings {
    const NAME: &'static str = "takings";
    type Key = StreamId;
    type Row = i64;

    fn apply(
        &self,
        event: &RecordedEvent,
        table: &mut Table<StreamId, i64>,
    ) -> Result<(), ProjectionError> {
        let Some(events) = decode_events::<Till>(event) else {
            return Ok(());
        };
        for TillEvent::Paid { cents } in events? {
            table.update(&event.stream, |sum| *sum += cents);
        }
        Ok(())
    }
}

#[tokio::test]
async fn old_events_are_hydrated_projected_and_followed_alike() {
    let store = old_till().await;
    let runtime = start(&store).await;
    let till = runtime.aggregate::<Till>("acme", "1").unwrap();
    assert_eq!(till.query(|till| till.cents).await.unwrap(), 301);
    // Versions are those of what is recorded, whatever it is today.
    assert_eq!(till.version().await.unwrap(), Version::new(4));
    let committed = till.execute(Pay(9), CommandOptions::new()).await.unwrap();
    assert_eq!((committed.reply, committed.version), (310, Version::new(5)));

    let takings = runtime.project(Takings).await.unwrap();
    takings
        .wait_for(committed.position, PATIENCE)
        .await
        .unwrap();
    let row = takings.read(|table| table.get(&till_stream()).copied());
    assert_eq!(row, Some(310));

    let mut followed = till.subscribe(Version::EMPTY);
    for (version, cents) in [(2, 300), (3, -7), (3, 8), (5, 9)] {
        let next = followed.next().await.unwrap().unwrap();
        assert_eq!(next.recorded.version, Version::new(version));
        assert_eq!(next.event, TillEvent::Paid { cents });
    }
    let mut of_all = runtime.subscribe_to::<Till>(None, StartAt::Beginning);
    for (version, cents, stands_at) in [(2, 300, 2), (3, -7, 2), (3, 8, 4), (5, 9, 5)] {
        let next = of_all.next().await.unwrap().unwrap();
        assert_eq!(next.recorded.version, Version::new(version));
        assert_eq!(next.event, TillEvent::Paid { cents });
        // Who begins anew behind it gets both parts of one that was given in part.
        assert!(of_all.position() <= Position::new(stands_at));
        let mut anew = runtime.subscribe_to::<Till>(None, StartAt::After(of_all.position()));
        let again = anew.next();
        if cents == -7 {
            assert_eq!(again.await.unwrap().unwrap().event, next.event);
        }
    }
    runtime.shutdown(PATIENCE).await.unwrap();
    assert_eq!(followed.next().await.unwrap(), None);
    assert_eq!(of_all.next().await.unwrap(), None);

    let newest = store.read_stream(StreamQuery::since(till_stream(), Version::new(5), 1));
    assert_eq!(newest.await.unwrap().events[0].schema_version, 2);
}

#[tokio::test]
async fn a_snapshot_behind_events_that_became_several_or_none_stands_at_the_recorded_version() {
    let store = old_till().await;
    let runtime = start_with(&store, |builder| builder.snapshot_every_events(5)).await;
    let till = runtime.aggregate::<Till>("acme", "1").unwrap();
    till.send(Pay(1)).await.unwrap();
    let snapshot = loop {
        let loading = store.load_snapshot(&till_stream(), SnapshotCriteria::ALL);
        if let Some(snapshot) = loading.await.unwrap() {
            break snapshot;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(snapshot.version, Version::new(5));
    runtime.shutdown(PATIENCE).await.unwrap();
    record(&store, "Swapped", 1, 2).await;
    let runtime = start(&store).await;
    let till = runtime.aggregate::<Till>("acme", "1").unwrap();
    assert_eq!(till.query(|till| till.cents).await.unwrap(), 303);
    assert_eq!(till.version().await.unwrap(), Version::new(6));
}

#[tokio::test]
async fn an_event_of_a_newer_build_stops_its_aggregate_and_parks_a_projection_and_is_named() {
    let store = old_till().await;
    record(&store, "Paid", 9, 1).await;
    let runtime = start(&store).await;
    let till = runtime.aggregate::<Till>("acme", "1").unwrap();
    let told = [
        till.send(Pay(1)).await.unwrap_err().to_string(),
        till.query(|till| till.cents).await.unwrap_err().to_string(),
        {
            let mut followed = till.subscribe(Version::new(5));
            followed.next().await.unwrap_err().to_string()
        },
    ];
    for error in told {
        for part in [
            "event 5 of stream acme/till/1 (type Paid, schema 9)",
            "schema version 9, and this build knows versions up to 2",
            "run the build that wrote it",
        ] {
            assert!(error.contains(part), "{error}");
        }
    }
    let takings = runtime.project(Takings).await.unwrap();
    let waited = takings.wait_for(Position::new(5), PATIENCE).await;
    let parked = waited.unwrap_err().to_string();
    assert!(parked.contains("schema version 9"), "{parked}");
    assert_eq!(
        takings.read(|table| table.get(&till_stream()).copied()),
        Some(301)
    );
}
