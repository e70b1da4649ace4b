//! The frame that waits for its write: the records in it, and whoever waits for the answer.

use crate::append::{Appended, OnSettled};
use crate::clock::Timestamp;
use crate::error::AppendError;
use crate::position::{Position, Version};
use crate::stream_id::StreamId;

/// One frame in the making.
#[derive(Debug)]
pub(crate) struct PendingFrame {
    pub(crate) number: u64,
    pub(crate) first_position: Position,
    pub(crate) last_recorded_at: Timestamp,
    /// What it counts against the limit of the queue.
    pub(crate) queued_bytes: usize,
    pub(crate) body: Vec<u8>,
    /// The records of events.
    pub(crate) records: Vec<RecordPlace>,
    /// The records that stand before the events of an append.
    pub(crate) appends: Vec<AppendPlace>,
    pub(crate) waiting: Vec<Waiting>,
}

impl PendingFrame {
    pub(crate) fn empty() -> Self {
        Self {
            number: 0,
            first_position: Position::BEFORE_FIRST,
            last_recorded_at: Timestamp::default(),
            queued_bytes: 0,
            body: Vec::new(),
            records: Vec::new(),
            appends: Vec::new(),
            waiting: Vec::new(),
        }
    }
}

#[derive(Debug)]
pub(crate) struct RecordPlace {
    pub(crate) stream: StreamId,
    pub(crate) version: Version,
    pub(crate) offset_in_body: usize,
}

/// Where the record that announces an append lies, and the position that the next event has or would have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AppendPlace {
    pub(crate) position: Position,
    pub(crate) offset_in_body: usize,
}

/// An answer that is given when its frame is durable.
pub(crate) struct Waiting {
    pub(crate) outcome: Result<Appended, AppendError>,
    pub(crate) settled: OnSettled,
}

impl Waiting {
    /// Whether events of this append are in the frame, and not only an answer that waits for others.
    pub(crate) fn is_recording(&self) -> bool {
        self.outcome
            .as_ref()
            .is_ok_and(|appended| appended.event_count > 0)
    }
}

impl std::fmt::Debug for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Waiting")
            .field("outcome", &self.outcome)
            .finish_non_exhaustive()
    }
}
