use std::collections::VecDeque;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use foldhouse_store::{Position, RecordedEvent};

use super::SubscribedEvent;
use super::error::SubscriptionError;
use super::feed::Feed;
use crate::aggregate::Aggregate;
use crate::event_codec::Events;
use crate::refusal::{UnreadableStream, panic_message};
use crate::upcasters;

/// The events of a feed as those of `A` today.
pub(super) struct Decoded<A: Aggregate> {
    feed: Feed,
    /// What is still to be given of a recorded event that is several today.
    rest: VecDeque<SubscribedEvent<A::Event>>,
    aggregate: PhantomData<fn() -> A>,
}

impl<A: Aggregate> Decoded<A> {
    pub(super) fn new(feed: Feed) -> Self {
        Self {
            feed,
            rest: VecDeque::new(),
            aggregate: PhantomData,
        }
    }

    #[cfg(test)]
    pub(super) fn in_memory(&self) -> usize {
        self.feed.in_memory()
    }

    /// The position up to which everything was given.
    pub(super) fn position(&self) -> Position {
        match self.rest.front() {
            // Of that event not all was given.
            Some(next) => Position::new(next.recorded.position.get().saturating_sub(1)),
            None => self.feed.position(),
        }
    }

    /// Leaves out the event before which it stands.
    pub(super) fn pass_over(&mut self) -> Option<RecordedEvent> {
        match self.rest.drain(..).next() {
            Some(next) => Some(next.recorded),
            None => self.feed.take(),
        }
    }

    /// The next event. It is not taken if it cannot be read.
    pub(super) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<SubscribedEvent<A::Event>>, SubscriptionError>> {
        loop {
            if let Some(event) = self.rest.pop_front() {
                return Poll::Ready(Ok(Some(event)));
            }
            let Some(recorded) = ready!(self.feed.poll_front(cx))? else {
                return Poll::Ready(Ok(None));
            };
            let mut events = read_events::<A>(recorded)
                .map_err(|unreadable| SubscriptionError::Unreadable(Arc::new(unreadable)))?;
            let Some(recorded) = self.feed.take() else {
                return Poll::Ready(Ok(None));
            };
            if events.len() == 1
                && let Some(event) = events.pop()
            {
                return Poll::Ready(Ok(Some(SubscribedEvent { event, recorded })));
            }
            let several = events.into_iter().map(|event| SubscribedEvent {
                event,
                recorded: recorded.clone(),
            });
            self.rest.extend(several);
        }
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

// Nothing in it is pinned in place.
impl<A: Aggregate> Unpin for Decoded<A> {}

impl<A: Aggregate> std::fmt::Debug for Decoded<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decoded")
            .field("feed", &self.feed)
            .finish_non_exhaustive()
    }
}
