//! Looking for events over all streams: by kind, by correlation id, by stream.

use std::sync::Arc;

use uuid::Uuid;

use super::support::{append, append_many, noted, read_everything, stream, stream_of};
use crate::append::Append;
use crate::clock::Timestamp;
use crate::event::{NewEvent, Payload, RecordedEvent};
use crate::event_store::{Direction, EventStoreExt};
use crate::look_up::{EventKind, LookUp, LookUpBy};
use crate::position::{ExpectedVersion, Position};
use crate::read_model::Store;

const DIRECTIONS: [Direction; 2] = [Direction::Forward, Direction::Backward];

fn typed(event_type: &str, correlation: Option<u128>) -> NewEvent {
    let mut event = noted("a note");
    event.event_type = event_type.into();
    event.correlation_id = correlation.map(Uuid::from_u128);
    event
}

/// Events of two tenants, two aggregate types and four event types; one of them is rare, and one id is on many.
async fn append_variety<S: Store + ?Sized>(store: &Arc<S>) {
    for number in 0..60_u32 {
        let tenant = if number % 3 == 0 { "globex" } else { "acme" };
        let aggregate_type = if number % 4 == 0 { "item" } else { "account" };
        let stream = stream_of(tenant, aggregate_type, &(number % 7).to_string());
        let correlation = match number % 5 {
            0 => None,
            1 => Some(7),
            _ => Some(u128::from(number / 2)),
        };
        let mut events = vec![typed("Noted", correlation)];
        match number {
            17 | 41 => events.push(typed("Closed", correlation)),
            _ if number % 6 == 0 => events.push(typed("Moved", None)),
            _ => {}
        }
        append(store, Append::to(stream, ExpectedVersion::Any, events)).await;
    }
}

fn kind(tenant: Option<&str>, aggregate_type: Option<&str>, event_types: &[&str]) -> LookUpBy {
    LookUpBy::Kind(EventKind {
        tenant: tenant.map(Arc::from),
        aggregate_type: aggregate_type.map(Arc::from),
        event_types: event_types.iter().copied().map(Arc::from).collect(),
    })
}

/// Everything that a look-up gives, however often it has to go on.
async fn look_up_all<S: Store + ?Sized>(store: &Arc<S>, mut look_up: LookUp) -> Vec<RecordedEvent> {
    let mut events: Vec<RecordedEvent> = Vec::new();
    loop {
        let found = store.look_up(look_up.clone()).await.unwrap();
        assert!(found.events.len() <= look_up.limit, "{look_up:?}");
        assert!(found.examined >= found.events.len(), "{look_up:?}");
        assert!(found.examined <= look_up.examined_max, "{look_up:?}");
        events.extend(found.events);
        let Some(next) = found.next else {
            return events;
        };
        match look_up.direction {
            Direction::Forward => {
                assert!(next > look_up.from, "{look_up:?} goes on");
                look_up.from = next;
            }
            Direction::Backward => {
                assert!(next < look_up.to, "{look_up:?} goes on");
                look_up.to = next;
            }
        }
    }
}

/// What a look-up has to give, by the events themselves.
fn expected(everything: &[RecordedEvent], look_up: &LookUp) -> Vec<RecordedEvent> {
    let range = look_up.from..=look_up.to;
    let in_range = |event: &&RecordedEvent| range.contains(&event.position);
    let matching = everything.iter().filter(in_range);
    let mut found: Vec<_> = matching
        .filter(|event| look_up.by.matches(event))
        .cloned()
        .collect();
    if look_up.direction == Direction::Backward {
        found.reverse();
    }
    found
}

async fn assert_finds<S: Store + ?Sized>(
    store: &Arc<S>,
    everything: &[RecordedEvent],
    by: &LookUpBy,
) {
    let count = everything.len() as u64;
    for direction in DIRECTIONS {
        for (from, to) in [(0, u64::MAX), (1, count), (5, 23), (41, count + 9), (9, 9)] {
            for (limit, examined_max) in [(1_000, 1_000), (1, 1_000), (3, 2), (2, 7)] {
                let look_up = LookUp {
                    by: by.clone(),
                    from: Position::new(from),
                    to: Position::new(to),
                    direction,
                    limit,
                    examined_max,
                };
                let found = look_up_all(store, look_up.clone()).await;
                assert_eq!(found, expected(everything, &look_up), "{look_up:?}");
            }
        }
    }
}

/// By every combination of tenant, aggregate type and event types, in both directions and any steps, just those events
/// are found.
pub async fn events_of_a_kind_are_found_wherever_they_are<S: Store + ?Sized>(store: &Arc<S>) {
    append_variety(store).await;
    let everything = read_everything(store).await;
    for tenant in [None, Some("acme"), Some("globex"), Some("nobody")] {
        for aggregate_type in [None, Some("account"), Some("item")] {
            for event_types in [&[][..], &["Closed"], &["Closed", "Moved"], &["Unknown"]] {
                let by = kind(tenant, aggregate_type, event_types);
                assert_finds(store, &everything, &by).await;
            }
        }
    }
    assert_finds(store, &everything, &LookUpBy::Everything).await;
}

/// Names that begin with each other are not taken for each other.
pub async fn kinds_whose_names_begin_alike_are_told_apart<S: Store + ?Sized>(store: &Arc<S>) {
    for (tenant, aggregate_type) in [("a", "bc"), ("ab", "c"), ("a", "b"), ("ab", "cd")] {
        for event_type in ["N", "No", "cN"] {
            let to = stream_of(tenant, aggregate_type, "1");
            let event = typed(event_type, None);
            append(store, Append::to(to, ExpectedVersion::Any, [event])).await;
        }
    }
    let everything = read_everything(store).await;
    for tenant in [None, Some("a"), Some("ab")] {
        for aggregate_type in [None, Some("b"), Some("c"), Some("bc")] {
            for event_types in [&["N"][..], &["cN"], &[]] {
                let by = kind(tenant, aggregate_type, event_types);
                assert_finds(store, &everything, &by).await;
            }
        }
    }
}

/// By correlation id all events of one business transaction are found, over all streams.
pub async fn events_of_one_correlation_are_found_over_all_streams<S: Store + ?Sized>(
    store: &Arc<S>,
) {
    append_variety(store).await;
    let everything = read_everything(store).await;
    for id in [7, 3, 12, 999_999] {
        let by = LookUpBy::Correlation(Uuid::from_u128(id));
        assert_finds(store, &everything, &by).await;
    }
}

/// A stream is looked through by positions, too.
pub async fn events_of_a_stream_are_found_by_positions<S: Store + ?Sized>(store: &Arc<S>) {
    append_variety(store).await;
    let everything = read_everything(store).await;
    for (tenant, id) in [("acme", "3"), ("globex", "3"), ("acme", "unknown")] {
        let by = LookUpBy::Stream(stream_of(tenant, "account", id));
        assert_finds(store, &everything, &by).await;
    }
}

/// A look-up for what is nowhere ends, and says where it stopped on the way.
pub async fn a_look_up_does_no_more_work_than_it_may<S: Store + ?Sized>(store: &Arc<S>) {
    append_many(store, &stream(1), 400).await;
    for direction in DIRECTIONS {
        let mut look_up = LookUp::all(kind(None, None, &["Nowhere"]), 10);
        look_up.direction = direction;
        look_up.examined_max = 30;
        let mut examined = 0;
        loop {
            let found = store.look_up(look_up.clone()).await.unwrap();
            assert!(found.events.is_empty() && found.examined <= 30);
            examined += found.examined;
            match (found.next, direction) {
                (Some(next), Direction::Forward) => look_up.from = next,
                (Some(next), Direction::Backward) => look_up.to = next,
                (None, _) => break,
            }
        }
        assert!(examined <= 400, "{examined}");
    }
}

/// In an empty store, and in a range without positions, nothing is found.
pub async fn where_there_is_nothing_nothing_is_found<S: Store + ?Sized>(store: &Arc<S>) {
    let everywhere = [
        LookUpBy::Everything,
        kind(Some("acme"), None, &[]),
        LookUpBy::Correlation(Uuid::from_u128(7)),
        LookUpBy::Stream(stream(1)),
    ];
    for by in &everywhere {
        assert_finds(store, &[], by).await;
    }
    append_many(store, &stream(1), 3).await;
    for by in everywhere {
        for (from, to) in [(4, 9), (3, 2), (0, 0), (u64::MAX, u64::MAX)] {
            let mut look_up = LookUp::all(by.clone(), 10);
            (look_up.from, look_up.to) = (Position::new(from), Position::new(to));
            let found = store.look_up(look_up).await.unwrap();
            assert_eq!((found.events.len(), found.next), (0, None));
        }
    }
}

/// A time of recording is found: the first event from it on.
pub async fn a_time_of_recording_gives_the_first_event_from_it_on<S: Store + ?Sized>(
    store: &Arc<S>,
) {
    let long_ago = Timestamp::from_unix_micros(0);
    let first = store.first_recorded_from(long_ago).await.unwrap();
    assert_eq!(first, Position::new(1), "in an empty store");
    append_variety(store).await;
    let everything = read_everything(store).await;
    let mut times: Vec<i64> = everything
        .iter()
        .map(|event| event.recorded_at.unix_micros())
        .flat_map(|at| [at - 1, at, at + 1])
        .collect();
    times.extend([0, i64::MAX]);
    for at in times.into_iter().map(Timestamp::from_unix_micros) {
        let first = store.first_recorded_from(at).await.unwrap();
        let before = everything.iter().filter(|event| event.recorded_at < at);
        assert_eq!(first.get(), before.count() as u64 + 1, "from {at} on");
    }
}

/// Large events are found page by page, in both directions.
pub async fn large_events_are_found_whole<S: Store + ?Sized>(store: &Arc<S>) {
    const COUNT: u64 = 30;
    for number in 0..COUNT {
        let mut event = typed("Large", Some(7));
        event.payload = Payload::raw(vec![u8::try_from(number).unwrap(); 700_000]);
        append(store, Append::to(stream(1), ExpectedVersion::Any, [event])).await;
    }
    for by in [
        LookUpBy::Everything,
        kind(None, None, &["Large"]),
        LookUpBy::Correlation(Uuid::from_u128(7)),
        LookUpBy::Stream(stream(1)),
    ] {
        for direction in DIRECTIONS {
            let mut look_up = LookUp::all(by.clone(), 1_000);
            look_up.direction = direction;
            let found = look_up_all(store, look_up).await;
            let mut numbers: Vec<u64> = found
                .iter()
                .map(|event| u64::from(event.payload.bytes[0]))
                .collect();
            if direction == Direction::Backward {
                numbers.reverse();
            }
            assert_eq!(numbers, (0..COUNT).collect::<Vec<_>>(), "{by:?}");
        }
    }
}

/// What was acknowledged before a look-up began is found by it, also while others append.
pub async fn a_look_up_finds_all_that_was_acknowledged_before_it<S: Store + ?Sized>(
    store: &Arc<S>,
) {
    const COUNT: usize = 300;
    let beside = tokio::spawn({
        let store = Arc::clone(store);
        async move {
            for _ in 0..COUNT {
                let event = typed("Noted", None);
                append(
                    &store,
                    Append::to(stream("beside"), ExpectedVersion::Any, [event]),
                )
                .await;
            }
        }
    });
    for count in 1..=COUNT / 3 {
        let event = typed("Sought", Some(9));
        append(
            store,
            Append::to(stream("own"), ExpectedVersion::Any, [event]),
        )
        .await;
        for by in [
            kind(Some("acme"), None, &["Sought"]),
            LookUpBy::Correlation(Uuid::from_u128(9)),
            LookUpBy::Stream(stream("own")),
        ] {
            let found = look_up_all(store, LookUp::all(by, 1_000)).await;
            assert_eq!(found.len(), count);
        }
    }
    beside.await.unwrap();
}
