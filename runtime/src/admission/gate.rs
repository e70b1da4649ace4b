use std::sync::PoisonError;

use tokio::sync::{Notify, Semaphore};

use crate::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use crate::sync::{Mutex, MutexGuard};

/// Lets so many in at a time, in the order of arrival. One atomic step in and one out while nobody has to wait, which
/// is less than half of what a tokio semaphore takes.
///
/// Who waits takes no memory here: its place in the line is a part of its own future. Any number may wait, and give up.
pub(crate) struct Gate {
    inside: AtomicUsize,
    /// How many wait: who sees one lets those go first.
    waiting: AtomicUsize,
    limit: usize,
    line: Mutex<Line>,
    /// The line itself. A permit is a place that was taken for whoever is first.
    turns: Semaphore,
    emptied: Notify,
}

#[derive(Default)]
struct Line {
    /// Wait for a place, or have one and do not know it yet.
    entering: usize,
    /// The places taken for them.
    let_in: usize,
    /// Wait until nobody is inside.
    for_empty: usize,
}

impl Gate {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            inside: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            limit,
            line: Mutex::default(),
            turns: Semaphore::new(0),
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
    pub(crate) async fn enter(&self) {
        if self.try_enter() {
            return;
        }
        let waiter = Waiter::entering(self);
        // The semaphore is never closed.
        if let Ok(turn) = self.turns.acquire().await {
            turn.forget();
        }
        waiter.enter();
    }

    /// Waits until nobody is inside and nobody waits to enter.
    pub(crate) async fn until_empty(&self) {
        let waiter = Waiter::for_empty(self);
        loop {
            // Before the look, or the news could come between the two.
            let emptied = self.emptied.notified();
            if waiter.gate.is_empty() {
                return;
            }
            emptied.await;
        }
    }

    /// Gives the place back.
    pub(crate) fn leave(&self) {
        self.inside.fetch_sub(1, SeqCst);
        if self.waiting.load(SeqCst) > 0 {
            self.let_in(&mut self.line());
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
        self.line().entering == 0 && self.inside() == 0
    }

    /// Lets in who waits, as long as there is room.
    fn let_in(&self, line: &mut Line) {
        while line.let_in < line.entering && self.take_place() {
            line.let_in += 1;
            self.turns.add_permits(1);
        }
        self.waiting.store(line.entering + line.for_empty, SeqCst);
        if line.for_empty > 0 && line.entering == 0 && self.inside() == 0 {
            self.emptied.notify_waiters();
        }
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        // Nothing panics while it holds the lock; a poisoned one is whole.
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One that is counted as waiting; if it gives up it leaves the line, or the place that it was just given.
struct Waiter<'a> {
    gate: &'a Gate,
    is_entering: bool,
}

impl<'a> Waiter<'a> {
    fn entering(gate: &'a Gate) -> Self {
        let mut line = gate.line();
        line.entering += 1;
        // Seen to wait before the look: a place may be coming free.
        gate.waiting.fetch_add(1, SeqCst);
        gate.let_in(&mut line);
        let is_entering = true;
        Self { gate, is_entering }
    }

    fn for_empty(gate: &'a Gate) -> Self {
        let mut line = gate.line();
        line.for_empty += 1;
        gate.waiting.fetch_add(1, SeqCst);
        let is_entering = false;
        Self { gate, is_entering }
    }

    /// It has its turn: the place is its own.
    fn enter(self) {
        let mut line = self.gate.line();
        line.entering -= 1;
        line.let_in -= 1;
        self.gate.let_in(&mut line);
        drop(line);
        let _ = std::mem::ManuallyDrop::new(self);
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        let gate = self.gate;
        let mut line = gate.line();
        if self.is_entering {
            line.entering -= 1;
            // It has left the semaphore's line before (locals are dropped in reverse), and a turn that it had went to
            // the next. A turn more than waiters is nobody's, and lies there: those who have taken theirs are still
            // counted on both sides.
            if line.let_in > line.entering
                && let Ok(turn) = gate.turns.try_acquire()
            {
                turn.forget();
                line.let_in -= 1;
                gate.inside.fetch_sub(1, SeqCst);
            }
        } else {
            line.for_empty -= 1;
        }
        gate.let_in(&mut line);
    }
}

#[cfg(test)]
mod tests;
