use super::{Finding, Found, LookUp};
use crate::error::ReadError;
use crate::event_store::{Direction, EventStore, StreamQuery};
use crate::position::{Position, Version};
use crate::stream_id::StreamId;

/// Events of one read.
const READ_EVENTS: usize = 1_024;

/// Looks through one stream, as far as its events lie in the range.
pub(super) async fn look_up<S: EventStore + ?Sized>(
    store: &S,
    stream: &StreamId,
    look_up: &LookUp,
) -> Result<Found, ReadError> {
    let last = store.stream_version(stream).await?;
    let from = first_at_or_behind(store, stream, last, look_up.from).await?;
    let behind = first_at_or_behind(store, stream, last, look_up.to.next()).await?;
    let mut query = StreamQuery {
        stream: stream.clone(),
        from,
        to: Version::new(behind.get().saturating_sub(1)),
        direction: look_up.direction,
        limit: 0,
    };
    let mut finding = Finding::begin(look_up);
    while query.from <= query.to {
        query.limit = READ_EVENTS
            .min(finding.examinable())
            .min(look_up.limit.max(1));
        let page = store.read_stream(query.clone()).await?;
        let mut next = None;
        for event in page.events {
            if finding.is_full() {
                return Ok(finding.go_on_at(event.position, look_up));
            }
            next = Some(beyond(event.position, look_up.direction));
            finding.examine(event, &look_up.by);
        }
        let (Some(next), Some(version)) = (next, page.next) else {
            break;
        };
        if finding.is_full() {
            return Ok(finding.go_on_at(next, look_up));
        }
        match look_up.direction {
            Direction::Forward => query.from = version,
            Direction::Backward => query.to = version,
        }
    }
    Ok(finding.finish())
}

/// The position next to one, the way that is read.
fn beyond(position: Position, direction: Direction) -> Position {
    match direction {
        Direction::Forward => position.next(),
        Direction::Backward => Position::new(position.get().saturating_sub(1)),
    }
}

/// The lowest version whose event is at or behind `position`, or the one behind the last. Versions and positions of a
/// stream rise together.
async fn first_at_or_behind<S: EventStore + ?Sized>(
    store: &S,
    stream: &StreamId,
    last: Version,
    position: Position,
) -> Result<Version, ReadError> {
    let (mut low, mut high) = (1, last.get() + 1);
    if position <= Position::new(1) {
        return Ok(Version::new(low));
    }
    if position > store.head() {
        return Ok(Version::new(high));
    }
    while low < high {
        let middle = low + (high - low) / 2;
        let query = StreamQuery {
            stream: stream.clone(),
            from: Version::new(middle),
            to: Version::new(middle),
            direction: Direction::Forward,
            limit: 1,
        };
        let page = store.read_stream(query).await?;
        match page.events.first() {
            Some(event) if event.position >= position => high = middle,
            _ => low = middle + 1,
        }
    }
    Ok(Version::new(low))
}
