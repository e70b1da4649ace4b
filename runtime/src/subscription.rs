//! Following recorded events from outside of the runtime.
//!
//! - this file: the events of one aggregate, decoded
//! - `category`: the events of all aggregates of a type, decoded
//! - `events`: events as they are recorded, of whatever scope
//! - `scope`: which events, and from where on
//! - `feed`: what all of them stand on: pages of the journal, and waiting for more
//! - `course`: how a feed reads its pages
//! - `topics`: what somebody follows, and how those are woken
//! - `dispatcher`: the one reader of the journal that wakes them
//! - `error`: why there is no next event

mod category;
mod course;
mod dispatcher;
mod error;
mod events;
mod feed;
mod scope;
mod scope_topics;
mod topics;

use std::future::poll_fn;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use foldhouse_store::{RecordedEvent, StreamId, Version};
use futures_core::Stream;

pub use self::category::CategorySubscription;
pub use self::error::SubscriptionError;
pub use self::events::EventSubscription;
pub use self::scope::{EventScope, StartAt};
pub(crate) use self::topics::Topics;

use self::course::Course;
use self::feed::Feed;
use crate::aggregate::Aggregate;
use crate::event_codec::decode;
use crate::refusal::{UnreadableStream, panic_message};
use crate::shared::Shared;

/// The durable events of one aggregate, in order, without gap or repetition: first those that are there, then those that
/// are added, whoever records them. Made by [`AggregateRef::subscribe`](crate::AggregateRef::subscribe).
///
/// It reads from the journal at its own pace, a page at a time: one that is slow keeps no more than a page in memory and
/// holds nobody up. One that waits costs nothing while other aggregates' events are recorded. It does not keep the
/// runtime alive.
///
/// When the runtime shuts down it gives what is still to come (the events of every accepted command) and ends.
///
/// It is also a [`Stream`], for combinators: it gives the same as [`Subscription::next`], and like that it is safe to
/// drop a future that waits for an item.
pub struct Subscription<A: Aggregate> {
    stream: StreamId,
    feed: Feed,
    aggregate: PhantomData<fn() -> A>,
}

/// An event as a subscriber gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscribedEvent<E> {
    /// The event.
    pub event: E,
    /// The same as it is recorded: its version, position, times and further facts.
    pub recorded: RecordedEvent,
}

impl<A: Aggregate> Subscription<A> {
    pub(crate) fn new(shared: &Arc<Shared>, stream: &StreamId, from: Version) -> Self {
        Self {
            stream: stream.clone(),
            feed: Feed::new(shared, Course::versions(stream, from)),
            aggregate: PhantomData,
        }
    }

    /// The aggregate's stream.
    #[must_use]
    pub fn stream(&self) -> &StreamId {
        &self.stream
    }

    #[cfg(test)]
    pub(crate) fn in_memory(&self) -> usize {
        self.feed.in_memory()
    }

    /// The next event; waits until there is one. `None` when the runtime has shut down and every event was given.
    ///
    /// Dropping the future loses nothing: the next call gives the same event.
    ///
    /// # Errors
    /// See [`SubscriptionError`]. The subscription stands before the event: the next call tries it again.
    pub async fn next(&mut self) -> Result<Option<SubscribedEvent<A::Event>>, SubscriptionError> {
        poll_fn(|cx| poll_decoded::<A>(&mut self.feed, cx)).await
    }

    /// Leaves out the event before which it stands, for one that cannot be read. Gives it as it is recorded; `None` if
    /// no event has been met.
    pub fn pass_over(&mut self) -> Option<RecordedEvent> {
        self.feed.take()
    }
}

/// The next event of a feed, decoded. It is not taken if it cannot be.
fn poll_decoded<A: Aggregate>(
    feed: &mut Feed,
    cx: &mut Context<'_>,
) -> Poll<Result<Option<SubscribedEvent<A::Event>>, SubscriptionError>> {
    let Some(recorded) = ready!(feed.poll_front(cx))? else {
        return Poll::Ready(Ok(None));
    };
    let event = read_event::<A>(recorded)
        .map_err(|unreadable| SubscriptionError::Unreadable(Arc::new(unreadable)))?;
    let recorded = feed.take();
    Poll::Ready(Ok(
        recorded.map(|recorded| SubscribedEvent { event, recorded })
    ))
}

fn read_event<A: Aggregate>(event: &RecordedEvent) -> Result<A::Event, UnreadableStream> {
    // Unwind safe: nothing is left of an event that panics while it is read.
    match catch_unwind(AssertUnwindSafe(|| decode(event))) {
        Ok(decoded) => decoded.map_err(|error| UnreadableStream::event(event, error)),
        Err(panic) => Err(UnreadableStream::panicked(event, panic_message(panic))),
    }
}

impl<A: Aggregate> Stream for Subscription<A> {
    type Item = Result<SubscribedEvent<A::Event>, SubscriptionError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        poll_decoded::<A>(&mut self.get_mut().feed, cx).map(Result::transpose)
    }
}

impl<A: Aggregate> std::fmt::Debug for Subscription<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subscription")
            .field("stream", &self.stream)
            .field("feed", &self.feed)
            .finish()
    }
}
