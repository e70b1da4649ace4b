use std::io;
use std::ops::Range;
use std::sync::Arc;

use crate::clock::Timestamp;
use crate::journal::disk::BlockReader;
use crate::journal::frame::{self, FRAME_HEADER_BYTES, FrameHeader, HeaderCheck, is_zero};
use crate::journal::segment::{BLOCK_BYTES, FIRST_FRAME_OFFSET, Hash, SegmentHeader};
use crate::position::Position;

/// Walks the frames of one segment from its start, checking the hash of each and that each follows the one before.
#[derive(Debug)]
pub(crate) struct SegmentScan {
    window: Window,
    end: ScanEnd,
}

/// How far a scan has come: behind the last frame that holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ScanEnd {
    pub(crate) offset: u64,
    pub(crate) last_hash: Hash,
    pub(crate) next_position: Position,
    pub(crate) last_committed_at: Option<Timestamp>,
}

/// A frame that holds.
#[derive(Debug)]
pub(crate) struct ScannedFrame<'a> {
    pub(crate) offset: u64,
    pub(crate) header: FrameHeader,
    /// From the header to the footer, without padding.
    pub(crate) bytes: &'a [u8],
    pub(crate) body: &'a [u8],
}

/// What comes next in a segment.
#[derive(Debug)]
pub(crate) enum Scanned<'a> {
    Frame(ScannedFrame<'a>),
    /// No frame: zeros, the end of the file, a torn write or damage; see [`judge_tail`].
    NoFrame(&'static str),
    NewerFormat(u16),
}

/// What stands behind the last frame that holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Tail {
    /// Zeros only.
    Clean,
    /// A write that did not complete, up to this offset.
    Torn { end_offset: u64 },
    /// Something that was whole once and is not what was written.
    Damaged(String),
}

impl ScanEnd {
    /// Before the first frame of a segment.
    pub(crate) fn start_of(header: &SegmentHeader) -> Self {
        Self {
            offset: FIRST_FRAME_OFFSET,
            last_hash: header.previous_hash,
            next_position: header.first_position,
            last_committed_at: None,
        }
    }

    /// The position of the last event before it.
    pub(crate) fn head(&self) -> Position {
        Position::new(self.next_position.get().saturating_sub(1))
    }
}

impl SegmentScan {
    pub(crate) fn new(file: Arc<dyn BlockReader>, header: &SegmentHeader) -> Self {
        Self::resume(file, ScanEnd::start_of(header))
    }

    /// Goes on where an earlier scan of the same segment ended.
    pub(crate) fn resume(file: Arc<dyn BlockReader>, end: ScanEnd) -> Self {
        Self {
            window: Window::new(file),
            end,
        }
    }

    pub(crate) fn end(&self) -> ScanEnd {
        self.end
    }

    /// Goes on elsewhere.
    pub(crate) fn set_end(&mut self, end: ScanEnd) {
        self.end = end;
    }

    /// Whether only zeros stand between `from` and `to`.
    pub(crate) fn is_zero(&mut self, from: u64, to: u64) -> io::Result<bool> {
        let mut offset = from;
        while offset < to {
            let len = usize::try_from(to - offset).map_or(BLOCK_BYTES, |len| len.min(BLOCK_BYTES));
            if !is_zero(self.window.at(offset, len)?) {
                return Ok(false);
            }
            offset += len as u64;
        }
        Ok(true)
    }

    /// What stands at `offset`, taken for a frame's header, and whether all of that frame is whole.
    pub(crate) fn frame_at(&mut self, offset: u64) -> io::Result<Option<(FrameHeader, bool)>> {
        let HeaderCheck::Sound(header) =
            FrameHeader::check(self.window.at(offset, FRAME_HEADER_BYTES)?)
        else {
            return Ok(None);
        };
        let is_intact = header.is_intact(self.window.at(offset, header.frame_bytes())?);
        Ok(Some((header, is_intact)))
    }

    pub(crate) fn next_frame(&mut self) -> io::Result<Scanned<'_>> {
        let offset = self.end.offset;
        let header = match FrameHeader::check(self.window.at(offset, FRAME_HEADER_BYTES)?) {
            HeaderCheck::Sound(header) => header,
            HeaderCheck::NewerFormat(format) => return Ok(Scanned::NewerFormat(format)),
            HeaderCheck::NotAHeader => return Ok(Scanned::NoFrame("there is no frame header")),
        };
        if header.previous_hash != self.end.last_hash {
            return Ok(Scanned::NoFrame(
                "the frame does not follow the one before it",
            ));
        }
        if header.first_position != self.end.next_position {
            return Ok(Scanned::NoFrame(
                "the frame's first position is not the next one",
            ));
        }
        let frame = self.window.at(offset, header.frame_bytes())?;
        if !header.is_intact(frame) {
            return Ok(Scanned::NoFrame("the frame does not match its hash"));
        }
        self.end = ScanEnd {
            offset: offset + header.padded_bytes() as u64,
            last_hash: header.hash,
            next_position: header.next_position(),
            last_committed_at: Some(header.committed_at),
        };
        Ok(Scanned::Frame(ScannedFrame {
            offset,
            header,
            bytes: frame,
            body: frame::body(frame),
        }))
    }
}

/// Decides what stands at `offset`, where a scan of the last segment found no frame.
///
/// Only one write is ever under way, so a torn one is the last thing in the file, and it shows zeros where its missing
/// sectors are. Everything else was durable once: cutting it off would lose acked events silently.
pub(crate) fn judge_tail(
    file: &Arc<dyn BlockReader>,
    end: &ScanEnd,
    found: &str,
) -> io::Result<Tail> {
    let mut window = Window::new(Arc::clone(file));
    let file_bytes = file.len_bytes()?;
    let Some(written_end) = last_written_block_end(&mut window, end.offset, file_bytes)? else {
        return Ok(Tail::Clean);
    };
    let check = FrameHeader::check(window.at(end.offset, FRAME_HEADER_BYTES)?);
    // What stands within a frame is payload, even if it looks like a frame.
    let search_from = match &check {
        HeaderCheck::Sound(header) if follows(header, end) => header.padded_bytes(),
        _ => BLOCK_BYTES,
    };
    let search = end.offset + search_from as u64..written_end;
    if let Some(later) = later_frame(&mut window, search, end.next_position)? {
        return Ok(Tail::Damaged(format!(
            "{found}, and a whole frame follows at offset {later}"
        )));
    }
    let torn = match check {
        HeaderCheck::Sound(header) => {
            let frame_end = end.offset + header.padded_bytes() as u64;
            let frame = window.at(end.offset, header.frame_bytes())?;
            follows(&header, end)
                && written_end <= frame_end
                && (frame.len() < header.frame_bytes() || header.is_torn(frame))
        }
        HeaderCheck::NewerFormat(_) => false,
        HeaderCheck::NotAHeader => {
            let block = window.at(end.offset, BLOCK_BYTES)?;
            let header_missing = is_zero(block.get(..frame::SECTOR_BYTES).unwrap_or_default());
            // No frame has an empty body: one without a body stopped within its header.
            let body_missing = is_zero(block.get(FRAME_HEADER_BYTES..).unwrap_or_default())
                && written_end <= end.offset + BLOCK_BYTES as u64;
            let half_cut_off =
                is_half_cut_off(block) && written_end <= end.offset + BLOCK_BYTES as u64;
            header_missing || body_missing || half_cut_off
        }
    };
    if torn {
        Ok(Tail::Torn {
            end_offset: written_end,
        })
    } else {
        Ok(Tail::Damaged(found.to_owned()))
    }
}

/// Whether cutting off a torn write was itself cut short within its last step, the first sector. A frame that was whole
/// once and fits into a sector still shows its footer there; a larger one reaches beyond.
fn is_half_cut_off(block: &[u8]) -> bool {
    let (first, rest) = block.split_at(frame::SECTOR_BYTES.min(block.len()));
    let there = first.iter().rposition(|byte| *byte != 0);
    let there = first.get(..there.map_or(0, |last| last + 1));
    first.first() == Some(&0)
        && is_zero(rest)
        && there.is_some_and(|there| !there.ends_with(&frame::FRAME_FOOTER))
}

fn last_written_block_end(window: &mut Window, from: u64, to: u64) -> io::Result<Option<u64>> {
    let mut written_end = None;
    for offset in (from..to).step_by(BLOCK_BYTES) {
        if !is_zero(window.at(offset, BLOCK_BYTES)?) {
            written_end = Some(offset + BLOCK_BYTES as u64);
        }
    }
    Ok(written_end)
}

fn follows(header: &FrameHeader, end: &ScanEnd) -> bool {
    header.previous_hash == end.last_hash && header.first_position == end.next_position
}

/// The offset of a whole frame within `search` with events from `position` on, if there is one.
fn later_frame(
    window: &mut Window,
    search: Range<u64>,
    position: Position,
) -> io::Result<Option<u64>> {
    for offset in search.step_by(BLOCK_BYTES) {
        if let HeaderCheck::Sound(header) =
            FrameHeader::check(window.at(offset, FRAME_HEADER_BYTES)?)
            && header.first_position >= position
            && header.is_intact(window.at(offset, header.frame_bytes())?)
        {
            return Ok(Some(offset));
        }
    }
    Ok(None)
}

/// Reads a file in large steps and hands out parts of what it holds.
#[derive(Debug)]
struct Window {
    file: Arc<dyn BlockReader>,
    start: u64,
    bytes: Vec<u8>,
}

const WINDOW_BYTES: usize = 1 << 20;

impl Window {
    fn new(file: Arc<dyn BlockReader>) -> Self {
        Self {
            file,
            start: 0,
            bytes: Vec::new(),
        }
    }

    /// The `len` bytes at `offset`, fewer at the end of the file.
    fn at(&mut self, offset: u64, len: usize) -> io::Result<&[u8]> {
        if !self.holds(offset, len) {
            let file_bytes = usize::try_from(self.file.len_bytes()?.saturating_sub(offset));
            let bytes = len.max(WINDOW_BYTES).min(file_bytes.unwrap_or(usize::MAX));
            self.bytes.resize(bytes, 0);
            let read = self.file.read_at(offset, &mut self.bytes)?;
            self.bytes.truncate(read);
            self.start = offset;
        }
        let from = usize::try_from(offset - self.start).unwrap_or(usize::MAX);
        let held = self.bytes.get(from..).unwrap_or_default();
        Ok(held.get(..len).unwrap_or(held))
    }

    fn holds(&self, offset: u64, len: usize) -> bool {
        let end = offset.saturating_add(len as u64);
        offset >= self.start && end <= self.start + self.bytes.len() as u64
    }
}
