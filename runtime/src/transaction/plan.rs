use std::sync::Arc;

use super::participant::{Decide, Enlisted, Participant};
use crate::aggregate::Aggregate;
use crate::slot::Slot;

/// The steps as they were given.
#[derive(Default)]
pub struct Plan {
    enlisted: Vec<Box<dyn Participant>>,
}

impl Plan {
    /// Adds the next step, for the aggregate of `slot`.
    pub(super) fn add<A: Aggregate>(&mut self, slot: &Arc<Slot<A>>, step: Box<dyn Decide<A>>) {
        let index = self.enlisted.len();
        self.enlisted
            .push(Box::new(Enlisted::new(slot, index, step)));
    }

    /// The aggregates in the order of their stream ids, each with its steps in the order in which they were given.
    pub(super) fn participants(self) -> Vec<Box<dyn Participant>> {
        let mut sorted = self.enlisted;
        sorted.sort_by(|one, other| one.stream().cmp(other.stream()));
        let is_doubled = |pair: &[Box<dyn Participant>]| matches!(pair, [one, two] if one.is_same_aggregate(&**two));
        if !sorted.windows(2).any(is_doubled) {
            return sorted;
        }
        let mut participants: Vec<Box<dyn Participant>> = Vec::with_capacity(sorted.len());
        for next in sorted {
            match participants.last_mut() {
                Some(last) if last.is_same_aggregate(&*next) => last.absorb(next),
                _ => participants.push(next),
            }
        }
        participants
    }
}

impl std::fmt::Debug for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plan")
            .field("steps", &self.enlisted.len())
            .finish()
    }
}
