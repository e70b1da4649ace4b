//! How an event becomes an event type and payload bytes, and back.
//!
//! The event type is the serde name of the enum's variant; the payload is the variant's content alone, as MessagePack
//! with field names. A unit variant has no payload. So a journal reads without the program that wrote it, and a field
//! added with `#[serde(default)]` reads old events.

mod decode;
mod encode;
mod structure;
mod variants;

use foldhouse_store::{Codec, RecordedEvent};
use smallvec::SmallVec;

use crate::aggregate::Aggregate;
use crate::upcasters;

#[cfg(test)]
use encode::EventTypes;
pub(crate) use encode::{encode, shared_text};

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
    /// The enum has no such variant. Keep variants of recorded events, or declare what became of them
    /// ([`Upcasters`](crate::Upcasters)).
    #[error(
        "the event type {event_type} is unknown to this build; run the build that wrote it if that is a newer one, \
         keep its variant, or declare in the aggregate's upcasters what became of it (rename, split, skip)"
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
    /// A newer build wrote it. Run that one, or pass over such events where the state may do without them
    /// ([`Upcasters::skip_newer`](crate::Upcasters::skip_newer)).
    #[error(
        "{event_type} was recorded with schema version {found}, and this build knows versions up to {known}; \
         run the build that wrote it, or declare Upcasters::skip_newer where the state may do without it"
    )]
    NewerSchema {
        /// The event type.
        event_type: String,
        /// The schema version in the journal.
        found: u16,
        /// The highest version that this build knows.
        known: u16,
    },
    /// An upcaster failed. It must accept every event that was ever recorded.
    #[error(
        "the upcaster of {event_type} from schema version {schema_version} failed: {what}; \
         it must accept every recorded event"
    )]
    Upcast {
        /// The type of the event that it was given.
        event_type: String,
        /// The version that it starts from.
        schema_version: u16,
        /// What it said.
        what: String,
    },
    /// Upcasters and renamings lead round in a circle, or to more events than one may become.
    #[error(
        "{event_type} of schema version {schema_version} does not come to an end: its upcasters take more than {} steps, \
         or lead to more than {} events; look for steps that lead back to a type and version before them",
        upcasters::UPCAST_STEPS_MAX,
        upcasters::UPCAST_EVENTS_MAX
    )]
    UpcastWithoutEnd {
        /// The event type in the journal.
        event_type: String,
        /// The schema version in the journal.
        schema_version: u16,
    },
    /// The recorded event is several events today. Read it with [`decode_events`](crate::decode_events).
    #[error("{event_type} is {events} events today; read it with decode_events")]
    Several {
        /// The event type in the journal.
        event_type: String,
        /// How many it is.
        events: usize,
    },
    /// A command led to an event of a type that is renamed or skipped when it is read, so that it would be lost. Record the
    /// type that took its place.
    #[error(
        "{event_type} is declared as renamed or skipped, so it cannot be recorded any more; \
         record what took its place, or take the declaration out of the aggregate's upcasters"
    )]
    Retired {
        /// The event type.
        event_type: String,
    },
    /// The aggregate's upcasters contradict each other. Nothing of it is read or written until they are mended.
    #[error("the aggregate's upcasters do not fit together: {what}")]
    Upcasters {
        /// The event type, and what is wrong.
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

/// What one recorded event is today: mostly one event; several or none where the aggregate's
/// [`Upcasters`](crate::Upcasters) say so.
pub type Events<E> = SmallVec<[E; 1]>;

/// Reads a recorded event as events of `A`, in order; `None` if it belongs to another aggregate type.
///
/// For projections and tools, which see the events of all aggregates. It gives what hydrating gives: events of earlier
/// builds go through the aggregate's [`Upcasters`](crate::Upcasters), and may be several events today, or none.
///
/// # Errors
/// See [`EventCodecError`]. The event stays as it is; the code that reads it is to change.
pub fn decode_events<A: Aggregate>(
    event: &RecordedEvent,
) -> Option<Result<Events<A::Event>, EventCodecError>> {
    (event.stream.aggregate_type() == A::TYPE).then(|| {
        let mut events = Events::new();
        upcasters::read::<A>(event, |decoded| events.push(decoded)).map(|()| events)
    })
}

/// Reads a recorded event as one of `A`; `None` if it is none: it belongs to another aggregate type, or is passed over
/// today ([`Upcasters::skip`](crate::Upcasters::skip)).
///
/// As [`decode_events`], where no event of the aggregate has become several.
///
/// # Errors
/// See [`EventCodecError`]; [`Several`](EventCodecError::Several) if it is more than one event today.
pub fn decode_event<A: Aggregate>(
    event: &RecordedEvent,
) -> Option<Result<A::Event, EventCodecError>> {
    if event.stream.aggregate_type() != A::TYPE {
        return None;
    }
    let mut single = None;
    let mut events = 0;
    let read = upcasters::read::<A>(event, |decoded| {
        single = Some(decoded);
        events += 1;
    });
    match read {
        Err(error) => Some(Err(error)),
        Ok(()) if events > 1 => Some(Err(EventCodecError::Several {
            event_type: event.event_type.to_string(),
            events,
        })),
        Ok(()) => single.map(Ok),
    }
}

/// The schema version that an event is recorded with.
#[inline]
pub(crate) fn version_to_record<A: Aggregate>(
    event: &A::Event,
    event_type: &str,
) -> Result<u16, EventCodecError> {
    let declared = A::upcasters().version_to_record(event_type)?;
    Ok(declared.unwrap_or_else(|| A::event_schema(event)))
}

/// Whether a schema version is one that this build knows.
#[inline]
pub(crate) fn check_known(event_type: &str, found: u16, known: u16) -> Result<(), EventCodecError> {
    if found <= known {
        return Ok(());
    }
    Err(EventCodecError::NewerSchema {
        event_type: event_type.to_owned(),
        found,
        known,
    })
}

pub(crate) use decode::{check_value, decode_content, decode_value, plain_payload};
pub(crate) use variants::variant_names;

#[cfg(test)]
mod tests;
