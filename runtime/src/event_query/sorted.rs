use std::collections::BTreeMap;

use foldhouse_store::{Direction, Position, RecordedEvent, Timestamp};

use super::cursor::Place;
use super::plan::Plan;
use super::run::{PageInMaking, alone, look_up};
use super::{EventOrder, EventQueryError, PAGE_BYTES};
use crate::shared::Shared;

/// How many events are looked up at once.
const CANDIDATES: usize = 1_024;

/// Fills a page in the order of effective times, and tells what is left: looks at all that may match, and keeps those
/// that come next, no more than a page of them.
pub(super) async fn by_effective_time(
    shared: &Shared,
    plan: &Plan,
    place: Place,
    making: &mut PageInMaking<'_>,
) -> Result<Option<Place>, EventQueryError> {
    let examined_max = making.query.examined_max;
    let is_latest_first = making.query.order == EventOrder::LatestEffective;
    let mut next_ones = NextOnes::new(making.query.limit, is_latest_first, place.behind);
    let mut rest = Some(place);
    while let Some(left) = rest.filter(|left| left.from <= left.to) {
        let examinable = examined_max.saturating_sub(making.examined);
        if examinable == 0 {
            return Err(EventQueryError::TooBroadToSort { examined_max });
        }
        let limit = CANDIDATES.min(examinable);
        let found = look_up(
            shared,
            &plan.by,
            left,
            Direction::Forward,
            limit,
            examinable,
        )
        .await?;
        making.examined += found.examined;
        for event in found.events {
            if making.query.matches(&event) {
                next_ones.offer(event);
            }
        }
        rest = found.next.map(|from| Place { from, ..left });
    }
    let left = next_ones.leaves_some;
    making.events = next_ones.into_events();
    let last = making.events.last().map(key);
    Ok(last.filter(|_| left).map(|last| Place {
        behind: Some(last),
        ..place
    }))
}

type Key = (Timestamp, Position);

fn key(event: &RecordedEvent) -> Key {
    (event.effective_at, event.position)
}

/// The events that come next in an order of their own, out of all that are offered.
struct NextOnes {
    limit: usize,
    is_latest_first: bool,
    behind: Option<Key>,
    kept: BTreeMap<Key, RecordedEvent>,
    bytes: usize,
    /// Whether there was no room for one.
    leaves_some: bool,
}

impl NextOnes {
    fn new(limit: usize, is_latest_first: bool, behind: Option<Key>) -> Self {
        Self {
            limit,
            is_latest_first,
            behind,
            kept: BTreeMap::new(),
            bytes: 0,
            leaves_some: false,
        }
    }

    fn offer(&mut self, event: RecordedEvent) {
        let key = key(&event);
        let is_to_come = self.behind.is_none_or(|given| match self.is_latest_first {
            true => key < given,
            false => key > given,
        });
        if !is_to_come {
            return;
        }
        self.bytes += event.payload.bytes.len();
        self.kept.insert(key, alone(event));
        while self.kept.len() > self.limit || (self.bytes > PAGE_BYTES && self.kept.len() > 1) {
            let farthest = match self.is_latest_first {
                true => self.kept.pop_first(),
                false => self.kept.pop_last(),
            };
            let Some((_, farthest)) = farthest else {
                return;
            };
            self.bytes -= farthest.payload.bytes.len();
            self.leaves_some = true;
        }
    }

    fn into_events(self) -> Vec<RecordedEvent> {
        let in_order = self.kept.into_values();
        match self.is_latest_first {
            true => in_order.rev().collect(),
            false => in_order.collect(),
        }
    }
}
