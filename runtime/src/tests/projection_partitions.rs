//! Projections in parts, and several over the same events.

use std::collections::BTreeMap;
use std::sync::Mutex;

use foldhouse_store::EventStore;

use super::counter::*;
use super::held_store::HeldStore;
use super::projections::{Counts, add};
use super::*;
use crate::*;

/// The sum of each tenant, and the last version of each stream that it has seen.
#[derive(Default)]
struct Sums {
    fails_at: Arc<Mutex<Option<u64>>>,
}

impl Projection for Sums {
    const NAME: &'static str = "sums";
    type Key = String;
    type Row = u64;

    fn failure_policy(&self) -> FailurePolicy {
        FailurePolicy::park().retry_after([])
    }

    fn apply(
        &self,
        event: &RecordedEvent,
        table: &mut Table<String, u64>,
    ) -> Result<(), ProjectionError> {
        if *self.fails_at.lock().unwrap() == Some(event.position.get()) {
            return Err(ProjectionError::new("told to fail"));
        }
        let stream = event.stream.as_str();
        let before = table.get(stream).copied().unwrap_or_default();
        if before + 1 != event.version.get() {
            return Err(ProjectionError::new(format!(
                "{stream}: {before}, then {}",
                event.version
            )));
        }
        table.insert(stream.to_owned(), event.version.get());
        if let Some(CounterEvent::Added { by }) = decode_event::<Counter>(event).transpose()? {
            table.update(event.stream.tenant(), |sum| *sum += by);
        }
        Ok(())
    }
}

const STREAMS: u64 = 40;

async fn round(runtime: &Runtime) -> Position {
    let mut last = Position::BEFORE_FIRST;
    for counter in 0..STREAMS {
        last = add(runtime, &counter.to_string(), counter + 1).await;
    }
    last
}

const ROUND: u64 = STREAMS * (STREAMS + 1) / 2;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parts_keep_the_order_of_each_stream_and_add_up_over_restarts() {
    let store = HeldStore::new();
    for restart in 1..=3_u64 {
        let runtime = start(&store).await;
        let sums = runtime
            .project_partitioned(Sums::default(), 3)
            .await
            .unwrap();
        assert_eq!(
            sums.rows("acme").into_iter().sum::<u64>(),
            (restart - 1) * ROUND
        );
        let head = round(&runtime).await;
        sums.wait_for(head, PATIENCE).await.unwrap();
        assert_eq!(sums.rows("acme").into_iter().sum::<u64>(), restart * ROUND);
        // Each stream has one row, in its part, and every part has some.
        let streams = sums.read(|tables| {
            let mut streams = BTreeMap::new();
            for table in tables {
                let rows = table.iter().filter(|(key, _)| key.contains('/'));
                let before = streams.len();
                streams.extend(rows.map(|(key, row)| (key.clone(), *row)));
                assert!(streams.len() > before, "a part without streams");
            }
            streams
        });
        assert_eq!(streams.len() as u64, STREAMS);
        assert!(streams.values().all(|version| *version == restart));
        let stream = StreamId::new("acme", "counter", "7").unwrap();
        let part = sums.part_of(&stream).unwrap();
        assert_eq!(part.get(stream.as_str()), Some(restart));
        let report = runtime.shutdown(PATIENCE).await.unwrap();
        assert_eq!(report.projections.len(), 1);
        assert_eq!(report.projections[0].position, head);
        assert_eq!(sums.position(), head);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_part_that_fails_parks_alone_and_each_can_be_made_anew() {
    let store = HeldStore::new();
    let runtime = start(&store).await;
    let failing = Sums::default();
    let fails_at = failing.fails_at.clone();
    *fails_at.lock().unwrap() = Some(5);
    let sums = runtime.project_partitioned(failing, 4).await.unwrap();
    let head = round(&runtime).await;
    let mut parked = 0;
    for part in sums.parts() {
        match part.wait_for(head, PATIENCE).await {
            Ok(()) => {}
            Err(WaitError::Parked { .. }) => parked += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!((parked, sums.position().get()), (1, 4));
    *fails_at.lock().unwrap() = None;
    for part in sums.parts() {
        part.rebuild().await.unwrap();
    }
    sums.wait_for(head, PATIENCE).await.unwrap();
    assert_eq!(sums.rows("acme").into_iter().sum::<u64>(), ROUND);
    runtime.shutdown(PATIENCE).await.unwrap();
    let runtime = start(&store).await;
    let sums = runtime
        .project_partitioned(Sums::default(), 4)
        .await
        .unwrap();
    assert_eq!(sums.position(), head);
    assert_eq!(sums.rows("acme").into_iter().sum::<u64>(), ROUND);
}

#[tokio::test]
async fn no_parts_or_too_many_are_refused() {
    let runtime = start(&Arc::new(MemoryStore::new())).await;
    for parts in [0, PARTITIONS_MAX + 1] {
        let error = runtime.project_partitioned(Sums::default(), parts).await;
        assert!(matches!(error, Err(ProjectError::Partitions { .. })));
    }
    // The name is free still.
    runtime.project(Sums::default()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_projections_over_the_same_events_end_with_the_same_sums() {
    let store = HeldStore::new();
    let runtime = start(&store).await;
    // Before, while and after they start; they read some pages together, and some alone.
    for _ in 0..120 {
        round(&runtime).await;
    }
    let writer = {
        let runtime = runtime.clone();
        tokio::spawn(async move {
            for _ in 0..30 {
                round(&runtime).await;
            }
        })
    };
    let whole = runtime.project(Counts::default()).await.unwrap();
    let parts = runtime
        .project_partitioned(Sums::default(), 2)
        .await
        .unwrap();
    writer.await.unwrap();
    let head = store.head();
    whole.wait_for(head, PATIENCE).await.unwrap();
    parts.wait_for(head, PATIENCE).await.unwrap();
    assert_eq!(parts.rows("acme").into_iter().sum::<u64>(), 150 * ROUND);
    let sum = whole.read(|table| table.iter().map(|(_, count)| *count).sum::<u64>());
    assert_eq!(sum, 150 * ROUND);
    runtime.shutdown(PATIENCE).await.unwrap();
}
