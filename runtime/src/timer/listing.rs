use std::sync::Arc;

use foldhouse_store::{ReadError, StreamId, Timestamp};
use uuid::Uuid;

use super::entry::{Entry, Place};
use super::index::Index;
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
    /// How often it was tried in vain since the runtime was started.
    pub failures: u32,
    /// Why it failed the last time: its command is not registered or cannot be read, its aggregate is parked or
    /// overloaded, its `decide` panicked. It is tried again, at last once a minute.
    pub error: Option<Arc<str>>,
    /// The id of the event that scheduled it, which is its own. It is the causation id of what its command records.
    pub id: Uuid,
}

/// Where to go on listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimerCursor(Place);

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
    let places = index.front(after.map(|TimerCursor(after)| after), limit);
    let last = places.last().filter(|_| places.len() == limit);
    let next = last.copied().map(TimerCursor);
    Ok(TimerPage {
        timers: timers_at(&mut index, places).await?,
        pending: index.pending(),
        next,
    })
}

/// Those of one aggregate, in the order in which they are tried.
pub(crate) async fn pending_timers_of(
    shared: &Shared,
    stream: &StreamId,
) -> Result<Vec<PendingTimer>, ReadError> {
    let head = shared.store.head();
    let mut index = shared.timers.index.lock().await;
    index.catch_up(head).await?;
    let places = index.of(stream, PAGE_MAX);
    timers_at(&mut index, places).await
}

async fn timers_at(index: &mut Index, places: Vec<Place>) -> Result<Vec<PendingTimer>, ReadError> {
    let mut timers = Vec::with_capacity(places.len());
    for place in places {
        timers.push(index.entry(place).await?.into());
    }
    Ok(timers)
}
