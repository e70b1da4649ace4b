use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;

use smallvec::SmallVec;
use uuid::Uuid;

use crate::append::{Append, Appended, metadata_bytes};
use crate::clock::Timestamp;
use crate::command::RecordedCommand;
use crate::error::AppendError;
use crate::event::{NewEvent, RecordedEvent};
use crate::event_store::{Direction, Page, StreamQuery};
use crate::memory::commands::Commands;
use crate::position::{Position, Version};
use crate::stream_id::StreamId;

/// The most payload and metadata on one page, in bytes; a single event may exceed it.
pub(crate) const PAGE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// All events in the order of positions, and where those of each stream are.
///
/// It may be the continuation of a history that is kept elsewhere: then positions go on behind that, and so do the versions
/// of each stream that it is told of ([`Log::continue_stream`]) before anything is appended to it.
#[derive(Default)]
pub(crate) struct Log {
    events: Vec<RecordedEvent>,
    /// The last position that is kept elsewhere.
    before: Position,
    /// The last versions that are kept elsewhere.
    versions_before: HashMap<StreamId, Version>,
    /// Indexes into `events`, one for each version; a stream without events does not stand here.
    streams: BTreeMap<StreamId, Vec<usize>>,
    commands: Commands,
    last_recorded_at: Option<Timestamp>,
}

impl Log {
    /// Continues a history that ends with an event at this position, recorded at this time.
    pub(crate) fn behind(before: Position, last_recorded_at: Option<Timestamp>) -> Self {
        Self {
            before,
            last_recorded_at,
            ..Self::default()
        }
    }

    /// A stream's last version in the history that is continued.
    pub(crate) fn continue_stream(&mut self, stream: StreamId, version: Version) {
        self.versions_before.insert(stream, version);
    }

    /// The version of a stream that it was told of, in the history that is continued.
    pub(crate) fn continued(&self, stream: &StreamId) -> Option<Version> {
        self.versions_before.get(stream).copied()
    }

    /// Forgets the streams that it was told of and has no events of, if they are more than so many.
    pub(crate) fn forget_untouched(&mut self, count_max: usize) {
        if self.versions_before.len() > count_max {
            let streams = &self.streams;
            self.versions_before
                .retain(|stream, _| streams.contains_key(stream));
        }
    }

    /// The first position that is not kept elsewhere is behind this one.
    pub(crate) fn before(&self) -> Position {
        self.before
    }

    fn version_before(&self, stream: &StreamId) -> u64 {
        let before = self.versions_before.get(stream);
        before.map_or(0, |version| version.get())
    }

    /// Records all events of a valid append, or nothing.
    pub(crate) fn append(
        &mut self,
        append: Append,
        now: Timestamp,
    ) -> Result<Appended, AppendError> {
        // A retry whose expected version has moved on must hear of the duplicate, not of a conflict.
        if let Some(command) = &append.command
            && self.commands.get(command.id).is_some()
        {
            let command_id = command.id;
            return Err(AppendError::Duplicate { command_id });
        }
        for part in &append.streams {
            let actual = self.version(&part.stream);
            if !part.expected.is_met_by(actual) {
                return Err(AppendError::Conflict {
                    stream: part.stream.clone(),
                    expected: part.expected,
                    actual,
                });
            }
        }
        // A clock may step back, the order of events may not.
        let recorded_at = self.last_recorded_at.map_or(now, |last| last.max(now));
        let event_count = append.event_count();
        if append.is_recording() {
            self.last_recorded_at = Some(recorded_at);
        }
        let mut versions = SmallVec::with_capacity(append.streams.len());
        for part in append.streams {
            for event in part.events {
                self.push(&part.stream, recorded_at, event);
            }
            versions.push(self.version(&part.stream));
        }
        let event_count = u32::try_from(event_count).unwrap_or(u32::MAX);
        if let Some(command) = append.command {
            self.commands.insert(RecordedCommand {
                id: command.id,
                fingerprint: command.fingerprint,
                reply: command.reply,
                position: self.head(),
                event_count,
                recorded_at: (event_count > 0).then_some(recorded_at),
            });
        }
        Ok(Appended {
            position: self.head(),
            event_count,
            recorded_at,
            versions,
        })
    }

    fn push(&mut self, stream: &StreamId, recorded_at: Timestamp, event: NewEvent) {
        let index = self.events.len();
        let position = self.head().next();
        let version = self.version(stream).next();
        match self.streams.get_mut(stream) {
            Some(indexes) => indexes.push(index),
            None => {
                self.streams.insert(stream.clone(), vec![index]);
            }
        }
        self.events.push(RecordedEvent {
            position,
            stream: stream.clone(),
            version,
            id: event.id,
            event_type: event.event_type,
            schema_version: event.schema_version,
            recorded_at,
            effective_at: event.effective_at.unwrap_or(recorded_at),
            correlation_id: event.correlation_id,
            causation_id: event.causation_id,
            user: event.user,
            metadata: event.metadata,
            payload: event.payload,
        });
    }

    pub(crate) fn command(&self, id: Uuid) -> Option<RecordedCommand> {
        self.commands.get(id).cloned()
    }

    pub(crate) fn remember_commands(&mut self, count: usize) {
        self.commands.remember(count);
    }

    pub(crate) fn head(&self) -> Position {
        let before = self.before.get();
        Position::new(before.saturating_add(number(self.events.len())))
    }

    pub(crate) fn version(&self, stream: &StreamId) -> Version {
        let here = number(self.streams.get(stream).map_or(0, Vec::len));
        Version::new(self.version_before(stream).saturating_add(here))
    }

    pub(crate) fn read_stream(&self, query: &StreamQuery) -> Page<Version> {
        let indexes = self
            .streams
            .get(&query.stream)
            .map_or(&[][..], Vec::as_slice);
        let before = self.version_before(&query.stream);
        let here = |version: Version| index(version.get().saturating_sub(before));
        let first = here(query.from).saturating_sub(1);
        let end = here(query.to).min(indexes.len());
        // No slice has its end before its start: from > to is an empty range.
        let wanted = indexes.get(first..end).unwrap_or_default();
        let events = wanted.iter().filter_map(|index| self.events.get(*index));
        let cursor = |event: &RecordedEvent| event.version;
        match query.direction {
            Direction::Forward => page(events, query.limit, cursor),
            Direction::Backward => page(events.rev(), query.limit, cursor),
        }
    }

    pub(crate) fn read_all(&self, after: Position, limit: usize) -> Page<Position> {
        let here = index(after.get().saturating_sub(self.before.get()));
        let behind = self.events.get(here..).unwrap_or_default();
        page(behind.iter(), limit, |event| {
            Position::new(event.position.get().saturating_sub(1))
        })
    }

    /// The streams that it has events of, behind `after`, up to `limit`.
    pub(crate) fn touched(&self, after: Option<&StreamId>, limit: usize) -> Vec<StreamId> {
        self.streams("", after, limit)
    }

    /// The streams whose names start with `prefix`.
    pub(crate) fn streams(
        &self,
        prefix: &str,
        after: Option<&StreamId>,
        limit: usize,
    ) -> Vec<StreamId> {
        let start = match after {
            Some(after) if after.as_str() >= prefix => Bound::Excluded(after.as_str()),
            _ => Bound::Included(prefix),
        };
        self.streams
            .range::<str, _>((start, Bound::Unbounded))
            .map(|(stream, _)| stream)
            .take_while(|stream| stream.as_str().starts_with(prefix))
            .take(limit)
            .cloned()
            .collect()
    }
}

/// What of `events` fits on one page; `cursor` gives the place of the first event that does not.
fn page<'a, Cursor>(
    events: impl Iterator<Item = &'a RecordedEvent>,
    limit: usize,
    cursor: impl Fn(&RecordedEvent) -> Cursor,
) -> Page<Cursor> {
    let mut given = Vec::new();
    let mut bytes: usize = 0;
    for event in events {
        bytes = bytes
            .saturating_add(event.payload.bytes.len())
            .saturating_add(metadata_bytes(&event.metadata));
        let over = bytes > PAGE_BYTES_MAX && !given.is_empty();
        if given.len() >= limit || over {
            return Page {
                events: given,
                next: Some(cursor(event)),
            };
        }
        given.push(event.clone());
    }
    Page {
        events: given,
        next: None,
    }
}

/// How many there are, as a version or position.
fn number(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// A version or position as an index; one that memory cannot hold is behind everything.
fn index(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
