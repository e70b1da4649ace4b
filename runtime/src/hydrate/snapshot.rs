//! The state in a stream's snapshot, if it is of this shape and of this history.

use foldhouse_store::{
    EventStore, ReadError, Snapshot, SnapshotCriteria, Store, StreamId, StreamQuery, Version,
};

use crate::aggregate::Aggregate;
use crate::snapshots::decode_state;
use crate::state_schema::state_schema;

/// How many snapshots of a stream are tried before its events are read from the first.
const SNAPSHOTS_TRIED_MAX: usize = 4;

/// The newest snapshot that can be used, with its state. One that cannot gives way to the one before it: it may have been
/// taken by a newer build, or be damaged.
pub(super) async fn usable_snapshot<A: Aggregate>(
    store: &dyn Store,
    stream: &StreamId,
) -> Result<Option<(Snapshot, A)>, ReadError> {
    let mut criteria = SnapshotCriteria::ALL;
    for _ in 0..SNAPSHOTS_TRIED_MAX {
        let snapshot = match store.load_snapshot(stream, criteria).await {
            Ok(Some(snapshot)) => snapshot,
            Ok(None) => return Ok(None),
            Err(error) => {
                tracing::warn!(%stream, %error, "a snapshot could not be read and is not used");
                return Ok(None);
            }
        };
        if let Some(state) = state_in(store, &snapshot).await? {
            return Ok(Some((snapshot, state)));
        }
        forget_if_ahead(store, &snapshot).await?;
        match next_of_this_shape::<A>(store, stream, snapshot.version).await {
            Some(version) => criteria = SnapshotCriteria::of(version),
            None => return Ok(None),
        }
    }
    Ok(None)
}

/// Deletes a snapshot of a version that the stream does not have: it is of another history, and as the highest versions are
/// what is kept, it would be in the way of all others.
async fn forget_if_ahead(store: &dyn Store, snapshot: &Snapshot) -> Result<(), ReadError> {
    let (stream, version) = (&snapshot.stream, snapshot.version);
    if store.stream_version(stream).await? >= version {
        return Ok(());
    }
    let deleted = store.delete_snapshots(stream, SnapshotCriteria::of(version));
    match deleted.await {
        Ok(()) => tracing::warn!(%stream, %version, "a snapshot ahead of its stream was deleted"),
        Err(error) => {
            tracing::warn!(%stream, %version, %error, "a snapshot ahead of its stream could not be deleted");
        }
    }
    Ok(())
}

/// The version of the newest snapshot below `version` whose shape is this build's, by the list alone.
async fn next_of_this_shape<A: Aggregate>(
    store: &dyn Store,
    stream: &StreamId,
    version: Version,
) -> Option<Version> {
    let below = Version::new(version.get().checked_sub(1)?);
    let kept = store
        .snapshots(stream, SnapshotCriteria::up_to(below))
        .await;
    let kept = kept
        .inspect_err(|error| tracing::warn!(%stream, %error, "snapshots could not be listed"))
        .ok()?;
    let wanted = state_schema::<A>();
    let fits = kept.iter().find(|info| info.state_schema == wanted)?;
    Some(fits.version)
}

/// The state in a snapshot, if it is of this shape and of the history that `events` has.
pub(crate) async fn state_in<A: Aggregate>(
    events: &(impl EventStore + ?Sized),
    snapshot: &Snapshot,
) -> Result<Option<A>, ReadError> {
    let stream = &snapshot.stream;
    let wanted = state_schema::<A>();
    if snapshot.state_schema != wanted {
        tracing::debug!(%stream, found = snapshot.state_schema, wanted,
            "a snapshot has another state schema and is not used");
        return Ok(None);
    }
    if !is_of_this_history(events, snapshot).await? {
        tracing::warn!(%stream, version = %snapshot.version, "a snapshot is of another history and is not used");
        return Ok(None);
    }
    match decode_state(&snapshot.payload) {
        Ok(state) => Ok(Some(state)),
        Err(error) => {
            tracing::warn!(%stream, version = %snapshot.version, error, "a snapshot cannot be decoded and is not used");
            Ok(None)
        }
    }
}

async fn is_of_this_history(
    events: &(impl EventStore + ?Sized),
    snapshot: &Snapshot,
) -> Result<bool, ReadError> {
    let query = StreamQuery::since(snapshot.stream.clone(), snapshot.version, 1);
    let page = events.read_stream(query).await?;
    Ok(page
        .events
        .first()
        .is_some_and(|event| event.version == snapshot.version && event.id == snapshot.event_id))
}
