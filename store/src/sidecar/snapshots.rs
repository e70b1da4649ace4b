//! The table `snapshots`: states of each aggregate, the newest ones of each.
//!
//! Keys (integers big-endian; never renumber; no stream id holds a zero byte):
//!
//! | bytes | what |
//! |---|---|
//! | text of the stream id, `00` | the only header of a stream, as the first build wrote it; read, never written |
//! | text of the stream id, `00`, part u32 | a part of its state, from 0 |
//! | text of the stream id, `00 01`, version u64 | header |
//! | text of the stream id, `00 02`, version u64, part u32 | a part of its state, from 0 |
//!
//! There are never so many parts that the first byte of their number is not zero, so the four kinds of keys do not mix.
//! All headers of a stream lie side by side, without parts in between, so that they can be listed.
//!
//! Header, followed by its 4-byte checksum (integers little-endian):
//!
//! | bytes | what |
//! |---|---|
//! | 1 | format 2; the first build's only header has format 1 |
//! | 8 | version of the stream |
//! | 16 | id of the event at that version |
//! | 8 | not in format 1: when it was taken, signed microseconds since 1970 |
//! | 4 | version of the state's shape |
//! | 1 | codec |
//! | 4 | key id, 0 for plain bytes |
//! | 4 | length of the state |
//! | 4 | number of parts; 0: the state follows the hash |
//! | 32 | BLAKE3 of the key, all of the above, and the state |
//! | | the state, if it fits |
//!
//! A part is 4,096 bytes of the state and nothing else; the last one may be shorter.

mod kept;
mod reading;

use std::collections::BTreeSet;
use std::num::{NonZeroU16, NonZeroU32};
use std::sync::PoisonError;

use self::kept::{Header, INLINE_BYTES_MAX, PartKeys, all_parts, header_key, version_of_part};
use super::Sidecar;
use super::engine::{Batch, Bytes, Table};
use super::value::VALUE_BYTES_MAX;
use crate::error::Fault;
use crate::position::Version;
use crate::snapshot::{Snapshot, SnapshotCriteria};
use crate::stream_id::StreamId;

/// The largest state that is kept.
pub(crate) const SNAPSHOT_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What a save or a removal leaves of a stream.
#[derive(Debug, Default)]
struct Left {
    /// The versions whose headers and parts stay as they are.
    kept: BTreeSet<Version>,
    /// Whether the snapshot of the first format stays.
    single: bool,
    /// The keys of the headers that go.
    removed: Vec<Vec<u8>>,
}

impl Sidecar {
    /// See [`SnapshotStore::save_snapshot`](crate::SnapshotStore::save_snapshot).
    ///
    /// # Errors
    /// The state is larger than [`SNAPSHOT_BYTES_MAX`], or the disk failed.
    pub(crate) fn save_snapshot(&self, snapshot: &Snapshot, keep: NonZeroU16) -> Result<(), Fault> {
        let length = length_of(snapshot)?;
        let _alone = self
            .snapshots
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let (left, saved) = self.left_by_save(snapshot, usize::from(keep.get()))?;
        let mut batch = Batch::default();
        let mut parts = 0;
        let mut inline_header = None;
        if saved {
            let key = header_key(&snapshot.stream, snapshot.version);
            let value;
            (value, parts) = put_state(&mut batch, &key, snapshot, length);
            inline_header = (parts == 0).then(|| (key.clone(), value.clone()));
            batch.insert(key, value);
        }
        let stale = self.stale_parts(&snapshot.stream, &left, (snapshot.version, parts))?;
        if let Some((key, value)) = inline_header
            && stale.is_empty()
            && left.removed.is_empty()
        {
            // One value is atomic by itself, and a batch would stop all others.
            return self.engine.put(Table::Snapshots, &key, &value);
        }
        self.apply_removals(batch, left, stale)
    }

    /// See [`SnapshotStore::delete_snapshots`](crate::SnapshotStore::delete_snapshots).
    pub(crate) fn delete_snapshots(
        &self,
        stream: &StreamId,
        criteria: SnapshotCriteria,
    ) -> Result<(), Fault> {
        let _alone = self
            .snapshots
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let mut left = Left::default();
        let mut headers = self.headers(stream, SnapshotCriteria::ALL)?;
        while let Some(found) = headers.next_older()? {
            // One that cannot be read is no snapshot: it goes with any other.
            let stays = found
                .header()
                .is_some_and(|header| !criteria.fit(header.version, header.taken_at));
            left.note(&found, stays);
        }
        let stale = self.stale_parts(stream, &left, (Version::EMPTY, 0))?;
        self.apply_removals(Batch::default(), left, stale)
    }

    /// Which snapshots stay beside the one that is saved, and whether that one is kept at all.
    fn left_by_save(&self, snapshot: &Snapshot, keep: usize) -> Result<(Left, bool), Fault> {
        let mut left = Left::default();
        let mut kept = 0;
        let mut saved = false;
        let mut headers = self.headers(&snapshot.stream, SnapshotCriteria::ALL)?;
        while let Some(found) = headers.next_older()? {
            if found.version <= snapshot.version && !saved && kept < keep {
                saved = true;
                kept += 1;
            }
            let replaced = found.version == snapshot.version && saved;
            if replaced && !found.is_single {
                // Its header is written over; which of its parts go is seen with the parts.
                continue;
            }
            // One that cannot be read is no snapshot, and takes no place.
            let stays = !replaced && kept < keep && found.header().is_some();
            kept += usize::from(stays);
            left.note(&found, stays);
        }
        Ok((left, saved || kept < keep))
    }

    fn apply_removals(&self, mut batch: Batch, left: Left, stale: Vec<Bytes>) -> Result<(), Fault> {
        for key in stale {
            batch.remove(key);
        }
        for key in left.removed {
            batch.remove(key);
        }
        self.engine.apply(Table::Snapshots, batch)
    }

    /// The keys of all parts that belong to no snapshot that stays. Of the one that is `saved` the first parts are
    /// written over and the others go.
    fn stale_parts(
        &self,
        stream: &StreamId,
        left: &Left,
        (saved, parts): (Version, u32),
    ) -> Result<Vec<Bytes>, Fault> {
        let mut stale = Vec::new();
        if !left.single {
            let single = PartKeys::of_single(stream);
            let mut entries = self
                .engine
                .range(Table::Snapshots, &single.key(0), single.end())?;
            while let Some((key, _)) = entries.forward()? {
                stale.push(key);
            }
        }
        let (mut low, end) = all_parts(stream);
        'kept: loop {
            let mut entries = self.engine.range(Table::Snapshots, &low, &end)?;
            while let Some((key, _)) = entries.forward()? {
                let version = version_of_part(stream, &key);
                if let Some(version) = version.filter(|version| left.kept.contains(version)) {
                    // What stays is not read: it may be large.
                    low = PartKeys::of(stream, version).end().to_vec();
                    continue 'kept;
                }
                let behind = PartKeys::of(stream, saved).key(parts);
                if version == Some(saved) && *key < *behind {
                    low = behind;
                    continue 'kept;
                }
                stale.push(key);
            }
            return Ok(stale);
        }
    }
}

/// The length of a state that is not too large.
fn length_of(snapshot: &Snapshot) -> Result<u32, Fault> {
    let bytes = snapshot.payload.bytes.len();
    u32::try_from(bytes)
        .ok()
        .filter(|_| bytes <= SNAPSHOT_BYTES_MAX)
        .ok_or_else(|| {
            Fault::new(format!(
                "the snapshot of stream {} takes {bytes} bytes, the limit is {SNAPSHOT_BYTES_MAX}; \
                 keep less in the state, or take no snapshots of it",
                snapshot.stream
            ))
        })
}

/// Puts the parts of a state, if it needs any, and gives the value of its header and how many parts there are.
fn put_state(batch: &mut Batch, key: &[u8], snapshot: &Snapshot, length: u32) -> (Vec<u8>, u32) {
    let state = &snapshot.payload.bytes;
    let mut header = Header::new(snapshot.version, snapshot.event_id, snapshot.taken_at);
    header.state_schema = snapshot.state_schema;
    header.codec = snapshot.payload.codec.byte();
    header.key_id = snapshot.payload.key_id.map_or(0, NonZeroU32::get);
    header.length = length;
    if state.len() <= INLINE_BYTES_MAX {
        header.inline = state;
    } else {
        let keys = PartKeys::of(&snapshot.stream, snapshot.version);
        for part in state.chunks(VALUE_BYTES_MAX) {
            batch.insert(keys.key(header.parts), part);
            header.parts += 1;
        }
    }
    header.hash = header.hash(key, state);
    (header.encode(key), header.parts)
}

impl Left {
    fn note(&mut self, found: &reading::Found, stays: bool) {
        match (stays, found.is_single) {
            (true, true) => self.single = true,
            (true, false) => drop(self.kept.insert(found.version)),
            (false, _) => self.removed.push(found.key.clone()),
        }
    }
}

#[cfg(any(test, fuzzing))]
pub(super) mod fuzzing;
#[cfg(test)]
mod tests;
