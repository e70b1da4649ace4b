//! The fork's snapshots and read models: its own, in memory, and the snapshots of the base where it has none of its own.

use std::collections::HashSet;
use std::num::NonZeroU16;

use super::{OverlayStore, lock};
use crate::error::ReadError;
use crate::event_store::BoxFuture;
use crate::memory::snapshots::Snapshots;
use crate::read_model::{Change, Checkpoint, ReadModelStore, Row};
use crate::snapshot::{Snapshot, SnapshotCriteria, SnapshotInfo, SnapshotStore};
use crate::stream_id::StreamId;

/// Snapshots that were saved here.
#[derive(Default)]
pub(super) struct Kept {
    snapshots: Snapshots,
    /// The streams whose snapshots were saved or deleted here: those of the base are not theirs any more.
    own: HashSet<StreamId>,
    bytes: usize,
}

impl SnapshotStore for OverlayStore {
    fn save_snapshot(
        &self,
        snapshot: Snapshot,
        keep: NonZeroU16,
    ) -> BoxFuture<'_, Result<(), ReadError>> {
        Box::pin(async move {
            let mut kept = lock(&self.inner.snapshots);
            let stream = snapshot.stream.clone();
            let before = kept.bytes_of(&stream);
            let bytes = kept.bytes.saturating_add(snapshot.payload.bytes.len());
            // A snapshot is an economy: without it, replay is used.
            if bytes.saturating_sub(before) > self.inner.bytes_max {
                return Ok(());
            }
            kept.own.insert(stream.clone());
            kept.snapshots.save(snapshot, keep);
            kept.count_again(&stream, before);
            Ok(())
        })
    }

    fn load_snapshot(
        &self,
        stream: &StreamId,
        criteria: SnapshotCriteria,
    ) -> BoxFuture<'_, Result<Option<Snapshot>, ReadError>> {
        let stream = stream.clone();
        Box::pin(async move {
            {
                let kept = lock(&self.inner.snapshots);
                if kept.own.contains(&stream) {
                    return Ok(kept.snapshots.load(&stream, criteria));
                }
            }
            self.inner.base.load_snapshot(&stream, criteria).await
        })
    }

    fn snapshots(
        &self,
        stream: &StreamId,
        criteria: SnapshotCriteria,
    ) -> BoxFuture<'_, Result<Vec<SnapshotInfo>, ReadError>> {
        let stream = stream.clone();
        Box::pin(async move {
            {
                let kept = lock(&self.inner.snapshots);
                if kept.own.contains(&stream) {
                    return Ok(kept.snapshots.list(&stream, criteria));
                }
            }
            self.inner.base.snapshots(&stream, criteria).await
        })
    }

    fn delete_snapshots(
        &self,
        stream: &StreamId,
        criteria: SnapshotCriteria,
    ) -> BoxFuture<'_, Result<(), ReadError>> {
        let stream = stream.clone();
        Box::pin(async move {
            let mut kept = lock(&self.inner.snapshots);
            let before = kept.bytes_of(&stream);
            kept.snapshots.delete(&stream, criteria);
            kept.count_again(&stream, before);
            kept.own.insert(stream);
            Ok(())
        })
    }
}

impl Kept {
    fn bytes_of(&self, stream: &StreamId) -> usize {
        let kept = self.snapshots.list(stream, SnapshotCriteria::ALL);
        let bytes = kept.iter().map(|info| info.bytes);
        usize::try_from(bytes.sum::<u64>()).unwrap_or(usize::MAX)
    }

    fn count_again(&mut self, stream: &StreamId, before: usize) {
        let bytes = self.bytes.saturating_sub(before);
        self.bytes = bytes.saturating_add(self.bytes_of(stream));
    }
}

impl ReadModelStore for OverlayStore {
    fn commit(
        &self,
        projection: &str,
        checkpoint: Checkpoint,
        changes: Vec<Change>,
    ) -> BoxFuture<'_, Result<(), ReadError>> {
        let projection = projection.to_owned();
        Box::pin(async move {
            let mut models = lock(&self.inner.read_models);
            models.commit(projection, checkpoint, changes)
        })
    }

    fn checkpoint(&self, projection: &str) -> BoxFuture<'_, Result<Option<Checkpoint>, ReadError>> {
        let projection = projection.to_owned();
        Box::pin(async move { Ok(lock(&self.inner.read_models).checkpoint(&projection)) })
    }

    fn rows(
        &self,
        projection: &str,
        after: Option<&[u8]>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Row>, ReadError>> {
        let projection = projection.to_owned();
        let after = after.map(<[u8]>::to_vec);
        Box::pin(async move {
            let models = lock(&self.inner.read_models);
            Ok(models.rows(&projection, after.as_deref(), limit))
        })
    }

    fn reset(&self, projection: &str) -> BoxFuture<'_, Result<(), ReadError>> {
        let projection = projection.to_owned();
        Box::pin(async move {
            lock(&self.inner.read_models).reset(&projection);
            Ok(())
        })
    }
}
