//! Resets of a projection, and the look whether its rows are all there.

use std::sync::{PoisonError, RwLockWriteGuard};

use super::super::Sidecar;
use super::super::engine::{Bytes, Table};
use super::super::value::CheckSum;
use super::{CHECKPOINT, END, PARTS, Prefix, Progress, ROWS};
use crate::error::Fault;
use crate::read_model::Checkpoint;

/// How many keys a reset removes in one go.
const REMOVED_AT_ONCE: usize = 1_000;

impl Sidecar {
    /// See [`ReadModelStore::reset`](crate::ReadModelStore::reset). It is durable when this returns.
    pub(crate) fn reset(&self, projection: &str) -> Result<(), Fault> {
        let prefix = Prefix::of(projection)?;
        let alone = self.write_models();
        let key = prefix.key(CHECKPOINT, &[]);
        let begun = Progress {
            resetting: true,
            ..Progress::default()
        };
        self.engine.put(Table::Models, &key, &begun.encode(&key))?;
        self.remove_rows(&prefix, &alone)?;
        drop(alone);
        self.flush()
    }

    /// The projections whose rows are not all there as they were committed; a reset and a replay repair them.
    ///
    /// Like [`Sidecar::damaged_segments`] this reads the whole table, to find what the engine left out without a word.
    pub(crate) fn damaged_projections(&self) -> Result<Vec<String>, Fault> {
        let mut damaged = Vec::new();
        let mut low = Vec::new();
        loop {
            // One projection at a time, so that commits can come in between.
            let _no_commit = self.models.read().unwrap_or_else(PoisonError::into_inner);
            let next = self
                .engine
                .range(Table::Models, &low, &[u8::MAX])?
                .forward()?;
            let Some((key, _)) = next else {
                return Ok(damaged);
            };
            let Some(name) = projection_of(&key) else {
                return Err(self
                    .engine
                    .damaged(format!("the key {key:?} belongs to no read model")));
            };
            let prefix = Prefix::of(&name)?;
            if !self.is_whole(&prefix)? {
                damaged.push(name);
            }
            low = prefix.key(END, &[]);
        }
    }

    /// How far each projection has come; those that are being reset, or are not readable, are left out.
    pub(in crate::sidecar) fn checkpoints(&self) -> Result<Vec<(String, Checkpoint)>, Fault> {
        let mut checkpoints = Vec::new();
        let mut low = Vec::new();
        loop {
            let next = self
                .engine
                .range(Table::Models, &low, &[u8::MAX])?
                .forward()?;
            let Some(name) = next.and_then(|(key, _)| projection_of(&key)) else {
                return Ok(checkpoints);
            };
            let prefix = Prefix::of(&name)?;
            let key = prefix.key(CHECKPOINT, &[]);
            let value = self.engine.get(Table::Models, &key)?;
            let progress = value.and_then(|value| Progress::decode(&key, &value));
            if let Some(progress) = progress.filter(|progress| !progress.resetting) {
                checkpoints.push((name, progress.checkpoint));
            }
            low = prefix.key(END, &[]);
        }
    }

    fn is_whole(&self, prefix: &Prefix) -> Result<bool, Fault> {
        let key = prefix.key(CHECKPOINT, &[]);
        let value = self.engine.get(Table::Models, &key)?;
        let Some(progress) = value.and_then(|value| Progress::decode(&key, &value)) else {
            return Ok(false);
        };
        if progress.resetting {
            return Ok(true);
        }
        let mut sum = CheckSum::default();
        let (low, high) = (prefix.key(ROWS, &[]), prefix.key(PARTS, &[]));
        let mut entries = self.engine.range(Table::Models, &low, &high)?;
        while let Some((key, value)) = entries.forward()? {
            if self.row(prefix, &key, &value)?.is_none() {
                return Ok(false);
            }
            sum.add(&value);
        }
        Ok(sum == progress.rows)
    }

    /// Ends a reset that a crash or an error cut short, so that a commit starts from nothing.
    pub(super) fn end_reset(
        &self,
        projection: &str,
        prefix: &Prefix,
        alone: &RwLockWriteGuard<'_, ()>,
    ) -> Result<(), Fault> {
        match self.progress(projection, prefix)? {
            Some(progress) if progress.resetting => self.remove_rows(prefix, alone),
            Some(_) => Ok(()),
            None => {
                let (low, high) = (prefix.key(ROWS, &[]), prefix.key(END, &[]));
                let mut rows = self.engine.range(Table::Models, &low, &high)?;
                if rows.forward()?.is_none() {
                    return Ok(());
                }
                tracing::error!(
                    projection,
                    "rows of a read model have lost their checkpoint and are removed; it starts over"
                );
                self.remove_rows(prefix, alone)
            }
        }
    }

    /// Removes all rows and, last of all, the checkpoint.
    fn remove_rows(&self, prefix: &Prefix, _: &RwLockWriteGuard<'_, ()>) -> Result<(), Fault> {
        let (low, high) = (prefix.key(ROWS, &[]), prefix.key(END, &[]));
        loop {
            let mut doomed: Vec<Bytes> = Vec::with_capacity(REMOVED_AT_ONCE);
            let mut entries = self.engine.range(Table::Models, &low, &high)?;
            while doomed.len() < REMOVED_AT_ONCE
                && let Some((key, _)) = entries.forward()?
            {
                doomed.push(key);
            }
            if doomed.is_empty() {
                break;
            }
            for key in doomed {
                self.engine.remove(Table::Models, &key)?;
            }
        }
        self.engine
            .remove(Table::Models, &prefix.key(CHECKPOINT, &[]))
    }
}

/// The projection that a key belongs to.
fn projection_of(key: &[u8]) -> Option<String> {
    let (length, rest) = key.split_first()?;
    let name = rest.get(..usize::from(*length))?;
    String::from_utf8(name.to_vec()).ok()
}
