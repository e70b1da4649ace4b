//! How the places of a stream become chunks and are read back. The bytes are described in `streams.rs`.

use std::ops::ControlFlow;

use super::super::value::{Reader, SEAL_BYTES, VALUE_BYTES_MAX, seal, unseal};
use super::super::{EventPlace, Place, SegmentMark};
use crate::error::Fault;
use crate::position::{Position, Version};
use crate::stream_id::StreamId;
use crate::varint::{VARINT_BYTES_MAX, put_varint};

const FORMAT: u8 = 1;
pub(in crate::sidecar) const STAMP_BYTES: usize = 4;
const HEADER_BYTES_MAX: usize = 1 + STAMP_BYTES + 3 * VARINT_BYTES_MAX;
/// What is left for the places in one value.
const PLACES_BYTES_MAX: usize = VALUE_BYTES_MAX - HEADER_BYTES_MAX - SEAL_BYTES;

/// The key of a chunk.
pub(super) fn chunk_key(stream: &StreamId, first: Version) -> Vec<u8> {
    let text = stream.as_str().as_bytes();
    let mut key = Vec::with_capacity(text.len() + 9);
    key.extend_from_slice(text);
    key.push(0);
    key.extend_from_slice(&first.get().to_be_bytes());
    key
}

/// Behind all chunks of a stream and before those of any other.
pub(super) fn stream_end(stream: &StreamId) -> Vec<u8> {
    let mut key = stream.as_str().as_bytes().to_vec();
    key.push(1);
    key
}

/// The stream's text and the first version.
pub(super) fn split_key(key: &[u8]) -> Option<(&str, Version)> {
    let (rest, version) = key.split_last_chunk::<8>()?;
    let (zero, text) = rest.split_last()?;
    if *zero != 0 {
        return None;
    }
    let text = std::str::from_utf8(text).ok()?;
    Some((text, Version::new(u64::from_be_bytes(*version))))
}

pub(in crate::sidecar) fn stamp_of(mark: &SegmentMark) -> [u8; STAMP_BYTES] {
    let [a, b, c, d, ..] = mark.last_frame_hash;
    [a, b, c, d]
}

/// Splits the places of streams in one segment into chunks.
pub(super) struct ChunkWriter<'m> {
    mark: &'m SegmentMark,
    places: Vec<u8>,
    key: Vec<u8>,
    value: Vec<u8>,
}

impl<'m> ChunkWriter<'m> {
    pub(super) fn new(mark: &'m SegmentMark) -> Self {
        Self {
            mark,
            places: Vec::with_capacity(VALUE_BYTES_MAX),
            key: Vec::new(),
            value: Vec::with_capacity(VALUE_BYTES_MAX),
        }
    }

    /// Gives the key and value of each chunk of one stream to `put`.
    pub(super) fn write(
        &mut self,
        stream: &StreamId,
        first: Version,
        places: &[EventPlace],
        mut put: impl FnMut(&[u8], &[u8]) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let last = u64::try_from(places.len())
            .ok()
            .and_then(|count| first.get().checked_add(count));
        if first == Version::EMPTY || last.is_none() {
            return Err(self.fault(stream, "its versions are not possible"));
        }
        let positions = self.mark.last_position.get() - self.mark.first_position.get();
        let mut chunk_first = first.get();
        let mut count = 0;
        let mut previous: Option<EventPlace> = None;
        self.places.clear();
        for place in places {
            let in_order = previous.is_none_or(|previous| {
                previous.position_in_segment < place.position_in_segment
                    && previous.offset <= place.offset
            });
            if !in_order
                || u64::from(place.position_in_segment) > positions
                || u64::from(place.offset) >= self.mark.length_bytes
            {
                return Err(self.fault(stream, "its places are out of order or outside"));
            }
            if self.places.len() + 2 * VARINT_BYTES_MAX > PLACES_BYTES_MAX {
                self.finish(stream, chunk_first, count, &mut put)?;
                chunk_first += count;
                count = 0;
                previous = None;
            }
            let base = previous.unwrap_or(EventPlace {
                position_in_segment: 0,
                offset: 0,
            });
            let positions = place.position_in_segment - base.position_in_segment;
            put_varint(&mut self.places, u64::from(positions));
            put_varint(&mut self.places, u64::from(place.offset - base.offset));
            count += 1;
            previous = Some(*place);
        }
        if count > 0 {
            self.finish(stream, chunk_first, count, &mut put)?;
        }
        Ok(())
    }

    fn finish(
        &mut self,
        stream: &StreamId,
        first: u64,
        count: u64,
        put: &mut impl FnMut(&[u8], &[u8]) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        self.key.clear();
        self.key.extend_from_slice(stream.as_str().as_bytes());
        self.key.push(0);
        self.key.extend_from_slice(&first.to_be_bytes());

        let value = &mut self.value;
        value.clear();
        value.push(FORMAT);
        put_varint(value, self.mark.number);
        value.extend_from_slice(&stamp_of(self.mark));
        put_varint(value, self.mark.first_position.get());
        put_varint(value, count);
        value.append(&mut self.places);
        seal(&self.key, value);
        put(&self.key, &self.value)
    }

    fn fault(&self, stream: &StreamId, why: &str) -> Fault {
        Fault::new(format!(
            "stream {stream} in segment {} cannot be indexed: {why}",
            self.mark.number
        ))
    }
}

/// The head of a chunk whose checksum holds.
#[derive(Clone, Copy, Debug)]
pub(in crate::sidecar) struct Chunk {
    /// The version of its first event.
    pub(super) first: Version,
    /// The version behind its last event.
    pub(super) next: Version,
    pub(in crate::sidecar) segment: u64,
    stamp: [u8; STAMP_BYTES],
    first_position: u64,
    /// How many bytes of the value come before the places.
    head_bytes: usize,
}

impl Chunk {
    /// `None` if key and value are not a chunk as it was written.
    pub(super) fn parse(key: &[u8], value: &[u8]) -> Option<Self> {
        let (_, first) = split_key(key)?;
        let body = unseal(key, value)?;
        let mut reader = Reader::new(body);
        if reader.u8()? != FORMAT {
            return None;
        }
        let segment = reader.varint()?;
        let stamp = reader.array()?;
        let first_position = reader.varint()?;
        let count = reader.varint()?;
        let next = first.get().checked_add(count)?;
        (count > 0).then_some(Self {
            first,
            next: Version::new(next),
            segment,
            stamp,
            first_position,
            head_bytes: body.len() - reader.rest().len(),
        })
    }

    /// Whether it was written for exactly this segment.
    pub(in crate::sidecar) fn belongs_to(&self, mark: &SegmentMark) -> bool {
        self.segment == mark.number
            && self.stamp == stamp_of(mark)
            && self.first_position == mark.first_position.get()
    }

    /// Gives the places in `value`, which it was parsed from, in order until `each` breaks; `None` if they cannot be
    /// read.
    pub(super) fn read(
        &self,
        value: &[u8],
        mut each: impl FnMut(Place) -> ControlFlow<()>,
    ) -> Option<ControlFlow<()>> {
        let end = value.len().checked_sub(SEAL_BYTES)?;
        let mut reader = Reader::new(value.get(self.head_bytes..end)?);
        let mut position = self.first_position;
        let mut offset = 0_u32;
        for version in self.first.get()..self.next.get() {
            position = position.checked_add(reader.varint()?)?;
            offset = offset.checked_add(u32::try_from(reader.varint()?).ok()?)?;
            let outcome = each(Place {
                segment: self.segment,
                version: Version::new(version),
                position: Position::new(position),
                offset,
            });
            if outcome.is_break() {
                return Some(outcome);
            }
        }
        reader.end()?;
        Some(ControlFlow::Continue(()))
    }
}
