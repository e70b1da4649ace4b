//! Finds the headers of a stream, and reads the states behind them.

use std::num::NonZeroU32;
use std::sync::PoisonError;

use super::super::Sidecar;
use super::super::engine::{Bytes, Range, Table};
use super::super::value::UNSEEN_BYTES_MAX;
use super::SNAPSHOT_BYTES_MAX;
use super::kept::{Header, PartKeys, header_key, single_key, version_in};
use crate::error::Fault;
use crate::event::{Codec, Payload};
use crate::position::Version;
use crate::snapshot::{Snapshot, SnapshotCriteria, SnapshotInfo};
use crate::stream_id::StreamId;

/// A header, whole or not.
pub(super) struct Found {
    /// As its key says.
    pub(super) version: Version,
    /// Whether it is one of the first format, the only one of its stream.
    pub(super) is_single: bool,
    pub(super) key: Vec<u8>,
    value: Bytes,
}

impl Found {
    /// `None` if it is damaged.
    pub(super) fn header(&self) -> Option<Header<'_>> {
        Header::decode(&self.key, &self.value)
    }

    fn part_keys(&self, stream: &StreamId) -> PartKeys {
        if self.is_single {
            PartKeys::of_single(stream)
        } else {
            PartKeys::of(stream, self.version)
        }
    }
}

/// The headers of one stream, newest first.
pub(super) struct Headers<'e> {
    entries: Range<'e>,
    next: Option<Found>,
    single: Option<Found>,
}

impl Headers<'_> {
    pub(super) fn next_older(&mut self) -> Result<Option<Found>, Fault> {
        if self.next.is_none() {
            self.next = self.entries.backward()?.map(|(key, value)| Found {
                version: version_in(&key).unwrap_or_default(),
                is_single: false,
                key: key.to_vec(),
                value,
            });
        }
        let single_first = match (&self.next, &self.single) {
            (Some(next), Some(single)) => single.version > next.version,
            (next, _) => next.is_none(),
        };
        Ok(if single_first {
            self.single.take()
        } else {
            self.next.take()
        })
    }
}

impl Sidecar {
    /// See [`SnapshotStore::load_snapshot`](crate::SnapshotStore::load_snapshot).
    pub(crate) fn load_snapshot(
        &self,
        stream: &StreamId,
        criteria: SnapshotCriteria,
    ) -> Result<Option<Snapshot>, Fault> {
        let _no_save = self
            .snapshots
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        let mut headers = self.headers(stream, criteria)?;
        while let Some(found) = headers.next_older()? {
            let why = match found.header() {
                Some(header) if !criteria.fit(header.version, header.taken_at) => continue,
                Some(header) => match self.read_state(stream, &found, &header)? {
                    Ok(snapshot) => return Ok(Some(snapshot)),
                    Err(why) => why,
                },
                None => "its header is damaged",
            };
            let version = found.version;
            tracing::warn!(%stream, %version, why, "a snapshot is ignored; more events are replayed instead");
        }
        Ok(None)
    }

    /// See [`SnapshotStore::snapshots`](crate::SnapshotStore::snapshots).
    pub(crate) fn snapshots_of(
        &self,
        stream: &StreamId,
        criteria: SnapshotCriteria,
    ) -> Result<Vec<SnapshotInfo>, Fault> {
        let _no_save = self
            .snapshots
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        let mut found_ones = Vec::new();
        let mut headers = self.headers(stream, criteria)?;
        while let Some(found) = headers.next_older()? {
            match found.header() {
                Some(header) if criteria.fit(header.version, header.taken_at) => {
                    found_ones.push(header.info());
                }
                Some(_) => {}
                None => {
                    let version = found.version;
                    tracing::warn!(%stream, %version, "the header of a snapshot is damaged; it is not listed");
                }
            }
        }
        Ok(found_ones)
    }

    /// The headers whose versions fit; the times are not looked at.
    pub(super) fn headers(
        &self,
        stream: &StreamId,
        criteria: SnapshotCriteria,
    ) -> Result<Headers<'_>, Fault> {
        let low = header_key(stream, criteria.from);
        let mut high = header_key(stream, criteria.to.max(criteria.from));
        // Behind the last key that fits.
        high.push(0);
        let single = single_key(stream);
        let single = self
            .engine
            .get(Table::Snapshots, &single)?
            .map(|value| Found {
                version: Header::decode(&single, &value)
                    .map_or(Version::EMPTY, |header| header.version),
                is_single: true,
                key: single,
                value,
            });
        Ok(Headers {
            entries: self.engine.range(Table::Snapshots, &low, &high)?,
            next: None,
            single,
        })
    }

    /// The snapshot; else why it is not used.
    fn read_state(
        &self,
        stream: &StreamId,
        found: &Found,
        header: &Header<'_>,
    ) -> Result<Result<Snapshot, &'static str>, Fault> {
        let length = usize::try_from(header.length).unwrap_or(usize::MAX);
        if length > SNAPSHOT_BYTES_MAX {
            return Ok(Err("its length is not possible"));
        }
        let state = if header.parts == 0 {
            header.inline.to_vec()
        } else {
            self.join_parts(&found.part_keys(stream), header.parts, length)?
        };
        if state.len() != length || header.hash(&found.key, &state) != header.hash {
            return Ok(Err("its checksum does not hold"));
        }
        let Some(codec) = Codec::from_byte(header.codec) else {
            return Ok(Err("its codec is unknown"));
        };
        Ok(Ok(Snapshot {
            stream: stream.clone(),
            version: header.version,
            event_id: header.event_id,
            taken_at: header.taken_at,
            state_schema: header.state_schema,
            payload: Payload {
                codec,
                key_id: NonZeroU32::new(header.key_id),
                bytes: state.into(),
            },
        }))
    }

    fn join_parts(&self, keys: &PartKeys, parts: u32, length: usize) -> Result<Vec<u8>, Fault> {
        let mut entries = self
            .engine
            .range(Table::Snapshots, &keys.key(0), keys.end())?;
        join_parts(keys, parts, length, || entries.forward())
    }
}

/// Puts the parts together, as far as they are there in order and no longer than `length`.
pub(super) fn join_parts(
    keys: &PartKeys,
    parts: u32,
    length: usize,
    mut next: impl FnMut() -> Result<Option<(Bytes, Bytes)>, Fault>,
) -> Result<Vec<u8>, Fault> {
    let mut state = Vec::with_capacity(length.min(UNSEEN_BYTES_MAX));
    for part in 0..parts {
        match next()? {
            Some((found, value))
                if *found == *keys.key(part) && state.len() + value.len() <= length =>
            {
                state.extend_from_slice(&value);
            }
            _ => break,
        }
    }
    Ok(state)
}
