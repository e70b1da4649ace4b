use std::sync::Arc;

use foldhouse_store::{
    BoxFuture, Direction, LookUp, Position, RecordedEvent, StreamId, StreamQuery, Version,
};

use super::error::SubscriptionError;
use super::scope::EventScope;
use super::topics::{News, Topic};
use crate::shared::Shared;
use crate::timer::is_timer_record;

/// Events of one read: the most that a subscription keeps in memory, less if they are large.
const PAGE_EVENTS: usize = 128;

/// What a feed reads, and how far it has come.
#[derive(Clone, Debug)]
pub(super) enum Course {
    /// One stream by its versions.
    Versions { stream: StreamId, next: Version },
    /// Any scope by positions.
    Positions { scope: EventScope, next: Position },
}

/// What one read gave.
#[derive(Debug)]
pub(super) struct PageRead {
    pub(super) events: Vec<RecordedEvent>,
    /// Where the next read begins.
    pub(super) course: Course,
    /// Whether there may be more for now.
    pub(super) may_have_more: bool,
}

impl Course {
    pub(super) fn versions(stream: &StreamId, from: Version) -> Self {
        Self::Versions {
            stream: stream.clone(),
            next: from.max(Version::EMPTY.next()),
        }
    }

    pub(super) fn behind(scope: EventScope, after: Position) -> Self {
        Self::Positions {
            scope,
            next: after.next(),
        }
    }

    /// What wakes it.
    pub(super) fn topic(&self) -> Topic {
        match self {
            Self::Versions { stream, .. } => Topic::Stream(stream.clone()),
            Self::Positions { scope, .. } => Topic::of(scope),
        }
    }

    /// Whether news tell of something that it has not read.
    pub(super) fn is_behind(&self, news: News) -> bool {
        match (self, news) {
            (Self::Versions { next, .. }, News::Reached { version, .. }) => version >= *next,
            (Self::Positions { next, .. }, News::Reached { position, .. }) => position >= *next,
            (_, News::Look | News::Ended) => true,
        }
    }

    /// Reads on from here.
    pub(super) fn read(
        &self,
        shared: Arc<Shared>,
    ) -> BoxFuture<'static, Result<PageRead, SubscriptionError>> {
        match self {
            Self::Versions { stream, next } => Box::pin(read_stream(shared, stream.clone(), *next)),
            Self::Positions { scope, next } => Box::pin(read_scope(shared, scope.clone(), *next)),
        }
    }
}

async fn read_stream(
    shared: Arc<Shared>,
    stream: StreamId,
    next: Version,
) -> Result<PageRead, SubscriptionError> {
    let query = StreamQuery::since(stream.clone(), next, PAGE_EVENTS);
    let page = shared
        .store
        .read_stream(query)
        .await
        .map_err(|error| SubscriptionError::from_read(&stream, error))?;
    if let Some(first) = page.events.first()
        && first.version != next
    {
        return Err(SubscriptionError::gap(first, next));
    }
    let last = page.events.last();
    let next = last.map_or(next, |event| event.version.next());
    Ok(PageRead {
        may_have_more: page.next.is_some(),
        events: page.events,
        course: Course::Versions { stream, next },
    })
}

async fn read_scope(
    shared: Arc<Shared>,
    scope: EventScope,
    next: Position,
) -> Result<PageRead, SubscriptionError> {
    // What is recorded behind it is told of later.
    let head = shared.store.head();
    if next > head {
        return Ok(PageRead {
            events: Vec::new(),
            course: Course::Positions { scope, next },
            may_have_more: false,
        });
    }
    let found = shared
        .store
        .look_up(LookUp {
            by: scope.look_up_by(),
            from: next,
            to: head,
            direction: Direction::Forward,
            limit: PAGE_EVENTS,
            examined_max: LookUp::EXAMINED_MAX,
        })
        .await
        .map_err(|error| SubscriptionError::behind(next, error))?;
    if let Some(first) = found.events.first()
        && first.position < next
    {
        return Err(SubscriptionError::repetition(first, next));
    }
    let next = found.next.unwrap_or(head.next());
    let mut events = found.events;
    // The runtime's own, which no subscriber knows.
    events.retain(|event| !is_timer_record(event));
    Ok(PageRead {
        events,
        course: Course::Positions { scope, next },
        may_have_more: found.next.is_some(),
    })
}
