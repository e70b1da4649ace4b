use foldhouse_store::{
    APPEND_EVENTS_MAX, EVENT_TYPE_BYTES_MAX, InvalidAppend, METADATA_BYTES_MAX, StreamId,
    USER_BYTES_MAX,
};

use crate::command::CommandMeta;

/// The store's own rules, as far as a caller can break them. Asked before the events are applied: an append that the
/// store refuses would void the state, and an aggregate's state must not hang on what a caller gives along.
pub(crate) fn check(
    stream: &StreamId,
    event_count: usize,
    meta: &CommandMeta,
) -> Result<(), InvalidAppend> {
    if event_count > APPEND_EVENTS_MAX {
        return Err(InvalidAppend::TooManyEvents(event_count));
    }
    if let Some(user) = &meta.user
        && (user.is_empty() || user.len() > USER_BYTES_MAX)
    {
        return Err(text(stream, "user", user.len(), USER_BYTES_MAX));
    }
    if !meta.metadata.is_empty() {
        let texts = meta.metadata.iter();
        let bytes = texts.map(|(key, value)| key.len() + value.len()).sum();
        if bytes > METADATA_BYTES_MAX {
            return Err(text(stream, "metadata", bytes, METADATA_BYTES_MAX));
        }
    }
    Ok(())
}

/// The same for one event's type.
pub(crate) fn check_event_type(stream: &StreamId, event_type: &str) -> Result<(), InvalidAppend> {
    match event_type.len() {
        1..=EVENT_TYPE_BYTES_MAX => Ok(()),
        bytes => Err(text(stream, "event type", bytes, EVENT_TYPE_BYTES_MAX)),
    }
}

fn text(stream: &StreamId, field: &'static str, bytes: usize, limit_bytes: usize) -> InvalidAppend {
    InvalidAppend::Text {
        stream: stream.clone(),
        field,
        bytes,
        limit_bytes,
    }
}
