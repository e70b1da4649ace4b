//! The queue between the callers and the committing thread.
//!
//! An append comes in through `submission`, is checked against the heads in `state`, and leaves in a `pending_frame`
//! when the committing thread takes it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use uuid::Uuid;

use crate::append::APPEND_STREAMS_MAX;
use crate::clock::Timestamp;
use crate::error::{Fault, ReadError};
use crate::position::{Position, Version};
use crate::stream_id::StreamId;

mod commands;
mod pending_frame;
mod state;
mod submission;

pub(crate) use pending_frame::{AppendPlace, PendingFrame, RecordPlace, Waiting};
pub(crate) use submission::encoded_bytes_max;

use state::State;

/// How long the committing thread looks for the next append before it goes to sleep: a lone caller comes back well
/// within it, and is spared the time that waking a thread takes.
const SPIN: Duration = Duration::from_micros(25);
/// So many heads may always be in memory: all those of one append must be there at once, beside those of others.
const HEADS_MIN: usize = 16 * APPEND_STREAMS_MAX;

/// Appends on their way to the committing thread: checked, given their versions and positions, and encoded into the
/// frame that they will be written with.
///
/// The version check sees everything that was queued before, durable or not. What is answered without being recorded
/// (a conflict, a check) is answered only when all that it saw is durable: the answer waits with the frame.
#[derive(Debug)]
pub(crate) struct Queue {
    state: Mutex<State>,
    /// The committing thread waits here for a frame.
    filled: Condvar,
    /// Writers wait here while failed appends are being voided.
    voided: Condvar,
    /// Callers of `ready` wait here.
    room: Notify,
    queued_bytes: AtomicUsize,
    queued_frames: AtomicUsize,
    /// How often ids of durable commands were dropped from the state.
    commands_dropped: AtomicU64,
    limits: QueueLimits,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct QueueLimits {
    /// A frame that has reached this takes no further append.
    pub(crate) frame_bytes: usize,
    /// With this much queued, `ready` waits; with twice as much, `submit` refuses.
    pub(crate) queue_bytes: usize,
    /// With more stream heads than this in memory, those that the index knows are dropped when a segment is sealed; with
    /// more than twice as many, at once.
    pub(crate) heads: usize,
}

/// Where a journal goes on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Resume {
    pub(crate) head: Position,
    pub(crate) last_recorded_at: Timestamp,
}

/// Finds what is durable and the queue does not remember.
pub(crate) trait Durable {
    fn durable_version(&self, stream: &StreamId) -> Result<Version, ReadError>;

    /// Whether a command with this id was recorded.
    fn has_command(&self, id: Uuid) -> Result<bool, ReadError>;
}

impl Queue {
    pub(crate) fn new(limits: QueueLimits, resume: Resume) -> Self {
        Self {
            state: Mutex::new(State::new(resume, limits.heads_max())),
            filled: Condvar::new(),
            voided: Condvar::new(),
            room: Notify::new(),
            queued_bytes: AtomicUsize::new(0),
            queued_frames: AtomicUsize::new(0),
            commands_dropped: AtomicU64::new(0),
            limits,
        }
    }

    // A panic while the lock is held cannot leave the state half changed in a way that matters: what it guards is
    // refused or voided as a whole.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the next frame; `None` when the queue is closed and empty.
    pub(crate) fn take(&self) -> Option<PendingFrame> {
        self.spin();
        let mut state = self.lock();
        loop {
            if let Some(frame) = state.pending.pop_front() {
                self.queued_frames
                    .store(state.pending.len(), Ordering::Relaxed);
                return Some(frame);
            }
            if state.closing {
                return None;
            }
            state.committer_sleeps = true;
            state = self
                .filled
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The next frame, if one is queued.
    #[cfg(feature = "simulation")]
    pub(crate) fn try_take(&self) -> Option<PendingFrame> {
        let mut state = self.lock();
        let frame = state.pending.pop_front();
        self.queued_frames
            .store(state.pending.len(), Ordering::Relaxed);
        frame
    }

    fn spin(&self) {
        let start = Instant::now();
        while self.queued_frames.load(Ordering::Acquire) == 0 && start.elapsed() < SPIN {
            for _ in 0..32 {
                std::hint::spin_loop();
            }
        }
    }

    /// Notes that a frame (and so every frame before it) is durable.
    pub(crate) fn note_durable(&self, frame: &PendingFrame) {
        self.lock().durable_frame = frame.number;
        self.release_bytes(frame.queued_bytes);
    }

    fn release_bytes(&self, bytes: usize) {
        self.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
        if self.is_ready() {
            self.room.notify_waiters();
        }
    }

    /// Gives the memory of a finished frame back.
    pub(crate) fn recycle(&self, mut frame: PendingFrame) {
        frame.queued_bytes = 0;
        frame.body.clear();
        frame.records.clear();
        frame.appends.clear();
        frame.waiting.clear();
        // A single huge frame must not keep its memory for good.
        frame.body.shrink_to(self.limits.frame_bytes);
        self.lock().recycled = Some(frame);
    }

    /// Voids a frame that could not be made durable together with everything queued behind it, since all of that was
    /// checked against it. `answer` is called for each waiting answer before any further append is taken: whoever has
    /// built on the voided events knows it before it can be told anything else.
    pub(crate) fn void(
        &self,
        failed: PendingFrame,
        durable_head: Position,
        refusal: Option<Fault>,
        mut answer: impl FnMut(&PendingFrame, Waiting),
    ) {
        let mut state = self.lock();
        let failed_number = failed.number;
        let mut frames = VecDeque::from([failed]);
        frames.append(&mut state.pending);
        self.queued_frames.store(0, Ordering::Relaxed);
        state.voiding = Some(std::thread::current().id());
        state.next_position = durable_head.next();
        state.heads.retain(|_, head| head.frame < failed_number);
        state.heads_dropped += 1;
        state.commands.void_from(failed_number);
        state.refusal = refusal.or(state.refusal.take());
        drop(state);
        for mut frame in frames {
            let queued_bytes = frame.queued_bytes;
            for waiting in std::mem::take(&mut frame.waiting) {
                answer(&frame, waiting);
            }
            self.release_bytes(queued_bytes);
        }
        self.lock().voiding = None;
        self.voided.notify_all();
    }

    /// Drops heads that the index knows, if there are many: all those that rest on frames up to `indexed_frame`.
    pub(crate) fn drop_heads_up_to(&self, indexed_frame: u64) {
        let mut state = self.lock();
        if state.heads.len() > self.limits.heads {
            state.heads.retain(|_, head| head.frame > indexed_frame);
            state.heads_dropped += 1;
        }
    }

    /// Refuses new appends from here on; what is queued is still written.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closing = true;
        state
            .refusal
            .get_or_insert_with(|| Fault::new("the store is closed"));
        drop(state);
        self.filled.notify_all();
        self.room.notify_waiters();
    }

    #[cfg(feature = "simulation")]
    pub(crate) fn is_closing(&self) -> bool {
        self.lock().closing
    }

    #[cfg(test)]
    pub(crate) fn heads(&self) -> usize {
        self.lock().heads.len()
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.queued_bytes.load(Ordering::Relaxed) < self.limits.queue_bytes
    }

    pub(crate) async fn ready(&self) {
        loop {
            // Before the question, or a notification between question and wait would be lost.
            let room = self.room.notified();
            if self.is_ready() {
                return;
            }
            room.await;
        }
    }
}

impl QueueLimits {
    fn heads_max(&self) -> usize {
        self.heads.saturating_mul(2).max(HEADS_MIN)
    }
}
