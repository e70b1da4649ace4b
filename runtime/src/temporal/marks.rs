use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foldhouse_store::{Position, RecordedEvent, Store, Timestamp, Version};

use super::error::PastError;
use super::kept_times::kept;
use super::locate::Known;
use super::source::Source;

/// The most events of one stream that effective time is followed for: 24 bytes of each are kept by a [`Past`](super::Past)
/// that was asked about it, and by its runtime.
pub const EFFECTIVE_EVENTS_MAX: u64 = 4_000_000;

/// While the marks are made, events of up to so many bytes are held, so that they need not be read again to be folded.
const HELD_BYTES_MAX: usize = 32 * 1024 * 1024;
/// What an event takes besides its payload, about.
const EVENT_BYTES: usize = 256;

/// When an event was recorded, and when it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) position: Position,
    pub(super) recorded_at: Timestamp,
    pub(super) effective_at: Timestamp,
}

/// The marks of a stream's first events, in the order of their versions. They never change; there are only more of them.
#[derive(Default)]
pub(super) struct Marks {
    known: Mutex<Vec<Mark>>,
    /// Whoever bounds how many there are over all aggregates counts them here.
    counted: Arc<AtomicU64>,
}

/// Events that were read while the marks were made: those from a version on, as far as they could be held.
#[derive(Default)]
pub(super) struct Held {
    /// In the order of their versions.
    pub(super) events: Vec<RecordedEvent>,
}

impl Marks {
    pub(super) fn counted(counted: Arc<AtomicU64>) -> Self {
        Self {
            known: Mutex::default(),
            counted,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Mark>> {
        // Nothing panics while it holds the lock; a poisoned one is whole.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many of the first events are known to be within a moment.
    pub(super) fn leading(&self, is_within: impl Fn(&Mark) -> bool) -> Known {
        let marks = self.lock();
        let within = marks.partition_point(is_within);
        Known {
            within: Version::new(within as u64),
            is_last: within < marks.len(),
        }
    }

    /// Looks at the marks of the events up to `version`, which are read as far as they are not there. Gives what was read
    /// along the way, too.
    pub(super) async fn up_to<T>(
        &self,
        source: &Source,
        version: Version,
        look: impl FnOnce(&[Mark]) -> T,
    ) -> Result<(T, Held), PastError> {
        if version.get() > EFFECTIVE_EVENTS_MAX {
            return Err(PastError::TooLong {
                stream: source.stream.clone(),
                events: version.get(),
            });
        }
        let there = self.lock().len();
        let there_now = Version::new(there as u64);
        let mut known = match &source.times {
            Some(store) => kept_or_none(&**store, source, there_now, version).await,
            None => Vec::new(),
        };
        let behind = there_now.get().saturating_add(known.len() as u64);
        let (read, held) = read(source, Version::new(behind), version).await?;
        known.extend(read);
        let mut marks = self.lock();
        // Somebody else may have read the same ones meanwhile.
        let (before, is_new) = (marks.len(), marks.len().saturating_sub(there));
        marks.extend(known.into_iter().skip(is_new));
        let more = marks.len().saturating_sub(before);
        self.counted.fetch_add(more as u64, Ordering::Relaxed);
        let count = usize::try_from(version.get()).unwrap_or(usize::MAX);
        Ok((look(marks.get(..count).unwrap_or(&marks)), held))
    }
}

/// Like a snapshot, what is kept is an economy: if it cannot be read that costs time, and no answer.
async fn kept_or_none(
    store: &dyn Store,
    source: &Source,
    behind: Version,
    to: Version,
) -> Vec<Mark> {
    let stream = &source.stream;
    kept(store, stream, behind, to).await.unwrap_or_else(|error| {
        tracing::warn!(%stream, %error, "the times that are kept cannot be read and are not used");
        Vec::new()
    })
}

async fn read(
    source: &Source,
    behind: Version,
    to: Version,
) -> Result<(Vec<Mark>, Held), PastError> {
    let mut marks = Vec::new();
    let mut held = Held::default();
    let mut bytes = 0usize;
    source
        .each(behind.next(), to, |event| {
            marks.push(Mark {
                position: event.position,
                recorded_at: event.recorded_at,
                effective_at: event.effective_at,
            });
            bytes = bytes.saturating_add(EVENT_BYTES + event.payload.bytes.len());
            if bytes <= HELD_BYTES_MAX {
                held.events.push(event);
            }
            Ok(())
        })
        .await?;
    Ok((marks, held))
}

impl Held {
    /// The held events of these versions; `None` if one of them is not held.
    pub(super) fn range(&self, from: Version, to: Version) -> Option<&[RecordedEvent]> {
        let first = self.events.first()?.version;
        let start = usize::try_from(from.get().checked_sub(first.get())?).ok()?;
        let end = usize::try_from(to.next().get().checked_sub(first.get())?).ok()?;
        self.events.get(start..end)
    }
}
