use std::sync::Arc;

use foldhouse_store::StreamId;

use crate::parked::ParkedAggregate;
use crate::refusal::{NotRecorded, Overloaded, PanickedIn, Refusal, UnreadableStream};

/// Why a query has no answer.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// Too much is in flight, and the caller chose not to wait. Retry later.
    #[error("{limit}; the query of {stream} was not run: retry later")]
    Overloaded {
        /// The stream.
        stream: StreamId,
        /// Which limit is reached.
        limit: Overloaded,
    },
    /// Its deadline passed before it was run. Retry with a later deadline, or not at all.
    #[error("the deadline of a query of {stream} passed before it was run: a retry is safe")]
    Expired {
        /// The stream.
        stream: StreamId,
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
        matches!(
            self,
            Self::Overloaded { .. } | Self::Expired { .. } | Self::Unavailable { .. }
        )
    }

    pub(crate) fn refused(stream: &StreamId, refusal: Refusal) -> Self {
        match refusal {
            Refusal::NotRecorded(reason) => Self::Unavailable {
                stream: stream.clone(),
                reason,
            },
            Refusal::Overloaded(limit) => Self::Overloaded {
                stream: stream.clone(),
                limit,
            },
            Refusal::Expired => Self::Expired {
                stream: stream.clone(),
            },
            Refusal::Unreadable(unreadable) => Self::Unreadable(unreadable),
            Refusal::Parked(parked) => Self::Parked(parked),
        }
    }
}
