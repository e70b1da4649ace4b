use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::actors::Errand;
use super::{Phase, Slot};
use crate::aggregate::Aggregate;
use crate::residency::Resident;
use crate::sync::atomic::Ordering;

impl<A: Aggregate> Resident for Slot<A> {
    fn last_used(&self) -> u64 {
        self.last_used.load(Ordering::Relaxed)
    }

    fn retire(self: Arc<Self>) {
        let mut inbox = self.inbox();
        if inbox.phase != Phase::Live || inbox.awake || inbox.rest.is_none() {
            return;
        }
        // Its actor has to look up once more, to end. It takes the aggregate along: dropping that is for its own task.
        let unmanned = inbox.wake();
        inbox.phase = Phase::Ending;
        // Before it can end: a shutdown that is done leaves nobody in memory.
        drop(inbox.seat.take());
        let epoch = inbox.epoch;
        drop(inbox);
        if unmanned {
            self.man(epoch, Errand::End);
        }
    }
}

impl<A: Aggregate> Slot<A> {
    /// It is used now, as far as the choice of who leaves memory goes.
    pub(super) fn touch(&self) {
        let now = self.shared.residency.now();
        self.last_used.store(now, Ordering::Relaxed);
    }

    /// The aggregate has come to rest: if more are in memory than should be, there may be one to go now.
    pub(super) fn relieve_if_over(&self) {
        if self.shared.residency.is_over() {
            self.shared.residency.relieve();
        }
    }

    /// How large a state of it is: as it says itself, or as its latest snapshot was.
    pub(crate) fn state_bytes(&self, state: &A) -> usize {
        // Unwind safe: the state is only read. What it says is not worth an actor's life.
        let says = catch_unwind(AssertUnwindSafe(|| state.resident_bytes()));
        says.unwrap_or_default()
            .max(self.snapshot_bytes.load(Ordering::Relaxed))
    }

    /// How large its state is now.
    pub(crate) fn resized(&self, state_bytes: usize) {
        if let Some(seat) = &mut self.inbox().seat {
            seat.resize(state_bytes);
        }
    }
}
