//! Reading the events of all streams in the order of their positions, frame by frame.

use std::sync::PoisonError;

use bytes::Bytes;

use crate::bytes_io::Fields;
use crate::error::{Fault, ReadError};
use crate::event::RecordedEvent;
use crate::event_store::Page;
use crate::journal::frame::{self, FRAME_HEADER_BYTES, FrameHeader, HeaderCheck};
use crate::journal::reader::{CHUNK_BYTES, JournalReader, PAGE_BYTES};
use crate::journal::record::{self, RawRecord};
use crate::journal::segment::FIRST_FRAME_OFFSET;
use crate::position::Position;

/// How many readers' places are remembered.
const CURSORS_MAX: usize = 64;
/// Recent frames taken in one page.
const RECENT_FRAMES_MAX: usize = 64;

/// The place of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameCursor {
    segment: u64,
    offset: u64,
}

/// A page of events from all streams.
#[derive(Debug)]
struct PageInMaking {
    /// The position of the event that it takes next.
    next: Position,
    head: Position,
    limit: usize,
    bytes: usize,
    events: Vec<RecordedEvent>,
}

impl PageInMaking {
    fn is_full(&self) -> bool {
        self.next > self.head || self.events.len() >= self.limit || self.bytes >= PAGE_BYTES
    }

    fn finish(self, after: Position) -> Page<Position> {
        let last = self.events.last().map_or(after, |event| event.position);
        let next = (last < self.head && !self.events.is_empty()).then_some(last);
        Page {
            events: self.events,
            next,
        }
    }
}

impl JournalReader {
    pub(crate) fn read_all(
        &self,
        after: Position,
        head: Position,
        limit: usize,
    ) -> Result<Page<Position>, ReadError> {
        let mut page = PageInMaking {
            next: after.next(),
            head,
            limit,
            bytes: 0,
            events: Vec::new(),
        };
        if page.is_full() {
            return Ok(page.finish(after));
        }
        for frame in self.recent.since(page.next, RECENT_FRAMES_MAX) {
            self.take_frame(&frame.body, frame.first_position, &mut page)
                .ok_or_else(|| ReadError::Io(Fault::new("a frame in memory is damaged")))?;
            if page.is_full() {
                break;
            }
        }
        if page.events.is_empty() {
            self.scan(&mut page)?;
        }
        Ok(page.finish(after))
    }

    /// Fills `page` from the segment files.
    fn scan(&self, page: &mut PageInMaking) -> Result<(), ReadError> {
        let mut cursor = self.cursor_for(page.next)?;
        let mut file = self.open(cursor.segment)?;
        let mut chunk = Bytes::new();
        while !page.is_full() {
            if self.segments.first_position(cursor.segment + 1) == Some(page.next) {
                cursor = FrameCursor {
                    segment: cursor.segment + 1,
                    offset: FIRST_FRAME_OFFSET,
                };
                file = self.open(cursor.segment)?;
                chunk = Bytes::new();
            }
            if chunk.len() < FRAME_HEADER_BYTES {
                chunk = self.read(&*file, cursor.segment, cursor.offset, CHUNK_BYTES)?;
            }
            let next = page.next;
            let damage = |what| self.damage(cursor.segment, cursor.offset, next, what);
            let HeaderCheck::Sound(header) = FrameHeader::check(&chunk) else {
                return Err(damage("there is no frame header"));
            };
            if chunk.len() < header.frame_bytes() {
                let len = header.padded_bytes().max(CHUNK_BYTES);
                chunk = self.read(&*file, cursor.segment, cursor.offset, len)?;
            }
            if header.next_position() > page.next {
                let frame = chunk.get(..header.frame_bytes()).unwrap_or_default();
                if !header.is_intact(frame) {
                    return Err(damage("the frame does not match its hash"));
                }
                let body = chunk.slice_ref(frame::body(frame));
                self.take_frame(&body, header.first_position, page)
                    .ok_or_else(|| damage("a record of the frame cannot be decoded"))?;
                if page.events.is_empty() {
                    return Err(damage("the frame starts behind the next position"));
                }
                if page.next < header.next_position() {
                    break; // The page is full in the middle of this frame: the next one starts here.
                }
            }
            cursor.offset += header.padded_bytes() as u64;
            chunk = chunk.slice(header.padded_bytes().min(chunk.len())..);
        }
        self.remember(page.next, cursor);
        Ok(())
    }

    /// Decodes the events of a frame that the page has room for. `None` if one cannot be decoded.
    fn take_frame(
        &self,
        body: &Bytes,
        first_position: Position,
        page: &mut PageInMaking,
    ) -> Option<()> {
        let mut fields = Fields::new(body);
        let mut position = first_position;
        self.with_names(|names| {
            while !fields.rest().is_empty() && !page.is_full() {
                let raw = RawRecord::next(&mut fields)?;
                if raw.is_foreign() {
                    return None;
                }
                if !raw.is_event() {
                    continue;
                }
                if position == page.next {
                    page.bytes += raw.content.len();
                    page.events
                        .push(record::decode(body, raw.content, position, names)?);
                    page.next = position.next();
                }
                position = position.next();
            }
            Some(())
        })
    }

    /// A frame at or before the one with `position`.
    fn cursor_for(&self, position: Position) -> Result<FrameCursor, ReadError> {
        let mut cursors = self.cursors.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = cursors.iter().position(|(next, _)| *next == position)
            && let Some((_, cursor)) = cursors.remove(at)
        {
            return Ok(cursor);
        }
        drop(cursors);
        let segment = self.segments.number_of(position);
        let frames = match self.live.view().segment(segment) {
            Some(live) => {
                let frames = &live.read().frames;
                let behind = frames.partition_point(|frame| frame.first_position <= position);
                frames
                    .get(behind.saturating_sub(1))
                    .map(|frame| frame.offset)
            }
            None => {
                // Without them the segment is read from its start.
                let frames =
                    self.beside_or(|sidecar| sidecar.frames(segment), || Ok(Vec::new()))?;
                let behind = frames.partition_point(|frame| frame.first_position <= position);
                frames
                    .get(behind.saturating_sub(1))
                    .map(|frame| frame.offset)
            }
        };
        let offset = frames.map_or(FIRST_FRAME_OFFSET, u64::from);
        Ok(FrameCursor { segment, offset })
    }

    fn remember(&self, next: Position, cursor: FrameCursor) {
        let mut cursors = self.cursors.lock().unwrap_or_else(PoisonError::into_inner);
        if cursors.len() >= CURSORS_MAX {
            cursors.pop_front();
        }
        cursors.push_back((next, cursor));
    }
}
