use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::plan::{Plan, PlannedFault, PlannedOperation};

/// What is still to be done of a plan.
pub(super) struct Todo<Operation> {
    operations: Mutex<Vec<VecDeque<PlannedOperation<Operation>>>>,
    faults: Mutex<VecDeque<PlannedFault>>,
}

impl<Operation: Clone> Todo<Operation> {
    pub(super) fn new(plan: &Plan<Operation>) -> Self {
        let mut operations = vec![VecDeque::new(); plan.callers()];
        for planned in &plan.operations {
            if let Some(lane) = operations.get_mut(planned.caller) {
                lane.push_back(planned.clone());
            }
        }
        Self {
            operations: Mutex::new(operations),
            faults: Mutex::new(plan.faults.iter().copied().collect()),
        }
    }

    pub(super) fn callers(&self) -> usize {
        lock(&self.operations).len()
    }

    pub(super) fn next_at_ms(&self, caller: usize) -> Option<u64> {
        Some(lock(&self.operations).get(caller)?.front()?.at_ms)
    }

    /// What is taken is not done again, whatever comes of it.
    pub(super) fn take(&self, caller: usize) -> Option<PlannedOperation<Operation>> {
        lock(&self.operations).get_mut(caller)?.pop_front()
    }

    pub(super) fn next_fault_at_ms(&self) -> Option<u64> {
        Some(lock(&self.faults).front()?.at_ms)
    }

    pub(super) fn take_fault(&self) -> Option<PlannedFault> {
        lock(&self.faults).pop_front()
    }

    pub(super) fn is_empty(&self) -> bool {
        lock(&self.operations).iter().all(VecDeque::is_empty)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics while it holds one of these locks.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
