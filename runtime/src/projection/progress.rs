use std::fmt;
use std::sync::Arc;

use foldhouse_store::{Position, RecordedEvent, StreamId};

/// Why a projection is parked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParkedEvent {
    /// What failed, in words.
    pub error: Arc<str>,
    /// The position behind which it does not come.
    pub position: Position,
    /// The event that it could not apply: its stream and type. `None` if the store failed and not an event.
    pub event: Option<(StreamId, Arc<str>)>,
}

impl ParkedEvent {
    pub(super) fn before(event: &RecordedEvent, error: impl fmt::Display) -> Self {
        Self {
            error: error.to_string().into(),
            position: event.position,
            event: Some((event.stream.clone(), Arc::clone(&event.event_type))),
        }
    }
}

impl fmt::Display for ParkedEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.event {
            Some((stream, event_type)) => write!(
                f,
                "event {} ({event_type} of {stream}) cannot be applied: {}",
                self.position, self.error
            ),
            None => write!(f, "at position {}: {}", self.position, self.error),
        }
    }
}

/// How far a projection is, for those who wait.
#[derive(Clone, Debug)]
pub(crate) struct Progress {
    pub(crate) position: Position,
    pub(crate) state: State,
    /// Whether its actor is gone.
    pub(crate) ended: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    CatchingUp,
    Live,
    Retrying { failed: ParkedEvent, attempts: u32 },
    Parked(ParkedEvent),
    Paused,
}

impl Progress {
    pub(crate) fn parked(self) -> Option<ParkedEvent> {
        match self.state {
            State::Parked(parked) => Some(parked),
            _ => None,
        }
    }
}
