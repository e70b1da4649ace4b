use std::sync::Arc;
use std::time::Instant;

use foldhouse_store::Version;
use ractor::{Actor, ActorRef};

use super::{Phase, Slot};
use crate::actor::{AggregateActor, Incarnation, Run};
use crate::aggregate::Aggregate;
use crate::hydrate::hydrate;
use crate::refusal::{NotRecorded, Refusal};

/// Hydrates the aggregate and starts its actor, in a task of its own: a caller that gives up leaves nothing half done.
pub(super) fn start<A: Aggregate>(slot: &Arc<Slot<A>>, epoch: u64) {
    let starting = Starting {
        slot: Arc::clone(slot),
        epoch,
    };
    slot.shared.tokio.spawn(starting.run());
}

/// A start under way. If it comes to nothing, for whatever reason, all that waits for the actor is answered.
struct Starting<A: Aggregate> {
    slot: Arc<Slot<A>>,
    epoch: u64,
}

impl<A: Aggregate> Starting<A> {
    async fn run(self) {
        let slot = &self.slot;
        let started = Instant::now();
        let hydrated = match hydrate::<A>(&*slot.shared.store, &slot.stream).await {
            Ok(hydrated) => hydrated,
            Err(refusal) => {
                tracing::warn!(stream = %slot.stream, reason = %refusal, "an aggregate could not be hydrated");
                return self.fail(&refusal);
            }
        };
        let from_snapshot = hydrated.snapshot_version > Version::EMPTY;
        slot.shared.meters.hydrated(started, from_snapshot);
        slot.set_durable(hydrated.version);
        let incarnation = Incarnation::new(Arc::clone(slot), self.epoch, hydrated);
        let supervisor = slot.shared.supervisor.clone();
        match AggregateActor::spawn_linked(None, AggregateActor::new(), incarnation, supervisor)
            .await
        {
            Ok((actor, _task)) => self.live(actor),
            Err(error) => {
                tracing::warn!(stream = %slot.stream, %error, "an aggregate's actor did not start");
                self.fail(&Refusal::NotRecorded(NotRecorded::ShuttingDown));
            }
        }
    }

    fn live(self, actor: ActorRef<Run>) {
        let mut inbox = self.slot.inbox();
        if inbox.stillborn {
            drop(inbox);
            return self.fail(&Refusal::NotRecorded(NotRecorded::ActorEnded));
        }
        inbox.phase = Phase::Live;
        drop(inbox);
        // Fails only if it has been killed meanwhile; its end then empties the slot.
        let _ = actor.send_message(Run);
    }

    fn fail(&self, refusal: &Refusal) {
        let mut inbox = self.slot.inbox();
        if inbox.epoch != self.epoch || !matches!(inbox.phase, Phase::Starting) {
            return;
        }
        inbox.phase = Phase::Empty;
        inbox.awake = false;
        let waiting = std::mem::take(&mut inbox.queue);
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
