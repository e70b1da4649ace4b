use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use uuid::Uuid;

use crate::event_store::Direction;
use crate::journal::queue::{AppendPlace, RecordPlace};
use crate::position::{Position, Version};
use crate::sidecar::{CommandPlace, EventPlace, FramePlace, Place};
use crate::stream_id::StreamId;

/// Where every event of the segments is that are not in the sidecar yet: the active one, and sealed ones that wait for
/// the indexing thread. Rebuilt from the journal on open.
#[derive(Debug, Default)]
pub(crate) struct LiveIndex {
    /// By segment number; the last one is the active segment.
    segments: RwLock<VecDeque<Arc<LiveSegment>>>,
}

/// The index of one segment in memory.
#[derive(Debug)]
pub(crate) struct LiveSegment {
    pub(crate) number: u64,
    pub(crate) first_position: Position,
    places: RwLock<SegmentPlaces>,
}

#[derive(Debug, Default)]
pub(crate) struct SegmentPlaces {
    pub(crate) streams: HashMap<StreamId, StreamPlaces, ahash::RandomState>,
    pub(crate) frames: Vec<FramePlace>,
    /// By command the head of its append, and the position of the event that follows or would follow it.
    pub(crate) commands: HashMap<Uuid, EventPlace>,
}

/// The events of one stream in one segment, in version order.
#[derive(Debug)]
pub(crate) struct StreamPlaces {
    pub(crate) first_version: Version,
    pub(crate) events: Vec<EventPlace>,
}

impl StreamPlaces {
    pub(crate) fn last_version(&self) -> Version {
        Version::new(self.first_version.get() + self.events.len() as u64 - 1)
    }
}

impl LiveSegment {
    pub(crate) fn new(number: u64, first_position: Position) -> Self {
        Self {
            number,
            first_position,
            places: RwLock::default(),
        }
    }

    pub(crate) fn read(&self) -> RwLockReadGuard<'_, SegmentPlaces> {
        self.places.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, SegmentPlaces> {
        self.places.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a frame whose body starts at `body_offset` of the segment file.
    pub(crate) fn add_frame(
        &self,
        frame: FramePlace,
        body_offset: u64,
        records: impl Iterator<Item = RecordPlace>,
    ) {
        let first = frame.first_position.get() - self.first_position.get();
        let mut places = self.write();
        places.frames.push(frame);
        for (ordinal, record) in (first..).zip(records) {
            let offset = body_offset + record.offset_in_body as u64;
            // A segment is far smaller than 4 GiB, and has fewer events than bytes.
            let (Ok(position_in_segment), Ok(offset)) =
                (u32::try_from(ordinal), u32::try_from(offset))
            else {
                continue;
            };
            let place = EventPlace {
                position_in_segment,
                offset,
            };
            match places.streams.get_mut(&record.stream) {
                Some(stream) => stream.events.push(place),
                None => {
                    let stream = StreamPlaces {
                        first_version: record.version,
                        events: vec![place],
                    };
                    places.streams.insert(record.stream, stream);
                }
            }
        }
    }

    /// Adds the commands of a frame whose body starts at `body_offset` of the segment file.
    pub(crate) fn add_commands(
        &self,
        body_offset: u64,
        appends: impl Iterator<Item = AppendPlace>,
    ) {
        let mut appends = appends.filter_map(|append| Some((append.command?, append)));
        let Some(first) = appends.next() else {
            return;
        };
        let mut places = self.write();
        for (command, append) in std::iter::once(first).chain(appends) {
            let offset = body_offset + append.offset_in_body as u64;
            let ordinal = append.position.get() - self.first_position.get();
            // As for events.
            let (Ok(position_in_segment), Ok(offset)) =
                (u32::try_from(ordinal), u32::try_from(offset))
            else {
                continue;
            };
            let place = EventPlace {
                position_in_segment,
                offset,
            };
            places.commands.insert(command, place);
        }
    }

    fn command(&self, id: Uuid) -> Option<CommandPlace> {
        let place = *self.read().commands.get(&id)?;
        Some(CommandPlace {
            segment: self.number,
            position: Position::new(
                self.first_position.get() + u64::from(place.position_in_segment),
            ),
            offset: place.offset,
        })
    }

    /// Takes over what a later part of the same segment has been read into.
    pub(crate) fn absorb(&self, later: Self) {
        let later = later
            .places
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        let mut places = self.write();
        places.frames.extend(later.frames);
        places.commands.extend(later.commands);
        for (stream, found) in later.streams {
            match places.streams.entry(stream) {
                Entry::Occupied(mut known) => known.get_mut().events.extend(found.events),
                Entry::Vacant(new) => {
                    new.insert(found);
                }
            }
        }
    }

    /// Gives back the memory that was kept for events to come.
    pub(crate) fn shrink(&self) {
        let mut places = self.write();
        places.frames.shrink_to_fit();
        places.streams.shrink_to_fit();
        places.commands.shrink_to_fit();
        for stream in places.streams.values_mut() {
            stream.events.shrink_to_fit();
        }
    }

    fn places_of(&self, stream: &StreamId, from: Version, to: Version, into: &mut Vec<Place>) {
        let places = self.read();
        let Some(events) = places.streams.get(stream) else {
            return;
        };
        let first = from.max(events.first_version);
        let skip = usize::try_from(first.get() - events.first_version.get()).unwrap_or(usize::MAX);
        let take = (to.get() + 1).saturating_sub(first.get());
        let take = usize::try_from(take).unwrap_or(usize::MAX);
        let found = events.events.iter().skip(skip).take(take);
        into.extend((first.get()..).zip(found).map(|(version, place)| Place {
            segment: self.number,
            version: Version::new(version),
            position: Position::new(
                self.first_position.get() + u64::from(place.position_in_segment),
            ),
            offset: place.offset,
        }));
    }
}

impl LiveIndex {
    /// The segments as they are now. A segment leaves only when it is in the sidecar: who asks the view first and the
    /// sidecar second misses nothing.
    pub(crate) fn view(&self) -> LiveView {
        let segments = self.segments.read().unwrap_or_else(PoisonError::into_inner);
        LiveView {
            segments: segments.iter().cloned().collect(),
        }
    }

    /// Where the command with this id is, the newest one first.
    pub(crate) fn command(&self, id: Uuid) -> Option<CommandPlace> {
        let segments = self.segments.read().unwrap_or_else(PoisonError::into_inner);
        segments
            .iter()
            .rev()
            .find_map(|segment| segment.command(id))
    }

    fn write(&self) -> RwLockWriteGuard<'_, VecDeque<Arc<LiveSegment>>> {
        self.segments
            .write()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds the newest segment.
    pub(crate) fn push(&self, segment: Arc<LiveSegment>) {
        self.write().push_back(segment);
    }

    /// Drops a segment that is in the sidecar now.
    pub(crate) fn remove(&self, number: u64) {
        self.write().retain(|segment| segment.number != number);
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.segments
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .len()
    }
}

/// The live segments at one moment, oldest first.
#[derive(Debug)]
pub(crate) struct LiveView {
    segments: Vec<Arc<LiveSegment>>,
}

impl LiveView {
    pub(crate) fn segment(&self, number: u64) -> Option<Arc<LiveSegment>> {
        self.segments
            .iter()
            .find(|segment| segment.number == number)
            .cloned()
    }

    /// The version of a stream, if it has an event here.
    pub(crate) fn stream_version(&self, stream: &StreamId) -> Option<Version> {
        let mut newest_first = self.segments.iter().rev();
        newest_first.find_map(|segment| {
            segment
                .read()
                .streams
                .get(stream)
                .map(StreamPlaces::last_version)
        })
    }

    fn first_version(&self, stream: &StreamId) -> Option<Version> {
        let mut oldest_first = self.segments.iter();
        oldest_first.find_map(|segment| {
            segment
                .read()
                .streams
                .get(stream)
                .map(|places| places.first_version)
        })
    }

    /// Up to `limit` places of a stream's versions `from..=to`, from the end that `direction` says.
    pub(crate) fn places(
        &self,
        stream: &StreamId,
        (from, to): (Version, Version),
        direction: Direction,
        limit: usize,
    ) -> Vec<Place> {
        let mut found = Vec::new();
        let limit_versions = limit as u64;
        let to = to.min(self.stream_version(stream).unwrap_or_default());
        let (from, to) = match direction {
            Direction::Forward => {
                let from = from.max(self.first_version(stream).unwrap_or_default());
                (
                    from,
                    to.min(Version::new(from.get().saturating_add(limit_versions) - 1)),
                )
            }
            Direction::Backward => (
                from.max(Version::new((to.get() + 1).saturating_sub(limit_versions))),
                to,
            ),
        };
        if limit == 0 || from > to {
            return found;
        }
        for segment in &self.segments {
            segment.places_of(stream, from, to, &mut found);
        }
        if direction == Direction::Backward {
            found.reverse();
        }
        found
    }

    /// The streams here that start with `prefix`, behind `after`.
    pub(crate) fn streams(
        &self,
        prefix: &str,
        after: Option<&StreamId>,
        limit: usize,
    ) -> BTreeSet<StreamId> {
        let mut found = BTreeSet::new();
        for segment in &self.segments {
            for stream in segment.read().streams.keys() {
                let is_behind = after.is_none_or(|after| stream > after);
                if is_behind && stream.as_str().starts_with(prefix) {
                    found.insert(stream.clone());
                    if found.len() > limit {
                        found.pop_last();
                    }
                }
            }
        }
        found
    }
}
