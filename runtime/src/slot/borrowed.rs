use std::collections::VecDeque;
use std::sync::Arc;

use super::{Phase, Slot};
use crate::actor::Ended;
use crate::aggregate::Aggregate;
use crate::cell::Cell;
use crate::refusal::PanickedIn;
use crate::work::Work;

/// An aggregate in the hands of somebody who is not its actor: of a caller whose command found it idle, or of a
/// transaction. Nobody else decides on it meanwhile; what is sent to it waits in its mailbox, for its actor.
///
/// It is given back when this is dropped.
pub(crate) struct Borrowed<A: Aggregate> {
    slot: Arc<Slot<A>>,
    /// Taken when it is given back.
    cell: Option<Box<Cell<A>>>,
}

impl<A: Aggregate> Slot<A> {
    /// Borrows the aggregate if it rests and nothing waits for it.
    pub(crate) fn borrow(self: &Arc<Self>) -> Option<Borrowed<A>> {
        let mut inbox = self.inbox();
        if inbox.closed || inbox.phase != Phase::Live || !inbox.queue.is_empty() {
            return None;
        }
        // Under the lock, where it is looked at again on giving back: a void in between is not missed.
        if self.is_voided(inbox.epoch) {
            return None;
        }
        let cell = inbox.rest.take()?;
        inbox.borrowed = true;
        self.touch();
        Some(Borrowed {
            slot: Arc::clone(self),
            cell: Some(cell),
        })
    }

    /// Lends the aggregate, which its actor has, on the actor's turn. What the actor has not come to goes back to the front
    /// of the mailbox.
    pub(crate) fn lend(
        self: &Arc<Self>,
        cell: Box<Cell<A>>,
        batch: &mut VecDeque<Box<dyn Work<A>>>,
    ) -> Borrowed<A> {
        let mut inbox = self.inbox();
        batch.append(&mut inbox.queue);
        std::mem::swap(&mut inbox.queue, batch);
        inbox.borrowed = true;
        inbox.awake = false;
        Borrowed {
            slot: Arc::clone(self),
            cell: Some(cell),
        }
    }

    /// Takes the aggregate back, or lets its actor end for what happened to it meanwhile.
    fn give_back(self: &Arc<Self>, cell: Box<Cell<A>>, outcome: Result<(), Ended>) {
        let mut inbox = self.inbox();
        inbox.borrowed = false;
        // Dropped behind the lock: its drop is the domain's.
        let _worthless = match (inbox.phase, outcome) {
            (Phase::Live, Ok(())) => {
                inbox.rest = Some(cell);
                if inbox.queue.is_empty() && !inbox.closed && !self.is_voided(inbox.epoch) {
                    drop(inbox);
                    self.relieve_if_over();
                    return;
                }
                self.wake(inbox);
                return;
            }
            (Phase::Live, Err(ended)) => {
                inbox.ended = Some(ended);
                self.wake(inbox);
                cell
            }
            (Phase::Orphaned, _) => {
                self.empty_or_restart(inbox);
                cell
            }
            // A life ends only in the hands of an actor that has the aggregate.
            (Phase::Empty | Phase::Starting | Phase::Ending, _) => {
                drop(inbox);
                cell
            }
        };
    }
}

impl<A: Aggregate> Borrowed<A> {
    /// The aggregate. `None` never: it is there until this is dropped.
    pub(crate) fn cell(&mut self) -> Option<&mut Cell<A>> {
        self.cell.as_deref_mut()
    }

    /// Does a piece of work, and gives the aggregate back.
    pub(crate) fn run<W: Work<A>>(mut self, work: W) {
        let slot = &self.slot;
        let done = self.cell.as_deref_mut().map(|cell| {
            let _deciding = slot.deciding(work.name());
            work.run(cell)
        });
        if let Some(Err(ended)) = done {
            self.end(ended);
        }
    }

    /// Only keeps it from others.
    pub(crate) fn hold(mut self) -> Held {
        Held(self.cell.take().map(|cell| cell as Box<dyn AnyCell>))
    }

    /// Gives it back for its actor to end: what it has in memory is worth nothing.
    pub(crate) fn end(mut self, ended: Ended) {
        if let Some(cell) = self.cell.take() {
            self.slot.give_back(cell, Err(ended));
        }
    }
}

impl<A: Aggregate> Drop for Borrowed<A> {
    fn drop(&mut self) {
        if let Some(cell) = self.cell.take() {
            // What the domain drops may panic: then nobody knows what the state is worth.
            let outcome = match std::thread::panicking() {
                true => Err(cell.panicked(PanickedIn::Decide, "dropping a command".to_owned())),
                false => Ok(()),
            };
            self.slot.give_back(cell, outcome);
        }
    }
}

/// A borrowed aggregate of whatever type, kept from others until this is dropped.
pub(crate) struct Held(Option<Box<dyn AnyCell>>);

trait AnyCell: Send {
    fn give_back(self: Box<Self>, is_void: bool);
}

impl<A: Aggregate> AnyCell for Cell<A> {
    fn give_back(self: Box<Self>, is_void: bool) {
        let slot = Arc::clone(self.slot());
        let outcome = match is_void {
            true => Err(Ended::Voided(slot.stream.clone())),
            false => Ok(()),
        };
        slot.give_back(self, outcome);
    }
}

impl Held {
    /// Gives it back for its actor to end: the store refused what it has in memory.
    pub(crate) fn end_void(mut self) {
        if let Some(cell) = self.0.take() {
            cell.give_back(true);
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(cell) = self.0.take() {
            // A panic on the way to the store: what the state has was not submitted.
            cell.give_back(std::thread::panicking());
        }
    }
}
