//! Your aggregates under random schedules, crashes and failing disks, in virtual time, from a seed.
//!
//! A simulation runs the whole of foldhouse in one thread: the runtime with its actors, transactions, snapshots and
//! projections, and under it the journal's own queue, committer, frames and recovery, on a disk in memory. The seed
//! decides what the callers do and when, which of them goes on when several could, how long each write takes, and where
//! the power goes: in the middle of any change of the disk, with any part of it done. Time is tokio's, paused: a run of
//! seconds takes milliseconds.
//!
//! The same seed always runs the same way. A run that fails is made smaller, and can be run again.
//!
//! You bring a [`Scenario`]: operations, and what must hold. These hold in every simulation without being asked for:
//!
//! - Everything is answered, once. After a crash, whatever was answered is recorded as it was answered; of what was
//!   rejected or not recorded nothing is there; what is unknown, or was under way, is there as a whole or not at all.
//! - Positions and versions have no gap, what was there once stays, and nothing is there that nobody asked for.
//! - Who asks later does not see less.
//! - The state in memory, the state that is hydrated from a snapshot, and the rows of projections are what a replay of
//!   all events gives. No read model is ahead of the journal.
//! - The store opens again after every crash, and the runtime shuts down.
//!
//! ```
//! use foldhouse::simulation::{Caller, Random, Scenario, Simulation, World};
//! # use foldhouse::{Aggregate, Command, CommandContext, Decided, Decision};
//! # #[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
//! # struct Account(i64);
//! # #[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
//! # enum AccountEvent { Changed { by: i64 } }
//! # impl Aggregate for Account {
//! #     const TYPE: &'static str = "account";
//! #     type Event = AccountEvent;
//! #     fn apply(&mut self, AccountEvent::Changed { by }: &AccountEvent) { self.0 += by; }
//! # }
//! # #[derive(Debug, thiserror::Error)]
//! # #[error("only {0} is there")]
//! # struct TooLittle(i64);
//! # struct Change(i64);
//! # impl Command for Change {
//! #     type Aggregate = Account;
//! #     type Reply = i64;
//! #     type Rejection = TooLittle;
//! #     fn decide(&self, account: &Account, _: &CommandContext) -> Decided<Self> {
//! #         let after = account.0 + self.0;
//! #         if after < -100 { return Err(TooLittle(account.0)); }
//! #         Ok(Decision::event(AccountEvent::Changed { by: self.0 }, after))
//! #     }
//! # }
//!
//! /// Money goes from one account to another.
//! struct Transfers;
//!
//! #[derive(Clone, Debug)]
//! struct Transfer { from: u64, to: u64, amount: i64 }
//!
//! impl Scenario for Transfers {
//!     type Operation = Transfer;
//!
//!     fn operation(&self, random: &mut Random) -> Transfer {
//!         let from = random.number(0..=3);
//!         Transfer { from, to: (from + random.number(1..=3)) % 4, amount: random.number(1..=50) as i64 }
//!     }
//!
//!     async fn perform(&self, transfer: Transfer, caller: &Caller) {
//!         let from = caller.aggregate::<Account>("bank", &transfer.from.to_string()).unwrap();
//!         let to = caller.aggregate::<Account>("bank", &transfer.to.to_string()).unwrap();
//!         // What comes of it is written down, and checked against what is recorded.
//!         let _ = caller.transact((from.step(Change(-transfer.amount)), to.step(Change(transfer.amount)))).await;
//!     }
//!
//!     fn check(&self, world: &World<'_>) -> Result<(), String> {
//!         let accounts = world.states::<Account>()?;
//!         match accounts.iter().map(|(_, account)| account.0).sum() {
//!             0 => Ok(()),
//!             sum => Err(format!("money came or went: all accounts together have {sum}")),
//!         }
//!     }
//! }
//!
//! # fn main() {
//! let report = Simulation::new(Transfers).seeds(0..20).run().unwrap();
//! assert!(report.power_cuts > 0 && report.done > 100);
//! # }
//! ```
//!
//! # What is not simulated
//!
//! Threads that run at once: between two `await`s nothing else happens, so races within them are not found. sled: the
//! index of all segments is in memory, and snapshots and read models are in tables that lose their last changes in a
//! power cut. Bits that rot.
//!
//! # Layout
//!
//! `scenario`, `caller`, `process` and `world` are what a scenario sees; `plan` and `fault` say what happens in a run,
//! `life` and `callers` let it happen, `machine`, `history` and `trace` remember it, `audit` and `folds` check it, and
//! `shrink` makes it smaller.

mod audit;
mod caller;
mod callers;
mod fault;
mod folds;
mod history;
mod life;
mod machine;
mod plan;
mod process;
mod report;
mod run;
mod scenario;
mod shrink;
#[cfg(test)]
mod tests;
mod todo;
mod trace;
mod world;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use foldhouse_store::Store;

pub use self::caller::Caller;
pub use self::fault::{Fault, Faults};
pub use self::history::{Answer, Call};
pub use self::plan::{Plan, PlannedFault, PlannedOperation};
pub use self::process::Process;
pub use self::report::{SimulationFailure, SimulationReport, Violation};
pub use self::scenario::Scenario;
pub use self::trace::TraceHash;
pub use self::world::World;
pub use foldhouse_store::simulation::{
    Left, Random, SimulatedClock, SimulatedDisk, SimulatedStore,
};

use self::run::{Ran, run};
use self::shrink::Shrink;
use crate::options::RuntimeBuilder;

/// Runs a [`Scenario`] from many seeds.
///
/// It starts tokio runtimes of its own: call it from a plain `#[test]`, not from within one.
#[must_use]
pub struct Simulation<S: Scenario> {
    scenario: Arc<S>,
    seeds: Range<u64>,
    settings: Arc<Settings>,
}

type SetUp = Arc<dyn Fn(RuntimeBuilder) -> RuntimeBuilder + Send + Sync>;
type Wrap = Arc<dyn Fn(Arc<dyn Store>) -> Arc<dyn Store> + Send + Sync>;

/// What all runs have in common.
#[derive(Clone)]
struct Settings {
    callers: usize,
    operations: usize,
    faults: Faults,
    snapshot_every_events: u64,
    segment_bytes: u64,
    shrink_runs_max: u64,
    disk_lies: bool,
    set_up: Option<SetUp>,
    wrap: Option<Wrap>,
}

impl<S: Scenario> Simulation<S> {
    /// A simulation of 100 seeds, each with 4 callers, 40 operations, and some faults of all kinds.
    pub fn new(scenario: S) -> Self {
        Self {
            scenario: Arc::new(scenario),
            seeds: 0..100,
            settings: Arc::new(Settings {
                callers: 4,
                operations: 40,
                faults: Faults::ALL,
                snapshot_every_events: 5,
                segment_bytes: SimulatedStore::SEGMENT_BYTES,
                shrink_runs_max: 500,
                disk_lies: false,
                set_up: None,
                wrap: None,
            }),
        }
    }

    /// From which seeds; each is a run of its own.
    pub fn seeds(mut self, seeds: Range<u64>) -> Self {
        self.seeds = seeds;
        self
    }

    /// How many callers there are at a time.
    pub fn callers(mut self, callers: usize) -> Self {
        self.settings_mut().callers = callers;
        self
    }

    /// How many operations a run has, of all callers together.
    pub fn operations(mut self, operations: usize) -> Self {
        self.settings_mut().operations = operations;
        self
    }

    /// What may go wrong in a run, and how often at most.
    pub fn faults(mut self, faults: Faults) -> Self {
        self.settings_mut().faults = faults;
        self
    }

    /// After how many events an aggregate's state is kept as a snapshot; 5 if nothing is said.
    pub fn snapshot_every_events(mut self, events: u64) -> Self {
        self.settings_mut().snapshot_every_events = events;
        self
    }

    /// The size of the journal's segments, a multiple of 4 KiB; 32 KiB if nothing is said. Small ones are sealed often. An
    /// event takes no more than a quarter of one.
    pub fn segment_bytes(mut self, bytes: u64) -> Self {
        self.settings_mut().segment_bytes = bytes;
        self
    }

    /// How many runs may be spent on making one that failed smaller; 500 if nothing is said.
    pub fn shrink_runs_max(mut self, runs: u64) -> Self {
        self.settings_mut().shrink_runs_max = runs;
        self
    }

    /// Sets up the runtime of each process, its limits say.
    pub fn runtime(
        mut self,
        set_up: impl Fn(RuntimeBuilder) -> RuntimeBuilder + Send + Sync + 'static,
    ) -> Self {
        self.settings_mut().set_up = Some(Arc::new(set_up));
        self
    }

    /// Puts a store of yours between the runtime and the simulated one.
    pub fn store(
        mut self,
        wrap: impl Fn(Arc<dyn Store>) -> Arc<dyn Store> + Send + Sync + 'static,
    ) -> Self {
        self.settings_mut().wrap = Some(Arc::new(wrap));
        self
    }

    /// On a disk that says that a write is durable when it is not, so that a power cut loses what was acknowledged. Every
    /// scenario with power cuts fails on it sooner or later: to see that yours would notice.
    pub fn disk_that_lies(mut self) -> Self {
        self.settings_mut().disk_lies = true;
        self
    }

    fn settings_mut(&mut self) -> &mut Settings {
        Arc::make_mut(&mut self.settings)
    }

    /// Runs all seeds, up to the first that fails.
    ///
    /// # Errors
    /// [`SimulationFailure`]: the seed, what did not hold, and the smallest run in which it does not.
    pub fn run(&self) -> Result<SimulationReport, Box<SimulationFailure<S::Operation>>> {
        let mut report = SimulationReport::new();
        for seed in self.seeds.clone() {
            report.add(&self.replay(seed)?);
        }
        Ok(report)
    }

    /// Runs one seed.
    ///
    /// # Errors
    /// As for [`Simulation::run`].
    pub fn replay(
        &self,
        seed: u64,
    ) -> Result<SimulationReport, Box<SimulationFailure<S::Operation>>> {
        self.run_plan(&self.plan(seed))
    }

    /// What is planned for a seed.
    #[must_use]
    pub fn plan(&self, seed: u64) -> Plan<S::Operation> {
        Plan::draw(&*self.scenario, &self.settings, seed)
    }

    /// Runs a plan: one that a [`SimulationFailure`] shows, or one of your own.
    ///
    /// # Errors
    /// As for [`Simulation::run`].
    pub fn run_plan(
        &self,
        plan: &Plan<S::Operation>,
    ) -> Result<SimulationReport, Box<SimulationFailure<S::Operation>>> {
        let ran = run(&self.scenario, &self.settings, plan);
        match &ran.outcome {
            Ok(()) => Ok(ran.report),
            Err(violation) => Err(self.failure(plan, violation.invariant, ran)),
        }
    }

    /// Runs the operations of one seed again and again, without its faults but with a power cut at each change of the disk
    /// in turn: with all of that change done, with none of it, and with a part.
    ///
    /// # Errors
    /// As for [`Simulation::run`].
    pub fn crash_at_every_change(
        &self,
        seed: u64,
    ) -> Result<SimulationReport, Box<SimulationFailure<S::Operation>>> {
        let mut plan = self.plan(seed);
        plan.faults.clear();
        let mut report = self.run_plan(&plan)?;
        let changes = run(&self.scenario, &self.settings, &plan).disk_changes;
        for nth in 1..=changes {
            for left in [Left::All, Left::Nothing, Left::Part(nth)] {
                let fault = Fault::PowerCut { nth, left };
                plan.faults = vec![PlannedFault { at_ms: 0, fault }];
                report.add(&self.run_plan(&plan)?);
            }
        }
        Ok(report)
    }

    fn failure(
        &self,
        plan: &Plan<S::Operation>,
        invariant: &'static str,
        ran: Ran,
    ) -> Box<SimulationFailure<S::Operation>> {
        let planned = (plan.operations.len(), plan.faults.len());
        let mut shrink = Shrink::new(&self.scenario, &self.settings, invariant, plan.clone(), ran);
        shrink.shrink();
        let Shrink {
            plan, ran, runs, ..
        } = shrink;
        let trace_hash = ran.trace_hash();
        let what = ran.outcome.err().map(|violation| violation.what);
        Box::new(SimulationFailure {
            seed: plan.seed,
            violation: Violation {
                invariant,
                what: what.unwrap_or_default(),
            },
            plan,
            planned,
            shrink_runs: runs,
            last_steps: ran.last_steps,
            trace_hash,
        })
    }
}

impl<S: Scenario> fmt::Debug for Simulation<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Simulation")
            .field("seeds", &self.seeds)
            .field("callers", &self.settings.callers)
            .field("operations", &self.settings.operations)
            .field("faults", &self.settings.faults)
            .finish_non_exhaustive()
    }
}
