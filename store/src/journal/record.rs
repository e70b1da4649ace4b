//! One event in the journal, byte by byte (format version 1). All numbers are little-endian.
//!
//! | bytes | field |
//! |---|---|
//! | 4 | length: how many bytes follow the checksum |
//! | 4 | CRC-32 (IEEE) of the event's position (8 bytes) followed by those `length` bytes |
//! | 1 | kind: 1 is an event. A reader skips a kind of 128 or more that it does not know |
//! | 1 | flags: which optional fields stand below, lowest bit first |
//! | 1 | codec of the payload: 0 raw, 1 MessagePack, 2 JSON |
//! | 2 | schema version of the payload |
//! | 8 | recorded at, microseconds since 1970-01-01T00:00:00Z, signed |
//! | 16 | event id |
//! | 1 to 10 | version in the stream, LEB128 |
//! | 3 | lengths of tenant, aggregate type and aggregate id |
//! | .. | tenant, aggregate type, aggregate id, UTF-8 |
//! | 1 + n | length of the event type; event type, UTF-8 |
//! | 8 | flag bit 0: effective at, like recorded at |
//! | 16 | flag bit 1: correlation id |
//! | 16 | flag bit 2: causation id |
//! | 1 + n | flag bit 3: user, length and UTF-8 |
//! | .. | flag bit 4: metadata: number of entries, then for each the key and the value, every one LEB128 length and UTF-8 |
//! | 4 | flag bit 5: id of the key that encrypts the payload, not 0 |
//! | rest | payload |

use std::num::NonZeroU32;
use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;

use crate::bytes_io::Fields;
use crate::clock::Timestamp;
use crate::event::{Codec, Metadata, NewEvent, Payload, RecordedEvent};
use crate::journal::names::Names;
use crate::look_up::facts::EventFacts;
use crate::position::{Position, Version};
use crate::stream_id::StreamId;
use crate::varint::{VARINT_BYTES_MAX, put_varint};

/// Length and checksum.
pub(crate) const RECORD_PREFIX_BYTES: usize = 8;
/// Every fixed and optional field at its longest, without texts, metadata and payload.
const FIELD_BYTES_MAX: usize = RECORD_PREFIX_BYTES + 29 + VARINT_BYTES_MAX + 3 + 1 + 8 + 32 + 1 + 4;

/// No stream ever gets here: versions can be added up without a look at the end of a `u64`.
const VERSION_MAX: u64 = u64::MAX >> 1;

const KIND_EVENT: u8 = 1;
const KIND_OPTIONAL: u8 = 128;

const HAS_EFFECTIVE_AT: u8 = 1;
const HAS_CORRELATION: u8 = 1 << 1;
const HAS_CAUSATION: u8 = 1 << 2;
const HAS_USER: u8 = 1 << 3;
const HAS_METADATA: u8 = 1 << 4;
const HAS_KEY_ID: u8 = 1 << 5;
const KNOWN_FLAGS: u8 = 0b0011_1111;

/// Appends the record of `event` with its checksum left open ([`seal`] fills it in when the position is certain).
///
/// The event has passed validation, so every length fits its field.
pub(crate) fn encode(
    out: &mut Vec<u8>,
    stream: &StreamId,
    version: Version,
    recorded_at: Timestamp,
    event: &NewEvent,
) {
    let start = begin(out);
    out.push(KIND_EVENT);
    out.push(flags_of(event));
    out.push(event.payload.codec.byte());
    out.extend_from_slice(&event.schema_version.to_le_bytes());
    out.extend_from_slice(&recorded_at.unix_micros().to_le_bytes());
    out.extend_from_slice(event.id.as_bytes());
    put_varint(out, version.get());
    let parts = [
        stream.tenant(),
        stream.aggregate_type(),
        stream.aggregate_id(),
    ];
    out.extend(parts.map(byte_len));
    for part in parts {
        out.extend_from_slice(part.as_bytes());
    }
    put_short_text(out, &event.event_type);
    put_optional(out, event);
    out.extend_from_slice(&event.payload.bytes);
    end(out, start);
}

/// Begins a record of any kind: leaves room for its length and checksum, and gives back where it starts.
pub(super) fn begin(out: &mut Vec<u8>) -> usize {
    let start = out.len();
    out.extend_from_slice(&[0; RECORD_PREFIX_BYTES]);
    start
}

/// Ends the record that starts at `start`: fills in its length.
pub(super) fn end(out: &mut [u8], start: usize) {
    let length = out.len().saturating_sub(start + RECORD_PREFIX_BYTES);
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    if let Some(field) = out.get_mut(start..start + 4) {
        field.copy_from_slice(&length.to_le_bytes());
    }
}

/// At least what the record of `event` takes, and not much more.
pub(crate) fn encoded_bytes_max(stream: &StreamId, event: &NewEvent) -> usize {
    let texts = event.event_type.len() + event.user.as_ref().map_or(0, |user| user.len());
    let entries = event.metadata.iter();
    let metadata: usize = entries
        .map(|(key, value)| key.len() + value.len() + 2 * VARINT_BYTES_MAX)
        .sum();
    (FIELD_BYTES_MAX + VARINT_BYTES_MAX + stream.as_str().len())
        .saturating_add(texts)
        .saturating_add(metadata)
        .saturating_add(event.payload.bytes.len())
}

fn flags_of(event: &NewEvent) -> u8 {
    let flag = |present: bool, bit: u8| if present { bit } else { 0 };
    flag(event.effective_at.is_some(), HAS_EFFECTIVE_AT)
        | flag(event.correlation_id.is_some(), HAS_CORRELATION)
        | flag(event.causation_id.is_some(), HAS_CAUSATION)
        | flag(event.user.is_some(), HAS_USER)
        | flag(!event.metadata.is_empty(), HAS_METADATA)
        | flag(event.payload.key_id.is_some(), HAS_KEY_ID)
}

fn put_optional(out: &mut Vec<u8>, event: &NewEvent) {
    if let Some(at) = event.effective_at {
        out.extend_from_slice(&at.unix_micros().to_le_bytes());
    }
    if let Some(id) = event.correlation_id {
        out.extend_from_slice(id.as_bytes());
    }
    if let Some(id) = event.causation_id {
        out.extend_from_slice(id.as_bytes());
    }
    if let Some(user) = &event.user {
        put_short_text(out, user);
    }
    if !event.metadata.is_empty() {
        put_varint(out, event.metadata.len() as u64);
        for text in event.metadata.iter().flat_map(|(key, value)| [key, value]) {
            put_varint(out, text.len() as u64);
            out.extend_from_slice(text.as_bytes());
        }
    }
    if let Some(key_id) = event.payload.key_id {
        out.extend_from_slice(&key_id.get().to_le_bytes());
    }
}

fn byte_len(text: &str) -> u8 {
    u8::try_from(text.len()).unwrap_or(u8::MAX)
}

fn put_short_text(out: &mut Vec<u8>, text: &str) {
    out.push(byte_len(text));
    out.extend_from_slice(text.as_bytes());
}

/// Fills in the checksum of the record at the front of `record`, now that its position is certain.
pub(crate) fn seal(record: &mut [u8], position: Position) {
    let Some((prefix, content)) = record.split_first_chunk_mut::<RECORD_PREFIX_BYTES>() else {
        return;
    };
    let [a, b, c, d, crc @ ..] = prefix;
    let length = u32::from_le_bytes([*a, *b, *c, *d]);
    if let Some(content) = usize::try_from(length)
        .ok()
        .and_then(|length| content.get(..length))
    {
        *crc = checksum(content, position).to_le_bytes();
    }
}

fn checksum(content: &[u8], position: Position) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&position.get().to_le_bytes());
    hasher.update(content);
    hasher.finalize()
}

/// A record cut out of a frame, not yet decoded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RawRecord<'a> {
    pub(crate) content: &'a [u8],
    crc: u32,
}

impl<'a> RawRecord<'a> {
    /// Takes the next record off `fields`.
    pub(crate) fn next(fields: &mut Fields<'a>) -> Option<Self> {
        let length = usize::try_from(fields.u32()?).ok()?;
        let crc = fields.u32()?;
        Some(Self {
            content: fields.bytes(length)?,
            crc,
        })
    }

    pub(crate) fn is_event(&self) -> bool {
        self.content.first() == Some(&KIND_EVENT)
    }

    /// Whether this build must understand the record and does not.
    pub(crate) fn is_foreign(&self) -> bool {
        self.content
            .first()
            .is_none_or(|kind| *kind != KIND_EVENT && *kind < KIND_OPTIONAL)
    }

    /// Whether the bytes are those that were written, at this position.
    pub(crate) fn is_intact(&self, position: Position) -> bool {
        checksum(self.content, position) == self.crc
    }
}

/// When an event was recorded.
pub(crate) fn decode_recorded_at(content: &[u8]) -> Option<Timestamp> {
    let mut fields = Fields::new(content);
    fields.bytes(1 + 1 + 1 + 2)?;
    Some(Timestamp::from_unix_micros(fields.i64()?))
}

/// The stream and the version of an event record: all that the index needs.
pub(crate) fn decode_place<'a>(content: &'a [u8]) -> Option<(StreamParts<'a>, Version)> {
    let mut fields = Fields::new(content);
    fields.bytes(1 + 1 + 1 + 2 + 8 + 16)?;
    let version = take_version(&mut fields)?;
    Some((StreamParts::decode(&mut fields)?, version))
}

/// What an event record is looked up by.
pub(crate) fn decode_facts(content: &[u8]) -> Option<EventFacts<'_>> {
    let mut fields = Fields::new(content);
    if fields.u8()? != KIND_EVENT {
        return None;
    }
    let flags = fields.u8()?;
    fields.bytes(1 + 2 + 8 + 16)?;
    take_version(&mut fields)?;
    let stream = StreamParts::decode(&mut fields)?;
    let event_type = short_text(&mut fields)?;
    if flags & HAS_EFFECTIVE_AT != 0 {
        fields.bytes(8)?;
    }
    Some(EventFacts {
        tenant: stream.tenant,
        aggregate_type: stream.aggregate_type,
        event_type,
        correlation_id: optional_id(flags & HAS_CORRELATION != 0, &mut fields)?,
    })
}

fn take_version(fields: &mut Fields<'_>) -> Option<Version> {
    let version = fields.varint()?;
    (1..=VERSION_MAX)
        .contains(&version)
        .then_some(Version::new(version))
}

/// The three parts of a stream id, borrowed from a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct StreamParts<'a> {
    pub(crate) tenant: &'a str,
    pub(crate) aggregate_type: &'a str,
    pub(crate) aggregate_id: &'a str,
}

impl<'a> StreamParts<'a> {
    fn decode(fields: &mut Fields<'a>) -> Option<Self> {
        let [tenant, aggregate_type, aggregate_id] = fields.array()?.map(usize::from);
        Some(Self {
            tenant: fields.text(tenant)?,
            aggregate_type: fields.text(aggregate_type)?,
            aggregate_id: fields.text(aggregate_id)?,
        })
    }

    pub(crate) fn to_stream_id(self) -> Option<StreamId> {
        StreamId::new(self.tenant, self.aggregate_type, self.aggregate_id).ok()
    }
}

/// Decodes the content of an event record that stands in `frame`; the payload shares the frame's memory.
///
/// `None` if the bytes are not an event of format version 1.
pub(crate) fn decode(
    frame: &Bytes,
    content: &[u8],
    position: Position,
    names: &mut Names,
) -> Option<RecordedEvent> {
    let mut fields = Fields::new(content);
    if fields.u8()? != KIND_EVENT {
        return None;
    }
    let flags = fields.u8()?;
    if flags & !KNOWN_FLAGS != 0 {
        return None;
    }
    let codec = Codec::from_byte(fields.u8()?)?;
    let schema_version = fields.u16()?;
    let recorded_at = Timestamp::from_unix_micros(fields.i64()?);
    let id = Uuid::from_bytes(fields.array()?);
    let version = take_version(&mut fields)?;
    let stream = names.stream(StreamParts::decode(&mut fields)?)?;
    let event_type = names.event_type(short_text(&mut fields)?);
    let has = |bit: u8| flags & bit != 0;
    let effective_at = if has(HAS_EFFECTIVE_AT) {
        Timestamp::from_unix_micros(fields.i64()?)
    } else {
        recorded_at
    };
    let correlation_id = optional_id(has(HAS_CORRELATION), &mut fields)?;
    let causation_id = optional_id(has(HAS_CAUSATION), &mut fields)?;
    let user = if has(HAS_USER) {
        Some(Arc::from(short_text(&mut fields)?))
    } else {
        None
    };
    let metadata = if has(HAS_METADATA) {
        decode_metadata(&mut fields)?
    } else {
        Metadata::new()
    };
    let key_id = if has(HAS_KEY_ID) {
        Some(NonZeroU32::new(fields.u32()?)?)
    } else {
        None
    };
    let payload = Payload {
        codec,
        key_id,
        bytes: frame.slice_ref(fields.rest()),
    };
    Some(RecordedEvent {
        position,
        stream,
        version,
        id,
        event_type,
        schema_version,
        recorded_at,
        effective_at,
        correlation_id,
        causation_id,
        user,
        metadata,
        payload,
    })
}

fn short_text<'a>(fields: &mut Fields<'a>) -> Option<&'a str> {
    let len = usize::from(fields.u8()?);
    fields.text(len)
}

/// The outer `None` is a failure, the inner one an absent id.
fn optional_id(present: bool, fields: &mut Fields<'_>) -> Option<Option<Uuid>> {
    if present {
        fields.array().map(|bytes| Some(Uuid::from_bytes(bytes)))
    } else {
        Some(None)
    }
}

fn decode_metadata(fields: &mut Fields<'_>) -> Option<Metadata> {
    let count = fields.varint()?;
    let mut metadata = Metadata::new();
    for _ in 0..count {
        let key_len = usize::try_from(fields.varint()?).ok()?;
        let key = fields.text(key_len)?.to_owned();
        let value_len = usize::try_from(fields.varint()?).ok()?;
        metadata.insert(key, fields.text(value_len)?.to_owned());
    }
    Some(metadata)
}

#[cfg(test)]
mod tests;
