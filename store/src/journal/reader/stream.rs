//! Reading one stream: the places of its records, and the records that lie close together at once.

use bytes::Bytes;

use crate::bytes_io::Fields;
use crate::error::ReadError;
use crate::event::RecordedEvent;
use crate::event_store::{Direction, Page, StreamQuery};
use crate::journal::disk::BlockReader;
use crate::journal::names::Names;
use crate::journal::reader::{CHUNK_BYTES, JournalReader, PAGE_BYTES};
use crate::journal::record::{self, RECORD_PREFIX_BYTES, RawRecord};
use crate::position::{Position, Version};
use crate::sidecar::Place;
use crate::stream_id::StreamId;

/// A page holds no more events than this: no record is so small that more would fit.
const PAGE_EVENTS: usize = PAGE_BYTES / 32;
/// Records that are no further apart than this are read together.
pub(super) const GAP_BYTES: u32 = 16 << 10;
/// What is read behind the start of a run's last record in the hope that it ends there.
pub(super) const RECORD_GUESS_BYTES: usize = 1 << 10;
/// A length beyond this does not come from a record that was written.
const RECORD_BYTES_MAX: usize = 1 << 30;

impl JournalReader {
    pub(crate) fn read_stream(&self, query: &StreamQuery) -> Result<Page<Version>, ReadError> {
        // Without this a page of a long stream would look up all that is behind it, too.
        let limit = query.limit.min(PAGE_EVENTS);
        let places = self.places(query, limit)?;
        let mut events = Vec::with_capacity(places.len());
        let mut bytes = 0;
        let mut rest = places.as_slice();
        while let (Some(first), true) = (rest.first(), bytes < PAGE_BYTES) {
            let (run, behind) = rest.split_at(run_length(rest));
            bytes += self.read_run(first.segment, run, &query.stream, &mut events)?;
            rest = behind;
        }
        let cut_short = !rest.is_empty() || events.len() == limit;
        let next = self.next_version(query, &events, cut_short)?;
        Ok(Page { events, next })
    }

    fn places(&self, query: &StreamQuery, limit: usize) -> Result<Vec<Place>, ReadError> {
        let StreamQuery {
            stream,
            from,
            to,
            direction,
            ..
        } = query;
        let from = (*from).max(Version::EMPTY.next());
        // The live index first, the sidecar second: a segment moves from the one to the other.
        let live = self
            .live
            .view()
            .places(stream, (from, *to), *direction, limit);
        let sidecar = |to: Version, limit: usize| {
            if limit == 0 || from > to {
                return Ok(Vec::new());
            }
            self.beside_or(
                |sidecar| sidecar.places(stream, from, to, *direction, limit),
                || self.scanned_places(stream, (from, to), *direction, limit),
            )
        };
        let lowest_live = live.iter().map(|place| place.version).min();
        let below_live = lowest_live.map_or(*to, |lowest| Version::new(lowest.get() - 1));
        let (mut first, second) = match direction {
            Direction::Forward => (sidecar(below_live, limit)?, live),
            Direction::Backward => {
                let open = limit.saturating_sub(live.len());
                (live, sidecar(below_live, open)?)
            }
        };
        first.extend(second);
        first.truncate(limit);
        Ok(first)
    }

    fn next_version(
        &self,
        query: &StreamQuery,
        events: &[RecordedEvent],
        cut_short: bool,
    ) -> Result<Option<Version>, ReadError> {
        let Some(last) = events.last().map(|event| event.version) else {
            return Ok(None);
        };
        let more = cut_short
            && match query.direction {
                Direction::Forward => {
                    last < query.to && last < self.stream_version(&query.stream)?
                }
                Direction::Backward => last > query.from.max(Version::new(1)),
            };
        let next = match query.direction {
            Direction::Forward => last.next(),
            Direction::Backward => Version::new(last.get() - 1),
        };
        Ok(more.then_some(next))
    }

    /// Reads the records of a run and gives back how many bytes they took.
    fn read_run(
        &self,
        segment: u64,
        run: &[Place],
        stream: &StreamId,
        events: &mut Vec<RecordedEvent>,
    ) -> Result<usize, ReadError> {
        let offsets = run.iter().map(|place| place.offset);
        let (Some(start), Some(end)) = (offsets.clone().min(), offsets.max()) else {
            return Ok(0);
        };
        let file = self.open(segment)?;
        let len = usize::try_from(end - start).unwrap_or_default() + RECORD_GUESS_BYTES;
        let chunk = self.read(&*file, segment, u64::from(start), len)?;
        let mut bytes = 0;
        for place in run {
            let at = usize::try_from(place.offset - start).unwrap_or(usize::MAX);
            let held = chunk.slice(at.min(chunk.len())..);
            let record = self.whole_record(&*file, held, place)?;
            let event = self
                .with_names(|names| decode_record(&record, place.position, names))
                .filter(|event| event.stream == *stream && event.version == place.version);
            bytes += record.len();
            events.push(event.ok_or_else(|| {
                let offset = u64::from(place.offset);
                self.damage(
                    segment,
                    offset,
                    place.position,
                    "the record is not what was written",
                )
            })?);
        }
        Ok(bytes)
    }

    /// The record at the front of `held`, read again if `held` does not reach its end.
    pub(super) fn whole_record(
        &self,
        file: &dyn BlockReader,
        held: Bytes,
        place: &Place,
    ) -> Result<Bytes, ReadError> {
        let mut fields = Fields::new(&held);
        if RawRecord::next(&mut fields).is_some() {
            let len = held.len() - fields.rest().len();
            return Ok(held.slice(..len));
        }
        let offset = u64::from(place.offset);
        let content = Fields::new(&held)
            .u32()
            .and_then(|length| usize::try_from(length).ok());
        let Some(content) = content.filter(|bytes| *bytes <= RECORD_BYTES_MAX) else {
            let what = "the length of the record is not possible";
            return Err(self.damage(place.segment, offset, place.position, what));
        };
        self.read(file, place.segment, offset, content + RECORD_PREFIX_BYTES)
    }
}

/// How many of the places at the front lie close enough together in one segment to be read at once.
fn run_length(places: &[Place]) -> usize {
    let Some(first) = places.first() else {
        return 0;
    };
    let is_near = |pair: &&[Place]| match pair {
        [one, other] => {
            other.segment == first.segment
                && one.offset.abs_diff(other.offset) <= GAP_BYTES
                && first.offset.abs_diff(other.offset) as usize <= CHUNK_BYTES
        }
        _ => false,
    };
    1 + places.windows(2).take_while(|pair| is_near(pair)).count()
}

pub(super) fn decode_record(
    record: &Bytes,
    position: Position,
    names: &mut Names,
) -> Option<RecordedEvent> {
    let raw = RawRecord::next(&mut Fields::new(record))?;
    if !raw.is_intact(position) {
        return None;
    }
    record::decode(record, raw.content, position, names)
}
