use std::collections::VecDeque;
use std::sync::PoisonError;

use tokio::sync::oneshot;

use crate::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use crate::sync::{Mutex, MutexGuard};

/// Lets so many in at a time, in the order of arrival. One atomic step in and one out while nobody has to wait, which
/// is less than half of what a tokio semaphore takes.
pub(crate) struct Gate {
    inside: AtomicUsize,
    /// How many wait: who sees one lets those go first.
    waiting: AtomicUsize,
    limit: usize,
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    /// Wait for a place.
    entering: VecDeque<oneshot::Sender<()>>,
    /// Wait until nobody is inside.
    emptied: Vec<oneshot::Sender<()>>,
}

impl Queue {
    fn len(&self) -> usize {
        self.entering.len() + self.emptied.len()
    }
}

impl Gate {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            inside: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            limit,
            queue: Mutex::default(),
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
        let (let_in, turn) = oneshot::channel();
        {
            let mut queue = self.queue();
            queue.entering.push_back(let_in);
            self.waiting.store(queue.len(), SeqCst);
        }
        let mut waiter = Waiter { gate: self, turn };
        // A place may have come free before this one was seen to wait.
        self.let_in();
        // The gate outlives its waiters and never drops one of them unanswered.
        let _ = (&mut waiter.turn).await;
        let _ = std::mem::ManuallyDrop::new(waiter);
    }

    /// Waits until nobody is inside and nobody waits to enter.
    pub(crate) async fn until_empty(&self) {
        let (tell, emptied) = oneshot::channel();
        {
            let mut queue = self.queue();
            queue.emptied.push(tell);
            self.waiting.store(queue.len(), SeqCst);
        }
        self.let_in();
        // The gate outlives this call and tells everyone in the end.
        let _ = emptied.await;
    }

    /// Gives the place back.
    pub(crate) fn leave(&self) {
        self.inside.fetch_sub(1, SeqCst);
        if self.waiting.load(SeqCst) > 0 {
            self.let_in();
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

    /// Lets in who waits, as long as there is room.
    fn let_in(&self) {
        let mut queue = self.queue();
        while !queue.entering.is_empty() && self.take_place() {
            let turn = queue.entering.pop_front();
            let entered = turn.is_some_and(|turn| turn.send(()).is_ok());
            if !entered {
                // It gave up. Its place goes to the next, in this same loop.
                self.inside.fetch_sub(1, SeqCst);
            }
        }
        if queue.entering.is_empty() && self.inside() == 0 {
            for emptied in queue.emptied.drain(..) {
                let _ = emptied.send(());
            }
        }
        self.waiting.store(queue.len(), SeqCst);
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One that waits; if it gives up it leaves the queue, or the place that it was just given.
struct Waiter<'a> {
    gate: &'a Gate,
    turn: oneshot::Receiver<()>,
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.turn.close();
        if self.turn.try_recv().is_ok() {
            self.gate.leave();
            return;
        }
        let mut queue = self.gate.queue();
        queue.entering.retain(|turn| !turn.is_closed());
        self.gate.waiting.store(queue.len(), SeqCst);
    }
}

#[cfg(test)]
mod tests;
