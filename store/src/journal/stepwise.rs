//! The journal without threads and without an index beside it: whoever holds it takes each step of the committing thread
//! and of the indexing thread, at the moment of their choice. For simulations.

use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::append::validate::AppendLimits;
use crate::append::{Append, OnSettled, Verdict};
use crate::clock::Clock;
use crate::error::{AppendError, OpenError};
use crate::journal::committer::Committer;
use crate::journal::disk::Disk;
use crate::journal::event_store::check;
use crate::journal::indexer::SealedWork;
use crate::journal::opening::{Resumed, Spares, queue_limits};
use crate::journal::queue::{PendingFrame, Queue};
use crate::journal::reader::JournalReader;
use crate::journal::{FrameLog, JournalOptions, RecoveryReport, recovery};
use crate::meters::Meters;
use crate::position::Position;

/// With more sealed segments than this at a time the committer would wait; each frame seals one at most.
const SEALED_AT_A_TIME_MAX: usize = 1;

/// The same queue, committer, writer, frames and recovery as those of a [`JournalStore`](crate::JournalStore).
#[derive(Debug)]
pub(crate) struct StepwiseJournal {
    queue: Arc<Queue>,
    reader: Arc<JournalReader>,
    head: watch::Receiver<Position>,
    clock: Arc<dyn Clock>,
    limits: AppendLimits,
    disk: Arc<dyn Disk>,
    committing: Mutex<Committing>,
    recovery: RecoveryReport,
}

#[derive(Debug)]
struct Committing {
    committer: Committer,
    sealed: Receiver<SealedWork>,
}

impl StepwiseJournal {
    /// Opens what is on the disk, or begins a journal.
    pub(crate) fn open(disk: Arc<dyn Disk>, options: &JournalOptions) -> Result<Self, OpenError> {
        let clock = Arc::clone(&options.clock);
        let recovered = recovery::recover_without_index(&disk, options.segment_bytes, &*clock)?;
        let resume = recovered.resume();
        let (head, head_receiver) = watch::channel(resume.head);
        let resumed = Resumed::new(&disk, recovered, options, Spares::AtOnce)?;
        let queue = Arc::new(Queue::new(queue_limits(options), resume));
        let reader = Arc::new(resumed.reader);
        let (sealed_sender, sealed) = sync_channel(SEALED_AT_A_TIME_MAX);
        let committer = Committer {
            queue: Arc::clone(&queue),
            writer: resumed.end.writer,
            reader: Arc::clone(&reader),
            active: resumed.end.active,
            head,
            sealed: sealed_sender,
            clock: Arc::clone(&clock),
            last_committed_at: resume.last_recorded_at,
            has_written: false,
            is_broken: false,
            frame_bytes_max: options.frame_bytes_max(),
            frame_log: Arc::new(FrameLog::new(false)),
            meters: Meters::register(&[]),
            _lock: None,
        };
        let opened = Self {
            queue,
            reader,
            head: head_receiver,
            clock,
            limits: options.append_limits(),
            disk,
            committing: Mutex::new(Committing { committer, sealed }),
            recovery: resumed.report,
        };
        resumed
            .late
            .iter()
            .for_each(|work| opened.give_back_unused(work));
        Ok(opened)
    }

    pub(crate) fn recovery(&self) -> &RecoveryReport {
        &self.recovery
    }

    pub(crate) fn reader(&self) -> &JournalReader {
        &self.reader
    }

    pub(crate) fn queue(&self) -> &Queue {
        &self.queue
    }

    pub(crate) fn head(&self) -> Position {
        *self.head.borrow()
    }

    pub(crate) fn watch_head(&self) -> watch::Receiver<Position> {
        self.head.clone()
    }

    /// Queues an append, as [`EventStore::submit`](crate::EventStore::submit) does.
    pub(crate) fn submit(&self, append: Append, settled: OnSettled) -> Verdict {
        match check(&append, &self.limits) {
            Ok(()) => self
                .queue
                .submit(append, settled, self.clock.now(), &*self.reader),
            Err(invalid) => {
                settled(Err(AppendError::Invalid(invalid)));
                Verdict::Refused
            }
        }
    }

    /// Writes a frame that was taken from the queue, publishes it, and answers everyone in it.
    pub(crate) fn commit(&self, frame: PendingFrame) {
        let mut committing = self.committing();
        committing.committer.commit(frame);
        for work in committing.sealed.try_iter() {
            self.give_back_unused(&work);
        }
    }

    /// Writes what is queued and the closing mark. Appends and reads that come later are refused.
    pub(crate) fn close(&self) {
        self.queue.close();
        while let Some(frame) = self.queue.try_take() {
            self.commit(frame);
        }
        self.committing().committer.mark_closed();
        // Without a sidecar there is nothing that could fail.
        self.reader.close(self.head()).ok();
    }

    /// What the indexing thread does with a sealed segment, where there is an index.
    fn give_back_unused(&self, work: &SealedWork) {
        let file = work.sealed.header.file_name();
        if let Err(error) = self.disk.truncate(&file, work.sealed.length_bytes) {
            tracing::debug!(file, %error, "the unused end of a sealed segment stays");
        }
    }

    fn committing(&self) -> MutexGuard<'_, Committing> {
        self.committing
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
