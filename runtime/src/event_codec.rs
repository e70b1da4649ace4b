//! How an event becomes an event type and payload bytes, and back.
//!
//! The event type is the serde name of the enum's variant; the payload is the variant's content alone, as MessagePack
//! with field names. A unit variant has no payload. So a journal reads without the program that wrote it, and a field
//! added with `#[serde(default)]` reads old events.

mod decode;
mod encode;
mod structure;

use foldhouse_store::{Codec, RecordedEvent};

use crate::aggregate::Aggregate;

pub(crate) use encode::{EventTypes, encode};

/// The most that the payload of one event may take, in bytes.
pub const EVENT_PAYLOAD_BYTES_MAX: usize = 1024 * 1024;
/// How deep the values of a payload or a snapshot may nest.
pub const NESTING_DEPTH_MAX: usize = 64;

/// Why an event could not be written or read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EventCodecError {
    /// The event is not an externally tagged enum, so it has no event type. Make `Aggregate::Event` a plain serde enum.
    #[error(
        "{rust_type} is not an enum with one variant per event type (serde wrote a {found}); \
         make it one, without #[serde(tag)] or #[serde(untagged)]"
    )]
    NotAnEnum {
        /// The Rust type of the event.
        rust_type: &'static str,
        /// What serde wrote instead of a variant.
        found: &'static str,
    },
    /// The event's own serialisation failed.
    #[error("the event cannot be encoded: {0}")]
    Encode(String),
    /// The payload is too large.
    #[error(
        "the payload of {event_type} takes {bytes} bytes; the limit is {EVENT_PAYLOAD_BYTES_MAX}"
    )]
    TooLarge {
        /// The event type.
        event_type: String,
        /// What the payload takes.
        bytes: usize,
    },
    /// The enum has no such variant. Keep variants of recorded events, or rename them with `#[serde(alias)]`.
    #[error(
        "the event type {event_type} is unknown to this build; keep its variant, or name it with #[serde(alias)]"
    )]
    UnknownType {
        /// The event type in the journal.
        event_type: String,
    },
    /// The payload does not fit the variant. A new field of a recorded event takes `#[serde(default)]`.
    #[error("the payload of {event_type} does not fit its variant: {what}")]
    Payload {
        /// The event type.
        event_type: String,
        /// What does not fit.
        what: String,
    },
    /// The payload is not MessagePack, so this event was not written by an aggregate.
    #[error("the payload of {event_type} has codec {codec:?}; aggregates read MessagePack")]
    Codec {
        /// The event type.
        event_type: String,
        /// The payload's codec.
        codec: Codec,
    },
    /// The payload is encrypted, and no key is at hand.
    #[error("the payload of {event_type} is encrypted with key {key_id}, which is not at hand")]
    Encrypted {
        /// The event type.
        event_type: String,
        /// The key's id.
        key_id: u32,
    },
}

/// Reads an event as one of `A`; `None` if it belongs to another aggregate type.
///
/// For projections and tools, which see the events of all aggregates.
///
/// # Errors
/// See [`EventCodecError`]. The event stays as it is; the code that reads it is to change.
pub fn decode_event<A: Aggregate>(
    event: &RecordedEvent,
) -> Option<Result<A::Event, EventCodecError>> {
    (event.stream.aggregate_type() == A::TYPE).then(|| decode::decode(event))
}

pub(crate) use decode::{check_value, decode, decode_value};

#[cfg(test)]
mod tests;
