//! A store that holds back, fails and counts what it is told to, over a [`MemoryStore`].

use std::collections::VecDeque;
use std::num::NonZeroU16;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use foldhouse_store::*;
use tokio::sync::watch;

#[derive(Default)]
pub(crate) struct HeldStore {
    pub(super) inner: MemoryStore,
    held: Mutex<Held>,
    /// How many appends were submitted, checks among them.
    submitted: watch::Sender<usize>,
    ready: watch::Sender<bool>,
    pub(super) snapshots_loaded: AtomicUsize,
    pub(super) commits: watch::Sender<usize>,
    failing_commits: AtomicUsize,
    failing_reads: AtomicUsize,
    is_full_for_one: AtomicBool,
    blind_look_ups: AtomicUsize,
    before_head: Mutex<Option<BeforeHead>>,
    untold: Mutex<Untold>,
}

/// Good news that is held back.
#[derive(Default)]
struct Untold {
    holding: bool,
    news: VecDeque<(OnSettled, Appended)>,
}

type BeforeHead = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct Held {
    holding: bool,
    queue: VecDeque<(Append, OnSettled)>,
}

impl HeldStore {
    pub(crate) fn new() -> Arc<Self> {
        let store = Self::default();
        store.ready.send_replace(true);
        Arc::new(store)
    }

    /// From now on appends wait until they are released.
    pub(super) fn hold(&self) {
        self.held.lock().unwrap().holding = true;
    }

    /// Lets everything go on, first what was held back.
    pub(super) fn let_go(&self) {
        loop {
            while self.release_one() {}
            // What was submitted meanwhile has its place behind what was held.
            let mut held = self.held.lock().unwrap();
            if held.queue.is_empty() {
                held.holding = false;
                return;
            }
        }
    }

    /// From now on appends with events are done at once, and told only by [`Self::tell`].
    pub(super) fn hold_news(&self) {
        self.untold.lock().unwrap().holding = true;
    }

    /// Tells of everything that was done.
    pub(super) fn tell(&self) {
        let mut untold = self.untold.lock().unwrap();
        untold.holding = false;
        let news = std::mem::take(&mut untold.news);
        drop(untold);
        for (settled, appended) in news {
            settled(Ok(appended));
        }
    }

    fn submit_untold(&self, append: Append, settled: OnSettled) -> Verdict {
        let (sender, outcome) = std::sync::mpsc::channel();
        let verdict = self
            .inner
            .submit(append, Box::new(move |outcome| drop(sender.send(outcome))));
        // The memory store answers before it comes back.
        match outcome.recv().unwrap() {
            Ok(appended) => {
                let mut untold = self.untold.lock().unwrap();
                untold.news.push_back((settled, appended));
            }
            refused => settled(refused),
        }
        verdict
    }

    /// Lets the oldest held append go on.
    pub(super) fn release_one(&self) -> bool {
        let oldest = self.held.lock().unwrap().queue.pop_front();
        oldest.is_some_and(|(append, settled)| {
            self.inner.submit(append, settled);
            true
        })
    }

    /// Fails the oldest held append.
    pub(super) fn fail_one(&self, error: AppendError) {
        let (_, settled) = self.held.lock().unwrap().queue.pop_front().unwrap();
        settled(Err(error));
    }

    /// Forgets the oldest held append without a word.
    pub(super) fn drop_one(&self) {
        let oldest = self.held.lock().unwrap().queue.pop_front().unwrap();
        drop(oldest);
    }

    /// As [`Self::fail_one`], if one is held.
    pub(super) fn fail_one_if_held(&self, error: AppendError) {
        let oldest = self.held.lock().unwrap().queue.pop_front();
        if let Some((_, settled)) = oldest {
            settled(Err(error));
        }
    }

    /// As [`Self::drop_one`], if one is held.
    pub(super) fn drop_one_if_held(&self) {
        let oldest = self.held.lock().unwrap().queue.pop_front();
        drop(oldest);
    }

    pub(super) fn submitted(&self) -> usize {
        *self.submitted.borrow()
    }

    /// Waits until so many appends have been submitted in all.
    pub(super) async fn until_submitted(&self, count: usize) {
        let mut submitted = self.submitted.subscribe();
        submitted.wait_for(|now| *now >= count).await.unwrap();
    }

    pub(super) fn set_ready(&self, ready: bool) {
        self.ready.send_replace(ready);
    }

    /// From now on appends to one stream are not held, and refused at once if they have events.
    pub(super) fn set_full_for_one(&self) {
        self.is_full_for_one.store(true, Ordering::SeqCst);
    }

    /// The next reads of events fail.
    pub(super) fn fail_reads(&self, count: usize) {
        self.failing_reads.store(count, Ordering::SeqCst);
    }

    fn is_read_failing(&self) -> bool {
        self.failing_reads
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                left.checked_sub(1)
            })
            .is_ok()
    }

    /// The next look-ups of commands find nothing, as if they came before what is recorded.
    pub(super) fn blind_look_ups(&self, count: usize) {
        self.blind_look_ups.store(count, Ordering::SeqCst);
    }

    /// Does this before the next one gets to follow the head.
    pub(super) fn before_head(&self, first: impl FnOnce() + Send + 'static) {
        *self.before_head.lock().unwrap() = Some(Box::new(first));
    }

    /// The next read model commits fail.
    pub(crate) fn fail_commits(&self, count: usize) {
        self.failing_commits.store(count, Ordering::SeqCst);
    }
}

pub(super) fn not_recorded() -> AppendError {
    AppendError::NotRecorded(Fault::new("the test's disk is full"))
}

impl EventStore for HeldStore {
    /// What is held is taken for all that is known yet.
    fn submit(&self, append: Append, settled: OnSettled) -> Verdict {
        let passes = self.is_full_for_one.load(Ordering::SeqCst) && append.streams.len() == 1;
        if passes && append.event_count() > 0 {
            settled(Err(AppendError::Overloaded {
                queued_bytes: 2,
                limit_bytes: 1,
            }));
            return Verdict::Refused;
        }
        if append.event_count() > 0 && self.untold.lock().unwrap().holding {
            let verdict = self.submit_untold(append, settled);
            self.submitted.send_modify(|count| *count += 1);
            return verdict;
        }
        let mut held = self.held.lock().unwrap();
        if held.holding && !passes {
            held.queue.push_back((append, settled));
            drop(held);
            self.submitted.send_modify(|count| *count += 1);
            return Verdict::Taken;
        }
        drop(held);
        // First: who is answered may look at the count.
        self.submitted.send_modify(|count| *count += 1);
        self.inner.submit(append, settled)
    }

    fn ready(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            self.ready
                .subscribe()
                .wait_for(|ready| *ready)
                .await
                .unwrap();
        })
    }

    fn is_ready(&self) -> bool {
        *self.ready.borrow()
    }

    fn read_stream(&self, query: StreamQuery) -> BoxFuture<'_, Result<Page<Version>, ReadError>> {
        if self.is_read_failing() {
            return Box::pin(async { Err(ReadError::Io(Fault::new("the test's disk is away"))) });
        }
        self.inner.read_stream(query)
    }

    fn read_all(
        &self,
        after: Position,
        limit: usize,
    ) -> BoxFuture<'_, Result<Page<Position>, ReadError>> {
        if self.is_read_failing() {
            return Box::pin(async { Err(ReadError::Io(Fault::new("the test's disk is away"))) });
        }
        self.inner.read_all(after, limit)
    }

    fn stream_version(&self, stream: &StreamId) -> BoxFuture<'_, Result<Version, ReadError>> {
        self.inner.stream_version(stream)
    }

    fn command(
        &self,
        id: uuid::Uuid,
    ) -> BoxFuture<'_, Result<Option<foldhouse_store::RecordedCommand>, ReadError>> {
        let blind = self
            .blind_look_ups
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                left.checked_sub(1)
            });
        if blind.is_ok() {
            return Box::pin(std::future::ready(Ok(None)));
        }
        self.inner.command(id)
    }

    fn streams(
        &self,
        tenant: &str,
        aggregate_type: &str,
        after: Option<&StreamId>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<StreamId>, ReadError>> {
        self.inner.streams(tenant, aggregate_type, after, limit)
    }

    fn head(&self) -> Position {
        self.inner.head()
    }

    fn watch_head(&self) -> watch::Receiver<Position> {
        let first = self.before_head.lock().unwrap().take();
        if let Some(first) = first {
            first();
        }
        self.inner.watch_head()
    }
}

impl SnapshotStore for HeldStore {
    fn save_snapshot(
        &self,
        snapshot: Snapshot,
        keep: NonZeroU16,
    ) -> BoxFuture<'_, Result<(), ReadError>> {
        self.inner.save_snapshot(snapshot, keep)
    }

    fn load_snapshot(
        &self,
        stream: &StreamId,
        criteria: SnapshotCriteria,
    ) -> BoxFuture<'_, Result<Option<Snapshot>, ReadError>> {
        self.snapshots_loaded.fetch_add(1, Ordering::SeqCst);
        self.inner.load_snapshot(stream, criteria)
    }

    fn snapshots(
        &self,
        stream: &StreamId,
        criteria: SnapshotCriteria,
    ) -> BoxFuture<'_, Result<Vec<SnapshotInfo>, ReadError>> {
        self.inner.snapshots(stream, criteria)
    }

    fn delete_snapshots(
        &self,
        stream: &StreamId,
        criteria: SnapshotCriteria,
    ) -> BoxFuture<'_, Result<(), ReadError>> {
        self.inner.delete_snapshots(stream, criteria)
    }
}

impl ReadModelStore for HeldStore {
    fn commit(
        &self,
        projection: &str,
        checkpoint: Checkpoint,
        changes: Vec<Change>,
    ) -> BoxFuture<'_, Result<(), ReadError>> {
        let failing =
            self.failing_commits
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                    left.checked_sub(1)
                });
        if failing.is_ok() {
            return Box::pin(async { Err(ReadError::Io(Fault::new("the test's disk is full"))) });
        }
        let commit = self.inner.commit(projection, checkpoint, changes);
        Box::pin(async move {
            commit.await?;
            self.commits.send_modify(|count| *count += 1);
            Ok(())
        })
    }

    fn checkpoint(&self, projection: &str) -> BoxFuture<'_, Result<Option<Checkpoint>, ReadError>> {
        self.inner.checkpoint(projection)
    }

    fn rows(
        &self,
        projection: &str,
        after: Option<&[u8]>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Row>, ReadError>> {
        self.inner.rows(projection, after, limit)
    }

    fn reset(&self, projection: &str) -> BoxFuture<'_, Result<(), ReadError>> {
        self.inner.reset(projection)
    }
}
