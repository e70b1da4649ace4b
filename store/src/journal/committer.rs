use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::append::{Appended, OnSettled};
use crate::clock::{Clock, Timestamp};
use crate::error::{AppendError, Fault};
use crate::journal::frame::FRAME_HEADER_BYTES;
use crate::journal::frame_log::FrameLog;
use crate::journal::indexer::SealedWork;
use crate::journal::live_index::LiveSegment;
use crate::journal::queue::{PendingFrame, Queue, Waiting};
use crate::journal::reader::JournalReader;
use crate::journal::recent_frames::RecentFrame;
use crate::journal::record;
use crate::journal::writer::{FrameContent, SegmentWriter, WriteFailure};
use crate::meters::Meters;
use crate::position::Position;
use crate::sidecar::FramePlace;

/// The store's and the committer's own; with more than these somebody follows the head.
const OWN_HEAD_RECEIVERS: usize = 2;
/// How often it is looked whether the indexing thread takes a further segment.
const INDEXER_PAUSE: Duration = Duration::from_millis(1);

/// The one thread that writes the journal: takes what is queued, makes it durable as one frame, publishes it, and only
/// then answers everyone whose append is in it.
#[derive(Debug)]
pub(crate) struct Committer {
    pub(crate) queue: Arc<Queue>,
    pub(crate) writer: SegmentWriter,
    pub(crate) reader: Arc<JournalReader>,
    pub(crate) active: Arc<LiveSegment>,
    pub(crate) head: watch::Sender<Position>,
    pub(crate) sealed: SyncSender<SealedWork>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) last_committed_at: Timestamp,
    pub(crate) frame_bytes_max: usize,
    pub(crate) frame_log: Arc<FrameLog>,
    pub(crate) meters: Meters,
    /// Whether a frame was written since the store was opened.
    pub(crate) has_written: bool,
    /// Whether the journal cannot be written to until it is opened again.
    pub(crate) is_broken: bool,
    /// Nobody else may open the store before the last frame is written.
    pub(crate) _lock: Option<Arc<File>>,
}

impl Committer {
    /// Runs until the queue is closed and empty.
    pub(crate) fn run(mut self) {
        let queue = Arc::clone(&self.queue);
        let durable_head = self.head.subscribe();
        self.meters
            .head_position
            .set(as_float(*durable_head.borrow()));
        let work = AssertUnwindSafe(|| {
            while let Some(frame) = self.queue.take() {
                self.commit(frame);
            }
            self.mark_closed();
        });
        // A bug must not leave callers waiting for an answer that nobody gives.
        if catch_unwind(work).is_err() {
            let fault = Fault::new("the committing thread panicked; reopen the store");
            tracing::error!(%fault, "the store takes nothing more");
            let head = *durable_head.borrow();
            queue.void(
                PendingFrame::empty(),
                head,
                Some(fault.clone()),
                |_, waiting| {
                    settle(
                        waiting.settled,
                        Err(AppendError::NotRecorded(fault.clone())),
                    );
                },
            );
        }
    }

    /// Writes the mark behind the last frame, as far as it can be: nothing depends on it but how damage to that frame is
    /// told from a write that did not complete.
    pub(crate) fn mark_closed(&mut self) {
        if !self.has_written || self.is_broken {
            return;
        }
        let committed_at = self.clock.now().max(self.last_committed_at);
        let next_position = self.head.borrow().next();
        if let Err(failure) = self.writer.write_closing_mark(next_position, committed_at) {
            tracing::warn!(
                ?failure,
                "the mark of a clean close could not be written; nothing is lost"
            );
        }
    }

    pub(crate) fn commit(&mut self, mut frame: PendingFrame) {
        if !frame.body.is_empty() {
            // A panic must not take the frame with it: everyone in it waits for an answer.
            let write = AssertUnwindSafe(|| {
                let offset = self.write(&mut frame)?;
                self.publish(&mut frame, offset);
                Ok(())
            });
            let written = catch_unwind(write).unwrap_or_else(|_| {
                Err(WriteFailure::Unknown(Fault::new(
                    "the committing thread panicked",
                )))
            });
            if let Err(failure) = written {
                return self.void(frame, failure);
            }
        }
        self.queue.note_durable(&frame);
        for Waiting {
            outcome, settled, ..
        } in frame.waiting.drain(..)
        {
            settle(settled, outcome);
        }
        self.queue.recycle(frame);
    }

    /// Makes the frame durable and gives back its offset in the active segment.
    fn write(&mut self, frame: &mut PendingFrame) -> Result<u64, WriteFailure> {
        self.seal_records(frame);
        if !self.writer.has_room(frame.body.len()) {
            if frame.first_position == self.writer.segment().first_position {
                // The next one would get the name of this one.
                self.writer
                    .grow(frame.body.len(), frame.records.is_empty())?;
            } else {
                self.roll(frame)?;
            }
        }
        self.last_committed_at = self
            .clock
            .now()
            .max(frame.last_recorded_at)
            .max(self.last_committed_at);
        let count = |records: usize| u32::try_from(records).unwrap_or(u32::MAX);
        let event_count = count(frame.records.len());
        let content = FrameContent {
            record_count: count(frame.records.len() + frame.appends.len()),
            event_count,
            first_position: frame.first_position,
            committed_at: self.last_committed_at,
        };
        let started = Instant::now();
        let offset = self.writer.write(&frame.body, &content)?;
        self.has_written = true;
        self.measure(started, frame.body.len(), event_count);
        self.frame_log.note(frame.body.len(), event_count);
        Ok(offset)
    }

    fn measure(&self, started: Instant, body_bytes: usize, event_count: u32) {
        let meters = &self.meters;
        meters.frame_write_seconds.record(started.elapsed());
        meters.frames.increment(1);
        meters.frame_events.record(event_count);
        // A frame is limited to far less than 4 GiB.
        let body_bytes = u32::try_from(body_bytes).unwrap_or(u32::MAX);
        meters.frame_bytes.record(body_bytes);
    }

    fn seal_records(&self, frame: &mut PendingFrame) {
        let positions = frame.first_position.get()..;
        for (position, place) in positions.zip(&frame.records) {
            if let Some(record) = frame.body.get_mut(place.offset_in_body..) {
                record::seal(record, Position::new(position));
            }
        }
        for place in &frame.appends {
            if let Some(record) = frame.body.get_mut(place.offset_in_body..) {
                record::seal(record, place.position);
            }
        }
    }

    /// Goes on in a new segment that starts with `frame`; the full one goes to the indexing thread.
    fn roll(&mut self, frame: &PendingFrame) -> Result<(), WriteFailure> {
        // Until it holds a frame, this is all that tells a reopened store what time it was.
        let created_at = self.clock.now().max(self.last_committed_at);
        let sealed = self.writer.roll(frame.first_position, created_at)?;
        self.writer.shrink_buffer(self.frame_bytes_max);
        let number = self.writer.segment().number;
        let next = Arc::new(LiveSegment::new(number, frame.first_position));
        self.reader.segments.push(frame.first_position);
        self.reader.live.push(Arc::clone(&next));
        let segment = std::mem::replace(&mut self.active, next);
        tracing::debug!(number, first_position = %frame.first_position, "opened a new segment");
        let work = SealedWork {
            sealed,
            segment,
            last_frame: frame.number - 1,
        };
        self.hand_to_indexer(work);
        Ok(())
    }

    /// Waits while the indexing thread only lags behind: what waits for it is in memory. If it does not come back, that
    /// has to be put up with until the next open.
    fn hand_to_indexer(&self, mut work: SealedWork) {
        loop {
            match self.sealed.try_send(work) {
                Ok(()) => return,
                Err(TrySendError::Full(back)) if !self.reader.is_index_broken() => work = back,
                Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                    tracing::error!(
                        "the indexing thread does not go on; sealed segments stay indexed in memory until the next open"
                    );
                    return;
                }
            }
            std::thread::sleep(INDEXER_PAUSE);
        }
    }

    /// Makes a durable frame visible: after this every read sees it.
    fn publish(&self, frame: &mut PendingFrame, offset: u64) {
        let count = frame.records.len() as u64;
        let body_offset = offset + FRAME_HEADER_BYTES as u64;
        tracing::trace!(
            first_position = %frame.first_position, events = count, body_bytes = frame.body.len(), offset,
            "a frame is durable"
        );
        self.active
            .add_commands(body_offset, frame.appends.drain(..));
        if count == 0 {
            return; // No reader of events looks for it.
        }
        let next_position = Position::new(frame.first_position.get() + count);
        // A segment is limited to far less than 4 GiB when the store is opened.
        let place = FramePlace {
            first_position: frame.first_position,
            offset: u32::try_from(offset).unwrap_or(u32::MAX),
        };
        self.active
            .add_frame(place, body_offset, frame.records.drain(..));
        if self.head.receiver_count() > OWN_HEAD_RECEIVERS {
            let body = std::mem::take(&mut frame.body).into();
            let first_position = frame.first_position;
            self.reader.recent.push(RecentFrame {
                first_position,
                next_position,
                body,
            });
        } else {
            self.reader.recent.clear();
        }
        let head = Position::new(next_position.get() - 1);
        self.meters.head_position.set(as_float(head));
        self.head.send_replace(head);
    }

    fn void(&mut self, failed: PendingFrame, failure: WriteFailure) {
        let (fault, of_failed, refusal) = match failure {
            WriteFailure::Refused(fault) => (fault.clone(), AppendError::NotRecorded(fault), None),
            WriteFailure::Broken(fault) => {
                let refusal = poisoned(&fault);
                (
                    fault.clone(),
                    AppendError::NotRecorded(fault),
                    Some(refusal),
                )
            }
            WriteFailure::Unknown(fault) => {
                let refusal = poisoned(&fault);
                (fault.clone(), AppendError::Unknown(fault), Some(refusal))
            }
        };
        self.is_broken |= refusal.is_some();
        tracing::error!(%fault, poisoned = refusal.is_some(), "a frame could not be written");
        let failed_number = failed.number;
        let built_on_it = AppendError::NotRecorded(Fault::new(format!(
            "an append before this one failed: {fault}"
        )));
        let head = *self.head.borrow();
        self.queue.void(failed, head, refusal, |frame, waiting| {
            let in_failed_frame = frame.number == failed_number && waiting.is_recording;
            let error = if in_failed_frame {
                of_failed.clone()
            } else {
                built_on_it.clone()
            };
            settle(waiting.settled, Err(error));
        });
    }
}

#[allow(clippy::cast_precision_loss, reason = "a gauge for people to read")]
fn as_float(position: Position) -> f64 {
    position.get() as f64
}

/// Gives an answer. One that panics takes no other with it.
pub(crate) fn settle(settled: OnSettled, outcome: Result<Appended, AppendError>) {
    if catch_unwind(AssertUnwindSafe(|| settled(outcome))).is_err() {
        tracing::error!("an answer to an append panicked");
    }
}

fn poisoned(fault: &Fault) -> Fault {
    Fault::new(format!(
        "the store takes nothing more until it is opened again, since a write failed: {fault}"
    ))
}
