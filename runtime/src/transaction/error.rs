use std::sync::Arc;

use foldhouse_store::{AppendError, Fault, StreamId, Version};
use uuid::Uuid;

use super::participant::Rejection;
use crate::command_error::{InvalidEvents, not_recorded};
use crate::outcome::OutcomeError;
use crate::parked::ParkedAggregate;
use crate::refusal::{NotRecorded, Overloaded, PanickedIn, Refusal, UnreadableStream};
use crate::transaction::TRANSACTION_AGGREGATES_MAX;

/// Why a transaction did not take effect, sorted by what the caller can do. Nothing happened to any of its aggregates,
/// but for [`TransactionError::Unknown`].
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransactionError {
    /// A rule of the domain forbids one of the steps. What the rule rested on is durable.
    #[error("step {step} (stream {stream}) was rejected, so nothing was recorded: {rejection}")]
    Rejected {
        /// Which step, counted from 0 in the order in which they were given.
        step: usize,
        /// The stream of its aggregate.
        stream: StreamId,
        /// The command's own rejection; see [`TransactionError::rejection`].
        rejection: Arc<dyn std::error::Error + Send + Sync>,
    },
    /// Somebody appended to a stream beside this runtime. A retry decides on the new state.
    #[error(
        "stream {stream} is at version {actual}, but the transaction was decided at version {expected}: \
         somebody else appended to it; nothing was recorded: retry"
    )]
    Conflict {
        /// The stream.
        stream: StreamId,
        /// The version that the transaction was decided at.
        expected: Version,
        /// The version that the store found.
        actual: Version,
    },
    /// Too much is in flight, and the caller chose not to wait. Retry later.
    #[error("{limit} (stream {stream}); nothing was recorded: retry later")]
    Overloaded {
        /// The stream of the aggregate that has no place; the first one's if the runtime has none.
        stream: StreamId,
        /// Which limit is reached.
        limit: Overloaded,
    },
    /// Its deadline passed before it was decided. Retry with a later deadline, or not at all.
    #[error(
        "the deadline of a transaction passed before stream {stream} decided; \
         nothing was recorded: a retry is safe"
    )]
    Expired {
        /// The stream of the aggregate that it had come to.
        stream: StreamId,
    },
    /// Nothing was recorded, and a retry is safe.
    #[error("nothing was recorded, a retry is safe: {reason}")]
    NotRecorded {
        /// Why.
        reason: NotRecorded,
    },
    /// The write failed half way: the events of all steps are there, or of none, when the store is opened again. Then
    /// look for an [`event_id`](crate::event_id) of the transaction before sending it again. One that was sent with
    /// [`transact_once`](crate::Runtime::transact_once) is simply sent again.
    #[error(
        "it is unknown whether transaction {command_id} was recorded; reopen the store and look for its event ids: {fault}"
    )]
    Unknown {
        /// The id that stands for its commands, which gives the ids of its events.
        command_id: Uuid,
        /// What failed.
        fault: Fault,
    },
    /// Another transaction or command was recorded under this id before. This one was not and never will be under this
    /// id; give it one of its own.
    #[error(
        "another transaction or command was recorded under the id {command_id} before; \
         this one (stream {stream}) was not: give it an id of its own"
    )]
    CommandIdReused {
        /// The first of this transaction's streams.
        stream: StreamId,
        /// The id.
        command_id: Uuid,
    },
    /// The transaction was recorded before, but the replies of that time cannot be read. It is not decided again. Keep
    /// the replies' types readable, or take the effect from the aggregates' states.
    #[error(
        "transaction {command_id} (stream {stream}) was recorded before, but its replies cannot be read: {error}"
    )]
    UnreadableReply {
        /// The first of its streams.
        stream: StreamId,
        /// Its id.
        command_id: Uuid,
        /// What does not fit.
        error: String,
    },
    /// One of the aggregates cannot be brought back from its stream.
    #[error("nothing was recorded: {0}")]
    Unreadable(Arc<UnreadableStream>),
    /// One of the aggregates failed too often and is left alone; the error names it.
    /// Mend the cause, then revive it
    /// ([`AggregateRef::revive`](crate::AggregateRef::revive)).
    #[error("nothing was recorded: {0}")]
    Parked(Arc<ParkedAggregate>),
    /// The domain's code panicked; the same transaction would panic again.
    #[error("{panicked_in} panicked on a step for {stream}, nothing was recorded: {message}")]
    Panicked {
        /// The stream of the step's aggregate.
        stream: StreamId,
        /// Where.
        panicked_in: PanickedIn,
        /// The panic's message.
        message: String,
    },
    /// The events of the steps cannot be recorded as they are, and could not be again.
    #[error("the events of a transaction (stream {stream}) cannot be recorded: {error}")]
    InvalidEvents {
        /// The stream that it was found at.
        stream: StreamId,
        /// Why not.
        error: InvalidEvents,
    },
    /// It has no step.
    #[error("the transaction has no step")]
    Empty,
    /// It touches too many aggregates. Split it up, if the domain allows that.
    #[error(
        "the transaction touches {0} aggregates, the limit is {TRANSACTION_AGGREGATES_MAX}; nothing was recorded"
    )]
    TooManyAggregates(usize),
    /// One of the handles belongs to another runtime.
    #[error("the handle on {stream} belongs to another runtime; nothing was recorded")]
    OtherRuntime {
        /// The stream of the handle.
        stream: StreamId,
    },
}

impl TransactionError {
    /// Whether nothing was recorded and the same transaction may succeed if it is sent again, now or after what the
    /// error names is mended.
    #[must_use]
    pub fn is_retry_safe(&self) -> bool {
        matches!(
            self,
            Self::Conflict { .. }
                | Self::Overloaded { .. }
                | Self::Expired { .. }
                | Self::NotRecorded { .. }
        )
    }

    /// The rejection, if a step was rejected with one of this type.
    #[must_use]
    pub fn rejection<R: std::error::Error + 'static>(&self) -> Option<&R> {
        match self {
            Self::Rejected { rejection, .. } => rejection.downcast_ref(),
            _ => None,
        }
    }

    pub(super) fn rejected(step: usize, stream: StreamId, rejection: Rejection) -> Self {
        Self::Rejected {
            step,
            stream,
            rejection,
        }
    }

    pub(super) fn refused(stream: &StreamId, refusal: Refusal) -> Self {
        match refusal {
            Refusal::NotRecorded(reason) => Self::NotRecorded { reason },
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

    pub(super) fn from_outcome(stream: StreamId, error: OutcomeError) -> Self {
        match error {
            OutcomeError::OtherCommand { command_id } => {
                Self::CommandIdReused { stream, command_id }
            }
            OutcomeError::UnreadableReply { command_id, error } => Self::UnreadableReply {
                stream,
                command_id,
                error,
            },
            OutcomeError::Unavailable { reason, .. } => Self::NotRecorded { reason },
        }
    }

    pub(super) fn reply_missing(command_id: Uuid) -> Self {
        Self::Unknown {
            command_id,
            fault: Fault::new("it is recorded, but a reply is missing; this is a bug of foldhouse"),
        }
    }

    /// What the failure of the append means; `first` is a stream of the transaction.
    pub(super) fn from_append(
        error: AppendError,
        first: Option<StreamId>,
        command_id: Uuid,
    ) -> Self {
        match error {
            AppendError::Conflict {
                stream,
                expected: foldhouse_store::ExpectedVersion::Exact(expected),
                actual,
            } => Self::Conflict {
                stream,
                expected,
                actual,
            },
            AppendError::Unknown(fault) => Self::Unknown { command_id, fault },
            AppendError::Invalid(rule) => match first {
                Some(stream) => Self::InvalidEvents {
                    stream,
                    error: rule.into(),
                },
                None => Self::Empty,
            },
            other => Self::NotRecorded {
                reason: not_recorded(other),
            },
        }
    }
}
