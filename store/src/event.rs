use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::position::{Position, Version};
use crate::stream_id::StreamId;

/// The longest event type, in bytes.
pub const EVENT_TYPE_BYTES_MAX: usize = 127;
/// The longest user name, in bytes.
pub const USER_BYTES_MAX: usize = 127;
/// The most that all metadata keys and values of one event may take, in bytes.
pub const METADATA_BYTES_MAX: usize = 16 * 1024;

/// How the bytes of a payload are to be read. Persisted as one byte: a number is never given a second meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Codec {
    /// Opaque bytes.
    Raw,
    /// MessagePack, maps with field names.
    #[default]
    MessagePack,
    /// UTF-8 JSON.
    Json,
}

impl Codec {
    /// The byte that stands for it in the journal.
    #[must_use]
    pub const fn byte(self) -> u8 {
        match self {
            Self::Raw => 0,
            Self::MessagePack => 1,
            Self::Json => 2,
        }
    }

    /// The codec behind a journal byte; `None` if this build does not know it.
    #[must_use]
    pub const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::Raw),
            1 => Some(Self::MessagePack),
            2 => Some(Self::Json),
            _ => None,
        }
    }
}

/// The domain's part of an event: bytes, how to read them, and under which key they are encrypted.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Payload {
    /// How to read [`Payload::bytes`].
    pub codec: Codec,
    /// The key that encrypts the bytes; `None` for plain bytes. Nothing encrypts yet: the format keeps the place.
    pub key_id: Option<NonZeroU32>,
    /// The bytes themselves; a clone shares them.
    pub bytes: Bytes,
}

impl Payload {
    /// Plain MessagePack bytes.
    #[must_use]
    pub fn message_pack(bytes: impl Into<Bytes>) -> Self {
        Self {
            codec: Codec::MessagePack,
            key_id: None,
            bytes: bytes.into(),
        }
    }

    /// Plain bytes that the store's users read in their own way.
    #[must_use]
    pub fn raw(bytes: impl Into<Bytes>) -> Self {
        Self {
            codec: Codec::Raw,
            key_id: None,
            bytes: bytes.into(),
        }
    }
}

/// Further facts about an event, as text by key, in key order.
pub type Metadata = BTreeMap<String, String>;

/// An event as it is handed to [`EventStore::submit`](crate::EventStore::submit): everything but what the store gives
/// it (version, position, time of recording).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEvent {
    /// Unique in the store; UUID version 7 by convention.
    ///
    /// A store refuses two equal ids within one append. Over appends it does not look for them: what must not be recorded
    /// twice carries a command id, see [`Append::answering`](crate::Append::answering).
    pub id: Uuid,
    /// The event's stable name, for instance `Debited`; at most [`EVENT_TYPE_BYTES_MAX`] bytes.
    pub event_type: Arc<str>,
    /// The version of the payload's shape, from 1.
    pub schema_version: u16,
    /// When the event counts, where that differs from when it is recorded (a back-dated posting).
    pub effective_at: Option<Timestamp>,
    /// The business transaction that the event belongs to.
    pub correlation_id: Option<Uuid>,
    /// The command or event that caused it.
    pub causation_id: Option<Uuid>,
    /// Who asked for it; at most [`USER_BYTES_MAX`] bytes.
    pub user: Option<Arc<str>>,
    /// Further facts; at most [`METADATA_BYTES_MAX`] bytes in all.
    pub metadata: Metadata,
    /// The domain's part.
    pub payload: Payload,
}

impl NewEvent {
    /// An event of schema version 1 with only the facts that every event has.
    #[must_use]
    pub fn new(id: Uuid, event_type: impl Into<Arc<str>>, payload: Payload) -> Self {
        Self {
            id,
            event_type: event_type.into(),
            schema_version: 1,
            effective_at: None,
            correlation_id: None,
            causation_id: None,
            user: None,
            metadata: Metadata::new(),
            payload,
        }
    }
}

/// An event as the store gives it back: durable, in its place, never changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedEvent {
    /// Its place among all events.
    pub position: Position,
    /// The stream that it belongs to.
    pub stream: StreamId,
    /// Its place in that stream.
    pub version: Version,
    /// Its unique id.
    pub id: Uuid,
    /// Its stable name.
    pub event_type: Arc<str>,
    /// The version of the payload's shape.
    pub schema_version: u16,
    /// When the store took it; never earlier than the event before it, over the whole store.
    pub recorded_at: Timestamp,
    /// When it counts: as the writer said, or `recorded_at`.
    pub effective_at: Timestamp,
    /// The business transaction that it belongs to.
    pub correlation_id: Option<Uuid>,
    /// What caused it.
    pub causation_id: Option<Uuid>,
    /// Who asked for it.
    pub user: Option<Arc<str>>,
    /// Further facts.
    pub metadata: Metadata,
    /// The domain's part.
    pub payload: Payload,
}
