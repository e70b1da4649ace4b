use std::sync::Arc;

use foldhouse_store::{RecordedEvent, StreamId, Timestamp};
use uuid::Uuid;

/// The most conditions of one filter.
pub const EVENT_CONDITIONS_MAX: usize = 256;
/// How deep a filter may nest.
pub const EVENT_CONDITION_DEPTH_MAX: usize = 16;

/// Which events a query gives: conditions on recorded facts, combined by [`EventCondition::and`], [`EventCondition::or`] and
/// `!`.
///
/// ```
/// use foldhouse::{EventCondition, Timestamp};
///
/// let postings = EventCondition::event_type("Debited").or(EventCondition::event_type("Credited"));
/// let this_year = EventCondition::effective_from(Timestamp::from_unix_micros(1_767_225_600_000_000));
/// let filter = postings.and(this_year).and(!EventCondition::metadata("channel", "import"));
/// ```
///
/// It may have [`EVENT_CONDITIONS_MAX`] conditions and nest [`EVENT_CONDITION_DEPTH_MAX`] deep.
#[derive(Clone, Debug, PartialEq)]
pub struct EventCondition {
    pub(super) expression: Expression,
    conditions: usize,
    depth: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Expression {
    Is(Condition),
    All(Vec<Expression>),
    Any(Vec<Expression>),
    Not(Box<Expression>),
    /// It had more conditions, or nested deeper, than it may; they are gone.
    TooLarge,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Condition {
    EventType(Arc<str>),
    AggregateType(Arc<str>),
    Tenant(Arc<str>),
    Stream(StreamId),
    RecordedFrom(Timestamp),
    RecordedBefore(Timestamp),
    EffectiveFrom(Timestamp),
    EffectiveBefore(Timestamp),
    Correlation(Uuid),
    Causation(Uuid),
    User(Arc<str>),
    Metadata { key: Arc<str>, value: Arc<str> },
}

impl EventCondition {
    fn is(condition: Condition) -> Self {
        Self {
            expression: Expression::Is(condition),
            conditions: 1,
            depth: 1,
        }
    }

    /// Events with this name.
    #[must_use]
    pub fn event_type(event_type: impl Into<Arc<str>>) -> Self {
        Self::is(Condition::EventType(event_type.into()))
    }

    /// Events with one of these names; none at all if there is no name.
    #[must_use]
    pub fn event_types<T: Into<Arc<str>>>(event_types: impl IntoIterator<Item = T>) -> Self {
        let nothing = Self {
            expression: Expression::Any(Vec::new()),
            conditions: 0,
            depth: 1,
        };
        let each = event_types.into_iter().map(Self::event_type);
        each.fold(nothing, Self::or)
    }

    /// Events of aggregates of this type.
    #[must_use]
    pub fn aggregate_type(aggregate_type: impl Into<Arc<str>>) -> Self {
        Self::is(Condition::AggregateType(aggregate_type.into()))
    }

    /// Events of this tenant. A query for one tenant never gives another one's, whatever its filter says.
    #[must_use]
    pub fn tenant(tenant: impl Into<Arc<str>>) -> Self {
        Self::is(Condition::Tenant(tenant.into()))
    }

    /// Events of this stream.
    #[must_use]
    pub fn stream(stream: StreamId) -> Self {
        Self::is(Condition::Stream(stream))
    }

    /// Events that were recorded at this time or later.
    #[must_use]
    pub fn recorded_from(at: Timestamp) -> Self {
        Self::is(Condition::RecordedFrom(at))
    }

    /// Events that were recorded before this time.
    #[must_use]
    pub fn recorded_before(at: Timestamp) -> Self {
        Self::is(Condition::RecordedBefore(at))
    }

    /// Events that count from this time on, or later.
    #[must_use]
    pub fn effective_from(at: Timestamp) -> Self {
        Self::is(Condition::EffectiveFrom(at))
    }

    /// Events that count from before this time on.
    #[must_use]
    pub fn effective_before(at: Timestamp) -> Self {
        Self::is(Condition::EffectiveBefore(at))
    }

    /// Events of this business transaction.
    #[must_use]
    pub fn correlation(id: Uuid) -> Self {
        Self::is(Condition::Correlation(id))
    }

    /// Events that this command or event caused.
    #[must_use]
    pub fn causation(id: Uuid) -> Self {
        Self::is(Condition::Causation(id))
    }

    /// Events that this user asked for.
    #[must_use]
    pub fn user(user: impl Into<Arc<str>>) -> Self {
        Self::is(Condition::User(user.into()))
    }

    /// Events whose metadata have this value under this key.
    #[must_use]
    pub fn metadata(key: impl Into<Arc<str>>, value: impl Into<Arc<str>>) -> Self {
        Self::is(Condition::Metadata {
            key: key.into(),
            value: value.into(),
        })
    }

    /// Events that pass both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        self.joined(other, Expression::All, |expression| match expression {
            Expression::All(all) => Ok(all),
            other => Err(other),
        })
    }

    /// Events that pass either.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        self.joined(other, Expression::Any, |expression| match expression {
            Expression::Any(any) => Ok(any),
            other => Err(other),
        })
    }

    /// Joins two filters; what is of the same kind already becomes longer and not deeper.
    fn joined(
        self,
        other: Self,
        join: fn(Vec<Expression>) -> Expression,
        parts: fn(Expression) -> Result<Vec<Expression>, Expression>,
    ) -> Self {
        let mut all = Vec::new();
        let mut depth = 0;
        let conditions = self.conditions + other.conditions;
        for filter in [self, other] {
            depth = depth.max(match parts(filter.expression) {
                Ok(same) => {
                    all.extend(same);
                    filter.depth
                }
                Err(other) => {
                    all.push(other);
                    filter.depth + 1
                }
            });
        }
        Self::bounded(join(all), conditions, depth)
    }

    /// What is too large is let go at once: it takes no memory, and the query says so.
    fn bounded(expression: Expression, conditions: usize, depth: usize) -> Self {
        if conditions > EVENT_CONDITIONS_MAX || depth > EVENT_CONDITION_DEPTH_MAX {
            return Self {
                expression: Expression::TooLarge,
                conditions: EVENT_CONDITIONS_MAX + 1,
                depth: 1,
            };
        }
        Self {
            expression,
            conditions,
            depth,
        }
    }

    pub(super) fn is_too_large(&self) -> bool {
        self.conditions > EVENT_CONDITIONS_MAX
    }

    /// Whether an event passes. Nothing passes one that is too large.
    #[must_use]
    pub fn matches(&self, event: &RecordedEvent) -> bool {
        !self.is_too_large() && self.expression.matches(event)
    }

    /// Puts it into a hash, so that no two filters give the same.
    pub(super) fn hash_into(&self, hasher: &mut blake3::Hasher) {
        self.expression.hash_into(hasher);
    }
}

impl std::ops::Not for EventCondition {
    type Output = Self;

    fn not(self) -> Self {
        match self.expression {
            Expression::Not(inner) => Self {
                expression: *inner,
                conditions: self.conditions,
                depth: self.depth - 1,
            },
            Expression::TooLarge => self,
            other => Self::bounded(
                Expression::Not(Box::new(other)),
                self.conditions,
                self.depth + 1,
            ),
        }
    }
}

impl Expression {
    fn matches(&self, event: &RecordedEvent) -> bool {
        match self {
            Self::Is(condition) => condition.matches(event),
            Self::All(all) => all.iter().all(|expression| expression.matches(event)),
            Self::Any(any) => any.iter().any(|expression| expression.matches(event)),
            Self::Not(inner) => !inner.matches(event),
            Self::TooLarge => false,
        }
    }

    fn hash_into(&self, hasher: &mut blake3::Hasher) {
        let mut list = |tag: u8, list: &[Self]| {
            hasher.update(&[tag]);
            hasher.update(&(list.len() as u64).to_le_bytes());
            list.iter().for_each(|one| one.hash_into(hasher));
        };
        match self {
            Self::All(all) => list(1, all),
            Self::Any(any) => list(2, any),
            Self::Not(inner) => list(3, std::slice::from_ref(inner)),
            Self::TooLarge => list(4, &[]),
            Self::Is(condition) => condition.hash_into(hasher),
        }
    }
}

impl Condition {
    fn matches(&self, event: &RecordedEvent) -> bool {
        match self {
            Self::EventType(name) => event.event_type == *name,
            Self::AggregateType(name) => event.stream.aggregate_type() == &**name,
            Self::Tenant(name) => event.stream.tenant() == &**name,
            Self::Stream(stream) => event.stream == *stream,
            Self::RecordedFrom(at) => event.recorded_at >= *at,
            Self::RecordedBefore(at) => event.recorded_at < *at,
            Self::EffectiveFrom(at) => event.effective_at >= *at,
            Self::EffectiveBefore(at) => event.effective_at < *at,
            Self::Correlation(id) => event.correlation_id == Some(*id),
            Self::Causation(id) => event.causation_id == Some(*id),
            Self::User(name) => event.user.as_deref() == Some(&**name),
            Self::Metadata { key, value } => {
                event.metadata.get(&**key).map(String::as_str) == Some(&**value)
            }
        }
    }

    fn hash_into(&self, hasher: &mut blake3::Hasher) {
        let mut put = |tag: u8, bytes: &[u8]| {
            hasher.update(&[tag]);
            hasher.update(&(bytes.len() as u64).to_le_bytes());
            hasher.update(bytes);
        };
        let time = |at: &Timestamp| at.unix_micros().to_le_bytes();
        match self {
            Self::EventType(name) => put(16, name.as_bytes()),
            Self::AggregateType(name) => put(17, name.as_bytes()),
            Self::Tenant(name) => put(18, name.as_bytes()),
            Self::Stream(stream) => put(19, stream.as_str().as_bytes()),
            Self::RecordedFrom(at) => put(20, &time(at)),
            Self::RecordedBefore(at) => put(21, &time(at)),
            Self::EffectiveFrom(at) => put(22, &time(at)),
            Self::EffectiveBefore(at) => put(23, &time(at)),
            Self::Correlation(id) => put(24, id.as_bytes()),
            Self::Causation(id) => put(25, id.as_bytes()),
            Self::User(name) => put(26, name.as_bytes()),
            Self::Metadata { key, value } => {
                put(27, key.as_bytes());
                put(28, value.as_bytes());
            }
        }
    }
}
