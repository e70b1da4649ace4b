use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use foldhouse_store::Version;
use tokio::sync::SemaphorePermit;
use uuid::Uuid;

use super::save::save;
use crate::aggregate::Aggregate;
use crate::refusal::panic_message;
use crate::slot::Slot;
use crate::sync::atomic::Ordering;

/// A state that is to be kept once its last event is durable. One at a time for each aggregate.
pub(crate) struct SnapshotJob<A: Aggregate> {
    slot: Arc<Slot<A>>,
    state: A,
    version: Version,
    /// The event at this version; looked up where it is not known.
    event_id: Option<Uuid>,
}

impl<A: Aggregate> SnapshotJob<A> {
    /// Of an aggregate that leaves memory, whose events are all durable. `None` as for [`Self::begin`].
    pub(crate) fn of_passivated(slot: &Arc<Slot<A>>, state: A, version: Version) -> Option<Self> {
        let permit = Self::leave_to_save(slot)?;
        slot.snapshotting.store(true, Ordering::Release);
        SemaphorePermit::forget(permit);
        Some(Self {
            slot: Arc::clone(slot),
            state,
            version,
            event_id: None,
        })
    }

    fn leave_to_save(slot: &Slot<A>) -> Option<SemaphorePermit<'_>> {
        let permit = slot.shared.snapshots.try_acquire().ok()?;
        let is_free = !slot.snapshotting.load(Ordering::Acquire);
        is_free.then_some(permit)
    }

    /// `None` while an older one of this aggregate is being saved, or too many of all.
    pub(crate) fn begin(
        slot: &Arc<Slot<A>>,
        state: &A,
        version: Version,
        event_id: Uuid,
    ) -> Option<Self> {
        let permit = Self::leave_to_save(slot)?;
        // Unwind safe: the state is only read. A snapshot is an economy: without it the command goes on.
        let state = catch_unwind(AssertUnwindSafe(|| state.clone()))
            .map_err(|panic| {
                let (stream, error) = (&slot.stream, panic_message(panic));
                tracing::warn!(%stream, %version, error, "a snapshot was not taken: the state's clone panicked");
            })
            .ok()?;
        // Only the aggregate's own actor comes here. Both are given back when the job is dropped.
        slot.snapshotting.store(true, Ordering::Release);
        SemaphorePermit::forget(permit);
        Some(Self {
            slot: Arc::clone(slot),
            state,
            version,
            event_id: Some(event_id),
        })
    }

    /// Encodes and saves it in the background. A failure costs only time at the next hydrating, so it is logged.
    pub(crate) fn start(self) {
        let tokio = self.slot.shared.tokio.clone();
        // Its last event is durable now: no event in it was recorded later.
        let taken_at = self.slot.shared.options.clock.now();
        tokio.spawn(async move {
            let (shared, stream) = (&self.slot.shared, &self.slot.stream);
            let (version, event_id) = (self.version, self.event_id);
            let retention = &shared.options.snapshots.of(A::TYPE).retention;
            let saved = save(
                shared,
                stream,
                (&self.state, version),
                event_id,
                taken_at,
                retention,
            );
            match saved.await {
                Ok(kept) => {
                    let bytes = usize::try_from(kept.bytes).unwrap_or(usize::MAX);
                    self.slot.snapshot_bytes.store(bytes, Ordering::Relaxed);
                    tracing::debug!(%stream, %version, "snapshot saved");
                }
                Err(error) => {
                    tracing::warn!(%stream, %version, %error, "a snapshot was not saved");
                }
            }
        });
    }
}

impl<A: Aggregate> Drop for SnapshotJob<A> {
    fn drop(&mut self) {
        self.slot.snapshotting.store(false, Ordering::Release);
        self.slot.shared.snapshots.add_permits(1);
    }
}
