//! A run that failed, made smaller by leaving out what it does not need to fail: delta debugging.

use std::sync::Arc;

use super::plan::{Plan, PlannedOperation};
use super::run::{Ran, run};
use super::{Scenario, Settings};

/// Looks for smaller plans that fail in the same way.
pub(super) struct Shrink<'s, S: Scenario> {
    scenario: &'s Arc<S>,
    settings: &'s Arc<Settings>,
    invariant: &'static str,
    /// The smallest that was found.
    pub(super) plan: Plan<S::Operation>,
    pub(super) ran: Ran,
    pub(super) runs: u64,
}

impl<'s, S: Scenario> Shrink<'s, S> {
    pub(super) fn new(
        scenario: &'s Arc<S>,
        settings: &'s Arc<Settings>,
        invariant: &'static str,
        plan: Plan<S::Operation>,
        ran: Ran,
    ) -> Self {
        Self {
            scenario,
            settings,
            invariant,
            plan,
            ran,
            runs: 0,
        }
    }

    /// Until nothing can be left out any more, or it takes too long.
    pub(super) fn shrink(&mut self) {
        loop {
            let before = self.runs;
            let smaller = self.fewer_faults()
                | self.fewer_operations()
                | self.sooner_faults()
                | self.fewer_callers()
                | self.simpler_operations();
            if !smaller || self.runs == before || self.is_enough() {
                return;
            }
        }
    }

    fn is_enough(&self) -> bool {
        self.runs >= self.settings.shrink_runs_max
    }

    /// Takes `plan` if it fails as well.
    fn takes(&mut self, plan: Plan<S::Operation>) -> bool {
        if self.is_enough() {
            return false;
        }
        self.runs += 1;
        let ran = run(self.scenario, self.settings, &plan);
        let fails = matches!(&ran.outcome, Err(found) if found.invariant == self.invariant);
        if fails {
            self.plan = plan;
            self.ran = ran;
        }
        fails
    }

    fn fewer_faults(&mut self) -> bool {
        self.leave_out(|plan| &plan.faults, |plan, faults| plan.faults = faults)
    }

    fn fewer_operations(&mut self) -> bool {
        self.leave_out(
            |plan| &plan.operations,
            |plan, operations| plan.operations = operations,
        )
    }

    /// Leaves out halves, then quarters, and so on down to single ones.
    fn leave_out<T: Clone>(
        &mut self,
        of: fn(&Plan<S::Operation>) -> &Vec<T>,
        put: fn(&mut Plan<S::Operation>, Vec<T>),
    ) -> bool {
        let mut smaller = false;
        let mut chunk = of(&self.plan).len();
        while chunk > 0 && !self.is_enough() {
            let mut start = 0;
            while start < of(&self.plan).len() {
                let end = (start + chunk).min(of(&self.plan).len());
                let mut rest = of(&self.plan).clone();
                rest.drain(start..end);
                let mut plan = self.plan.clone();
                put(&mut plan, rest);
                if self.takes(plan) {
                    smaller = true;
                } else {
                    start = end;
                }
            }
            chunk /= 2;
        }
        smaller
    }

    /// What need not happen before a fault can be left out afterwards.
    fn sooner_faults(&mut self) -> bool {
        let mut smaller = false;
        for number in 0..self.plan.faults.len() {
            let Some(planned) = self.plan.faults.get(number).copied() else {
                continue;
            };
            for fault in planned.fault.sooner() {
                let mut plan = self.plan.clone();
                if let Some(planned) = plan.faults.get_mut(number) {
                    planned.fault = fault;
                }
                if self.takes(plan) {
                    smaller = true;
                    break;
                }
            }
        }
        smaller
    }

    fn fewer_callers(&mut self) -> bool {
        self.each(
            |plan| plan.operations.len(),
            |plan, number| {
                let planned = plan.operations.get_mut(number)?;
                let is_other = planned.caller > 0;
                planned.caller = 0;
                plan.operations.sort_by_key(|planned| planned.at_ms);
                is_other.then_some(())
            },
        )
    }

    /// Tries `change` on each of so many parts; it gives `None` where there is nothing to change.
    fn each(
        &mut self,
        count: fn(&Plan<S::Operation>) -> usize,
        change: fn(&mut Plan<S::Operation>, usize) -> Option<()>,
    ) -> bool {
        let mut smaller = false;
        for number in 0..count(&self.plan) {
            let mut plan = self.plan.clone();
            if change(&mut plan, number).is_some() {
                smaller |= self.takes(plan);
            }
        }
        smaller
    }

    fn simpler_operations(&mut self) -> bool {
        let mut smaller = false;
        for number in 0..self.plan.operations.len() {
            let Some(planned) = self.plan.operations.get(number) else {
                continue;
            };
            let PlannedOperation { operation, .. } = planned;
            for simpler in self.scenario.simpler(operation) {
                let mut plan = self.plan.clone();
                if let Some(planned) = plan.operations.get_mut(number) {
                    planned.operation = simpler;
                }
                if self.takes(plan) {
                    smaller = true;
                    break;
                }
            }
        }
        smaller
    }
}
