use std::collections::VecDeque;
use std::num::NonZeroU16;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use foldhouse_store::{
    Append, AppendError, Appended, BoxFuture, Change, Checkpoint, EventStore, ExpectedVersion,
    Fault, OnSettled, Page, Position, ReadError, ReadModelStore, RecordedCommand, Row, Snapshot,
    SnapshotCriteria, SnapshotInfo, SnapshotStore, Store, StreamId, StreamQuery, Verdict, Version,
};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::sync::watch;
use uuid::Uuid;

/// Appends that wait before the store is full.
const ROOM: usize = 64;

/// How often something goes wrong, per thousand frames.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rates {
    /// Nothing is written, and everybody is told so.
    pub(super) refused: u32,
    /// The write fails half way: all of the frame may be there or nothing, and the store takes nothing more.
    pub(super) unknown: u32,
}

/// A way to be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plant {
    /// It answers before it writes.
    AcksBeforeDurable,
    /// It does not look at expected versions.
    IgnoresVersions,
    /// It answers a check without waiting for what it rests on.
    AnswersChecksAtOnce,
    /// When it refuses an append, it has recorded that of the first stream.
    SplitsAppends,
}

/// A store over another one that takes its time, refuses, fails half way and crashes as its seed says. What it answers is
/// true nevertheless, unless it is planted to be wrong.
pub(super) struct FaultyStore {
    inner: Arc<dyn Store>,
    line: Arc<Line>,
    plant: Option<Plant>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

/// Appends on their way to the disk.
struct Line {
    waiting: Mutex<Waiting>,
    filled: Condvar,
    has_room: watch::Sender<bool>,
    is_broken: watch::Sender<bool>,
}

#[derive(Default)]
struct Waiting {
    appends: VecDeque<(Append, OnSettled)>,
    /// Nothing goes to the disk any more, and nobody is answered.
    crashed: bool,
    /// Why nothing more is taken.
    refusal: Option<Fault>,
}

impl Line {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next frame: some of what waits, oldest first. None after a crash.
    fn take(&self, random: &mut StdRng) -> Option<Vec<(Append, OnSettled)>> {
        let mut waiting = self.lock();
        while waiting.appends.is_empty() && !waiting.crashed {
            waiting = self
                .filled
                .wait(waiting)
                .unwrap_or_else(PoisonError::into_inner);
        }
        if waiting.crashed {
            return None;
        }
        let count = random.random_range(1..=waiting.appends.len());
        let frame = waiting.appends.drain(..count).collect();
        self.has_room.send_replace(waiting.appends.len() < ROOM);
        Some(frame)
    }
}

impl FaultyStore {
    pub(super) fn new(
        inner: Arc<dyn Store>,
        rates: Rates,
        plant: Option<Plant>,
        seed: u64,
    ) -> Arc<Self> {
        let line = Arc::new(Line {
            waiting: Mutex::default(),
            filled: Condvar::new(),
            has_room: watch::Sender::new(true),
            is_broken: watch::Sender::new(false),
        });
        let writer = Writer {
            inner: Arc::clone(&inner),
            line: Arc::clone(&line),
            rates,
            plant,
            random: StdRng::seed_from_u64(seed),
        };
        Arc::new(Self {
            inner,
            line,
            plant,
            writer: Mutex::new(Some(std::thread::spawn(move || writer.run()))),
        })
    }

    /// From now on nothing is written and nobody is answered, but by what is already in the hands of the store below.
    pub(super) fn crash(&self) {
        self.line.lock().crashed = true;
        self.line.filled.notify_all();
        let writer = self
            .writer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(writer) = writer {
            writer.join().expect("the writing thread goes on");
        }
    }

    /// Waits until it takes nothing more.
    pub(super) async fn until_broken(&self) {
        let mut broken = self.line.is_broken.subscribe();
        let _ = broken.wait_for(|broken| *broken).await;
    }
}

/// The thread that writes.
struct Writer {
    inner: Arc<dyn Store>,
    line: Arc<Line>,
    rates: Rates,
    plant: Option<Plant>,
    random: StdRng,
}

impl Writer {
    fn run(mut self) {
        loop {
            // A while for more to come together, now and then a long one.
            if self.random.random_ratio(1, 4) {
                let pause = Duration::from_micros(self.random.random_range(0..200));
                std::thread::sleep(pause);
            }
            let Some(frame) = self.line.take(&mut self.random) else {
                return;
            };
            let fate = self.random.random_range(0..1_000);
            if fate < self.rates.refused {
                self.refuse(frame);
            } else if fate < self.rates.refused + self.rates.unknown {
                self.break_down(frame);
            } else {
                for (append, settled) in frame {
                    self.inner.submit(append, settled);
                }
            }
        }
    }

    /// Refuses the frame, and mostly also what waits behind it, which may be built on it.
    fn refuse(&mut self, mut frame: Vec<(Append, OnSettled)>) {
        if self.plant == Some(Plant::SplitsAppends) {
            for (append, _) in &frame {
                let mut part = append.clone();
                part.streams.truncate(1);
                self.inner.submit(part, Box::new(drop));
            }
        }
        if self.random.random_ratio(2, 3) {
            frame.extend(self.line.lock().appends.drain(..));
            self.line.has_room.send_replace(true);
        }
        answer(frame, |_| not_recorded("there is no room"));
    }

    /// Writes all of the frame or nothing, and says that it does not know.
    fn break_down(&mut self, frame: Vec<(Append, OnSettled)>) {
        let fault = Fault::new("an earlier write failed");
        let behind = {
            let mut waiting = self.line.lock();
            waiting.refusal = Some(fault);
            std::mem::take(&mut waiting.appends)
        };
        self.line.has_room.send_replace(true);
        if self.random.random_ratio(1, 2) {
            for (append, _) in &frame {
                let (written, until_written) = std::sync::mpsc::channel();
                let settled = move |_outcome| {
                    // Whoever waits for it is this thread.
                    let _ = written.send(());
                };
                self.inner.submit(append.clone(), Box::new(settled));
                let _ = until_written.recv();
            }
        }
        answer(frame, |append| {
            if append.event_count() > 0 {
                AppendError::Unknown(Fault::new("the write failed half way"))
            } else {
                not_recorded("the write before it failed")
            }
        });
        answer(behind, |_| not_recorded("an earlier write failed"));
        self.line.is_broken.send_replace(true);
    }
}

fn answer(
    appends: impl IntoIterator<Item = (Append, OnSettled)>,
    error: impl Fn(&Append) -> AppendError,
) {
    for (append, settled) in appends {
        let error = error(&append);
        settled(Err(error));
    }
}

fn not_recorded(why: &str) -> AppendError {
    AppendError::NotRecorded(Fault::new(why))
}

impl FaultyStore {
    /// What a planted store answers before it has done anything.
    fn early_answer(&self, append: &Append, waiting: &Waiting) -> Appended {
        let queued: usize = waiting
            .appends
            .iter()
            .map(|(append, _)| append.event_count())
            .sum();
        let events = append.event_count() as u64;
        let versions = append.streams.iter().map(|part| match part.expected {
            ExpectedVersion::Exact(version) => {
                Version::new(version.get() + part.events.len() as u64)
            }
            _ => Version::EMPTY,
        });
        Appended {
            position: Position::new(self.inner.head().get() + queued as u64 + events),
            event_count: u32::try_from(events).unwrap_or(u32::MAX),
            recorded_at: foldhouse_store::Timestamp::default(),
            versions: versions.collect(),
        }
    }
}

impl EventStore for FaultyStore {
    fn submit(&self, mut append: Append, settled: OnSettled) -> Verdict {
        let mut waiting = self.line.lock();
        if let Some(fault) = waiting.refusal.clone() {
            drop(waiting);
            settled(Err(AppendError::NotRecorded(fault)));
            return Verdict::Refused;
        }
        let is_exact = |part: &foldhouse_store::StreamAppend| {
            matches!(part.expected, ExpectedVersion::Exact(_))
        };
        let at_once = match self.plant {
            Some(Plant::AcksBeforeDurable) => append.streams.iter().all(is_exact),
            Some(Plant::AnswersChecksAtOnce) => {
                append.event_count() == 0 && append.streams.iter().all(is_exact)
            }
            _ => false,
        };
        if at_once && !waiting.crashed {
            let early = self.early_answer(&append, &waiting);
            if append.event_count() > 0 {
                waiting.appends.push_back((append, Box::new(drop)));
            }
            drop(waiting);
            self.line.filled.notify_one();
            settled(Ok(early));
            return Verdict::Taken;
        }
        if self.plant == Some(Plant::IgnoresVersions) {
            for part in &mut append.streams {
                part.expected = ExpectedVersion::Any;
            }
        }
        waiting.appends.push_back((append, settled));
        self.line
            .has_room
            .send_replace(waiting.appends.len() < ROOM);
        drop(waiting);
        self.line.filled.notify_one();
        Verdict::Taken
    }

    fn ready(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let mut room = self.line.has_room.subscribe();
            let _ = room.wait_for(|has_room| *has_room).await;
        })
    }

    fn is_ready(&self) -> bool {
        *self.line.has_room.borrow()
    }

    fn read_stream(&self, query: StreamQuery) -> BoxFuture<'_, Result<Page<Version>, ReadError>> {
        self.inner.read_stream(query)
    }

    fn read_all(
        &self,
        after: Position,
        limit: usize,
    ) -> BoxFuture<'_, Result<Page<Position>, ReadError>> {
        self.inner.read_all(after, limit)
    }

    fn stream_version(&self, stream: &StreamId) -> BoxFuture<'_, Result<Version, ReadError>> {
        self.inner.stream_version(stream)
    }

    fn command(&self, id: Uuid) -> BoxFuture<'_, Result<Option<RecordedCommand>, ReadError>> {
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
        self.inner.watch_head()
    }
}

impl SnapshotStore for FaultyStore {
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

impl ReadModelStore for FaultyStore {
    fn commit(
        &self,
        projection: &str,
        checkpoint: Checkpoint,
        changes: Vec<Change>,
    ) -> BoxFuture<'_, Result<(), ReadError>> {
        self.inner.commit(projection, checkpoint, changes)
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
