use foldhouse_store::{SnapshotCriteria, SnapshotStore, Version};

use super::source::Source;
use crate::aggregate::Aggregate;
use crate::hydrate::state_in;

/// Below this version reading the events takes no longer than looking for a snapshot.
const WORTH_LOOKING_FROM: u64 = 64;

/// A state to begin folding from: that of the newest usable snapshot up to a version, or the state before all events.
///
/// A snapshot is an economy: one that cannot be read or used costs time, and no answer.
pub(super) async fn nearest<A: Aggregate>(source: &Source, up_to: Version) -> (A, Version) {
    let beginning = (A::default(), Version::EMPTY);
    let Some(snapshots) = &source.snapshots else {
        return beginning;
    };
    if up_to.get() < WORTH_LOOKING_FROM {
        return beginning;
    }
    let mut criteria = SnapshotCriteria::up_to(up_to);
    loop {
        match usable(source, &**snapshots, criteria).await {
            Found::State(state, version) => return (state, version),
            Found::Nothing => return beginning,
            Found::Unusable(version) => match older(source, &**snapshots, version).await {
                Some(version) => criteria = SnapshotCriteria::of(version),
                None => return beginning,
            },
        }
    }
}

enum Found<A> {
    State(A, Version),
    /// One that is of another shape or history, or damaged.
    Unusable(Version),
    Nothing,
}

async fn usable<A: Aggregate>(
    source: &Source,
    snapshots: &dyn SnapshotStore,
    criteria: SnapshotCriteria,
) -> Found<A> {
    let stream = &source.stream;
    let snapshot = match snapshots.load_snapshot(stream, criteria).await {
        Ok(Some(snapshot)) => snapshot,
        Ok(None) => return Found::Nothing,
        Err(error) => {
            tracing::warn!(%stream, %error, "a snapshot could not be read and is not used");
            return Found::Nothing;
        }
    };
    let version = snapshot.version;
    match state_in(&*source.events, &snapshot).await {
        Ok(Some(state)) => Found::State(state, version),
        Ok(None) => Found::Unusable(version),
        Err(error) => {
            tracing::warn!(%stream, %error, "a snapshot could not be checked and is not used");
            Found::Nothing
        }
    }
}

/// The newest snapshot of this shape below a version.
async fn older(source: &Source, snapshots: &dyn SnapshotStore, below: Version) -> Option<Version> {
    let below = below.get().checked_sub(1)?;
    let criteria = SnapshotCriteria::up_to(Version::new(below));
    let kept = snapshots.snapshots(&source.stream, criteria).await.ok()?;
    kept.first().map(|info| info.version)
}
