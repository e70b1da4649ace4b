//! Where a snapshot is kept, and its header. The bytes are described in `snapshots.rs`.

use uuid::Uuid;

use super::super::value::{Reader, SEAL_BYTES, VALUE_BYTES_MAX, seal, unseal};
use crate::clock::Timestamp;
use crate::position::Version;
use crate::snapshot::SnapshotInfo;
use crate::stream_id::StreamId;

/// One snapshot a stream, without the time of taking: what the first build wrote. It is read, never written.
const FORMAT_SINGLE: u8 = 1;
const FORMAT: u8 = 2;

const KEY_HEADER: u8 = 1;
const KEY_PARTS: u8 = 2;
/// How many bytes the number of a part takes in its key.
const PART_BYTES: usize = 4;

const HASH_BYTES: usize = 32;
const HEADER_BYTES: usize = 1 + 8 + 16 + 8 + 4 + 1 + 4 + 4 + 4 + HASH_BYTES;

/// The largest state that stands in its header's own value.
pub(super) const INLINE_BYTES_MAX: usize = VALUE_BYTES_MAX - HEADER_BYTES - SEAL_BYTES;

/// A snapshot of the first format has no time. It counts as taken as late as can be, so that a bound on time never
/// takes it for older than it is.
const UNKNOWN_TIME: Timestamp = Timestamp::from_unix_micros(i64::MAX);

fn prefix(stream: &StreamId, kind: &[u8]) -> Vec<u8> {
    let mut key = stream.as_str().as_bytes().to_vec();
    key.push(0);
    key.extend_from_slice(kind);
    key
}

/// The key of a header.
pub(super) fn header_key(stream: &StreamId, version: Version) -> Vec<u8> {
    let mut key = prefix(stream, &[KEY_HEADER]);
    key.extend_from_slice(&version.get().to_be_bytes());
    key
}

/// The version in a header's key.
pub(super) fn version_in(key: &[u8]) -> Option<Version> {
    let (_, version) = key.split_last_chunk::<8>()?;
    Some(Version::new(u64::from_be_bytes(*version)))
}

/// The key of the header of the first format.
pub(super) fn single_key(stream: &StreamId) -> Vec<u8> {
    prefix(stream, &[])
}

/// The keys under which the parts of one snapshot lie, and nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PartKeys {
    prefix: Vec<u8>,
    end: Vec<u8>,
}

impl PartKeys {
    pub(super) fn of(stream: &StreamId, version: Version) -> Self {
        let mut prefix = prefix(stream, &[KEY_PARTS]);
        prefix.extend_from_slice(&version.get().to_be_bytes());
        // Longer than the number of a part, and not below any.
        let mut end = prefix.clone();
        end.extend_from_slice(&[u8::MAX; PART_BYTES + 1]);
        Self { prefix, end }
    }

    /// Those of the first format.
    pub(super) fn of_single(stream: &StreamId) -> Self {
        Self {
            prefix: prefix(stream, &[]),
            end: prefix(stream, &[KEY_HEADER]),
        }
    }

    pub(super) fn key(&self, part: u32) -> Vec<u8> {
        let mut key = self.prefix.clone();
        key.extend_from_slice(&part.to_be_bytes());
        key
    }

    /// Behind all parts.
    pub(super) fn end(&self) -> &[u8] {
        &self.end
    }
}

/// Before and behind all parts of a stream but those of the first format.
pub(super) fn all_parts(stream: &StreamId) -> (Vec<u8>, Vec<u8>) {
    (
        prefix(stream, &[KEY_PARTS]),
        prefix(stream, &[KEY_PARTS + 1]),
    )
}

/// The version in the key of one of these parts; `None` if it is no such key.
pub(super) fn version_of_part(stream: &StreamId, key: &[u8]) -> Option<Version> {
    let mut reader = Reader::new(key.strip_prefix(prefix(stream, &[KEY_PARTS]).as_slice())?);
    let version = u64::from_be_bytes(reader.array()?);
    let _part: [u8; PART_BYTES] = reader.array()?;
    reader.end()?;
    Some(Version::new(version))
}

/// What stands in a header.
pub(super) struct Header<'v> {
    pub(super) format: u8,
    pub(super) version: Version,
    pub(super) event_id: Uuid,
    pub(super) taken_at: Timestamp,
    pub(super) state_schema: u32,
    pub(super) codec: u8,
    pub(super) key_id: u32,
    pub(super) length: u32,
    pub(super) parts: u32,
    pub(super) hash: [u8; HASH_BYTES],
    pub(super) inline: &'v [u8],
}

impl<'v> Header<'v> {
    /// A header of the current format for a state that is not hashed yet.
    pub(super) fn new(version: Version, event_id: Uuid, taken_at: Timestamp) -> Self {
        Self {
            format: FORMAT,
            version,
            event_id,
            taken_at,
            state_schema: 0,
            codec: 0,
            key_id: 0,
            length: 0,
            parts: 0,
            hash: [0; HASH_BYTES],
            inline: &[],
        }
    }

    pub(super) fn encode(&self, key: &[u8]) -> Vec<u8> {
        let mut value = self.fields();
        value.extend_from_slice(&self.hash);
        value.extend_from_slice(self.inline);
        seal(key, &mut value);
        value
    }

    pub(super) fn decode(key: &[u8], value: &'v [u8]) -> Option<Self> {
        let mut reader = Reader::new(unseal(key, value)?);
        let format = reader.u8()?;
        if format != FORMAT && format != FORMAT_SINGLE {
            return None;
        }
        Some(Self {
            format,
            version: Version::new(reader.u64()?),
            event_id: Uuid::from_bytes(reader.array()?),
            taken_at: match format {
                FORMAT => Timestamp::from_unix_micros(i64::from_le_bytes(reader.array()?)),
                _ => UNKNOWN_TIME,
            },
            state_schema: reader.u32()?,
            codec: reader.u8()?,
            key_id: reader.u32()?,
            length: reader.u32()?,
            parts: reader.u32()?,
            hash: reader.array()?,
            inline: reader.rest(),
        })
    }

    /// Everything before the hash.
    fn fields(&self) -> Vec<u8> {
        let mut value = Vec::with_capacity(HEADER_BYTES + self.inline.len() + SEAL_BYTES);
        value.push(self.format);
        value.extend_from_slice(&self.version.get().to_le_bytes());
        value.extend_from_slice(self.event_id.as_bytes());
        if self.format == FORMAT {
            value.extend_from_slice(&self.taken_at.unix_micros().to_le_bytes());
        }
        value.extend_from_slice(&self.state_schema.to_le_bytes());
        value.push(self.codec);
        value.extend_from_slice(&self.key_id.to_le_bytes());
        value.extend_from_slice(&self.length.to_le_bytes());
        value.extend_from_slice(&self.parts.to_le_bytes());
        value
    }

    pub(super) fn hash(&self, key: &[u8], state: &[u8]) -> [u8; HASH_BYTES] {
        let mut hasher = blake3::Hasher::new();
        hasher.update(key);
        hasher.update(&self.fields());
        hasher.update(state);
        *hasher.finalize().as_bytes()
    }

    pub(super) fn info(&self) -> SnapshotInfo {
        SnapshotInfo {
            version: self.version,
            taken_at: self.taken_at,
            state_schema: self.state_schema,
            bytes: u64::from(self.length),
        }
    }
}
