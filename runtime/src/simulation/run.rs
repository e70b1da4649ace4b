use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::runtime::Builder;

use super::history::Answer;
use super::life::{End, Life};
use super::machine::Machine;
use super::plan::Plan;
use super::report::{SimulationReport, Violation};
use super::todo::Todo;
use super::trace::TraceHash;
use super::{Scenario, Settings};

/// No plan has so many faults that a run would need more processes.
const PROCESSES_MAX: usize = 1_000;

/// What one run came to.
pub(super) struct Ran {
    pub(super) outcome: Result<(), Violation>,
    pub(super) report: SimulationReport,
    pub(super) last_steps: Vec<String>,
    /// How many changes the disk saw.
    pub(super) disk_changes: u64,
}

impl Ran {
    pub(super) fn trace_hash(&self) -> TraceHash {
        self.report.trace_hash
    }
}

/// Runs a plan from an empty disk to its end.
pub(super) fn run<S: Scenario>(
    scenario: &Arc<S>,
    settings: &Arc<Settings>,
    plan: &Plan<S::Operation>,
) -> Ran {
    let machine = Arc::new(Machine::new(plan.seed));
    if settings.disk_lies {
        machine.disk.lie();
    }
    let outcome = run_processes(scenario, settings, plan, &machine);
    Ran {
        outcome,
        report: report(&machine),
        last_steps: machine.trace.last(),
        disk_changes: machine.disk.changes(),
    }
}

fn run_processes<S: Scenario>(
    scenario: &Arc<S>,
    settings: &Arc<Settings>,
    plan: &Plan<S::Operation>,
    machine: &Arc<Machine>,
) -> Result<(), Violation> {
    let todo = Arc::new(Todo::new(plan));
    for _ in 0..PROCESSES_MAX {
        // A crash ends everything that runs on it.
        let tokio = Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .map_err(|error| Violation::new("a tokio runtime starts", error))?;
        let life = Life::new(
            Arc::clone(scenario),
            Arc::clone(settings),
            Arc::clone(machine),
            Arc::clone(&todo),
        );
        let ended = tokio.block_on(Arc::new(life).run());
        drop(tokio);
        if ended? == End::Done {
            return Ok(());
        }
    }
    Err(Violation::new(
        "a run ends",
        format!("it took more than {PROCESSES_MAX} processes"),
    ))
}

fn report(machine: &Machine) -> SimulationReport {
    let counts = &machine.counts;
    let mut report = SimulationReport::new();
    report.runs = 1;
    report.trace_hash = machine.trace.hash();
    report.steps = machine.trace.count();
    report.processes = counts.processes.load(Ordering::Relaxed);
    report.power_cuts = counts.power_cuts.load(Ordering::Relaxed);
    report.torn_tails = counts.torn_tails.load(Ordering::Relaxed);
    report.failed_writes = counts.failed_writes.load(Ordering::Relaxed);
    report.segments_max = counts.segments.load(Ordering::Relaxed);
    report.events = machine.known().len() as u64;
    let elapsed_ms = machine.clock.elapsed().as_millis();
    report.virtual_ms = u64::try_from(elapsed_ms).unwrap_or(u64::MAX);
    for call in &machine.history.entries().calls {
        let counter = match &call.answer {
            Some((Answer::Done { .. }, _)) => &mut report.done,
            Some((Answer::Rejected(_), _)) => &mut report.rejected,
            Some((Answer::NotRecorded(_), _)) => &mut report.not_recorded,
            Some((Answer::Unknown(_), _)) => &mut report.unknown,
            None => &mut report.unanswered,
        };
        *counter += 1;
    }
    report
}
