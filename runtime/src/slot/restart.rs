use tokio::time::sleep_until;

use super::Slot;
use crate::actor::Ended;
use crate::aggregate::Aggregate;
use crate::restarts::Leave;

impl<A: Aggregate> Slot<A> {
    /// Counts the end of an actor as the aggregate's failure, if it is one: a failed append is not its fault.
    pub(crate) fn count_if_failure(&self, ended: &Ended) {
        match ended {
            Ended::Voided(_) => {}
            Ended::Panicked { .. } => self.failed(&ended.to_string()),
        }
    }

    pub(super) fn failed(&self, reason: &str) {
        let now = self.shared.options.clock.now();
        self.shared.restarts.failed(&self.stream, reason, now);
    }

    /// Waits until the aggregate may come back to memory. A runtime that shuts down has no time for that.
    pub(crate) async fn until_backed_off(&self) -> Leave {
        loop {
            match self.shared.restarts.leave(&self.stream) {
                Leave::At(at) if !self.shared.is_closing() => {
                    tokio::select! {
                        () = sleep_until(at) => {}
                        () = self.shared.until_closing() => {}
                    }
                }
                leave => return leave,
            }
        }
    }
}
