use std::collections::HashSet;

use uuid::Uuid;

use crate::append::{APPEND_EVENTS_MAX, APPEND_STREAMS_MAX, Append, StreamAppend};
use crate::command::COMMAND_REPLY_BYTES_MAX;
use crate::error::InvalidAppend;
use crate::event::{EVENT_TYPE_BYTES_MAX, METADATA_BYTES_MAX, Metadata, NewEvent, USER_BYTES_MAX};
use crate::stream_id::StreamId;

/// Up to here comparing every stream, or event id, with those before it is cheaper than hashing them.
const PAIRWISE_MAX: usize = 8;

/// What a store takes in one event and in one append, in bytes as [`event_bytes`] counts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AppendLimits {
    /// The most that one event may take.
    pub event_bytes_max: usize,
    /// The most that all events of one append may take together.
    pub append_bytes_max: usize,
}

impl Default for AppendLimits {
    fn default() -> Self {
        Self {
            event_bytes_max: 16 * 1024 * 1024,
            append_bytes_max: 32 * 1024 * 1024,
        }
    }
}

/// What an event counts against [`AppendLimits`]: its payload, event type, user, and metadata keys and values.
///
/// Stream id, ids, times, numbers and whatever framing a store adds are not counted: they are bounded by themselves
/// (below 1 KiB an event), and a limit that the caller can add up must not depend on how a store lays out its bytes.
pub(crate) fn event_bytes(event: &NewEvent) -> usize {
    event
        .payload
        .bytes
        .len()
        .saturating_add(event.event_type.len())
        .saturating_add(event.user.as_ref().map_or(0, |user| user.len()))
        .saturating_add(metadata_bytes(&event.metadata))
}

/// What the keys and values of an event's metadata take together.
pub(crate) fn metadata_bytes(metadata: &Metadata) -> usize {
    metadata.iter().fold(0, |sum: usize, (key, value)| {
        sum.saturating_add(key.len()).saturating_add(value.len())
    })
}

/// Whether `append` keeps every rule that does not depend on what the store holds.
///
/// The first rule broken is named, in this order: number of streams, a stream named twice, number of events, an event
/// id used twice, the size of a command's reply, then each event in turn (texts, then size), then the size of all events.
///
/// # Errors
/// The rule that is broken; the same append would break it again.
pub(crate) fn validate(append: &Append, limits: &AppendLimits) -> Result<(), InvalidAppend> {
    match append.streams.len() {
        0 => return Err(InvalidAppend::NoStream),
        // Also what bounds the work of looking for duplicates.
        too_many if too_many > APPEND_STREAMS_MAX => {
            return Err(InvalidAppend::TooManyStreams(too_many));
        }
        _ => {}
    }
    if let Some(stream) = first_duplicate(&append.streams) {
        return Err(InvalidAppend::DuplicateStream(stream.clone()));
    }
    let event_count = append.event_count();
    if event_count > APPEND_EVENTS_MAX {
        return Err(InvalidAppend::TooManyEvents(event_count));
    }
    if let Some((stream, id)) = first_duplicate_event(append, event_count) {
        let stream = stream.clone();
        return Err(InvalidAppend::DuplicateEventId { id, stream });
    }
    if let Some(command) = &append.command
        && command.reply.bytes.len() > COMMAND_REPLY_BYTES_MAX
    {
        return Err(InvalidAppend::ReplyTooLarge(command.reply.bytes.len()));
    }
    let mut append_bytes: usize = 0;
    for part in &append.streams {
        for event in &part.events {
            let bytes = validate_event(&part.stream, event, limits)?;
            append_bytes = append_bytes.saturating_add(bytes);
        }
    }
    if append_bytes > limits.append_bytes_max {
        return Err(InvalidAppend::TooLarge {
            bytes: append_bytes,
            limit_bytes: limits.append_bytes_max,
        });
    }
    Ok(())
}

/// Checks one event and gives what it takes in bytes.
fn validate_event(
    stream: &StreamId,
    event: &NewEvent,
    limits: &AppendLimits,
) -> Result<usize, InvalidAppend> {
    let text = |field, bytes, limit_bytes| InvalidAppend::Text {
        stream: stream.clone(),
        field,
        bytes,
        limit_bytes,
    };
    let type_bytes = event.event_type.len();
    if type_bytes == 0 || type_bytes > EVENT_TYPE_BYTES_MAX {
        return Err(text("event type", type_bytes, EVENT_TYPE_BYTES_MAX));
    }
    if let Some(user) = &event.user
        && (user.is_empty() || user.len() > USER_BYTES_MAX)
    {
        return Err(text("user", user.len(), USER_BYTES_MAX));
    }
    if !event.metadata.is_empty() {
        let bytes = metadata_bytes(&event.metadata);
        if bytes > METADATA_BYTES_MAX {
            return Err(text("metadata", bytes, METADATA_BYTES_MAX));
        }
    }
    let bytes = event_bytes(event);
    if bytes > limits.event_bytes_max {
        return Err(InvalidAppend::EventTooLarge {
            stream: stream.clone(),
            bytes,
            limit_bytes: limits.event_bytes_max,
        });
    }
    Ok(bytes)
}

/// The first stream that stands in the append a second time.
fn first_duplicate(parts: &[StreamAppend]) -> Option<&StreamId> {
    if parts.len() <= PAIRWISE_MAX {
        return parts.iter().enumerate().find_map(|(index, part)| {
            parts
                .iter()
                .take(index)
                .any(|before| before.stream == part.stream)
                .then_some(&part.stream)
        });
    }
    let mut seen = HashSet::with_capacity(parts.len());
    parts
        .iter()
        .map(|part| &part.stream)
        .find(|stream| !seen.insert(stream.as_str()))
}

/// The first event whose id stands in the append a second time.
fn first_duplicate_event(append: &Append, event_count: usize) -> Option<(&StreamId, Uuid)> {
    // Most appends carry one event.
    if event_count < 2 {
        return None;
    }
    let parts = append.streams.iter();
    let events = parts.flat_map(|part| part.events.iter().map(|event| (&part.stream, event.id)));
    if event_count <= PAIRWISE_MAX {
        let mut behind = events.clone().enumerate();
        return behind.find_map(|(index, (stream, id))| {
            let is_there = events.clone().take(index).any(|(_, before)| before == id);
            is_there.then_some((stream, id))
        });
    }
    let mut seen = HashSet::with_capacity(event_count);
    let mut events = events;
    events.find(|(_, id)| !seen.insert(*id))
}

#[cfg(test)]
mod tests;
