use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use foldhouse_store::{Position, RecordedEvent, StreamId, Version};
use futures_core::Stream;

use super::course::Course;
use super::error::SubscriptionError;
use super::feed::Feed;
use super::scope::{EventScope, StartAt};
use crate::shared::Shared;

/// The durable events of a scope as they are recorded, in the order of their positions, without gap or repetition: first
/// those that are there, then those that come, whoever records them. Made by
/// [`Runtime::subscribe`](crate::Runtime::subscribe) and [`Runtime::subscribe_stream`](crate::Runtime::subscribe_stream).
///
/// It reads from the journal at its own pace, a page at a time: one that is slow keeps no more than a page in memory (128
/// events, or about 8 MiB of them) and holds nobody up: no command, no projection, no other subscriber. One that waits is
/// woken by events of its scope only. It does not keep the runtime alive.
///
/// When the runtime shuts down it gives what is still to come (the events of every accepted command) and ends.
///
/// # Where it stands is yours to keep
/// A subscription remembers nothing when it is gone. Keep the position of the last event that you have dealt with, and
/// begin the next one behind it ([`StartAt::After`]). If you keep it after you have dealt with the event, each event is
/// dealt with *at least once*: what you did just before a crash, you do again. So let it be something that may be done
/// twice, or keep the position in the same transaction as what you did. For an effect *exactly once* on rows of your own,
/// use a [`Projection`](crate::Projection): it keeps rows and position in one step.
///
/// # Cancelling
/// The future of [`EventSubscription::next`] can be dropped at any time, in a `select!` for instance, and so can that of
/// a [`Stream`] combinator that waits for one item: what has been begun is kept in the subscription, and no event is lost
/// or given twice.
pub struct EventSubscription {
    feed: Feed,
}

impl EventSubscription {
    pub(crate) fn of_scope(shared: &Arc<Shared>, scope: EventScope, start: StartAt) -> Self {
        Self {
            feed: feed_of(shared, scope, start),
        }
    }

    pub(crate) fn of_stream(shared: &Arc<Shared>, stream: &StreamId, from: Version) -> Self {
        Self {
            feed: Feed::new(shared, Course::versions(stream, from)),
        }
    }

    /// The next event; waits until there is one. `None` when the runtime has shut down and every event was given.
    ///
    /// # Errors
    /// See [`SubscriptionError`]. The subscription stands before the event: the next call tries it again.
    pub async fn next(&mut self) -> Result<Option<RecordedEvent>, SubscriptionError> {
        poll_fn(|cx| poll_recorded(&mut self.feed, cx)).await
    }

    /// The position up to which everything in its scope was given: where a later subscription can begin
    /// ([`StartAt::After`]). It may lie behind the last event given, as far as what follows is known to be out of scope.
    #[must_use]
    pub fn position(&self) -> Position {
        self.feed.position()
    }

    #[cfg(test)]
    pub(crate) fn in_memory(&self) -> usize {
        self.feed.in_memory()
    }
}

pub(super) fn feed_of(shared: &Arc<Shared>, scope: EventScope, start: StartAt) -> Feed {
    let after = match start {
        StartAt::Beginning => Position::BEFORE_FIRST,
        StartAt::After(position) => position,
        StartAt::Now => shared.store.head(),
    };
    Feed::new(shared, Course::behind(scope, after))
}

fn poll_recorded(
    feed: &mut Feed,
    cx: &mut Context<'_>,
) -> Poll<Result<Option<RecordedEvent>, SubscriptionError>> {
    ready!(feed.poll_front(cx))?;
    Poll::Ready(Ok(feed.take()))
}

impl Stream for EventSubscription {
    type Item = Result<RecordedEvent, SubscriptionError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        poll_recorded(&mut self.get_mut().feed, cx).map(Result::transpose)
    }
}

impl std::fmt::Debug for EventSubscription {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventSubscription")
            .field("feed", &self.feed)
            .finish()
    }
}
