//! Looking for events by what they have in common, over all streams.
//!
//! - this file: what is looked for, and what is found
//! - `scan`: by reading everything in the range, which is right for every store
//! - `by_stream`: by reading the one stream
//! - `facts`: what an index of one segment holds

mod by_stream;
pub(crate) mod facts;
pub(crate) mod scan;

use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;

use crate::error::ReadError;
use crate::event::RecordedEvent;
use crate::event_store::{Direction, EventStore};
use crate::position::Position;
use crate::stream_id::StreamId;

/// One look-up gives no more than about this much payload (one event may take more).
pub(crate) const FOUND_BYTES_MAX: usize = 8 << 20;

/// What the events that are looked for have in common.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LookUpBy {
    /// Nothing: every event.
    Everything,
    /// Whose they are, and of which type.
    Kind(EventKind),
    /// The business transaction that they belong to.
    Correlation(Uuid),
    /// Their stream.
    Stream(StreamId),
}

/// Which tenant, aggregate type and event types; what is not given may be any.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct EventKind {
    /// The tenant; `None` for all tenants.
    pub tenant: Option<Arc<str>>,
    /// The aggregate type; `None` for all.
    pub aggregate_type: Option<Arc<str>>,
    /// The event types, any of them; none at all for every type.
    pub event_types: Vec<Arc<str>>,
}

impl EventKind {
    /// Whether tenant, aggregate type and event type are such as are looked for.
    #[must_use]
    pub fn matches(&self, tenant: &str, aggregate_type: &str, event_type: &str) -> bool {
        self.tenant.as_deref().is_none_or(|wanted| wanted == tenant)
            && self
                .aggregate_type
                .as_deref()
                .is_none_or(|wanted| wanted == aggregate_type)
            && (self.event_types.is_empty()
                || self
                    .event_types
                    .iter()
                    .any(|wanted| **wanted == *event_type))
    }
}

impl LookUpBy {
    /// Whether an event is one of those that are looked for.
    #[must_use]
    pub fn matches(&self, event: &RecordedEvent) -> bool {
        match self {
            Self::Everything => true,
            Self::Kind(kind) => {
                let stream = &event.stream;
                kind.matches(stream.tenant(), stream.aggregate_type(), &event.event_type)
            }
            Self::Correlation(id) => event.correlation_id == Some(*id),
            Self::Stream(stream) => event.stream == *stream,
        }
    }
}

/// Which events to look for, where, and how much work to spend on it.
///
/// ```
/// use foldhouse_store::{EventStore, LookUp, LookUpBy, MemoryStore};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store = MemoryStore::new();
/// let look_up = LookUp::all(LookUpBy::Correlation(uuid::Uuid::from_u128(7)), 100);
/// let found = store.look_up(look_up).await?;
/// assert!(found.events.is_empty() && found.next.is_none());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LookUp {
    /// What they have in common.
    pub by: LookUpBy,
    /// The lowest position to give, inclusive.
    pub from: Position,
    /// The highest position to give, inclusive.
    pub to: Position,
    /// Which end to start from.
    pub direction: Direction,
    /// The most events to give. A look-up may give fewer, or none, although there are more.
    pub limit: usize,
    /// The most events to look at, where no index tells which they are.
    pub examined_max: usize,
}

impl LookUp {
    /// How many events a look-up looks at if nothing else is said.
    pub const EXAMINED_MAX: usize = 50_000;

    /// All events that have this in common, oldest first, up to `limit` at once.
    #[must_use]
    pub fn all(by: LookUpBy, limit: usize) -> Self {
        Self {
            by,
            from: Position::new(1),
            to: Position::new(u64::MAX),
            direction: Direction::Forward,
            limit,
            examined_max: Self::EXAMINED_MAX,
        }
    }

    /// The same within the positions that a store has; `None` if there are none of them.
    pub(crate) fn within(mut self, head: Position) -> Option<Self> {
        self.from = self.from.max(Position::new(1));
        self.to = self.to.min(head);
        (self.from <= self.to).then_some(self)
    }
}

/// What a look-up has found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The events, in the order asked for.
    pub events: Vec<RecordedEvent>,
    /// Where to go on, also if nothing was found: forward the next [`LookUp::from`], backward the next [`LookUp::to`].
    /// `None` when the whole range was looked through.
    pub next: Option<Position>,
    /// How many events were looked at, those that were found among them.
    pub examined: usize,
}

/// Looks up by reading: through the stream that is asked for, or through everything in the range.
pub(crate) async fn by_reading<S: EventStore + ?Sized>(
    store: &S,
    look_up: LookUp,
) -> Result<Found, ReadError> {
    let Some(look_up) = look_up.within(store.head()) else {
        return Ok(Found::default());
    };
    match look_up.by.clone() {
        LookUpBy::Stream(stream) => by_stream::look_up(store, &stream, &look_up).await,
        _ => scan::look_up(store, look_up).await,
    }
}

/// What is found so far, and whether there is room for more.
#[derive(Debug)]
pub(crate) struct Finding {
    found: Found,
    bytes: usize,
    limit: usize,
    pub(crate) examined_max: usize,
}

impl Finding {
    pub(crate) fn begin(look_up: &LookUp) -> Self {
        Self {
            found: Found::default(),
            bytes: 0,
            limit: look_up.limit.max(1),
            examined_max: look_up.examined_max.max(1),
        }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.found.events.len() >= self.limit
            || self.found.examined >= self.examined_max
            || self.bytes >= FOUND_BYTES_MAX
    }

    /// How many more events may be looked at.
    pub(crate) fn examinable(&self) -> usize {
        self.examined_max.saturating_sub(self.found.examined)
    }

    /// How many more events are worth reading: no more will be given, and no more may be looked at.
    pub(crate) fn room(&self) -> usize {
        let open = self.limit.saturating_sub(self.found.events.len());
        open.min(self.examinable())
    }

    /// Looks at an event.
    pub(crate) fn examine(&mut self, mut event: RecordedEvent, by: &LookUpBy) {
        self.found.examined += 1;
        if by.matches(&event) {
            self.bytes += event.payload.bytes.len();
            if matches!(by, LookUpBy::Kind(_) | LookUpBy::Correlation(_)) {
                // Each of a few events far apart would keep all that was read around it.
                event.payload.bytes = Bytes::copy_from_slice(&event.payload.bytes);
            }
            self.found.events.push(event);
        }
    }

    /// The whole range was looked through.
    pub(crate) fn finish(self) -> Found {
        self.found
    }

    /// It goes on at `next`, unless that is beyond the range.
    pub(crate) fn go_on_at(mut self, next: Position, look_up: &LookUp) -> Found {
        self.found.next = (look_up.from <= next && next <= look_up.to).then_some(next);
        self.found
    }
}
