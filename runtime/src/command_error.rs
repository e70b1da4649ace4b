use std::sync::Arc;

use foldhouse_store::{AppendError, Fault, InvalidAppend, StreamId, Version};
use uuid::Uuid;

use crate::event_codec::EventCodecError;
use crate::outcome::OutcomeError;
use crate::parked::ParkedAggregate;
use crate::refusal::{NotRecorded, Overloaded, PanickedIn, Refusal, UnreadableStream};
use crate::timer::{TIMER_NAME_BYTES_MAX, TIMERS_PER_DECISION_MAX};

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
    /// Its deadline passed before it was decided. Nothing was recorded; retry with a later deadline, or not at all.
    #[error(
        "the deadline of a command for {stream} passed before it was decided; \
         nothing was recorded: a retry is safe"
    )]
    Expired {
        /// The stream.
        stream: StreamId,
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
    /// [`event_id`](crate::event_id) of this command and stream before sending it again. One that was sent with
    /// [`send_once`](crate::AggregateRef::send_once) is simply sent again.
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
    /// Another command was recorded under this id before: for another aggregate, of another kind, or with another content.
    /// This one was not recorded and never will be under this id; give it one of its own.
    #[error(
        "another command was recorded under the id {command_id} before; the one for {stream} was not: \
         give it an id of its own"
    )]
    CommandIdReused {
        /// The stream of this command.
        stream: StreamId,
        /// The id.
        command_id: Uuid,
    },
    /// The command was recorded before, but the reply of that time cannot be read. It is not decided again. Keep the
    /// reply's type readable, or take the effect from the aggregate's state.
    #[error(
        "command {command_id} for {stream} was recorded before, but its reply cannot be read: {error}"
    )]
    UnreadableReply {
        /// The stream.
        stream: StreamId,
        /// The command's id.
        command_id: Uuid,
        /// What does not fit.
        error: String,
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

/// Why a command cannot be recorded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidEvents {
    /// One cannot be written down.
    #[error(transparent)]
    Event(#[from] EventCodecError),
    /// The store refuses them.
    #[error(transparent)]
    Append(#[from] InvalidAppend),
    /// A decision schedules or cancels a timer and has no events. Record one that says so: an aggregate's state must tell
    /// what it waits for.
    #[error("a decision of {stream} changes timers and records no event that says so; give it one")]
    TimersWithoutEvents {
        /// The stream.
        stream: StreamId,
    },
    /// A timer's name is empty, too long, or has control characters.
    #[error(
        "the name of a timer of {stream} takes {bytes} bytes; it takes 1 to {TIMER_NAME_BYTES_MAX}, without control characters"
    )]
    TimerName {
        /// The stream.
        stream: StreamId,
        /// The length of the name.
        bytes: usize,
    },
    /// A decision changes too many timers.
    #[error(
        "a decision of {stream} changes {changes} timers; the limit is {TIMERS_PER_DECISION_MAX}"
    )]
    TooManyTimers {
        /// The stream.
        stream: StreamId,
        /// How many it changes.
        changes: usize,
    },
    /// What a command that takes effect once is recorded with cannot be written down.
    #[error("the {what} cannot be written down: {error}")]
    Unwritable {
        /// What: `command`, `reply` or `command of a timer`.
        what: &'static str,
        /// Why not.
        error: String,
    },
}

impl<R> CommandError<R> {
    /// Whether nothing was recorded and the same command may succeed if it is sent again, now or after what the error
    /// names is mended.
    pub fn is_retry_safe(&self) -> bool {
        matches!(
            self,
            Self::Conflict { .. }
                | Self::Overloaded { .. }
                | Self::Expired { .. }
                | Self::NotRecorded { .. }
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

    pub(crate) fn from_outcome(stream: StreamId, error: OutcomeError) -> Self {
        match error {
            OutcomeError::OtherCommand { command_id } => {
                Self::CommandIdReused { stream, command_id }
            }
            OutcomeError::UnreadableReply { command_id, error } => Self::UnreadableReply {
                stream,
                command_id,
                error,
            },
            OutcomeError::Unavailable { reason, .. } => Self::NotRecorded { stream, reason },
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
        AppendError::Duplicate { .. } => NotRecorded::RecordedBefore,
        AppendError::NotRecorded(fault) | AppendError::Unknown(fault) => fault.into(),
        other => NotRecorded::Store(other.to_string().into()),
    }
}
