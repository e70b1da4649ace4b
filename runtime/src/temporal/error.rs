use std::sync::Arc;

use foldhouse_store::{ReadError, StreamId, Timestamp, Version};

use super::as_of::AsOf;
use super::difference::UnserializableState;
use super::marks::EFFECTIVE_EVENTS_MAX;
use crate::refusal::UnreadableStream;

/// Why there is no answer about the past.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PastError {
    /// The moment is not there yet. Ask again when it is; a journal that is read beside its writer is to be refreshed first.
    #[error(
        "{as_of} of stream {stream} is not there yet: the stream is at version {version}; ask again when it is"
    )]
    NotYet {
        /// The stream.
        stream: StreamId,
        /// What was asked for.
        as_of: AsOf,
        /// Where the stream is.
        version: Version,
    },
    /// Events count in another order than they were recorded in, or some between them do not count, and the aggregate does
    /// not say that this makes sense. Ask by version or by recorded time; or let the aggregate say so
    /// ([`Aggregate::BACKDATING`](crate::Aggregate::BACKDATING)).
    #[error("{0}")]
    BackDated(Box<BackDatedEvent>),
    /// More events count in another order than can be held in memory to sort them. Ask by version or by recorded time.
    #[error(
        "{events} events ({bytes} bytes) of stream {stream} from version {from} on count in another order than they were \
         recorded in, more than are sorted in memory; ask by version or by recorded time"
    )]
    TooManyReordered {
        /// The stream.
        stream: StreamId,
        /// The first of them.
        from: Version,
        /// How many there are; where the bytes are too many, how many were read.
        events: u64,
        /// How many bytes were read.
        bytes: u64,
    },
    /// The stream has more events than effective time is followed for. Ask by version or by recorded time.
    #[error(
        "stream {stream} has {events} events; effective time is followed for up to {EFFECTIVE_EVENTS_MAX}: \
         ask by version or by recorded time"
    )]
    TooLong {
        /// The stream.
        stream: StreamId,
        /// How many events it has.
        events: u64,
    },
    /// The cursor belongs to another stream. Use it with the stream that it came from.
    #[error(
        "the cursor is of stream {cursor}, not of {stream}; use it with the one that it came from"
    )]
    OtherStream {
        /// The stream that was asked.
        stream: StreamId,
        /// The cursor's.
        cursor: StreamId,
    },
    /// An event cannot be read, or `apply` panicked on it: in the order in which events count, perhaps.
    #[error(transparent)]
    Unreadable(Arc<UnreadableStream>),
    /// The state cannot be serialised, so nothing can be said of its fields.
    #[error("the states of stream {stream} cannot be compared: {error}")]
    Unserializable {
        /// The stream.
        stream: StreamId,
        /// Why.
        error: UnserializableState,
    },
    /// The store gave nothing; its error says whether a retry may work.
    #[error("the past of stream {stream} cannot be read: {error}")]
    Read {
        /// The stream.
        stream: StreamId,
        /// Why.
        error: ReadError,
    },
}

/// An event that counts before one that was recorded earlier.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "event {version} of stream {stream} counts from {effective_at}, event {earlier} before it only from \
     {earlier_effective_at}, and {aggregate} does not say that its events may be put in that order; ask by version or by \
     recorded time, or set Aggregate::BACKDATING"
)]
pub struct BackDatedEvent {
    /// The stream.
    pub stream: StreamId,
    /// The aggregate type.
    pub aggregate: &'static str,
    /// The event's version.
    pub version: Version,
    /// When it counts.
    pub effective_at: Timestamp,
    /// The version of an event that was recorded before it and counts later.
    pub earlier: Version,
    /// When that one counts.
    pub earlier_effective_at: Timestamp,
}
