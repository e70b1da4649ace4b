use std::sync::{Arc, Weak};
use std::time::Instant;

use foldhouse_store::Version;
#[cfg(not(shuttle))]
use ractor::Actor;

use super::{Phase, Slot};
use crate::actor::Incarnation;
#[cfg(not(shuttle))]
use crate::actor::{AggregateActor, Run};
use crate::aggregate::Aggregate;
use crate::hydrate::hydrate;
use crate::refusal::{NotRecorded, Refusal};
use crate::residency::Seat;
use crate::restarts::Leave;
use crate::sync::atomic::Ordering;

/// Hydrates the aggregate and starts its actor, in a task of its own: a caller that gives up leaves nothing half done.
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

/// A start under way. If it comes to nothing, for whatever reason, all that waits for the actor is answered.
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
        let incarnation = Incarnation::new(slot, self.epoch, hydrated);
        self.spawn(incarnation).await;
    }

    /// ractor's actors are not for shuttle to order: there the incarnation lives as a bare task.
    #[cfg(shuttle)]
    async fn spawn(mut self, mut incarnation: Incarnation<A>) {
        if self.live() {
            drop(shuttle::future::spawn(async move {
                let _ = incarnation.live().await;
            }));
        }
    }

    #[cfg(not(shuttle))]
    async fn spawn(mut self, incarnation: Incarnation<A>) {
        let supervisor = self.slot.shared.supervisor.clone();
        match AggregateActor::spawn_linked(None, AggregateActor::new(), incarnation, supervisor)
            .await
        {
            // It fails only if it has been killed meanwhile; its end then empties the slot.
            Ok((actor, _task)) if self.live() => drop(actor.send_message(Run)),
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(stream = %self.slot.stream, %error, "an aggregate's actor did not start");
                self.fail(&Refusal::NotRecorded(NotRecorded::ShuttingDown));
            }
        }
    }

    /// The actor is there. False if it is gone again.
    fn live(&mut self) -> bool {
        let mut inbox = self.slot.inbox();
        if inbox.stillborn {
            drop(inbox);
            self.fail(&Refusal::NotRecorded(NotRecorded::ActorEnded));
            return false;
        }
        inbox.phase = Phase::Live;
        inbox.seat = self.seat.take();
        true
    }

    fn fail(&mut self, refusal: &Refusal) {
        // It leaves before its slot counts as empty.
        self.seat = None;
        let mut inbox = self.slot.inbox();
        if inbox.epoch != self.epoch || !matches!(inbox.phase, Phase::Starting) {
            return;
        }
        let waiting = std::mem::take(&mut inbox.queue);
        inbox.empty();
        drop(inbox);
        // Before the answers: they drop what is the user's, and a panic in there must not leave the slot counted. A
        // shutdown waits for the permits that are still out.
        self.slot.shared.slot_emptied();
        for work in waiting {
            work.refuse(refusal.clone());
        }
    }
}

impl<A: Aggregate> Drop for Starting<A> {
    fn drop(&mut self) {
        // Only where the task was cancelled or panicked: otherwise the slot is not starting any more.
        self.fail(&Refusal::NotRecorded(NotRecorded::ActorEnded));
    }
}
