use std::collections::HashSet;

use foldhouse_store::{EventStore, Position, ReadError, RecordedEvent};
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
    let Some(command) = shared_command(last, next) else {
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

/// The command that has recorded both events, if it is one and the same.
fn shared_command(one: &RecordedEvent, other: &RecordedEvent) -> Option<Uuid> {
    // The events of an append are taken at one time, and nearly always others are not.
    if one.recorded_at != other.recorded_at {
        return None;
    }
    let commands: HashSet<_> = possible_commands(one).collect();
    possible_commands(other).find(|command| commands.contains(command))
}

/// The commands that an event may be of, by the how manieth it was in its stream.
fn possible_commands(event: &RecordedEvent) -> impl Iterator<Item = Uuid> + use<> {
    let (ids, id) = (EventIds::of(&event.stream), event.id);
    (0..EVENTS_MAX).map(move |index| ids.id(id, index))
}

fn is_of(event: &RecordedEvent, command: Uuid) -> bool {
    possible_commands(event).any(|possible| possible == command)
}
