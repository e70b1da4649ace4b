use std::path::Path;
use std::sync::Arc;

use crate::append::validate::AppendLimits;
use crate::clock::{Clock, SystemClock};
use crate::command::COMMANDS_REMEMBERED;
use crate::error::OpenError;
use crate::journal::closing_mark::MARK_FRAME_BYTES;
use crate::journal::frame;
use crate::journal::progress::{OnProgress, OpenProgress};
use crate::journal::segment::BLOCK_BYTES;
use crate::journal::{JournalStore, ReadOnlyJournal};

const SEGMENT_BYTES_MIN: u64 = 256 << 10;
/// Offsets in a segment are kept in 32 bits.
const SEGMENT_BYTES_MAX: u64 = 1 << 30;

/// How to open a [`JournalStore`]. The defaults fit most uses.
#[derive(Clone)]
#[must_use]
pub struct JournalOptions {
    pub(super) segment_bytes: u64,
    pub(super) frame_bytes: usize,
    pub(super) queue_bytes: usize,
    pub(super) event_bytes: usize,
    pub(super) recent_frames_bytes: usize,
    pub(super) index_cache_bytes: u64,
    pub(super) stream_heads: usize,
    pub(super) commands_remembered: usize,
    pub(super) log_frame_sizes: bool,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) on_progress: Option<OnProgress>,
}

impl std::fmt::Debug for JournalOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JournalOptions")
            .field("segment_bytes", &self.segment_bytes)
            .field("frame_bytes", &self.frame_bytes)
            .field("queue_bytes", &self.queue_bytes)
            .field("event_bytes", &self.event_bytes)
            .finish_non_exhaustive()
    }
}

impl Default for JournalOptions {
    fn default() -> Self {
        Self {
            segment_bytes: 64 << 20,
            frame_bytes: 4 << 20,
            queue_bytes: 64 << 20,
            event_bytes: 16 << 20,
            recent_frames_bytes: 32 << 20,
            index_cache_bytes: 64 << 20,
            stream_heads: 1 << 20,
            commands_remembered: COMMANDS_REMEMBERED,
            log_frame_sizes: false,
            clock: Arc::new(SystemClock),
            on_progress: None,
        }
    }
}

impl JournalOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// The size of a segment file; 64 MiB if not set, between 256 KiB and 1 GiB. Segments with events keep theirs.
    pub fn segment_bytes(mut self, bytes: u64) -> Self {
        self.segment_bytes = bytes;
        self
    }

    /// How much one frame takes before the next is begun; 4 MiB if not set, never more than a segment holds. A larger
    /// frame makes a write take longer, and everyone in it wait. An append that is larger by itself gets a frame of its
    /// own.
    pub fn frame_bytes(mut self, bytes: usize) -> Self {
        self.frame_bytes = bytes;
        self
    }

    /// How much may wait for the disk before callers of [`ready`](crate::EventStore::ready) wait; 64 MiB if not set.
    /// `submit` refuses at twice this.
    pub fn queue_bytes(mut self, bytes: usize) -> Self {
        self.queue_bytes = bytes;
        self
    }

    /// The most that one event may take; 16 MiB if not set, at most an eighth of a segment below what it needs.
    pub fn event_bytes(mut self, bytes: usize) -> Self {
        self.event_bytes = bytes;
        self
    }

    /// How much of what was written last stays in memory for readers that have caught up; 32 MiB if not set.
    pub fn recent_frames_bytes(mut self, bytes: usize) -> Self {
        self.recent_frames_bytes = bytes;
        self
    }

    /// The memory that sled may use for its cache; 64 MiB if not set.
    pub fn index_cache_bytes(mut self, bytes: u64) -> Self {
        self.index_cache_bytes = bytes;
        self
    }

    /// For how many streams the version is kept in memory, about; 1,048,576 if not set. Others are looked up.
    pub fn stream_heads(mut self, count: usize) -> Self {
        self.stream_heads = count;
        self
    }

    /// How many of the newest command ids are remembered, at least; 1,048,576 if not set. A retry that comes later than
    /// so many further commands is taken for a new one.
    ///
    /// Ids are forgotten by whole segments, so about a segment's more are remembered. Each takes 9 bits of memory, those
    /// of segments that are not in the index yet about 40 bytes. The journal keeps all of them: with a higher number
    /// those that were forgotten are remembered again.
    pub fn commands_remembered(mut self, count: usize) -> Self {
        self.commands_remembered = count;
        self
    }

    /// Remembers the sizes of the frames (up to about a million) for [`JournalStore::frame_sizes`].
    pub fn log_frame_sizes(mut self, enabled: bool) -> Self {
        self.log_frame_sizes = enabled;
        self
    }

    /// Where time and ids come from; the machine's own if not set.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Calls `callback` while [`open`](Self::open) reads segments: the active one always, and sealed ones if the index
    /// has to be built anew, which takes a second or so for a gigabyte. The same goes to the log every few seconds.
    ///
    /// It runs on the thread that opens, about once for each MiB: it must be quick, and must not panic.
    ///
    /// ```
    /// use foldhouse_store::JournalOptions;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// let store = JournalOptions::new()
    /// #   .segment_bytes(1 << 20)
    ///     .on_progress(|progress| {
    ///         eprintln!("{:?}: {} of {} bytes", progress.step, progress.bytes_done, progress.bytes_total);
    ///     })
    ///     .open(directory.path())?;
    /// # store.close();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn on_progress(mut self, callback: impl Fn(OpenProgress) + Send + Sync + 'static) -> Self {
        self.on_progress = Some(Arc::new(callback));
        self
    }

    /// Opens the store in `directory`, and creates it if it is not there. Blocks.
    ///
    /// # Errors
    /// See [`OpenError`]: each variant says what to do. Nothing is changed unless the store opens.
    pub fn open(self, directory: impl AsRef<Path>) -> Result<JournalStore, OpenError> {
        self.check()?;
        JournalStore::start(directory.as_ref(), &self)
    }

    /// Opens the store in `directory` for reading only, also beside a process that has it open for writing. Nothing is
    /// created, locked or changed; see [`ReadOnlyJournal`]. Blocks.
    ///
    /// # Errors
    /// See [`OpenError`]: each variant says what to do. A write that did not complete at the end of the journal is none.
    pub fn open_read_only(self, directory: impl AsRef<Path>) -> Result<ReadOnlyJournal, OpenError> {
        ReadOnlyJournal::open(directory.as_ref())
    }

    fn check(&self) -> Result<(), OpenError> {
        let block = BLOCK_BYTES as u64;
        let refuse = |text: String| Err(OpenError::Options(text));
        if !(SEGMENT_BYTES_MIN..=SEGMENT_BYTES_MAX).contains(&self.segment_bytes)
            || !self.segment_bytes.is_multiple_of(block)
        {
            return refuse(format!(
                "segment_bytes is {}; it takes a multiple of {block} from {SEGMENT_BYTES_MIN} to {SEGMENT_BYTES_MAX}",
                self.segment_bytes
            ));
        }
        if self.frame_bytes == 0 || self.queue_bytes == 0 || self.event_bytes == 0 {
            return refuse("frame_bytes, queue_bytes and event_bytes must not be 0".to_owned());
        }
        Ok(())
    }

    /// What the appends of one frame may take together: a frame must fit into an empty segment.
    pub(super) fn frame_bytes_max(&self) -> usize {
        let append_bytes_max = self.append_limits().append_bytes_max;
        self.frame_bytes.min(encoded_limit(append_bytes_max))
    }

    /// An append must fit into one frame, and a frame into one segment.
    pub(super) fn append_limits(&self) -> AppendLimits {
        let segment = usize::try_from(self.segment_bytes).unwrap_or(usize::MAX);
        let append_bytes_max = segment / 2;
        AppendLimits {
            event_bytes_max: self.event_bytes.min(append_bytes_max),
            append_bytes_max,
        }
    }
}

/// How much an append of `append_bytes` (as limits count them) may take with everything around its events: what is left
/// of an empty segment without its header, what a frame adds, and the closing mark.
pub(super) fn encoded_limit(append_bytes: usize) -> usize {
    let segment = append_bytes.saturating_mul(2);
    // The header's block, and the last one, which stays empty.
    segment.saturating_sub(2 * BLOCK_BYTES + frame::padded_bytes(0) + MARK_FRAME_BYTES)
}
