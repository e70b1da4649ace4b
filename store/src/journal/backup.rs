//! A consistent copy of a store while it is written to.

use std::fmt;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::error::{CopyError, OpenError};
use crate::event_store::EventStore;
use crate::journal::copy::{
    CopyProgress, JournalCopy, Progress, SegmentCopy, Target, Watcher, lock_target, source_disk,
};
use crate::journal::disk::Disk;
use crate::journal::follower::{Follower, Look, SegmentEnd};
use crate::journal::read_only::headers_beside_a_writer;
use crate::journal::segment::SegmentHeader;
use crate::journal::{JOURNAL_DIRECTORY, JournalStore};
use crate::position::Position;

mod earlier;
#[cfg(test)]
mod tests;

use earlier::Earlier;

/// Where the segments of a new backup are until all of them are durable. A killed backup is recognised by it.
const UNFINISHED: &str = "journal.backup-unfinished";

/// How to make a backup.
#[derive(Default)]
#[must_use]
pub struct BackupOptions<'a> {
    link_sealed: bool,
    watcher: Watcher<'a>,
}

impl fmt::Debug for BackupOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BackupOptions")
            .field("link_sealed", &self.link_sealed)
            .finish_non_exhaustive()
    }
}

impl<'a> BackupOptions<'a> {
    /// Everything is copied, and nobody is told of the progress.
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives the sealed segments of a new backup as hard links instead of copies: at once and without taking space, on
    /// the same file system only. A link is a second name of the same bytes. It protects from deleted files and from
    /// what happens to the store later, but a sector that fails or a bit that flips is lost in both. Use it for a point
    /// to go back to, not for the backup that the books rest on. Bringing an earlier backup up to date copies always.
    pub fn link_sealed(mut self, link: bool) -> Self {
        self.link_sealed = link;
        self
    }

    /// Is told how far it has come, after each frame; whoever breaks here stops the backup with
    /// [`CopyError::Stopped`], and can run it again.
    pub fn on_progress(
        mut self,
        watcher: impl FnMut(&CopyProgress) -> ControlFlow<()> + 'a,
    ) -> Self {
        self.watcher = Some(Box::new(watcher));
        self
    }
}

/// What a backup holds now, and how it came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BackupReport {
    /// The position of the last event in it.
    pub head: Position,
    /// How many segments it has.
    pub segments: usize,
    /// Of them, how many an earlier backup had already; each was read and checked again.
    pub segments_kept: usize,
    /// Of them, how many are hard links.
    pub segments_linked: usize,
    /// How many bytes were copied.
    pub bytes_copied: u64,
    /// How long it took.
    pub duration: Duration,
}

/// Makes a backup of the store in `from` in the directory `to`, or brings an earlier one up to date. Blocks.
///
/// The store may be closed, or open in this or another process that goes on writing meanwhile: nothing is locked there
/// and nothing changed. The backup ends behind a whole frame, so every append is in it or not in it as a whole, and it
/// holds every event that was acknowledged before the call.
///
/// Each frame is checked against its hash while it is copied. A damaged journal gives an error that names the place, and
/// no backup. Of an earlier backup the sealed segments are read and checked, and kept if they hold; others are copied
/// anew.
///
/// The backup is a directory that [`JournalOptions::open`](crate::JournalOptions::open) opens (building the index then),
/// or [`JournalOptions::open_read_only`](crate::JournalOptions::open_read_only), or [`restore`](crate::restore) reads.
/// It has no snapshots and no read models, which are derived from the journal. Everything in it is durable when this
/// returns. If it is killed, a new backup is found as `journal.backup-unfinished`, which no store opens, and an earlier
/// one holds what it did or more; run it again in either case.
///
/// ```
/// use foldhouse_store::{BackupOptions, JournalOptions, backup};
///
/// # let directory = tempfile::tempdir()?;
/// # let (books, copy) = (directory.path().join("books"), directory.path().join("copy"));
/// let store = JournalOptions::new().segment_bytes(1 << 20).open(&books)?;
/// let report = backup(&books, &copy, BackupOptions::new())?;
/// assert_eq!(report.segments, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// See [`CopyError`]: each variant says what to do.
pub fn backup(
    from: impl AsRef<Path>,
    to: impl AsRef<Path>,
    options: BackupOptions<'_>,
) -> Result<BackupReport, CopyError> {
    run(from.as_ref(), to.as_ref(), options, Position::BEFORE_FIRST)
}

impl JournalStore {
    /// Makes a [`backup`] of this store in the directory `to`, or brings an earlier one up to date, while writes go on.
    /// Blocks.
    ///
    /// # Errors
    /// See [`CopyError`]: each variant says what to do.
    pub fn backup(
        &self,
        to: impl AsRef<Path>,
        options: BackupOptions<'_>,
    ) -> Result<BackupReport, CopyError> {
        run(self.directory(), to.as_ref(), options, self.head())
    }
}

fn run(
    from: &Path,
    to: &Path,
    options: BackupOptions<'_>,
    acked: Position,
) -> Result<BackupReport, CopyError> {
    let start = Instant::now();
    let disk = source_disk(from);
    let headers = headers_beside_a_writer(&disk, from).map_err(CopyError::Source)?;
    let lock = lock_target(to, from)?;
    let target = Target::begun(to, UNFINISHED, lock)?;
    let earlier = Earlier::read(to, target.segments(), &headers)?;
    let mut backup = Backup {
        links: (options.link_sealed && target.is_unfinished())
            .then(|| from.join(JOURNAL_DIRECTORY)),
        progress: Progress::new(&disk, &headers, options.watcher)?,
        copy: JournalCopy::new(&target),
        disk,
        earlier,
        report: BackupReport {
            segments: headers.len(),
            ..BackupReport::default()
        },
    };
    backup.copy_segments(&headers, acked)?;
    backup.copy.finish()?;
    target.finish()?;
    backup.report.duration = start.elapsed();
    Ok(backup.report)
}

struct Backup<'a> {
    disk: Arc<dyn Disk>,
    /// Where to link sealed segments from, if they are linked.
    links: Option<std::path::PathBuf>,
    earlier: Earlier,
    copy: JournalCopy,
    progress: Progress<'a>,
    report: BackupReport,
}

impl Backup<'_> {
    fn copy_segments(
        &mut self,
        headers: &[SegmentHeader],
        acked: Position,
    ) -> Result<(), CopyError> {
        for (index, header) in headers.iter().enumerate() {
            let next = headers.get(index + 1);
            if let Some(next) = next
                && let Some(bytes) = self.earlier.whole_segment(header, next)?
            {
                self.report.segments_kept += 1;
                let last = Position::new(next.first_position.get().saturating_sub(1));
                self.progress.add(bytes, last)?;
                continue;
            }
            let follower = match (next, &self.links) {
                (Some(_), Some(from)) => {
                    let from = from.clone();
                    self.link_segment(header, &from)?
                }
                _ => self.copy_segment(header)?,
            };
            self.report.head = follower.end().head();
            if next.is_none() && self.report.head < acked {
                let what = format!("the journal ends here, but position {acked} was acknowledged");
                return Err(CopyError::Source(follower.damaged(what)));
            }
        }
        Ok(())
    }

    /// Copies a segment up to its end, or in the last one up to the last frame that is whole now.
    fn copy_segment(&mut self, header: &SegmentHeader) -> Result<Follower, CopyError> {
        let mut copy = SegmentCopy::begin(&self.disk, header, self.copy.directory())?;
        let mut follower = Follower::new(Arc::clone(&self.disk), header.clone());
        let mut known = self.earlier.end_in(header);
        let end = follower.follow(Look::Thorough, |frame| {
            copy.put(frame.bytes)?;
            if let Some(end) = &mut known {
                end.pass(frame);
            }
            let bytes = frame.header.padded_bytes() as u64;
            self.report.bytes_copied += bytes;
            let last = Position::new(frame.header.next_position().get().saturating_sub(1));
            self.progress.add(bytes, last)?;
            Ok::<_, CopyError>(ControlFlow::Continue(()))
        })?;
        if known.is_some_and(|end| !end.was_passed()) {
            return Err(self.earlier.other_history(header));
        }
        if matches!(end, SegmentEnd::Open) {
            // What the copy has must not be lost in the source.
            follower.sync().map_err(CopyError::Source)?;
        }
        self.copy.place(copy)?;
        Ok(follower)
    }

    /// Checks a sealed segment and gives it a second name.
    fn link_segment(&mut self, header: &SegmentHeader, from: &Path) -> Result<Follower, CopyError> {
        let mut follower = Follower::new(Arc::clone(&self.disk), header.clone());
        follower.follow(Look::Thorough, |frame| {
            let last = Position::new(frame.header.next_position().get().saturating_sub(1));
            self.progress
                .add(frame.header.padded_bytes() as u64, last)?;
            Ok::<_, CopyError>(ControlFlow::Continue(()))
        })?;
        self.copy.link(from, header)?;
        self.report.segments_linked += 1;
        Ok(follower)
    }
}

impl From<OpenError> for CopyError {
    fn from(error: OpenError) -> Self {
        Self::Source(error)
    }
}
