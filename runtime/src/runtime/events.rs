//! The recorded events of a runtime: followed, and searched.

use foldhouse_store::{StreamId, Version};

use super::Runtime;
use crate::aggregate::Aggregate;
use crate::event_query::{self, EventPage, EventQuery, EventQueryError};
use crate::subscription::{CategorySubscription, EventScope, EventSubscription, StartAt};

impl Runtime {
    /// Follows the recorded events of a scope, in the order of their positions: first those that are there, then those
    /// that come. See [`EventSubscription`] for what it guarantees, and for who keeps where it stands.
    ///
    /// ```
    /// # use foldhouse::*;
    /// # #[derive(Clone, Default, serde::Serialize, serde::Deserialize)]
    /// # struct Counter(u64);
    /// # #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    /// # enum CounterEvent { Added { by: u64 } }
    /// # impl Aggregate for Counter {
    /// #     const TYPE: &'static str = "counter";
    /// #     type Event = CounterEvent;
    /// #     fn apply(&mut self, CounterEvent::Added { by }: &CounterEvent) { self.0 += by; }
    /// # }
    /// # struct Increment(u64);
    /// # impl Command for Increment {
    /// #     type Aggregate = Counter;
    /// #     type Reply = u64;
    /// #     type Rejection = Never;
    /// #     fn decide(&self, counter: &Counter, _: &CommandContext) -> Decided<Self> {
    /// #         Ok(Decision::event(CounterEvent::Added { by: self.0 }, counter.0 + self.0))
    /// #     }
    /// # }
    /// # async fn publish(_: &RecordedEvent) {}
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let runtime = Runtime::builder(std::sync::Arc::new(MemoryStore::new())).start().await?;
    /// # runtime.aggregate::<Counter>("acme", "visits")?.send(Increment(40)).await?;
    /// # let ending = runtime.clone();
    /// # tokio::spawn(async move { ending.shutdown(std::time::Duration::from_secs(10)).await });
    /// // Kept where the events go to; 0 the first time.
    /// let mut handled = Position::BEFORE_FIRST;
    ///
    /// let mut events = runtime.subscribe(EventScope::tenant("acme"), StartAt::After(handled));
    /// while let Some(event) = events.next().await? {
    ///     publish(&event).await; // may be done twice after a crash
    ///     handled = event.position; // and is kept then
    /// }
    /// # assert_eq!(handled, Position::new(1));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use = "a subscription that is dropped follows nothing"]
    pub fn subscribe(&self, scope: EventScope, start: StartAt) -> EventSubscription {
        EventSubscription::of_scope(&self.owner.shared, scope, start)
    }

    /// Follows the recorded events of one stream from a version on (1 is the first).
    #[must_use = "a subscription that is dropped follows nothing"]
    pub fn subscribe_stream(&self, stream: &StreamId, from: Version) -> EventSubscription {
        EventSubscription::of_stream(&self.owner.shared, stream, from)
    }

    /// Follows the events of all aggregates of one type, decoded: those of one tenant, or of all (`None`).
    #[must_use = "a subscription that is dropped follows nothing"]
    pub fn subscribe_to<A: Aggregate>(
        &self,
        tenant: Option<&str>,
        start: StartAt,
    ) -> CategorySubscription<A> {
        CategorySubscription::new(&self.owner.shared, tenant, start)
    }

    /// Searches the recorded events: a page of what an [`EventQuery`] asks for, and where the next one begins.
    ///
    /// # Errors
    /// See [`EventQueryError`].
    pub async fn find_events(&self, query: &EventQuery) -> Result<EventPage, EventQueryError> {
        event_query::find(&self.owner.shared, query).await
    }
}
