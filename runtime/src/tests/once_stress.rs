//! Whatever happens in whatever order, with every command and transaction sent again and again: each takes effect once,
//! all that were told of it were told the same, and nobody waits for ever.

use std::collections::HashMap;

use super::counter::*;
use super::held_store::{HeldStore, not_recorded};
use super::stress::{COUNTERS, Random, at};
use super::*;
use crate::*;
use foldhouse_store::EventStore;
use tokio::task::JoinHandle;
use uuid::Uuid;

/// Few enough that most are sent several times.
const IDS: u64 = 40;

/// What was told, in the shape of a transaction's replies; `None` if it was not recorded or that is not known.
type Told = (u64, Option<(Vec<u64>, Position)>);

/// What is sent under an id, always the same.
struct Plan {
    counters: Vec<u64>,
    amounts: Vec<u64>,
}

fn plan(number: u64) -> Plan {
    let mut random = Random(number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let steps = if number.is_multiple_of(3) {
        1 + random.below(4)
    } else {
        1
    };
    Plan {
        counters: (0..steps).map(|_| random.below(COUNTERS)).collect(),
        amounts: (0..steps).map(|_| random.below(5)).collect(),
    }
}

fn id(number: u64) -> Uuid {
    Uuid::from_u128(u128::from(number) + 1)
}

async fn send(runtime: Runtime, number: u64) -> Told {
    let Plan { counters, amounts } = plan(number);
    let mut commands = counters.iter().zip(amounts);
    if number.is_multiple_of(3) {
        let steps: Vec<_> = commands
            .map(|(counter, by)| at(&runtime, *counter).step(Add(by)))
            .collect();
        let outcome = runtime
            .transact_once_with(steps, id(number), CommandOptions::new())
            .await;
        assert!(!matches!(
            outcome,
            Err(TransactionError::CommandIdReused { .. })
        ));
        let told = outcome.ok().map(|done| (done.replies, done.position));
        return (number, told);
    }
    let (counter, by) = commands.next().unwrap();
    let outcome = at(&runtime, *counter)
        .execute_once(Add(by), id(number), CommandOptions::new())
        .await;
    assert!(!matches!(
        outcome,
        Err(CommandError::CommandIdReused { .. })
    ));
    let told = outcome.ok().map(|done| (vec![done.reply], done.position));
    (number, told)
}

struct Run {
    random: Random,
    store: Arc<HeldStore>,
    runtime: Runtime,
    callers: Vec<JoinHandle<Told>>,
}

impl Run {
    async fn new(seed: u64) -> Self {
        let store = HeldStore::new();
        Self {
            runtime: Self::start(&store).await,
            random: Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1),
            store,
            callers: Vec::new(),
        }
    }

    async fn start(store: &Arc<HeldStore>) -> Runtime {
        start_with(store, |builder| {
            builder
                .commands_in_flight_max(12)
                .commands_in_flight_per_aggregate_max(7)
                .snapshot_every_events(3)
        })
        .await
    }

    async fn step(&mut self) {
        match self.random.below(100) {
            0..45 => {
                let number = self.random.below(IDS);
                let sending = send(self.runtime.clone(), number);
                self.callers.push(tokio::spawn(sending));
            }
            45..50 => {
                let handle = at(&self.runtime, self.random.below(COUNTERS));
                // What carries no id stands between those that do, and falls and stays with them.
                self.callers.push(tokio::spawn(async move {
                    let _ = handle.send(Panic::InApply).await;
                    (0, None)
                }));
            }
            50..60 => {
                // Gives up: before it is admitted, while it waits for another, before it is decided or durable.
                if let Some(caller) = self.callers.pop() {
                    caller.abort();
                    self.callers.push(caller);
                }
            }
            60..68 => self.store.hold(),
            68..78 => {
                self.store.release_one();
            }
            78..82 => self.store.let_go(),
            82..87 => self.store.fail_one_if_held(not_recorded()),
            87..90 => self.store.drop_one_if_held(),
            90..92 => self.store.set_ready(false),
            92..96 => self.store.set_ready(true),
            // The store has to tell what no look-up has found.
            96..98 => self.store.blind_look_ups(1),
            98 if self.random.below(4) == 0 => {
                self.quiet().await;
                self.runtime = Self::start(&self.store).await;
            }
            _ => settle().await,
        }
        if self.random.below(3) == 0 {
            tokio::task::yield_now().await;
        }
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
        self.runtime.shutdown(PATIENCE).await.unwrap();
        assert_eq!(self.runtime.claim_count(), 0);
    }

    /// Gives back how many were told of as recorded.
    async fn end(mut self) -> usize {
        tokio::time::timeout(PATIENCE, self.quiet())
            .await
            .expect("everyone is answered");
        self.store.blind_look_ups(0);
        self.runtime = Self::start(&self.store).await;
        let mut told_of: HashMap<u64, (Vec<u64>, Position)> = HashMap::new();
        let mut told = 0;
        for caller in self.callers {
            let Ok((number, Some(answer))) = caller.await else {
                continue;
            };
            told += 1;
            let first = told_of.entry(number).or_insert_with(|| answer.clone());
            assert_eq!(*first, answer, "command {number} was answered in two ways");
        }
        // Every one is sent once more: what was recorded gives the same answer, and all the others take effect.
        for number in 0..IDS {
            let (_, answer) = send(self.runtime.clone(), number).await;
            let answer = answer.expect("nothing is in the way any more");
            if let Some(before) = told_of.get(&number) {
                assert_eq!(*before, answer, "command {number} took effect again");
            }
        }
        // So each is in its counter's books exactly once, whatever was told.
        let mut expected: HashMap<u64, u64> = HashMap::new();
        for number in 0..IDS {
            let Plan { counters, amounts } = plan(number);
            for (counter, by) in counters.into_iter().zip(amounts) {
                *expected.entry(counter).or_default() += by;
            }
        }
        for (counter, count) in expected {
            let handle = at(&self.runtime, counter);
            assert_eq!(handle.query(|state| state.count).await.unwrap(), count);
        }
        let events = self.store.read_all(Position::BEFORE_FIRST, 10_000).await;
        let events = events.unwrap().events;
        let ids: std::collections::HashSet<_> = events.iter().map(|event| event.id).collect();
        assert_eq!(ids.len(), events.len(), "an event is there twice");
        told
    }
}

async fn run(seeds: std::ops::Range<u64>, steps: usize) {
    let mut told = 0;
    for seed in seeds {
        let mut run = Run::new(seed).await;
        for _ in 0..steps {
            run.step().await;
        }
        told += run.end().await;
    }
    assert!(told > 0, "nothing was ever recorded: nothing was tested");
}

#[tokio::test]
async fn whatever_fails_and_however_often_it_is_sent_each_takes_effect_once() {
    run(0..25, 400).await;
}

/// `cargo test --release -p foldhouse --lib -- --ignored retry_campaign`
#[tokio::test]
#[ignore = "a campaign of 3,000 seeds; takes minutes"]
async fn retry_campaign_of_three_thousand_seeds() {
    run(1_000..4_000, 600).await;
}
