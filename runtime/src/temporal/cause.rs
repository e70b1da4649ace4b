use foldhouse_store::{Direction, RecordedEvent, StreamId, StreamQuery, Version};
use uuid::Uuid;

use super::error::PastError;
use super::source::Source;
use crate::event_id::EventIds;

/// Events of one look back.
const PAGE_EVENTS: usize = 64;

/// Tells which command has recorded an event: its id gives back that of the command, if one knows the how manieth it is.
///
/// The events of a command stand side by side in its stream, so it must be shown every event in turn.
pub(super) struct Causes {
    ids: EventIds,
    /// The last event's command, and the how manieth of its events it was.
    last: Option<(Uuid, u32)>,
}

impl Causes {
    /// To be shown the event with this version next.
    pub(super) async fn before(
        source: &Source,
        version: Option<Version>,
    ) -> Result<Self, PastError> {
        let mut causes = Self::new(&source.stream);
        if let Some(version) = version
            && version > Version::new(1)
        {
            let earlier = recorded_with(source, version).await?;
            for event in earlier.iter().rev() {
                causes.command_of(event);
            }
        }
        Ok(causes)
    }

    fn new(stream: &StreamId) -> Self {
        Self {
            ids: EventIds::of(stream),
            last: None,
        }
    }

    pub(super) fn command_of(&mut self, event: &RecordedEvent) -> Uuid {
        let follows = self.last.and_then(|(command, index)| {
            let index = index.checked_add(1)?;
            (self.ids.id(command, index) == event.id).then_some((command, index))
        });
        // It is its own inverse.
        let (command, index) = follows.unwrap_or_else(|| (self.ids.id(event.id, 0), 0));
        self.last = Some((command, index));
        command
    }
}

/// The events before one that may have been recorded by the same append, newest first.
async fn recorded_with(source: &Source, version: Version) -> Result<Vec<RecordedEvent>, PastError> {
    let mut found: Vec<RecordedEvent> = Vec::new();
    let mut to = version;
    loop {
        let query = StreamQuery {
            stream: source.stream.clone(),
            from: Version::new(1),
            to,
            direction: Direction::Backward,
            limit: PAGE_EVENTS,
        };
        let page = source.events.read_stream(query).await;
        let page = page.map_err(|error| source.failed(error))?;
        for event in page.events {
            let is_beside = found.last().is_none_or(|later| {
                later.recorded_at == event.recorded_at && event.position.next() == later.position
            });
            if !is_beside {
                found.drain(..1.min(found.len()));
                return Ok(found);
            }
            found.push(event);
        }
        match page.next {
            Some(next) => to = next,
            None => {
                found.drain(..1.min(found.len()));
                return Ok(found);
            }
        }
    }
}
