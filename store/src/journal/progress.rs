//! Tells how far the opening of a store has come.

use std::sync::Arc;
use std::time::{Duration, Instant};

/// Called again and again while a store opens; see [`JournalOptions::on_progress`](crate::JournalOptions::on_progress).
pub(crate) type OnProgress = Arc<dyn Fn(OpenProgress) + Send + Sync>;

/// The most that is read between two calls, about.
const BYTES_BETWEEN_CALLS: u64 = 1 << 20;
/// The log is told less often.
const TIME_BETWEEN_LOG_LINES: Duration = Duration::from_secs(5);

/// What an opening store is reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OpenStep {
    /// The segment that was written last: its frames are checked, and its index is built in memory.
    ScanActiveSegment,
    /// The newest sealed segments, if the index does not have them: their index is built in memory, and goes into the
    /// index on disk in the background.
    ReadLastSegments,
    /// Sealed segments before those that the index has lost, or never had.
    IndexSealedSegments,
}

/// How far the opening of a store has come.
///
/// Every step begins with a call in which nothing is done and ends with one in which everything is. A step in which
/// there is nothing to do is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpenProgress {
    /// What is being read.
    pub step: OpenStep,
    /// How many segments of this step are done.
    pub segments_done: usize,
    /// How many there are in this step.
    pub segments_total: usize,
    /// How many bytes of this step's segments were read.
    pub bytes_done: u64,
    /// How many bytes they have.
    pub bytes_total: u64,
}

/// Counts what one step has read.
pub(super) struct StepProgress<'a> {
    callback: Option<&'a OnProgress>,
    progress: OpenProgress,
    /// Where the segment begins that is read now, in the bytes of the step.
    segment_start: u64,
    told_bytes: u64,
    logged_at: Instant,
}

impl<'a> StepProgress<'a> {
    /// Begins a step.
    pub(super) fn begin(
        callback: Option<&'a OnProgress>,
        step: OpenStep,
        segments_total: usize,
        bytes_total: u64,
    ) -> Self {
        let begun = Self {
            callback,
            progress: OpenProgress {
                step,
                segments_done: 0,
                segments_total,
                bytes_done: 0,
                bytes_total,
            },
            segment_start: 0,
            told_bytes: 0,
            logged_at: Instant::now(),
        };
        begun.tell();
        begun
    }

    /// The segment was read up to here.
    pub(super) fn read_up_to(&mut self, offset: u64) {
        let done = self.segment_start.saturating_add(offset);
        self.progress.bytes_done = done.min(self.progress.bytes_total);
        if self.progress.bytes_done.saturating_sub(self.told_bytes) >= BYTES_BETWEEN_CALLS {
            self.told_bytes = self.progress.bytes_done;
            self.tell();
            self.log();
        }
    }

    /// The segment, whose file has so many bytes, is done.
    pub(super) fn segment_done(&mut self, file_bytes: u64) {
        self.segment_start = self.segment_start.saturating_add(file_bytes);
        self.progress.segments_done += 1;
        self.progress.bytes_done = self.segment_start.min(self.progress.bytes_total);
        self.told_bytes = self.progress.bytes_done;
        self.tell();
        self.log();
    }

    fn tell(&self) {
        if let Some(callback) = self.callback {
            callback(self.progress);
        }
    }

    fn log(&mut self) {
        if self.logged_at.elapsed() < TIME_BETWEEN_LOG_LINES {
            return;
        }
        self.logged_at = Instant::now();
        let OpenProgress {
            step,
            segments_done,
            segments_total,
            bytes_done,
            bytes_total,
        } = self.progress;
        tracing::info!(
            ?step,
            segments_done,
            segments_total,
            bytes_done,
            bytes_total,
            "opening the store"
        );
    }
}

#[cfg(test)]
mod tests;
