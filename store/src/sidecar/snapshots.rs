//! The table `snapshots`: the latest state of each aggregate.
//!
//! Keys (integers big-endian; never renumber):
//!
//! | bytes | what |
//! |---|---|
//! | text of the stream id, `00` | header |
//! | text of the stream id, `00`, part u32 | a part of the state, from 0 |
//!
//! Header, followed by its 4-byte checksum (integers little-endian):
//!
//! | bytes | what |
//! |---|---|
//! | 1 | format 1 |
//! | 8 | version of the stream |
//! | 16 | id of the event at that version |
//! | 4 | version of the state's shape |
//! | 1 | codec |
//! | 4 | key id, 0 for plain bytes |
//! | 4 | length of the state |
//! | 4 | number of parts; 0: the state follows the hash |
//! | 32 | BLAKE3 of the key, all of the above, and the state |
//! | | the state, if it fits |
//!
//! A part is 4,096 bytes of the state and nothing else; the last one may be shorter.

use std::num::NonZeroU32;
use std::sync::PoisonError;

use uuid::Uuid;

use super::Sidecar;
use super::engine::{Batch, Bytes, Table};
use super::value::{Reader, SEAL_BYTES, UNSEEN_BYTES_MAX, VALUE_BYTES_MAX, seal, unseal};
use crate::error::Fault;
use crate::event::{Codec, Payload};
use crate::position::Version;
use crate::snapshot::Snapshot;
use crate::stream_id::StreamId;

/// The largest state that is kept.
pub(crate) const SNAPSHOT_BYTES_MAX: usize = 64 * 1024 * 1024;

const FORMAT: u8 = 1;
const HASH_BYTES: usize = 32;
const HEADER_BYTES: usize = 1 + 8 + 16 + 4 + 1 + 4 + 4 + 4 + HASH_BYTES;
const INLINE_BYTES_MAX: usize = VALUE_BYTES_MAX - HEADER_BYTES - SEAL_BYTES;

fn header_key(stream: &StreamId) -> Vec<u8> {
    let mut key = stream.as_str().as_bytes().to_vec();
    key.push(0);
    key
}

fn part_key(header_key: &[u8], part: u32) -> Vec<u8> {
    let mut key = header_key.to_vec();
    key.extend_from_slice(&part.to_be_bytes());
    key
}

/// Behind the header and all parts of a stream.
fn end_key(stream: &StreamId) -> Vec<u8> {
    let mut key = stream.as_str().as_bytes().to_vec();
    key.push(1);
    key
}

struct Header<'v> {
    version: Version,
    event_id: Uuid,
    state_schema: u32,
    codec: u8,
    key_id: u32,
    length: u32,
    parts: u32,
    hash: [u8; HASH_BYTES],
    inline: &'v [u8],
}

impl<'v> Header<'v> {
    fn encode(&self, key: &[u8]) -> Vec<u8> {
        let mut value = self.fields();
        value.extend_from_slice(&self.hash);
        value.extend_from_slice(self.inline);
        seal(key, &mut value);
        value
    }

    fn decode(key: &[u8], value: &'v [u8]) -> Option<Self> {
        let mut reader = Reader::new(unseal(key, value)?);
        if reader.u8()? != FORMAT {
            return None;
        }
        Some(Self {
            version: Version::new(reader.u64()?),
            event_id: Uuid::from_bytes(reader.array()?),
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
        value.push(FORMAT);
        value.extend_from_slice(&self.version.get().to_le_bytes());
        value.extend_from_slice(self.event_id.as_bytes());
        value.extend_from_slice(&self.state_schema.to_le_bytes());
        value.push(self.codec);
        value.extend_from_slice(&self.key_id.to_le_bytes());
        value.extend_from_slice(&self.length.to_le_bytes());
        value.extend_from_slice(&self.parts.to_le_bytes());
        value
    }

    fn hash(&self, key: &[u8], state: &[u8]) -> [u8; HASH_BYTES] {
        let mut hasher = blake3::Hasher::new();
        hasher.update(key);
        hasher.update(&self.fields());
        hasher.update(state);
        *hasher.finalize().as_bytes()
    }
}

impl Sidecar {
    /// See [`SnapshotStore::save_snapshot`](crate::SnapshotStore::save_snapshot).
    ///
    /// # Errors
    /// The state is larger than [`SNAPSHOT_BYTES_MAX`], or the disk failed.
    pub(crate) fn save_snapshot(&self, snapshot: &Snapshot) -> Result<(), Fault> {
        let stream = &snapshot.stream;
        let state = &snapshot.payload.bytes;
        let length = u32::try_from(state.len())
            .ok()
            .filter(|_| state.len() <= SNAPSHOT_BYTES_MAX)
            .ok_or_else(|| {
                Fault::new(format!(
                    "the snapshot of stream {stream} takes {} bytes, the limit is {SNAPSHOT_BYTES_MAX}; \
                     keep less in the state, or take no snapshots of it",
                    state.len()
                ))
            })?;
        let key = header_key(stream);
        let _alone = self
            .snapshots
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(value) = self.engine.get(Table::Snapshots, &key)?
            && let Some(there) = Header::decode(&key, &value)
            && there.version > snapshot.version
        {
            return Ok(());
        }

        let inline = state.len() <= INLINE_BYTES_MAX;
        let mut batch = Batch::default();
        let mut parts = 0_u32;
        if !inline {
            for part in state.chunks(VALUE_BYTES_MAX) {
                batch.insert(part_key(&key, parts), part);
                parts += 1;
            }
        }
        let mut header = Header {
            version: snapshot.version,
            event_id: snapshot.event_id,
            state_schema: snapshot.state_schema,
            codec: snapshot.payload.codec.byte(),
            key_id: snapshot.payload.key_id.map_or(0, NonZeroU32::get),
            length,
            parts,
            hash: [0; HASH_BYTES],
            inline: if inline { state } else { &[] },
        };
        header.hash = header.hash(&key, state);
        let value = header.encode(&key);

        let stale = self.parts_from(stream, parts)?;
        if inline && stale.is_empty() {
            // One value is atomic by itself, and a batch would stop all others.
            return self.engine.put(Table::Snapshots, &key, &value);
        }
        for key in stale {
            batch.remove(key);
        }
        batch.insert(key, value);
        self.engine.apply(Table::Snapshots, batch)
    }

    /// See [`SnapshotStore::load_snapshot`](crate::SnapshotStore::load_snapshot).
    pub(crate) fn load_snapshot(&self, stream: &StreamId) -> Result<Option<Snapshot>, Fault> {
        let key = header_key(stream);
        let _no_save = self
            .snapshots
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        let Some(value) = self.engine.get(Table::Snapshots, &key)? else {
            return Ok(None);
        };
        let ignored = |why: &str| {
            tracing::warn!(%stream, why, "a snapshot is ignored; the events are replayed instead");
            Ok(None)
        };
        let Some(header) = Header::decode(&key, &value) else {
            return ignored("its header is damaged");
        };
        let Ok(length) = usize::try_from(header.length) else {
            return ignored("its length is not possible");
        };
        if length > SNAPSHOT_BYTES_MAX {
            return ignored("its length is not possible");
        }
        let state = if header.parts == 0 {
            header.inline.to_vec()
        } else {
            self.state_of(stream, &key, header.parts, length)?
        };
        if state.len() != length || header.hash(&key, &state) != header.hash {
            return ignored("its checksum does not hold");
        }
        let Some(codec) = Codec::from_byte(header.codec) else {
            return ignored("its codec is unknown");
        };
        Ok(Some(Snapshot {
            stream: stream.clone(),
            version: header.version,
            event_id: header.event_id,
            state_schema: header.state_schema,
            payload: Payload {
                codec,
                key_id: NonZeroU32::new(header.key_id),
                bytes: state.into(),
            },
        }))
    }

    /// See [`SnapshotStore::delete_snapshot`](crate::SnapshotStore::delete_snapshot).
    pub(crate) fn delete_snapshot(&self, stream: &StreamId) -> Result<(), Fault> {
        let _alone = self
            .snapshots
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let parts = self.parts_from(stream, 0)?;
        if parts.is_empty() {
            return self.engine.remove(Table::Snapshots, &header_key(stream));
        }
        let mut batch = Batch::default();
        for key in parts {
            batch.remove(key);
        }
        batch.remove(header_key(stream));
        self.engine.apply(Table::Snapshots, batch)
    }

    /// The keys of the parts from `first` on.
    fn parts_from(&self, stream: &StreamId, first: u32) -> Result<Vec<Bytes>, Fault> {
        let low = part_key(&header_key(stream), first);
        let mut entries = self
            .engine
            .range(Table::Snapshots, &low, &end_key(stream))?;
        let mut keys = Vec::new();
        while let Some((key, _)) = entries.forward()? {
            keys.push(key);
        }
        Ok(keys)
    }

    /// Puts the parts together, as far as they are there in order and no longer than `length`.
    fn state_of(
        &self,
        stream: &StreamId,
        key: &[u8],
        parts: u32,
        length: usize,
    ) -> Result<Vec<u8>, Fault> {
        let mut entries =
            self.engine
                .range(Table::Snapshots, &part_key(key, 0), &end_key(stream))?;
        join_parts(key, parts, length, || entries.forward())
    }
}

fn join_parts(
    key: &[u8],
    parts: u32,
    length: usize,
    mut next: impl FnMut() -> Result<Option<(Bytes, Bytes)>, Fault>,
) -> Result<Vec<u8>, Fault> {
    let mut state = Vec::with_capacity(length.min(UNSEEN_BYTES_MAX));
    for part in 0..parts {
        match next()? {
            Some((found, value))
                if *found == *part_key(key, part) && state.len() + value.len() <= length =>
            {
                state.extend_from_slice(&value);
            }
            _ => break,
        }
    }
    Ok(state)
}

#[cfg(any(test, fuzzing))]
pub(super) mod fuzzing;
#[cfg(test)]
mod tests;
