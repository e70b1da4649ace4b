use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use foldhouse::{AggregateRef, Runtime, Store, WhenFull};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::account::Account;
use super::callers::Crew;
use super::check::Evidence;
use super::disk::{Disk, entries, stream};
use super::faulty_store::{FaultyStore, Plant, Rates};
use super::history::{Action, History, Outcome, Step, Way};
use super::workload;

/// Long enough that only a hang reaches it.
const PATIENCE: Duration = Duration::from_secs(120);

/// What to run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    /// Decides what callers ask for, when things fail, and how large everything is. Threads and the disk decide the rest.
    pub(super) seed: u64,
    pub(super) operations: usize,
    /// Over a journal on disk, or in memory.
    pub(super) on_disk: bool,
    pub(super) plant: Option<Plant>,
    /// How many runtimes write to the store at once. More than one is a mistake, and is to be caught.
    pub(super) runtimes: usize,
}

/// What a seed makes of it.
#[derive(Clone, Copy, Debug)]
struct Shape {
    accounts: usize,
    callers: usize,
    rates: Rates,
    snapshot_every_events: u64,
    in_flight_per_account: usize,
    in_flight: usize,
}

impl Shape {
    fn new(random: &mut StdRng, plan: &Plan) -> Self {
        let is_calm = random.random_ratio(1, 4) || plan.plant == Some(Plant::AcksBeforeDurable);
        Self {
            accounts: random.random_range(2..=8),
            callers: random.random_range(2..=24),
            rates: if is_calm {
                Rates::default()
            } else {
                Rates {
                    refused: random.random_range(1..=40),
                    unknown: random.random_range(0..=2),
                }
            },
            snapshot_every_events: random.random_range(3..=60),
            in_flight_per_account: random.random_range(3..=24),
            in_flight: random.random_range(8..=48),
        }
    }
}

/// Runs it to its end.
pub(super) fn run(plan: &Plan) -> Evidence {
    let mut random = StdRng::seed_from_u64(plan.seed);
    let shape = Shape::new(&mut random, plan);
    let history = Arc::new(History::default());
    let mut disk = Disk::new(plan.on_disk);
    while history.len() < plan.operations {
        let left = plan.operations - history.len();
        let most = (plan.operations / 3).max(50);
        let epoch = Epoch {
            seed: random.random(),
            operations: random.random_range(most / 3..=most).min(left),
            crashes_at: random.random_ratio(1, 3).then(|| {
                // Before the last one, or it comes too late.
                history.len() + random.random_range(0..left.min(most / 3))
            }),
            shape,
            plan: *plan,
        };
        epoch.run(&history, &mut disk);
    }
    let last_look = Epoch {
        seed: random.random(),
        operations: 0,
        crashes_at: None,
        shape,
        plan: *plan,
    };
    last_look.look(&history, &mut disk);
    let operations = history.take();
    let entries = threads().block_on(entries(&mut disk, shape.accounts));
    Evidence {
        accounts: shape.accounts,
        operations,
        entries,
    }
}

/// One life of the process.
struct Epoch {
    seed: u64,
    operations: usize,
    /// The number of the operation at whose call the process dies.
    crashes_at: Option<usize>,
    shape: Shape,
    plan: Plan,
}

/// How it ends.
enum End {
    /// Everybody has been answered.
    Quiet,
    /// The store takes nothing more.
    Broken,
    /// At once.
    Crash,
}

impl Epoch {
    fn run(&self, history: &Arc<History>, disk: &mut Disk) {
        let rates = self.shape.rates;
        let store = FaultyStore::new(disk.open(), rates, self.plan.plant, self.seed);
        let tokio = threads();
        // They live until everything stands still: a process that dies drops nothing.
        let left = tokio.block_on(async {
            let runtimes = self.start(&store).await;
            let crew = Arc::new(Crew {
                history: Arc::clone(history),
                left: AtomicUsize::new(self.operations),
                crashes_at: self.crashes_at,
                crash: Notify::new(),
                runtimes: runtimes.clone(),
                accounts: self.handles(&runtimes),
            });
            let mut callers = JoinSet::new();
            for caller in 0..self.shape.callers {
                let random = StdRng::seed_from_u64(self.seed.wrapping_add(1 + caller as u64));
                callers.spawn(Arc::clone(&crew).call(caller, random));
            }
            let end = tokio::time::timeout(PATIENCE, async {
                tokio::select! {
                    () = all(&mut callers) => End::Quiet,
                    () = store.until_broken() => End::Broken,
                    () = crew.crash.notified() => End::Crash,
                }
            });
            match end.await.expect("everybody is answered") {
                End::Crash => {}
                End::Quiet | End::Broken => {
                    crew.left.store(0, Ordering::SeqCst);
                    let ended = tokio::time::timeout(PATIENCE, all(&mut callers));
                    ended.await.expect("everybody is answered");
                    for runtime in &runtimes {
                        runtime.shutdown(PATIENCE).await.expect("it shuts down");
                    }
                }
            }
            store.crash();
            (runtimes, callers)
        });
        tokio.shutdown_timeout(PATIENCE);
        drop(left);
        drop(store);
        disk.close();
        history.settle();
    }

    /// Reads every account once more, from what is on the disk.
    fn look(&self, history: &Arc<History>, disk: &mut Disk) {
        let store = FaultyStore::new(disk.open(), Rates::default(), None, self.seed);
        let tokio = threads();
        tokio.block_on(async {
            let runtimes = self.start(&store).await;
            let accounts = self.handles(&runtimes);
            for account in 0..self.shape.accounts {
                let action = Action::Read;
                let steps = vec![Step { account, action }];
                let number = history.call(Way::Alone, steps.clone());
                let what = (number, Way::Alone, steps.as_slice());
                let outcome =
                    workload::perform(&runtimes[0], &accounts[0], what, WhenFull::Wait).await;
                assert!(matches!(outcome, Outcome::Done { .. }), "{outcome:?}");
                history.answer(number, outcome);
            }
            for runtime in runtimes {
                runtime.shutdown(PATIENCE).await.expect("it shuts down");
            }
        });
        store.crash();
        disk.close();
    }

    async fn start(&self, store: &Arc<FaultyStore>) -> Vec<Runtime> {
        let mut runtimes = Vec::new();
        for _ in 0..self.plan.runtimes {
            let runtime = Runtime::builder(Arc::clone(store) as Arc<dyn Store>)
                .snapshot_every_events(self.shape.snapshot_every_events)
                .commands_in_flight_per_aggregate_max(self.shape.in_flight_per_account)
                .commands_in_flight_max(self.shape.in_flight);
            runtimes.push(runtime.start().await.expect("the options fit"));
        }
        runtimes
    }

    fn handles(&self, runtimes: &[Runtime]) -> Vec<Vec<AggregateRef<Account>>> {
        let of = |runtime: &Runtime| {
            let accounts = (0..self.shape.accounts).map(stream);
            accounts
                .map(|stream| runtime.aggregate_of(stream).expect("it is an account"))
                .collect()
        };
        runtimes.iter().map(of).collect()
    }
}

fn threads() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(3)
        .enable_all()
        .build()
        .expect("threads for the test")
}

async fn all(callers: &mut JoinSet<()>) {
    while let Some(ended) = callers.join_next().await {
        ended.expect("no caller panics");
    }
}
