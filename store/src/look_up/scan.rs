use super::{Finding, Found, LookUp};
use crate::error::ReadError;
use crate::event::RecordedEvent;
use crate::event_store::{Direction, EventStore};
use crate::position::Position;

/// Events of one read.
const READ_EVENTS: usize = 1_024;

/// Looks at all events of the range.
pub(super) async fn look_up<S: EventStore + ?Sized>(
    store: &S,
    look_up: LookUp,
) -> Result<Found, ReadError> {
    match look_up.direction {
        Direction::Forward => forward(store, look_up).await,
        Direction::Backward => backward(store, look_up).await,
    }
}

async fn forward<S: EventStore + ?Sized>(store: &S, look_up: LookUp) -> Result<Found, ReadError> {
    let mut finding = Finding::begin(&look_up);
    let mut next = look_up.from;
    while next <= look_up.to {
        if finding.is_full() {
            return Ok(finding.go_on_at(next, &look_up));
        }
        let limit = READ_EVENTS.min(finding.examinable());
        let page = store.read_all(before(next), limit).await?;
        if page.events.is_empty() {
            break;
        }
        for event in page.events {
            if finding.is_full() || event.position > look_up.to {
                break;
            }
            next = event.position.next();
            finding.examine(event, &look_up.by);
        }
    }
    Ok(finding.finish())
}

async fn backward<S: EventStore + ?Sized>(store: &S, look_up: LookUp) -> Result<Found, ReadError> {
    let mut finding = Finding::begin(&look_up);
    let mut next = look_up.to;
    while next >= look_up.from {
        if finding.is_full() {
            return Ok(finding.go_on_at(next, &look_up));
        }
        let count = READ_EVENTS.min(finding.examinable());
        let events = read_up_to(store, look_up.from, next, count).await?;
        if events.is_empty() {
            break;
        }
        for event in events.into_iter().rev() {
            if finding.is_full() {
                break;
            }
            next = before(event.position);
            finding.examine(event, &look_up.by);
        }
        if next == Position::BEFORE_FIRST {
            break;
        }
    }
    Ok(finding.finish())
}

/// Some of the events up to `to`, in order, the last of them at `to`: up to `count`, fewer if they are large.
async fn read_up_to<S: EventStore + ?Sized>(
    store: &S,
    from: Position,
    to: Position,
    count: usize,
) -> Result<Vec<RecordedEvent>, ReadError> {
    let mut count = count.max(1);
    loop {
        let low = Position::new(to.get().saturating_sub(count as u64)).max(before(from));
        let wanted = usize::try_from(to.get() - low.get()).unwrap_or(count);
        let page = store.read_all(low, wanted).await?;
        let read = page.events.len();
        if read == 0 || read >= wanted || wanted <= 1 {
            return Ok(page.events);
        }
        // A page is bounded in bytes, too: this one does not come up to `to`, so a shorter one is taken.
        count = read;
    }
}

fn before(position: Position) -> Position {
    Position::new(position.get().saturating_sub(1))
}
