use std::sync::Arc;

use foldhouse_store::{ReadError, RecordedEvent, StreamId, Version};

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
}

impl SubscriptionError {
    /// Whether the next call may succeed without anything being mended.
    #[must_use]
    pub fn is_retry_safe(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
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
}
