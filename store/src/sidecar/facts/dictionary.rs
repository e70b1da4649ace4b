//! How keys and their lists of places become pieces and are read back. The bytes are described in `facts.rs`.

use super::super::value::{Reader, SEAL_BYTES, VALUE_BYTES_MAX};
use super::super::{EventPlace, SegmentMark};
use super::{ListBytes, STAMP_BYTES, Stamp};
use crate::varint::{VARINT_BYTES_MAX, put_varint};

/// The bytes of lists in a piece.
pub(super) const LIST_PIECE_BYTES: u64 = 4_000;
/// What is left in a value for the keys of a directory.
const DIRECTORY_PIECE_BYTES: usize = VALUE_BYTES_MAX - STAMP_BYTES - SEAL_BYTES;

const _: () = assert!(LIST_PIECE_BYTES <= DIRECTORY_PIECE_BYTES as u64);

/// The rows of pieces. Persisted as one byte: never renumber.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Row {
    Head = 0,
    KindDirectory = 1,
    KindLists = 2,
    CorrelationDirectory = 3,
    CorrelationLists = 4,
}

/// How much a dictionary holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DictionaryHead {
    pub(super) directory_pieces: u32,
    pub(super) list_bytes: u64,
}

/// A dictionary as pieces, without their checksums.
#[derive(Debug)]
pub(super) struct Dictionary {
    pub(super) directory: Vec<Vec<u8>>,
    pub(super) lists: Vec<Vec<u8>>,
    list_bytes: u64,
}

impl Dictionary {
    /// Encodes keys, which are in order, with their places, which are too.
    pub(super) fn encode<'k>(
        stamp: Stamp,
        entries: impl Iterator<Item = (&'k [u8], &'k [EventPlace])>,
    ) -> Self {
        let mut directory: Vec<Vec<u8>> = Vec::new();
        let mut lists = Vec::new();
        let mut previous: &[u8] = &[];
        let mut entry = Vec::new();
        for (key, places) in entries {
            let start = lists.len() as u64;
            put_list(&mut lists, places);
            let list_bytes = lists.len() as u64 - start;
            let fits = directory.last().is_some_and(|piece| {
                let room = STAMP_BYTES + DIRECTORY_PIECE_BYTES - piece.len();
                key.len() + 3 * VARINT_BYTES_MAX <= room
            });
            if !fits {
                let mut piece = stamp.to_vec();
                put_varint(&mut piece, start);
                directory.push(piece);
                previous = &[];
            }
            let shared = shared_bytes(previous, key);
            let own = key.get(shared..).unwrap_or_default();
            entry.clear();
            put_varint(&mut entry, shared as u64);
            put_varint(&mut entry, own.len() as u64);
            entry.extend_from_slice(own);
            put_varint(&mut entry, list_bytes);
            if let Some(piece) = directory.last_mut() {
                piece.extend_from_slice(&entry);
            }
            previous = key;
        }
        let piece_bytes = usize::try_from(LIST_PIECE_BYTES).unwrap_or(usize::MAX);
        let list_pieces = lists.chunks(piece_bytes).map(|part| {
            let mut piece = stamp.to_vec();
            piece.extend_from_slice(part);
            piece
        });
        Self {
            directory,
            lists: list_pieces.collect(),
            list_bytes: lists.len() as u64,
        }
    }

    pub(super) fn head(&self) -> DictionaryHead {
        DictionaryHead {
            directory_pieces: u32::try_from(self.directory.len()).unwrap_or(u32::MAX),
            list_bytes: self.list_bytes,
        }
    }
}

fn shared_bytes(one: &[u8], other: &[u8]) -> usize {
    one.iter()
        .zip(other)
        .take_while(|(one, other)| one == other)
        .count()
}

fn put_list(lists: &mut Vec<u8>, places: &[EventPlace]) {
    let mut previous = EventPlace {
        position_in_segment: 0,
        offset: 0,
    };
    for place in places {
        let positions = place
            .position_in_segment
            .saturating_sub(previous.position_in_segment);
        put_varint(lists, u64::from(positions));
        put_varint(
            lists,
            u64::from(place.offset.saturating_sub(previous.offset)),
        );
        previous = *place;
    }
}

/// Reads a list; `None` if it is not one of the segment.
pub(super) fn read_list(
    bytes: &[u8],
    mark: &SegmentMark,
    places: &mut Vec<EventPlace>,
) -> Option<()> {
    let positions = mark.last_position.get() - mark.first_position.get();
    let mut reader = Reader::new(bytes);
    let (mut position, mut offset) = (0_u64, 0_u64);
    while reader.end().is_none() {
        position = position.checked_add(reader.varint()?)?;
        offset = offset.checked_add(reader.varint()?)?;
        if position > positions || offset >= mark.length_bytes {
            return None;
        }
        places.push(EventPlace {
            position_in_segment: u32::try_from(position).ok()?,
            offset: u32::try_from(offset).ok()?,
        });
    }
    Some(())
}

/// The first key of a piece of a directory.
pub(super) fn first_key(piece: &[u8]) -> Option<&[u8]> {
    let mut reader = Reader::new(piece);
    reader.varint()?;
    if reader.varint()? != 0 {
        return None;
    }
    let own = usize::try_from(reader.varint()?).ok()?;
    reader.rest().get(..own)
}

/// Gives the keys of a piece of a directory and their lists until `each` says no, and whether it never did; `None` if
/// they cannot be read.
pub(super) fn walk(
    piece: &[u8],
    each: &mut impl FnMut(&[u8], ListBytes) -> Option<bool>,
) -> Option<bool> {
    let mut reader = Reader::new(piece);
    let mut start = reader.varint()?;
    let mut key: Vec<u8> = Vec::new();
    while reader.end().is_none() {
        let shared = usize::try_from(reader.varint()?).ok()?;
        let own = usize::try_from(reader.varint()?).ok()?;
        let (own, rest) = reader.rest().split_at_checked(own)?;
        key.get(shared..)?;
        key.truncate(shared);
        key.extend_from_slice(own);
        reader = Reader::new(rest);
        let end = start.checked_add(reader.varint()?)?;
        if !each(&key, start..end)? {
            return Some(false);
        }
        start = end;
    }
    Some(true)
}
