//! A model that is made anew beside the live one.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use foldhouse_store::{EventStore, ReadModelStore};

use super::counter::*;
use super::held_store::HeldStore;
use super::projections::add;
use super::*;
use crate::*;

/// Each counter's sum, times a factor that somebody changes, as if `apply` had been mended.
#[derive(Default)]
struct Scaled {
    factor: Arc<AtomicU64>,
    /// Waits at this position while the factor is not 1.
    waits_at: u64,
    waits: Arc<AtomicBool>,
    applied: Arc<AtomicU64>,
    fails_at: Arc<AtomicU64>,
}

impl Projection for Scaled {
    const NAME: &'static str = "scaled";
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
        self.applied.fetch_add(1, Ordering::SeqCst);
        let factor = self.factor.load(Ordering::SeqCst);
        if event.position.get() == self.fails_at.load(Ordering::SeqCst) {
            return Err(ProjectionError::new("told to fail"));
        }
        if event.position.get() == self.waits_at && factor != 1 {
            while self.waits.load(Ordering::SeqCst) {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        if let Some(CounterEvent::Added { by }) = decode_event::<Counter>(event).transpose()? {
            table.update(event.stream.aggregate_id(), |sum| *sum += by * factor);
        }
        Ok(())
    }
}

const COUNTERS: u64 = 50;

/// One event for each counter.
async fn round(runtime: &Runtime) -> Position {
    let mut last = Position::BEFORE_FIRST;
    for counter in 0..COUNTERS {
        last = add(runtime, &counter.to_string(), 1).await;
    }
    last
}

fn sum(scaled: &ProjectionRef<Scaled>) -> u64 {
    scaled.read(|table| table.iter().map(|(_, sum)| *sum).sum())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_see_the_old_model_until_the_new_one_is_whole() {
    let store = HeldStore::new();
    let runtime = start(&store).await;
    let (factor, waits) = (
        Arc::new(AtomicU64::new(1)),
        Arc::new(AtomicBool::new(false)),
    );
    let scaled = Scaled {
        factor: factor.clone(),
        waits: waits.clone(),
        waits_at: 40,
        ..Scaled::default()
    };
    let applied = scaled.applied.clone();
    let scaled = runtime.project(scaled).await.unwrap();
    let head = round(&runtime).await;
    scaled.wait_for(head, PATIENCE).await.unwrap();
    assert!(scaled.status().rebuild.is_none());

    waits.store(true, Ordering::SeqCst);
    factor.store(7, Ordering::SeqCst);
    let rebuilding = scaled.clone();
    let rebuilding = tokio::spawn(async move { rebuilding.rebuild().await });
    // It waits at the fortieth event, behind which nothing of it is shown.
    until(|| applied.load(Ordering::SeqCst) == COUNTERS + 40).await;
    let progress = scaled.status().rebuild.unwrap();
    assert_eq!(progress.total, COUNTERS);
    assert_eq!(sum(&scaled), COUNTERS);
    let second = scaled.rebuild().await;
    assert!(matches!(second, Err(RebuildError::AlreadyRunning { .. })));
    waits.store(false, Ordering::SeqCst);
    rebuilding.await.unwrap().unwrap();
    assert_eq!(sum(&scaled), 7 * COUNTERS);
    assert!(scaled.status().rebuild.is_none());

    // It goes on, is kept, and is found again, read from no event twice.
    let head = round(&runtime).await;
    scaled.wait_for(head, PATIENCE).await.unwrap();
    assert_eq!(sum(&scaled), 14 * COUNTERS);
    runtime.shutdown(PATIENCE).await.unwrap();
    assert!(store.rows("scaled", None, 1).await.unwrap().is_empty());
    let runtime = start(&store).await;
    let again = Scaled::default();
    let applied = again.applied.clone();
    let again = runtime.project(again).await.unwrap();
    assert_eq!((sum(&again), again.position()), (14 * COUNTERS, head));
    // And back to the first place.
    runtime.shutdown(PATIENCE).await.unwrap();
    assert_eq!(applied.load(Ordering::SeqCst), 0);
    let runtime = start(&store).await;
    let again = Scaled::default();
    again.factor.store(2, Ordering::SeqCst);
    let again = runtime.project(again).await.unwrap();
    again.rebuild().await.unwrap();
    assert_eq!(sum(&again), 4 * COUNTERS);
    runtime.shutdown(PATIENCE).await.unwrap();
    let kept = store.checkpoint("scaled").await.unwrap().unwrap();
    assert_eq!(kept.position, head);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_never_sees_a_mixture_while_events_come_and_models_are_made() {
    let store = Arc::new(MemoryStore::new());
    let runtime = start(&store).await;
    let factor = Arc::new(AtomicU64::new(1));
    let scaled = Scaled {
        factor: factor.clone(),
        ..Scaled::default()
    };
    let scaled = runtime.project(scaled).await.unwrap();
    let writer = {
        let runtime = runtime.clone();
        tokio::spawn(async move {
            for _ in 0..3_000 {
                add(&runtime, "1", 1).await;
            }
        })
    };
    let rebuilding = {
        let scaled = scaled.clone();
        tokio::spawn(async move {
            // The same rules each time, so that whatever is read can be checked.
            for _ in 0..20 {
                scaled.rebuild().await.unwrap();
            }
        })
    };
    let mut last = 0;
    while !writer.is_finished() || !rebuilding.is_finished() {
        let (position, sum) = scaled.read(|table| {
            (
                scaled.position().get(),
                table.get("1").copied().unwrap_or_default(),
            )
        });
        assert!(position <= sum, "rows of {sum} events at {position}");
        assert!(last <= sum, "the rows went back from {last} to {sum}");
        last = sum;
        tokio::task::yield_now().await;
    }
    writer.await.unwrap();
    rebuilding.await.unwrap();
    scaled.wait_for(store.head(), PATIENCE).await.unwrap();
    assert_eq!(scaled.get("1"), Some(3_000));
}

#[tokio::test]
async fn a_model_that_cannot_be_made_leaves_the_old_one_as_it_is() {
    let store = HeldStore::new();
    let runtime = start(&store).await;
    let scaled = Scaled::default();
    scaled.factor.store(1, Ordering::SeqCst);
    let (fails_at, factor) = (scaled.fails_at.clone(), scaled.factor.clone());
    let scaled = runtime.project(scaled).await.unwrap();
    let head = round(&runtime).await;
    scaled.wait_for(head, PATIENCE).await.unwrap();
    fails_at.store(20, Ordering::SeqCst);
    factor.store(3, Ordering::SeqCst);
    let error = scaled.rebuild().await.unwrap_err();
    assert!(error.to_string().contains("event 20"), "{error}");
    assert_eq!(sum(&scaled), COUNTERS);
    assert_eq!(scaled.status().state, ProjectionState::Live);
    // Nor does it come to anything if the store does not keep it.
    fails_at.store(0, Ordering::SeqCst);
    settle().await;
    store.fail_commits(usize::MAX);
    let error = scaled.rebuild().await.unwrap_err();
    assert!(matches!(error, RebuildError::Failed { .. }), "{error}");
    assert_eq!(sum(&scaled), COUNTERS);
    store.fail_commits(0);
    scaled.rebuild().await.unwrap();
    assert_eq!(sum(&scaled), 3 * COUNTERS);
}

#[tokio::test]
async fn a_new_model_frees_one_that_is_parked() {
    let store = HeldStore::new();
    let runtime = start(&store).await;
    let scaled = Scaled::default();
    scaled.factor.store(1, Ordering::SeqCst);
    scaled.fails_at.store(20, Ordering::SeqCst);
    let fails_at = scaled.fails_at.clone();
    let scaled = runtime.project(scaled).await.unwrap();
    let head = round(&runtime).await;
    let parked = scaled.wait_for(head, PATIENCE).await;
    assert!(matches!(parked, Err(WaitError::Parked { .. })));
    fails_at.store(0, Ordering::SeqCst);
    scaled.rebuild().await.unwrap();
    scaled.wait_for(head, PATIENCE).await.unwrap();
    assert_eq!(sum(&scaled), COUNTERS);
}

#[tokio::test]
async fn what_was_left_of_a_model_in_the_making_is_removed_at_the_next_start() {
    let store = HeldStore::new();
    let runtime = start(&store).await;
    let scaled = Scaled::default();
    scaled.factor.store(1, Ordering::SeqCst);
    let scaled = runtime.project(scaled).await.unwrap();
    let head = round(&runtime).await;
    scaled.wait_for(head, PATIENCE).await.unwrap();
    runtime.shutdown(PATIENCE).await.unwrap();
    // As a process leaves it that is killed while it makes the second model: parts, and no checkpoint that counts.
    let key = rmp_serde::to_vec_named("1").unwrap();
    let value = Some(rmp_serde::to_vec_named(&77_u64).unwrap());
    let part = foldhouse_store::Change { key, value };
    let cut_off = foldhouse_store::Checkpoint {
        position: Position::BEFORE_FIRST,
        model_version: 1,
    };
    let beside = "scaled\u{0}b";
    store.commit(beside, cut_off, vec![part]).await.unwrap();

    let runtime = start(&store).await;
    let scaled = runtime.project(Scaled::default()).await.unwrap();
    assert_eq!((sum(&scaled), scaled.position()), (COUNTERS, head));
    assert!(store.checkpoint(beside).await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rebuild_that_is_cancelled_or_whose_runtime_ends_says_so() {
    for is_shutdown in [false, true] {
        let store = Arc::new(MemoryStore::new());
        let runtime = start(&store).await;
        let (factor, waits) = (
            Arc::new(AtomicU64::new(1)),
            Arc::new(AtomicBool::new(false)),
        );
        let scaled = Scaled {
            factor: factor.clone(),
            waits: waits.clone(),
            waits_at: 1,
            ..Scaled::default()
        };
        let scaled = runtime.project(scaled).await.unwrap();
        for _ in 0..60 {
            round(&runtime).await;
        }
        scaled.wait_for(store.head(), PATIENCE).await.unwrap();
        waits.store(true, Ordering::SeqCst);
        factor.store(2, Ordering::SeqCst);
        let rebuilding = scaled.clone();
        let rebuilding = tokio::spawn(async move { rebuilding.rebuild().await });
        until(|| scaled.status().rebuild.is_some()).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        if is_shutdown {
            runtime.shutdown(PATIENCE).await.unwrap();
        } else {
            scaled.cancel_rebuild();
        }
        waits.store(false, Ordering::SeqCst);
        let outcome = rebuilding.await.unwrap();
        assert!(
            matches!(outcome, Err(RebuildError::Stopped { .. })),
            "{outcome:?}"
        );
        assert_eq!(sum(&scaled), 60 * COUNTERS);
    }
}
