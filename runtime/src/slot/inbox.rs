use std::collections::VecDeque;
use std::task::Waker;

use crate::actor::Ended;
use crate::aggregate::Aggregate;
use crate::cell::Cell;
use crate::residency::Seat;
use crate::work::Work;

/// A slot's mailbox and what is known of its actor, under one lock.
pub(super) struct Inbox<A: Aggregate> {
    /// Bounded by the permits that each piece of work holds.
    pub(super) queue: VecDeque<Box<dyn Work<A>>>,
    pub(super) phase: Phase,
    /// Whether there is an actor, or is about to be one. An aggregate at rest needs none.
    pub(super) manned: bool,
    /// Whether the actor is going to look into the queue without being woken.
    pub(super) awake: bool,
    /// Whether the actor is to leave once nothing waits for it; the aggregate stays.
    pub(super) dismissed: bool,
    /// Whether the actor has had work since this was looked at last.
    pub(super) has_worked: bool,
    /// Whether nothing new is taken.
    pub(super) closed: bool,
    /// Counts the lives of the aggregate in memory from 1; the last one begun.
    pub(super) epoch: u64,
    /// The aggregate itself, while no actor works on it and nobody has borrowed it.
    pub(super) rest: Option<Box<Cell<A>>>,
    /// Whether somebody has the aggregate who is not its actor. The actor, if there is one, sleeps meanwhile.
    pub(super) borrowed: bool,
    /// Why the actor has to end: what happened to the aggregate while it was borrowed.
    pub(super) ended: Option<Ended>,
    /// Its place in memory, from its start until it is told to go.
    pub(super) seat: Option<Seat>,
    /// Wakes the actor. Kept over its sleeps: a waker that is already there need not be cloned again.
    waker: Option<Waker>,
}

/// Where a slot's aggregate is in its life.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// It is not in memory.
    Empty,
    /// It is being hydrated.
    Starting,
    /// It is in memory: at work or at rest.
    Live,
    /// It takes no work any more.
    Ending,
    /// Its life is over, but somebody still has it.
    Orphaned,
}

impl<A: Aggregate> Inbox<A> {
    pub(super) fn new() -> Self {
        Self {
            queue: VecDeque::new(),
            phase: Phase::Empty,
            manned: false,
            awake: false,
            dismissed: false,
            has_worked: false,
            closed: false,
            epoch: 0,
            rest: None,
            borrowed: false,
            ended: None,
            seat: None,
            waker: None,
        }
    }

    pub(super) fn begin_epoch(&mut self) -> u64 {
        self.phase = Phase::Starting;
        self.unman();
        self.ended = None;
        self.epoch += 1;
        self.epoch
    }

    /// The aggregate is not in memory any more. A slot that somebody keeps a handle on takes no more room than it has to.
    pub(super) fn empty(&mut self) {
        self.phase = Phase::Empty;
        self.unman();
        self.queue = VecDeque::new();
    }

    /// There is no actor any more.
    pub(super) fn unman(&mut self) {
        self.manned = false;
        self.awake = false;
        self.dismissed = false;
        self.has_worked = false;
        self.waker = None;
    }

    pub(super) fn sleep(&mut self, waker: &Waker) {
        self.awake = false;
        match &mut self.waker {
            Some(kept) => kept.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
    }

    /// Lets the actor look into the queue, if it sleeps and has something to look with. True if there is none: then the
    /// caller has to start one, behind the lock.
    #[must_use]
    pub(super) fn wake(&mut self) -> bool {
        if self.phase != Phase::Live || self.awake || self.borrowed {
            return false;
        }
        self.awake = true;
        let unmanned = !self.manned;
        self.manned = true;
        if let Some(waker) = &self.waker {
            waker.wake_by_ref();
        }
        unmanned
    }
}
