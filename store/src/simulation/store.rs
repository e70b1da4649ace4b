mod traits;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};

use crate::append::{Append, Appended};
use crate::clock::Clock;
use crate::error::{AppendError, OpenError, ReadError};
use crate::event_store::BoxFuture;
use crate::journal::reader::JournalReader;
use crate::journal::segment::BLOCK_BYTES;
use crate::journal::stepwise::StepwiseJournal;
use crate::journal::{JournalOptions, RecoveryReport};
use crate::position::Position;
use crate::simulation::beside::{Change, Tables};
use crate::simulation::{Random, SimulatedDisk};

/// Its header, the last block that stays empty, and room for a frame and the closing mark.
const SEGMENT_BYTES_MIN: u64 = 32 << 10;
/// Small, so that some frames are full.
const FRAME_BYTES: usize = 8 << 10;
/// Keeps the choices for writes and reads of the same moment apart.
const WRITE: u64 = 1 << 60;
const READ: u64 = 1 << 61;
/// The most that a write takes, in milliseconds.
const WRITE_MS_MAX: u64 = 4;
/// The most that a read takes, in milliseconds.
const READ_MS_MAX: u64 = 2;

/// A store on a [`SimulatedDisk`]: the journal's own code, one step at a time.
///
/// Somebody has to run [`SimulatedStore::run`] in a task: it takes what is queued, lets the disk take its time, and
/// commits. Once the disk has lost its power, nothing is answered any more.
///
/// ```
/// use std::sync::Arc;
///
/// use foldhouse_store::simulation::{Random, SimulatedClock, SimulatedDisk, SimulatedStore};
/// use foldhouse_store::{Append, Clock, EventStoreExt, ExpectedVersion, NewEvent, Payload, StreamId};
///
/// let tokio = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
/// tokio.block_on(async {
///     let mut random = Random::new(7);
///     let clock = Arc::new(SimulatedClock::new(random.branch()));
///     clock.start();
///     let disk = SimulatedDisk::new(random.branch(), Arc::new(|_| {}));
///     let store = Arc::new(SimulatedStore::open(&disk, SimulatedStore::SEGMENT_BYTES, clock.clone(), random)?);
///     let running = tokio::spawn({
///         let store = Arc::clone(&store);
///         async move { store.run().await }
///     });
///     let event = NewEvent::new(clock.new_id(), "Debited", Payload::raw("25.00 EUR"));
///     let cash = StreamId::new("acme", "gl-account", "1000")?;
///     let appended = store.append(Append::to(cash, ExpectedVersion::NoStream, [event])).await?;
///     assert_eq!(appended.position.get(), 1);
///     store.close();
///     running.await?;
///     Ok::<(), Box<dyn std::error::Error>>(())
/// })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct SimulatedStore {
    journal: StepwiseJournal,
    disk: SimulatedDisk,
    queued: Notify,
    clock: Arc<dyn Clock>,
    seed: u64,
    followers: Mutex<Followers>,
    observer: Option<Arc<dyn AppendObserver>>,
}

/// Hears of every append of a [`SimulatedStore`].
pub trait AppendObserver: std::fmt::Debug + Send + Sync + 'static {
    /// It is submitted. What is given back tells it from others.
    fn submitted(&self, append: &Append) -> usize;

    /// Its outcome is told. Not called for appends that a power cut leaves without one.
    fn settled(&self, append: usize, outcome: &Result<Appended, AppendError>);
}

/// Whoever follows the head, each on a channel of its own: tokio wakes those on one channel in an order by chance.
#[derive(Debug, Default)]
struct Followers {
    channels: Vec<watch::Sender<Position>>,
    /// Keep the journal from thinking that nobody follows.
    of_journal: Vec<watch::Receiver<Position>>,
}

impl SimulatedStore {
    /// So small that a short run seals segments, too.
    pub const SEGMENT_BYTES: u64 = 32 << 10;

    /// Opens what is on the disk, or begins a journal, with segments of that size (a multiple of 4 KiB; an event takes no
    /// more than a quarter of one). `random` decides how long writes and reads take.
    ///
    /// # Errors
    /// See [`OpenError`]: [`OpenError::Options`] for a size that does not fit, [`OpenError::Io`] also if the power goes meanwhile.
    pub fn open(
        disk: &SimulatedDisk,
        segment_bytes: u64,
        clock: Arc<dyn Clock>,
        mut random: Random,
    ) -> Result<Self, OpenError> {
        let block = BLOCK_BYTES as u64;
        if segment_bytes < SEGMENT_BYTES_MIN || !segment_bytes.is_multiple_of(block) {
            return Err(OpenError::Options(format!(
                "segment_bytes is {segment_bytes}; it takes a multiple of {block} from {SEGMENT_BYTES_MIN}"
            )));
        }
        let options = JournalOptions::new()
            .segment_bytes(segment_bytes)
            .frame_bytes(FRAME_BYTES)
            .clock(Arc::clone(&clock));
        Ok(Self {
            journal: StepwiseJournal::open(Arc::new(disk.clone()), &options)?,
            disk: disk.clone(),
            queued: Notify::new(),
            clock,
            seed: random.seed(),
            followers: Mutex::default(),
            observer: None,
        })
    }

    /// Tells `observer` of every append.
    #[must_use]
    pub fn observed_by(mut self, observer: Arc<dyn AppendObserver>) -> Self {
        self.observer = Some(observer);
        self
    }

    /// What opening found and did.
    #[must_use]
    pub fn recovery(&self) -> &RecoveryReport {
        self.journal.recovery()
    }

    /// Commits what is queued, until the store is closed and all is written, or the power goes.
    pub async fn run(&self) {
        loop {
            while let Some(frame) = self.journal.queue().try_take() {
                let write_ms = self.random(WRITE).number(0..=WRITE_MS_MAX);
                pause(write_ms).await;
                if self.disk.is_off() {
                    return;
                }
                self.journal.commit(frame);
                self.tell_followers();
            }
            if self.journal.queue().is_closing() {
                return self.journal.close();
            }
            self.queued.notified().await;
        }
    }

    /// Takes nothing new. [`SimulatedStore::run`] writes what is queued, and ends.
    pub fn close(&self) {
        self.journal.queue().close();
        self.queued.notify_one();
    }

    fn tell_followers(&self) {
        let head = self.journal.head();
        lock(&self.followers).channels.retain(|follower| {
            follower.send_if_modified(|seen| std::mem::replace(seen, head) != head);
            follower.receiver_count() > 0
        });
    }

    /// Choices that follow from the seed and the time, so that leaving something out of a run does not change how long
    /// everything behind it takes.
    fn random(&self, what: u64) -> Random {
        let now_ms = self.clock.now().unix_micros() / 1_000;
        Random::new(self.seed ^ what ^ now_ms.unsigned_abs())
    }

    /// Lets a read take its time.
    async fn pause_read(&self) {
        let mut random = self.random(READ);
        if random.chance(50) {
            pause(random.number(0..=READ_MS_MAX)).await;
        }
    }

    fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&JournalReader) -> Result<T, ReadError> + Send + 'static,
    ) -> BoxFuture<'_, Result<T, ReadError>> {
        Box::pin(async move {
            self.pause_read().await;
            let reader = self.journal.reader();
            if reader.is_closed() {
                return Err(ReadError::Closed);
            }
            read(reader)
        })
    }

    fn write_beside(&self, what: String, change: Change) -> BoxFuture<'_, Result<(), ReadError>> {
        Box::pin(async move {
            self.pause_read().await;
            if self.journal.reader().is_closed() {
                return Err(ReadError::Closed);
            }
            self.disk
                .change_beside(&what, |beside| beside.change(change))
        })
    }

    fn read_beside<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Tables) -> T + Send + 'static,
    ) -> BoxFuture<'_, Result<T, ReadError>> {
        Box::pin(async move {
            self.pause_read().await;
            if self.journal.reader().is_closed() {
                return Err(ReadError::Closed);
            }
            self.disk.beside(read)
        })
    }
}

async fn pause(ms: u64) {
    match ms {
        0 => tokio::task::yield_now().await,
        ms => tokio::time::sleep(Duration::from_millis(ms)).await,
    }
}

/// Locks, also behind a panic of another holder: nothing here is ever left half changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
