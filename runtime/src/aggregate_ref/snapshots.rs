use foldhouse_store::{SnapshotCriteria, Version};

use super::AggregateRef;
use crate::aggregate::Aggregate;
use crate::command_options::QueryOptions;
use crate::snapshots::{KeptSnapshot, SnapshotError, save};

impl<A: Aggregate> AggregateRef<A> {
    /// Takes a snapshot now, whatever the [`SnapshotPolicy`](crate::SnapshotPolicy) says, and waits until it is kept; `None`
    /// for an aggregate without events. As the retention keeps the highest versions, it displaces the oldest.
    ///
    /// The state is cloned in turn with the commands, as for a query, and shows only what is durable.
    ///
    /// # Errors
    /// See [`SnapshotError`].
    pub async fn take_snapshot(&self) -> Result<Option<KeptSnapshot>, SnapshotError> {
        let taken = self.ask(
            |state: &A, version| (state.clone(), version),
            QueryOptions::new(),
        );
        let (state, version) = taken.await?;
        if version == Version::EMPTY {
            return Ok(None);
        }
        let shared = &self.slot.shared;
        let taken_at = shared.options.clock.now();
        let retention = &shared.options.snapshots.of(A::TYPE).retention;
        // At most so many at a time are encoded and saved; none is ever closed.
        let _leave = shared.snapshots.acquire().await;
        let kept = save(
            shared,
            self.stream(),
            (&state, version),
            None,
            taken_at,
            retention,
        );
        kept.await.map(Some)
    }

    /// The snapshots that are kept of it, the highest version first. The states are not read, and the aggregate is not
    /// hydrated.
    ///
    /// # Errors
    /// [`SnapshotError::Store`].
    pub async fn snapshots(&self) -> Result<Vec<KeptSnapshot>, SnapshotError> {
        let store = &self.slot.shared.store;
        let kept = store.snapshots(self.stream(), SnapshotCriteria::ALL).await;
        let kept = kept.map_err(|error| SnapshotError::store(self.stream(), &error))?;
        Ok(kept.iter().map(KeptSnapshot::of::<A>).collect())
    }

    /// Deletes those of its snapshots that fit. Nothing is lost with them but the time that hydrating takes.
    ///
    /// # Errors
    /// [`SnapshotError::Store`].
    pub async fn delete_snapshots(&self, which: SnapshotCriteria) -> Result<(), SnapshotError> {
        let store = &self.slot.shared.store;
        let deleted = store.delete_snapshots(self.stream(), which).await;
        deleted.map_err(|error| SnapshotError::store(self.stream(), &error))
    }
}
