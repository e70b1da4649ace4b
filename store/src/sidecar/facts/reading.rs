//! Looks for keys in the directories, and reads their lists.

use super::super::engine::{Bytes, Table};
use super::super::value::unseal;
use super::super::{SegmentMark, Sidecar};
use super::dictionary::{self, DictionaryHead, Row};
use super::{COMMON_PART, Candidates, ListBytes, STAMP_BYTES, piece_key, stamp_of};
use crate::error::Fault;
use crate::look_up::facts::{CorrelationKey, kind_matches, put_kind_prefix};
use crate::look_up::{EventKind, LookUpBy};

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

impl Sidecar {
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
}
