use std::num::NonZeroU16;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use foldhouse_store::{Codec, Payload, Snapshot, StreamQuery, Version};
use serde::Serialize;
use tokio::sync::SemaphorePermit;
use uuid::Uuid;

use crate::aggregate::Aggregate;
use crate::event_codec::decode_value;
use crate::refusal::panic_message;
use crate::slot::Slot;
use crate::state_schema::state_schema;
use crate::sync::atomic::Ordering;

/// The most that an encoded state may take, in bytes; a larger one is not kept.
pub const SNAPSHOT_BYTES_MAX: usize = 64 * 1024 * 1024;

/// A state that is to be kept once its last event is durable. One at a time for each aggregate.
pub(crate) struct SnapshotJob<A: Aggregate> {
    slot: Arc<Slot<A>>,
    state: A,
    version: Version,
    /// The event at this version; looked up where it is not known.
    event_id: Option<Uuid>,
}

/// How many snapshots of an aggregate are kept: hydrating needs the newest only.
const SNAPSHOTS_KEPT: NonZeroU16 = NonZeroU16::MIN;

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
            let stream = &self.slot.stream;
            let Some(event_id) = self.event_id().await else {
                tracing::warn!(%stream, version = %self.version, "a snapshot was not saved: its last event cannot be read");
                return;
            };
            let payload = match encode_state(&self.state) {
                Ok(payload) => payload,
                Err(error) => {
                    tracing::warn!(%stream, version = %self.version, error, "a snapshot was not saved");
                    return;
                }
            };
            self.slot
                .snapshot_bytes
                .store(payload.bytes.len(), Ordering::Relaxed);
            let snapshot = Snapshot {
                stream: stream.clone(),
                version: self.version,
                event_id,
                taken_at,
                state_schema: state_schema::<A>(),
                payload,
            };
            let store = &self.slot.shared.store;
            match store.save_snapshot(snapshot, SNAPSHOTS_KEPT).await {
                Ok(()) => {
                    self.slot.shared.meters.snapshots_saved.increment(1);
                    tracing::debug!(%stream, version = %self.version, "snapshot saved");
                }
                Err(error) => {
                    tracing::warn!(%stream, version = %self.version, %error, "a snapshot was not saved");
                }
            }
        });
    }
}

impl<A: Aggregate> SnapshotJob<A> {
    async fn event_id(&self) -> Option<Uuid> {
        if self.event_id.is_some() {
            return self.event_id;
        }
        let query = StreamQuery::since(self.slot.stream.clone(), self.version, 1);
        let page = self.slot.shared.store.read_stream(query).await.ok()?;
        let event = page.events.first()?;
        (event.version == self.version).then_some(event.id)
    }
}

impl<A: Aggregate> Drop for SnapshotJob<A> {
    fn drop(&mut self) {
        self.slot.snapshotting.store(false, Ordering::Release);
        self.slot.shared.snapshots.add_permits(1);
    }
}

/// Named fields: by place, a field that `skip_serializing_if` leaves out would let the next one take its value.
fn encode_state<A: Serialize>(state: &A) -> Result<Payload, String> {
    let bytes = rmp_serde::to_vec_named(state).map_err(|error| error.to_string())?;
    if bytes.len() > SNAPSHOT_BYTES_MAX {
        return Err(format!(
            "the state takes {} bytes; the limit is {SNAPSHOT_BYTES_MAX}",
            bytes.len()
        ));
    }
    Ok(Payload::message_pack(bytes))
}

/// The state in a snapshot's payload.
pub(crate) fn decode_state<A: Aggregate>(payload: &Payload) -> Result<A, String> {
    if payload.codec != Codec::MessagePack || payload.key_id.is_some() {
        return Err("it is not plain MessagePack".to_owned());
    }
    if payload.bytes.len() > SNAPSHOT_BYTES_MAX {
        return Err(format!("it takes {} bytes", payload.bytes.len()));
    }
    decode_value(&payload.bytes)
}
