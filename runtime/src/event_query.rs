//! Searching the recorded events: by type, tenant, stream, times, ids, user and metadata.
//!
//! - this file: a query as its caller builds it, and a page of its answer
//! - `filter`: the conditions, and how they are combined
//! - `plan`: what of a filter the store can look up by
//! - `run`: one page in the order of positions
//! - `sorted`: one page in the order of effective times
//! - `cursor`, `cursor_keys`: where a page ends, in signed text
//! - `error`: why there is no page

mod cursor;
mod cursor_keys;
mod error;
mod filter;
mod plan;
mod run;
mod sorted;

use std::sync::Arc;

use foldhouse_store::RecordedEvent;

pub use self::cursor::EventCursor;
pub(crate) use self::cursor_keys::Cursors;
pub use self::cursor_keys::{CursorKey, CursorKeys};
pub use self::error::EventQueryError;
pub use self::filter::{EVENT_CONDITION_DEPTH_MAX, EVENT_CONDITIONS_MAX, EventCondition};
pub(crate) use self::run::find;
use crate::timer::is_timer_record;

/// The most events that one page can be asked to hold.
pub const EVENT_QUERY_LIMIT_MAX: usize = 1_000;
/// The most events that one page can be asked to look at.
pub const EVENT_QUERY_EXAMINED_MAX: usize = 1_000_000;

/// What a page holds if nothing is said.
const LIMIT: usize = 100;
/// What a page looks at if nothing is said.
const EXAMINED: usize = 50_000;
/// A page ends with the event that brings its payloads to this.
const PAGE_BYTES: usize = 8 << 20;

/// In which order a query gives its events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum EventOrder {
    /// By position, the first recorded first.
    #[default]
    OldestFirst,
    /// By position, the last recorded first.
    NewestFirst,
    /// By when they count, the earliest first; by position where that is the same. Every event that may match is looked
    /// at for each page, so the query has to be narrow enough ([`EventQueryError::TooBroadToSort`]).
    EarliestEffective,
    /// By when they count, the latest first. As [`EventOrder::EarliestEffective`] otherwise.
    LatestEffective,
}

/// A search among the recorded events. Made for one tenant ([`EventQuery::of_tenant`]), or, by an operator, over all
/// ([`EventQuery::over_all_tenants`]); answered page by page by [`Runtime::find_events`](crate::Runtime::find_events).
///
/// It sees the journal as it was when its first page was read: what is recorded while somebody turns the pages does not
/// come in between.
///
/// A page is bounded work. Look-ups by event type, aggregate type, tenant, stream and correlation id use an index, and
/// ranges of recorded time are found by halving; every other condition is checked on the events that these leave. If
/// that takes more than [`EventQuery::examine_at_most`], the page ends there, perhaps empty, and its cursor goes on.
///
/// ```
/// # use foldhouse::*;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let runtime = Runtime::builder(std::sync::Arc::new(MemoryStore::new())).start().await?;
/// let query = EventQuery::of_tenant("acme")
///     .filter(EventCondition::event_types(["Debited", "Credited"]).and(EventCondition::user("eve")))
///     .order(EventOrder::NewestFirst)
///     .limit(50);
/// let mut page = runtime.find_events(&query).await?;
/// loop {
///     for event in &page.events {
///         println!("{} {} {}", event.position, event.stream, event.event_type);
///     }
///     let Some(cursor) = page.next else { break };
///     page = runtime.find_events(&query.clone().after(cursor)).await?;
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct EventQuery {
    tenant: Option<Arc<str>>,
    filter: Option<EventCondition>,
    order: EventOrder,
    limit: usize,
    examined_max: usize,
    after: Option<EventCursor>,
}

impl EventQuery {
    fn new(tenant: Option<Arc<str>>) -> Self {
        Self {
            tenant,
            filter: None,
            order: EventOrder::default(),
            limit: LIMIT,
            examined_max: EXAMINED,
            after: None,
        }
    }

    /// All events of one tenant, and never one of another.
    #[must_use]
    pub fn of_tenant(tenant: impl Into<Arc<str>>) -> Self {
        Self::new(Some(tenant.into()))
    }

    /// All events of all tenants. For operators and audits: never make it from what a tenant's user says.
    ///
    /// What the runtime records for itself ([`is_timer_record`](crate::is_timer_record)) is not among them, as it is nowhere
    /// else; its own tenant, `~foldhouse`, has it.
    #[must_use]
    pub fn over_all_tenants() -> Self {
        Self::new(None)
    }

    /// Only events that pass this filter, and every one given before.
    #[must_use]
    pub fn filter(mut self, filter: EventCondition) -> Self {
        self.filter = Some(match self.filter {
            Some(before) => before.and(filter),
            None => filter,
        });
        self
    }

    /// The order of the events; the oldest first if nothing is said.
    #[must_use]
    pub fn order(mut self, order: EventOrder) -> Self {
        self.order = order;
        self
    }

    /// The most events of a page, 1 to [`EVENT_QUERY_LIMIT_MAX`]; 100 if nothing is said. A page whose events are large
    /// holds fewer.
    #[must_use]
    pub fn limit(mut self, events: usize) -> Self {
        self.limit = events;
        self
    }

    /// The most events to look at for one page, 1 to [`EVENT_QUERY_EXAMINED_MAX`]; 50,000 if nothing is said.
    #[must_use]
    pub fn examine_at_most(mut self, events: usize) -> Self {
        self.examined_max = events;
        self
    }

    /// Goes on behind an earlier page of this query: the same tenant, filter and order. The limits may differ.
    #[must_use]
    pub fn after(mut self, cursor: impl Into<EventCursor>) -> Self {
        self.after = Some(cursor.into());
        self
    }

    fn matches(&self, event: &RecordedEvent) -> bool {
        self.is_of_tenant(event)
            && self
                .filter
                .as_ref()
                .is_none_or(|filter| filter.matches(event))
    }

    fn is_of_tenant(&self, event: &RecordedEvent) -> bool {
        match self.tenant.as_deref() {
            Some(tenant) => tenant == event.stream.tenant(),
            None => !is_timer_record(event),
        }
    }

    fn check(&self) -> Result<(), EventQueryError> {
        for (option, value, value_max) in [
            ("limit", self.limit, EVENT_QUERY_LIMIT_MAX),
            (
                "examine_at_most",
                self.examined_max,
                EVENT_QUERY_EXAMINED_MAX,
            ),
        ] {
            if value == 0 || value > value_max {
                return Err(EventQueryError::Limit {
                    option,
                    value,
                    value_max,
                });
            }
        }
        match &self.filter {
            Some(filter) if filter.is_too_large() => Err(EventQueryError::TooManyConditions),
            _ => Ok(()),
        }
    }
}

/// A page of a query's answer.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct EventPage {
    /// The events, in the order asked for. There may be none although there is a next page.
    pub events: Vec<RecordedEvent>,
    /// Where the next page begins; `None` when everything was looked through.
    pub next: Option<EventCursor>,
    /// How many events were looked at for this page.
    pub examined: usize,
}
