use std::sync::{Arc, Weak};
use std::time::Instant;

use foldhouse_store::Version;

use super::{Phase, Slot};
use crate::aggregate::Aggregate;
use crate::cell::Cell;
use crate::hydrate::hydrate;
use crate::refusal::{NotRecorded, Refusal};
use crate::residency::Seat;
use crate::restarts::Leave;
use crate::sync::atomic::Ordering;

/// Hydrates the aggregate, in a task of its own: a caller that gives up leaves nothing half done.
pub(super) fn start<A: Aggregate>(slot: &Arc<Slot<A>>, epoch: u64) {
    let weak: Weak<Slot<A>> = Arc::downgrade(slot);
    let starting = Starting {
        slot: Arc::clone(slot),
        epoch,
        seat: Some(slot.shared.residency.arrive(weak)),
    };
    #[cfg(not(shuttle))]
    slot.shared.tokio.spawn(starting.run());
    #[cfg(shuttle)]
    drop(shuttle::future::spawn(starting.run()));
}

/// A start under way. If it comes to nothing, for whatever reason, all that waits for the aggregate is answered.
struct Starting<A: Aggregate> {
    slot: Arc<Slot<A>>,
    epoch: u64,
    seat: Option<Seat>,
}

impl<A: Aggregate> Starting<A> {
    async fn run(mut self) {
        let slot = Arc::clone(&self.slot);
        if let Leave::No(parked) = slot.until_backed_off().await {
            return self.fail(&Refusal::Parked(parked));
        }
        let started = Instant::now();
        let deciding = || slot.deciding("its recorded events");
        let hydrated = match hydrate(&*slot.shared.store, &slot.stream, deciding).await {
            Ok(hydrated) => hydrated,
            Err(refusal) => {
                tracing::warn!(stream = %slot.stream, reason = %refusal, "an aggregate could not be hydrated");
                // What the store does not give now is not the aggregate's fault.
                if let Refusal::Unreadable(unreadable) = &refusal {
                    slot.failed(&unreadable.to_string());
                }
                return self.fail(&refusal);
            }
        };
        let from_snapshot = hydrated.snapshot_version > Version::EMPTY;
        slot.shared.meters.hydrated(started, from_snapshot);
        slot.set_durable(hydrated.version);
        if let Some(seat) = &mut self.seat
            && slot.shared.residency.measures()
        {
            slot.snapshot_bytes
                .store(hydrated.snapshot_bytes, Ordering::Relaxed);
            seat.resize(slot.state_bytes(&hydrated.state));
        }
        let cell = Box::new(Cell::new(Arc::clone(&slot), self.epoch, hydrated));
        self.live(cell);
    }

    /// The aggregate is there, and rests; what waited for it meanwhile is for an actor.
    fn live(&mut self, cell: Box<Cell<A>>) {
        let mut inbox = self.slot.inbox();
        inbox.phase = Phase::Live;
        inbox.seat = self.seat.take();
        inbox.rest = Some(cell);
        if inbox.closed || !inbox.queue.is_empty() {
            self.slot.wake(inbox);
        } else {
            drop(inbox);
            self.slot.relieve_if_over();
        }
    }

    fn fail(&mut self, refusal: &Refusal) {
        // It leaves before its slot counts as empty.
        self.seat = None;
        let inbox = self.slot.inbox();
        if inbox.epoch != self.epoch || !matches!(inbox.phase, Phase::Starting) {
            return;
        }
        self.slot.empty_and_refuse(inbox, refusal);
    }
}

impl<A: Aggregate> Drop for Starting<A> {
    fn drop(&mut self) {
        // Only where the task was cancelled or panicked: otherwise the slot is not starting any more.
        self.fail(&Refusal::NotRecorded(NotRecorded::ActorEnded));
    }
}
