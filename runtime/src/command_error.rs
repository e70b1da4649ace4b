use std::sync::Arc;

use foldhouse_store::{AppendError, Fault, InvalidAppend, StreamId, Version};
use uuid::Uuid;

use crate::event_codec::EventCodecError;
use crate::parked::ParkedAggregate;
use crate::refusal::{NotRecorded, Overloaded, PanickedIn, Refusal, UnreadableStream};

/// Why a command did not take effect, sorted by what the caller can do. `R` is the command's own rejection.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError<R> {
    /// A rule of the domain forbids it. Nothing was recorded, and what the rule rested on is durable.
    #[error("rejected: {0}")]
    Rejected(#[source] R),
    /// Somebody appended to the stream beside this runtime. Nothing was recorded; a retry decides on the new state.
    #[error(
        "stream {stream} is at version {actual}, but the command was decided at version {expected}: \
         somebody else appended to it; nothing was recorded: retry"
    )]
    Conflict {
        /// The stream.
        stream: StreamId,
        /// The version that the command was decided at.
        expected: Version,
        /// The version that the store found.
        actual: Version,
    },
    /// Too much is in flight, and the caller chose not to wait. Nothing was recorded; retry later.
    #[error("{limit}; nothing was recorded for {stream}: retry later")]
    Overloaded {
        /// The stream.
        stream: StreamId,
        /// Which limit is reached.
        limit: Overloaded,
    },
    /// Nothing was recorded, and a retry is safe.
    #[error("nothing was recorded for {stream}, a retry is safe: {reason}")]
    NotRecorded {
        /// The stream.
        stream: StreamId,
        /// Why.
        reason: NotRecorded,
    },
    /// The write failed half way: the events may or may not be there when the store is opened again. Then look for
    /// [`event_id`](crate::event_id) of this command and stream before sending it again.
    #[error(
        "it is unknown whether command {command_id} was recorded for {stream}; \
         reopen the store and look for its event ids: {fault}"
    )]
    Unknown {
        /// The stream.
        stream: StreamId,
        /// The command, whose id gives the ids of its events.
        command_id: Uuid,
        /// What failed.
        fault: Fault,
    },
    /// The aggregate cannot be brought back from its stream. Nothing was recorded.
    #[error("nothing was recorded: {0}")]
    Unreadable(Arc<UnreadableStream>),
    /// The aggregate failed too often and is left alone. Mend the cause, then revive it
    /// ([`AggregateRef::revive`](crate::AggregateRef::revive)).
    #[error("nothing was recorded: {0}")]
    Parked(Arc<ParkedAggregate>),
    /// The domain's code panicked. Nothing was recorded; the same command would panic again.
    #[error("{step} panicked on a command for {stream}, nothing was recorded: {message}")]
    Panicked {
        /// The stream.
        stream: StreamId,
        /// Where.
        step: PanickedIn,
        /// The panic's message.
        message: String,
    },
    /// The command's events cannot be recorded as they are, and could not be again. Nothing was recorded.
    #[error("the events of a command for {stream} cannot be recorded: {error}")]
    InvalidEvents {
        /// The stream.
        stream: StreamId,
        /// Why not.
        error: InvalidEvents,
    },
}

/// Why the events of a command cannot be recorded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidEvents {
    /// One cannot be written down.
    #[error(transparent)]
    Event(#[from] EventCodecError),
    /// The store refuses them.
    #[error(transparent)]
    Append(#[from] InvalidAppend),
}

impl<R> CommandError<R> {
    /// Whether nothing was recorded and the same command may succeed if it is sent again, now or after what the error
    /// names is mended.
    pub fn is_retry_safe(&self) -> bool {
        matches!(
            self,
            Self::Conflict { .. } | Self::Overloaded { .. } | Self::NotRecorded { .. }
        )
    }

    /// The domain's own rejection, if it is one.
    pub fn rejection(&self) -> Option<&R> {
        match self {
            Self::Rejected(rejection) => Some(rejection),
            _ => None,
        }
    }

    pub(crate) fn refused(stream: &StreamId, refusal: Refusal) -> Self {
        match refusal {
            Refusal::NotRecorded(reason) => Self::NotRecorded {
                stream: stream.clone(),
                reason,
            },
            Refusal::Unreadable(unreadable) => Self::Unreadable(unreadable),
            Refusal::Parked(parked) => Self::Parked(parked),
        }
    }

    /// What the failure of an append means for the command it came from.
    pub(crate) fn from_append(
        error: AppendError,
        stream: StreamId,
        command_id: Uuid,
        decided_at: Version,
    ) -> Self {
        match error {
            AppendError::Conflict { actual, .. } => Self::Conflict {
                stream,
                expected: decided_at,
                actual,
            },
            AppendError::Unknown(fault) => Self::Unknown {
                stream,
                command_id,
                fault,
            },
            AppendError::Invalid(rule) => Self::InvalidEvents {
                stream,
                error: rule.into(),
            },
            other => Self::NotRecorded {
                stream,
                reason: not_recorded(other),
            },
        }
    }
}

/// What the failure of an append means where nothing was to be recorded, or not by that append.
pub(crate) fn not_recorded(error: AppendError) -> NotRecorded {
    match error {
        AppendError::Conflict { .. } => NotRecorded::Voided,
        AppendError::Overloaded {
            queued_bytes,
            limit_bytes,
        } => NotRecorded::StoreFull {
            queued_bytes,
            limit_bytes,
        },
        AppendError::NotRecorded(fault) | AppendError::Unknown(fault) => fault.into(),
        other => NotRecorded::Store(other.to_string().into()),
    }
}
