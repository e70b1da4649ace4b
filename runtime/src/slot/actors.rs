use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

#[cfg(not(shuttle))]
use ractor::Actor;

use super::inbox::Inbox;
use super::{Phase, Slot, Turn};
use crate::actor::Incarnation;
#[cfg(not(shuttle))]
use crate::actor::{AggregateActor, Run};
use crate::aggregate::Aggregate;
use crate::crew::{Member, Post};
use crate::shared::Shared;
use crate::sync::MutexGuard;

/// What an actor is started for.
#[derive(Clone, Copy)]
pub(super) enum Errand {
    /// Something waits in the mailbox, or has happened to the aggregate.
    Work,
    /// The aggregate leaves memory, and nothing is asked of it any more: that takes a task, and no supervised actor.
    End,
}

impl<A: Aggregate> Slot<A> {
    /// Lets the actor look into the mailbox, and starts one if there is none.
    pub(super) fn wake(self: &Arc<Self>, mut inbox: MutexGuard<'_, Inbox<A>>) {
        if !inbox.wake() {
            return;
        }
        let errand = match inbox.closed && inbox.queue.is_empty() && inbox.ended.is_none() {
            true => Errand::End,
            false => Errand::Work,
        };
        let epoch = inbox.epoch;
        drop(inbox);
        self.man(epoch, errand);
    }

    /// Starts an actor. Whoever calls has noted under the lock that there is one.
    pub(super) fn man(self: &Arc<Self>, epoch: u64, errand: Errand) {
        match errand {
            Errand::End => {
                let incarnation = Incarnation::new(Arc::clone(self), epoch, None);
                spawn_bare(&self.shared, incarnation);
            }
            Errand::Work => {
                let weak: Weak<Self> = Arc::downgrade(self);
                let post = Post::taken(&self.shared.crew, weak);
                let incarnation = Incarnation::new(Arc::clone(self), epoch, Some(post));
                spawn(&self.shared, incarnation);
            }
        }
    }

    #[cfg(test)]
    pub(crate) fn has_actor(&self) -> bool {
        self.inbox().manned
    }

    /// The actor has nothing to do: it sleeps, or leaves if others need its memory.
    pub(super) fn rest(
        &self,
        mut inbox: MutexGuard<'_, Inbox<A>>,
        context: &Context<'_>,
        post: &mut Option<Post>,
    ) -> Poll<Turn<A>> {
        if inbox.dismissed || post.as_mut().is_some_and(Post::leaves_if_over) {
            *post = None;
            inbox.unman();
            return Poll::Ready(Turn::Leave);
        }
        inbox.sleep(context.waker());
        Poll::Pending
    }
}

impl<A: Aggregate> Member for Slot<A> {
    fn is_kept(self: Arc<Self>) -> bool {
        let mut inbox = self.inbox();
        if !inbox.manned {
            return false;
        }
        if inbox.awake || inbox.borrowed || inbox.has_worked {
            inbox.has_worked = false;
            return true;
        }
        if inbox.phase == Phase::Live {
            inbox.dismissed = true;
            // It has an actor, which sleeps: there is none to be started.
            let _has_none = inbox.wake();
        }
        false
    }
}

/// ractor's actors are not for shuttle to order: there they live as bare tasks.
#[cfg(shuttle)]
fn spawn<A: Aggregate>(shared: &Shared, incarnation: Incarnation<A>) {
    spawn_bare(shared, incarnation);
}

#[cfg(shuttle)]
fn spawn_bare<A: Aggregate>(_: &Shared, mut incarnation: Incarnation<A>) {
    drop(shuttle::future::spawn(async move {
        let _ = incarnation.live().await;
    }));
}

#[cfg(not(shuttle))]
fn spawn_bare<A: Aggregate>(shared: &Shared, mut incarnation: Incarnation<A>) {
    shared.tokio.spawn(async move {
        if let Err(error) = incarnation.live().await {
            tracing::warn!(%error, "an aggregate failed on its way out of memory");
        }
    });
}

#[cfg(not(shuttle))]
fn spawn<A: Aggregate>(shared: &Shared, incarnation: Incarnation<A>) {
    let supervisor = shared.supervisor.clone();
    shared.tokio.spawn(async move {
        match AggregateActor::spawn_linked(None, AggregateActor::new(), incarnation, supervisor)
            .await
        {
            // If it is gone already, its incarnation has answered what waited for it.
            Ok((actor, _task)) => drop(actor.send_message(Run)),
            Err(error) => tracing::warn!(%error, "an aggregate's actor did not start"),
        }
    });
}
