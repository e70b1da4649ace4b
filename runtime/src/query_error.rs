use std::sync::Arc;

use foldhouse_store::StreamId;

use crate::parked::ParkedAggregate;
use crate::refusal::{NotRecorded, Overloaded, PanickedIn, Refusal, UnreadableStream};

/// Why a query has no answer.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// Too much is in flight, and the runtime is set not to wait. Retry later.
    #[error("{limit}; the query of {stream} was not run: retry later")]
    Overloaded {
        /// The stream.
        stream: StreamId,
        /// Which limit is reached.
        limit: Overloaded,
    },
    /// The state could not be had, or what it rested on was not recorded. A retry is safe.
    #[error("the query of {stream} has no answer, a retry is safe: {reason}")]
    Unavailable {
        /// The stream.
        stream: StreamId,
        /// Why.
        reason: NotRecorded,
    },
    /// The aggregate cannot be brought back from its stream.
    #[error("the query has no answer: {0}")]
    Unreadable(Arc<UnreadableStream>),
    /// The aggregate failed too often and is left alone. Mend the cause, then revive it
    /// ([`AggregateRef::revive`](crate::AggregateRef::revive)).
    #[error("the query has no answer: {0}")]
    Parked(Arc<ParkedAggregate>),
    /// The query's own code panicked.
    #[error("{step} panicked on {stream}: {message}")]
    Panicked {
        /// The stream.
        stream: StreamId,
        /// Where.
        step: PanickedIn,
        /// The panic's message.
        message: String,
    },
}

impl QueryError {
    /// Whether the same query may have an answer if it is sent again.
    #[must_use]
    pub fn is_retry_safe(&self) -> bool {
        matches!(self, Self::Overloaded { .. } | Self::Unavailable { .. })
    }

    pub(crate) fn refused(stream: &StreamId, refusal: Refusal) -> Self {
        match refusal {
            Refusal::NotRecorded(reason) => Self::Unavailable {
                stream: stream.clone(),
                reason,
            },
            Refusal::Unreadable(unreadable) => Self::Unreadable(unreadable),
            Refusal::Parked(parked) => Self::Parked(parked),
        }
    }
}
