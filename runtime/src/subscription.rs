//! Following the events of one aggregate.
//!
//! - this file: what a subscriber holds
//! - `topics`: which streams somebody follows, and how those are woken
//! - `dispatcher`: the one reader of the journal that wakes them
//! - `error`: why there is no next event

mod dispatcher;
mod error;
mod topics;

use std::collections::VecDeque;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use foldhouse_store::{RecordedEvent, StreamId, StreamQuery, Version};
use tokio::sync::watch;

pub use self::error::SubscriptionError;
pub(crate) use self::topics::Topics;

use self::topics::News;
use crate::aggregate::Aggregate;
use crate::event_codec::Events;
use crate::refusal::{UnreadableStream, panic_message};
use crate::shared::Shared;
use crate::upcasters;

/// Events of one read: the most that a subscription keeps in memory, less if they are large.
const PAGE_EVENTS: usize = 128;

/// The durable events of one aggregate, in order, without gap or repetition: first those that are there, then those that
/// are added, whoever records them. Made by [`AggregateRef::subscribe`](crate::AggregateRef::subscribe).
///
/// It reads from the journal at its own pace, a page at a time: one that is slow keeps nothing in memory and holds nobody
/// up. One that waits costs nothing while other aggregates' events are recorded. It does not keep the runtime alive.
///
/// When the runtime shuts down it gives what is still to come (the events of every accepted command) and ends.
pub struct Subscription<A: Aggregate> {
    stream: StreamId,
    shared: Arc<Shared>,
    news: watch::Receiver<News>,
    /// The version of the event that it gives next.
    next: Version,
    page: VecDeque<RecordedEvent>,
    /// What is still to be given of a recorded event that is several today.
    rest: VecDeque<SubscribedEvent<A::Event>>,
    /// Whether there may be more to read behind the page.
    may_have_more: bool,
    /// Whether nothing more will be told.
    has_ended: bool,
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
        let news = topics::subscribe(shared, stream);
        let has_ended = *news.borrow() == News::Ended;
        Self {
            stream: stream.clone(),
            shared: Arc::clone(shared),
            news,
            next: from.max(Version::EMPTY.next()),
            page: VecDeque::new(),
            rest: VecDeque::new(),
            may_have_more: true,
            has_ended,
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
        self.page.len()
    }

    /// The next event; waits until there is one. A recorded event that is several today gives them one after the other, with
    /// the same version; one that is none today is passed over. `None` when the runtime has shut down and every event was given.
    ///
    /// Dropping the future loses nothing: the next call gives the same event.
    ///
    /// # Errors
    /// See [`SubscriptionError`]. The subscription stands before the event: the next call tries it again.
    pub async fn next(&mut self) -> Result<Option<SubscribedEvent<A::Event>>, SubscriptionError> {
        loop {
            if let Some(event) = self.take()? {
                return Ok(Some(event));
            }
            if self.may_have_more {
                self.read().await?;
            } else if self.has_ended {
                return Ok(None);
            } else {
                self.until_told().await;
            }
        }
    }

    /// Takes the next event out of the page.
    fn take(&mut self) -> Result<Option<SubscribedEvent<A::Event>>, SubscriptionError> {
        loop {
            if let Some(event) = self.rest.pop_front() {
                return Ok(Some(event));
            }
            let Some(recorded) = self.page.front() else {
                return Ok(None);
            };
            let mut events = read_events::<A>(recorded)
                .map_err(|unreadable| SubscriptionError::Unreadable(Arc::new(unreadable)))?;
            let Some(recorded) = self.page.pop_front() else {
                return Ok(None);
            };
            self.next = recorded.version.next();
            if events.len() == 1
                && let Some(event) = events.pop()
            {
                return Ok(Some(SubscribedEvent { event, recorded }));
            }
            let several = events.into_iter().map(|event| SubscribedEvent {
                event,
                recorded: recorded.clone(),
            });
            self.rest.extend(several);
        }
    }

    async fn read(&mut self) -> Result<(), SubscriptionError> {
        let query = StreamQuery::since(self.stream.clone(), self.next, PAGE_EVENTS);
        let page = self
            .shared
            .store
            .read_stream(query)
            .await
            .map_err(|error| SubscriptionError::from_read(&self.stream, error))?;
        if let Some(first) = page.events.first()
            && first.version != self.next
        {
            return Err(SubscriptionError::gap(first, self.next));
        }
        self.may_have_more = page.next.is_some();
        self.page = page.events.into();
        Ok(())
    }

    /// Waits until there may be more to read. What is told before a read begins is in that read.
    async fn until_told(&mut self) {
        // Without a sender the runtime is gone.
        let news = match self.news.changed().await {
            Ok(()) => *self.news.borrow_and_update(),
            Err(_gone) => News::Ended,
        };
        self.has_ended = news == News::Ended;
        // A page that was read meanwhile may have it already.
        self.may_have_more = match news {
            News::Reached(version) => version >= self.next,
            News::Look | News::Ended => true,
        };
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

impl<A: Aggregate> Drop for Subscription<A> {
    fn drop(&mut self) {
        // A receiver of nothing takes the place of the real one, which must not count any more.
        let (_, nothing) = watch::channel(News::Ended);
        drop(std::mem::replace(&mut self.news, nothing));
        self.shared.topics.forget(&self.stream);
    }
}

impl<A: Aggregate> std::fmt::Debug for Subscription<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subscription")
            .field("stream", &self.stream)
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}
