use std::fmt;

use foldhouse_store::simulation::Random;

use super::fault::Fault;
use super::{Scenario, Settings};

/// All that happens in one run: who does what and when, and what goes wrong. The same plan always runs the same way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan<Operation> {
    /// What everything that is not planned follows from: which of two callers comes first, how long a write takes.
    pub seed: u64,
    /// What the callers do.
    pub operations: Vec<PlannedOperation<Operation>>,
    /// What goes wrong.
    pub faults: Vec<PlannedFault>,
}

/// One operation of one caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedOperation<Operation> {
    /// Which caller: it does one after the other.
    pub caller: usize,
    /// Not before this time, in milliseconds since the beginning.
    pub at_ms: u64,
    /// What.
    pub operation: Operation,
}

/// One fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlannedFault {
    /// When, in milliseconds since the beginning.
    pub at_ms: u64,
    /// What.
    pub fault: Fault,
}

/// The longest time that a caller lets pass between two operations, in milliseconds.
const PAUSE_MS_MAX: u64 = 8;

impl<Operation> Plan<Operation> {
    pub(super) fn draw<S>(scenario: &S, settings: &Settings, seed: u64) -> Self
    where
        S: Scenario<Operation = Operation>,
    {
        let mut random = Random::new(seed);
        let callers = settings.callers.max(1);
        let mut at_ms = vec![0; callers];
        let mut operations = Vec::with_capacity(settings.operations);
        for _ in 0..settings.operations {
            let caller = random.index(callers as u64 - 1);
            let operation = scenario.operation(&mut random);
            if let Some(at_ms) = at_ms.get_mut(caller) {
                if random.chance(60) {
                    *at_ms += random.number(1..=PAUSE_MS_MAX);
                }
                operations.push(PlannedOperation {
                    caller,
                    at_ms: *at_ms,
                    operation,
                });
            }
        }
        let end_ms = at_ms.iter().copied().max().unwrap_or_default();
        let faults = settings.faults.draw(&mut random);
        let mut faults: Vec<_> = faults
            .into_iter()
            .map(|fault| PlannedFault {
                at_ms: random.number(0..=end_ms),
                fault,
            })
            .collect();
        faults.sort_by_key(|planned| planned.at_ms);
        Self {
            seed,
            operations,
            faults,
        }
    }

    /// How many callers have something to do.
    pub(super) fn callers(&self) -> usize {
        let callers = self.operations.iter().map(|planned| planned.caller + 1);
        callers.max().unwrap_or_default()
    }
}

impl<Operation: fmt::Debug> fmt::Display for Plan<Operation> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}", self.seed)?;
        for planned in &self.operations {
            let PlannedOperation {
                caller,
                at_ms,
                operation,
            } = planned;
            writeln!(f, "  at {at_ms:>5} ms caller {caller}: {operation:?}")?;
        }
        for PlannedFault { at_ms, fault } in &self.faults {
            writeln!(f, "  at {at_ms:>5} ms fault: {fault}")?;
        }
        Ok(())
    }
}
