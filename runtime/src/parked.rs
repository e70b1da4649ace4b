use std::sync::Arc;

use foldhouse_store::{StreamId, Timestamp};

/// An aggregate that has failed too often in too short a time and is left alone: its commands, queries and transactions
/// are refused at once with this, and nothing else is touched by it. Mend the cause, then call
/// [`AggregateRef::revive`](crate::AggregateRef::revive).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "aggregate {stream} is parked since {since} after {failures} failures, the last one: {reason}; \
     mend the cause, then revive it (AggregateRef::revive)"
)]
#[non_exhaustive]
pub struct ParkedAggregate {
    /// Its stream.
    pub stream: StreamId,
    /// How the last of its actors failed; cut off after 1,024 bytes.
    pub reason: Arc<str>,
    /// How many of its actors failed within the time that
    /// [`RuntimeBuilder::restarts_max`](crate::RuntimeBuilder::restarts_max) gives.
    pub failures: usize,
    /// When it was parked.
    pub since: Timestamp,
}
