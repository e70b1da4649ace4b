mod commands;
pub(crate) mod log;
pub(crate) mod read_models;
pub(crate) mod settlements;
pub(crate) mod snapshots;
#[cfg(test)]
mod tests;

use std::fmt;
use std::num::NonZeroU16;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use self::log::Log;
use self::read_models::ReadModels;
use self::settlements::Settlements;
use self::snapshots::Snapshots;
use crate::append::{Append, AppendLimits, OnSettled, Verdict, validate};
use uuid::Uuid;

use crate::clock::{Clock, SystemClock};
use crate::command::RecordedCommand;
use crate::error::ReadError;
use crate::event_store::{BoxFuture, EventStore, Page, StreamQuery};
use crate::position::{Position, Version};
use crate::read_model::{Change, Checkpoint, ReadModelStore, Row};
use crate::snapshot::{Snapshot, SnapshotCriteria, SnapshotInfo, SnapshotStore};
use crate::stream_id::StreamId;

/// A store that keeps everything in memory: for tests of whatever is built on a store.
///
/// It gives every guarantee of [`EventStore`], [`SnapshotStore`] and [`ReadModelStore`] but one: nothing outlives it.
/// What the traits call durable is here what has been recorded, so an append is settled before [`EventStore::submit`]
/// returns, unless another thread is just settling older ones; that thread then settles it too, in order. It never
/// fails, it is never overloaded, and it grows until it is dropped. It takes events of up to 16 MiB and appends of up
/// to 32 MiB.
///
/// With a clock of its own ([`MemoryStore::with_clock`]) a test decides when events are recorded.
///
/// ```
/// use foldhouse_store::{
///     Append, Clock, EventStore, EventStoreExt, ExpectedVersion, MemoryStore, NewEvent, Payload, Position, StreamId,
///     StreamQuery, SystemClock,
/// };
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store = MemoryStore::new();
/// let cash = StreamId::new("acme", "gl-account", "1000")?;
/// let debited = NewEvent::new(SystemClock.new_id(), "Debited", Payload::raw("25.00 EUR"));
///
/// let appended = store.append(Append::to(cash.clone(), ExpectedVersion::NoStream, [debited])).await?;
/// assert_eq!(appended.position, Position::new(1));
///
/// let page = store.read_stream(StreamQuery::whole(cash, 100)).await?;
/// assert_eq!(page.events.len(), 1);
/// assert_eq!(&*page.events[0].event_type, "Debited");
/// # Ok(())
/// # }
/// ```
pub struct MemoryStore {
    clock: Arc<dyn Clock>,
    limits: AppendLimits,
    journal: Mutex<Journal>,
    head: watch::Sender<Position>,
    snapshots: Mutex<Snapshots>,
    read_models: Mutex<ReadModels>,
}

/// The events, and the outcomes that their writers have not heard yet: under one lock, because outcomes are told in the
/// order in which appends took effect.
#[derive(Default)]
struct Journal {
    log: Log,
    settlements: Settlements,
}

impl MemoryStore {
    /// An empty store on the machine's clock.
    #[must_use]
    pub fn new() -> Self {
        Self::with_clock(Arc::new(SystemClock))
    }

    /// An empty store on this clock, which is asked once for every append.
    #[must_use]
    pub fn with_clock(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            limits: AppendLimits::default(),
            journal: Mutex::default(),
            head: watch::Sender::new(Position::BEFORE_FIRST),
            snapshots: Mutex::default(),
            read_models: Mutex::default(),
        }
    }

    /// The same store, but it remembers so many of the newest command ids; 1,048,576 if not set.
    #[must_use]
    pub fn commands_remembered(self, count: usize) -> Self {
        lock(&self.journal).log.remember_commands(count);
        self
    }

    /// Tells the writers their outcomes, outside the lock: a callback may submit again.
    fn settle(&self) {
        settlements::settle_all(|| lock(&self.journal).settlements.next());
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore")
            .field("head", &self.head())
            .finish_non_exhaustive()
    }
}

/// Locks, also behind a panic of another holder: nothing here is ever left half changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl EventStore for MemoryStore {
    fn submit(&self, append: Append, settled: OnSettled) -> Verdict {
        let valid = validate(&append, &self.limits);
        let now = self.clock.now();
        let (verdict, settles) = {
            let mut journal = lock(&self.journal);
            let outcome = match valid {
                Ok(()) => journal.log.append(append, now),
                Err(rule) => Err(rule.into()),
            };
            // Under the lock, or the head could step back; before the outcome, so that who hears of it finds it.
            let head = journal.log.head();
            self.head.send_if_modified(|before| {
                let moved = *before != head;
                *before = head;
                moved
            });
            let verdict = match outcome {
                Ok(_) => Verdict::Taken,
                Err(_) => Verdict::Refused,
            };
            (verdict, journal.settlements.push(settled, outcome))
        };
        if settles {
            self.settle();
        }
        verdict
    }

    fn ready(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }

    fn is_ready(&self) -> bool {
        true
    }

    fn read_stream(&self, query: StreamQuery) -> BoxFuture<'_, Result<Page<Version>, ReadError>> {
        Box::pin(async move { Ok(lock(&self.journal).log.read_stream(&query)) })
    }

    fn read_all(
        &self,
        after: Position,
        limit: usize,
    ) -> BoxFuture<'_, Result<Page<Position>, ReadError>> {
        Box::pin(async move { Ok(lock(&self.journal).log.read_all(after, limit)) })
    }

    fn stream_version(&self, stream: &StreamId) -> BoxFuture<'_, Result<Version, ReadError>> {
        let stream = stream.clone();
        Box::pin(async move { Ok(lock(&self.journal).log.version(&stream)) })
    }

    fn command(&self, id: Uuid) -> BoxFuture<'_, Result<Option<RecordedCommand>, ReadError>> {
        Box::pin(async move { Ok(lock(&self.journal).log.command(id)) })
    }

    fn streams(
        &self,
        tenant: &str,
        aggregate_type: &str,
        after: Option<&StreamId>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<StreamId>, ReadError>> {
        let prefix = format!("{tenant}/{aggregate_type}/");
        let after = after.cloned();
        Box::pin(async move {
            let journal = lock(&self.journal);
            Ok(journal.log.streams(&prefix, after.as_ref(), limit))
        })
    }

    fn head(&self) -> Position {
        *self.head.borrow()
    }

    fn watch_head(&self) -> watch::Receiver<Position> {
        self.head.subscribe()
    }
}

impl SnapshotStore for MemoryStore {
    fn save_snapshot(
        &self,
        snapshot: Snapshot,
        keep: NonZeroU16,
    ) -> BoxFuture<'_, Result<(), ReadError>> {
        Box::pin(async move {
            lock(&self.snapshots).save(snapshot, keep);
            Ok(())
        })
    }

    fn load_snapshot(
        &self,
        stream: &StreamId,
        criteria: SnapshotCriteria,
    ) -> BoxFuture<'_, Result<Option<Snapshot>, ReadError>> {
        let stream = stream.clone();
        Box::pin(async move { Ok(lock(&self.snapshots).load(&stream, criteria)) })
    }

    fn snapshots(
        &self,
        stream: &StreamId,
        criteria: SnapshotCriteria,
    ) -> BoxFuture<'_, Result<Vec<SnapshotInfo>, ReadError>> {
        let stream = stream.clone();
        Box::pin(async move { Ok(lock(&self.snapshots).list(&stream, criteria)) })
    }

    fn delete_snapshots(
        &self,
        stream: &StreamId,
        criteria: SnapshotCriteria,
    ) -> BoxFuture<'_, Result<(), ReadError>> {
        let stream = stream.clone();
        Box::pin(async move {
            lock(&self.snapshots).delete(&stream, criteria);
            Ok(())
        })
    }
}

impl ReadModelStore for MemoryStore {
    fn commit(
        &self,
        projection: &str,
        checkpoint: Checkpoint,
        changes: Vec<Change>,
    ) -> BoxFuture<'_, Result<(), ReadError>> {
        let projection = projection.to_owned();
        Box::pin(async move { lock(&self.read_models).commit(projection, checkpoint, changes) })
    }

    fn checkpoint(&self, projection: &str) -> BoxFuture<'_, Result<Option<Checkpoint>, ReadError>> {
        let projection = projection.to_owned();
        Box::pin(async move { Ok(lock(&self.read_models).checkpoint(&projection)) })
    }

    fn rows(
        &self,
        projection: &str,
        after: Option<&[u8]>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Row>, ReadError>> {
        let projection = projection.to_owned();
        let after = after.map(<[u8]>::to_vec);
        Box::pin(async move {
            let models = lock(&self.read_models);
            Ok(models.rows(&projection, after.as_deref(), limit))
        })
    }

    fn reset(&self, projection: &str) -> BoxFuture<'_, Result<(), ReadError>> {
        let projection = projection.to_owned();
        Box::pin(async move {
            lock(&self.read_models).reset(&projection);
            Ok(())
        })
    }
}
