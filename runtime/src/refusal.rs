use std::sync::Arc;

use foldhouse_store::{Damage, Fault, ReadError, RecordedEvent, StreamId, Version};

use crate::admission::NotAdmitted;
use crate::event_codec::EventCodecError;

/// Why nothing was recorded although no rule of the domain said no. A retry is safe for each of them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotRecorded {
    /// It was decided on top of an append that failed, and fell with it.
    #[error("it rested on an append that failed")]
    Voided,
    /// Another one with its command id was recorded first, through another runtime over the same store. A retry gets the
    /// outcome of that one.
    #[error("another one with its command id was recorded first; a retry gets the outcome of that")]
    RecordedBefore,
    /// The aggregate's actor ended before it came to it.
    #[error("the aggregate's actor ended before it came to it")]
    ActorEnded,
    /// The runtime shuts down or has shut down. Retry with the next runtime.
    #[error("the runtime is shutting down")]
    ShuttingDown,
    /// The store's queue was full.
    #[error("the store has {queued_bytes} bytes queued, its limit is {limit_bytes}; wait a little")]
    StoreFull {
        /// What waits for the disk.
        queued_bytes: usize,
        /// The most that may wait.
        limit_bytes: usize,
    },
    /// The store did not write or read. Repair what it names first.
    #[error("the store failed: {0}")]
    Store(Arc<str>),
    /// The store is closed. Open it again, with a new runtime.
    #[error("the store is closed")]
    StoreClosed,
}

impl From<Fault> for NotRecorded {
    fn from(fault: Fault) -> Self {
        Self::Store(fault.to_string().into())
    }
}

/// Which limit is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Overloaded {
    /// One aggregate has as many unanswered commands and queries as it may have.
    #[error("the aggregate has {limit} commands and queries in flight, its limit")]
    Aggregate {
        /// The limit, in commands and queries.
        limit: usize,
    },
    /// The runtime has as many unanswered commands and queries as it may have.
    #[error("the runtime has {limit} commands and queries in flight, its limit")]
    Runtime {
        /// The limit, in commands and queries.
        limit: usize,
    },
}

/// Why an aggregate cannot be brought back from its stream. A retry does not help; the code or the store must change.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UnreadableStream {
    /// An event cannot be read as one of the aggregate's events.
    #[error(
        "event {version} of stream {stream} (type {event_type}, schema {schema_version}) cannot be read: {error}"
    )]
    Event {
        /// The stream.
        stream: StreamId,
        /// The event's version.
        version: Version,
        /// The event's type.
        event_type: Arc<str>,
        /// The event's schema version.
        schema_version: u16,
        /// What does not fit.
        error: EventCodecError,
    },
    /// The aggregate's `apply`, or reading the event, panicked. Both must accept every event that was ever recorded.
    #[error(
        "apply panicked on event {version} of stream {stream} (type {event_type}): {message}; \
         it must accept every recorded event"
    )]
    Apply {
        /// The stream.
        stream: StreamId,
        /// The event's version.
        version: Version,
        /// The event's type.
        event_type: Arc<str>,
        /// The panic's message.
        message: String,
    },
    /// The bytes on disk are not what was written.
    #[error("stream {stream} cannot be read, the store is damaged: {damage}")]
    Damaged {
        /// The stream.
        stream: StreamId,
        /// Where.
        damage: Damage,
    },
}

impl UnreadableStream {
    /// An event that cannot be read.
    pub(crate) fn event(event: &RecordedEvent, error: EventCodecError) -> Self {
        Self::Event {
            stream: event.stream.clone(),
            version: event.version,
            event_type: Arc::clone(&event.event_type),
            schema_version: event.schema_version,
            error,
        }
    }

    /// An event on which the aggregate's own code panicked.
    pub(crate) fn panicked(event: &RecordedEvent, message: String) -> Self {
        Self::Apply {
            stream: event.stream.clone(),
            version: event.version,
            event_type: Arc::clone(&event.event_type),
            message,
        }
    }
}

/// Which of the aggregate's functions panicked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PanickedIn {
    /// A command's `decide`.
    Decide,
    /// The events' own serialisation, or the aggregate's `event_schema`.
    Encode,
    /// The aggregate's `apply`.
    Apply,
    /// A query's closure.
    Query,
}

impl std::fmt::Display for PanickedIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Decide => "decide",
            Self::Encode => "encoding the events",
            Self::Apply => "apply",
            Self::Query => "the query",
        })
    }
}

/// An answer that does not depend on what was asked: nothing was decided.
#[derive(Clone, Debug)]
pub(crate) enum Refusal {
    NotRecorded(NotRecorded),
    Overloaded(Overloaded),
    Expired,
    Unreadable(Arc<UnreadableStream>),
}

impl Refusal {
    /// Why nobody was let in. While the runtime waits for its last answers, a limit is not what to tell.
    pub(crate) fn not_admitted(reason: NotAdmitted, is_closing: bool) -> Self {
        match reason {
            _ if is_closing => Self::NotRecorded(NotRecorded::ShuttingDown),
            NotAdmitted::Overloaded(limit) => Self::Overloaded(limit),
            NotAdmitted::Expired => Self::Expired,
        }
    }

    pub(crate) fn from_read(stream: &StreamId, error: ReadError) -> Self {
        match error {
            ReadError::Corrupt(damage) => Self::Unreadable(Arc::new(UnreadableStream::Damaged {
                stream: stream.clone(),
                damage,
            })),
            ReadError::Closed => Self::NotRecorded(NotRecorded::StoreClosed),
            other => Self::NotRecorded(NotRecorded::Store(other.to_string().into())),
        }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotRecorded(reason) => reason.fmt(f),
            Self::Overloaded(limit) => limit.fmt(f),
            Self::Expired => f.write_str("the deadline passed"),
            Self::Unreadable(unreadable) => unreadable.fmt(f),
        }
    }
}

/// What a panic said.
pub(crate) fn panic_message(panic: Box<dyn std::any::Any + Send>) -> String {
    match panic.downcast::<String>() {
        Ok(message) => *message,
        Err(panic) => panic.downcast_ref::<&str>().map_or_else(
            || "a panic without a message".to_owned(),
            |message| (*message).to_owned(),
        ),
    }
}
