//! The table `segments`: which sealed segments are indexed, and some frames of each.
//!
//! Keys (integers big-endian; never renumber):
//!
//! | bytes | what |
//! |---|---|
//! | `01`, segment u64 | the mark of a segment |
//! | `02`, segment u64, part u16 | a part of its frames |
//!
//! Values, each followed by its 4-byte checksum (integers little-endian):
//!
//! | value | bytes |
//! |---|---|
//! | mark | format 2; first position u64; last position u64; length u64; hash of the last frame (32 bytes); chunks u64; sum of their checksums u64 |
//! | frames | format 1; then for each frame: positions since the frame before it, bytes since it (both varint; the first of a part counts from the segment's first position and byte 0) |
//!
//! Chunks are those in `streams` and in `commands` together. A mark of format 1 was written by a build that knew no commands:
//! it does not count, and its segment is indexed again.
//!
//! A mark is written after everything that it stands for is durable, in one batch with the frames. What is in the
//! table `streams` counts only if a mark vouches for it, see `streams.rs`; so a segment becomes visible, and is
//! forgotten, in one step.

use std::collections::BTreeMap;
use std::sync::PoisonError;

use uuid::Uuid;

use super::engine::{Batch, Engine, Table};
use super::streams::{Chunk, StreamPlaces};
use super::value::{CheckSum, Reader, SEAL_BYTES, VALUE_BYTES_MAX, seal, unseal};
use super::{EventPlace, FramePlace, SegmentMark, Sidecar};
use crate::error::Fault;
use crate::position::Position;
use crate::varint::{VARINT_BYTES_MAX, put_varint};

const KEY_MARK: u8 = 1;
const KEY_FRAMES: u8 = 2;
const MARK_FORMAT: u8 = 2;
const MARK_FORMAT_WITHOUT_COMMANDS: u8 = 1;
const FORMAT: u8 = 1;

/// One frame is kept for each of these many bytes of a segment.
const FRAME_STRIDE_BYTES: u32 = 256 * 1024;

/// What vouches for the chunks of one segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Voucher {
    pub(super) mark: SegmentMark,
    pub(super) chunks: CheckSum,
}

/// All vouchers by segment number.
pub(super) type Vouchers = BTreeMap<u64, Voucher>;

/// Whether a mark vouches for a chunk.
pub(super) fn vouches(vouchers: &Vouchers, chunk: &Chunk) -> bool {
    vouchers
        .get(&chunk.segment)
        .is_some_and(|voucher| chunk.belongs_to(&voucher.mark))
}

fn mark_key(number: u64) -> [u8; 9] {
    let mut key = [KEY_MARK; 9];
    if let Some(rest) = key.last_chunk_mut() {
        *rest = number.to_be_bytes();
    }
    key
}

fn frames_key(number: u64, part: u16) -> Vec<u8> {
    let mut key = vec![KEY_FRAMES];
    key.extend_from_slice(&number.to_be_bytes());
    key.extend_from_slice(&part.to_be_bytes());
    key
}

fn encode_voucher(key: &[u8], voucher: &Voucher) -> Vec<u8> {
    let mark = &voucher.mark;
    let mut value = vec![MARK_FORMAT];
    value.extend_from_slice(&mark.first_position.get().to_le_bytes());
    value.extend_from_slice(&mark.last_position.get().to_le_bytes());
    value.extend_from_slice(&mark.length_bytes.to_le_bytes());
    value.extend_from_slice(&mark.last_frame_hash);
    value.extend_from_slice(&voucher.chunks.count.to_le_bytes());
    value.extend_from_slice(&voucher.chunks.sum.to_le_bytes());
    seal(key, &mut value);
    value
}

/// The outer `None` is a failure, the inner one a mark that does not count any more.
fn decode_voucher(key: &[u8], value: &[u8]) -> Option<Option<Voucher>> {
    let mut reader = Reader::new(key);
    if reader.u8()? != KEY_MARK {
        return None;
    }
    let number = u64::from_be_bytes(reader.array()?);
    reader.end()?;
    let mut reader = Reader::new(unseal(key, value)?);
    match reader.u8()? {
        MARK_FORMAT => {}
        MARK_FORMAT_WITHOUT_COMMANDS => return Some(None),
        _ => return None,
    }
    let voucher = Voucher {
        mark: SegmentMark {
            number,
            first_position: Position::new(reader.u64()?),
            last_position: Position::new(reader.u64()?),
            length_bytes: reader.u64()?,
            last_frame_hash: reader.array()?,
        },
        chunks: CheckSum {
            count: reader.u64()?,
            sum: reader.u64()?,
        },
    };
    reader.end()?;
    Some(Some(voucher))
}

/// Reads all marks.
pub(super) fn load(engine: &Engine) -> Result<Vouchers, Fault> {
    let mut vouchers = Vouchers::new();
    let mut entries = engine.range(Table::Segments, &[KEY_MARK], &[KEY_MARK + 1])?;
    while let Some((key, value)) = entries.forward()? {
        let voucher = decode_voucher(&key, &value)
            .ok_or_else(|| Fault::new("the mark of an indexed segment is damaged"))?;
        if let Some(voucher) = voucher {
            vouchers.insert(voucher.mark.number, voucher);
        }
    }
    Ok(vouchers)
}

/// The first frame of the segment, and the first one at or after each multiple of the stride.
fn sparse(frames: &[FramePlace]) -> impl Iterator<Item = FramePlace> {
    let mut last_stride = None;
    frames.iter().copied().filter(move |frame| {
        let stride = frame.offset / FRAME_STRIDE_BYTES;
        let keep = last_stride != Some(stride);
        last_stride = Some(stride);
        keep
    })
}

fn put_frames(batch: &mut Batch, mark: &SegmentMark, frames: &[FramePlace]) -> Result<u16, Fault> {
    let mut part = 0_u16;
    let mut value = vec![FORMAT];
    let start = FramePlace {
        first_position: mark.first_position,
        offset: 0,
    };
    let mut previous = start;
    for frame in sparse(frames) {
        if value.len() + 2 * VARINT_BYTES_MAX + SEAL_BYTES > VALUE_BYTES_MAX {
            let key = frames_key(mark.number, part);
            seal(&key, &mut value);
            batch.insert(key, std::mem::replace(&mut value, vec![FORMAT]));
            part = part.checked_add(1).ok_or_else(|| {
                Fault::new(format!("segment {} has too many frames", mark.number))
            })?;
            previous = start;
        }
        let deltas = frame
            .first_position
            .get()
            .checked_sub(previous.first_position.get())
            .zip(frame.offset.checked_sub(previous.offset))
            .filter(|_| frame.first_position <= mark.last_position);
        let Some((positions, bytes)) = deltas else {
            return Err(Fault::new(format!(
                "the frames of segment {} are not in order at offset {}",
                mark.number, frame.offset
            )));
        };
        put_varint(&mut value, positions);
        put_varint(&mut value, u64::from(bytes));
        previous = frame;
    }
    let key = frames_key(mark.number, part);
    seal(&key, &mut value);
    batch.insert(key, value);
    Ok(part)
}

fn take_frames(
    key: &[u8],
    value: &[u8],
    first_position: Position,
    frames: &mut Vec<FramePlace>,
) -> Option<()> {
    let mut reader = Reader::new(unseal(key, value)?);
    if reader.u8()? != FORMAT {
        return None;
    }
    let mut position = first_position.get();
    let mut offset = 0_u32;
    while reader.end().is_none() {
        position = position.checked_add(reader.varint()?)?;
        offset = offset.checked_add(u32::try_from(reader.varint()?).ok()?)?;
        frames.push(FramePlace {
            first_position: Position::new(position),
            offset,
        });
    }
    Some(())
}

impl Sidecar {
    /// The marks of all indexed segments in the order of their numbers.
    pub(crate) fn indexed_segments(&self) -> Result<Vec<SegmentMark>, Fault> {
        Ok(self
            .vouchers()
            .values()
            .map(|voucher| voucher.mark.clone())
            .collect())
    }

    /// Indexes a sealed segment; it becomes visible, durably, as a whole when this returns.
    ///
    /// `frames` are all frames of the segment in order (fewer do). `streams` gives for each stream with events in it
    /// the version of the first of them and the places of all of them in order; a stream may come only once.
    /// `commands` are its commands in the order of their ids. Indexing a segment again gives the same, and repairs what
    /// was lost of it.
    ///
    /// # Errors
    /// Another segment is indexed under this number ([`Sidecar::forget_segments_from`] first), what is given is out of
    /// order, or the disk failed. The segment is then not visible, and can be indexed again.
    pub(crate) fn index_segment<'a>(
        &self,
        mark: &SegmentMark,
        frames: &[FramePlace],
        streams: &mut dyn Iterator<Item = StreamPlaces<'a>>,
        commands: &[(Uuid, EventPlace)],
    ) -> Result<(), Fault> {
        let _one = self.indexing.lock().unwrap_or_else(PoisonError::into_inner);
        let number = mark.number;
        if mark.first_position > mark.last_position {
            return Err(Fault::new(format!(
                "segment {number} cannot be indexed: it holds no positions"
            )));
        }
        if let Some(there) = self.vouchers().get(&number)
            && there.mark != *mark
        {
            return Err(Fault::new(format!(
                "segment {number} is indexed with another content; forget it first"
            )));
        }
        let mut batch = Batch::default();
        let last_part = put_frames(&mut batch, mark, frames)?;
        let mut chunks = self.put_streams(mark, streams)?;
        self.put_commands(mark, commands, &mut chunks)?;
        // The mark must never be on disk without what it vouches for.
        self.engine.sync()?;

        let voucher = Voucher {
            mark: mark.clone(),
            chunks,
        };
        let key = mark_key(number);
        batch.insert(key.as_slice(), encode_voucher(&key, &voucher));
        // Parts that an attempt with another content left.
        let low = frames_key(number, last_part.saturating_add(1));
        let mut stale = self
            .engine
            .range(Table::Segments, &low, &frames_key(number, u16::MAX))?;
        while let Some((key, _)) = stale.forward()? {
            batch.remove(key);
        }
        self.engine.apply(Table::Segments, batch)?;
        self.flush()?;
        self.vouchers_mut().insert(number, voucher);
        self.remember_segment(number, commands);
        Ok(())
    }

    /// Forgets all segments from `number` on, for a journal that turns out to be shorter or to go on differently.
    ///
    /// They are invisible, durably, before their space is reclaimed; a crash in between costs only space.
    pub(crate) fn forget_segments_from(&self, number: u64) -> Result<(), Fault> {
        let _one = self.indexing.lock().unwrap_or_else(PoisonError::into_inner);
        let forgotten = self.vouchers_mut().split_off(&number);
        self.forget_commands_from(number);
        let mut batch = Batch::default();
        for number in forgotten.keys() {
            batch.remove(&mark_key(*number));
        }
        let mut frames =
            self.engine
                .range(Table::Segments, &frames_key(number, 0), &[KEY_FRAMES + 1])?;
        while let Some((key, _)) = frames.forward()? {
            batch.remove(key);
        }
        self.engine.apply(Table::Segments, batch)?;
        self.flush()?;
        self.remove_streams_from(number)?;
        self.remove_commands_from(number)?;
        self.remove_facts_from(number)?;
        self.flush()
    }

    /// Some frames of an indexed segment in order: the first one, and the first at or after every 256 KiB. None at all
    /// if the segment is not indexed.
    pub(crate) fn frames(&self, segment: u64) -> Result<Vec<FramePlace>, Fault> {
        let vouchers = self.vouchers();
        let Some(voucher) = vouchers.get(&segment) else {
            return Ok(Vec::new());
        };
        let mut frames = Vec::new();
        let mut parts = self.engine.range(
            Table::Segments,
            &frames_key(segment, 0),
            &frames_key(segment, u16::MAX),
        )?;
        while let Some((key, value)) = parts.forward()? {
            take_frames(&key, &value, voucher.mark.first_position, &mut frames).ok_or_else(
                || {
                    self.engine
                        .damaged(format!("the frames of segment {segment} are damaged"))
                },
            )?;
        }
        Ok(frames)
    }
}

#[cfg(any(test, fuzzing))]
pub(super) mod fuzzing;
#[cfg(test)]
mod tests;
