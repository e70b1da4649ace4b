//! Aggregates leave memory and come back, and nobody can tell from the answers.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use foldhouse_store::{SnapshotCriteria, SnapshotStore};
use serde::{Deserialize, Serialize};

use super::counter::*;
use super::held_store::HeldStore;
use super::*;
use crate::*;

fn at(runtime: &Runtime, id: usize) -> AggregateRef<Counter> {
    runtime.aggregate("acme", &id.to_string()).unwrap()
}

async fn until_live(runtime: &Runtime, live: impl Fn(usize) -> bool) {
    until(|| live(runtime.live_aggregates())).await;
}

/// Which of these have to be hydrated for a query.
async fn away(store: &HeldStore, runtime: &Runtime, ids: &[usize]) -> Vec<usize> {
    let mut away = Vec::new();
    for id in ids {
        let loaded = store.snapshots_loaded.load(Ordering::SeqCst);
        at(runtime, *id).version().await.unwrap();
        if store.snapshots_loaded.load(Ordering::SeqCst) > loaded {
            away.push(*id);
        }
    }
    away
}

#[tokio::test(start_paused = true)]
async fn an_aggregate_that_is_left_alone_leaves_memory_and_the_next_command_brings_it_back() {
    let store = HeldStore::new();
    let idle = Duration::from_secs(60);
    let runtime = start_with(&store, |builder| builder.passivate_after(idle)).await;
    let handle = counter(&runtime);
    let other = at(&runtime, 2);
    handle.send(Add(1)).await.unwrap();
    for _ in 0..20 {
        other.send(Add(1)).await.unwrap();
        tokio::time::sleep(idle / 10).await;
    }
    until_live(&runtime, |live| live == 1).await;
    // The one that was used now and then is still the same actor, and the other one comes back as it was.
    assert_eq!(store.snapshots_loaded.load(Ordering::SeqCst), 2);
    assert_eq!(handle.send(Add(1)).await.unwrap(), 2);
    assert_eq!(other.send(Add(1)).await.unwrap(), 21);
    assert_eq!(store.snapshots_loaded.load(Ordering::SeqCst), 3);
    tokio::time::sleep(idle * 2).await;
    until_live(&runtime, |live| live == 0).await;
    // What nobody has a handle on leaves the directory, too.
    drop((handle, other));
    settle().await;
    assert_eq!(runtime.slot_count(), 0);
    runtime.shutdown(PATIENCE).await.unwrap();
}

#[tokio::test]
async fn over_the_cap_the_one_used_longest_ago_goes_first() {
    let store = HeldStore::new();
    let runtime = start_with(&store, |builder| builder.live_aggregates_max(3)).await;
    for id in [1, 2, 3] {
        at(&runtime, id).send(Add(1)).await.unwrap();
    }
    // The arrival of another one is what moves the time by which this is told.
    at(&runtime, 4).send(Add(1)).await.unwrap();
    at(&runtime, 2).send(Add(1)).await.unwrap();
    at(&runtime, 5).send(Add(1)).await.unwrap();
    settle().await;
    assert_eq!(runtime.live_aggregates(), 3);
    assert_eq!(away(&store, &runtime, &[2, 4, 5]).await, [] as [usize; 0]);
    assert_eq!(away(&store, &runtime, &[1]).await, [1]);
}

#[tokio::test]
async fn what_is_asked_for_often_stays_while_a_scan_goes_by() {
    let store = HeldStore::new();
    let runtime = start_with(&store, |builder| builder.live_aggregates_max(50)).await;
    let hot: Vec<usize> = (0..20).collect();
    for id in 0..20 {
        at(&runtime, id).send(Add(1)).await.unwrap();
    }
    for id in 1_000..2_000 {
        at(&runtime, id % 20).send(Add(1)).await.unwrap();
        at(&runtime, id).send(Add(1)).await.unwrap();
    }
    assert_eq!(away(&store, &runtime, &hot).await, [] as [usize; 0]);
    settle().await;
    assert!(runtime.live_aggregates() <= 50);
}

#[tokio::test]
async fn who_has_work_waiting_is_not_evicted_and_the_cap_is_kept_again_afterwards() {
    let store = HeldStore::new();
    let runtime = start_with(&store, |builder| builder.live_aggregates_max(2)).await;
    for id in 0..10 {
        at(&runtime, id).send(Add(1)).await.unwrap();
    }
    store.set_ready(false);
    let commands: Vec<_> = (0..10)
        .map(|id| {
            let counter = at(&runtime, id);
            tokio::spawn(async move { counter.send(Add(1)).await })
        })
        .collect();
    settle().await;
    assert_eq!(runtime.live_aggregates(), 10);
    store.set_ready(true);
    for command in commands {
        assert_eq!(command.await.unwrap().unwrap(), 2);
    }
    until_live(&runtime, |live| live <= 2).await;
    assert_eq!(runtime.slot_count(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_storm_of_commands_to_passivating_aggregates_takes_effect_exactly_once() {
    const TASKS: usize = 32;
    const COMMANDS: usize = 150;
    const COUNTERS: usize = 8;
    let store = Arc::new(MemoryStore::new());
    let runtime = start_with(&store, |builder| {
        builder
            .live_aggregates_max(3)
            .passivate_after(Duration::from_millis(1))
            .snapshot_on_passivation_after_events(1)
    })
    .await;
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let runtime = runtime.clone();
            tokio::spawn(async move {
                let mut replies = Vec::new();
                for command in 0..COMMANDS {
                    let id = (task * 31 + command * 17) % COUNTERS;
                    let counter = at(&runtime, id);
                    match command % 10 {
                        // A query and a transaction come in the same way.
                        0 => drop(counter.version().await.unwrap()),
                        1 => {
                            let next = (id + 1) % COUNTERS;
                            let steps = (counter.step(Add(1)), at(&runtime, next).step(Add(1)));
                            let (one, other) = runtime.transact(steps).await.unwrap();
                            replies.extend([(id, one), (next, other)]);
                        }
                        _ => replies.push((id, counter.send(Add(1)).await.unwrap())),
                    }
                    if command % 25 == 0 {
                        tokio::time::sleep(Duration::from_millis(2)).await;
                    }
                }
                replies
            })
        })
        .collect();
    let mut replies: BTreeMap<usize, Vec<u64>> = BTreeMap::new();
    for task in tasks {
        for (id, reply) in task.await.unwrap() {
            replies.entry(id).or_default().push(reply);
        }
    }
    for (id, mut counts) in replies {
        counts.sort_unstable();
        let expected: Vec<u64> = (1..=counts.len() as u64).collect();
        assert_eq!(counts, expected, "counter {id}");
        let version = at(&runtime, id).version().await.unwrap();
        assert_eq!(version.get(), counts.len() as u64);
    }
    until_live(&runtime, |live| live == 0).await;
    runtime.shutdown(PATIENCE).await.unwrap();
}

/// So many streams, each with two commands far apart, by several callers, through so many live actors. Gives the most
/// that were live, and the most slots, at any time that was looked.
async fn many_streams(streams: usize, live_max: usize) -> (usize, usize) {
    const CALLERS: usize = 64;
    let store = Arc::new(MemoryStore::new());
    let runtime = start_with(&store, |builder| builder.live_aggregates_max(live_max)).await;
    let mut most = (0, 0);
    for round in 1..=2 {
        let callers: Vec<_> = (0..CALLERS)
            .map(|caller| {
                let runtime = runtime.clone();
                tokio::spawn(async move {
                    let mut most = (0, 0);
                    for id in (caller..streams).step_by(CALLERS) {
                        assert_eq!(at(&runtime, id).send(Add(1)).await.unwrap(), round);
                        most.0 = most.0.max(runtime.live_aggregates());
                        if id % 100 == 0 {
                            most.1 = most.1.max(runtime.slot_count());
                        }
                    }
                    most
                })
            })
            .collect();
        for caller in callers {
            let (live, slots) = caller.await.unwrap();
            most = (most.0.max(live), most.1.max(slots));
        }
    }
    assert_eq!(store.head().get(), 2 * streams as u64);
    until_live(&runtime, |live| live <= live_max).await;
    runtime.shutdown(PATIENCE).await.unwrap();
    most
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_thousand_streams_go_through_two_hundred_live_actors() {
    let (live, slots) = many_streams(20_000, 200).await;
    // A caller has one aggregate at work at a time.
    assert!(live <= 200 + 64, "{live} were live");
    assert!(slots <= 200 + 64 + 200, "{slots} slots");
}

/// `cargo test --release -p foldhouse --lib -- --ignored --nocapture a_million_streams`
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a campaign: minutes in a debug build, and a gibibyte for the store in memory"]
async fn a_million_streams_go_through_ten_thousand_live_actors() {
    let began = std::time::Instant::now();
    let (live, slots) = many_streams(1_000_000, 10_000).await;
    println!(
        "2,000,000 commands in {:?}; at most {live} live, {slots} slots",
        began.elapsed()
    );
    assert!(live <= 10_000 + 64, "{live} were live");
    assert!(slots <= 10_000 + 1_000, "{slots} slots");
}

/// A store with five events of one counter, which is passivated then.
async fn passivated_after_five(after_events: u64) -> (Arc<HeldStore>, Runtime) {
    let store = HeldStore::new();
    let runtime = start_with(&store, |builder| {
        builder
            .live_aggregates_max(1)
            .snapshot_on_passivation_after_events(after_events)
    })
    .await;
    for _ in 0..5 {
        at(&runtime, 1).send(Add(1)).await.unwrap();
    }
    at(&runtime, 2).send(Add(1)).await.unwrap();
    until_live(&runtime, |live| live == 1).await;
    (store, runtime)
}

#[tokio::test]
async fn who_is_passivated_far_behind_its_snapshot_leaves_a_new_one() {
    let (store, runtime) = passivated_after_five(5).await;
    let stream = at(&runtime, 1).stream().clone();
    let snapshot = loop {
        let loading = store.inner.load_snapshot(&stream, SnapshotCriteria::ALL);
        match loading.await.unwrap() {
            Some(snapshot) => break snapshot,
            None => tokio::task::yield_now().await,
        }
    };
    assert_eq!(snapshot.version, Version::new(5));
    let query = StreamQuery::since(stream, Version::new(5), 1);
    let last = foldhouse_store::EventStore::read_stream(&*store, query).await;
    assert_eq!(snapshot.event_id, last.unwrap().events[0].id);
    assert_eq!(at(&runtime, 1).send(Add(1)).await.unwrap(), 6);
}

#[tokio::test]
async fn who_is_passivated_near_its_snapshot_leaves_none() {
    let (store, runtime) = passivated_after_five(6).await;
    settle().await;
    let stream = at(&runtime, 1).stream().clone();
    let loading = store.inner.load_snapshot(&stream, SnapshotCriteria::ALL);
    assert!(loading.await.unwrap().is_none());
    assert_eq!(at(&runtime, 1).send(Add(1)).await.unwrap(), 6);
}

/// A state that says how large it is, and how many of its kind there are.
#[derive(Debug, Serialize, Deserialize)]
struct Heavy {
    bytes: usize,
}

static HEAVY: AtomicUsize = AtomicUsize::new(0);

impl Default for Heavy {
    fn default() -> Self {
        HEAVY.fetch_add(1, Ordering::SeqCst);
        Self { bytes: 0 }
    }
}

impl Clone for Heavy {
    fn clone(&self) -> Self {
        HEAVY.fetch_add(1, Ordering::SeqCst);
        Self { bytes: self.bytes }
    }
}

impl Drop for Heavy {
    fn drop(&mut self) {
        HEAVY.fetch_sub(1, Ordering::SeqCst);
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
enum HeavyEvent {
    Grown { bytes: usize },
}

impl Aggregate for Heavy {
    const TYPE: &'static str = "heavy";
    type Event = HeavyEvent;

    fn apply(&mut self, HeavyEvent::Grown { bytes }: &HeavyEvent) {
        self.bytes = *bytes;
    }

    fn resident_bytes(&self) -> usize {
        self.bytes
    }
}

struct Grow(usize);

impl Command for Grow {
    type Aggregate = Heavy;
    type Reply = ();
    type Rejection = Never;

    fn decide(&self, _: &Heavy, _: &CommandContext) -> Decided<Self> {
        Ok(Decision::event(HeavyEvent::Grown { bytes: self.0 }, ()))
    }
}

#[tokio::test]
async fn states_are_bounded_in_bytes_and_a_handle_keeps_none_in_memory() {
    let mib = 1024 * 1024;
    let store = Arc::new(MemoryStore::new());
    let runtime = start_with(&store, |builder| builder.resident_bytes_max(10 * mib)).await;
    let handles: Vec<AggregateRef<Heavy>> = (0..100)
        .map(|id| runtime.aggregate("acme", &id.to_string()).unwrap())
        .collect();
    for heavy in &handles {
        heavy.send(Grow(mib)).await.unwrap();
    }
    assert!(runtime.live_aggregates() <= 10);
    // What comes back is measured, too.
    for heavy in &handles {
        assert_eq!(heavy.query(|heavy| heavy.bytes).await.unwrap(), mib);
    }
    until_live(&runtime, |live| live <= 10).await;
    settle().await;
    until(|| HEAVY.load(Ordering::SeqCst) <= 10).await;
    assert_eq!(handles.len(), 100);
    runtime.shutdown(PATIENCE).await.unwrap();
    assert_eq!(HEAVY.load(Ordering::SeqCst), 0);
}

#[test]
fn a_handle_on_what_is_not_in_memory_takes_less_than_half_a_kibibyte() {
    let slot = size_of::<crate::slot::Slot<Counter>>();
    assert!(slot <= 400, "{slot} bytes");
}

/// `cargo test --release -p foldhouse --lib -- --ignored --nocapture showing_what_is_decided`
#[test]
#[ignore = "a figure, and only in a release build"]
fn showing_what_is_decided_costs_nanoseconds() {
    const TIMES: u32 = 50_000_000;
    let began = std::time::Instant::now();
    for turn in 0..TIMES {
        let deciding = crate::watchdog::deciding(turn as usize | 1, "a command");
        std::hint::black_box(&deciding);
    }
    let each = began.elapsed() / TIMES;
    println!("{each:?} to show and to clear what is decided");
    assert!(each < Duration::from_nanos(20), "{each:?}");
}

#[tokio::test]
async fn a_shutdown_comes_to_its_end_while_aggregates_are_passivated() {
    for turns in 0..60 {
        let store = Arc::new(MemoryStore::new());
        let runtime = start_with(&store, |builder| builder.live_aggregates_max(2)).await;
        let commands: Vec<_> = (0..20)
            .map(|id| {
                let counter = at(&runtime, id % 7);
                tokio::spawn(async move { counter.send(Add(1)).await })
            })
            .collect();
        for _ in 0..turns {
            tokio::task::yield_now().await;
        }
        let report = runtime.shutdown(PATIENCE).await.unwrap();
        assert_eq!(report, ShutdownReport::default());
        assert_eq!(runtime.live_aggregates(), 0);
        let mut recorded = 0;
        for command in commands {
            match command.await.unwrap() {
                Ok(_) => recorded += 1,
                Err(error) => assert!(error.is_retry_safe(), "{error}"),
            }
        }
        assert_eq!(store.head().get(), recorded);
    }
}
