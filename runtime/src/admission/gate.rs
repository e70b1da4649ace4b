mod line;

use std::future::Future;
use std::pin::Pin;
use std::sync::PoisonError;
use std::task::{Context, Poll, Waker};

use smallvec::SmallVec;
use tokio::sync::Notify;

use self::line::Line;
use crate::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use crate::sync::{Mutex, MutexGuard};

/// Lets so many in at a time, in the order of arrival. One atomic step in and one out while nobody has to wait, which
/// is less than half of what a tokio semaphore takes. Who waits is counted inside from the moment that its turn comes.
///
/// Any number may wait, and give up.
pub(crate) struct Gate {
    inside: AtomicUsize,
    /// How many wait: who sees one lets those go first.
    waiting: AtomicUsize,
    limit: usize,
    line: Mutex<Line>,
    /// All tickets below this one have had their turn, or were given up.
    called: AtomicU64,
    emptied: Notify,
}

/// So many are called under the lock at a time, and woken behind it.
const CALLED_AT_ONCE: usize = 16;

impl Gate {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            inside: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            limit,
            line: Mutex::default(),
            called: AtomicU64::new(0),
            emptied: Notify::new(),
        }
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    pub(crate) fn inside(&self) -> usize {
        self.inside.load(SeqCst)
    }

    /// Enters if there is room and nobody waits.
    pub(crate) fn try_enter(&self) -> bool {
        self.waiting.load(SeqCst) == 0 && self.take_place()
    }

    /// Enters, after everyone who waits already.
    pub(crate) fn enter(&self) -> Entering<'_> {
        let gate = self;
        Entering { gate, ticket: None }
    }

    /// Waits until nobody is inside and nobody waits to enter.
    pub(crate) async fn until_empty(&self) {
        let _waiting = ForEmpty::new(self);
        loop {
            // Before the look, or the news could come between the two.
            let emptied = self.emptied.notified();
            if self.is_empty() {
                return;
            }
            emptied.await;
        }
    }

    /// Gives the place back.
    pub(crate) fn leave(&self) {
        self.inside.fetch_sub(1, SeqCst);
        if self.waiting.load(SeqCst) > 0 {
            self.call();
        }
    }

    fn take_place(&self) -> bool {
        let mut inside = self.inside.load(SeqCst);
        while inside < self.limit {
            match self
                .inside
                .compare_exchange_weak(inside, inside + 1, SeqCst, SeqCst)
            {
                Ok(_) => return true,
                Err(now) => inside = now,
            }
        }
        false
    }

    fn is_empty(&self) -> bool {
        self.line().entering() == 0 && self.inside() == 0
    }

    /// Lets in who waits, as long as there is room.
    fn call(&self) {
        loop {
            let mut called: SmallVec<[Waker; CALLED_AT_ONCE]> = SmallVec::new();
            {
                let mut line = self.line();
                while called.len() < CALLED_AT_ONCE
                    && let Some((ticket, waker)) = line.call_if(|| self.take_place())
                {
                    self.called.store(ticket + 1, SeqCst);
                    called.push(waker);
                }
                self.note_waiting(&line);
            }
            let may_be_more = called.len() == CALLED_AT_ONCE;
            // Never under the lock: a waker may run what it wakes.
            called.into_iter().for_each(Waker::wake);
            if !may_be_more {
                return;
            }
        }
    }

    /// To be told whenever the line has changed.
    fn note_waiting(&self, line: &Line) {
        self.waiting.store(line.waiting(), SeqCst);
        if line.for_empty > 0 && line.entering() == 0 && self.inside() == 0 {
            self.emptied.notify_waiters();
        }
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        // Nothing panics while it holds the lock; a poisoned one is whole.
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One who enters; given up, it leaves the line, or the place that it was just given.
#[must_use = "nobody enters without waiting for it"]
pub(crate) struct Entering<'a> {
    gate: &'a Gate,
    /// While it waits.
    ticket: Option<u64>,
}

impl Entering<'_> {
    fn join(&mut self, waker: &Waker) -> Poll<()> {
        if self.gate.try_enter() {
            return Poll::Ready(());
        }
        let ticket = {
            let mut line = self.gate.line();
            let ticket = line.join(waker.clone());
            self.gate.note_waiting(&line);
            ticket
        };
        self.ticket = Some(ticket);
        // Seen to wait before the look: a place may have come free.
        self.gate.call();
        self.look(ticket)
    }

    /// Whether its turn has come.
    fn look(&mut self, ticket: u64) -> Poll<()> {
        if ticket < self.gate.called.load(SeqCst) {
            self.ticket = None;
            return Poll::Ready(());
        }
        Poll::Pending
    }

    /// Sees to it that its turn wakes whoever waits now.
    fn wait(&mut self, ticket: u64, now: &Waker) -> Poll<()> {
        let mut line = self.gate.line();
        let before = line.waker(ticket).and_then(|waker| {
            let other = !waker.will_wake(now);
            other.then(|| std::mem::replace(waker, now.clone()))
        });
        drop(line);
        drop(before);
        self.look(ticket)
    }
}

impl Future for Entering<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let Some(ticket) = self.ticket else {
            return self.join(context.waker());
        };
        match self.look(ticket) {
            Poll::Ready(()) => Poll::Ready(()),
            Poll::Pending => self.wait(ticket, context.waker()),
        }
    }
}

impl Drop for Entering<'_> {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket else {
            return;
        };
        let mut line = self.gate.line();
        let given_up = line.give_up(ticket);
        self.gate.note_waiting(&line);
        drop(line);
        if given_up.is_none() {
            // Its turn had come.
            self.gate.leave();
        }
    }
}

/// One that waits for the gate to be empty.
struct ForEmpty<'a>(&'a Gate);

impl<'a> ForEmpty<'a> {
    fn new(gate: &'a Gate) -> Self {
        let mut line = gate.line();
        line.for_empty += 1;
        gate.note_waiting(&line);
        Self(gate)
    }
}

impl Drop for ForEmpty<'_> {
    fn drop(&mut self) {
        let mut line = self.0.line();
        line.for_empty -= 1;
        self.0.note_waiting(&line);
    }
}

#[cfg(test)]
mod tests;
