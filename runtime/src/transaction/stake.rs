use foldhouse_store::{StreamId, Version};

use super::participant::Enlisted;
use crate::aggregate::Aggregate;

/// What one participant has at stake in a transaction's append: what its state in memory is worth after it. The same
/// steps as for the append of a single command (`work/unsettled.rs`), for aggregates of any type.
pub(super) trait Stake: Send {
    fn stream(&self) -> &StreamId;
    /// Whether everything that its decision rested on is durable already.
    fn is_durable(&self) -> bool;
    /// Whether what it had, with its events (`recorded`) or before them, rested on an append that failed.
    fn is_voided(&self, recorded: bool) -> bool;
    /// The append is durable.
    fn set_durable(&self, recorded: bool);
    /// The append failed; if it was a conflict, over this stream, which has this version. True if an earlier one had voided
    /// its state already.
    fn void(&self, recorded: bool, conflict: Option<(&StreamId, Version)>) -> bool;
    /// Before the answer, or who has it could still find the limit reached.
    fn give_back_place(&mut self);
    /// What has time until the answer is given.
    fn finish(&mut self, recorded: bool);
}

impl<A: Aggregate> Enlisted<A> {
    fn has_events(&self, recorded: bool) -> bool {
        recorded && self.after > self.before
    }

    fn version(&self, recorded: bool) -> Version {
        if recorded { self.after } else { self.before }
    }
}

impl<A: Aggregate> Stake for Enlisted<A> {
    fn stream(&self) -> &StreamId {
        &self.slot.stream
    }

    fn is_durable(&self) -> bool {
        self.slot.is_durable(self.before)
    }

    fn is_voided(&self, recorded: bool) -> bool {
        // What is durable stays. Later actors need not wait for an append that has no events here, and what they are
        // refused meanwhile must not count against it.
        if self.was_durable && !self.has_events(recorded) {
            return false;
        }
        self.slot.is_voided_at(self.epoch, self.version(recorded))
    }

    fn set_durable(&self, recorded: bool) {
        self.slot.set_durable(self.version(recorded));
    }

    fn void(&self, recorded: bool, conflict: Option<(&StreamId, Version)>) -> bool {
        let was_void = self.slot.is_voided(self.epoch);
        let conflict = conflict.filter(|(stream, _)| **stream == self.slot.stream);
        let has_events = self.has_events(recorded);
        let gone_from = match conflict {
            // Another writer went on behind what this was decided on: that is there.
            Some((_, actual)) if actual >= self.before && !has_events => self.before.next(),
            // Of this state nothing is gone: what was decided on it meanwhile counts.
            None if !has_events => return was_void,
            Some(_) | None => self.version(recorded),
        };
        self.slot.void(self.epoch, Some(gone_from));
        was_void
    }

    fn give_back_place(&mut self) {
        self.place = None;
    }

    fn finish(&mut self, recorded: bool) {
        match self.snapshot.take() {
            Some(snapshot) if recorded => snapshot.start(),
            _ => {}
        }
        // Lets a sleeping actor notice a void.
        if self.slot.is_voided(self.epoch) {
            self.slot.nudge();
        }
    }
}
