use std::num::NonZeroU16;

use crate::error::ReadError;
use crate::memory::read_models::ReadModels;
use crate::memory::snapshots::Snapshots;
use crate::read_model::{self, Checkpoint};
use crate::simulation::Random;
use crate::snapshot::{Snapshot, SnapshotCriteria};
use crate::stream_id::StreamId;

/// What is kept beside the journal. Changes are durable in their order, but not at once: a power cut loses the last ones.
#[derive(Debug)]
pub(super) struct Beside {
    tables: Tables,
    durable: Tables,
    /// The changes between the two.
    pending: Vec<Change>,
    random: Random,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Tables {
    pub(super) snapshots: Snapshots,
    pub(super) models: ReadModels,
}

#[derive(Clone, Debug)]
pub(super) enum Change {
    SaveSnapshot(Snapshot, NonZeroU16),
    DeleteSnapshots(StreamId, SnapshotCriteria),
    Commit(String, Checkpoint, Vec<read_model::Change>),
    Reset(String),
}

/// In so many of a hundred cases a change makes itself and all before it durable.
const FLUSH_PERCENT: u64 = 30;

impl Beside {
    pub(super) fn new(random: Random) -> Self {
        Self {
            tables: Tables::default(),
            durable: Tables::default(),
            pending: Vec::new(),
            random,
        }
    }

    pub(super) fn tables(&self) -> &Tables {
        &self.tables
    }

    pub(super) fn change(&mut self, change: Change) -> Result<(), ReadError> {
        self.tables.apply(change.clone())?;
        self.pending.push(change);
        if self.random.chance(FLUSH_PERCENT) {
            self.flush(self.pending.len());
        }
        Ok(())
    }

    fn flush(&mut self, count: usize) {
        for change in self.pending.drain(..count.min(self.pending.len())) {
            // Each has been applied to the other tables before.
            self.durable.apply(change).ok();
        }
    }

    pub(super) fn after_power_cut(&mut self) {
        let kept = self.random.index(self.pending.len() as u64);
        self.flush(kept);
        self.pending.clear();
        self.tables = self.durable.clone();
    }
}

impl Tables {
    fn apply(&mut self, change: Change) -> Result<(), ReadError> {
        match change {
            Change::SaveSnapshot(snapshot, keep) => self.snapshots.save(snapshot, keep),
            Change::DeleteSnapshots(stream, criteria) => self.snapshots.delete(&stream, criteria),
            Change::Commit(projection, checkpoint, changes) => {
                self.models.commit(projection, checkpoint, changes)?;
            }
            Change::Reset(projection) => self.models.reset(&projection),
        }
        Ok(())
    }
}
