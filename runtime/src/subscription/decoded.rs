use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use foldhouse_store::RecordedEvent;

use super::SubscribedEvent;
use super::error::SubscriptionError;
use super::feed::Feed;
use crate::aggregate::Aggregate;
use crate::event_codec::Events;
use crate::refusal::{UnreadableStream, panic_message};
use crate::upcasters;

/// The events of a feed as they are read today: one recorded event gives one, several, or none.
pub(super) struct Decoded<A: Aggregate> {
    feed: Feed,
    /// What is still to be given of the event that the feed stands before, the next one last.
    rest: Events<A::Event>,
}

// No event is ever pinned in it.
impl<A: Aggregate> Unpin for Decoded<A> {}

impl<A: Aggregate> Decoded<A> {
    pub(super) fn of(feed: Feed) -> Self {
        let rest = Events::new();
        Self { feed, rest }
    }

    pub(super) fn feed(&self) -> &Feed {
        &self.feed
    }

    /// The next event. A recorded one is taken with the last of those that it gives, and not if it cannot be read.
    pub(super) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<SubscribedEvent<A::Event>>, SubscriptionError>> {
        loop {
            let Some(recorded) = ready!(self.feed.poll_front(cx))? else {
                return Poll::Ready(Ok(None));
            };
            if self.rest.is_empty() {
                self.rest = read_events::<A>(recorded)
                    .map_err(|unreadable| SubscriptionError::Unreadable(Arc::new(unreadable)))?;
                self.rest.reverse();
            }
            let event = self.rest.pop();
            let recorded = match self.rest.is_empty() {
                true => self.feed.take(),
                false => Some(recorded.clone()),
            };
            if let Some((event, recorded)) = event.zip(recorded) {
                return Poll::Ready(Ok(Some(SubscribedEvent { event, recorded })));
            }
        }
    }

    /// Leaves out the event before which it stands, with all that is still to be given of it.
    pub(super) fn pass_over(&mut self) -> Option<RecordedEvent> {
        self.rest.clear();
        self.feed.take()
    }
}

fn read_events<A: Aggregate>(event: &RecordedEvent) -> Result<Events<A::Event>, UnreadableStream> {
    let mut events = Events::new();
    // Unwind safe: nothing is left of an event that panics while it is read.
    match catch_unwind(AssertUnwindSafe(|| {
        upcasters::read::<A>(event, |decoded| events.push(decoded))
    })) {
        Ok(Ok(())) => Ok(events),
        Ok(Err(error)) => Err(UnreadableStream::event(event, error)),
        Err(panic) => Err(UnreadableStream::panicked(event, panic_message(panic))),
    }
}
