use std::io;
use std::sync::Arc;

use crate::clock::Timestamp;
use crate::error::Fault;
use crate::journal::block_buffer::BlockBuffer;
use crate::journal::closing_mark::{self, MARK_FRAME_BYTES};
use crate::journal::disk::{BlockWriter, Disk, WriteMode};
use crate::journal::frame::{self, FrameFacts};
use crate::journal::segment::{BLOCK_BYTES, FIRST_FRAME_OFFSET, Hash, SegmentHeader};
use crate::journal::spare::{SPARE_NAME, SpareSegments};
use crate::position::Position;

/// The only writer of the journal: puts frames one behind the other into the active segment, and goes on in a new one
/// when it is full.
#[derive(Debug)]
pub(crate) struct SegmentWriter {
    disk: Arc<dyn Disk>,
    spares: SpareSegments,
    file: Box<dyn BlockWriter>,
    header: SegmentHeader,
    offset: u64,
    last_hash: Hash,
    buffer: BlockBuffer,
}

/// A segment that takes no more frames.
#[derive(Clone, Debug)]
pub(crate) struct SealedSegment {
    pub(crate) header: SegmentHeader,
    /// Where its last frame ends.
    pub(crate) length_bytes: u64,
    pub(crate) last_hash: Hash,
}

/// What a frame holds, and where it came to stand.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FrameContent {
    pub(crate) record_count: u32,
    pub(crate) event_count: u32,
    pub(crate) first_position: Position,
    pub(crate) committed_at: Timestamp,
}

/// A failed write, by what is known of the disk after it.
#[derive(Debug)]
pub(crate) enum WriteFailure {
    /// The journal is as before; a later write may work.
    Refused(Fault),
    /// The journal is as before as far as acked frames go, but cannot be written to until it is reopened.
    Broken(Fault),
    /// The frame may or may not be on disk, and nothing can be written until the journal is reopened.
    Unknown(Fault),
}

/// By so much a segment without an event grows at least.
const GROWTH_BYTES: usize = 1 << 20;
/// Beyond this it takes no frame without events any more. Offsets in it are kept in 32 bits, and there must be room for a
/// frame with events, which ends it.
const GROWN_BYTES_MAX: u64 = 2 << 30;

impl SegmentWriter {
    /// Goes on in the segment `header` at `offset`, behind the frame with `last_hash`.
    pub(crate) fn resume(
        disk: Arc<dyn Disk>,
        spares: SpareSegments,
        header: SegmentHeader,
        offset: u64,
        last_hash: Hash,
    ) -> io::Result<Self> {
        let file = disk.open_writer(&header.file_name())?;
        Ok(Self {
            disk,
            spares,
            file,
            header,
            offset,
            last_hash,
            buffer: BlockBuffer::default(),
        })
    }

    pub(crate) fn mode(&self) -> WriteMode {
        self.file.mode()
    }

    pub(crate) fn segment(&self) -> &SegmentHeader {
        &self.header
    }

    /// Whether a frame with that much body still goes into the active segment, and the closing mark behind it.
    pub(crate) fn has_room(&self, body_bytes: usize) -> bool {
        self.holds(frame::padded_bytes(body_bytes).saturating_add(MARK_FRAME_BYTES))
    }

    /// The last block is never written: a sealed segment, which gives back what it does not need, is shorter than its
    /// header says. So it cannot pass for the last one when that is missing.
    fn holds(&self, bytes: usize) -> bool {
        self.offset.saturating_add(bytes as u64) < self.header.capacity_bytes
    }

    /// Writes one frame durably, with one system call, and gives back its offset.
    pub(crate) fn write(
        &mut self,
        body: &[u8],
        content: &FrameContent,
    ) -> Result<u64, WriteFailure> {
        let offset = self.write_frame(body, content)?;
        if self.offset > self.header.capacity_bytes / 2 {
            self.spares.prepare_ahead();
        }
        Ok(offset)
    }

    /// Makes the active segment large enough for a frame with that much body: for a segment without an event, since the
    /// next one would have the same first position, which is its name.
    ///
    /// Growing is durable before it is used, and what is added is zeros: a frame that is torn there is recognised as
    /// anywhere else.
    pub(crate) fn grow(
        &mut self,
        body_bytes: usize,
        is_eventless: bool,
    ) -> Result<(), WriteFailure> {
        let refused = |fault| Err(WriteFailure::Refused(fault));
        let needed = frame::padded_bytes(body_bytes).saturating_add(MARK_FRAME_BYTES + BLOCK_BYTES);
        let end = self.offset + (needed.max(GROWTH_BYTES) as u64);
        let limit = if is_eventless {
            GROWN_BYTES_MAX
        } else {
            u64::from(u32::MAX)
        };
        if end > limit {
            return refused(Fault::new(format!(
                "{} is full of commands without events; it is left behind with the next event",
                self.header.file_name()
            )));
        }
        let from = self.offset.max(self.header.capacity_bytes);
        let mut buffer = BlockBuffer::default();
        let bytes = usize::try_from(end.saturating_sub(from)).unwrap_or(usize::MAX);
        if let Err(error) = self.file.write_durably(from, buffer.zeroed(bytes)) {
            let what = format!("no room to grow {}", self.header.file_name());
            return refused(Fault::io(what, error));
        }
        self.header.capacity_bytes = end;
        Ok(())
    }

    /// Writes the mark that nothing follows, unless there is no room for it: a segment that was filled by a build which
    /// did not leave any goes without.
    pub(crate) fn write_closing_mark(
        &mut self,
        next_position: Position,
        committed_at: Timestamp,
    ) -> Result<(), WriteFailure> {
        if !self.holds(MARK_FRAME_BYTES) {
            return Ok(());
        }
        let content = FrameContent {
            record_count: 1,
            event_count: 0,
            first_position: next_position,
            committed_at,
        };
        self.write_frame(&closing_mark::body(next_position), &content)
            .map(drop)
    }

    fn write_frame(&mut self, body: &[u8], content: &FrameContent) -> Result<u64, WriteFailure> {
        let blocks = self.buffer.of(frame::padded_bytes(body.len()));
        let facts = FrameFacts {
            record_count: content.record_count,
            event_count: content.event_count,
            first_position: content.first_position,
            committed_at: content.committed_at,
            previous_hash: self.last_hash,
        };
        let hash = frame::encode(blocks, body, &facts);
        let offset = self.offset;
        self.file.write_durably(offset, blocks).map_err(|error| {
            WriteFailure::Unknown(Fault::io(
                format!(
                    "writing a frame at offset {offset} of {}",
                    self.header.file_name()
                ),
                error,
            ))
        })?;
        self.offset += blocks.len() as u64;
        self.last_hash = hash;
        Ok(offset)
    }

    /// Seals the active segment and opens the next one, whose first event has `first_position`.
    pub(crate) fn roll(
        &mut self,
        first_position: Position,
        created_at: Timestamp,
    ) -> Result<SealedSegment, WriteFailure> {
        // It would get the name of the segment that it follows, and take its place.
        if self.offset == FIRST_FRAME_OFFSET {
            return Err(WriteFailure::Refused(Fault::new(
                "a frame does not fit into an empty segment; this is a bug of foldhouse",
            )));
        }
        self.spares.wait_for_one().map_err(|error| {
            WriteFailure::Refused(Fault::io("no room for a new journal segment", error))
        })?;
        let header = SegmentHeader {
            number: self.header.number + 1,
            first_position,
            created_at,
            previous_hash: self.last_hash,
            capacity_bytes: self.spares.segment_bytes(),
            ..self.header
        };
        let file = place_segment(&*self.disk, &header).map_err(|error| {
            WriteFailure::Broken(Fault::io(
                format!("opening segment {}", header.file_name()),
                error,
            ))
        })?;
        self.spares.taken();
        self.file = file;
        let sealed = SealedSegment {
            header: std::mem::replace(&mut self.header, header),
            length_bytes: std::mem::replace(&mut self.offset, FIRST_FRAME_OFFSET),
            last_hash: self.last_hash,
        };
        Ok(sealed)
    }

    /// Gives the memory of one huge frame back.
    pub(crate) fn shrink_buffer(&mut self, frame_bytes_max: usize) {
        self.buffer.shrink_to(frame::padded_bytes(frame_bytes_max));
    }
}

/// Makes the spare file the segment `header`. The header is durable before the file gets the name of a segment: a file
/// with such a name always starts with a whole header.
pub(crate) fn place_segment(
    disk: &dyn Disk,
    header: &SegmentHeader,
) -> io::Result<Box<dyn BlockWriter>> {
    let mut buffer = BlockBuffer::default();
    let block = buffer.of(BLOCK_BYTES);
    block.copy_from_slice(&header.encode());
    let mut file = disk.open_writer(SPARE_NAME)?;
    file.write_durably(0, block)?;
    disk.rename(SPARE_NAME, &header.file_name())?;
    Ok(file)
}
