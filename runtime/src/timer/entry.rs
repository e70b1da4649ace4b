use std::sync::Arc;

use foldhouse_store::{RecordedEvent, StreamId, Timestamp, Version};
use uuid::Uuid;

use super::record::Scheduled;

/// What is told of one pending timer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// The version of the event that scheduled it, in the stream of timers.
    pub(super) number: Version,
    /// When it is tried: when it is due, or later if it has failed.
    pub(super) try_at: Timestamp,
    pub(super) id: Uuid,
    pub(super) stream: StreamId,
    pub(super) name: Arc<str>,
    pub(super) due: Timestamp,
    pub(super) command: Arc<str>,
    /// How often it was tried in vain.
    pub(super) failures: u32,
    /// What failed last.
    pub(super) error: Option<Arc<str>>,
}

impl Entry {
    /// One that was not tried yet.
    pub(super) fn of(event: &RecordedEvent, scheduled: Scheduled) -> Self {
        Self {
            number: event.version,
            try_at: scheduled.at,
            id: event.id,
            stream: scheduled.stream,
            name: scheduled.name,
            due: scheduled.at,
            command: scheduled.command,
            failures: 0,
            error: None,
        }
    }

    pub(super) fn place(&self) -> Place {
        Place {
            try_at: self.try_at,
            number: self.number,
        }
    }
}

/// Where a timer stands in the order in which they are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) try_at: Timestamp,
    pub(super) number: Version,
}

/// Stands for an aggregate's stream and the name of a timer, at 16 bytes instead of up to 400: the first half follows from
/// the stream alone, so that those of one aggregate lie together; the second from both.
///
/// Two names with the same key take about 2^64 tries to find.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct NameKey {
    pub(super) stream: u64,
    pub(super) name: u64,
}

impl NameKey {
    pub(super) fn new(stream: &StreamId, name: &str) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(stream.as_str().as_bytes());
        let of_stream = first_half(&hasher);
        // No stream has this byte, so the two do not run into each other.
        hasher.update(&[0]).update(name.as_bytes());
        Self {
            stream: of_stream,
            name: first_half(&hasher),
        }
    }

    /// The keys of all names of an aggregate.
    pub(super) fn all_of(stream: &StreamId) -> std::ops::RangeInclusive<Self> {
        let stream = Self::new(stream, "").stream;
        let key = |name| Self { stream, name };
        key(0)..=key(u64::MAX)
    }
}

fn first_half(hasher: &blake3::Hasher) -> u64 {
    let mut bytes = [0; 8];
    hasher.finalize_xof().fill(&mut bytes);
    u64::from_be_bytes(bytes)
}

/// Half of a timer's id: enough to tell it from those that had its name before.
pub(super) fn id_half(id: Uuid) -> u64 {
    id.as_u64_pair().1
}
