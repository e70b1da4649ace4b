use foldhouse_store::{ReadError, SnapshotCriteria, SnapshotInfo, StreamId, Timestamp, Version};

use crate::aggregate::Aggregate;
use crate::query_error::QueryError;
use crate::shared::Shared;
use crate::state_schema::state_schema;

/// A snapshot of an aggregate that is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeptSnapshot {
    /// The version whose state it is.
    pub version: Version,
    /// When it was taken.
    pub taken_at: Timestamp,
    /// What the encoded state takes, in bytes.
    pub bytes: u64,
    /// Whether this build's states have its shape and meaning: one that is not usable is passed over, and displaced by
    /// later ones.
    pub is_usable: bool,
}

/// What snapshots take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SnapshotSpace {
    /// How many aggregates have any.
    pub aggregates: u64,
    /// How many there are.
    pub snapshots: u64,
    /// What their encoded states take together, in bytes.
    pub bytes: u64,
}

/// Why a snapshot could not be taken, listed or deleted. It costs nothing but time: no snapshot is ever needed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// The aggregate's state could not be had.
    #[error("no snapshot was taken: {0}")]
    NoState(#[from] QueryError),
    /// The state cannot be written down, or is too large. Keep less in it, or change its serialisation.
    #[error(
        "no snapshot of {stream} was taken at version {version}, its state cannot be written down: {error}"
    )]
    Unwritable {
        /// The stream.
        stream: StreamId,
        /// The version.
        version: Version,
        /// Why not.
        error: String,
    },
    /// The store did not answer. Mend what it names; a retry may work.
    #[error("the snapshots of {stream} cannot be reached: {error}")]
    Store {
        /// The stream, or the tenant and type whose streams were asked for.
        stream: StreamId,
        /// What failed.
        error: String,
    },
    /// The store could not list the aggregates of a tenant.
    #[error("the aggregates {aggregate_type} of {tenant} cannot be listed: {error}")]
    List {
        /// The tenant.
        tenant: String,
        /// The aggregate type.
        aggregate_type: &'static str,
        /// What failed.
        error: String,
    },
}

impl SnapshotError {
    pub(crate) fn store(stream: &StreamId, error: &ReadError) -> Self {
        Self::Store {
            stream: stream.clone(),
            error: error.to_string(),
        }
    }
}

impl KeptSnapshot {
    pub(crate) fn of<A: Aggregate>(info: &SnapshotInfo) -> Self {
        Self {
            version: info.version,
            taken_at: info.taken_at,
            bytes: info.bytes,
            is_usable: info.state_schema == state_schema::<A>(),
        }
    }
}

/// How many aggregates are listed at a time.
const PAGE_STREAMS: usize = 1_000;

/// What the snapshots of all aggregates of this type take that a tenant has.
pub(crate) async fn space<A: Aggregate>(
    shared: &Shared,
    tenant: &str,
) -> Result<SnapshotSpace, SnapshotError> {
    let mut space = SnapshotSpace::default();
    let mut after: Option<StreamId> = None;
    loop {
        let listed = shared
            .store
            .streams(tenant, A::TYPE, after.as_ref(), PAGE_STREAMS);
        let streams = listed.await.map_err(|error| SnapshotError::List {
            tenant: tenant.to_owned(),
            aggregate_type: A::TYPE,
            error: error.to_string(),
        })?;
        for stream in &streams {
            let kept = shared.store.snapshots(stream, SnapshotCriteria::ALL).await;
            let kept = kept.map_err(|error| SnapshotError::store(stream, &error))?;
            space.aggregates += u64::from(!kept.is_empty());
            space.snapshots += kept.len() as u64;
            space.bytes += kept.iter().map(|snapshot| snapshot.bytes).sum::<u64>();
        }
        if streams.len() < PAGE_STREAMS {
            return Ok(space);
        }
        after = streams.last().cloned();
    }
}
