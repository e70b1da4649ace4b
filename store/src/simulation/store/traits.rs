//! The simulated store as the runtime sees it.

use std::num::NonZeroU16;

use tokio::sync::watch;
use uuid::Uuid;

use super::{SimulatedStore, lock};
use crate::append::{Append, OnSettled, Verdict};
use crate::command::RecordedCommand;
use crate::error::ReadError;
use crate::event_store::{BoxFuture, EventStore, Page, StreamQuery};
use crate::position::{Position, Version};
use crate::read_model::{self, Checkpoint, ReadModelStore, Row};
use crate::simulation::beside::Change;
use crate::snapshot::{Snapshot, SnapshotCriteria, SnapshotInfo, SnapshotStore};
use crate::stream_id::StreamId;

impl EventStore for SimulatedStore {
    fn submit(&self, append: Append, settled: OnSettled) -> Verdict {
        let disk = self.disk.clone();
        // A process without power answers nobody.
        let observed = self.observer.clone().map(|observer| {
            let number = observer.submitted(&append);
            (observer, number)
        });
        let settled = move |outcome| {
            if disk.is_off() {
                return disk.keep_unheard(settled);
            }
            if let Some((observer, number)) = observed {
                observer.settled(number, &outcome);
            }
            settled(outcome);
        };
        let verdict = self.journal.submit(append, Box::new(settled));
        self.queued.notify_one();
        verdict
    }

    fn ready(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.journal.queue().ready())
    }

    fn is_ready(&self) -> bool {
        self.journal.queue().is_ready()
    }

    fn read_stream(&self, query: StreamQuery) -> BoxFuture<'_, Result<Page<Version>, ReadError>> {
        self.read(move |reader| reader.read_stream(&query))
    }

    fn read_all(
        &self,
        after: Position,
        limit: usize,
    ) -> BoxFuture<'_, Result<Page<Position>, ReadError>> {
        let head = self.head();
        self.read(move |reader| reader.read_all(after, head, limit))
    }

    fn stream_version(&self, stream: &StreamId) -> BoxFuture<'_, Result<Version, ReadError>> {
        let stream = stream.clone();
        self.read(move |reader| reader.stream_version(&stream))
    }

    fn command(&self, id: Uuid) -> BoxFuture<'_, Result<Option<RecordedCommand>, ReadError>> {
        self.read(move |reader| reader.command(id))
    }

    fn streams(
        &self,
        tenant: &str,
        aggregate_type: &str,
        after: Option<&StreamId>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<StreamId>, ReadError>> {
        let (tenant, aggregate_type) = (tenant.to_owned(), aggregate_type.to_owned());
        let after = after.cloned();
        self.read(move |reader| reader.streams(&tenant, &aggregate_type, after.as_ref(), limit))
    }

    fn head(&self) -> Position {
        self.journal.head()
    }

    fn watch_head(&self) -> watch::Receiver<Position> {
        let mut followers = lock(&self.followers);
        // The committer keeps recent frames for whoever follows beyond itself and its store.
        let of_journal = [self.journal.watch_head(), self.journal.watch_head()];
        followers.of_journal.extend(of_journal);
        let follower = watch::Sender::new(self.journal.head());
        let receiver = follower.subscribe();
        followers.channels.push(follower);
        receiver
    }
}

impl SnapshotStore for SimulatedStore {
    fn save_snapshot(
        &self,
        snapshot: Snapshot,
        keep: NonZeroU16,
    ) -> BoxFuture<'_, Result<(), ReadError>> {
        let what = format!("snapshot of {} at {}", snapshot.stream, snapshot.version);
        self.write_beside(what, Change::SaveSnapshot(snapshot, keep))
    }

    fn load_snapshot(
        &self,
        stream: &StreamId,
        criteria: SnapshotCriteria,
    ) -> BoxFuture<'_, Result<Option<Snapshot>, ReadError>> {
        let stream = stream.clone();
        self.read_beside(move |tables| tables.snapshots.load(&stream, criteria))
    }

    fn snapshots(
        &self,
        stream: &StreamId,
        criteria: SnapshotCriteria,
    ) -> BoxFuture<'_, Result<Vec<SnapshotInfo>, ReadError>> {
        let stream = stream.clone();
        self.read_beside(move |tables| tables.snapshots.list(&stream, criteria))
    }

    fn delete_snapshots(
        &self,
        stream: &StreamId,
        criteria: SnapshotCriteria,
    ) -> BoxFuture<'_, Result<(), ReadError>> {
        let what = format!("delete snapshots of {stream}");
        self.write_beside(what, Change::DeleteSnapshots(stream.clone(), criteria))
    }
}

impl ReadModelStore for SimulatedStore {
    fn commit(
        &self,
        projection: &str,
        checkpoint: Checkpoint,
        changes: Vec<read_model::Change>,
    ) -> BoxFuture<'_, Result<(), ReadError>> {
        let what = format!(
            "{} rows of {projection} at {}",
            changes.len(),
            checkpoint.position
        );
        let change = Change::Commit(projection.to_owned(), checkpoint, changes);
        self.write_beside(what, change)
    }

    fn checkpoint(&self, projection: &str) -> BoxFuture<'_, Result<Option<Checkpoint>, ReadError>> {
        let projection = projection.to_owned();
        self.read_beside(move |tables| tables.models.checkpoint(&projection))
    }

    fn rows(
        &self,
        projection: &str,
        after: Option<&[u8]>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Row>, ReadError>> {
        let (projection, after) = (projection.to_owned(), after.map(<[u8]>::to_vec));
        self.read_beside(move |tables| tables.models.rows(&projection, after.as_deref(), limit))
    }

    fn reset(&self, projection: &str) -> BoxFuture<'_, Result<(), ReadError>> {
        let what = format!("reset {projection}");
        self.write_beside(what, Change::Reset(projection.to_owned()))
    }
}
