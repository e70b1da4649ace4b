use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use tokio::task::JoinHandle;

use super::control::Control;
use super::dead_letter::DeadLetters;
use super::slot::Side;
use super::table_model::TableModel;
use super::{Projection, Table, TableOf};
use foldhouse_store::Position;

/// A projection in memory: what its actor writes and its references read.
pub(crate) struct Live<P: Projection> {
    pub(super) projection: Arc<P>,
    rows: RwLock<Rows<P>>,
    pub(super) control: Arc<Control>,
    /// Where the store keeps it, and how often it was replaced.
    pub(super) place: Mutex<(Side, u64)>,
    /// The model that was made beside this one, and how far it shows the events; until it is taken.
    pub(super) rebuilt: Mutex<Option<(TableModel<P>, Position)>>,
    /// Empties the place of a model that was replaced.
    pub(super) clearing: tokio::sync::Mutex<Option<JoinHandle<()>>>,
}

/// What is made from the events.
pub(super) struct Rows<P: Projection> {
    pub(super) table: TableOf<P>,
    pub(super) letters: DeadLetters,
}

impl<P: Projection> Rows<P> {
    pub(super) fn new() -> Self {
        Self {
            table: Table::new(),
            letters: DeadLetters::default(),
        }
    }

    /// How many changes the store does not know yet.
    pub(super) fn change_count(&self) -> usize {
        self.table.change_count() + self.letters.change_count()
    }

    pub(super) fn begin_commit(&mut self) {
        self.table.begin_commit();
        self.letters.begin_commit();
    }

    pub(super) fn end_commit(&mut self, kept: bool) {
        self.table.end_commit(kept);
        self.letters.end_commit(kept);
    }
}

impl<P: Projection> Live<P> {
    pub(super) fn new(
        projection: Arc<P>,
        rows: Rows<P>,
        control: Arc<Control>,
        place: (Side, u64),
    ) -> Self {
        Self {
            projection,
            rows: RwLock::new(rows),
            control,
            place: Mutex::new(place),
            rebuilt: Mutex::default(),
            clearing: tokio::sync::Mutex::default(),
        }
    }

    pub(super) fn read(&self) -> RwLockReadGuard<'_, Rows<P>> {
        // The actor catches the panics of `apply` under the lock, and takes back what it had changed.
        self.rows.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads unless the rows are just being changed.
    pub(super) fn try_read(&self) -> Option<RwLockReadGuard<'_, Rows<P>>> {
        match self.rows.try_read() {
            Ok(rows) => Some(rows),
            Err(std::sync::TryLockError::Poisoned(rows)) => Some(rows.into_inner()),
            Err(std::sync::TryLockError::WouldBlock) => None,
        }
    }

    pub(super) fn write(&self) -> RwLockWriteGuard<'_, Rows<P>> {
        self.rows.write().unwrap_or_else(PoisonError::into_inner)
    }
}
