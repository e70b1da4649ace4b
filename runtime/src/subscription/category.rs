use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use foldhouse_store::{Position, RecordedEvent};
use futures_core::Stream;

use super::SubscribedEvent;
use super::decoded::Decoded;
use super::error::SubscriptionError;
use super::events::feed_of;
use super::scope::{EventScope, StartAt};
use crate::aggregate::Aggregate;
use crate::shared::Shared;

/// The durable events of all aggregates of one type, of one tenant or of all, decoded, in the order of their positions,
/// without gap or repetition. Made by [`Runtime::subscribe_to`](crate::Runtime::subscribe_to).
///
/// All that is said of an [`EventSubscription`](crate::EventSubscription) holds for it: where it stands is yours to
/// keep, what it keeps in memory is bounded, its futures can be dropped, and it ends with the runtime. An event that
/// cannot be read as one of `A` is an error that names it, and the subscription stays before it.
pub struct CategorySubscription<A: Aggregate> {
    events: Decoded<A>,
}

impl<A: Aggregate> CategorySubscription<A> {
    pub(crate) fn new(shared: &Arc<Shared>, tenant: Option<&str>, start: StartAt) -> Self {
        let scope = match tenant {
            Some(tenant) => EventScope::category(tenant, A::TYPE),
            None => EventScope::aggregate_type(A::TYPE),
        };
        Self {
            events: Decoded::new(feed_of(shared, scope, start)),
        }
    }

    /// The next event; waits until there is one. A recorded event that is several today gives them one after the other; one
    /// that is none today is passed over. `None` when the runtime has shut down and every event was given.
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

    /// As [`EventSubscription::position`](crate::EventSubscription::position).
    #[must_use]
    pub fn position(&self) -> Position {
        self.events.position()
    }
}

impl<A: Aggregate> Stream for CategorySubscription<A> {
    type Item = Result<SubscribedEvent<A::Event>, SubscriptionError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().events.poll_next(cx).map(Result::transpose)
    }
}

impl<A: Aggregate> std::fmt::Debug for CategorySubscription<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CategorySubscription")
            .field("events", &self.events)
            .finish()
    }
}
