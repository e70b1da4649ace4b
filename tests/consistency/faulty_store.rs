mod beside;
mod writer;

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;

use foldhouse_store::{
    Append, AppendError, Appended, BoxFuture, EventStore, ExpectedVersion, OnSettled, Page,
    Position, ReadError, RecordedCommand, Store, StreamId, StreamQuery, Verdict, Version,
};
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::sync::watch;
use uuid::Uuid;

use self::writer::{Line, ROOM, Waiting, Writer};

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
