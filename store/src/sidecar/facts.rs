//! The table `facts`: what the events of the sealed segments have in common, to look for them by kind and by
//! correlation id.
//!
//! For each segment there are two dictionaries, from keys to lists of places. Each is in two rows of pieces: the
//! directory, which says in the order of the keys how long each one's list is, and all lists one behind the other.
//!
//! Key (integers big-endian; never renumber):
//!
//! | bytes | what |
//! |---|---|
//! | segment u64 | |
//! | 1 | row: 0 the head, 1 directory and 2 lists of kinds, 3 directory and 4 lists of correlation ids |
//! | u32 | number of the piece in its row |
//!
//! Values, each followed by its 4-byte checksum (integers little-endian):
//!
//! | value | bytes |
//! |---|---|
//! | head | format 1; stamp, the first 8 bytes of the hash of the segment's last frame; for kinds and for correlation ids: pieces of the directory u32, bytes of all lists u64 |
//! | piece of a directory | stamp; byte at which the first key's list starts (varint); then for each key: bytes that it shares with the key before it, bytes that are its own (both varint; the first of a piece shares none), those bytes, bytes of its list (varint) |
//! | piece of lists | stamp; up to 4,000 bytes, as many in every piece but the last |
//!
//! A list has for each event the positions and the bytes since the event before it (both varint; the first counts from the
//! segment's first position and byte 0). A kind that more than an eighth of the segment's events have has no list (0
//! bytes): who looks for it reads the segment.
//!
//! The head is written when everything else is durable. It counts if the stamp is that of the segment's mark, and a piece
//! counts if it has that stamp, too. Whatever is missing or cannot be read makes the segment count as one without facts:
//! it is read instead, and the facts are made anew.

mod dictionary;
mod reading;

use self::dictionary::{Dictionary, DictionaryHead, Row};
use super::engine::{Batch, Table};
use super::value::{Reader, seal, unseal};
use super::{EventPlace, SegmentMark, Sidecar};
use crate::error::Fault;
use crate::look_up::facts::{CorrelationKey, SegmentFacts};

const FORMAT: u8 = 1;
const STAMP_BYTES: usize = 8;
/// How many values are removed in one go.
const REMOVED_AT_ONCE: usize = 1_000;

/// A kind or a look-up that takes more than this part of a segment's events is not worth a list: reading on is as fast.
pub(crate) const COMMON_PART: u64 = 8;

type Stamp = [u8; STAMP_BYTES];

/// Where the events that are looked for may be in a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Candidates {
    /// At these places, in order, and nowhere else.
    Places(Vec<EventPlace>),
    /// Anywhere: there are too many of them, or nothing is known.
    Anywhere,
}

fn stamp_of(mark: &SegmentMark) -> Stamp {
    let [a, b, c, d, e, f, g, h, ..] = mark.last_frame_hash;
    [a, b, c, d, e, f, g, h]
}

fn piece_key(segment: u64, row: Row, piece: u32) -> [u8; 13] {
    let mut key = [0; 13];
    let (number, rest) = key.split_at_mut(8);
    number.copy_from_slice(&segment.to_be_bytes());
    if let Some((row_byte, piece_bytes)) = rest.split_first_mut() {
        *row_byte = row as u8;
        piece_bytes.copy_from_slice(&piece.to_be_bytes());
    }
    key
}

/// What the head says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Head {
    stamp: Stamp,
    kinds: DictionaryHead,
    correlations: DictionaryHead,
}

impl Head {
    fn encode(&self, key: &[u8]) -> Vec<u8> {
        let mut value = vec![FORMAT];
        value.extend_from_slice(&self.stamp);
        for dictionary in [self.kinds, self.correlations] {
            value.extend_from_slice(&dictionary.directory_pieces.to_le_bytes());
            value.extend_from_slice(&dictionary.list_bytes.to_le_bytes());
        }
        seal(key, &mut value);
        value
    }

    fn decode(key: &[u8], value: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(unseal(key, value)?);
        if reader.u8()? != FORMAT {
            return None;
        }
        let stamp = reader.array()?;
        let mut dictionary = || {
            Some(DictionaryHead {
                directory_pieces: reader.u32()?,
                list_bytes: reader.u64()?,
            })
        };
        let (kinds, correlations) = (dictionary()?, dictionary()?);
        reader.end()?;
        Some(Self {
            stamp,
            kinds,
            correlations,
        })
    }
}

impl Sidecar {
    /// The indexed segments that have no facts, oldest first.
    pub(crate) fn segments_without_facts(&self) -> Result<Vec<u64>, Fault> {
        let marks: Vec<SegmentMark> = self
            .vouchers()
            .values()
            .map(|voucher| voucher.mark.clone())
            .collect();
        let mut without = Vec::new();
        for mark in marks {
            if self.facts_head(&mark)?.is_none() {
                without.push(mark.number);
            }
        }
        Ok(without)
    }

    /// What an indexed segment is recognised by.
    pub(crate) fn segment_mark(&self, number: u64) -> Option<SegmentMark> {
        self.vouchers()
            .get(&number)
            .map(|voucher| voucher.mark.clone())
    }

    /// Keeps the facts of an indexed segment. They count when this returns, as a whole.
    ///
    /// # Errors
    /// They do not belong to the segment, or the disk failed: it has no facts then.
    pub(crate) fn put_facts(&self, mark: &SegmentMark, facts: &SegmentFacts) -> Result<(), Fault> {
        if facts.first_position != mark.first_position
            || facts.next_position != mark.last_position.next()
        {
            return Err(Fault::new(format!(
                "the facts of segment {} are not those of all its events",
                mark.number
            )));
        }
        let stamp = stamp_of(mark);
        let common = facts.event_count() / COMMON_PART;
        let mut kinds: Vec<(&[u8], &[EventPlace])> = facts
            .kinds
            .iter()
            .map(|(key, places)| match places.len() as u64 > common {
                true => (&**key, &[][..]),
                false => (&**key, places.as_slice()),
            })
            .collect();
        kinds.sort_unstable_by_key(|(key, _)| *key);
        let kinds = Dictionary::encode(stamp, kinds.into_iter());
        let mut correlations = facts.correlations.clone();
        // Stable: the places of one key stay in order.
        correlations.sort_by_key(|(key, _)| *key);
        let lists: Vec<(CorrelationKey, Vec<EventPlace>)> = correlations
            .chunk_by(|(one, _), (other, _)| one == other)
            .filter_map(|group| {
                let (key, _) = group.first()?;
                Some((*key, group.iter().map(|(_, place)| *place).collect()))
            })
            .collect();
        let lists = lists
            .iter()
            .map(|(key, places)| (key.as_bytes(), places.as_slice()));
        let correlations = Dictionary::encode(stamp, lists);
        for (row, pieces) in [
            (Row::KindDirectory, &kinds.directory),
            (Row::KindLists, &kinds.lists),
            (Row::CorrelationDirectory, &correlations.directory),
            (Row::CorrelationLists, &correlations.lists),
        ] {
            self.put_row(mark.number, row, pieces)?;
        }
        // The head must never be on disk without the rest.
        self.engine.sync()?;
        let head = Head {
            stamp,
            kinds: kinds.head(),
            correlations: correlations.head(),
        };
        let key = piece_key(mark.number, Row::Head, 0);
        self.engine.put(Table::Facts, &key, &head.encode(&key))
    }

    fn put_row(&self, segment: u64, row: Row, pieces: &[Vec<u8>]) -> Result<(), Fault> {
        for (number, piece) in (0..).zip(pieces) {
            let key = piece_key(segment, row, number);
            let mut value = piece.clone();
            seal(&key, &mut value);
            self.engine.put(Table::Facts, &key, &value)?;
        }
        Ok(())
    }

    fn facts_head(&self, mark: &SegmentMark) -> Result<Option<Head>, Fault> {
        let key = piece_key(mark.number, Row::Head, 0);
        let value = self.engine.get(Table::Facts, &key)?;
        let head = value.and_then(|value| Head::decode(&key, &value));
        Ok(head.filter(|head| head.stamp == stamp_of(mark)))
    }

    /// Removes what there is of segments from `number` on.
    pub(super) fn remove_facts_from(&self, number: u64) -> Result<(), Fault> {
        loop {
            let mut batch = Batch::default();
            let mut count = 0;
            let low = piece_key(number, Row::Head, 0);
            let mut entries = self.engine.range(Table::Facts, &low, &[u8::MAX; 14])?;
            while count < REMOVED_AT_ONCE
                && let Some((key, _)) = entries.forward()?
            {
                batch.remove(key);
                count += 1;
            }
            drop(entries);
            self.engine.apply(Table::Facts, batch)?;
            if count < REMOVED_AT_ONCE {
                return Ok(());
            }
        }
    }

    /// As in an index that was made before there were facts.
    #[cfg(test)]
    pub(crate) fn remove_all_facts(&self) -> Result<(), Fault> {
        self.remove_facts_from(0)
    }

    /// How many bytes the facts of all segments take, keys and values.
    #[cfg(test)]
    pub(crate) fn facts_bytes(&self) -> usize {
        let mut entries = self
            .engine
            .range(Table::Facts, &[], &[u8::MAX; 14])
            .unwrap();
        let mut bytes = 0;
        while let Some((key, value)) = entries.forward().unwrap() {
            bytes += key.len() + value.len();
        }
        bytes
    }
}

/// Which bytes of all lists are those of one key.
pub(super) type ListBytes = std::ops::Range<u64>;

#[cfg(any(test, fuzzing))]
pub(super) mod fuzzing;
#[cfg(test)]
mod tests;
