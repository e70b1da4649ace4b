use std::sync::Arc;

use foldhouse_store::{ReadError, StreamId, Timestamp};
use uuid::Uuid;

use super::entry::{Entry, time_key};
use crate::shared::Shared;

/// The most timers that one page has.
const PAGE_MAX: usize = 1_000;

/// A timer that has not fired yet; see [`Runtime::timers`](crate::Runtime::timers).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PendingTimer {
    /// The stream of its aggregate.
    pub stream: StreamId,
    /// Its name, one of the aggregate's own.
    pub name: Arc<str>,
    /// The name of its command.
    pub command: Arc<str>,
    /// When it is due.
    pub due: Timestamp,
    /// When it is tried: when it is due, or later if it has failed.
    pub try_at: Timestamp,
    /// How often it was tried in vain since the index was made.
    pub failures: u32,
    /// Why it failed the last time: its command is not registered or cannot be read, its aggregate is parked or
    /// overloaded, its `decide` panicked. It is tried again, at last once a minute.
    pub error: Option<Arc<str>>,
    /// The id of the event that scheduled it, which is its own. It is the causation id of what its command records.
    pub id: Uuid,
}

/// Where to go on listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimerCursor(Vec<u8>);

/// Some of the pending timers, in the order in which they are tried.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TimerPage {
    /// The timers.
    pub timers: Vec<PendingTimer>,
    /// How many are pending in all.
    pub pending: u64,
    /// Where to go on; `None` behind the last one.
    pub next: Option<TimerCursor>,
}

impl From<Entry> for PendingTimer {
    fn from(entry: Entry) -> Self {
        Self {
            stream: entry.stream,
            name: entry.name,
            command: entry.command,
            due: entry.due,
            try_at: entry.try_at,
            failures: entry.failures,
            error: entry.error,
            id: entry.id,
        }
    }
}

pub(crate) async fn pending_timers(
    shared: &Shared,
    after: Option<TimerCursor>,
    limit: usize,
) -> Result<TimerPage, ReadError> {
    let limit = limit.clamp(1, PAGE_MAX);
    let head = shared.store.head();
    let mut index = shared.timers.index.lock().await;
    index.catch_up(head).await?;
    let after = after.map(|TimerCursor(after)| after);
    let entries = index.front(after.as_deref(), limit).await?;
    let last = entries.last().filter(|_| entries.len() == limit);
    let next = last.map(|last| TimerCursor(time_key(last.try_at, last.number)));
    Ok(TimerPage {
        timers: entries.into_iter().map(PendingTimer::from).collect(),
        pending: index.pending(),
        next,
    })
}

/// Those of one aggregate, in the order of their names.
pub(crate) async fn pending_timers_of(
    shared: &Shared,
    stream: &StreamId,
) -> Result<Vec<PendingTimer>, ReadError> {
    let head = shared.store.head();
    let mut index = shared.timers.index.lock().await;
    index.catch_up(head).await?;
    let entries = index.of(stream, PAGE_MAX).await?;
    Ok(entries.into_iter().map(PendingTimer::from).collect())
}
