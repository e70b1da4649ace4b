//! The store on disk: a journal of segments, with an index in sled beside it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{JoinHandle, ThreadId};
use std::time::Duration;

use tokio::sync::watch;

use crate::append::validate::AppendLimits;
use crate::clock::Clock;
use crate::error::{Fault, OpenError, ReadError};
use crate::event_store::BoxFuture;
use crate::position::Position;
use crate::sidecar::Sidecar;

mod append_record;
mod backup;
mod block_buffer;
mod closing_mark;
mod committer;
mod copy;
pub(crate) mod disk;
mod event_store;
mod follower;
pub(crate) mod frame;
mod frame_log;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
#[cfg(test)]
mod format_example;
mod indexer;
mod live_index;
mod names;
mod opening;
mod options;
mod progress;
mod queue;
pub(crate) mod raw_log;
mod read_only;
pub(crate) mod reader;
mod recent_frames;
mod record;
mod recovery;
mod reindex;
mod repair;
mod restore;
mod rewound;
mod scan;
pub(crate) mod segment;
mod segment_facts;
mod segments;
mod sidecar_stores;
mod spare;
#[cfg(feature = "simulation")]
pub(crate) mod stepwise;
mod verify;
mod writer;

pub use backup::{BackupOptions, BackupReport, backup};
pub use copy::CopyProgress;
pub use disk::WriteMode;
pub use frame_log::FrameSize;
pub use options::JournalOptions;
pub use progress::{OpenProgress, OpenStep};
pub use read_only::ReadOnlyJournal;
pub use recovery::{OpeningTimes, RecoveryReport, TornTail};
pub use repair::{Consent, RepairError, RepairReport, RepairStep, repair};
pub use restore::{InvalidUntil, RestoreReport, Until, restore, restore_watched};
pub use verify::{
    VERIFY_FINDINGS_MAX, VerifiedTail, VerifyError, VerifyProgress, VerifyReport, verify,
};

use frame_log::FrameLog;
use queue::Queue;
use reader::JournalReader;

/// Where the segments are, in the store's directory.
const JOURNAL_DIRECTORY: &str = "journal";
const INDEXING_THREAD: &str = "foldhouse-index";
/// How often a store that closes looks whether its threads are done.
const THREAD_PAUSE: Duration = Duration::from_millis(1);

/// The durable store: one directory, one process.
///
/// The journal is the truth. Every append is acknowledged only when its frame has been written with one durable write;
/// the index, the snapshots and the read models in sled are beside it and can be rebuilt from it.
///
/// Opening and closing block; do them outside of async code or on a blocking thread.
///
/// ```
/// use foldhouse_store::{Append, EventStoreExt, ExpectedVersion, JournalOptions, NewEvent, Payload, StreamId};
///
/// # let directory = tempfile::tempdir()?;
/// # let options = JournalOptions::new().segment_bytes(1 << 20);
/// let store = options.open(directory.path())?;
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// let account = StreamId::new("acme", "gl-account", "1000")?;
/// let event = NewEvent::new(store.clock().new_id(), "Debited", Payload::message_pack(vec![0xc0]));
/// let appended = store.append(Append::to(account, ExpectedVersion::NoStream, [event])).await?;
/// assert_eq!(appended.position.get(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// store.close();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct JournalStore {
    queue: Arc<Queue>,
    reader: Arc<JournalReader>,
    head: watch::Receiver<Position>,
    clock: Arc<dyn Clock>,
    limits: AppendLimits,
    frame_log: Arc<FrameLog>,
    write_mode: WriteMode,
    recovery: RecoveryReport,
    directory: PathBuf,
    /// The committing thread, then the indexing thread.
    threads: Mutex<Vec<JoinHandle<()>>>,
    thread_ids: Vec<ThreadId>,
    /// The directory is locked while this file is open; the two threads hold it, too.
    lock: Mutex<Option<Arc<File>>>,
}

impl JournalStore {
    /// Opens the store in `directory` with the options that fit most, and creates it if it is not there.
    ///
    /// # Errors
    /// See [`OpenError`]: each variant says what to do. Nothing is changed unless the store opens.
    pub fn open(directory: impl AsRef<Path>) -> Result<Self, OpenError> {
        JournalOptions::new().open(directory)
    }

    /// What opening found and did.
    #[must_use]
    pub fn recovery(&self) -> &RecoveryReport {
        &self.recovery
    }

    /// How frames reach this disk.
    #[must_use]
    pub fn write_mode(&self) -> WriteMode {
        self.write_mode
    }

    /// The directory that the store is in.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The clock that the store was opened with.
    #[must_use]
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// The sizes of the frames written since the store was opened, if it was opened with
    /// [`JournalOptions::log_frame_sizes`]: what [`raw_log_limit`](crate::raw_log_limit) is measured with.
    #[must_use]
    pub fn frame_sizes(&self) -> Vec<FrameSize> {
        self.frame_log.sizes()
    }

    /// Writes what is queued, finishes the index of sealed segments, and lets go of the directory: when this returns, it
    /// can be opened again. Appends and reads that come later are refused. Dropping the store does the same.
    ///
    /// Called from within an answer, on the committing thread, it cannot wait for itself and returns at once; the store
    /// stays locked until all is written.
    pub fn close(&self) {
        self.queue.close();
        if self.thread_ids.contains(&std::thread::current().id()) {
            return;
        }
        self.join_threads();
        let head = *self.head.borrow();
        if let Err(fault) = self.reader.close(head) {
            tracing::warn!(%fault, "the index could not be flushed; the next open rebuilds what is missing");
        }
        let lock = self
            .lock
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        // Closing the file is not enough: a process that is being started elsewhere holds a copy of the descriptor until
        // it runs its program, and the lock with it.
        if let Some(Err(error)) = lock.map(|lock| lock.unlock()) {
            tracing::warn!(%error, "the store's directory could not be unlocked");
        }
    }

    fn join_threads(&self) {
        // Held meanwhile: whoever else closes the store waits, too.
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        for thread in threads.drain(..) {
            let name = thread.thread().name().unwrap_or_default().to_owned();
            // The indexing thread may be in a call that never comes back. The committing thread goes before it.
            while !thread.is_finished() && !self.reader.is_index_broken() {
                std::thread::sleep(THREAD_PAUSE);
            }
            if !thread.is_finished() && name == INDEXING_THREAD {
                tracing::error!("the indexing thread hangs and is left behind");
                continue;
            }
            if thread.join().is_err() {
                tracing::error!(thread = name, "a thread of the store panicked");
            }
        }
    }

    /// Runs a read on a thread that may block.
    fn blocking<T: Send + 'static>(
        &self,
        read: impl FnOnce(&JournalReader) -> Result<T, ReadError> + Send + 'static,
    ) -> BoxFuture<'_, Result<T, ReadError>> {
        let reader = Arc::clone(&self.reader);
        Box::pin(async move {
            let task = tokio::task::spawn_blocking(move || {
                if reader.is_closed() {
                    Err(ReadError::Closed)
                } else {
                    read(&reader)
                }
            });
            task.await.unwrap_or_else(|error| {
                Err(ReadError::Io(Fault::new(format!(
                    "the read did not finish: {error}"
                ))))
            })
        })
    }

    fn beside<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Sidecar) -> Result<T, Fault> + Send + 'static,
    ) -> BoxFuture<'_, Result<T, ReadError>> {
        self.blocking(move |reader| reader.beside(work))
    }
}

impl Drop for JournalStore {
    fn drop(&mut self) {
        self.close();
    }
}

#[cfg(test)]
mod append_tests;
#[cfg(test)]
mod closing_tests;
#[cfg(test)]
mod command_model_tests;
#[cfg(test)]
mod command_tests;
#[cfg(test)]
mod faulty_disk;
#[cfg(test)]
mod fault_tests;
#[cfg(test)]
mod queue_command_tests;
#[cfg(test)]
mod queue_tests;
#[cfg(test)]
mod race_tests;
#[cfg(test)]
mod hung_index_tests;
#[cfg(test)]
mod look_up_tests;
#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod power_cut_tests;
#[cfg(test)]
mod power_disk;
#[cfg(test)]
mod roll_tests;
#[cfg(test)]
mod stress_tests;
#[cfg(test)]
mod test_support;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod torn_tests;
#[cfg(test)]
mod damage_tests;
