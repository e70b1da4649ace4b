//! Opening the store: the directory is locked, the journal recovered, and the two threads started.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::{Builder, JoinHandle};

use tokio::sync::watch;

use crate::clock::Clock;
use crate::error::{Fault, OpenError};
use crate::journal::committer::Committer;
use crate::journal::disk::{Disk, FsDisk, create_directory};
use crate::journal::frame_log::FrameLog;
use crate::journal::indexer::{Indexer, SealedWork};
use crate::journal::live_index::LiveSegment;
use crate::journal::queue::{Queue, QueueLimits, Resume};
use crate::journal::reader::JournalReader;
use crate::journal::recent_frames::RecentFrames;
use crate::journal::recovery::{self, Recovered, RecoveryReport, io_error};
use crate::journal::segments::Segments;
use crate::journal::spare::SpareSegments;
use crate::journal::writer::SegmentWriter;
use crate::journal::{INDEXING_THREAD, JOURNAL_DIRECTORY, JournalOptions, JournalStore};
use crate::meters::Meters;
use crate::position::Position;

pub(super) const LOCK_FILE: &str = "lock";
/// With more sealed segments than this waiting to be indexed, appends wait too: their index is in memory until then.
const SEALED_WAITING_MAX: usize = 4;

impl JournalStore {
    pub(super) fn start(directory: &Path, options: &JournalOptions) -> Result<Self, OpenError> {
        create_directory(directory).map_err(io_error("creating the store's directory"))?;
        let lock = lock(directory)?;
        let disk = FsDisk::open(&directory.join(JOURNAL_DIRECTORY))
            .map_err(io_error("opening the journal's directory"))?;
        Self::start_on(Arc::new(disk), directory, options, lock)
    }

    /// Starts on a disk of the caller's choice; `directory` is where the index goes.
    pub(super) fn start_on(
        disk: Arc<dyn Disk>,
        directory: &Path,
        options: &JournalOptions,
        lock: File,
    ) -> Result<Self, OpenError> {
        let recovered = recovery::recover(
            directory,
            &disk,
            options.segment_bytes,
            options.index_cache_bytes,
            options.commands_remembered,
            &*options.clock,
            options.on_progress.as_ref(),
        )?;
        let resume = recovered.resume();
        let (head, head_receiver) = watch::channel(resume.head);
        let Resumed {
            end,
            reader,
            late,
            report,
        } = Resumed::new(&disk, recovered, options, Spares::Ahead)?;
        let write_mode = end.writer.mode();
        let shared = Shared {
            queue: Arc::new(Queue::new(queue_limits(options), resume)),
            reader: Arc::new(reader),
            frame_log: Arc::new(FrameLog::new(options.log_frame_sizes)),
            clock: Arc::clone(&options.clock),
            lock: Arc::new(lock),
        };
        let (sealed, sealed_work) = sync_channel(SEALED_WAITING_MAX);
        let indexer = shared.indexer(disk, sealed_work, late);
        let committer = shared.committer(end, head, sealed, resume, options);
        let threads = start_threads(indexer, committer)?;
        let thread_ids = threads.iter().map(|thread| thread.thread().id()).collect();
        Ok(Self {
            queue: shared.queue,
            reader: shared.reader,
            head: head_receiver,
            clock: shared.clock,
            limits: options.append_limits(),
            frame_log: shared.frame_log,
            write_mode,
            recovery: report,
            directory: directory.to_owned(),
            threads: Mutex::new(threads),
            thread_ids,
            lock: Mutex::new(Some(shared.lock)),
        })
    }
}

/// Locks the directory for as long as the file is open.
pub(super) fn lock(directory: &Path) -> Result<File, OpenError> {
    let path = directory.join(LOCK_FILE);
    let io = |error| OpenError::Io(Fault::io(format!("locking {}", path.display()), error));
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(io)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::Locked {
            directory: directory.to_owned(),
        }),
        Err(TryLockError::Error(error)) => Err(io(error)),
    }
}

pub(super) fn queue_limits(options: &JournalOptions) -> QueueLimits {
    QueueLimits {
        frame_bytes: options.frame_bytes_max(),
        queue_bytes: options.queue_bytes,
        heads: options.stream_heads,
    }
}

/// A recovered journal, taken apart for those who write and those who read.
#[derive(Debug)]
pub(super) struct Resumed {
    pub(super) end: JournalEnd,
    pub(super) reader: JournalReader,
    pub(super) late: Vec<SealedWork>,
    pub(super) report: RecoveryReport,
}

/// Who makes the next segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spares {
    /// A thread, before they are needed.
    Ahead,
    /// The committer, when one is needed.
    #[cfg(feature = "simulation")]
    AtOnce,
}

/// Where the next frame goes.
#[derive(Debug)]
pub(super) struct JournalEnd {
    pub(super) writer: SegmentWriter,
    pub(super) active: Arc<LiveSegment>,
}

impl Resumed {
    pub(super) fn new(
        disk: &Arc<dyn Disk>,
        recovered: Recovered,
        options: &JournalOptions,
        spares: Spares,
    ) -> Result<Self, OpenError> {
        let Recovered {
            first_positions,
            active,
            end,
            live,
            late,
            sidecar,
            spare_is_there,
            report,
        } = recovered;
        let (spare_disk, segment_bytes) = (Arc::clone(disk), options.segment_bytes);
        let spares = match spares {
            Spares::Ahead => SpareSegments::start(spare_disk, segment_bytes, spare_is_there)
                .map_err(io_error("starting a thread"))?,
            #[cfg(feature = "simulation")]
            Spares::AtOnce => {
                SpareSegments::without_thread(spare_disk, segment_bytes, spare_is_there)
            }
        };
        let active_segment = live.view().segment(active.number).ok_or_else(|| {
            OpenError::Io(Fault::new(
                "the active segment has no index; this is a bug of foldhouse",
            ))
        })?;
        let writer =
            SegmentWriter::resume(Arc::clone(disk), spares, active, end.offset, end.last_hash)
                .map_err(io_error("opening the active segment"))?;
        let segments = Segments::new(Arc::clone(disk), first_positions);
        let recent = RecentFrames::new(options.recent_frames_bytes);
        Ok(Self {
            end: JournalEnd {
                writer,
                active: active_segment,
            },
            reader: JournalReader::new(segments, live, recent, sidecar),
            late,
            report,
        })
    }
}

/// What the store shares with its threads.
#[derive(Debug)]
struct Shared {
    queue: Arc<Queue>,
    reader: Arc<JournalReader>,
    frame_log: Arc<FrameLog>,
    clock: Arc<dyn Clock>,
    lock: Arc<File>,
}

impl Shared {
    fn indexer(
        &self,
        disk: Arc<dyn Disk>,
        work: Receiver<SealedWork>,
        late: Vec<SealedWork>,
    ) -> Indexer {
        Indexer {
            work,
            late,
            disk,
            reader: Arc::clone(&self.reader),
            queue: Arc::clone(&self.queue),
            _lock: Arc::clone(&self.lock),
        }
    }

    fn committer(
        &self,
        end: JournalEnd,
        head: watch::Sender<Position>,
        sealed: SyncSender<SealedWork>,
        resume: Resume,
        options: &JournalOptions,
    ) -> Committer {
        Committer {
            queue: Arc::clone(&self.queue),
            writer: end.writer,
            reader: Arc::clone(&self.reader),
            active: end.active,
            head,
            sealed,
            clock: Arc::clone(&self.clock),
            last_committed_at: resume.last_recorded_at,
            has_written: false,
            is_broken: false,
            frame_bytes_max: options.frame_bytes_max(),
            frame_log: Arc::clone(&self.frame_log),
            meters: Meters::register(&[]),
            _lock: Some(Arc::clone(&self.lock)),
        }
    }
}

/// Starts the committing thread and the indexing thread, and gives them back in this order.
fn start_threads(indexer: Indexer, committer: Committer) -> Result<Vec<JoinHandle<()>>, OpenError> {
    // In this order: the indexing thread ends when there is no committer, but not the other way round.
    let indexing = spawn(INDEXING_THREAD, move || indexer.run())?;
    let committing = spawn("foldhouse-commit", move || committer.run())?;
    Ok(vec![committing, indexing])
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, OpenError> {
    Builder::new()
        .name(name.to_owned())
        .spawn(run)
        .map_err(io_error("starting a thread"))
}
