//! What is kept in the sidecar beside the journal: snapshots and read models.

use std::num::NonZeroU16;

use crate::error::ReadError;
use crate::event_store::BoxFuture;
use crate::journal::JournalStore;
use crate::read_model::{Change, Checkpoint, ReadModelStore, Row, check_commit};
use crate::snapshot::{Snapshot, SnapshotCriteria, SnapshotInfo, SnapshotStore};
use crate::stream_id::StreamId;

impl SnapshotStore for JournalStore {
    fn save_snapshot(
        &self,
        snapshot: Snapshot,
        keep: NonZeroU16,
    ) -> BoxFuture<'_, Result<(), ReadError>> {
        self.beside(move |sidecar| sidecar.save_snapshot(&snapshot, keep))
    }

    fn load_snapshot(
        &self,
        stream: &StreamId,
        criteria: SnapshotCriteria,
    ) -> BoxFuture<'_, Result<Option<Snapshot>, ReadError>> {
        let stream = stream.clone();
        self.beside(move |sidecar| sidecar.load_snapshot(&stream, criteria))
    }

    fn snapshots(
        &self,
        stream: &StreamId,
        criteria: SnapshotCriteria,
    ) -> BoxFuture<'_, Result<Vec<SnapshotInfo>, ReadError>> {
        let stream = stream.clone();
        self.beside(move |sidecar| sidecar.snapshots_of(&stream, criteria))
    }

    fn delete_snapshots(
        &self,
        stream: &StreamId,
        criteria: SnapshotCriteria,
    ) -> BoxFuture<'_, Result<(), ReadError>> {
        let stream = stream.clone();
        self.beside(move |sidecar| sidecar.delete_snapshots(&stream, criteria))
    }
}

impl ReadModelStore for JournalStore {
    fn commit(
        &self,
        projection: &str,
        checkpoint: Checkpoint,
        changes: Vec<Change>,
    ) -> BoxFuture<'_, Result<(), ReadError>> {
        if let Err(too_long) = check_commit(projection, &changes) {
            return Box::pin(std::future::ready(Err(too_long)));
        }
        let projection = projection.to_owned();
        self.beside(move |sidecar| sidecar.commit(&projection, checkpoint, changes))
    }

    fn checkpoint(&self, projection: &str) -> BoxFuture<'_, Result<Option<Checkpoint>, ReadError>> {
        let projection = projection.to_owned();
        self.beside(move |sidecar| sidecar.checkpoint(&projection))
    }

    fn rows(
        &self,
        projection: &str,
        after: Option<&[u8]>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Row>, ReadError>> {
        let (projection, after) = (projection.to_owned(), after.map(<[u8]>::to_vec));
        self.beside(move |sidecar| sidecar.rows(&projection, after.as_deref(), limit))
    }

    fn reset(&self, projection: &str) -> BoxFuture<'_, Result<(), ReadError>> {
        let projection = projection.to_owned();
        self.beside(move |sidecar| sidecar.reset(&projection))
    }
}
