use bytes::Bytes;
use foldhouse_store::{Direction, EventStoreExt, Found, LookUp, LookUpBy, Position, RecordedEvent};

use super::cursor::Place;
use super::plan::Plan;
use super::sorted;
use super::{EventOrder, EventPage, EventQuery, EventQueryError, PAGE_BYTES};
use crate::shared::Shared;

/// How many events are looked up at once where not all of them will pass.
const CANDIDATES: usize = 1_024;
/// How many look-ups one page takes: each is bounded work, also one that finds nothing to look at.
const LOOK_UPS_MAX: usize = 64;

/// A page of a query's answer.
pub(crate) async fn find(
    shared: &Shared,
    query: &EventQuery,
) -> Result<EventPage, EventQueryError> {
    query.check()?;
    let cursors = &shared.options.cursors;
    let clock = &*shared.options.clock;
    let resume = match &query.after {
        Some(cursor) => Some(cursors.read(query, cursor, clock)?),
        None => None,
    };
    let Some(plan) = Plan::of(query) else {
        return Ok(EventPage::default());
    };
    let place = match resume {
        Some(place) => place,
        None => whole(shared, &plan).await?,
    };
    let mut making = PageInMaking::new(query);
    let next = match query.order {
        EventOrder::OldestFirst => {
            by_position(shared, &plan, place, Direction::Forward, &mut making).await?
        }
        EventOrder::NewestFirst => {
            by_position(shared, &plan, place, Direction::Backward, &mut making).await?
        }
        EventOrder::EarliestEffective | EventOrder::LatestEffective => {
            sorted::by_effective_time(shared, &plan, place, &mut making).await?
        }
    };
    Ok(EventPage {
        next: next.map(|place| cursors.write(query, place, clock)),
        events: making.events,
        examined: making.examined,
    })
}

/// Everything that there is now, as far as the times of recording that are asked for allow.
async fn whole(shared: &Shared, plan: &Plan) -> Result<Place, EventQueryError> {
    let store = &*shared.store;
    let head = store.head();
    let from = match plan.recorded_from {
        Some(at) => store.first_recorded_from(at).await?.min(head.next()),
        None => Position::new(1),
    };
    let to = match plan.recorded_before {
        Some(at) => before(store.first_recorded_from(at).await?.min(head.next())),
        None => head,
    };
    Ok(Place {
        from,
        to,
        behind: None,
    })
}

/// What a page holds so far.
#[derive(Debug)]
pub(super) struct PageInMaking<'q> {
    pub(super) query: &'q EventQuery,
    pub(super) events: Vec<RecordedEvent>,
    pub(super) examined: usize,
    bytes: usize,
}

impl<'q> PageInMaking<'q> {
    fn new(query: &'q EventQuery) -> Self {
        Self {
            query,
            events: Vec::new(),
            examined: 0,
            bytes: 0,
        }
    }

    fn is_full(&self) -> bool {
        self.events.len() >= self.query.limit || self.bytes >= PAGE_BYTES
    }

    fn push(&mut self, event: RecordedEvent) {
        self.bytes += event.payload.bytes.len();
        self.events.push(alone(event));
    }
}

/// The event without what was read around it: each of a few events far apart would keep that in memory.
pub(super) fn alone(mut event: RecordedEvent) -> RecordedEvent {
    event.payload.bytes = Bytes::copy_from_slice(&event.payload.bytes);
    event
}

/// Fills a page in the order of positions, and tells what is left.
async fn by_position(
    shared: &Shared,
    plan: &Plan,
    mut place: Place,
    direction: Direction,
    making: &mut PageInMaking<'_>,
) -> Result<Option<Place>, EventQueryError> {
    for _ in 0..LOOK_UPS_MAX {
        if place.from > place.to {
            return Ok(None);
        }
        let open = making.query.limit.saturating_sub(making.events.len());
        let examinable = making.query.examined_max.saturating_sub(making.examined);
        if open == 0 || examinable == 0 || making.is_full() {
            break;
        }
        let limit = match plan.is_exact {
            true => open,
            false => open.max(CANDIDATES),
        };
        let found = look_up(
            shared,
            &plan.by,
            place,
            direction,
            limit.min(examinable),
            examinable,
        )
        .await?;
        making.examined += found.examined;
        let mut next = found.next;
        for event in found.events {
            if making.is_full() {
                // The rest of what was found is looked up again for the next page.
                next = Some(event.position);
                break;
            }
            if making.query.matches(&event) {
                making.push(event);
            }
        }
        let Some(next) = next else {
            return Ok(None);
        };
        match direction {
            Direction::Forward => place.from = next,
            Direction::Backward => place.to = next,
        }
    }
    Ok((place.from <= place.to).then_some(place))
}

pub(super) async fn look_up(
    shared: &Shared,
    by: &LookUpBy,
    place: Place,
    direction: Direction,
    limit: usize,
    examined_max: usize,
) -> Result<Found, EventQueryError> {
    let look_up = LookUp {
        by: by.clone(),
        from: place.from,
        to: place.to,
        direction,
        limit,
        examined_max,
    };
    Ok(shared.store.look_up(look_up).await?)
}

fn before(position: Position) -> Position {
    Position::new(position.get().saturating_sub(1))
}
