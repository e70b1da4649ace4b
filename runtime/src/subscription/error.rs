use std::sync::Arc;

use foldhouse_store::{Damage, Position, ReadError, RecordedEvent, StreamId, Version};

use crate::refusal::{NotRecorded, Refusal, UnreadableStream};

/// Why a subscription could not give its next event. It stands before it: the next call tries it again.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SubscriptionError {
    /// The event cannot be read: the error names its version and type. Mend the code, or subscribe anew behind it.
    #[error("the subscription cannot go on: {0}")]
    Unreadable(Arc<UnreadableStream>),
    /// The store did not answer. A later call may have the event.
    #[error("the next event of {stream} could not be read, a retry may work: {reason}")]
    Unavailable {
        /// The stream.
        stream: StreamId,
        /// Why.
        reason: NotRecorded,
    },
    /// The bytes on disk are not what was written. Repair the store.
    #[error("the events from position {from} on cannot be read, the store is damaged: {damage}")]
    Damaged {
        /// Everything before was given.
        from: Position,
        /// Where.
        damage: Damage,
    },
    /// The store did not answer. A later call may have the event.
    #[error("the events from position {from} on could not be read, a retry may work: {reason}")]
    NotRead {
        /// Everything before was given.
        from: Position,
        /// Why.
        reason: NotRecorded,
    },
}

impl SubscriptionError {
    /// Whether the next call may succeed without anything being mended.
    #[must_use]
    pub fn is_retry_safe(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::NotRead { .. })
    }

    pub(super) fn from_read(stream: &StreamId, error: ReadError) -> Self {
        let reason = match Refusal::from_read(stream, error) {
            Refusal::Unreadable(unreadable) => return Self::Unreadable(unreadable),
            Refusal::NotRecorded(reason) => reason,
            // No read is refused for these.
            other => NotRecorded::Store(other.to_string().into()),
        };
        Self::Unavailable {
            stream: stream.clone(),
            reason,
        }
    }

    pub(super) fn gap(found: &RecordedEvent, wanted: Version) -> Self {
        let gap = format!("it gave version {} for version {wanted}", found.version);
        Self::Unavailable {
            stream: found.stream.clone(),
            reason: NotRecorded::Store(gap.into()),
        }
    }

    pub(super) fn behind(from: Position, error: ReadError) -> Self {
        let reason = match error {
            ReadError::Corrupt(damage) => return Self::Damaged { from, damage },
            ReadError::Closed => NotRecorded::StoreClosed,
            other => NotRecorded::Store(other.to_string().into()),
        };
        Self::NotRead { from, reason }
    }

    pub(super) fn repetition(found: &RecordedEvent, from: Position) -> Self {
        let found = format!("it gave position {} again", found.position);
        Self::NotRead {
            from,
            reason: NotRecorded::Store(found.into()),
        }
    }
}
