//! What is beside the events goes to the store below as it is.

use std::num::NonZeroU16;

use foldhouse_store::{
    BoxFuture, Change, Checkpoint, ReadError, ReadModelStore, Row, Snapshot, SnapshotCriteria,
    SnapshotInfo, SnapshotStore, StreamId,
};

use super::FaultyStore;

impl SnapshotStore for FaultyStore {
    fn save_snapshot(
        &self,
        snapshot: Snapshot,
        keep: NonZeroU16,
    ) -> BoxFuture<'_, Result<(), ReadError>> {
        self.inner.save_snapshot(snapshot, keep)
    }

    fn load_snapshot(
        &self,
        stream: &StreamId,
        criteria: SnapshotCriteria,
    ) -> BoxFuture<'_, Result<Option<Snapshot>, ReadError>> {
        self.inner.load_snapshot(stream, criteria)
    }

    fn snapshots(
        &self,
        stream: &StreamId,
        criteria: SnapshotCriteria,
    ) -> BoxFuture<'_, Result<Vec<SnapshotInfo>, ReadError>> {
        self.inner.snapshots(stream, criteria)
    }

    fn delete_snapshots(
        &self,
        stream: &StreamId,
        criteria: SnapshotCriteria,
    ) -> BoxFuture<'_, Result<(), ReadError>> {
        self.inner.delete_snapshots(stream, criteria)
    }
}

impl ReadModelStore for FaultyStore {
    fn commit(
        &self,
        projection: &str,
        checkpoint: Checkpoint,
        changes: Vec<Change>,
    ) -> BoxFuture<'_, Result<(), ReadError>> {
        self.inner.commit(projection, checkpoint, changes)
    }

    fn checkpoint(&self, projection: &str) -> BoxFuture<'_, Result<Option<Checkpoint>, ReadError>> {
        self.inner.checkpoint(projection)
    }

    fn rows(
        &self,
        projection: &str,
        after: Option<&[u8]>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Row>, ReadError>> {
        self.inner.rows(projection, after, limit)
    }

    fn reset(&self, projection: &str) -> BoxFuture<'_, Result<(), ReadError>> {
        self.inner.reset(projection)
    }
}
