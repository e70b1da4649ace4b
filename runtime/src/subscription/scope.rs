use std::sync::Arc;

use foldhouse_store::{EventKind, LookUpBy, Position, StreamId};

/// Which events a subscription gives: all, or those of one tenant, aggregate type, event type or stream.
///
/// ```
/// use foldhouse::EventScope;
///
/// let everything = EventScope::all();
/// let one_tenant = EventScope::tenant("acme");
/// let accounts_of_acme = EventScope::category("acme", "account");
/// let accounts_of_all = EventScope::aggregate_type("account");
/// let closed = EventScope::event_type("Closed");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventScope {
    pub(super) events: Events,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Events {
    OfStream(StreamId),
    Matching(Shape),
}

/// What is given has to be so; what is not may be any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) tenant: Option<Arc<str>>,
    pub(super) aggregate_type: Option<Arc<str>>,
    pub(super) event_type: Option<Arc<str>>,
}

impl EventScope {
    /// Every event of the store, of all tenants.
    #[must_use]
    pub fn all() -> Self {
        Self::matching(Shape::default())
    }

    /// Every event of one tenant.
    #[must_use]
    pub fn tenant(tenant: impl Into<Arc<str>>) -> Self {
        Self::matching(Shape {
            tenant: Some(tenant.into()),
            ..Shape::default()
        })
    }

    /// The events of all aggregates of one type of one tenant.
    #[must_use]
    pub fn category(tenant: impl Into<Arc<str>>, aggregate_type: impl Into<Arc<str>>) -> Self {
        Self::matching(Shape {
            tenant: Some(tenant.into()),
            aggregate_type: Some(aggregate_type.into()),
            event_type: None,
        })
    }

    /// The events of all aggregates of one type, of all tenants.
    #[must_use]
    pub fn aggregate_type(aggregate_type: impl Into<Arc<str>>) -> Self {
        Self::matching(Shape {
            aggregate_type: Some(aggregate_type.into()),
            ..Shape::default()
        })
    }

    /// The events with this name, of all tenants and aggregate types.
    #[must_use]
    pub fn event_type(event_type: impl Into<Arc<str>>) -> Self {
        Self::matching(Shape {
            event_type: Some(event_type.into()),
            ..Shape::default()
        })
    }

    /// The events with this name of one tenant, of all aggregate types.
    #[must_use]
    pub fn event_type_of(tenant: impl Into<Arc<str>>, event_type: impl Into<Arc<str>>) -> Self {
        Self::matching(Shape {
            tenant: Some(tenant.into()),
            aggregate_type: None,
            event_type: Some(event_type.into()),
        })
    }

    /// The events of one stream.
    #[must_use]
    pub fn stream(stream: StreamId) -> Self {
        Self {
            events: Events::OfStream(stream),
        }
    }

    fn matching(shape: Shape) -> Self {
        Self {
            events: Events::Matching(shape),
        }
    }

    /// How the store finds these events.
    pub(super) fn look_up_by(&self) -> LookUpBy {
        match &self.events {
            Events::OfStream(stream) => LookUpBy::Stream(stream.clone()),
            Events::Matching(shape) if *shape == Shape::default() => LookUpBy::Everything,
            Events::Matching(shape) => LookUpBy::Kind(EventKind {
                tenant: shape.tenant.clone(),
                aggregate_type: shape.aggregate_type.clone(),
                event_types: shape.event_type.iter().cloned().collect(),
            }),
        }
    }
}

/// From where on a subscription gives events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StartAt {
    /// From the first event ever recorded.
    Beginning,
    /// From the first event behind this position: for who keeps the position that was handled last.
    After(Position),
    /// Only what is recorded from now on: behind what is durable when the subscription is made.
    Now,
}
