//! What a projection passes over, how it is told what to do, how its lag and its failures are seen.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use foldhouse_store::{EventStore, ReadModelStore};

use super::counter::*;
use super::held_store::HeldStore;
use super::projections::add;
use super::*;
use crate::*;

/// The sum of each counter, as its test says.
#[derive(Default)]
pub(super) struct Sums {
    filter: ProjectionFilter,
    policy: FailurePolicy,
    /// Fails on the events at these positions,
    failing: Arc<Mutex<BTreeSet<u64>>>,
    /// does not return from them,
    hanging: Arc<AtomicBool>,
    applied: Arc<AtomicUsize>,
    /// and counts every event so often, and once more.
    pub(super) extra: Arc<AtomicU64>,
}

impl Projection for Sums {
    const NAME: &'static str = "sums";
    const STALLED_AFTER: Duration = Duration::from_millis(50);
    type Key = String;
    type Row = u64;

    fn filter(&self) -> ProjectionFilter {
        self.filter.clone()
    }

    fn failure_policy(&self) -> FailurePolicy {
        self.policy.clone()
    }

    fn apply(
        &self,
        event: &RecordedEvent,
        table: &mut Table<String, u64>,
    ) -> Result<(), ProjectionError> {
        self.applied.fetch_add(1, Ordering::SeqCst);
        if let Some(CounterEvent::Added { by }) = decode_event::<Counter>(event).transpose()? {
            let times = 1 + self.extra.load(Ordering::SeqCst);
            table.update(event.stream.aggregate_id(), |sum| *sum += by * times);
        }
        if self.failing.lock().unwrap().contains(&event.position.get()) {
            return Err(ProjectionError::new("told to fail"));
        }
        while self.hanging.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }
}

/// One attempt only.
fn at_once(policy: FailurePolicy) -> FailurePolicy {
    policy.retry_after([])
}

async fn until_state(sums: &ProjectionRef<Sums>, wanted: impl Fn(&ProjectionState) -> bool) {
    let waiting = std::time::Instant::now();
    while !wanted(&sums.status().state) {
        assert!(waiting.elapsed() < PATIENCE, "{:?}", sums.status());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn is_parked(state: &ProjectionState) -> bool {
    matches!(state, ProjectionState::Parked(_))
}

#[tokio::test]
async fn what_is_filtered_out_is_not_applied_and_moves_the_position() {
    let others = [
        ProjectionFilter::all().tenants(["globex"]),
        ProjectionFilter::all().aggregate_types(["account", "item"]),
        ProjectionFilter::all().event_types(["Removed"]),
        ProjectionFilter::all()
            .tenants(["acme"])
            .event_types(["Removed"]),
        ProjectionFilter::all().tenants(Vec::<&str>::new()),
    ];
    let these = [
        ProjectionFilter::all(),
        ProjectionFilter::all().tenants(["globex", "acme"]),
        ProjectionFilter::all()
            .aggregate_types(["counter"])
            .event_types(["Added"]),
    ];
    let all = others.map(|filter| (filter, 0)).into_iter();
    for (filter, expected) in all.chain(these.map(|filter| (filter, 3))) {
        let runtime = start(&Arc::new(MemoryStore::new())).await;
        let sums = Sums {
            filter: filter.clone(),
            ..Sums::default()
        };
        let applied = sums.applied.clone();
        let sums = runtime.project(sums).await.unwrap();
        for _ in 0..2 {
            add(&runtime, "1", 5).await;
        }
        let head = add(&runtime, "2", 5).await;
        sums.wait_for(head, PATIENCE).await.unwrap();
        assert_eq!(applied.load(Ordering::SeqCst), expected, "{filter}");
        runtime.shutdown(PATIENCE).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_hangs_is_seen_as_stalled_and_one_without_work_is_not() {
    let store = Arc::new(MemoryStore::new());
    let told = Arc::new(Mutex::new(Vec::new()));
    let runtime = start_with(&store, |builder| {
        let told = told.clone();
        builder.on_projection_failed(move |incident| told.lock().unwrap().push(incident.clone()))
    })
    .await;
    let hanging = Sums::default();
    let hangs = hanging.hanging.clone();
    let sums = runtime.project(hanging).await.unwrap();
    let first = add(&runtime, "1", 1).await;
    sums.wait_for(first, PATIENCE).await.unwrap();
    // Idle for longer than it may be still.
    tokio::time::sleep(Duration::from_millis(150)).await;
    let idle = sums.status();
    assert_eq!(idle.state, ProjectionState::Live);
    assert_eq!(
        (idle.lag_events, idle.lag, idle.no_progress_for),
        (0, Duration::ZERO, None)
    );

    hangs.store(true, Ordering::SeqCst);
    let last = add(&runtime, "1", 1).await;
    until_state(&sums, |state| *state == ProjectionState::Stalled).await;
    let stalled = sums.status();
    assert_eq!((stalled.position, stalled.head), (first, last));
    assert_eq!(stalled.lag_events, 1);
    assert!(stalled.lag >= Duration::from_millis(50), "{stalled:?}");
    assert!(stalled.no_progress_for.unwrap() >= Duration::from_millis(50));
    assert!(stalled.state.needs_attention());
    assert!(sums.try_read(|table| table.len()).is_none());
    // Somebody is told, once, and commands are answered all the while.
    until(|| !told.lock().unwrap().is_empty()).await;
    for _ in 0..20 {
        add(&runtime, "2", 1).await;
    }
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    assert_eq!(told.lock().unwrap().len(), 1);
    assert!(matches!(
        told.lock().unwrap()[0].what,
        IncidentKind::Stalled { .. }
    ));

    hangs.store(false, Ordering::SeqCst);
    sums.wait_for(store.head(), PATIENCE).await.unwrap();
    until_state(&sums, |state| *state == ProjectionState::Live).await;
    runtime.shutdown(PATIENCE).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_is_slow_is_not_stalled() {
    struct Slow;
    impl Projection for Slow {
        const NAME: &'static str = "slow";
        const STALLED_AFTER: Duration = Duration::from_millis(250);
        type Key = u64;
        type Row = u64;
        fn apply(&self, _: &RecordedEvent, _: &mut Table<u64, u64>) -> Result<(), ProjectionError> {
            std::thread::sleep(Duration::from_millis(15));
            Ok(())
        }
    }
    let store = Arc::new(MemoryStore::new());
    let runtime = start(&store).await;
    for _ in 0..40 {
        add(&runtime, "1", 1).await;
    }
    // All are in one page: its position does not move for longer than it may be still.
    let slow = runtime.project(Slow).await.unwrap();
    while slow.position() < store.head() {
        let status = slow.status();
        assert_ne!(status.state, ProjectionState::Stalled, "{status:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_is_resumed_and_paused_again_at_once_is_paused() {
    let store = HeldStore::new();
    let runtime = start(&store).await;
    let sums = runtime.project(Sums::default()).await.unwrap();
    sums.pause();
    until_state(&sums, |state| *state == ProjectionState::Paused).await;
    // It does not come to its turn in between.
    sums.resume();
    sums.pause();
    until_state(&sums, |state| *state == ProjectionState::Paused).await;
}

#[tokio::test(start_paused = true)]
async fn one_that_is_paused_rests_with_its_rows_and_lag_readable_until_it_is_resumed() {
    let store = HeldStore::new();
    let runtime = start(&store).await;
    let sums = runtime.project(Sums::default()).await.unwrap();
    let first = add(&runtime, "1", 1).await;
    sums.wait_for(first, PATIENCE).await.unwrap();
    sums.pause();
    until_state(&sums, |state| *state == ProjectionState::Paused).await;
    let kept = store.checkpoint("sums").await.unwrap().unwrap();
    assert_eq!(kept.position, first);
    let last = add(&runtime, "1", 2).await;
    let waited = sums.wait_for(last, Duration::from_secs(60)).await;
    assert!(matches!(waited, Err(WaitError::TimedOut { .. })));
    assert_eq!(sums.get("1"), Some(1));
    let status = sums.status();
    assert_eq!(
        (status.state, status.lag_events),
        (ProjectionState::Paused, 1)
    );
    assert!(status.lag > Duration::ZERO && status.no_progress_for.is_some());

    sums.resume();
    sums.wait_for(last, PATIENCE).await.unwrap();
    assert_eq!(sums.get("1"), Some(3));
    // A shutdown does not wait for one that is paused.
    sums.pause();
    until_state(&sums, |state| *state == ProjectionState::Paused).await;
    add(&runtime, "1", 3).await;
    let report = runtime.shutdown(PATIENCE).await.unwrap();
    assert_eq!(report.projections[0].position, last);
    assert!(report.projections[0].parked.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_reset_makes_the_rows_anew_and_frees_one_that_is_parked() {
    let store = HeldStore::new();
    let runtime = start(&store).await;
    let summing = Sums::default();
    let (extra, failing) = (summing.extra.clone(), summing.failing.clone());
    let sums = runtime.project(summing).await.unwrap();
    add(&runtime, "1", 1).await;
    let last = add(&runtime, "1", 2).await;
    sums.wait_for(last, PATIENCE).await.unwrap();
    extra.store(9, Ordering::SeqCst);
    sums.reset().await.unwrap();
    sums.wait_for(last, PATIENCE).await.unwrap();
    assert_eq!(sums.get("1"), Some(30));

    failing.lock().unwrap().insert(3);
    add(&runtime, "1", 3).await;
    until_state(&sums, is_parked).await;
    failing.lock().unwrap().clear();
    extra.store(0, Ordering::SeqCst);
    sums.reset().await.unwrap();
    sums.wait_for(store.head(), PATIENCE).await.unwrap();
    assert_eq!(sums.get("1"), Some(6));
    runtime.shutdown(PATIENCE).await.unwrap();
    let stopped = sums.reset().await;
    assert!(matches!(stopped, Err(ControlError::Stopped { .. })));
    let kept = store.checkpoint("sums").await.unwrap().unwrap();
    assert_eq!(kept.position, store.head());
}

#[tokio::test(start_paused = true)]
async fn what_is_set_aside_survives_a_restart_and_can_be_retried_or_discarded() {
    let store = HeldStore::new();
    let failing = Arc::new(Mutex::new(BTreeSet::from([2, 3, 5])));
    let summing = || Sums {
        policy: at_once(FailurePolicy::set_aside(3)),
        failing: failing.clone(),
        ..Sums::default()
    };
    let runtime = start(&store).await;
    let sums = runtime.project(summing()).await.unwrap();
    for by in [1, 10, 100, 1_000, 10_000, 100_000] {
        add(&runtime, "1", by).await;
    }
    sums.wait_for(store.head(), PATIENCE).await.unwrap();
    assert_eq!(sums.get("1"), Some(101_001));
    assert_eq!(sums.status().dead_letters, 3);
    runtime.shutdown(PATIENCE).await.unwrap();

    let runtime = start(&store).await;
    let sums = runtime.project(summing()).await.unwrap();
    let letters = sums.dead_letters();
    let positions: Vec<_> = letters.iter().map(|letter| letter.position.get()).collect();
    assert_eq!(positions, [2, 3, 5]);
    let letter = &letters[0];
    assert_eq!(letter.stream.as_str(), "acme/counter/1");
    assert_eq!((letter.version.get(), letter.attempts), (2, 1));
    assert_eq!(
        (&*letter.event_type, &*letter.reason),
        ("Added", "told to fail")
    );
    assert!(letter.set_aside_at > Timestamp::default());

    failing.lock().unwrap().remove(&3);
    let still = sums.retry_dead_letters().await.unwrap_err();
    assert!(
        matches!(&still, ControlError::StillFailing { parked, .. } if parked.position.get() == 2),
        "{still}"
    );
    assert_eq!(sums.get("1"), Some(101_101));
    assert_eq!(sums.dead_letters()[0].attempts, 2);
    sums.discard_dead_letter(Position::new(5)).await.unwrap();
    let none = sums.discard_dead_letter(Position::new(5)).await;
    assert!(matches!(none, Err(ControlError::NoDeadLetter { .. })));
    failing.lock().unwrap().clear();
    // Torn away here: what was retried and discarded is durable.
    drop(runtime);
    until_state(&sums, |state| *state == ProjectionState::Stopped).await;

    let runtime = start(&store).await;
    let sums = runtime.project(summing()).await.unwrap();
    assert_eq!(sums.get("1"), Some(101_101));
    assert_eq!(sums.status().dead_letters, 1);
    sums.retry_dead_letter(Position::new(2)).await.unwrap();
    assert_eq!(sums.get("1"), Some(101_111));
    assert!(sums.dead_letters().is_empty());
    runtime.shutdown(PATIENCE).await.unwrap();
    let rows = store.rows("sums", None, 10).await.unwrap();
    assert_eq!(rows.len(), 1, "a letter was left behind");
}

#[tokio::test(start_paused = true)]
async fn with_too_many_events_set_aside_it_parks() {
    let runtime = start(&Arc::new(MemoryStore::new())).await;
    let failing = Arc::new(Mutex::new(BTreeSet::from([1, 2, 3])));
    let sums = Sums {
        policy: at_once(FailurePolicy::set_aside(2)),
        failing: failing.clone(),
        ..Sums::default()
    };
    let sums = runtime.project(sums).await.unwrap();
    for by in [1, 10, 100, 1_000] {
        add(&runtime, "1", by).await;
    }
    until_state(&sums, is_parked).await;
    let status = sums.status();
    assert_eq!((status.position.get(), status.dead_letters), (2, 2));
    let ProjectionState::Parked(parked) = status.state else {
        unreachable!()
    };
    assert_eq!(parked.position.get(), 3);
    assert!(parked.error.contains("2 events are set aside"), "{parked}");
    // It can be freed of them while it is parked.
    assert_eq!(sums.discard_dead_letters().await.unwrap(), 2);
    sums.resume();
    sums.wait_for(Position::new(4), PATIENCE).await.unwrap();
    assert_eq!(sums.get("1"), Some(1_000));
}

#[tokio::test(start_paused = true)]
async fn each_incident_is_told_once_and_a_hook_that_panics_harms_nothing() {
    for panics in [false, true] {
        let told = Arc::new(Mutex::new(Vec::new()));
        let runtime = start_with(&Arc::new(MemoryStore::new()), |builder| {
            let told = told.clone();
            builder.on_projection_failed(move |incident| {
                told.lock().unwrap().push(incident.to_string());
                assert!(!panics, "told to panic");
            })
        })
        .await;
        let failing = Arc::new(Mutex::new(BTreeSet::from([2, 3])));
        let sums = Sums {
            policy: FailurePolicy::set_aside(1).retry_after([Duration::from_millis(1); 5]),
            failing: failing.clone(),
            ..Sums::default()
        };
        let applied = sums.applied.clone();
        let sums = runtime.project(sums).await.unwrap();
        for _ in 0..4 {
            add(&runtime, "1", 1).await;
        }
        until_state(&sums, is_parked).await;
        assert!(applied.load(Ordering::SeqCst) >= 12, "it was not retried");
        until(|| told.lock().unwrap().len() == 2).await;
        // Parked once more, by the same event: somebody thought that it was mended.
        sums.resume();
        until_state(&sums, |state| !is_parked(state)).await;
        until_state(&sums, is_parked).await;
        until(|| told.lock().unwrap().len() == 3).await;
        failing.lock().unwrap().clear();
        sums.resume();
        sums.wait_for(Position::new(4), PATIENCE).await.unwrap();
        runtime.shutdown(PATIENCE).await.unwrap();
        let told = told.lock().unwrap();
        assert!(told[0].contains("event 2") && told[0].contains("set aside after 6"));
        assert!(told[1].contains("sums is parked: event 3"), "{}", told[1]);
        assert_eq!((&told[1], told.len()), (&told[2], 3));
    }
}

#[tokio::test(start_paused = true)]
async fn while_it_tries_again_its_status_says_so() {
    let runtime = start(&Arc::new(MemoryStore::new())).await;
    let failing = Arc::new(Mutex::new(BTreeSet::from([1])));
    let sums = Sums {
        policy: FailurePolicy::park().retry_after([Duration::from_secs(3_600)]),
        failing: failing.clone(),
        ..Sums::default()
    };
    let sums = runtime.project(sums).await.unwrap();
    let head = add(&runtime, "1", 1).await;
    until_state(&sums, |state| {
        matches!(state, ProjectionState::Retrying { attempts: 1, failed } if failed.position.get() == 1)
    })
    .await;
    failing.lock().unwrap().clear();
    sums.wait_for(head, Duration::from_secs(7_200))
        .await
        .unwrap();
}
