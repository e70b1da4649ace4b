use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::counter::*;
use super::held_store::HeldStore;
use super::*;
use crate::*;
use foldhouse_store::{Append, EventStore, ExpectedVersion, ReadModelStore};

/// The count of each counter by its id, made from the events alone.
#[derive(Default)]
pub(super) struct Counts {
    /// Fails on the event at this position.
    pub(super) fail_at: Option<Position>,
    /// Fails by a panic, behind changes of the table.
    pub(super) panics: bool,
    /// Whether what made it fail is mended.
    pub(super) mended: Arc<AtomicBool>,
    pub(super) applied: Arc<AtomicUsize>,
}

impl Projection for Counts {
    const NAME: &'static str = "counts";
    type Key = String;
    type Row = u64;

    fn apply(
        &self,
        event: &RecordedEvent,
        table: &mut Table<String, u64>,
    ) -> Result<(), ProjectionError> {
        self.applied.fetch_add(1, Ordering::SeqCst);
        let Some(event_of_counter) = decode_event::<Counter>(event).transpose()? else {
            return Ok(());
        };
        if let CounterEvent::Added { by } = event_of_counter {
            table.update(event.stream.aggregate_id(), |count| *count += by);
        }
        if self.fail_at == Some(event.position) && !self.mended.load(Ordering::SeqCst) {
            table.update("half of an event", |count| *count += 1);
            assert!(!self.panics, "told to panic");
            return Err(ProjectionError::new("told to fail"));
        }
        Ok(())
    }
}

/// The same, with a model that has changed its meaning.
struct DoubledCounts;

impl Projection for DoubledCounts {
    const NAME: &'static str = Counts::NAME;
    const MODEL_VERSION: u32 = 2;
    type Key = String;
    type Row = u64;

    fn apply(
        &self,
        event: &RecordedEvent,
        table: &mut Table<String, u64>,
    ) -> Result<(), ProjectionError> {
        if let Some(CounterEvent::Added { by }) = decode_event::<Counter>(event).transpose()? {
            table.update(event.stream.aggregate_id(), |count| *count += 2 * by);
        }
        Ok(())
    }
}

pub(super) async fn add(runtime: &Runtime, id: &str, by: u64) -> Position {
    let counter = runtime.aggregate::<Counter>("acme", id).unwrap();
    let committed = counter.execute(Add(by), CommandOptions::new()).await;
    committed.unwrap().position
}

async fn until<P: Projection>(
    projection: &ProjectionRef<P>,
    wanted: impl Fn(&ProjectionStatus) -> bool,
) {
    while !wanted(&projection.status()) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn is_parked(status: &ProjectionStatus) -> bool {
    matches!(status.state, ProjectionState::Parked(_))
}

#[tokio::test]
async fn a_caller_reads_its_own_write_once_it_has_waited_for_it() {
    let store = Arc::new(MemoryStore::new());
    let runtime = start(&store).await;
    add(&runtime, "1", 5).await;
    let counts = runtime.project(Counts::default()).await.unwrap();
    for by in 1..50 {
        let position = add(&runtime, "2", by).await;
        counts.wait_for(position, PATIENCE).await.unwrap();
        assert_eq!(counts.get("2"), Some(by * (by + 1) / 2));
    }
    assert_eq!(counts.get("1"), Some(5));
    assert_eq!(counts.get("3"), None);
    until(&counts, |status| {
        status.state == ProjectionState::Live && status.position == Position::new(50)
    })
    .await;
    assert_eq!(counts.read(Table::len), 2);
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_takes_too_long_names_both_positions() {
    let runtime = start(&Arc::new(MemoryStore::new())).await;
    add(&runtime, "1", 5).await;
    let counts = runtime.project(Counts::default()).await.unwrap();
    counts.wait_for(Position::new(1), PATIENCE).await.unwrap();
    let error = counts
        .wait_for(Position::new(9), Duration::from_secs(1))
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "projection counts is at position 1, not at 9, after 1s; wait again"
    );
}

#[tokio::test]
async fn an_event_takes_effect_once_over_any_number_of_restarts() {
    let store = HeldStore::new();
    let applied = Arc::new(AtomicUsize::new(0));
    let counts = || Counts {
        applied: applied.clone(),
        ..Counts::default()
    };
    for round in 1..=6 {
        let runtime = start(&store).await;
        let projection = runtime.project(counts()).await.unwrap();
        assert_eq!(projection.get("1").unwrap_or_default(), (round - 1) * 3);
        for _ in 0..3 {
            add(&runtime, "1", 1).await;
        }
        let report = runtime.shutdown(PATIENCE).await.unwrap();
        assert_eq!(report.projections.len(), 1);
        assert_eq!(report.projections[0].position, Position::new(round * 3));
        assert_eq!(projection.get("1"), Some(round * 3));
    }
    // No event was read twice either: each runtime began where the one before had ended.
    assert_eq!(applied.load(Ordering::SeqCst), 18);
}

#[tokio::test]
async fn an_event_takes_effect_once_though_the_runtime_is_torn_away() {
    let store = HeldStore::new();
    for round in 1..=10 {
        let runtime = start(&store).await;
        let projection = runtime.project(Counts::default()).await.unwrap();
        let position = add(&runtime, "1", 1).await;
        // Sometimes it has seen the event, sometimes not, sometimes it has only not kept its rows.
        store.fail_commits(round % 3);
        if round % 2 == 0 {
            projection.wait_for(position, PATIENCE).await.unwrap();
        }
        drop(runtime);
        until(&projection, |status| {
            status.state == ProjectionState::Stopped
        })
        .await;
        store.fail_commits(0);
    }
    let runtime = start(&store).await;
    let projection = runtime.project(Counts::default()).await.unwrap();
    projection.wait_for(store.head(), PATIENCE).await.unwrap();
    assert_eq!(projection.get("1"), Some(10));
}

#[tokio::test]
async fn a_new_model_version_is_made_anew_and_an_old_row_is_gone() {
    let store = Arc::new(MemoryStore::new());
    let first = start(&store).await;
    first.project(Counts::default()).await.unwrap();
    add(&first, "1", 5).await;
    first.shutdown(PATIENCE).await.unwrap();
    let second = start(&store).await;
    let doubled = second.project(DoubledCounts).await.unwrap();
    doubled.wait_for(store.head(), PATIENCE).await.unwrap();
    assert_eq!(doubled.get("1"), Some(10));
    second.shutdown(PATIENCE).await.unwrap();
    let checkpoint = store.checkpoint("counts").await.unwrap().unwrap();
    assert_eq!(checkpoint.model_version, 2);
}

#[tokio::test]
async fn a_model_ahead_of_the_journal_or_unreadable_is_made_anew() {
    let store = Arc::new(MemoryStore::new());
    let first = start(&store).await;
    add(&first, "1", 5).await;
    let bad_row = foldhouse_store::Change {
        key: b"no key".to_vec(),
        value: Some(b"no row".to_vec()),
    };
    for (position, changes) in [(1_000, vec![]), (1, vec![bad_row])] {
        let checkpoint = foldhouse_store::Checkpoint {
            position: Position::new(position),
            model_version: 1,
        };
        store.commit("counts", checkpoint, changes).await.unwrap();
        let runtime = start(&store).await;
        let counts = runtime.project(Counts::default()).await.unwrap();
        counts.wait_for(store.head(), PATIENCE).await.unwrap();
        assert_eq!(counts.read(|table| table.iter().count()), 1);
        assert_eq!(counts.get("1"), Some(5));
        runtime.shutdown(PATIENCE).await.unwrap();
        store.reset("counts").await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_failing_event_parks_the_projection_visibly_and_hurts_no_append() {
    for panics in [false, true] {
        let store = HeldStore::new();
        let runtime = start(&store).await;
        for by in 1..=9 {
            add(&runtime, "1", by).await;
        }
        let failing = Counts {
            fail_at: Some(Position::new(5)),
            panics,
            ..Counts::default()
        };
        let (mended, applied) = (failing.mended.clone(), failing.applied.clone());
        let counts = runtime.project(failing).await.unwrap();
        until(&counts, is_parked).await;
        let status = counts.status();
        let ProjectionState::Parked(parked) = status.state else {
            unreachable!()
        };
        let position = status.position;
        assert_eq!(
            (position, parked.position),
            (Position::new(4), Position::new(5))
        );
        let (stream, event_type) = parked.event.clone().unwrap();
        assert_eq!((stream.as_str(), &*event_type), ("acme/counter/1", "Added"));
        assert!(parked.error.contains("told to"), "{parked}");
        // The rows are those behind the event before, whole, and kept.
        assert_eq!(counts.get("1"), Some(1 + 2 + 3 + 4));
        assert_eq!(counts.read(Table::len), 1);
        let kept = store.checkpoint("counts").await.unwrap().unwrap();
        assert_eq!(kept.position, Position::new(4));

        let error = counts.wait_for(Position::new(9), PATIENCE).await;
        assert!(matches!(error, Err(WaitError::Parked { .. })));
        counts.wait_for(Position::new(4), PATIENCE).await.unwrap();
        add(&runtime, "1", 10).await;

        let tried = applied.load(Ordering::SeqCst);
        counts.resume();
        until(&counts, |status| !is_parked(status)).await;
        until(&counts, is_parked).await;
        assert!(applied.load(Ordering::SeqCst) > tried);

        mended.store(true, Ordering::SeqCst);
        counts.resume();
        // It is not seen as parked from here on, though it has not even woken.
        counts.wait_for(Position::new(9), PATIENCE).await.unwrap();
        until(&counts, |status| status.state == ProjectionState::Live).await;
        counts.wait_for(Position::new(10), PATIENCE).await.unwrap();
        assert_eq!(counts.get("1"), Some(55));
    }
}

#[tokio::test(start_paused = true)]
async fn an_event_that_fails_for_a_moment_is_tried_again_and_nothing_parks() {
    let runtime = start(&Arc::new(MemoryStore::new())).await;
    let failing = Counts {
        fail_at: Some(Position::new(1)),
        ..Counts::default()
    };
    let (mended, applied) = (failing.mended.clone(), failing.applied.clone());
    let counts = runtime.project(failing).await.unwrap();
    let position = add(&runtime, "1", 7).await;
    while applied.load(Ordering::SeqCst) < 2 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    mended.store(true, Ordering::SeqCst);
    counts.wait_for(position, PATIENCE).await.unwrap();
    assert_eq!(counts.get("1"), Some(7));
    assert_eq!(counts.read(Table::len), 1);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_does_not_keep_the_rows_parks_the_projection_until_it_does() {
    let store = HeldStore::new();
    let runtime = start(&store).await;
    let counts = runtime.project(Counts::default()).await.unwrap();
    store.fail_commits(usize::MAX);
    add(&runtime, "1", 7).await;
    until(&counts, is_parked).await;
    assert_eq!(counts.get("1"), Some(7));
    store.fail_commits(0);
    counts.resume();
    let mut commits = store.commits.subscribe();
    commits.wait_for(|commits| *commits > 0).await.unwrap();
    add(&runtime, "1", 1).await;
    runtime.shutdown(PATIENCE).await.unwrap();
    let rows = store.rows("counts", None, 10).await.unwrap();
    assert_eq!(rows, [(b"\xa11".to_vec(), b"\x08".to_vec())]);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_does_not_wait_for_a_parked_projection_and_reports_it() {
    let runtime = start(&Arc::new(MemoryStore::new())).await;
    let failing = Counts {
        fail_at: Some(Position::new(2)),
        ..Counts::default()
    };
    let counts = runtime.project(failing).await.unwrap();
    for by in 1..=3 {
        add(&runtime, "1", by).await;
    }
    until(&counts, is_parked).await;
    let report = runtime.shutdown(PATIENCE).await.unwrap();
    let left = &report.projections[0];
    assert_eq!((left.position, left.ended), (Position::new(1), true));
    assert_eq!(left.parked.as_ref().unwrap().position, Position::new(2));
}

#[tokio::test]
async fn a_name_that_runs_already_or_is_no_name_is_refused() {
    struct Nameless;
    impl Projection for Nameless {
        const NAME: &'static str = "";
        type Key = String;
        type Row = u64;
        fn apply(
            &self,
            _event: &RecordedEvent,
            _table: &mut Table<String, u64>,
        ) -> Result<(), ProjectionError> {
            Ok(())
        }
    }
    let runtime = start(&Arc::new(MemoryStore::new())).await;
    let _counts = runtime.project(Counts::default()).await.unwrap();
    let error = runtime.project(DoubledCounts).await.unwrap_err();
    assert!(matches!(
        error,
        ProjectError::AlreadyRunning { name: "counts" }
    ));
    let error = runtime.project(Nameless).await.unwrap_err();
    assert!(matches!(error, ProjectError::Name { .. }));
    runtime.shutdown(PATIENCE).await.unwrap();
    let error = runtime.project(DoubledCounts).await.unwrap_err();
    assert!(matches!(error, ProjectError::ShuttingDown { .. }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn readers_see_whole_events_and_every_projection_ends_with_the_same_rows() {
    let store = Arc::new(MemoryStore::new());
    let runtime = start(&store).await;
    // Half of the events are there before the projection, so that it catches up while the others come.
    let record = |events: usize| {
        let store = store.clone();
        async move {
            for _ in 0..events {
                let mut append = Append::default();
                for id in ["1", "2"] {
                    let stream = StreamId::new("acme", "counter", id).unwrap();
                    let event = foldhouse_store::NewEvent::new(
                        SystemClock.new_id(),
                        "Added",
                        foldhouse_store::Payload::message_pack(b"\x81\xa2by\x01".to_vec()),
                    );
                    append = append.and(stream, ExpectedVersion::Any, [event]);
                }
                store.append(append).await.unwrap();
            }
        }
    };
    record(5_000).await;
    let counts = runtime.project(Counts::default()).await.unwrap();
    let writer = tokio::spawn(record(5_000));
    let mut seen = Position::BEFORE_FIRST;
    while seen < Position::new(20_000) {
        let (position, first, second) = counts.read(|table| {
            let count = |id| table.get(id).copied().unwrap_or_default();
            (counts.position(), count("1"), count("2"))
        });
        assert!(first == second || first == second + 1, "{first} {second}");
        // The position follows the rows.
        assert!(position.get() <= first + second);
        seen = counts.position();
        tokio::task::yield_now().await;
    }
    writer.await.unwrap();
    assert_eq!(counts.get("1"), Some(10_000));
    runtime.shutdown(PATIENCE).await.unwrap();
    let rows = store.rows("counts", None, 10).await.unwrap();
    assert_eq!(rows.len(), 2);
    let again = start(&store).await;
    let counts = again.project(Counts::default()).await.unwrap();
    assert_eq!(counts.position(), Position::new(20_000));
    assert_eq!(counts.get("2"), Some(10_000));
}

#[tokio::test(start_paused = true)]
async fn a_model_with_too_many_rows_parks() {
    struct ByEvent;
    impl Projection for ByEvent {
        const NAME: &'static str = "by-event";
        const ROWS_MAX: usize = 3;
        type Key = u64;
        type Row = ();
        fn apply(
            &self,
            event: &RecordedEvent,
            table: &mut Table<u64, ()>,
        ) -> Result<(), ProjectionError> {
            table.insert(event.position.get(), ());
            Ok(())
        }
    }
    let runtime = start(&Arc::new(MemoryStore::new())).await;
    let by_event = runtime.project(ByEvent).await.unwrap();
    for _ in 0..4 {
        add(&runtime, "1", 1).await;
    }
    until(&by_event, is_parked).await;
    assert_eq!(by_event.read(Table::len), 3);
    assert!(by_event.get(&4).is_none());
}

/// Stops within `apply` until it is let go.
struct Halting {
    reached: std::sync::mpsc::SyncSender<()>,
    go_on: std::sync::Mutex<std::sync::mpsc::Receiver<()>>,
}

impl Projection for Halting {
    const NAME: &'static str = "halting";
    type Key = u64;
    type Row = ();

    fn apply(&self, _: &RecordedEvent, _: &mut Table<u64, ()>) -> Result<(), ProjectionError> {
        self.reached.send(()).unwrap();
        self.go_on.lock().unwrap().recv().unwrap();
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_projection_ends_though_the_order_comes_before_its_last_step() {
    let (reached, is_reached) = std::sync::mpsc::sync_channel(1);
    let (let_go, go_on) = std::sync::mpsc::channel();
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let runtime = Runtime::builder(store).start().await.unwrap();
    let go_on = std::sync::Mutex::new(go_on);
    let halting = runtime.project(Halting { reached, go_on }).await.unwrap();
    add(&runtime, "a", 1).await;
    is_reached.recv().unwrap();
    // It has a last step to do when the order comes, and hears nothing more after that.
    add(&runtime, "a", 1).await;
    let ending = runtime.clone();
    let ending = tokio::spawn(async move { ending.shutdown(Duration::from_secs(5)).await });
    while !halting.is_told_to_end() {
        tokio::task::yield_now().await;
    }
    let_go.send(()).unwrap();
    let_go.send(()).unwrap();
    let ended = ending.await.unwrap();
    assert!(ended.is_ok(), "{ended:?}");
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_tries_twice_to_keep_the_rows_and_says_if_they_are_not() {
    for (failing, kept) in [(1, true), (usize::MAX, false)] {
        let store = HeldStore::new();
        let runtime = start(&store).await;
        let counts = runtime.project(Counts::default()).await.unwrap();
        let first = add(&runtime, "1", 1).await;
        counts.wait_for(first, PATIENCE).await.unwrap();
        settle().await;
        store.fail_commits(failing);
        let second = add(&runtime, "1", 2).await;
        let report = runtime.shutdown(PATIENCE).await.unwrap();
        assert_eq!(report.projections[0].parked.is_none(), kept);
        let checkpoint = store.checkpoint("counts").await.unwrap().unwrap();
        assert_eq!(checkpoint.position, if kept { second } else { first });
    }
}
