use std::error::Error;
use std::fmt;

use super::plan::Plan;
use super::trace::TraceHash;

/// What does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// What should hold.
    pub invariant: &'static str,
    /// What is so instead.
    pub what: String,
}

impl Violation {
    pub(super) fn new(invariant: &'static str, what: impl ToString) -> Self {
        Self {
            invariant,
            what: what.to_string(),
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "violated: {}\n{}", self.invariant, self.what)
    }
}

/// What the runs of a simulation came to, and how much they tried. Look at it: a simulation in which nothing happens
/// fails no check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SimulationReport {
    /// How many runs there were.
    pub runs: u64,
    /// Identifies what all of them did, in order: the same seeds give the same hash.
    pub trace_hash: TraceHash,
    /// How many steps they took.
    pub steps: u64,
    /// Processes that were started.
    pub processes: u64,
    /// Power cuts that came to pass.
    pub power_cuts: u64,
    /// How often an incomplete write was cut off.
    pub torn_tails: u64,
    /// Writes that failed.
    pub failed_writes: u64,
    /// The most segments that a journal had.
    pub segments_max: u64,
    /// Commands, transactions and queries that took effect.
    pub done: u64,
    /// Those that a rule forbade.
    pub rejected: u64,
    /// Those for which nothing was recorded, for another reason.
    pub not_recorded: u64,
    /// Those whose callers were told that it is not known.
    pub unknown: u64,
    /// Those that were under way when their process died.
    pub unanswered: u64,
    /// Events that were recorded.
    pub events: u64,
    /// The time that went by in the simulations, in milliseconds.
    pub virtual_ms: u64,
}

impl SimulationReport {
    pub(super) fn new() -> Self {
        Self {
            runs: 0,
            trace_hash: TraceHash::of_all(&blake3::Hasher::new()),
            steps: 0,
            processes: 0,
            power_cuts: 0,
            torn_tails: 0,
            failed_writes: 0,
            segments_max: 0,
            done: 0,
            rejected: 0,
            not_recorded: 0,
            unknown: 0,
            unanswered: 0,
            events: 0,
            virtual_ms: 0,
        }
    }

    /// Adds another run, or other runs; the hashes are combined in this order.
    pub(super) fn add(&mut self, other: &Self) {
        let mut hasher = blake3::Hasher::new();
        self.trace_hash.add_to(&mut hasher);
        other.trace_hash.add_to(&mut hasher);
        self.trace_hash = TraceHash::of_all(&hasher);
        self.runs += other.runs;
        self.steps += other.steps;
        self.processes += other.processes;
        self.power_cuts += other.power_cuts;
        self.torn_tails += other.torn_tails;
        self.failed_writes += other.failed_writes;
        self.segments_max = self.segments_max.max(other.segments_max);
        self.done += other.done;
        self.rejected += other.rejected;
        self.not_recorded += other.not_recorded;
        self.unknown += other.unknown;
        self.unanswered += other.unanswered;
        self.events += other.events;
        self.virtual_ms += other.virtual_ms;
    }
}

/// A run in which something did not hold, made as small as could be.
///
/// It prints what to look at. [`Simulation::run_plan`](super::Simulation::run_plan) runs `plan` again, and
/// [`Simulation::replay`](super::Simulation::replay) the whole run of its seed.
pub struct SimulationFailure<Operation> {
    /// The seed of the run that failed.
    pub seed: u64,
    /// What did not hold in the smaller run; of the same kind as in the first.
    pub violation: Violation,
    /// The smaller run: what is left of it still fails.
    pub plan: Plan<Operation>,
    /// How many operations and faults the run had before.
    pub planned: (usize, usize),
    /// How many runs it took to make it smaller.
    pub shrink_runs: u64,
    /// The last steps of the smaller run.
    pub last_steps: Vec<String>,
    /// Identifies what the smaller run did.
    pub trace_hash: TraceHash,
}

impl<Operation: fmt::Debug> fmt::Display for SimulationFailure<Operation> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {} fails. {}", self.seed, self.violation)?;
        writeln!(f, "\nthe last steps:")?;
        for step in &self.last_steps {
            writeln!(f, "  {step}")?;
        }
        let (operations, faults) = self.planned;
        writeln!(
            f,
            "\n{} of {operations} operations and {} of {faults} faults are enough ({} runs):",
            self.plan.operations.len(),
            self.plan.faults.len(),
            self.shrink_runs
        )?;
        write!(f, "{}trace {}", self.plan, self.trace_hash)
    }
}

// What `unwrap` shows.
impl<Operation: fmt::Debug> fmt::Debug for SimulationFailure<Operation> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<Operation: fmt::Debug> Error for SimulationFailure<Operation> {}
