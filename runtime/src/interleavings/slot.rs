use std::sync::{Arc, LazyLock};
use std::time::Duration;

use foldhouse_store::{EventStore, MemoryStore};
use serde::{Deserialize, Serialize};
use shuttle::future::block_on;
use shuttle::thread;

use crate::{Aggregate, AggregateRef, Command, CommandContext, Decided, Decision, Never, Runtime};

/// For what is not ordered here: the supervisors, and timers that nobody waits for.
static TOKIO: LazyLock<tokio::runtime::Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
});

fn check(test: fn()) {
    shuttle::check_random(test, 1_500);
    shuttle::check_pct(test, 1_500, 3);
}

#[derive(Clone, Default, Serialize, Deserialize)]
struct Counter(u64);

#[derive(Clone, Debug, Serialize, Deserialize)]
enum CounterEvent {
    Added,
    Broken,
}

impl Aggregate for Counter {
    const TYPE: &'static str = "counter";
    type Event = CounterEvent;

    fn apply(&mut self, event: &CounterEvent) {
        match event {
            CounterEvent::Added => self.0 += 1,
            CounterEvent::Broken => std::panic::resume_unwind(Box::new("told to panic")),
        }
    }
}

struct AddOne;

impl Command for AddOne {
    type Aggregate = Counter;
    type Reply = u64;
    type Rejection = Never;

    fn decide(&self, counter: &Counter, _: &CommandContext) -> Decided<Self> {
        Ok(Decision::event(CounterEvent::Added, counter.0 + 1))
    }
}

struct Break;

impl Command for Break {
    type Aggregate = Counter;
    type Reply = ();
    type Rejection = Never;

    fn decide(&self, _: &Counter, _: &CommandContext) -> Decided<Self> {
        Ok(Decision::event(CounterEvent::Broken, ()))
    }
}

struct Stage {
    store: Arc<MemoryStore>,
    runtime: Runtime,
    _timers: tokio::runtime::EnterGuard<'static>,
}

impl Stage {
    fn set(live_max: usize) -> Self {
        Self::set_with(live_max, 1)
    }

    fn set_with(live_max: usize, idle_actors_max: usize) -> Self {
        let store = Arc::new(MemoryStore::new());
        let builder = Runtime::builder(store.clone())
            .snapshot_every_events(u64::MAX)
            .snapshot_on_passivation_after_events(u64::MAX)
            .live_aggregates_max(live_max)
            .idle_actors_max(idle_actors_max)
            .restart_backoff_max(Duration::ZERO)
            .without_watchdog();
        Self {
            runtime: TOKIO.block_on(builder.start()).unwrap(),
            store,
            _timers: TOKIO.enter(),
        }
    }

    fn sends(&self, id: &'static str, commands: usize) -> thread::JoinHandle<Vec<u64>> {
        let runtime = self.runtime.clone();
        thread::spawn(move || {
            let send = || block_on(at(&runtime, id).send(AddOne)).unwrap();
            (0..commands).map(|_| send()).collect()
        })
    }

    /// Everyone is answered, all actors end, and nothing is left.
    fn clear(self) {
        block_on(self.runtime.shutdown(Duration::from_secs(3_600))).unwrap();
        assert_eq!(self.runtime.live_aggregates(), 0);
    }
}

fn at(runtime: &Runtime, id: &str) -> AggregateRef<Counter> {
    runtime.aggregate("acme", id).unwrap()
}

/// Each command saw the one before it, whichever actor decided it, and whoever's thread it was on.
fn in_order(replies: Vec<thread::JoinHandle<Vec<u64>>>) -> u64 {
    let mut replies: Vec<u64> = replies
        .into_iter()
        .flat_map(|sender| sender.join().unwrap())
        .collect();
    replies.sort_unstable();
    let expected: Vec<u64> = (1..=replies.len() as u64).collect();
    assert_eq!(replies, expected);
    replies.len() as u64
}

#[test]
fn commands_to_one_that_is_passivated_at_any_moment_take_effect_once() {
    check(|| {
        // Room for one: each of the two drives the other one out.
        let stage = Stage::set(1);
        let one = vec![stage.sends("one", 2), stage.sends("one", 1)];
        let other = vec![stage.sends("other", 2)];
        let recorded = in_order(one) + in_order(other);
        assert_eq!(stage.store.head().get(), recorded);
        stage.clear();
    });
}

#[test]
fn commands_to_one_whose_actor_leaves_at_any_moment_take_effect_once() {
    for idle_actors_max in [0, 1] {
        shuttle::check_random(move || come_and_go(idle_actors_max), 1_500);
        shuttle::check_pct(move || come_and_go(idle_actors_max), 1_500, 3);
    }
}

/// Contended aggregates, of whose actors one may stay at most.
fn come_and_go(idle_actors_max: usize) {
    let stage = Stage::set_with(10, idle_actors_max);
    let one = vec![stage.sends("one", 2), stage.sends("one", 2)];
    let other = vec![stage.sends("other", 1), stage.sends("other", 2)];
    let recorded = in_order(one) + in_order(other);
    assert_eq!(stage.store.head().get(), recorded);
    stage.clear();
}

#[test]
fn commands_around_one_that_panics_are_answered_by_this_actor_or_the_next() {
    check(|| {
        let stage = Stage::set(10);
        let breaks = {
            let runtime = stage.runtime.clone();
            thread::spawn(move || block_on(at(&runtime, "one").send(Break)).unwrap_err())
        };
        let recorded = in_order(vec![stage.sends("one", 2), stage.sends("one", 1)]);
        let error = breaks.join().unwrap();
        assert!(
            matches!(error, crate::CommandError::Panicked { .. }),
            "{error}"
        );
        assert_eq!(stage.store.head().get(), recorded);
        stage.clear();
    });
}

#[test]
fn a_shutdown_at_any_moment_answers_everyone_with_the_truth() {
    check(|| {
        let stage = Stage::set(1);
        let sends: Vec<_> = ["one", "other"]
            .into_iter()
            .map(|id| {
                let runtime = stage.runtime.clone();
                thread::spawn(move || {
                    let sent = (0..2).map(|_| block_on(at(&runtime, id).send(AddOne)));
                    sent.filter(Result::is_ok).count() as u64
                })
            })
            .collect();
        block_on(stage.runtime.shutdown(Duration::from_secs(3_600))).unwrap();
        let answered: u64 = sends.into_iter().map(|sender| sender.join().unwrap()).sum();
        assert_eq!(stage.store.head().get(), answered);
        stage.clear();
    });
}

#[test]
fn handles_of_one_stream_that_live_at_once_lead_to_one_slot() {
    check(|| {
        let stage = Stage::set(10);
        let takers: Vec<_> = (0..3)
            .map(|_| {
                let runtime = stage.runtime.clone();
                thread::spawn(move || {
                    drop(at(&runtime, "one"));
                    at(&runtime, "one")
                })
            })
            .collect();
        let handles: Vec<_> = takers
            .into_iter()
            .map(|taker| taker.join().unwrap())
            .collect();
        for handle in &handles {
            assert!(Arc::ptr_eq(handle.slot(), handles[0].slot()));
        }
        assert_eq!(stage.runtime.slot_count(), 1);
        drop(handles);
        assert_eq!(stage.runtime.slot_count(), 0);
        stage.clear();
    });
}
