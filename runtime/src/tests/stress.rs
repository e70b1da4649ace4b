//! Whatever happens in whatever order: what was said to be recorded is, once; what was said not to be is not; everyone
//! is answered, and nobody has seen a state that never was.

use std::collections::{HashMap, HashSet};

use super::counter::*;
use super::held_store::{HeldStore, not_recorded};
use super::*;
use crate::*;
use foldhouse_store::EventStore;
use tokio::task::JoinHandle;
use uuid::Uuid;

/// Xorshift: the same seed gives the same run.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % limit
    }
}

/// What callers were told.
enum Told {
    Command {
        counter: u64,
        id: Uuid,
        outcome: Result<Committed<u64>, CommandError<Full>>,
    },
    Transaction {
        /// The counter of each step.
        counters: Vec<u64>,
        id: Uuid,
        outcome: Result<Transacted<Vec<u64>>, TransactionError>,
    },
    Query {
        counter: u64,
        count: Option<u64>,
    },
    Panic,
}

pub(super) const COUNTERS: u64 = 3;

pub(super) fn at(runtime: &Runtime, counter: u64) -> AggregateRef<Counter> {
    runtime.aggregate("acme", &counter.to_string()).unwrap()
}

struct Run {
    random: Random,
    store: Arc<HeldStore>,
    runtime: Runtime,
    callers: Vec<JoinHandle<Told>>,
    commands: u128,
    /// Room for all of the counters, or for fewer.
    live_max: usize,
}

impl Run {
    async fn new(seed: u64) -> Self {
        let store = HeldStore::new();
        let live_max = if seed.is_multiple_of(2) { 1_000 } else { 2 };
        Self {
            runtime: Self::start(&store, live_max).await,
            live_max,
            random: Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1),
            store,
            callers: Vec::new(),
            commands: 0,
        }
    }

    async fn start(store: &Arc<HeldStore>, live_max: usize) -> Runtime {
        start_with(store, |builder| {
            builder
                .commands_in_flight_max(12)
                .commands_in_flight_per_aggregate_max(7)
                .snapshot_every_events(3)
                .snapshot_on_passivation_after_events(1)
                .live_aggregates_max(live_max)
                .restarts_max(10_000, PATIENCE)
                .restart_backoff_max(Duration::ZERO)
        })
        .await
    }

    async fn step(&mut self) {
        let counter = self.random.below(COUNTERS);
        let handle = at(&self.runtime, counter);
        match self.random.below(100) {
            0..25 => {
                let by = self.amount();
                self.command(handle, counter, Add(by));
            }
            25..40 => self.transaction(),
            40..52 => self.callers.push(tokio::spawn(async move {
                let count = handle.query(|state| state.count).await.ok();
                Told::Query { counter, count }
            })),
            52..58 => {
                let panic = match self.random.below(2) {
                    0 => Panic::InDecide,
                    _ => Panic::InApply,
                };
                self.callers.push(tokio::spawn(async move {
                    handle.send(panic).await.unwrap_err();
                    Told::Panic
                }));
            }
            58..64 => {
                // Gives up: before it is admitted, before it is decided, before it is durable.
                if let Some(caller) = self.callers.pop() {
                    caller.abort();
                    self.callers.push(caller);
                }
            }
            64..72 => self.store.hold(),
            72..80 => {
                self.store.release_one();
            }
            80..84 => self.store.let_go(),
            84..88 => self.store.fail_one_if_held(not_recorded()),
            88..90 => self.store.drop_one_if_held(),
            90..93 => self.store.set_ready(false),
            93..98 => self.store.set_ready(true),
            98 if self.random.below(4) == 0 => {
                self.quiet().await;
                self.runtime = Self::start(&self.store, self.live_max).await;
            }
            _ => settle().await,
        }
        if self.random.below(3) == 0 {
            tokio::task::yield_now().await;
        }
    }

    /// Now and then nothing, or more than a counter takes.
    fn amount(&mut self) -> u64 {
        match self.random.below(8) {
            0 => 0,
            1 => LIMIT,
            by => by,
        }
    }

    /// Up to four steps over any of the counters, in any order, some of them twice.
    fn transaction(&mut self) {
        self.commands += 1;
        let id = Uuid::from_u128(self.commands);
        let options = CommandOptions::new().command_id(id);
        let mut steps = Vec::new();
        let mut counters = Vec::new();
        for _ in 0..=self.random.below(4) {
            let counter = self.random.below(COUNTERS);
            counters.push(counter);
            steps.push(at(&self.runtime, counter).step(Add(self.amount())));
        }
        let runtime = self.runtime.clone();
        self.callers.push(tokio::spawn(async move {
            let outcome = runtime.transact_with(steps, options).await;
            Told::Transaction {
                counters,
                id,
                outcome,
            }
        }));
    }

    fn command(&mut self, handle: AggregateRef<Counter>, counter: u64, command: Add) {
        self.commands += 1;
        let id = Uuid::from_u128(self.commands);
        let mut options = CommandOptions::new().command_id(id);
        if self.random.below(3) == 0 {
            options = options.when_full(WhenFull::Refuse);
        }
        self.callers.push(tokio::spawn(async move {
            let outcome = handle.execute(command, options).await;
            Told::Command {
                counter,
                id,
                outcome,
            }
        }));
    }

    /// Lets everything end, so that this runtime leaves nobody who writes beside the next one.
    async fn quiet(&mut self) {
        self.store.set_ready(true);
        self.store.let_go();
        for caller in &mut self.callers {
            while !caller.is_finished() {
                tokio::task::yield_now().await;
            }
        }
        // A caller that gave up leaves a command behind, and an actor ends in its own time.
        self.runtime.shutdown(PATIENCE).await.unwrap();
    }

    async fn end(mut self) {
        tokio::time::timeout(PATIENCE, self.quiet())
            .await
            .expect("everyone is answered");
        self.runtime = Self::start(&self.store, self.live_max).await;
        let mut books = HashMap::new();
        for counter in 0..COUNTERS {
            books.insert(counter, self.book(counter).await);
        }
        for caller in self.callers {
            match caller.await {
                Ok(told) => check(&books, told),
                Err(gave_up) => assert!(gave_up.is_cancelled(), "{gave_up}"),
            }
        }
    }

    async fn book(&self, counter: u64) -> Book {
        let stream = StreamId::new("acme", "counter", &counter.to_string()).unwrap();
        let query = StreamQuery::whole(stream, 100_000);
        let events = self.store.read_stream(query).await.unwrap().events;
        let mut book = Book {
            counts: vec![0],
            versions: HashMap::new(),
        };
        for (event, version) in events.iter().zip(1u32..) {
            assert_eq!(event.version, Version::new(version.into()));
            let Some(Ok(CounterEvent::Added { by })) = decode_event::<Counter>(event) else {
                panic!("{event:?}");
            };
            book.counts.push(book.counts.last().unwrap() + by);
            assert!(book.versions.insert(event.id, version).is_none());
        }
        // Live, and from its snapshot: the same.
        let count = at(&self.runtime, counter).query(|state| state.count).await;
        assert_eq!(count.unwrap(), *book.counts.last().unwrap());
        book
    }
}

/// What is durable of one counter.
struct Book {
    /// By version.
    counts: Vec<u64>,
    versions: HashMap<Uuid, u32>,
}

fn check(books: &HashMap<u64, Book>, told: Told) {
    match told {
        Told::Panic | Told::Query { count: None, .. } => {}
        Told::Query {
            counter,
            count: Some(count),
        } => assert!(books[&counter].counts.contains(&count)),
        Told::Transaction {
            counters,
            id,
            outcome,
        } => check_transaction(books, &counters, id, outcome),
        Told::Command {
            counter,
            id,
            outcome,
        } => {
            let book = &books[&counter];
            let stream = StreamId::new("acme", "counter", &counter.to_string()).unwrap();
            let version = book.versions.get(&event_id(id, &stream, 0)).copied();
            match outcome {
                Ok(committed) => {
                    let at = u32::try_from(committed.version.get()).unwrap();
                    let count = book.counts[usize::try_from(at).unwrap()];
                    assert_eq!(count, committed.reply);
                    // Without one it had nothing to record.
                    assert!(version.is_none_or(|version| version == at));
                }
                Err(error) => {
                    assert_eq!(version, None, "{error}");
                    assert!(!matches!(error, CommandError::Conflict { .. }), "{error}");
                    if let Some(full) = error.rejection() {
                        assert!(book.counts.contains(&full.count));
                    }
                }
            }
        }
    }
}

/// All steps are there or none, each counter went from its version before to the one after in one go, and each reply is
/// what its step led to.
fn check_transaction(
    books: &HashMap<u64, Book>,
    counters: &[u64],
    id: Uuid,
    outcome: Result<Transacted<Vec<u64>>, TransactionError>,
) {
    let mut recorded = HashMap::new();
    for counter in 0..COUNTERS {
        let stream = StreamId::new("acme", "counter", &counter.to_string()).unwrap();
        let versions = (0..10)
            .map_while(|index| books[&counter].versions.get(&event_id(id, &stream, index)))
            .map(|version| usize::try_from(*version).unwrap());
        recorded.insert(counter, versions.collect::<Vec<_>>());
    }
    match outcome {
        Ok(transacted) => {
            assert_eq!(transacted.replies.len(), counters.len());
            let mut counts: HashMap<u64, u64> = HashMap::new();
            for (counter, reply) in counters.iter().zip(transacted.replies) {
                let (book, versions) = (&books[counter], &recorded[counter]);
                assert!(versions.windows(2).all(|pair| pair[0] + 1 == pair[1]));
                let before = versions.first().map(|first| book.counts[first - 1]);
                match counts.get(counter).copied().or(before) {
                    // The step adds nothing, or its event leads to what it replied.
                    Some(before) => assert!(
                        reply == before
                            || versions.iter().any(|version| {
                                book.counts[*version] == reply && book.counts[version - 1] == before
                            })
                    ),
                    None => assert!(book.counts.contains(&reply)),
                }
                counts.insert(*counter, reply);
            }
            for (counter, versions) in &recorded {
                if let Some(last) = versions.last() {
                    assert_eq!(counts[counter], books[counter].counts[*last]);
                }
            }
        }
        Err(error) => {
            assert!(recorded.values().all(Vec::is_empty), "{error}");
            assert!(
                !matches!(error, TransactionError::Conflict { .. }),
                "{error}"
            );
        }
    }
}

#[tokio::test]
async fn whatever_happens_everyone_is_told_the_truth() {
    let mut ends = HashSet::new();
    for seed in 1..=150 {
        let mut run = Run::new(seed).await;
        for _ in 0..400 {
            run.step().await;
        }
        ends.insert(run.store.head());
        run.end().await;
    }
    assert!(ends.len() > 10, "the runs differ");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn whatever_happens_on_many_threads_everyone_is_told_the_truth() {
    for seed in 1_000..1_060 {
        let mut run = Run::new(seed).await;
        for _ in 0..400 {
            run.step().await;
        }
        run.end().await;
    }
}
