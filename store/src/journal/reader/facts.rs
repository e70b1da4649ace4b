//! What is looked up by in segments that are not in the sidecar: read when somebody looks for something, and kept.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use crate::error::ReadError;
use crate::journal::frame::{self, FRAME_HEADER_BYTES, FrameHeader, HeaderCheck};
use crate::journal::live_index::LiveSegment;
use crate::journal::reader::{CHUNK_BYTES, JournalReader};
use crate::journal::scan::{Scanned, SegmentScan};
use crate::journal::segment::{BLOCK_BYTES, SegmentHeader};
use crate::journal::segment_facts::take_frame;
use crate::look_up::LookUpBy;
use crate::look_up::facts::{CorrelationKey, SegmentFacts, kind_matches};
use crate::position::Position;
use crate::sidecar::{COMMON_PART, Candidates, EventPlace, FramePlace};

/// How many segments' facts are kept: about 24 bytes for each event.
const SEGMENTS_MAX: usize = 8;
/// Recent frames taken at once.
const RECENT_FRAMES_MAX: usize = 64;

/// The segments that were looked through last, newest at the back.
#[derive(Debug, Default)]
pub(super) struct HeldFacts {
    held: Mutex<VecDeque<(u64, Arc<Mutex<SegmentFacts>>)>>,
}

impl HeldFacts {
    fn of(&self, segment: u64) -> Option<Arc<Mutex<SegmentFacts>>> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let at = held.iter().position(|(number, _)| *number == segment)?;
        let found = held.remove(at)?;
        held.push_back(found.clone());
        Some(found.1)
    }

    fn of_or_new(&self, segment: u64, first: Position) -> Arc<Mutex<SegmentFacts>> {
        if let Some(found) = self.of(segment) {
            return found;
        }
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, found)) = held.iter().find(|(number, _)| *number == segment) {
            return Arc::clone(found);
        }
        if held.len() >= SEGMENTS_MAX {
            held.pop_front();
        }
        let new = Arc::new(Mutex::new(SegmentFacts::new(first)));
        held.push_back((segment, Arc::clone(&new)));
        new
    }

    fn forget(&self, segment: u64) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.retain(|(number, _)| *number != segment);
    }
}

impl JournalReader {
    /// The sidecar has them now.
    pub(crate) fn forget_facts(&self, segment: u64) {
        self.facts.forget(segment);
    }

    /// How many events up to `last` of a live segment have not been read into its facts.
    pub(super) fn events_without_facts(&self, segment: u64, last: Position) -> u64 {
        let first = self.segments.first_position(segment).unwrap_or_default();
        let next = self.facts.of(segment).map_or(first, |facts| {
            let facts = facts.lock().unwrap_or_else(PoisonError::into_inner);
            facts.next_position
        });
        last.next().get().saturating_sub(next.get())
    }

    /// Where events of a live segment up to `last`, which are durable, may be; reads what has been added to it.
    pub(super) fn live_candidates(
        &self,
        live: &LiveSegment,
        by: &LookUpBy,
        last: Position,
    ) -> Result<Candidates, ReadError> {
        let facts = self.facts.of_or_new(live.number, live.first_position);
        // Held meanwhile: others would read the same.
        let mut facts = facts.lock().unwrap_or_else(PoisonError::into_inner);
        if facts.next_position <= last {
            self.read_facts(live, last, &mut facts)?;
        }
        if facts.next_position <= last {
            return Ok(Candidates::Anywhere);
        }
        Ok(candidates(&facts, by))
    }

    fn read_facts(
        &self,
        live: &LiveSegment,
        last: Position,
        facts: &mut SegmentFacts,
    ) -> Result<(), ReadError> {
        let frames: Vec<FramePlace> = {
            let places = live.read();
            let known = |frame: &FramePlace| frame.first_position < facts.next_position;
            let start = places.frames.partition_point(known);
            places.frames.get(start..).unwrap_or_default().to_vec()
        };
        let mut chunk = HeldChunk::default();
        let mut recent = VecDeque::new();
        for place in frames {
            if place.first_position > last {
                break;
            }
            if recent.is_empty() {
                recent = self
                    .recent
                    .since(place.first_position, RECENT_FRAMES_MAX)
                    .into();
            }
            let mut in_memory = std::iter::from_fn(|| recent.pop_front());
            // A frame without events stands at the position of the next one.
            let body = match in_memory.find(|frame| frame.next_position > place.first_position) {
                Some(frame) if frame.first_position == place.first_position => frame.body,
                _ => self.frame_body(live.number, place, &mut chunk)?,
            };
            let offset = u64::from(place.offset);
            take_frame(facts, offset, place.first_position, &body).ok_or_else(|| {
                let what = "a record of the frame cannot be decoded";
                self.damage(live.number, offset, place.first_position, what)
            })?;
        }
        Ok(())
    }

    /// The body of a frame that is there, checked.
    fn frame_body(
        &self,
        segment: u64,
        place: FramePlace,
        chunk: &mut HeldChunk,
    ) -> Result<Bytes, ReadError> {
        let offset = u64::from(place.offset);
        let mut held = chunk.from(offset);
        if whole_frame(&held).is_none() {
            let file = self.open(segment)?;
            held = self.read(&*file, segment, offset, CHUNK_BYTES)?;
            if let HeaderCheck::Sound(header) = FrameHeader::check(&held)
                && held.len() < header.frame_bytes()
            {
                held = self.read(&*file, segment, offset, header.padded_bytes())?;
            }
            *chunk = HeldChunk {
                offset,
                bytes: held.clone(),
            };
        }
        match whole_frame(&held) {
            Some((header, frame)) if header.is_intact(frame) => {
                Ok(held.slice_ref(frame::body(frame)))
            }
            _ => {
                let what = "the frame does not match its hash";
                Err(self.damage(segment, offset, place.first_position, what))
            }
        }
    }

    /// The facts of a sealed segment, read from its file and checked from end to end. `goes_on` is asked between frames;
    /// `None` if it says no.
    pub(crate) fn sealed_facts(
        &self,
        segment: u64,
        mut goes_on: impl FnMut() -> bool,
    ) -> Result<Option<SegmentFacts>, ReadError> {
        let file = self.open(segment)?;
        let first = self.segments.first_position(segment).unwrap_or_default();
        let block = self.read(&*file, segment, 0, BLOCK_BYTES)?;
        let header = SegmentHeader::decode(&block)
            .map_err(|_| self.damage(segment, 0, first, "the segment's header is damaged"))?;
        let mut facts = SegmentFacts::new(first);
        let mut scan = SegmentScan::new(file, &header);
        while self.segments.first_position(segment + 1) != Some(facts.next_position) {
            if !goes_on() {
                return Ok(None);
            }
            let end = scan.end();
            let frame = match scan.next_frame() {
                Ok(Scanned::Frame(frame)) => frame,
                Ok(Scanned::NoFrame(what)) => {
                    return Err(self.damage(segment, end.offset, end.next_position, what));
                }
                Ok(Scanned::NewerFormat(_)) => {
                    let what = "it has a newer format than when it was opened";
                    return Err(self.damage(segment, end.offset, end.next_position, what));
                }
                Err(error) => return Err(self.io("reading", segment, error)),
            };
            let first = frame.header.first_position;
            let taken = take_frame(&mut facts, frame.offset, first, frame.body);
            if taken.is_none() {
                let what = "a record of the frame cannot be decoded";
                return Err(self.damage(segment, end.offset, end.next_position, what));
            }
        }
        Ok(Some(facts))
    }
}

/// What was read last.
#[derive(Debug, Default)]
struct HeldChunk {
    offset: u64,
    bytes: Bytes,
}

impl HeldChunk {
    /// What is held from a byte of the file on.
    fn from(&self, offset: u64) -> Bytes {
        let at = offset.checked_sub(self.offset);
        let at = at.and_then(|at| usize::try_from(at).ok());
        match at.filter(|at| at + FRAME_HEADER_BYTES <= self.bytes.len()) {
            Some(at) => self.bytes.slice(at..),
            None => Bytes::new(),
        }
    }
}

/// The frame at the front of what is held, if all of it is.
fn whole_frame(held: &Bytes) -> Option<(FrameHeader, &[u8])> {
    match FrameHeader::check(held) {
        HeaderCheck::Sound(header) => {
            let frame = held.get(..header.frame_bytes())?;
            Some((header, frame))
        }
        _ => None,
    }
}

fn candidates(facts: &SegmentFacts, by: &LookUpBy) -> Candidates {
    let common = facts.event_count() / COMMON_PART;
    match by {
        LookUpBy::Correlation(id) => {
            let key = CorrelationKey::of(*id);
            let found = facts.correlations.iter().filter(|(found, _)| *found == key);
            Candidates::Places(found.map(|(_, place)| *place).collect())
        }
        LookUpBy::Kind(kind) => {
            let mut places: Vec<EventPlace> = Vec::new();
            let mut lists = 0;
            for (key, list) in &facts.kinds {
                if kind_matches(key, kind) != Some(true) {
                    continue;
                }
                lists += 1;
                if (places.len() + list.len()) as u64 > common {
                    return Candidates::Anywhere;
                }
                places.extend_from_slice(list);
            }
            if lists > 1 {
                places.sort_unstable_by_key(|place| place.position_in_segment);
            }
            Candidates::Places(places)
        }
        LookUpBy::Everything | LookUpBy::Stream(_) => Candidates::Anywhere,
    }
}
