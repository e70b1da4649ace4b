//! A store as it was at one point, in a new directory.

use std::fmt;
use std::ops::ControlFlow;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::DateTime;

use crate::clock::Timestamp;
use crate::error::CopyError;
use crate::journal::copy::{
    CopyProgress, JournalCopy, Progress, SegmentCopy, Target, lock_target, source_disk,
};
use crate::journal::disk::Disk;
use crate::journal::follower::{Follower, Look};
use crate::journal::frame::{self, FrameFacts};
use crate::journal::read_only::headers_beside_a_writer;
use crate::journal::recovery::damaged;
use crate::journal::scan::ScannedFrame;
use crate::journal::segment::SegmentHeader;
use crate::position::Position;

mod cut;
#[cfg(test)]
mod tests;

use cut::{Cut, LastAppend, cut};

/// Where the segments of a restored store are until all of them are durable.
const UNFINISHED: &str = "journal.restore-unfinished";

/// Up to where a store is restored, inclusive.
///
/// As text it is `head`, a position (`4711`), or a time as of RFC 3339 (`2026-03-31T23:59:59Z`, with any offset; what is
/// below a microsecond is dropped).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// Everything there is.
    Head,
    /// Everything up to and including this position.
    Position(Position),
    /// Everything that was recorded at or before this time. Later than the last event it is everything there is.
    Time(Timestamp),
}

/// A text that names no point to restore to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no point to restore to: it takes head, a position (4711), or a time (2026-03-31T23:59:59Z)"
)]
pub struct InvalidUntil(String);

impl FromStr for Until {
    type Err = InvalidUntil;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "head" {
            return Ok(Self::Head);
        }
        if let Ok(number) = text.parse() {
            return Ok(Self::Position(Position::new(number)));
        }
        DateTime::parse_from_rfc3339(text)
            .map(|at| Self::Time(at.to_utc().into()))
            .map_err(|_| InvalidUntil(text.to_owned()))
    }
}

impl fmt::Display for Until {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Head => f.write_str("head"),
            Self::Position(position) => position.fmt(f),
            Self::Time(at) => at.fmt(f),
        }
    }
}

impl Until {
    fn includes(self, position: Position, recorded_at: Timestamp) -> bool {
        match self {
            Self::Head => true,
            Self::Position(until) => position <= until,
            Self::Time(until) => recorded_at <= until,
        }
    }
}

/// Where a restored store ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestoreReport {
    /// What was asked for.
    pub until: Until,
    /// The position of the last event that is in the store; 0 if it is empty.
    pub position: Position,
    /// When that event was recorded.
    pub last_recorded_at: Option<Timestamp>,
    /// The first and the last position of the append that has the position asked for in its middle. It is all or nothing,
    /// so it was left out as a whole, and the store ends before it.
    pub append_left_out: Option<(Position, Position)>,
    /// How many segments it has.
    pub segments: usize,
    /// How many bytes its segments hold.
    pub bytes: u64,
    /// How long it took.
    pub duration: Duration,
}

/// Makes a store in `to`, a new or empty directory, that is the one in `from` as it was at the point `until`. Blocks.
///
/// The source is a backup, or a store that is closed, or open in this or another process: nothing is locked there and
/// nothing changed. Each frame is checked against its hash on the way.
///
/// No append is split: what was recorded all or nothing is restored all or nothing. If the point falls within an append,
/// the store ends before it, and the report says so. A point before the first event gives an empty store. Positions,
/// versions, ids and times are those of the original, byte for byte; the frames before the point are copied as they are,
/// and of the one that holds it the appends up to it make a new last frame.
///
/// It has no snapshots and no read models, which are derived: opening it builds the index, and projections start over.
/// It has the store id of the original and the same past; what is appended to it is another future. Everything is durable
/// when this returns; a restore that is killed leaves `journal.restore-unfinished`, which no store opens: delete it.
///
/// ```
/// use foldhouse_store::{JournalOptions, Until, restore};
///
/// # let directory = tempfile::tempdir()?;
/// # let (books, then) = (directory.path().join("books"), directory.path().join("then"));
/// # drop(JournalOptions::new().segment_bytes(1 << 20).open(&books)?);
/// let report = restore(&books, &then, "2026-03-31T23:59:59Z".parse()?)?;
/// let store = JournalOptions::new().segment_bytes(1 << 20).open(&then)?;
/// assert_eq!(store.recovery().head, report.position);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// See [`CopyError`]: each variant says what to do. A position behind the last event is [`CopyError::BeyondHead`].
pub fn restore(
    from: impl AsRef<Path>,
    to: impl AsRef<Path>,
    until: Until,
) -> Result<RestoreReport, CopyError> {
    restore_watched(from, to, until, |_| ControlFlow::Continue(()))
}

/// The same as [`restore`], with a watcher that is told how far it has come, after each frame. If it breaks, the restore
/// stops with [`CopyError::Stopped`].
///
/// # Errors
/// See [`restore`].
pub fn restore_watched(
    from: impl AsRef<Path>,
    to: impl AsRef<Path>,
    until: Until,
    watcher: impl FnMut(&CopyProgress) -> ControlFlow<()>,
) -> Result<RestoreReport, CopyError> {
    let start = Instant::now();
    let (from, to) = (from.as_ref(), to.as_ref());
    let disk = source_disk(from);
    let headers = headers_beside_a_writer(&disk, from).map_err(CopyError::Source)?;
    let lock = lock_target(to, from)?;
    let target = Target::new(to, UNFINISHED, lock)?;
    let mut restore = Restore {
        until,
        progress: Progress::new(&disk, &headers, Some(Box::new(watcher)))?,
        copy: JournalCopy::new(&target),
        disk,
        last: None,
        append_left_out: None,
        reached: false,
        segments: 0,
        bytes: 0,
    };
    let copied = restore.copy_segments(&headers);
    if let Err(error) = copied.and_then(|()| restore.copy.finish()) {
        target.abandon();
        return Err(error);
    }
    target.finish()?;
    Ok(restore.report(start.elapsed()))
}

struct Restore<'a> {
    until: Until,
    disk: Arc<dyn Disk>,
    copy: JournalCopy,
    progress: Progress<'a>,
    /// The last append that was taken.
    last: Option<LastAppend>,
    append_left_out: Option<(Position, Position)>,
    /// Nothing that follows is to be taken.
    reached: bool,
    segments: usize,
    bytes: u64,
}

impl Restore<'_> {
    fn copy_segments(&mut self, headers: &[SegmentHeader]) -> Result<(), CopyError> {
        self.reached = !self.until.includes(
            Position::BEFORE_FIRST.next(),
            Timestamp::from_unix_micros(i64::MIN),
        );
        for header in headers {
            // The first one is there even if it is to be empty.
            if self.reached && header.number > 0 {
                break;
            }
            self.copy_segment(header)?;
        }
        match self.until {
            Until::Position(asked) if !self.reached && self.position() < asked => {
                Err(CopyError::BeyondHead {
                    asked,
                    head: self.position(),
                })
            }
            _ => Ok(()),
        }
    }

    fn position(&self) -> Position {
        self.last
            .map_or(Position::BEFORE_FIRST, |append| append.last_position)
    }

    /// Copies what is to be taken of one segment. One without a frame is left out, except for the first.
    fn copy_segment(&mut self, header: &SegmentHeader) -> Result<(), CopyError> {
        let (disk, directory) = (Arc::clone(&self.disk), self.copy.directory().to_owned());
        let begin = || SegmentCopy::begin(&disk, header, &directory);
        let mut copy = if header.number == 0 {
            Some(begin()?)
        } else {
            None
        };
        if !self.reached {
            let mut follower = Follower::new(Arc::clone(&self.disk), header.clone());
            follower.follow(Look::Thorough, |frame| {
                let Some(bytes) = self.taken_of(header, frame)? else {
                    return Ok::<_, CopyError>(ControlFlow::Break(()));
                };
                let copy = match &mut copy {
                    Some(copy) => copy,
                    none => none.insert(begin()?),
                };
                copy.put(&bytes)?;
                self.progress
                    .add(frame.header.padded_bytes() as u64, self.position())?;
                Ok(if self.reached {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                })
            })?;
        }
        if let Some(copy) = copy {
            self.segments += 1;
            self.bytes += copy.length_bytes();
            self.copy.place(copy)?;
        }
        Ok(())
    }

    /// The frame as it is to be in the restored store; `None` if nothing of it is.
    fn taken_of<'f>(
        &mut self,
        header: &SegmentHeader,
        frame: &ScannedFrame<'f>,
    ) -> Result<Option<std::borrow::Cow<'f, [u8]>>, CopyError> {
        let until = self.until;
        let cut = cut(frame, |append| {
            until.includes(append.last_position, append.recorded_at)
        })
        .ok_or_else(|| {
            let what = "a record of the frame cannot be decoded";
            let first_position = frame.header.first_position;
            CopyError::Source(damaged(header, frame.offset, first_position, what))
        })?;
        self.last = cut.last.or(self.last);
        if let Some((first, last)) = cut.left_out {
            self.reached = true;
            let is_within = matches!(until, Until::Position(asked) if first <= asked);
            self.append_left_out = is_within.then_some((first, last));
        }
        if until == Until::Position(self.position()) {
            self.reached = true;
        }
        Ok(if cut.left_out.is_none() {
            Some(frame.bytes.into())
        } else if cut.event_count > 0 {
            Some(shortened(frame, &cut).into())
        } else {
            None
        })
    }

    fn report(self, duration: Duration) -> RestoreReport {
        RestoreReport {
            until: self.until,
            position: self.position(),
            last_recorded_at: self.last.map(|append| append.recorded_at),
            append_left_out: self.append_left_out,
            segments: self.segments,
            bytes: self.bytes,
            duration,
        }
    }
}

/// The frame with its first records only. They keep their positions, and so their checksums.
fn shortened(frame: &ScannedFrame<'_>, cut: &Cut) -> Vec<u8> {
    let body = frame.body.get(..cut.body_bytes).unwrap_or_default();
    let facts = FrameFacts {
        record_count: cut.record_count,
        event_count: cut.event_count,
        first_position: frame.header.first_position,
        committed_at: frame.header.committed_at,
        previous_hash: frame.header.previous_hash,
    };
    let mut bytes = vec![0; frame::padded_bytes(body.len())];
    frame::encode(&mut bytes, body, &facts);
    bytes
}
