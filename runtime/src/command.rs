use std::convert::Infallible;

use foldhouse_store::{Metadata, Timestamp};
use smallvec::{SmallVec, smallvec};
use uuid::Uuid;

use crate::aggregate::Aggregate;
use crate::timer::{TimedCommand, TimerChange, TimerChanges};

/// Something that an aggregate can be asked to do, with its own reply and its own rejection.
pub trait Command: Send + 'static {
    /// Whom it is for.
    type Aggregate: Aggregate;
    /// What the caller gets when it is done.
    type Reply: Send + 'static;
    /// Why the domain may say no; [`Never`] if it cannot.
    type Rejection: std::error::Error + Send + Sync + 'static;

    /// Decides: the events to record and the reply, or a rejection. Pure: time and ids come from `context`, and the
    /// same state, command and context always give the same answer.
    ///
    /// # Errors
    /// The rejection, when a rule of the domain forbids the command. Nothing is recorded then.
    fn decide(&self, state: &Self::Aggregate, context: &CommandContext) -> Decided<Self>;
}

/// What [`Command::decide`] gives: a decision, or the rejection.
pub type Decided<C> =
    Result<Decision<EventOf<C>, <C as Command>::Reply>, <C as Command>::Rejection>;

/// The event type of a command's aggregate.
pub type EventOf<C> = <<C as Command>::Aggregate as Aggregate>::Event;

/// The rejection of a command that is never refused.
pub type Never = Infallible;

/// What a command leads to: events to record, in order, and the reply that the caller gets once they are durable.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Decision<Event, Reply> {
    /// The events, oldest first; none if there is nothing to change.
    pub events: SmallVec<[Event; 1]>,
    /// The reply.
    pub reply: Reply,
    /// Boxed, because most decisions change none.
    #[allow(clippy::box_collection, reason = "it is moved with every decision")]
    pub(crate) timers: Option<Box<TimerChanges>>,
}

impl<Event, Reply> Decision<Event, Reply> {
    /// One event.
    pub fn event(event: Event, reply: Reply) -> Self {
        Self {
            events: smallvec![event],
            reply,
            timers: None,
        }
    }

    /// Several events.
    pub fn events(events: impl IntoIterator<Item = Event>, reply: Reply) -> Self {
        Self {
            events: events.into_iter().collect(),
            reply,
            timers: None,
        }
    }

    /// Nothing to record: the command asks for what is already so.
    pub fn nothing(reply: Reply) -> Self {
        Self {
            events: SmallVec::new(),
            reply,
            timers: None,
        }
    }

    /// The same decision, and at the time `at` the aggregate is sent `command`.
    ///
    /// The timer is recorded by the append of the decision's events, so it is there exactly if they are, and outlives any
    /// restart. It fires once, not before `at` by the runtime's clock: its command is decided on the aggregate's turn, and
    /// the append of what it decides says that the timer has fired, also if the domain rejects it. Timers of one aggregate
    /// fire in the order of their times, and in the order in which they were scheduled if these are equal; one that has to
    /// be tried again does not hold up the next.
    ///
    /// `name` is one of the aggregate's own; a pending timer of this name is replaced. The decision must have an event,
    /// and register the command where the runtime is set up
    /// ([`RuntimeBuilder::timed_command`](crate::RuntimeBuilder::timed_command)).
    ///
    /// ```
    /// # use foldhouse::*;
    /// # use std::time::Duration;
    /// # #[derive(Clone, Default, serde::Serialize, serde::Deserialize)]
    /// # struct Hold { open: bool }
    /// # #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    /// # enum HoldEvent { Placed { until: Timestamp }, Expired }
    /// # impl Aggregate for Hold {
    /// #     const TYPE: &'static str = "hold";
    /// #     type Event = HoldEvent;
    /// #     fn apply(&mut self, event: &HoldEvent) { self.open = matches!(event, HoldEvent::Placed { .. }); }
    /// # }
    /// struct Place {
    ///     until: Timestamp,
    /// }
    ///
    /// impl Command for Place {
    ///     type Aggregate = Hold;
    ///     type Reply = ();
    ///     type Rejection = Never;
    ///     fn decide(&self, _: &Hold, _: &CommandContext) -> Decided<Self> {
    ///         let placed = HoldEvent::Placed { until: self.until };
    ///         Ok(Decision::event(placed, ()).schedule("expiry", self.until, Expire))
    ///     }
    /// }
    ///
    /// #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    /// struct Expire;
    ///
    /// impl Command for Expire {
    ///     type Aggregate = Hold;
    ///     type Reply = ();
    ///     type Rejection = Never;
    ///     fn decide(&self, _: &Hold, _: &CommandContext) -> Decided<Self> {
    ///         Ok(Decision::event(HoldEvent::Expired, ()))
    ///     }
    /// }
    ///
    /// impl IdempotentCommand for Expire {
    ///     const NAME: &'static str = "expire";
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let store = std::sync::Arc::new(MemoryStore::new());
    /// let runtime = Runtime::builder(store).timed_command::<Expire>().start().await?;
    /// let hold = runtime.aggregate::<Hold>("acme", "1")?;
    /// hold.send(Place { until: SystemClock.now() }).await?;
    /// runtime.fire_due_timers().await;
    /// assert!(!hold.query(|hold| hold.open).await?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn schedule<C>(
        mut self,
        name: impl Into<std::sync::Arc<str>>,
        at: Timestamp,
        command: C,
    ) -> Self
    where
        C: TimedCommand<Aggregate: Aggregate<Event = Event>>,
    {
        let change = TimerChange::schedule(name.into(), at, &command);
        self.timers.get_or_insert_default().push(change);
        self
    }

    /// The same decision, and the aggregate's pending timer of this name, if there is one, will not fire. A decision must
    /// have an event for that, too.
    pub fn cancel(mut self, name: impl Into<std::sync::Arc<str>>) -> Self {
        let change = TimerChange::Cancel { name: name.into() };
        self.timers.get_or_insert_default().push(change);
        self
    }

    /// The timers that it schedules and cancels, in order.
    #[must_use]
    pub fn timers(&self) -> &[TimerChange] {
        self.timers.as_deref().map_or(&[], Vec::as_slice)
    }
}

/// What a decision may know besides the state: when, by whom, and under which ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandContext {
    /// When the command is decided.
    pub now: Timestamp,
    /// The command's own id.
    pub command_id: Uuid,
    /// The facts that the caller gave along.
    pub meta: CommandMeta,
}

impl CommandContext {
    /// A context with nothing but a time and a command id.
    #[must_use]
    pub fn new(now: Timestamp, command_id: Uuid) -> Self {
        Self {
            now,
            command_id,
            meta: CommandMeta::default(),
        }
    }

    /// When the command's events count: as the caller said, or now.
    #[must_use]
    pub fn effective_at(&self) -> Timestamp {
        self.meta.effective_at.unwrap_or(self.now)
    }

    /// The `index`-th id that belongs to this command: the same for the same command id and index, different from all
    /// others (UUID version 8, from the BLAKE3 hash of both). For what a decision has to name, a reservation say.
    #[must_use]
    pub fn derive_id(&self, index: u32) -> Uuid {
        let mut hasher = blake3::Hasher::new_derive_key("foldhouse 2026 id derived from a command");
        hasher.update(self.command_id.as_bytes());
        hasher.update(&index.to_le_bytes());
        let mut bytes = [0; 16];
        hasher.finalize_xof().fill(&mut bytes);
        uuid::Builder::from_custom_bytes(bytes).into_uuid()
    }
}

/// What a caller may say about a command besides the command itself. It is recorded with every event of the command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommandMeta {
    /// When the command's events count, where that is not now.
    pub effective_at: Option<Timestamp>,
    /// The business transaction that the command belongs to.
    pub correlation_id: Option<Uuid>,
    /// What caused the command: an event or another command.
    pub causation_id: Option<Uuid>,
    /// Who asks.
    pub user: Option<std::sync::Arc<str>>,
    /// Further facts.
    pub metadata: Metadata,
}

impl CommandMeta {
    /// Nothing said.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// When the command's events count.
    #[must_use]
    pub fn effective_at(mut self, at: Timestamp) -> Self {
        self.effective_at = Some(at);
        self
    }

    /// The business transaction that the command belongs to.
    #[must_use]
    pub fn correlation_id(mut self, id: Uuid) -> Self {
        self.correlation_id = Some(id);
        self
    }

    /// What caused the command.
    #[must_use]
    pub fn causation_id(mut self, id: Uuid) -> Self {
        self.causation_id = Some(id);
        self
    }

    /// Who asks.
    #[must_use]
    pub fn user(mut self, user: impl Into<std::sync::Arc<str>>) -> Self {
        self.user = Some(user.into());
        self
    }

    /// A further fact.
    #[must_use]
    pub fn with(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.insert(key.into(), value.into());
        self
    }
}
