//! Following recorded events from outside of the runtime.
//!
//! - this file: the events of one aggregate, decoded
//! - `category`: the events of all aggregates of a type, decoded
//! - `events`: events as they are recorded, of whatever scope
//! - `scope`: which events, and from where on
//! - `decoded`: events as those of an aggregate today
//! - `feed`: what all of them stand on: pages of the journal, and waiting for more
//! - `course`: how a feed reads its pages
//! - `topics`: what somebody follows, and how those are woken
//! - `dispatcher`: the one reader of the journal that wakes them
//! - `error`: why there is no next event

mod category;
mod course;
mod decoded;
mod dispatcher;
mod error;
mod events;
mod feed;
mod scope;
mod scope_topics;
mod topics;

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use foldhouse_store::{RecordedEvent, StreamId, Version};
use futures_core::Stream;

pub use self::category::CategorySubscription;
pub use self::error::SubscriptionError;
pub use self::events::EventSubscription;
pub use self::scope::{EventScope, StartAt};
pub(crate) use self::topics::Topics;

use self::course::Course;
use self::decoded::Decoded;
use self::feed::Feed;
use crate::aggregate::Aggregate;
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
    events: Decoded<A>,
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
            events: Decoded::new(Feed::new(shared, Course::versions(stream, from))),
        }
    }

    /// The aggregate's stream.
    #[must_use]
    pub fn stream(&self) -> &StreamId {
        &self.stream
    }

    #[cfg(test)]
    pub(crate) fn in_memory(&self) -> usize {
        self.events.in_memory()
    }

    /// The next event; waits until there is one. A recorded event that is several today gives them one after the other, with
    /// the same version; one that is none today is passed over. `None` when the runtime has shut down and every event was given.
    ///
    /// Dropping the future loses nothing: the next call gives the same event.
    ///
    /// # Errors
    /// See [`SubscriptionError`]. The subscription stands before the event: the next call tries it again.
    pub async fn next(&mut self) -> Result<Option<SubscribedEvent<A::Event>>, SubscriptionError> {
        poll_fn(|cx| self.events.poll_next(cx)).await
    }

    /// Leaves out the event before which it stands, for one that cannot be read. Gives it as it is recorded; `None` if
    /// no event has been met.
    pub fn pass_over(&mut self) -> Option<RecordedEvent> {
        self.events.pass_over()
    }
}

impl<A: Aggregate> Stream for Subscription<A> {
    type Item = Result<SubscribedEvent<A::Event>, SubscriptionError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().events.poll_next(cx).map(Result::transpose)
    }
}

impl<A: Aggregate> std::fmt::Debug for Subscription<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subscription")
            .field("stream", &self.stream)
            .field("events", &self.events)
            .finish()
    }
}
