use std::future::Future;
use std::pin::Pin;

use tokio::sync::watch;
use uuid::Uuid;

use crate::append::{Append, Appended, OnSettled, Verdict};
use crate::clock::Timestamp;
use crate::command::RecordedCommand;
use crate::error::{AppendError, Fault, ReadError};
use crate::event::RecordedEvent;
use crate::look_up::{self, Found, LookUp};
use crate::position::{Position, Version};
use crate::stream_id::StreamId;

/// A boxed future, so that the store traits stay usable behind `dyn`.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Which way to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Direction {
    /// Oldest first.
    #[default]
    Forward,
    /// Newest first.
    Backward,
}

/// Which events of one stream to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamQuery {
    /// The stream.
    pub stream: StreamId,
    /// The lowest version to give, inclusive.
    pub from: Version,
    /// The highest version to give, inclusive.
    pub to: Version,
    /// Which end to start from.
    pub direction: Direction,
    /// The most events to give; a page may hold fewer (it is bounded in bytes too), never none while there are more.
    pub limit: usize,
}

impl StreamQuery {
    /// The whole stream, oldest first, up to `limit` events a page.
    #[must_use]
    pub fn whole(stream: StreamId, limit: usize) -> Self {
        Self::since(stream, Version::EMPTY.next(), limit)
    }

    /// The stream from version `from` on, oldest first, up to `limit` events a page.
    #[must_use]
    pub fn since(stream: StreamId, from: Version, limit: usize) -> Self {
        Self {
            stream,
            from,
            to: Version::new(u64::MAX),
            direction: Direction::Forward,
            limit,
        }
    }
}

/// Events of one read, in the order asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<Cursor> {
    /// The events.
    pub events: Vec<RecordedEvent>,
    /// Where to go on reading; `None` when there is nothing more for now.
    ///
    /// It goes into the next query as it is: for a stream it is the first version not given
    /// ([`StreamQuery::from`], or backward [`StreamQuery::to`]), for all events the last position given (`after`).
    pub next: Option<Cursor>,
}

/// Durable streams of events with versions, and one order over all of them.
///
/// # Guarantees that every implementation gives
/// - An append is all or nothing, over any number of streams.
/// - Versions (per stream) and positions (over all) are 1-based and gap-free; positions are in commit order.
/// - A success is reported only when the events are durable, and is never taken back.
/// - Reads see durable events only, and every event whose success has been reported.
/// - An append with a command id that the store remembers is refused, and the first one's outcome can be asked for.
/// - Appends take effect in the order in which `submit` was called, as far as calls were ordered at all.
///
/// The module `conformance` (feature `conformance`) is these sentences as tests.
pub trait EventStore: Send + Sync + 'static {
    /// Queues an append and returns at once; `settled` is called exactly once, with the outcome.
    ///
    /// The version check sees all appends submitted before, durable or not: a writer can go on building on its own
    /// append without waiting for it. If that append then fails, so does everything that was built on it.
    ///
    /// The verdict is for a writer that does so: it learns before its next append whether this one is refused, although
    /// the outcome may have to wait for what it rests on.
    fn submit(&self, append: Append, settled: OnSettled) -> Verdict;

    /// Waits until the queue has room. `submit` past the limit answers [`AppendError::Overloaded`].
    fn ready(&self) -> BoxFuture<'_, ()>;

    /// Whether the queue has room now: the cheap question before [`EventStore::ready`].
    fn is_ready(&self) -> bool;

    /// Reads one stream. A stream without events gives an empty page.
    fn read_stream(&self, query: StreamQuery) -> BoxFuture<'_, Result<Page<Version>, ReadError>>;

    /// Reads all events behind position `after` in commit order, up to `limit` (and a bound in bytes) a page.
    fn read_all(
        &self,
        after: Position,
        limit: usize,
    ) -> BoxFuture<'_, Result<Page<Position>, ReadError>>;

    /// The same on the calling thread, which may be kept waiting for the disk; `None` from a store that reads in no such
    /// way. For a reader with a thread of its own: what it has read it then finds in its caches.
    fn read_all_here(
        &self,
        after: Position,
        limit: usize,
    ) -> Option<Result<Page<Position>, ReadError>> {
        let _ = (after, limit);
        None
    }

    /// The durable version of a stream.
    fn stream_version(&self, stream: &StreamId) -> BoxFuture<'_, Result<Version, ReadError>>;

    /// What a command came to, if it was recorded and is durable, and the store still remembers it.
    ///
    /// Compare the fingerprint before you take the outcome for that of your own command.
    fn command(&self, id: Uuid) -> BoxFuture<'_, Result<Option<RecordedCommand>, ReadError>>;

    /// The streams of one aggregate type of a tenant in the order of their ids, behind `after`, up to `limit`.
    fn streams(
        &self,
        tenant: &str,
        aggregate_type: &str,
        after: Option<&StreamId>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<StreamId>, ReadError>>;

    /// Looks for events over all streams by what they have in common: by their kind, by their correlation id, by their
    /// stream.
    ///
    /// It does a bounded amount of work, and tells where to go on. An index may spare it looking at events, but never
    /// changes what is found; a store without one need not implement this: the events of the range are read then.
    fn look_up(&self, look_up: LookUp) -> BoxFuture<'_, Result<Found, ReadError>> {
        Box::pin(look_up::by_reading(self, look_up))
    }

    /// The position of the last durable event.
    fn head(&self) -> Position;

    /// Follows [`EventStore::head`]: a reader that has caught up waits here.
    fn watch_head(&self) -> watch::Receiver<Position>;
}

/// What follows from [`EventStore`], for every store.
pub trait EventStoreExt: EventStore {
    /// Appends, and waits until it is durable.
    ///
    /// If the queue is full it waits for room first. Dropping the future does not take the append back.
    ///
    /// # Errors
    /// See [`AppendError`]: each variant says what to do.
    fn append(&self, append: Append) -> impl Future<Output = Result<Appended, AppendError>> + Send {
        async move {
            self.ready().await;
            let (sender, receiver) = tokio::sync::oneshot::channel();
            self.submit(append, Box::new(move |outcome| drop(sender.send(outcome))));
            receiver.await.unwrap_or_else(|_| {
                Err(AppendError::Unknown(Fault::new(
                    "the store dropped the append unanswered",
                )))
            })
        }
    }

    /// The position of the first event that was recorded at this time or later; the one behind the head if there is none.
    /// Recorded times never go back over positions, so it is found by halving: some 25 reads of one event among millions.
    ///
    /// # Errors
    /// See [`ReadError`].
    fn first_recorded_from(
        &self,
        at: Timestamp,
    ) -> impl Future<Output = Result<Position, ReadError>> + Send {
        async move {
            let (mut low, mut high) = (1, self.head().get() + 1);
            while low < high {
                let middle = low + (high - low) / 2;
                let page = self.read_all(Position::new(middle - 1), 1).await?;
                match page.events.first() {
                    Some(event) if event.recorded_at < at => low = middle + 1,
                    _ => high = middle,
                }
            }
            Ok(Position::new(low))
        }
    }
}

impl<S: EventStore + ?Sized> EventStoreExt for S {}
