use foldhouse_store::{EventStore, Position, ReadError, RecordedEvent, StreamQuery, Version};
use uuid::Uuid;

use crate::event_id::EventIds;

/// So many events at most has a command in one stream.
const EVENTS_MAX: u32 = 65_536;
/// Events of one look back.
const PAGE_EVENTS: u64 = 256;

/// The last position up to `at` that does not lie within the events of one command or transaction. The id of an event gives
/// back the id of its command, and the events of a command stand side by side.
pub(super) async fn end_of_whole_command(
    events: &(impl EventStore + ?Sized),
    at: Position,
) -> Result<Position, ReadError> {
    let Some(before) = at.get().checked_sub(1) else {
        return Ok(at);
    };
    let page = events.read_all(Position::new(before), 2).await?;
    let [last, next] = page.events.as_slice() else {
        return Ok(at);
    };
    let Some(command) = shared_command(events, last, next).await? else {
        return Ok(at);
    };
    // Everything before `last`, newest first, until one is of another command.
    let mut end = before;
    while end > 0 {
        let from = end.saturating_sub(PAGE_EVENTS);
        let page = between(events, from, end).await?;
        let mut newest_first = page.iter().rev();
        if let Some(other) = newest_first.find(|event| !is_of(event, command)) {
            return Ok(other.position);
        }
        end = from;
    }
    Ok(Position::BEFORE_FIRST)
}

/// The events behind one position up to another one; a page may hold fewer, as it is bounded in bytes.
async fn between(
    events: &(impl EventStore + ?Sized),
    from: u64,
    to: u64,
) -> Result<Vec<RecordedEvent>, ReadError> {
    let mut found = Vec::new();
    let mut after = from;
    while after < to {
        let limit = usize::try_from(to - after).unwrap_or(usize::MAX);
        let page = events.read_all(Position::new(after), limit).await?;
        let Some(last) = page.events.last() else {
            break;
        };
        after = last.position.get();
        found.extend(page.events);
    }
    Ok(found)
}

/// The command that has recorded two events side by side, if it is one and the same.
async fn shared_command(
    events: &(impl EventStore + ?Sized),
    one: &RecordedEvent,
    next: &RecordedEvent,
) -> Result<Option<Uuid>, ReadError> {
    // The events of an append are taken at one time, and nearly always others are not.
    if one.recorded_at != next.recorded_at {
        return Ok(None);
    }
    let ids = EventIds::of(&next.stream);
    if one.stream != next.stream {
        // A transaction's events go stream by stream, so that the next is the first of its own.
        let command = ids.id(next.id, 0);
        return Ok(is_of(one, command).then_some(command));
    }
    for index in 0..EVENTS_MAX {
        let command = ids.id(one.id, index);
        let (Some(first), true) = (
            one.version.get().checked_sub(index.into()),
            command == ids.id(next.id, index + 1),
        ) else {
            continue;
        };
        // Two ids can agree by chance on a command that is none; its first event is not there.
        let query = StreamQuery::since(one.stream.clone(), Version::new(first), 1);
        let page = events.read_stream(query).await?;
        let first = page.events.first();
        if first.is_some_and(|event| event.id == ids.id(command, 0)) {
            return Ok(Some(command));
        }
    }
    Ok(None)
}

/// Whether a command has recorded an event, the how manieth of its stream whatever.
fn is_of(event: &RecordedEvent, command: Uuid) -> bool {
    let ids = EventIds::of(&event.stream);
    (0..EVENTS_MAX).any(|index| ids.id(command, index) == event.id)
}
