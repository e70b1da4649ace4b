//! What the sidecar would answer, from the journal itself, for as long as the sidecar cannot: slower, and as true.
//!
//! sled fails every call after a write that found no room, reads as well, until it is opened again.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::{Fault, OpenError, ReadError};
use crate::event_store::Direction;
use crate::journal::live_index::{LiveIndex, LiveSegment, LiveView};
use crate::journal::reader::JournalReader;
use crate::journal::recovery::scan_frames;
use crate::journal::scan::SegmentScan;
use crate::journal::segment::{BLOCK_BYTES, BadHeader, SegmentHeader};
use crate::position::Version;
use crate::sidecar::{Place, Sidecar};
use crate::stream_id::StreamId;

/// How many segments stay indexed in memory; a larger journal is read anew for each answer.
const SEGMENTS_MAX: usize = 8;

/// The segments that were indexed last, newest at the back.
#[derive(Debug, Default)]
pub(crate) struct Rescue {
    held: Mutex<VecDeque<Arc<LiveSegment>>>,
}

impl JournalReader {
    /// Asks the sidecar, if there is one, and if that cannot answer, whatever `otherwise` asks instead.
    pub(super) fn beside_or<T: Default>(
        &self,
        ask: impl FnOnce(&Sidecar) -> Result<T, Fault>,
        otherwise: impl FnOnce() -> Result<T, ReadError>,
    ) -> Result<T, ReadError> {
        match self.indexed(ask) {
            Err(ReadError::Io(fault)) => {
                tracing::warn!(%fault, "the index does not answer; reading the journal instead");
                otherwise()
            }
            answer => answer,
        }
    }

    pub(super) fn scanned_version(&self, stream: &StreamId) -> Result<Version, ReadError> {
        for number in self.sealed().rev() {
            if let Some(version) = self.scanned(number)?.stream_version(stream) {
                return Ok(version);
            }
        }
        Ok(Version::EMPTY)
    }

    pub(super) fn scanned_places(
        &self,
        stream: &StreamId,
        range: (Version, Version),
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<Place>, ReadError> {
        let mut found = Vec::new();
        let mut take = |number| {
            let open = limit - found.len();
            let places = self.scanned(number)?.places(stream, range, direction, open);
            found.extend(places);
            Ok(found.len() < limit)
        };
        match direction {
            Direction::Forward => {
                for number in self.sealed() {
                    if !take(number)? {
                        break;
                    }
                }
            }
            Direction::Backward => {
                for number in self.sealed().rev() {
                    if !take(number)? {
                        break;
                    }
                }
            }
        }
        Ok(found)
    }

    pub(super) fn scanned_streams(
        &self,
        prefix: &str,
        after: Option<&StreamId>,
        limit: usize,
    ) -> Result<Vec<StreamId>, ReadError> {
        let mut found = std::collections::BTreeSet::new();
        for number in self.sealed() {
            found.extend(self.scanned(number)?.streams(prefix, after, limit));
            while found.len() > limit {
                found.pop_last();
            }
        }
        Ok(found.into_iter().collect())
    }

    /// The numbers of the sealed segments.
    fn sealed(&self) -> std::ops::Range<u64> {
        0..self.segments.count().saturating_sub(1)
    }

    /// One sealed segment, indexed.
    fn scanned(&self, number: u64) -> Result<LiveView, ReadError> {
        let only = LiveIndex::default();
        only.push(match self.live.view().segment(number) {
            Some(live) => live,
            None => self.scanned_segment(number)?,
        });
        Ok(only.view())
    }

    fn scanned_segment(&self, number: u64) -> Result<Arc<LiveSegment>, ReadError> {
        // Held meanwhile: many readers would otherwise all scan the same.
        let mut held = self
            .rescue
            .held
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = held.iter().position(|segment| segment.number == number)
            && let Some(segment) = held.remove(at)
        {
            held.push_back(Arc::clone(&segment));
            return Ok(segment);
        }
        let segment = Arc::new(self.scan_segment(number)?);
        if held.len() >= SEGMENTS_MAX {
            held.pop_front();
        }
        held.push_back(Arc::clone(&segment));
        Ok(segment)
    }

    fn scan_segment(&self, number: u64) -> Result<LiveSegment, ReadError> {
        let file = self.open(number)?;
        let first_position = self.segments.first_position(number).unwrap_or_default();
        let damage = |offset, what| self.damage(number, offset, first_position, what);
        let block = self.read(&*file, number, 0, BLOCK_BYTES)?;
        let header = SegmentHeader::decode(&block).map_err(|bad| match bad {
            BadHeader::NewerFormat(_) => damage(0, "it has a newer format than when it was opened"),
            BadHeader::Damaged(what) => damage(0, what),
        })?;
        let segment = LiveSegment::new(number, first_position);
        let mut scan = SegmentScan::new(file, &header);
        let found =
            scan_frames(&mut scan, &header, &segment, |_| ()).map_err(|error| match error {
                OpenError::Corrupt(damage) => ReadError::Corrupt(damage),
                OpenError::Io(fault) => ReadError::Io(fault),
                other => ReadError::Io(Fault::new(other.to_string())),
            })?;
        let end = scan.end();
        if self.segments.first_position(number + 1) != Some(end.next_position) {
            return Err(self.damage(number, end.offset, end.next_position, found));
        }
        Ok(segment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::RecordedEvent;
    use crate::event_store::StreamQuery;
    use crate::journal::JournalStore;
    use crate::journal::test_support::{all_events, append, open};
    use crate::position::Position;

    #[derive(Debug, PartialEq)]
    struct Answers {
        all: Vec<RecordedEvent>,
        by_stream: Vec<(Version, Vec<RecordedEvent>)>,
        streams: Vec<StreamId>,
    }

    fn answers(store: &JournalStore) -> Answers {
        let reader = &store.reader;
        let streams = reader.streams("acme", "gl-account", None, 100).unwrap();
        let mut by_stream = Vec::new();
        for stream in &streams {
            let version = reader.stream_version(stream).unwrap();
            for direction in [Direction::Forward, Direction::Backward] {
                let mut query = StreamQuery::whole(stream.clone(), 7);
                query.direction = direction;
                let mut events = Vec::new();
                loop {
                    let page = reader.read_stream(&query).unwrap();
                    events.extend(page.events);
                    match (page.next, direction) {
                        (Some(next), Direction::Forward) => query.from = next,
                        (Some(next), Direction::Backward) => query.to = next,
                        (None, _) => break,
                    }
                }
                by_stream.push((version, events));
            }
        }
        Answers {
            all: all_events(store, 3),
            by_stream,
            streams,
        }
    }

    #[test]
    fn a_store_whose_index_fails_gives_the_same_answers_and_takes_appends() {
        let (directory, faults) = (tempfile::tempdir().unwrap(), Arc::default());
        let store = open(directory.path(), &faults);
        append(&store, "once", 100).unwrap();
        for _ in 0..60 {
            append(&store, "a", 20_000).unwrap();
            append(&store, "b", 20_000).unwrap();
        }
        store.close();
        // Opened again, it knows of the sealed segments by the index alone.
        let store = open(directory.path(), &faults);
        assert!(store.reader.sealed().end > SEGMENTS_MAX as u64);
        let before = answers(&store);
        store
            .reader
            .beside(|sidecar| {
                sidecar.fail_from_now_on();
                Ok(())
            })
            .unwrap();
        assert_eq!(answers(&store), before);
        let appended = append(&store, "once", 100).unwrap();
        assert_eq!(appended.versions[0], Version::new(2));
        assert_eq!(appended.position, Position::new(122));
    }
}
