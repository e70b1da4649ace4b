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
    /// Whether the actor is going to look into the queue without being woken.
    pub(super) awake: bool,
    /// Whether nothing new is taken.
    pub(super) closed: bool,
    /// Whether the actor of this epoch was gone before it was known to live.
    pub(super) stillborn: bool,
    /// Counts the actors of this slot from 1; the last one begun.
    pub(super) epoch: u64,
    /// The aggregate itself, while its actor sleeps and nobody has borrowed it.
    pub(super) rest: Option<Box<Cell<A>>>,
    /// Whether somebody has the aggregate who is not its actor. The actor sleeps meanwhile.
    pub(super) borrowed: bool,
    /// Why the actor has to end: what happened to the aggregate while it was borrowed.
    pub(super) ended: Option<Ended>,
    /// Its place in memory, from its start until it is told to go.
    pub(super) seat: Option<Seat>,
    /// Wakes the actor. Kept over its sleeps: a waker that is already there need not be cloned again.
    waker: Option<Waker>,
}

/// Where a slot's actor is in its life.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// There is none.
    Empty,
    /// It is being hydrated.
    Starting,
    /// It works, or waits for work.
    Live,
    /// It handles nothing any more.
    Ending,
    /// It is gone, but somebody still has the aggregate.
    Orphaned,
}

impl<A: Aggregate> Inbox<A> {
    pub(super) fn new() -> Self {
        Self {
            queue: VecDeque::new(),
            phase: Phase::Empty,
            awake: false,
            closed: false,
            stillborn: false,
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
        self.awake = true;
        self.stillborn = false;
        self.ended = None;
        self.waker = None;
        self.epoch += 1;
        self.epoch
    }

    /// There is no actor any more. A slot that somebody keeps a handle on takes no more room than it has to.
    pub(super) fn empty(&mut self) {
        self.phase = Phase::Empty;
        self.awake = false;
        self.queue = VecDeque::new();
        self.waker = None;
    }

    pub(super) fn sleep(&mut self, waker: &Waker) {
        self.awake = false;
        match &mut self.waker {
            Some(kept) => kept.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
    }

    /// Lets the actor look into the queue, if it sleeps and has something to look with.
    pub(super) fn wake(&mut self) {
        if self.phase == Phase::Live && !self.awake && !self.borrowed {
            self.awake = true;
            if let Some(waker) = &self.waker {
                waker.wake_by_ref();
            }
        }
    }
}
