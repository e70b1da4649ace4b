use super::{Finding, Found, LookUp};
use crate::error::ReadError;
use crate::event::RecordedEvent;
use crate::event_store::{Direction, EventStore};
use crate::position::Position;

/// Events of one read.
const READ_EVENTS: usize = 1_024;

/// Looks at all events of a range, either way. It says what to read and takes what was read, so that it serves stores
/// that are read with `await` and those that are not.
#[derive(Debug)]
pub(crate) struct Scan<'l> {
    look_up: &'l LookUp,
    from: Position,
    to: Position,
    /// The event to look at next.
    next: Position,
    /// How many events to read at once.
    count: usize,
    is_done: bool,
}

impl<'l> Scan<'l> {
    /// Looks at the events from `from` to `to`, which lie in the look-up's range.
    pub(crate) fn new(look_up: &'l LookUp, from: Position, to: Position) -> Self {
        Self {
            look_up,
            from,
            to,
            next: match look_up.direction {
                Direction::Forward => from,
                Direction::Backward => to,
            },
            count: READ_EVENTS,
            is_done: from > to,
        }
    }

    /// What to read next: behind which position, and how many events. `None` when it has come to its end or is full.
    pub(crate) fn wanted(&self, finding: &Finding) -> Option<(Position, usize)> {
        if self.is_done || finding.is_full() {
            return None;
        }
        let count = self.count.min(finding.examinable()).max(1);
        Some(match self.look_up.direction {
            Direction::Forward => (before(self.next), count),
            Direction::Backward => {
                let low = self.next.get().saturating_sub(count as u64);
                let low = Position::new(low).max(before(self.from));
                let count = self.next.get() - low.get();
                (low, usize::try_from(count).unwrap_or(usize::MAX))
            }
        })
    }

    /// Takes what was read.
    pub(crate) fn take(&mut self, events: Vec<RecordedEvent>, finding: &mut Finding) {
        let Some(last) = events.last() else {
            self.is_done = true;
            return;
        };
        match self.look_up.direction {
            Direction::Forward => {
                for event in events {
                    if event.position > self.to {
                        self.is_done = true;
                        return;
                    }
                    if finding.is_full() {
                        return;
                    }
                    self.next = event.position.next();
                    finding.examine(event, &self.look_up.by);
                }
                self.is_done = self.next > self.to;
            }
            // A page is bounded in bytes, too: if it does not come up to where this is, a shorter one is read.
            Direction::Backward if last.position < self.next => {
                self.count = (events.len() / 2).max(1);
            }
            Direction::Backward => {
                self.count = (2 * self.count).min(READ_EVENTS);
                for event in events.into_iter().rev() {
                    if finding.is_full() {
                        return;
                    }
                    self.is_done = event.position <= self.from;
                    self.next = before(event.position);
                    finding.examine(event, &self.look_up.by);
                }
            }
        }
    }

    /// Where it goes on; `None` when all of its range was looked at.
    pub(crate) fn rest(&self) -> Option<Position> {
        (!self.is_done).then_some(self.next)
    }
}

/// Looks at all events of the look-up's range.
pub(super) async fn look_up<S: EventStore + ?Sized>(
    store: &S,
    look_up: LookUp,
) -> Result<Found, ReadError> {
    let mut finding = Finding::begin(&look_up);
    let mut scan = Scan::new(&look_up, look_up.from, look_up.to);
    while let Some((after, limit)) = scan.wanted(&finding) {
        let page = store.read_all(after, limit).await?;
        scan.take(page.events, &mut finding);
    }
    Ok(match scan.rest() {
        Some(next) => finding.go_on_at(next, &look_up),
        None => finding.finish(),
    })
}

fn before(position: Position) -> Position {
    Position::new(position.get().saturating_sub(1))
}
