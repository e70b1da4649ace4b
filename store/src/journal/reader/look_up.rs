//! Looking for events by kind or by correlation id: segment by segment, by what is known of each.

use crate::error::ReadError;
use crate::event::RecordedEvent;
use crate::event_store::Direction;
use crate::journal::reader::stream::{GAP_BYTES, RECORD_GUESS_BYTES, decode_record};
use crate::journal::reader::{CHUNK_BYTES, JournalReader};
use crate::look_up::scan::Scan;
use crate::look_up::{Finding, Found, LookUp, LookUpBy};
use crate::position::{Position, Version};
use crate::sidecar::{Candidates, EventPlace, Place};

/// How many segments one look-up goes through.
const SEGMENTS_MAX: u64 = 1_024;
/// A range of no more events than this is read: that is as fast as any index.
const SMALL_RANGE_EVENTS: u64 = 32;
/// A look-up that has read this many events of live segments into memory, to know what they are, goes no further. The one
/// segment that it begins with it finishes.
const NEW_FACTS_MAX: u64 = 100_000;

/// A segment's part of the range.
#[derive(Clone, Copy, Debug)]
struct Part {
    segment: u64,
    from: Position,
    to: Position,
}

impl Part {
    /// Where the next segment's part begins; `None` behind the last.
    fn beyond(&self, look_up: &LookUp) -> Option<Position> {
        let next = match look_up.direction {
            Direction::Forward => self.to.next(),
            Direction::Backward => before(self.from),
        };
        (look_up.from <= next && next <= look_up.to).then_some(next)
    }

    fn event_count(&self) -> u64 {
        (self.to.get() + 1).saturating_sub(self.from.get())
    }
}

impl JournalReader {
    /// Looks up events among those up to `head`.
    pub(crate) fn look_up(&self, look_up: LookUp, head: Position) -> Result<Found, ReadError> {
        if self.is_closed() {
            return Err(ReadError::Closed);
        }
        let Some(look_up) = look_up.within(head) else {
            return Ok(Found::default());
        };
        let mut finding = Finding::begin(&look_up);
        let mut new_facts = 0;
        let mut next = Some(match look_up.direction {
            Direction::Forward => look_up.from,
            Direction::Backward => look_up.to,
        });
        for _ in 0..SEGMENTS_MAX {
            let Some(at) = next else {
                return Ok(finding.finish());
            };
            if finding.is_full() || new_facts > NEW_FACTS_MAX {
                break;
            }
            let part = self.part_at(at, &look_up);
            let stopped = match self.candidates(part, &look_up.by, &mut new_facts)? {
                Candidates::Anywhere => self.look_at_all(part, &look_up, &mut finding)?,
                Candidates::Places(places) => {
                    self.look_at(part, &places, &look_up, &mut finding)?
                }
            };
            next = stopped.or_else(|| part.beyond(&look_up));
        }
        Ok(match next {
            Some(next) => finding.go_on_at(next, &look_up),
            None => finding.finish(),
        })
    }

    /// The part of the range that is in one segment with `at`, which is the first to look at.
    fn part_at(&self, at: Position, look_up: &LookUp) -> Part {
        let segment = self.segments.number_of(at);
        let first = self.segments.first_position(segment).unwrap_or_default();
        let behind = self.segments.first_position(segment + 1);
        let last = behind.map_or(look_up.to, before);
        match look_up.direction {
            Direction::Forward => Part {
                segment,
                from: at,
                to: look_up.to.min(last),
            },
            Direction::Backward => Part {
                segment,
                from: look_up.from.max(first),
                to: at,
            },
        }
    }

    fn candidates(
        &self,
        part: Part,
        by: &LookUpBy,
        new_facts: &mut u64,
    ) -> Result<Candidates, ReadError> {
        if part.event_count() <= SMALL_RANGE_EVENTS {
            return Ok(Candidates::Anywhere);
        }
        // The live index first, the sidecar second: a segment moves from the one to the other.
        if let Some(live) = self.live.view().segment(part.segment) {
            *new_facts += self.events_without_facts(part.segment, part.to);
            return self.live_candidates(&live, by, part.to);
        }
        self.beside_or(
            |sidecar| sidecar.candidates(part.segment, by).map(Some),
            || Ok(Some(Candidates::Anywhere)),
        )
        .map(|candidates| candidates.unwrap_or(Candidates::Anywhere))
    }

    /// Looks at all events of a part; gives where it stopped before the end.
    fn look_at_all(
        &self,
        part: Part,
        look_up: &LookUp,
        finding: &mut Finding,
    ) -> Result<Option<Position>, ReadError> {
        let mut scan = Scan::new(look_up, part.from, part.to);
        while let Some((after, limit)) = scan.wanted(finding) {
            let page = self.read_all(after, part.to, limit)?;
            scan.take(page.events, finding);
        }
        Ok(scan.rest())
    }

    /// Looks at the events of a part that are at these places; gives where it stopped before the last of them.
    fn look_at(
        &self,
        part: Part,
        places: &[EventPlace],
        look_up: &LookUp,
        finding: &mut Finding,
    ) -> Result<Option<Position>, ReadError> {
        let first = self
            .segments
            .first_position(part.segment)
            .unwrap_or_default();
        let place = |found: &EventPlace| Place {
            segment: part.segment,
            version: Version::EMPTY,
            position: Position::new(first.get() + u64::from(found.position_in_segment)),
            offset: found.offset,
        };
        let range = part.from..=part.to;
        let in_range = places.iter().map(place);
        let mut places: Vec<Place> = in_range
            .filter(|place| range.contains(&place.position))
            .collect();
        if look_up.direction == Direction::Backward {
            places.reverse();
        }
        let mut rest = places.as_slice();
        while let Some(next) = rest.first() {
            if finding.is_full() {
                return Ok(Some(next.position));
            }
            let run = run_length(rest, finding.room());
            let (run, behind) = rest.split_at(run);
            for event in self.read_places(part.segment, run)? {
                if finding.is_full() {
                    return Ok(Some(event.position));
                }
                finding.examine(event, &look_up.by);
            }
            rest = behind;
        }
        Ok(None)
    }

    /// Reads the records at places that lie close together.
    fn read_places(&self, segment: u64, places: &[Place]) -> Result<Vec<RecordedEvent>, ReadError> {
        let offsets = places.iter().map(|place| place.offset);
        let (Some(start), Some(end)) = (offsets.clone().min(), offsets.max()) else {
            return Ok(Vec::new());
        };
        let file = self.open(segment)?;
        let len = usize::try_from(end - start).unwrap_or_default() + RECORD_GUESS_BYTES;
        let chunk = self.read(&*file, segment, u64::from(start), len)?;
        let mut events = Vec::with_capacity(places.len());
        for place in places {
            let at = usize::try_from(place.offset - start).unwrap_or(usize::MAX);
            let held = chunk.slice(at.min(chunk.len())..);
            let record = self.whole_record(&*file, held, place)?;
            let event = self.with_names(|names| decode_record(&record, place.position, names));
            events.push(event.ok_or_else(|| {
                let what = "the record is not what was written";
                self.damage(segment, u64::from(place.offset), place.position, what)
            })?);
        }
        Ok(events)
    }
}

/// How many of the places at the front, up to `count_max`, lie close enough together to be read at once.
fn run_length(places: &[Place], count_max: usize) -> usize {
    let Some(first) = places.first() else {
        return 0;
    };
    let is_near = |pair: &&[Place]| match pair {
        [one, other] => {
            one.offset.abs_diff(other.offset) <= GAP_BYTES
                && first.offset.abs_diff(other.offset) as usize <= CHUNK_BYTES
        }
        _ => false,
    };
    let near = 1 + places.windows(2).take_while(|pair| is_near(pair)).count();
    near.min(count_max.max(1))
}

fn before(position: Position) -> Position {
    Position::new(position.get().saturating_sub(1))
}
