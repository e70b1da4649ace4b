mod actors;
mod borrowed;
mod inbox;
mod resident;
mod restart;
mod start;

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll};

use foldhouse_store::{StreamId, Version};
use smallvec::SmallVec;

pub(crate) use self::borrowed::{Borrowed, Held};
use self::inbox::{Inbox, Phase};
use crate::actor::Ended;
use crate::admission::Gate;
use crate::aggregate::Aggregate;
use crate::cell::Cell;
use crate::crew::Post;
use crate::directory::AnySlot;
use crate::refusal::{NotRecorded, Refusal};
use crate::restarts::Leave;
use crate::shared::Shared;
use crate::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use crate::sync::{Mutex, MutexGuard, yield_point};
use crate::watchdog::{Deciding, deciding};
use crate::work::Work;

/// The place of one aggregate in the runtime: its mailbox, its limit, and the actor that works there, if there is one.
///
/// The mailbox is the slot's and not the actor's: what is queued outlives an actor that fails or ends and is handled by
/// the next one, in order, and closing it cannot race with a sender. ractor starts, supervises and ends the actor.
///
/// While no actor works the aggregate rests here, and a caller may borrow it (`borrowed`): a command to an idle
/// aggregate is decided where it is sent, without two switches between tasks. The order is the mailbox's all the same:
/// nothing is lent past what is queued. An aggregate at rest needs no actor, which takes more memory than all the rest:
/// one starts when something waits in the mailbox, and leaves after a while without work (`actors`).
///
/// Invariant: at most one actor works. The aggregate's life in memory is an epoch, which begins and ends under the inbox
/// lock, and ends only in the hands of an actor that has the aggregate back. An actor that has left, under the same lock,
/// touches nothing any more.
pub(crate) struct Slot<A: Aggregate> {
    pub(crate) stream: StreamId,
    pub(crate) shared: Arc<Shared>,
    /// Bounds the commands and queries in flight here.
    pub(crate) admission: Gate,
    /// Whether a snapshot of this aggregate is being saved.
    pub(crate) snapshotting: AtomicBool,
    /// How many bytes its latest snapshot takes; 0 if none is known of.
    pub(crate) snapshot_bytes: AtomicUsize,
    /// When it was used last, by the clock of `residency`.
    last_used: AtomicU64,
    inbox: Mutex<Inbox<A>>,
    /// The highest version that is known to be durable.
    durable: AtomicU64,
    /// The last epoch that built on an append that failed.
    voided_epoch: AtomicU64,
    /// The last such epochs, oldest first, each with the lowest version that it reached by an append that failed.
    voided_from: Mutex<VoidedFrom>,
}

/// The epochs that built on an append that failed, and from which version on.
type VoidedFrom = SmallVec<[(u64, Version); 1]>;

/// So many of them are remembered: news of an older one would have to lie about for that many lives.
const VOIDED_EPOCHS_MAX: usize = 16;

/// What the actor finds when it looks for work.
pub(crate) enum Turn<A: Aggregate> {
    /// The aggregate, and one thing to do.
    One(Box<Cell<A>>, Box<dyn Work<A>>),
    /// The aggregate, and several things to do, put into its batch.
    Several(Box<Cell<A>>),
    /// The aggregate's life is to end, for this reason if it is before its time.
    End(Result<(), Ended>),
    /// The actor has left. The aggregate rests, and may be another actor's by now.
    Leave,
}

impl<A: Aggregate> Slot<A> {
    pub(crate) fn new(shared: Arc<Shared>, stream: StreamId) -> Self {
        let admission = Gate::new(shared.options.commands_in_flight_per_aggregate_max);
        Self {
            stream,
            shared,
            admission,
            snapshotting: AtomicBool::new(false),
            snapshot_bytes: AtomicUsize::new(0),
            last_used: AtomicU64::new(0),
            inbox: Mutex::new(Inbox::new()),
            durable: AtomicU64::new(0),
            voided_epoch: AtomicU64::new(0),
            voided_from: Mutex::new(VoidedFrom::new()),
        }
    }

    /// Does the work here and now if nothing is before it; else queues it.
    pub(crate) fn handle<W: Work<A>>(self: &Arc<Self>, work: W) {
        // While the store is full, who waits for it is the actor.
        let here = self.shared.store.is_ready().then(|| self.borrow());
        match here.flatten() {
            Some(borrowed) => borrowed.run(work),
            None => self.push(Box::new(work)),
        }
    }

    /// Queues work, and makes sure that an actor comes to it. What cannot be queued is answered at once.
    pub(crate) fn push(self: &Arc<Self>, work: Box<dyn Work<A>>) {
        let mut inbox = self.inbox();
        let empty = inbox.phase == Phase::Empty;
        if inbox.closed || (empty && self.shared.is_closing()) {
            // An answer wakes its caller: never under the lock.
            drop(inbox);
            return work.refuse(Refusal::NotRecorded(NotRecorded::ShuttingDown));
        }
        if empty && let Leave::No(parked) = self.shared.restarts.leave(&self.stream) {
            drop(inbox);
            return work.refuse(Refusal::Parked(parked));
        }
        inbox.queue.push_back(work);
        if empty {
            self.shared.slot_occupied();
            let epoch = inbox.begin_epoch();
            drop(inbox);
            start::start(self, epoch);
        } else {
            self.wake(inbox);
        }
    }

    /// Sees to it that the aggregate is in memory, ahead of the work that comes.
    pub(crate) fn warm(self: &Arc<Self>) {
        let mut inbox = self.inbox();
        if inbox.phase == Phase::Empty && !inbox.closed && !self.shared.is_closing() {
            self.shared.slot_occupied();
            let epoch = inbox.begin_epoch();
            drop(inbox);
            start::start(self, epoch);
        }
    }

    /// Gives this epoch's actor the aggregate and what is queued, or lets both rest until something is. `cell` is the
    /// aggregate if the actor has it.
    pub(crate) fn poll_turn(
        &self,
        context: &mut Context<'_>,
        epoch: u64,
        cell: &mut Option<Box<Cell<A>>>,
        batch: &mut VecDeque<Box<dyn Work<A>>>,
        post: &mut Option<Post>,
    ) -> Poll<Turn<A>> {
        let mut inbox = self.inbox();
        if let Some(ended) = inbox.ended.take() {
            return Poll::Ready(Turn::End(Err(ended)));
        }
        if inbox.phase == Phase::Ending {
            // It is passivated. What has come meanwhile is for the next actor.
            *cell = inbox.rest.take();
            return Poll::Ready(Turn::End(Ok(())));
        }
        let Some(resting) = cell.take().or_else(|| inbox.rest.take()) else {
            // Somebody has borrowed it, and wakes the actor on giving it back.
            return self.rest(inbox, context, post);
        };
        inbox.awake = true;
        // Under the lock, or the nudge that follows a void could come before the sleep that it is to end.
        if self.is_voided(epoch) {
            drop(inbox);
            let voided = Ended::Voided(self.stream.clone());
            return Poll::Ready(Turn::End(Err(voided)));
        }
        if !inbox.queue.is_empty() {
            inbox.has_worked = true;
            inbox.dismissed = false;
            self.touch();
        }
        if inbox.queue.len() > 1 {
            // The queue takes over the batch's room.
            std::mem::swap(&mut inbox.queue, batch);
            return Poll::Ready(Turn::Several(resting));
        }
        if let Some(work) = inbox.queue.pop_front() {
            return Poll::Ready(Turn::One(resting, work));
        }
        if inbox.closed {
            inbox.phase = Phase::Ending;
            // The aggregate is dropped behind the lock: its drop is the domain's.
            drop(inbox);
            return Poll::Ready(Turn::End(Ok(())));
        }
        inbox.rest = Some(resting);
        let rests = self.rest(inbox, context, post);
        self.relieve_if_over();
        rests
    }

    /// This life of the aggregate is over; `unhandled` is what its actor took and did not come to. An actor that was
    /// called and never ran has no successor: that would not run either, if the tasks' runtime is gone, say.
    pub(crate) fn ended(
        self: &Arc<Self>,
        epoch: u64,
        mut unhandled: VecDeque<Box<dyn Work<A>>>,
        has_run: bool,
    ) {
        // Declared before the lock, and so dropped behind it: its drop is the domain's.
        let _rest;
        let mut inbox = self.inbox();
        if inbox.epoch != epoch {
            return;
        }
        _rest = inbox.rest.take();
        // Before the slot counts as empty: a shutdown that is done leaves nobody in memory.
        drop(inbox.seat.take());
        unhandled.append(&mut inbox.queue);
        inbox.queue = unhandled;
        match inbox.phase {
            // The next one must not begin while somebody decides on this one's state.
            Phase::Live | Phase::Ending if inbox.borrowed => inbox.phase = Phase::Orphaned,
            Phase::Live | Phase::Ending if has_run => self.empty_or_restart(inbox),
            Phase::Live | Phase::Ending => {
                self.empty_and_refuse(inbox, &Refusal::NotRecorded(NotRecorded::ActorEnded));
            }
            // Only what is in memory has a life that can end.
            Phase::Starting | Phase::Empty | Phase::Orphaned => {}
        }
    }

    /// The aggregate is not in memory, and who waits for it is told why.
    fn empty_and_refuse(&self, mut inbox: MutexGuard<'_, Inbox<A>>, refusal: &Refusal) {
        let waiting = std::mem::take(&mut inbox.queue);
        inbox.empty();
        drop(inbox);
        // Before the answers: they drop what is the user's, and a panic in there must not leave the slot counted. A
        // shutdown waits for the permits that are still out.
        self.shared.slot_emptied();
        for work in waiting {
            work.refuse(refusal.clone());
        }
    }

    fn empty_or_restart(self: &Arc<Self>, mut inbox: MutexGuard<'_, Inbox<A>>) {
        if inbox.queue.is_empty() {
            inbox.empty();
            drop(inbox);
            self.shared.slot_emptied();
            return;
        }
        // Whether it may start now, and at all, is looked at on the way.
        self.shared.meters.restarts.increment(1);
        let epoch = inbox.begin_epoch();
        drop(inbox);
        start::start(self, epoch);
    }

    /// Lets the watchdog see, while the result lives, that this thread works for this aggregate.
    pub(crate) fn deciding(self: &Arc<Self>, command: &'static str) -> Option<Deciding> {
        deciding(Arc::as_ptr(self).cast::<()>() as usize, command)
    }

    /// Wakes the actor if it sleeps, so that it notices a void.
    pub(crate) fn nudge(self: &Arc<Self>) {
        self.wake(self.inbox());
    }

    /// Whether everything up to `version` is known to be durable.
    pub(crate) fn is_durable(&self, version: Version) -> bool {
        self.durable.load(Ordering::Acquire) >= version.get()
    }

    /// Everything up to `version` is durable. Late news of an older version only cost a check.
    pub(crate) fn set_durable(&self, version: Version) {
        self.durable.store(version.get(), Ordering::Release);
    }

    /// An append of this epoch failed, and what it had from this version on is gone. True for the first of its
    /// epoch, which no earlier one has voided.
    pub(crate) fn void(&self, epoch: u64, gone_from: Option<Version>) -> bool {
        let version = gone_from.unwrap_or(Version::new(u64::MAX));
        let mut voided = self.voided_from();
        match voided.iter_mut().find(|(known, _)| *known == epoch) {
            Some((_, from)) => *from = version.min(*from),
            None => {
                if voided.len() == VOIDED_EPOCHS_MAX {
                    voided.remove(0);
                }
                voided.push((epoch, version));
            }
        }
        drop(voided);
        self.voided_epoch.fetch_max(epoch, Ordering::AcqRel) < epoch
    }

    /// Whether what this epoch had at `version` rested on an append that failed.
    pub(crate) fn is_voided_at(&self, epoch: u64, version: Version) -> bool {
        if !self.is_voided(epoch) {
            return false;
        }
        let voided = self.voided_from();
        match voided.iter().find(|(known, _)| *known == epoch) {
            Some((_, from)) => version >= *from,
            // An epoch that ended well stays good, also if its news comes after those of a later one that did not. Of one
            // from before all that are remembered nothing is known any more.
            None => {
                let oldest = voided.first().map_or(0, |(known, _)| *known);
                voided.len() == VOIDED_EPOCHS_MAX && epoch < oldest
            }
        }
    }

    pub(crate) fn is_voided(&self, epoch: u64) -> bool {
        self.voided_epoch.load(Ordering::Acquire) >= epoch
    }

    fn voided_from(&self) -> MutexGuard<'_, VoidedFrom> {
        self.voided_from
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn inbox(&self) -> MutexGuard<'_, Inbox<A>> {
        // Nothing panics while it holds the lock; a poisoned one is whole.
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<A: Aggregate> AnySlot for Slot<A> {
    fn close(self: Arc<Self>) {
        let mut inbox = self.inbox();
        inbox.closed = true;
        self.wake(inbox);
    }

    fn is_occupied(&self) -> bool {
        self.inbox().phase != Phase::Empty
    }
}

impl<A: Aggregate> Drop for Slot<A> {
    fn drop(&mut self) {
        yield_point();
        self.shared.directory.forget(&self.stream);
    }
}
