use std::collections::VecDeque;
use std::task::Waker;

/// Those who wait, in the order of arrival: a ticket each, and whom to wake.
///
/// It is one row of memory and not a list through the futures of those who wait, as a tokio semaphore has it: with far more
/// callers than places those are cold, and linking one in touches its neighbour, too.
#[derive(Default)]
pub(super) struct Line {
    /// By ticket. Who gave up leaves a gap until it is first, or until there are too many.
    tickets: VecDeque<(u64, Option<Waker>)>,
    gaps: usize,
    next: u64,
    /// Wait until nobody is inside.
    pub(super) for_empty: usize,
}

/// Below so many entries the room that they took is kept.
const KEPT_ENTRIES_MAX: usize = 1_024;

impl Line {
    /// How many wait to enter.
    pub(super) fn entering(&self) -> usize {
        self.tickets.len() - self.gaps
    }

    /// How many wait, for whatever it is.
    pub(super) fn waiting(&self) -> usize {
        self.entering() + self.for_empty
    }

    /// Takes a ticket, behind all that there are.
    pub(super) fn join(&mut self, waker: Waker) -> u64 {
        let ticket = self.next;
        self.next += 1;
        self.tickets.push_back((ticket, Some(waker)));
        ticket
    }

    /// The first in the line leaves it, if there is a place for it.
    pub(super) fn call_if(&mut self, takes_place: impl FnOnce() -> bool) -> Option<(u64, Waker)> {
        if self.tickets.is_empty() || !takes_place() {
            return None;
        }
        let (ticket, waker) = self.tickets.pop_front()?;
        self.tidy();
        Some((ticket, waker?))
    }

    /// Whom to wake for this ticket, as long as its turn has not come.
    pub(super) fn waker(&mut self, ticket: u64) -> Option<&mut Waker> {
        let at = self.find(ticket)?;
        self.tickets.get_mut(at)?.1.as_mut()
    }

    /// Gives the ticket up, if its turn has not come. The waker is for the caller to drop, behind the lock.
    pub(super) fn give_up(&mut self, ticket: u64) -> Option<Waker> {
        let at = self.find(ticket)?;
        let waker = self.tickets.get_mut(at)?.1.take()?;
        self.gaps += 1;
        // Or the gaps behind one who waits for long would be without end.
        if self.gaps > self.tickets.len() / 2 {
            self.tickets.retain(|(_, waker)| waker.is_some());
            self.gaps = 0;
        }
        self.tidy();
        Some(waker)
    }

    fn find(&self, ticket: u64) -> Option<usize> {
        self.tickets
            .binary_search_by_key(&ticket, |(ticket, _)| *ticket)
            .ok()
    }

    /// Gaps at the front go, so that whoever is first waits; and the room of a long line, when nobody is left.
    fn tidy(&mut self) {
        while let Some((_, None)) = self.tickets.front() {
            self.tickets.pop_front();
            self.gaps -= 1;
        }
        if self.tickets.is_empty() && self.tickets.capacity() > KEPT_ENTRIES_MAX {
            self.tickets = VecDeque::new();
        }
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.tickets.capacity()
    }
}
