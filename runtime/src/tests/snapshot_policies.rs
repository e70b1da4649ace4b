//! When snapshots are taken, which of them stay, and what users see of them.

use std::sync::atomic::{AtomicI64, Ordering};

use super::counter::*;
use super::*;
use crate::*;
use foldhouse_store::{Payload, SnapshotStore};

/// A clock that stands until it is moved.
#[derive(Clone, Debug)]
struct StoppedClock(Arc<AtomicI64>);

impl StoppedClock {
    fn new() -> Self {
        Self(Arc::new(AtomicI64::new(1_000_000_000_000)))
    }

    fn pass(&self, time: Duration) {
        let micros = i64::try_from(time.as_micros()).unwrap();
        self.0.fetch_add(micros, Ordering::SeqCst);
    }
}

impl Clock for StoppedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_micros(self.0.load(Ordering::SeqCst))
    }

    fn new_id(&self) -> uuid::Uuid {
        SystemClock.new_id()
    }
}

async fn start_policy(store: &Arc<MemoryStore>, policy: SnapshotPolicy) -> Runtime {
    start_with(store, |builder| builder.snapshots(policy)).await
}

async fn versions(counter: &AggregateRef<Counter>) -> Vec<u64> {
    let kept = counter.snapshots().await.unwrap();
    kept.iter().map(|kept| kept.version.get()).collect()
}

/// Sends commands one by one, each followed by time for what is done beside.
async fn add(counter: &AggregateRef<Counter>, times: usize) {
    for _ in 0..times {
        counter.send(Add(1)).await.unwrap();
        settle().await;
    }
}

#[tokio::test]
async fn a_snapshot_is_taken_after_so_many_bytes_of_events_counted_over_restarts() {
    let store = Arc::new(MemoryStore::new());
    // {"by": 1} takes five bytes.
    let policy = || SnapshotPolicy::never().every_bytes(20).keep_newest(10);
    let runtime = start_policy(&store, policy()).await;
    let of_first = counter(&runtime);
    add(&of_first, 3).await;
    assert_eq!(versions(&of_first).await, [0; 0]);
    add(&of_first, 3).await;
    assert_eq!(versions(&of_first).await, [4]);
    runtime.shutdown(PATIENCE).await.unwrap();
    // Two events behind the snapshot, and two more.
    let runtime = start_policy(&store, policy()).await;
    let of_second = counter(&runtime);
    add(&of_second, 1).await;
    assert_eq!(versions(&of_second).await, [4]);
    add(&of_second, 1).await;
    assert_eq!(versions(&of_second).await, [8, 4]);
    // As one command, whose last event is what it is taken of.
    of_second.send(AddOneByOne(9)).await.unwrap();
    settle().await;
    assert_eq!(versions(&of_second).await, [17, 8, 4]);
}

#[tokio::test]
async fn a_snapshot_is_taken_with_the_first_event_so_long_after_the_last() {
    let clock = StoppedClock::new();
    let store = Arc::new(MemoryStore::with_clock(Arc::new(clock.clone())));
    let hour = Duration::from_secs(3_600);
    let start = || {
        let clock = clock.clone();
        let policy = SnapshotPolicy::never().every(hour).keep_newest(10);
        start_with(&store, move |builder| {
            builder.snapshots(policy).clock(clock)
        })
    };
    let runtime = start().await;
    let of_first = counter(&runtime);
    add(&of_first, 2).await;
    clock.pass(hour - Duration::from_micros(1));
    add(&of_first, 1).await;
    assert_eq!(versions(&of_first).await, [0; 0]);
    clock.pass(Duration::from_micros(1));
    add(&of_first, 2).await;
    assert_eq!(versions(&of_first).await, [4]);
    runtime.shutdown(PATIENCE).await.unwrap();
    // The time goes on over a restart.
    clock.pass(hour / 2);
    let runtime = start().await;
    let of_second = counter(&runtime);
    add(&of_second, 1).await;
    assert_eq!(versions(&of_second).await, [4]);
    clock.pass(hour / 2);
    add(&of_second, 1).await;
    assert_eq!(versions(&of_second).await, [7, 4]);
    // A clock that goes back takes nothing and breaks nothing.
    clock.0.fetch_sub(9_000_000_000_000, Ordering::SeqCst);
    add(&of_second, 1).await;
    assert_eq!(versions(&of_second).await, [7, 4]);
}

#[tokio::test]
async fn an_aggregate_type_has_a_policy_of_its_own() {
    let store = Arc::new(MemoryStore::new());
    let runtime = start_with(&store, |builder| {
        builder
            .snapshots(SnapshotPolicy::new().every_events(2))
            .snapshots_of::<Counter>(SnapshotPolicy::new().every_events(3))
            // Changes that of all the others.
            .snapshot_every_events(1)
    })
    .await;
    let counter = counter(&runtime);
    add(&counter, 2).await;
    assert_eq!(versions(&counter).await, [0; 0]);
    add(&counter, 1).await;
    assert_eq!(versions(&counter).await, [3]);
}

#[tokio::test]
async fn a_policy_that_says_nothing_is_refused_with_the_option() {
    for (policy, option) in [
        (
            SnapshotPolicy::new().every_events(0),
            "snapshot_every_events",
        ),
        (SnapshotPolicy::new().every_bytes(0), "every_bytes"),
        (SnapshotPolicy::new().every(Duration::ZERO), "every (us)"),
        (
            SnapshotPolicy::new().on_passivation_after_events(0),
            "snapshot_on_passivation_after_events",
        ),
        (SnapshotPolicy::new().keep_newest(0), "keep_newest"),
        (
            SnapshotPolicy::new().keep_one_per(Duration::ZERO, 1),
            "period (us)",
        ),
        (
            SnapshotPolicy::new().keep_one_per(Duration::MAX, 0),
            "periods",
        ),
    ] {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let started = Runtime::builder(store)
            .snapshots_of::<Counter>(policy)
            .start();
        let error = started.await.unwrap_err().to_string();
        assert!(error.contains(option), "{error}");
    }
}

#[tokio::test]
async fn the_newest_are_kept_and_the_nearest_below_a_version_can_be_found() {
    let store = Arc::new(MemoryStore::new());
    let policy = SnapshotPolicy::new().every_events(2).keep_newest(3);
    let runtime = start_policy(&store, policy).await;
    let counter = counter(&runtime);
    add(&counter, 11).await;
    assert_eq!(versions(&counter).await, [10, 8, 6]);
    let nearest = store.load_snapshot(counter.stream(), SnapshotCriteria::up_to(Version::new(9)));
    assert_eq!(nearest.await.unwrap().unwrap().version, Version::new(8));
}

#[tokio::test]
async fn one_of_each_day_is_kept_behind_the_newest() {
    let clock = StoppedClock::new();
    let store = Arc::new(MemoryStore::with_clock(Arc::new(clock.clone())));
    let day = Duration::from_secs(86_400);
    let policy = SnapshotPolicy::new()
        .every_events(1)
        .keep_newest(2)
        .keep_one_per(day, 3);
    let of_clock = clock.clone();
    let runtime = start_with(&store, |builder| builder.snapshots(policy).clock(of_clock)).await;
    let counter = counter(&runtime);
    for _ in 0..6 {
        add(&counter, 3).await;
        clock.pass(day);
    }
    assert_eq!(versions(&counter).await, [18, 17, 15, 12]);
}

#[tokio::test]
async fn a_snapshot_is_taken_when_it_is_asked_for_listed_with_its_size_and_deleted() {
    let store = Arc::new(MemoryStore::new());
    let runtime = start_policy(&store, SnapshotPolicy::never().keep_newest(2)).await;
    let counter = counter(&runtime);
    assert_eq!(counter.take_snapshot().await.unwrap(), None);
    add(&counter, 5).await;
    let taken = counter.take_snapshot().await.unwrap().unwrap();
    assert_eq!((taken.version, taken.is_usable), (Version::new(5), true));
    assert_eq!(counter.snapshots().await.unwrap(), [taken]);
    // Again at the same version: in place of it.
    let again = counter.take_snapshot().await.unwrap().unwrap();
    assert_eq!(counter.snapshots().await.unwrap(), [again]);
    add(&counter, 1).await;
    let other = runtime.aggregate::<Counter>("acme", "2").unwrap();
    add(&other, 1).await;
    counter.take_snapshot().await.unwrap();
    other.take_snapshot().await.unwrap();
    runtime
        .aggregate::<Counter>("acme", "3")
        .unwrap()
        .send(Add(1))
        .await
        .unwrap();
    let space = runtime.snapshot_space::<Counter>("acme").await.unwrap();
    // {"count": 5} takes eight bytes.
    let expected = SnapshotSpace {
        aggregates: 2,
        snapshots: 3,
        bytes: 24,
    };
    assert_eq!(space, expected);
    let none = runtime.snapshot_space::<Counter>("other").await.unwrap();
    assert_eq!(none, SnapshotSpace::default());

    counter
        .delete_snapshots(SnapshotCriteria::of(Version::new(6)))
        .await
        .unwrap();
    assert_eq!(versions(&counter).await, [5]);
    counter
        .delete_snapshots(SnapshotCriteria::ALL)
        .await
        .unwrap();
    assert_eq!(versions(&counter).await, [0; 0]);
    assert_eq!(counter.send(Add(1)).await.unwrap(), 7);
}

#[tokio::test]
async fn a_snapshot_that_cannot_be_used_gives_way_to_the_one_before_it() {
    let store = Arc::new(MemoryStore::new());
    let policy = SnapshotPolicy::new().every_events(2).keep_newest(10);
    let runtime = start_policy(&store, policy).await;
    add(&counter(&runtime), 12).await;
    runtime.shutdown(PATIENCE).await.unwrap();
    let stream = counter(&runtime).stream().clone();
    let change = async |version, change: &dyn Fn(&mut foldhouse_store::Snapshot)| {
        let criteria = SnapshotCriteria::of(Version::new(version));
        let mut snapshot = store
            .load_snapshot(&stream, criteria)
            .await
            .unwrap()
            .unwrap();
        change(&mut snapshot);
        let keep = std::num::NonZeroU16::MAX;
        store.save_snapshot(snapshot, keep).await.unwrap();
    };
    change(12, &|snapshot| snapshot.state_schema = 2).await;
    change(10, &|snapshot| snapshot.state_schema = 3).await;
    change(8, &|snapshot| {
        snapshot.payload = Payload::message_pack(vec![0xc1])
    })
    .await;
    // A state that the events do not lead to shows that it was used.
    change(6, &|snapshot| {
        snapshot.payload = Payload::message_pack(b"\x91\xcd\x03\xe8".to_vec())
    })
    .await;
    let runtime = start(&store).await;
    assert_eq!(
        counter(&runtime)
            .query(|counter| counter.count)
            .await
            .unwrap(),
        1_006
    );
    let usable: Vec<_> = counter(&runtime).snapshots().await.unwrap();
    let usable = usable
        .iter()
        .filter(|kept| !kept.is_usable)
        .map(|kept| kept.version.get());
    assert_eq!(usable.collect::<Vec<_>>(), [12, 10]);
}

#[tokio::test]
async fn a_snapshot_ahead_of_its_stream_is_not_in_the_way_of_others() {
    let store = Arc::new(MemoryStore::new());
    let runtime = start_policy(&store, SnapshotPolicy::new().every_events(2)).await;
    add(&counter(&runtime), 2).await;
    runtime.shutdown(PATIENCE).await.unwrap();
    let stream = counter(&runtime).stream().clone();
    let snapshot = store.load_snapshot(&stream, SnapshotCriteria::ALL).await;
    let mut ahead = snapshot.unwrap().unwrap();
    ahead.version = Version::new(1_000);
    store
        .save_snapshot(ahead, std::num::NonZeroU16::MIN)
        .await
        .unwrap();
    let runtime = start_policy(&store, SnapshotPolicy::new().every_events(2)).await;
    add(&counter(&runtime), 1).await;
    assert_eq!(versions(&counter(&runtime)).await, [3]);
}

#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
enum Counted {
    One,
}

/// One build of an aggregate; its next one makes something else of the same events.
macro_rules! build {
    ($name:ident, $add:ident, $factor:literal) => {
        #[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
        struct $name {
            count: u64,
        }

        impl Aggregate for $name {
            const TYPE: &'static str = "tally";
            type Event = Counted;

            fn apply(&mut self, _: &Counted) {
                self.count += $factor;
            }

            fn samples() -> Vec<Counted> {
                vec![Counted::One]
            }
        }

        struct $add;

        impl Command for $add {
            type Aggregate = $name;
            type Reply = u64;
            type Rejection = Never;

            fn decide(&self, tally: &$name, _: &CommandContext) -> Decided<Self> {
                Ok(Decision::event(Counted::One, tally.count))
            }
        }
    };
}

build!(FirstBuild, CountInFirst, 1);
build!(NextBuild, CountInNext, 2);

#[tokio::test]
async fn snapshots_of_a_build_whose_apply_was_another_are_not_used_though_nobody_raised_a_number() {
    let store = Arc::new(MemoryStore::new());
    let runtime = start_policy(&store, SnapshotPolicy::new().every_events(3)).await;
    let tally = runtime.aggregate::<FirstBuild>("acme", "1").unwrap();
    for _ in 0..4 {
        tally.send(CountInFirst).await.unwrap();
        settle().await;
    }
    assert!(tally.snapshots().await.unwrap()[0].is_usable);
    runtime.shutdown(PATIENCE).await.unwrap();

    let runtime = start_policy(&store, SnapshotPolicy::new().every_events(3)).await;
    let tally = runtime.aggregate::<NextBuild>("acme", "1").unwrap();
    assert!(!tally.snapshots().await.unwrap()[0].is_usable);
    // From the first event, and not three of the old meaning and one of the new.
    assert_eq!(tally.send(CountInNext).await.unwrap(), 8);
    settle().await;
    assert_eq!(tally.snapshots().await.unwrap()[0].version, Version::new(5));
    assert!(tally.snapshots().await.unwrap()[0].is_usable);
}
