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
const STOPS_MAX: usize = 64;
/// Recent frames taken in one page.
const RECENT_FRAMES_MAX: usize = 64;

/// Room for so many events is made at once; few pages take more.
const RESERVED_EVENTS_MAX: usize = 1_024;

/// How many of these places come with what was read behind them.
const HELD_MAX: usize = 8;

/// The place of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameCursor {
    segment: u64,
    offset: u64,
}

/// Where a reader of all events stopped.
#[derive(Clone, Debug)]
pub(super) struct Stop {
    /// What it reads next, which is in the frame at `place` or behind it.
    next: Position,
    place: FrameCursor,
    held: Held,
}

/// What a reader has read from a frame on: without it, each page would read, and check, what the one before has.
#[derive(Clone, Debug, Default)]
struct Held {
    chunk: Bytes,
    /// Within the frame, which is checked then.
    within: Option<Within>,
}

/// Where the next event of a frame is.
#[derive(Clone, Copy, Debug)]
struct Within {
    offset_in_body: usize,
    position: Position,
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
        // At once: events are large, and would be moved again and again.
        let there = usize::try_from(head.get().saturating_sub(after.get())).unwrap_or(usize::MAX);
        page.events
            .reserve_exact(there.min(limit).min(RESERVED_EVENTS_MAX));
        for frame in self.recent.since(page.next, RECENT_FRAMES_MAX) {
            let start = Within {
                offset_in_body: 0,
                position: frame.first_position,
            };
            self.take_frame(&frame.body, start, &mut page)
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
        let (
            mut cursor,
            Held {
                mut chunk,
                mut within,
            },
        ) = self.stop_at(page.next)?;
        let mut file = self.open(cursor.segment)?;
        // What is held may have been read before the frames behind that one were written.
        let mut is_fresh = false;
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
                is_fresh = true;
            }
            let next = page.next;
            let damage = |what| self.damage(cursor.segment, cursor.offset, next, what);
            let HeaderCheck::Sound(header) = FrameHeader::check(&chunk) else {
                if !is_fresh {
                    (chunk, within) = (Bytes::new(), None);
                    continue;
                }
                return Err(damage("there is no frame header"));
            };
            if chunk.len() < header.frame_bytes() {
                let len = header.padded_bytes().max(CHUNK_BYTES);
                chunk = self.read(&*file, cursor.segment, cursor.offset, len)?;
                (is_fresh, within) = (true, None);
            }
            if header.next_position() > page.next {
                let frame = chunk.get(..header.frame_bytes()).unwrap_or_default();
                if within.is_none() && !header.is_intact(frame) {
                    if !is_fresh {
                        chunk = Bytes::new();
                        continue;
                    }
                    return Err(damage("the frame does not match its hash"));
                }
                let body = chunk.slice_ref(frame::body(frame));
                let start = within.take().unwrap_or(Within {
                    offset_in_body: 0,
                    position: header.first_position,
                });
                let end = self
                    .take_frame(&body, start, page)
                    .ok_or_else(|| damage("a record of the frame cannot be decoded"))?;
                if page.events.is_empty() {
                    return Err(damage("the frame starts behind the next position"));
                }
                if page.next < header.next_position() {
                    // The page is full in the middle of this frame: the next one starts here.
                    within = Some(end);
                    break;
                }
            }
            cursor.offset += header.padded_bytes() as u64;
            chunk = chunk.slice(header.padded_bytes().min(chunk.len())..);
        }
        // At the head nobody goes on for now.
        let held = match page.next > page.head {
            true => Held::default(),
            false => Held { chunk, within },
        };
        self.remember(Stop {
            next: page.next,
            place: cursor,
            held,
        });
        Ok(())
    }

    /// Decodes the events of a frame that the page has room for, and tells where it ended. `None` if one cannot be decoded.
    fn take_frame(&self, body: &Bytes, start: Within, page: &mut PageInMaking) -> Option<Within> {
        let mut fields = Fields::new(body.get(start.offset_in_body..)?);
        let mut position = start.position;
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
            Some(Within {
                offset_in_body: body.len() - fields.rest().len(),
                position,
            })
        })
    }

    /// A frame at or before the one with `position`, and what is held of it.
    fn stop_at(&self, position: Position) -> Result<(FrameCursor, Held), ReadError> {
        let mut stops = self.stops.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = stops.iter().position(|stop| stop.next == position)
            && let Some(Stop { place, held, .. }) = stops.remove(at)
        {
            return Ok((place, held));
        }
        drop(stops);
        self.cursor_for(position)
            .map(|cursor| (cursor, Held::default()))
    }

    /// A frame at or before the one with `position`.
    fn cursor_for(&self, position: Position) -> Result<FrameCursor, ReadError> {
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

    fn remember(&self, stop: Stop) {
        let mut stops = self.stops.lock().unwrap_or_else(PoisonError::into_inner);
        if stops.len() >= STOPS_MAX {
            stops.pop_front();
        }
        stops.push_back(stop);
        let older = stops.len().saturating_sub(HELD_MAX);
        for stop in stops.iter_mut().take(older) {
            stop.held = Held::default();
        }
    }
}
