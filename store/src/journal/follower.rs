//! Reading a journal frame by frame beside whoever writes it: nothing is locked, and nothing is changed.
//!
//! What is behind the last frame that holds can be in the making: a write that is under way or was torn, a roll into a
//! new segment, a sealed segment that loses its unused end. None of this is damage. A writer never changes a block that
//! holds a whole frame, and it writes frames strictly one after the other; so what does not hold, and still does not
//! after something that was written later has been seen, was whole once.

use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::thread::sleep;
use std::time::Duration;

use crate::error::OpenError;
use crate::journal::disk::{BlockReader, Disk};
use crate::journal::frame::{FRAME_HEADER_BYTES, is_zero};
use crate::journal::recovery::{damaged, io_error, newer_format, read_header};
use crate::journal::scan::{ScanEnd, Scanned, ScannedFrame, SegmentScan, Tail, judge_tail};
use crate::journal::segment::{self, FIRST_FRAME_OFFSET, SegmentHeader};
use crate::position::Position;

/// How often something is looked at before it counts as damaged. Twice is enough by what is said above; the rest is for
/// file systems that show a write in parts.
const LOOKS: u32 = 4;
const LOOK_PAUSE: Duration = Duration::from_millis(5);

/// How closely the end of the last segment is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// All of what follows the last frame is read: damage is told from a write that did not complete.
    Thorough,
    /// If the next frame does not even begin, nothing more is read: for those who come back often.
    Brief,
}

/// A place in a journal, behind frames that hold.
#[derive(Clone, Debug)]
pub(crate) struct Follower {
    disk: Arc<dyn Disk>,
    header: SegmentHeader,
    end: ScanEnd,
}

/// Where a follower came to stand.
#[derive(Debug)]
pub(crate) enum SegmentEnd {
    /// The segment is sealed, and goes over into this one.
    Sealed(SegmentHeader),
    /// This is the last segment; there are no more frames for now.
    Open,
    /// Who takes the frames has enough.
    Stopped,
}

impl Follower {
    /// Before the first frame of a segment.
    pub(crate) fn new(disk: Arc<dyn Disk>, header: SegmentHeader) -> Self {
        let end = ScanEnd::start_of(&header);
        Self { disk, header, end }
    }

    pub(crate) fn header(&self) -> &SegmentHeader {
        &self.header
    }

    pub(crate) fn end(&self) -> &ScanEnd {
        &self.end
    }

    /// Goes on in the next segment, which [`Follower::follow`] has told of.
    pub(crate) fn enter(&mut self, next: SegmentHeader) {
        self.end = ScanEnd::start_of(&next);
        self.header = next;
    }

    /// Takes every frame up to the end of this segment.
    pub(crate) fn follow<E: From<OpenError>>(
        &mut self,
        look: Look,
        mut take: impl FnMut(&ScannedFrame<'_>) -> Result<ControlFlow<()>, E>,
    ) -> Result<SegmentEnd, E> {
        let mut looks = 0;
        loop {
            let before = self.end.offset;
            let file = self.open_segment()?;
            let found = match self.take_frames(&file, look, &mut take)? {
                ControlFlow::Continue(found) => found,
                ControlFlow::Break(()) => return Ok(SegmentEnd::Stopped),
            };
            if let Some(next) = self.next_segment()? {
                return Ok(SegmentEnd::Sealed(next));
            }
            let Some(what) = self.judge(&file, look, found)? else {
                return Ok(SegmentEnd::Open);
            };
            looks = if self.end.offset > before {
                1
            } else {
                looks + 1
            };
            if looks >= LOOKS {
                return Err(self.damaged(what).into());
            }
            sleep(LOOK_PAUSE);
        }
    }

    /// Takes frames while they hold; gives back why the next one does not.
    fn take_frames<E: From<OpenError>>(
        &mut self,
        file: &Arc<dyn BlockReader>,
        look: Look,
        take: &mut impl FnMut(&ScannedFrame<'_>) -> Result<ControlFlow<()>, E>,
    ) -> Result<ControlFlow<(), &'static str>, E> {
        if look == Look::Brief && self.begins_with_zeros(&**file)? {
            return Ok(ControlFlow::Continue("there is no frame header"));
        }
        let mut scan = SegmentScan::resume(Arc::clone(file), self.end);
        loop {
            match scan.next_frame().map_err(reading)? {
                Scanned::Frame(frame) => {
                    let flow = take(&frame)?;
                    self.end = scan.end();
                    if flow.is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                }
                Scanned::NoFrame(why) => return Ok(ControlFlow::Continue(why)),
                Scanned::NewerFormat(found) => {
                    return Err(newer_format(&self.header.file_name(), found).into());
                }
            }
        }
    }

    fn open_segment(&self) -> Result<Arc<dyn BlockReader>, OpenError> {
        self.disk
            .open_reader(&self.header.file_name())
            .map_err(io_error("opening a segment"))
    }

    fn begins_with_zeros(&self, file: &dyn BlockReader) -> Result<bool, OpenError> {
        let mut header = [0; FRAME_HEADER_BYTES];
        file.read_at(self.end.offset, &mut header)
            .map_err(reading)?;
        Ok(is_zero(&header))
    }

    /// The segment that goes on where this one ends: its name is known beforehand, and a file with such a name always
    /// starts with a whole header.
    fn next_segment(&self) -> Result<Option<SegmentHeader>, OpenError> {
        if self.end.offset == FIRST_FRAME_OFFSET {
            return Ok(None);
        }
        let first_position = self.end.next_position;
        let name = segment::file_name(first_position);
        match self.disk.open_reader(&name) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io_error("opening a segment")(error)),
        }
        let next = read_header(&self.disk, &name, first_position)?;
        let follows = next.number == self.header.number + 1
            && next.first_position == first_position
            && next.store_id == self.header.store_id
            && next.previous_hash == self.end.last_hash;
        Ok(follows.then_some(next))
    }

    /// What does not hold here; `None` if it is only the end for now.
    fn judge(
        &self,
        file: &Arc<dyn BlockReader>,
        look: Look,
        found: &str,
    ) -> Result<Option<String>, OpenError> {
        if let Some(later) = self.later_segment()? {
            return Ok(Some(format!(
                "{found}, and segment {} does not go on from here",
                segment::file_name(later)
            )));
        }
        if look == Look::Brief && self.begins_with_zeros(&**file)? {
            return Ok(None);
        }
        if let Tail::Damaged(what) = judge_tail(file, &self.end, found).map_err(reading)? {
            return Ok(Some(what));
        }
        if file.len_bytes().map_err(reading)? < self.header.capacity_bytes {
            let what = "the active segment is shorter than its header says";
            return Ok(Some(what.to_owned()));
        }
        Ok(None)
    }

    /// The first position of a segment behind this one, if there is one.
    fn later_segment(&self) -> Result<Option<Position>, OpenError> {
        let names = self.disk.names().map_err(io_error("listing the journal"))?;
        let positions = names
            .iter()
            .filter_map(|name| segment::parse_file_name(name));
        Ok(positions
            .filter(|position| *position > self.header.first_position)
            .min())
    }

    /// Sees to it that what was read is durable, and not only in the cache of the system.
    pub(crate) fn sync(&self) -> Result<(), OpenError> {
        match self.disk.sync(&self.header.file_name()) {
            // Nothing is under way there.
            Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => Ok(()),
            synced => synced.map_err(io_error("making durable what was read")),
        }
    }

    pub(crate) fn damaged(&self, what: impl Into<String>) -> OpenError {
        damaged(&self.header, self.end.offset, self.end.next_position, what)
    }
}

fn reading(error: io::Error) -> OpenError {
    io_error("reading a segment")(error)
}
