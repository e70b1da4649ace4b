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

use self::dictionary::{Dictionary, DictionaryHead, Row};
use super::engine::{Batch, Bytes, Table};
use super::value::{Reader, seal, unseal};
use super::{EventPlace, SegmentMark, Sidecar};
use crate::error::Fault;
use crate::look_up::facts::{CorrelationKey, SegmentFacts, kind_matches, put_kind_prefix};
use crate::look_up::{EventKind, LookUpBy};

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

    /// A piece without stamp and checksum; `None` if it is not what was written for this segment.
    fn facts_piece(
        &self,
        mark: &SegmentMark,
        row: Row,
        piece: u32,
    ) -> Result<Option<Piece>, Fault> {
        let key = piece_key(mark.number, row, piece);
        let value = self.engine.get(Table::Facts, &key)?;
        Ok(value.and_then(|value| {
            let body = unseal(&key, &value)?;
            let is_own = body.first_chunk() == Some(&stamp_of(mark));
            let end = body.len();
            is_own.then_some(Piece { value, end })
        }))
    }

    /// Where the events of a segment may be that are looked for. A segment without facts gives [`Candidates::Anywhere`].
    pub(crate) fn candidates(&self, segment: u64, by: &LookUpBy) -> Result<Candidates, Fault> {
        let Some(mark) = self.segment_mark(segment) else {
            return Ok(Candidates::Anywhere);
        };
        let Some(head) = self.facts_head(&mark)? else {
            return Ok(Candidates::Anywhere);
        };
        let found = match by {
            LookUpBy::Kind(kind) => self.places_of_kind(&mark, head.kinds, kind)?,
            LookUpBy::Correlation(id) => {
                let key = CorrelationKey::of(*id);
                self.places_of_correlation(&mark, head.correlations, key)?
            }
            LookUpBy::Everything | LookUpBy::Stream(_) => Some(Candidates::Anywhere),
        };
        match found {
            Some(candidates) => Ok(candidates),
            None => {
                tracing::warn!(
                    segment,
                    "what is known of the events of a sealed segment cannot be read; it is made anew"
                );
                let key = piece_key(segment, Row::Head, 0);
                self.engine.remove(Table::Facts, &key)?;
                Ok(Candidates::Anywhere)
            }
        }
    }

    /// The inner `None` means that a piece is missing or damaged, here and below.
    fn places_of_correlation(
        &self,
        mark: &SegmentMark,
        head: DictionaryHead,
        key: CorrelationKey,
    ) -> Result<Option<Candidates>, Fault> {
        let rows = (Row::CorrelationDirectory, Row::CorrelationLists);
        let mut list = None;
        let walked = self.walk_directory(mark, head, rows.0, key.as_bytes(), |found, bytes| {
            if found == key.as_bytes() {
                list = Some(bytes);
            }
            Some(found < key.as_bytes())
        })?;
        let lists: Vec<ListBytes> = list.into_iter().collect();
        match walked {
            Some(()) => self.read_lists(mark, head, rows.1, &lists),
            None => Ok(None),
        }
    }

    fn places_of_kind(
        &self,
        mark: &SegmentMark,
        head: DictionaryHead,
        kind: &EventKind,
    ) -> Result<Option<Candidates>, Fault> {
        let rows = (Row::KindDirectory, Row::KindLists);
        let mut prefix = Vec::new();
        if let Some(tenant) = &kind.tenant {
            put_kind_prefix(&mut prefix, tenant, kind.aggregate_type.as_deref());
        }
        let mut lists: Vec<ListBytes> = Vec::new();
        let mut is_common = false;
        let walked = self.walk_directory(mark, head, rows.0, &prefix, |found, bytes| {
            if found.starts_with(&prefix) && kind_matches(found, kind)? {
                is_common |= bytes.is_empty();
                lists.push(bytes);
            }
            Some(!is_common && (found < prefix.as_slice() || found.starts_with(&prefix)))
        })?;
        match walked {
            Some(()) if is_common => Ok(Some(Candidates::Anywhere)),
            Some(()) => self.read_lists(mark, head, rows.1, &lists),
            None => Ok(None),
        }
    }

    /// Gives the keys of a directory in order, from the last piece on that starts at or before `key`, until `each` says
    /// no.
    fn walk_directory(
        &self,
        mark: &SegmentMark,
        head: DictionaryHead,
        row: Row,
        key: &[u8],
        mut each: impl FnMut(&[u8], ListBytes) -> Option<bool>,
    ) -> Result<Option<()>, Fault> {
        let (mut low, mut high) = (0, head.directory_pieces);
        // The first piece that starts behind the key.
        while low < high {
            let middle = low + (high - low) / 2;
            let Some(piece) = self.facts_piece(mark, row, middle)? else {
                return Ok(None);
            };
            match dictionary::first_key(piece.bytes()) {
                Some(first) if first <= key => low = middle + 1,
                Some(_) => high = middle,
                None => return Ok(None),
            }
        }
        for number in low.saturating_sub(1)..head.directory_pieces {
            let Some(piece) = self.facts_piece(mark, row, number)? else {
                return Ok(None);
            };
            match dictionary::walk(piece.bytes(), &mut each) {
                Some(true) => {}
                Some(false) => break,
                None => return Ok(None),
            }
        }
        Ok(Some(()))
    }

    /// Reads lists, and merges them if there are several.
    fn read_lists(
        &self,
        mark: &SegmentMark,
        head: DictionaryHead,
        row: Row,
        lists: &[ListBytes],
    ) -> Result<Option<Candidates>, Fault> {
        let events = mark.last_position.get() + 1 - mark.first_position.get();
        let mut places = Vec::new();
        for list in lists {
            if list.end > head.list_bytes {
                return Ok(None);
            }
            let Some(bytes) = self.list_bytes(mark, row, list)? else {
                return Ok(None);
            };
            if dictionary::read_list(&bytes, mark, &mut places).is_none() {
                return Ok(None);
            }
            if lists.len() > 1 && places.len() as u64 > events / COMMON_PART {
                return Ok(Some(Candidates::Anywhere));
            }
        }
        if lists.len() > 1 {
            places.sort_unstable_by_key(|place| place.position_in_segment);
        }
        Ok(Some(Candidates::Places(places)))
    }

    fn list_bytes(
        &self,
        mark: &SegmentMark,
        row: Row,
        list: &ListBytes,
    ) -> Result<Option<Vec<u8>>, Fault> {
        let piece_bytes = dictionary::LIST_PIECE_BYTES;
        let mut bytes = Vec::new();
        let mut at = list.start;
        while at < list.end {
            let Ok(number) = u32::try_from(at / piece_bytes) else {
                return Ok(None);
            };
            let Some(piece) = self.facts_piece(mark, row, number)? else {
                return Ok(None);
            };
            let from = usize::try_from(at % piece_bytes).unwrap_or(usize::MAX);
            let end = (at / piece_bytes + 1) * piece_bytes;
            let len = usize::try_from(end.min(list.end) - at).unwrap_or(usize::MAX);
            let Some(part) = piece.bytes().get(from..).and_then(|rest| rest.get(..len)) else {
                return Ok(None);
            };
            bytes.extend_from_slice(part);
            at = end;
        }
        Ok(Some(bytes))
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

/// A piece whose checksum and stamp hold.
struct Piece {
    value: Bytes,
    end: usize,
}

impl Piece {
    fn bytes(&self) -> &[u8] {
        self.value.get(STAMP_BYTES..self.end).unwrap_or_default()
    }
}

#[cfg(any(test, fuzzing))]
pub(super) mod fuzzing;
#[cfg(test)]
mod tests;
