use std::panic::{AssertUnwindSafe, catch_unwind};

use foldhouse_store::{
    Snapshot, SnapshotCriteria, Store, StreamId, StreamQuery, Timestamp, Version,
};
use uuid::Uuid;

use super::encoding::encode_state;
use super::kept::{KeptSnapshot, SnapshotError};
use super::retention::Retention;
use crate::aggregate::Aggregate;
use crate::refusal::panic_message;
use crate::shared::Shared;
use crate::state_schema::state_schema;
use crate::temporal::kept_times;

/// Writes down the state of this version, whose events are durable, and keeps it as long as the retention says.
/// `event_id` is that of the event at the version, looked up where it is not known.
pub(crate) async fn save<A: Aggregate>(
    shared: &Shared,
    stream: &StreamId,
    (state, version): (&A, Version),
    event_id: Option<Uuid>,
    taken_at: Timestamp,
    retention: &Retention,
) -> Result<KeptSnapshot, SnapshotError> {
    let store = &*shared.store;
    let event_id = match event_id {
        Some(id) => id,
        None => event_id_at(store, stream, version).await?,
    };
    // Unwind safe: what is half written is thrown away.
    let encoded = catch_unwind(AssertUnwindSafe(|| encode_state(state)));
    let payload = encoded
        .unwrap_or_else(|panic| Err(panic_message(panic)))
        .map_err(|error| SnapshotError::Unwritable {
            stream: stream.clone(),
            version,
            error,
        })?;
    let bytes = payload.bytes.len() as u64;
    let snapshot = Snapshot {
        stream: stream.clone(),
        version,
        event_id,
        taken_at,
        state_schema: state_schema::<A>(),
        payload,
    };
    let failed = |error| SnapshotError::store(stream, &error);
    let saved = store.save_snapshot(snapshot, retention.most());
    saved.await.map_err(failed)?;
    shared.meters.snapshots_saved.increment(1);
    if retention.times {
        // Only derived: a question reads from the events what is not kept.
        if let Err(error) = kept_times::keep(store, stream, version).await {
            tracing::warn!(%stream, %error, "the times of events could not be kept");
        }
    }
    if retention.is_spaced() {
        let kept = store.snapshots(stream, SnapshotCriteria::ALL);
        for version in retention.surplus(&kept.await.map_err(failed)?) {
            let deleted = store.delete_snapshots(stream, SnapshotCriteria::of(version));
            deleted.await.map_err(failed)?;
        }
    }
    Ok(KeptSnapshot {
        version,
        taken_at,
        bytes,
        is_usable: true,
    })
}

async fn event_id_at(
    store: &dyn Store,
    stream: &StreamId,
    version: Version,
) -> Result<Uuid, SnapshotError> {
    let query = StreamQuery::since(stream.clone(), version, 1);
    let page = store.read_stream(query).await;
    let page = page.map_err(|error| SnapshotError::store(stream, &error))?;
    let event = page.events.first();
    event
        .filter(|event| event.version == version)
        .map(|event| event.id)
        .ok_or_else(|| SnapshotError::Store {
            stream: stream.clone(),
            error: format!("it does not give version {version}, which is recorded"),
        })
}
