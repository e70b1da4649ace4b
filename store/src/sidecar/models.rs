//! The table `models`: the rows and the checkpoint of each projection.
//!
//! Keys start with the projection: length of its name u8, name. No projection's keys lie among another's. Then
//! (integers big-endian; never renumber):
//!
//! | bytes | what |
//! |---|---|
//! | `00` | checkpoint |
//! | `01`, key of the row | row |
//! | `02`, length of the row's key u16, key of the row, part u32 | a part of a large row's value, from 0 |
//!
//! Values (integers little-endian):
//!
//! | value | bytes |
//! |---|---|
//! | checkpoint | format 1; state (0: at rest, 1: a reset has begun); position u64; model version u32; rows u64; sum of their checksums u64; checksum (4 bytes) |
//! | small row | format 1; value; checksum |
//! | large row | format 2; length u32; BLAKE3 of the value (32 bytes); checksum |
//! | part | 4,096 bytes of the value and nothing else; the last one may be shorter |
//!
//! A commit is one batch on this one table. A reset cannot be: it notes its beginning in the checkpoint, and whoever
//! comes next ends it.

mod row;
mod upkeep;

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLockWriteGuard};

use self::row::{PARTS, Parsed, ROWS, Row as StoredRow, part_count, part_key};
use super::Sidecar;
use super::engine::{Batch, Table};
use super::value::{CheckSum, Reader, seal, unseal};
use crate::error::Fault;
use crate::position::Position;
use crate::read_model::{
    Change, Checkpoint, PROJECTION_NAME_BYTES_MAX, READ_MODEL_KEY_BYTES_MAX, Row,
};

/// The largest value of a row.
pub(crate) const ROW_BYTES_MAX: usize = 16 * 1024 * 1024;
/// The most that the keys and values of one commit may take: all of it is in memory, and nobody else reads or writes
/// while it is applied.
pub(crate) const COMMIT_BYTES_MAX: usize = 256 * 1024 * 1024;

const CHECKPOINT: u8 = 0;
const END: u8 = 3;

const FORMAT: u8 = 1;
const STATE_AT_REST: u8 = 0;
const STATE_RESETTING: u8 = 1;

/// What all keys of a projection start with.
struct Prefix(Vec<u8>);

impl Prefix {
    fn of(projection: &str) -> Result<Self, Fault> {
        let length = u8::try_from(projection.len())
            .ok()
            .filter(|_| (1..=PROJECTION_NAME_BYTES_MAX).contains(&projection.len()))
            .ok_or_else(|| {
                Fault::new(format!(
                    "the projection name {projection:?} has {} bytes; it takes 1 to {PROJECTION_NAME_BYTES_MAX}",
                    projection.len()
                ))
            })?;
        let mut prefix = vec![length];
        prefix.extend_from_slice(projection.as_bytes());
        Ok(Self(prefix))
    }

    fn key(&self, kind: u8, rest: &[u8]) -> Vec<u8> {
        let mut key = Vec::with_capacity(self.0.len() + 1 + rest.len());
        key.extend_from_slice(&self.0);
        key.push(kind);
        key.extend_from_slice(rest);
        key
    }
}

/// What is kept of a projection beside its rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Progress {
    /// The rows are being removed; what is left of them does not count.
    resetting: bool,
    checkpoint: Checkpoint,
    /// Of all rows, to tell whether they are all there.
    rows: CheckSum,
}

impl Progress {
    fn encode(&self, key: &[u8]) -> Vec<u8> {
        let state = if self.resetting {
            STATE_RESETTING
        } else {
            STATE_AT_REST
        };
        let mut value = vec![FORMAT, state];
        value.extend_from_slice(&self.checkpoint.position.get().to_le_bytes());
        value.extend_from_slice(&self.checkpoint.model_version.to_le_bytes());
        value.extend_from_slice(&self.rows.count.to_le_bytes());
        value.extend_from_slice(&self.rows.sum.to_le_bytes());
        seal(key, &mut value);
        value
    }

    fn decode(key: &[u8], value: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(unseal(key, value)?);
        if reader.u8()? != FORMAT {
            return None;
        }
        let resetting = match reader.u8()? {
            STATE_AT_REST => false,
            STATE_RESETTING => true,
            _ => return None,
        };
        let progress = Self {
            resetting,
            checkpoint: Checkpoint {
                position: Position::new(reader.u64()?),
                model_version: reader.u32()?,
            },
            rows: CheckSum {
                count: reader.u64()?,
                sum: reader.u64()?,
            },
        };
        reader.end()?;
        Some(progress)
    }
}

impl Sidecar {
    /// See [`ReadModelStore::commit`](crate::ReadModelStore::commit). Of two changes to one key the later one counts.
    ///
    /// # Errors
    /// A name, a key, a value or the commit as a whole is too long (nothing is written), or the disk failed.
    pub(crate) fn commit(
        &self,
        projection: &str,
        checkpoint: Checkpoint,
        changes: Vec<Change>,
    ) -> Result<(), Fault> {
        let prefix = Prefix::of(projection)?;
        let changes = checked(projection, changes)?;
        let alone = self.write_models();
        self.end_reset(projection, &prefix, &alone)?;
        let mut progress = self.progress(projection, &prefix)?.unwrap_or_default();
        progress.checkpoint = checkpoint;
        let mut batch = Batch::default();
        for (key, value) in changes {
            let row_key = prefix.key(ROWS, &key);
            let mut old_parts = 0;
            if let Some(old) = self.engine.get(Table::Models, &row_key)? {
                let Some(parsed) = StoredRow::parse(&row_key, &old) else {
                    return Err(self.unreadable(projection, "a row"));
                };
                old_parts = part_count(&parsed);
                progress.rows.remove(&old);
            }
            let mut new_parts = 0;
            match value {
                None => batch.remove(row_key),
                Some(value) => {
                    let row = StoredRow::of(&row_key, &value);
                    for (part, bytes) in row.parts(&value) {
                        batch.insert(part_key(&prefix, &key, part), bytes);
                        new_parts = part + 1;
                    }
                    let stored = row.into_value();
                    progress.rows.add(&stored);
                    batch.insert(row_key, stored);
                }
            }
            for stale in new_parts..old_parts {
                batch.remove(part_key(&prefix, &key, stale));
            }
        }
        let key = prefix.key(CHECKPOINT, &[]);
        let value = progress.encode(&key);
        batch.insert(key, value);
        self.engine.apply(Table::Models, batch)
    }

    /// See [`ReadModelStore::checkpoint`](crate::ReadModelStore::checkpoint).
    pub(crate) fn checkpoint(&self, projection: &str) -> Result<Option<Checkpoint>, Fault> {
        let prefix = Prefix::of(projection)?;
        let progress = self.progress(projection, &prefix)?;
        Ok(progress
            .filter(|progress| !progress.resetting)
            .map(|progress| progress.checkpoint))
    }

    /// See [`ReadModelStore::rows`](crate::ReadModelStore::rows). The rows of one call stem from one checkpoint.
    pub(crate) fn rows(
        &self,
        projection: &str,
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Row>, Fault> {
        let prefix = Prefix::of(projection)?;
        let mut low = prefix.key(ROWS, after.unwrap_or_default());
        if after.is_some() {
            // The first key behind `after`.
            low.push(0);
        }
        let _no_commit = self.models.read().unwrap_or_else(PoisonError::into_inner);
        // Rows without a checkpoint are what a reset has not come to yet.
        let progress = self.progress(projection, &prefix)?;
        if progress.is_none_or(|progress| progress.resetting) {
            return Ok(Vec::new());
        }
        let mut rows = Vec::new();
        let mut entries = self
            .engine
            .range(Table::Models, &low, &prefix.key(PARTS, &[]))?;
        while rows.len() < limit {
            let Some((stored_key, value)) = entries.forward()? else {
                break;
            };
            match self.row(&prefix, &stored_key, &value)? {
                Some(row) => rows.push(row),
                None => return Err(self.unreadable(projection, "a row")),
            }
        }
        Ok(rows)
    }

    fn write_models(&self) -> RwLockWriteGuard<'_, ()> {
        self.models.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn progress(&self, projection: &str, prefix: &Prefix) -> Result<Option<Progress>, Fault> {
        let key = prefix.key(CHECKPOINT, &[]);
        let Some(value) = self.engine.get(Table::Models, &key)? else {
            return Ok(None);
        };
        match Progress::decode(&key, &value) {
            Some(progress) => Ok(Some(progress)),
            None => Err(self.unreadable(projection, "the checkpoint")),
        }
    }

    /// A row as it was written; `None` if it cannot be read.
    fn row(&self, prefix: &Prefix, stored_key: &[u8], value: &[u8]) -> Result<Option<Row>, Fault> {
        let key = stored_key.get(prefix.0.len() + 1..).unwrap_or_default();
        let value = match StoredRow::parse(stored_key, value) {
            None => None,
            Some(Parsed::Small(value)) => Some(value.to_vec()),
            Some(Parsed::Large { length, hash }) => row::join(length, hash, |part| {
                self.engine.get(Table::Models, &part_key(prefix, key, part))
            })?,
        };
        Ok(value.map(|value| (key.to_vec(), value)))
    }

    fn unreadable(&self, projection: &str, what: &str) -> Fault {
        self.engine.damaged(format!(
            "{what} of the read model of projection {projection} cannot be read"
        ))
    }
}

/// The changes by key, once each and within the limits.
fn checked(
    projection: &str,
    changes: Vec<Change>,
) -> Result<BTreeMap<Vec<u8>, Option<Vec<u8>>>, Fault> {
    let mut bytes = 0;
    for Change { key, value } in &changes {
        let value_bytes = value.as_ref().map_or(0, Vec::len);
        bytes += key.len() + value_bytes;
        let (what, found, limit) = if key.len() > READ_MODEL_KEY_BYTES_MAX {
            ("a key", key.len(), READ_MODEL_KEY_BYTES_MAX)
        } else if value_bytes > ROW_BYTES_MAX {
            ("a value", value_bytes, ROW_BYTES_MAX)
        } else {
            continue;
        };
        return Err(Fault::new(format!(
            "projection {projection} cannot be committed: {what} has {found} bytes, the limit is {limit}"
        )));
    }
    if bytes > COMMIT_BYTES_MAX {
        return Err(Fault::new(format!(
            "projection {projection} cannot be committed: its changes take {bytes} bytes, \
             the limit is {COMMIT_BYTES_MAX}; commit fewer events at a time"
        )));
    }
    Ok(changes
        .into_iter()
        .map(|Change { key, value }| (key, value))
        .collect())
}

#[cfg(any(test, fuzzing))]
pub(super) mod fuzzing;
#[cfg(test)]
mod tests;
