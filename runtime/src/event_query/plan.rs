use std::sync::Arc;

use foldhouse_store::{EventKind, LookUpBy, StreamId, Timestamp};
use uuid::Uuid;

use super::EventQuery;
use super::filter::{Condition, Expression};

/// What every event that a query gives has in common, as far as the store can look up by it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Plan {
    pub(super) by: LookUpBy,
    pub(super) recorded_from: Option<Timestamp>,
    pub(super) recorded_before: Option<Timestamp>,
    /// Whether what is looked up passes the whole filter.
    pub(super) is_exact: bool,
}

#[derive(Debug, Default)]
struct Demands {
    kind: EventKind,
    correlation: Option<Uuid>,
    stream: Option<StreamId>,
    recorded_from: Option<Timestamp>,
    recorded_before: Option<Timestamp>,
    /// Two demands that no event meets.
    contradict: bool,
    /// There is more to check.
    has_rest: bool,
}

impl Plan {
    /// `None` if no event can pass.
    pub(super) fn of(query: &EventQuery) -> Option<Self> {
        let mut demands = Demands::default();
        demands.kind.tenant.clone_from(&query.tenant);
        if let Some(filter) = &query.filter {
            match &filter.expression {
                Expression::All(all) => all.iter().for_each(|one| demands.add(one)),
                other => demands.add(other),
            }
        }
        if demands.contradict {
            return None;
        }
        let is_of_kind = demands.kind != EventKind::default();
        let by_kind = demands.correlation.is_none() && demands.stream.is_none();
        // Everything has the runtime's own records among it.
        let is_exact = !demands.has_rest && by_kind && is_of_kind;
        let by = match (demands.correlation, demands.stream) {
            (Some(id), _) => LookUpBy::Correlation(id),
            (None, Some(stream)) => LookUpBy::Stream(stream),
            (None, None) if is_of_kind => LookUpBy::Kind(demands.kind),
            (None, None) => LookUpBy::Everything,
        };
        Some(Self {
            by,
            recorded_from: demands.recorded_from,
            recorded_before: demands.recorded_before,
            is_exact,
        })
    }
}

impl Demands {
    fn add(&mut self, expression: &Expression) {
        match expression {
            Expression::Is(condition) => self.add_condition(condition),
            Expression::Any(any) => match event_types(any) {
                Some(types) => self.add_event_types(types),
                None => self.has_rest = true,
            },
            Expression::All(_) | Expression::Not(_) | Expression::TooLarge => self.has_rest = true,
        }
    }

    fn add_condition(&mut self, condition: &Condition) {
        match condition {
            Condition::EventType(name) => self.add_event_types(vec![Arc::clone(name)]),
            Condition::AggregateType(name) => {
                let demand = self.kind.aggregate_type.get_or_insert_with(|| name.clone());
                self.contradict |= demand != name;
            }
            Condition::Tenant(name) => {
                let demand = self.kind.tenant.get_or_insert_with(|| name.clone());
                self.contradict |= demand != name;
            }
            Condition::Stream(stream) => {
                let demand = self.stream.get_or_insert_with(|| stream.clone());
                self.contradict |= demand != stream;
            }
            Condition::Correlation(id) => {
                let demand = *self.correlation.get_or_insert(*id);
                self.contradict |= demand != *id;
            }
            Condition::RecordedFrom(at) => {
                self.recorded_from = Some(self.recorded_from.map_or(*at, |from| from.max(*at)));
            }
            Condition::RecordedBefore(at) => {
                let before = self.recorded_before;
                self.recorded_before = Some(before.map_or(*at, |before| before.min(*at)));
            }
            Condition::EffectiveFrom(_)
            | Condition::EffectiveBefore(_)
            | Condition::Causation(_)
            | Condition::User(_)
            | Condition::Metadata { .. } => self.has_rest = true,
        }
    }

    fn add_event_types(&mut self, types: Vec<Arc<str>>) {
        let demanded = &mut self.kind.event_types;
        if demanded.is_empty() {
            *demanded = types;
        } else {
            demanded.retain(|name| types.contains(name));
        }
        // Without a name here every type would do.
        self.contradict |= demanded.is_empty();
    }
}

/// The event types, if nothing else is said.
fn event_types(any: &[Expression]) -> Option<Vec<Arc<str>>> {
    any.iter()
        .map(|one| match one {
            Expression::Is(Condition::EventType(name)) => Some(Arc::clone(name)),
            _ => None,
        })
        .collect()
}
