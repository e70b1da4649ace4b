mod once;
mod snapshots;

use std::sync::Arc;

use foldhouse_store::{ReadError, StreamId, Version};
use tokio::sync::oneshot;
use tracing::Instrument;
use tracing::field::Empty;

use crate::admission::{Patience, Permit, admit};
use crate::aggregate::Aggregate;
use crate::command::{Command, CommandMeta};
use crate::command_error::CommandError;
use crate::command_options::{CommandOptions, QueryOptions};
use crate::committed::Committed;
use crate::deadline::Expiry;
use crate::once::{Forgotten, Keeping};
use crate::query_error::QueryError;
use crate::refusal::{NotRecorded, Refusal};
use crate::slot::Slot;
use crate::subscription::Subscription;
use crate::temporal::Past;
use crate::timer::{PendingTimer, pending_timers_of};
use crate::work::{CommandOutcome, CommandWork, QueryWork};

/// A handle on one aggregate of a [`Runtime`](crate::Runtime): the way to send it commands and to ask about its state.
///
/// Making one does no I/O: the aggregate is hydrated by the first command or query. A clone is cheap, and any number
/// of handles lead to the same, single actor.
pub struct AggregateRef<A: Aggregate> {
    slot: Arc<Slot<A>>,
}

impl<A: Aggregate> AggregateRef<A> {
    pub(crate) fn new(slot: Arc<Slot<A>>) -> Self {
        Self { slot }
    }

    pub(crate) fn slot(&self) -> &Arc<Slot<A>> {
        &self.slot
    }

    /// The aggregate's stream.
    #[must_use]
    pub fn stream(&self) -> &StreamId {
        &self.slot.stream
    }

    /// Sends a command and waits until its events are durable.
    ///
    /// Commands to one aggregate are decided in the order in which they were accepted, each on the state that the ones
    /// before it left. Dropping the future gives up on the answer, and on a command that still waits for a place; one that
    /// was accepted takes effect all the same.
    ///
    /// # Errors
    /// [`CommandError`] says what the caller can do; [`CommandError::is_retry_safe`] says whether to send it again.
    pub async fn send<C>(&self, command: C) -> Result<C::Reply, CommandError<C::Rejection>>
    where
        C: Command<Aggregate = A>,
    {
        self.execute(command, CommandOptions::new())
            .await
            .map(|committed| committed.reply)
    }

    /// Sends a command with an id, facts to record, or a choice to wait or not, and tells where its events stand.
    ///
    /// # Errors
    /// As for [`AggregateRef::send`].
    pub async fn execute<C>(
        &self,
        command: C,
        options: impl Into<CommandOptions>,
    ) -> Result<Committed<C::Reply>, CommandError<C::Rejection>>
    where
        C: Command<Aggregate = A>,
    {
        let options = options.into();
        let span = self.command_span::<C>();
        // With nobody listening a command costs one check of the level, and nothing is carried along.
        if !span.is_disabled() {
            // Boxed, or it would take its room in the future of every command that nobody listens to.
            let accepted = Box::pin(self.accept_and_await(command, options));
            let outcome = accepted.instrument(span.clone()).await;
            self.slot.shared.meters.command(&outcome);
            note(&span, &outcome);
            return outcome;
        }
        // The command is handed down to no future: each would have room for it, twice.
        let patience = options.patience();
        let permit = self.admit(patience).await;
        let outcome = match self.admitted(command, options, patience, permit) {
            Ok(answered) => self.answer::<C>(answered).await,
            Err(refused) => Err(refused),
        };
        self.slot.shared.meters.command(&outcome);
        outcome
    }

    fn command_span<C: Command>(&self) -> tracing::Span {
        tracing::debug_span!(
            "command",
            stream = %self.slot.stream,
            command = std::any::type_name::<C>(),
            version = Empty,
            position = Empty,
        )
    }

    /// Sends several commands in one call, each for itself: one that is rejected or fails does not touch the others. They
    /// are decided in this order, though what others send may come in between, and the answers have this order too.
    ///
    /// It spares the caller a task, and a wake-up, for each command: what comes in by files, or from a network in packets,
    /// goes in like this. For commands that take effect together or not at all, see
    /// [`Runtime::transact`](crate::Runtime::transact).
    ///
    /// # Errors
    /// For each command as for [`AggregateRef::send`]. With more commands than the limits allow in flight, those behind
    /// wait for those before, or are refused, as the runtime's [`WhenFull`](crate::WhenFull) says.
    pub async fn send_each<C>(
        &self,
        commands: Vec<C>,
    ) -> Vec<Result<C::Reply, CommandError<C::Rejection>>>
    where
        C: Command<Aggregate = A>,
    {
        let mut accepted = Vec::with_capacity(commands.len());
        for command in commands {
            accepted.push(self.accept(command, CommandOptions::new()).await);
        }
        let mut outcomes = Vec::with_capacity(accepted.len());
        for accepted in accepted {
            let outcome = match accepted {
                Ok(answered) => self.answer::<C>(answered).await,
                Err(refused) => Err(refused),
            };
            self.slot.shared.meters.command(&outcome);
            outcomes.push(outcome.map(|committed| committed.reply));
        }
        outcomes
    }

    async fn accept_and_await<C>(
        &self,
        command: C,
        options: CommandOptions,
    ) -> Result<Committed<C::Reply>, CommandError<C::Rejection>>
    where
        C: Command<Aggregate = A>,
    {
        let answered = self.accept(command, options).await?;
        self.answer::<C>(answered).await
    }

    /// Takes a place, and decides the command or queues it.
    async fn accept<C>(
        &self,
        command: C,
        options: CommandOptions,
    ) -> Result<oneshot::Receiver<CommandOutcome<C>>, CommandError<C::Rejection>>
    where
        C: Command<Aggregate = A>,
    {
        let patience = options.patience();
        let permit = self.admit(patience).await;
        self.admitted(command, options, patience, permit)
    }

    /// Decides the command or queues it, if it has a place.
    fn admitted<C>(
        &self,
        command: C,
        options: CommandOptions,
        patience: Patience,
        permit: Result<Permit<A>, Refusal>,
    ) -> Result<oneshot::Receiver<CommandOutcome<C>>, CommandError<C::Rejection>>
    where
        C: Command<Aggregate = A>,
    {
        let permit = permit.map_err(|refusal| CommandError::refused(self.stream(), refusal))?;
        let forgotten = Forgotten(options.command_id);
        Ok(self.hand_in(command, forgotten, options.meta, patience.until, permit))
    }

    /// Decides a command that has its place, or queues it.
    fn hand_in<C, K>(
        &self,
        command: C,
        keeping: K,
        meta: Option<Box<CommandMeta>>,
        until: Expiry,
        permit: Permit<A>,
    ) -> oneshot::Receiver<CommandOutcome<C>>
    where
        C: Command<Aggregate = A>,
        K: Keeping<C>,
    {
        let (answer, answered) = oneshot::channel();
        self.slot.handle(CommandWork {
            command,
            keeping,
            meta,
            until,
            permit,
            answer,
        });
        answered
    }

    async fn answer<C>(&self, answered: oneshot::Receiver<CommandOutcome<C>>) -> CommandOutcome<C>
    where
        C: Command<Aggregate = A>,
    {
        answered.await.unwrap_or_else(|_| {
            Err(CommandError::NotRecorded {
                stream: self.slot.stream.clone(),
                reason: NotRecorded::ActorEnded,
            })
        })
    }

    /// Asks about the state, in turn with the commands.
    ///
    /// `query` sees the effect of every command that was accepted before it, and its result is given only when all of
    /// that is durable. So it sees whatever anybody was told of before the call. The state is lent and not copied; keep
    /// `query` short, as the aggregate's commands wait for it.
    ///
    /// # Errors
    /// See [`QueryError`].
    pub async fn query<R, F>(&self, query: F) -> Result<R, QueryError>
    where
        F: FnOnce(&A) -> R + Send + 'static,
        R: Send + 'static,
    {
        self.query_with(query, QueryOptions::new()).await
    }

    /// The same with a choice to wait for a place or not, or a deadline.
    ///
    /// # Errors
    /// See [`QueryError`].
    pub async fn query_with<R, F>(&self, query: F, options: QueryOptions) -> Result<R, QueryError>
    where
        F: FnOnce(&A) -> R + Send + 'static,
        R: Send + 'static,
    {
        self.ask(move |state, _version| query(state), options).await
    }

    /// The aggregate's version, in turn with the commands.
    ///
    /// # Errors
    /// See [`QueryError`].
    pub async fn version(&self) -> Result<Version, QueryError> {
        self.ask(|_state, version| version, QueryOptions::new())
            .await
    }

    /// The aggregate's timers that have not fired yet, in the order in which they are tried; the first 1,000 if there are
    /// more. It shows everything that was durable when it is called.
    ///
    /// # Errors
    /// [`ReadError`]: the store cannot be read.
    pub async fn timers(&self) -> Result<Vec<PendingTimer>, ReadError> {
        pending_timers_of(&self.slot.shared, self.stream()).await
    }

    /// Lets the aggregate try again if it is parked ([`CommandError::Parked`]), and forgets its failures. True if it was.
    pub fn revive(&self) -> bool {
        self.slot.shared.restarts.revive(&self.slot.stream)
    }

    /// Follows the aggregate's durable events, from the one with this version on: first those that are there, then those
    /// that are added. [`Version::EMPTY`] begins with the first event; a version that the aggregate does not have yet is
    /// waited for.
    ///
    /// ```
    /// # use foldhouse::{Aggregate, Command, CommandContext, Decided, Decision, Never, Version};
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
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let store = std::sync::Arc::new(foldhouse::MemoryStore::new());
    /// # let runtime = foldhouse::Runtime::builder(store).start().await?;
    /// let visits = runtime.aggregate::<Counter>("acme", "visits")?;
    /// visits.send(Increment(40)).await?;
    ///
    /// let mut events = visits.subscribe(Version::EMPTY);
    /// visits.send(Increment(2)).await?;
    /// for by in [40, 2] {
    ///     let next = events.next().await?.expect("the runtime is there");
    ///     assert_eq!(next.event, CounterEvent::Added { by });
    /// }
    ///
    /// runtime.shutdown(std::time::Duration::from_secs(10)).await?;
    /// assert_eq!(events.next().await?, None);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use = "a subscription that is dropped follows nothing"]
    pub fn subscribe(&self, from: Version) -> Subscription<A> {
        Subscription::new(&self.slot.shared, &self.slot.stream, from)
    }

    /// The aggregate's past: its state at a version, at a recorded or an effective time, the changes in between, and what
    /// makes up a figure. It is read from the store, and disturbs nobody; see [`Past`] for what it costs.
    #[must_use]
    pub fn past(&self) -> Past<A> {
        let shared = &self.slot.shared;
        Past::new(&shared.store, &shared.past, self.slot.stream.clone())
    }

    async fn admit(&self, patience: Patience) -> Result<Permit<A>, Refusal> {
        admit(&self.slot, patience)
            .await
            .map_err(|reason| Refusal::not_admitted(reason, self.slot.shared.is_closing()))
    }

    pub(crate) async fn ask<R, F>(&self, query: F, options: QueryOptions) -> Result<R, QueryError>
    where
        F: FnOnce(&A, Version) -> R + Send + 'static,
        R: Send + 'static,
    {
        let patience = options.patience();
        let permit = self
            .admit(patience)
            .await
            .map_err(|refusal| QueryError::refused(self.stream(), refusal))?;
        let (answer, answered) = oneshot::channel();
        self.slot.handle(QueryWork {
            query,
            until: patience.until,
            permit,
            answer,
        });
        answered.await.unwrap_or_else(|_| {
            Err(QueryError::Unavailable {
                stream: self.slot.stream.clone(),
                reason: NotRecorded::ActorEnded,
            })
        })
    }
}

/// What a command came to, for whoever listens.
fn note<T, R: std::fmt::Display>(
    span: &tracing::Span,
    outcome: &Result<Committed<T>, CommandError<R>>,
) {
    match outcome {
        Ok(committed) => {
            span.record("version", committed.version.get());
            span.record("position", committed.position.get());
        }
        Err(error) => span.in_scope(|| tracing::debug!(%error, "not committed")),
    }
}

impl<A: Aggregate> Clone for AggregateRef<A> {
    fn clone(&self) -> Self {
        Self {
            slot: Arc::clone(&self.slot),
        }
    }
}

impl<A: Aggregate> std::fmt::Debug for AggregateRef<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("AggregateRef")
            .field(&self.slot.stream)
            .finish()
    }
}
