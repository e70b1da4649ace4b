mod events;

use std::sync::Arc;
use std::time::Duration;

use foldhouse_store::{InvalidStreamId, ReadError, Store, StreamId};
use ractor::Actor;
use uuid::Uuid;

use crate::aggregate::Aggregate;
use crate::aggregate_ref::AggregateRef;
use crate::command_options::CommandOptions;
use crate::directory::{Directory, OtherType};
use crate::options::{Options, RuntimeBuilder};
use crate::outcome::{Outcome, OutcomeError, settled_outcome};
use crate::parked::ParkedAggregate;
use crate::process::{self, ProcessManager, ProcessRef, StartProcessError};
use crate::projection::{self, ProjectError, Projection, ProjectionRef};
use crate::residency::passivate_idle;
use crate::shared::Shared;
use crate::shutdown::{self, ShutdownIncomplete, ShutdownReport};
use crate::snapshots::{self, SnapshotError, SnapshotSpace};
use crate::supervisor::Supervisor;
use crate::timer::{self, TimerCursor, TimerPage};
use crate::transaction::{self, IdempotentSteps, Purpose, Steps, Transacted, TransactionError};
use crate::watchdog::StuckCommand;

/// Aggregates as supervised actors over one store. A clone is cheap and is the same runtime.
///
/// When the last clone is dropped it takes no new commands; its actors handle what they have accepted, and end.
/// [`Runtime::shutdown`] does the same and waits for it.
#[derive(Clone)]
pub struct Runtime {
    owner: Arc<Owner>,
}

/// Lets the actors end when the last clone of the runtime goes. Handles on aggregates do not keep it alive.
struct Owner {
    shared: Arc<Shared>,
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.shared.close();
        for (_name, projection) in self.shared.running_projections() {
            projection.stop();
        }
    }
}

/// Why a runtime did not start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// An option does not fit.
    #[error("{option} is {value}; it takes 1 to {limit}")]
    Option {
        /// The option.
        option: &'static str,
        /// Its value.
        value: u64,
        /// The highest value that it takes.
        limit: u64,
    },
    /// The actor system did not start.
    #[error("the supervisor did not start: {0}")]
    Supervisor(String),
}

/// Why there is no handle on an aggregate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// Its name is not a stream's name.
    #[error(transparent)]
    Invalid(#[from] InvalidStreamId),
    /// The stream belongs to another aggregate type.
    #[error("stream {stream} is not a {expected}")]
    OtherAggregate {
        /// The stream.
        stream: StreamId,
        /// The aggregate type that was asked for.
        expected: &'static str,
    },
    /// The runtime keeps its own records under this tenant. Take another name.
    #[error("stream {stream} is of a tenant whose name the runtime keeps for itself")]
    Reserved {
        /// The stream.
        stream: StreamId,
    },
    /// Two Rust types claim the same `Aggregate::TYPE`, and the stream is in use by the other one. Rename one.
    #[error(
        "stream {stream} is in use by another Rust type than {rust_type}; give each its own Aggregate::TYPE"
    )]
    OtherType {
        /// The stream.
        stream: StreamId,
        /// The type that was asked for.
        rust_type: &'static str,
    },
}

impl Runtime {
    /// A runtime over this store, to be set up and started.
    pub fn builder(store: Arc<dyn Store>) -> RuntimeBuilder {
        RuntimeBuilder::new(store)
    }

    pub(crate) async fn start(store: Arc<dyn Store>, options: Options) -> Result<Self, StartError> {
        let (supervisor, _task) = Supervisor::spawn(None, Supervisor, "aggregate")
            .await
            .map_err(|error| StartError::Supervisor(error.to_string()))?;
        let (projections, _task) = Supervisor::spawn(None, Supervisor, "projection")
            .await
            .map_err(|error| StartError::Supervisor(error.to_string()))?;
        let shared = Arc::new(Shared::new(
            store,
            options,
            supervisor.get_cell(),
            projections.get_cell(),
        ));
        if let Some(idle_max) = shared.residency.idle_max() {
            tokio::spawn(passivate_idle(Arc::downgrade(&shared), idle_max));
        }
        if shared.options.is_scratch {
            shared.timers.never_fire();
        } else {
            tokio::spawn(timer::run(Arc::clone(&shared)));
        }
        Ok(Self {
            owner: Arc::new(Owner { shared }),
        })
    }

    /// The timers that have not fired yet, in the order in which they are tried, from the first one or behind `after`: at
    /// most `limit` (1 to 1,000) a page. It shows everything that was durable when it is called.
    ///
    /// # Errors
    /// [`ReadError`]: the store cannot be read.
    pub async fn timers(
        &self,
        after: Option<TimerCursor>,
        limit: usize,
    ) -> Result<TimerPage, ReadError> {
        timer::pending_timers(&self.owner.shared, after, limit).await
    }

    /// Lets all timers fire that are due by the runtime's clock, and waits until none is left that could be tried now: one
    /// that has failed waits for its next try. They fire without this, too; it is for a test that has set its clock.
    pub async fn fire_due_timers(&self) {
        self.owner.shared.timers.settled().await;
    }

    /// A handle on one aggregate. It need not exist: an aggregate without events is in its default state.
    ///
    /// # Errors
    /// [`AddressError`]: tenant or id cannot name a stream, or two Rust types share one `Aggregate::TYPE`.
    pub fn aggregate<A: Aggregate>(
        &self,
        tenant: &str,
        id: &str,
    ) -> Result<AggregateRef<A>, AddressError> {
        self.at(StreamId::new(tenant, A::TYPE, id)?)
    }

    /// A handle on the aggregate of a stream.
    ///
    /// # Errors
    /// [`AddressError`]: the stream belongs to another aggregate type, or two Rust types share one `Aggregate::TYPE`.
    pub fn aggregate_of<A: Aggregate>(
        &self,
        stream: StreamId,
    ) -> Result<AggregateRef<A>, AddressError> {
        if stream.aggregate_type() != A::TYPE {
            return Err(AddressError::OtherAggregate {
                stream,
                expected: A::TYPE,
            });
        }
        self.at(stream)
    }

    /// What the snapshots of a tenant's aggregates of this type take. It asks for each of them, so it takes its time where
    /// there are many; [`AggregateRef::snapshots`] lists those of one.
    ///
    /// # Errors
    /// [`SnapshotError::List`] and [`SnapshotError::Store`]: the store did not answer.
    pub async fn snapshot_space<A: Aggregate>(
        &self,
        tenant: &str,
    ) -> Result<SnapshotSpace, SnapshotError> {
        snapshots::space::<A>(&self.owner.shared, tenant).await
    }

    fn at<A: Aggregate>(&self, stream: StreamId) -> Result<AggregateRef<A>, AddressError> {
        if timer::is_reserved(stream.tenant()) {
            return Err(AddressError::Reserved { stream });
        }
        match Directory::slot(&self.owner.shared, stream.clone()) {
            Ok(slot) => Ok(AggregateRef::new(slot)),
            Err(OtherType) => Err(AddressError::OtherType {
                stream,
                rust_type: std::any::type_name::<A>(),
            }),
        }
    }

    pub(crate) fn options(&self) -> &Options {
        &self.owner.shared.options
    }

    #[cfg(test)]
    pub(crate) fn slot_count(&self) -> usize {
        self.owner.shared.directory.len()
    }

    /// What the watchdog's thread has, too.
    #[cfg(test)]
    pub(crate) fn watched_directory(&self) -> std::sync::Weak<Directory> {
        Arc::downgrade(&self.owner.shared.directory)
    }

    #[cfg(test)]
    pub(crate) fn topics(&self) -> &crate::subscription::Topics {
        &self.owner.shared.topics
    }

    /// Lets the scheduler look, and does not wait for it.
    #[cfg(test)]
    pub(crate) fn owner_timers_changed(&self) {
        self.owner.shared.timers.changed();
    }

    /// How many ids of commands that take effect once are claimed.
    #[cfg(test)]
    pub(crate) fn claim_count(&self) -> usize {
        self.owner.shared.claims.len()
    }

    /// The store under the runtime.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.owner.shared.store
    }

    /// Executes commands to several aggregates so that all of them take effect or none does, and waits until they are
    /// durable. Gives the replies in the shape of the steps.
    ///
    /// Each step decides on its own aggregate's state. Steps on the same aggregate see each other: the second decides on
    /// what the first leaves. All events are recorded by one append, side by side, in the order of the aggregates' first
    /// steps. Transactions and single commands together are strictly serializable: each takes effect at one moment
    /// between its call and its answer, for all aggregates that it changes and those that it only reads
    /// ([`AggregateRef::require`]). Any number may run at once, over any aggregates in any order; they cannot deadlock.
    /// An aggregate takes transactions and single commands in the order of their arrival, so neither starve.
    ///
    /// ```
    /// # use foldhouse::*;
    /// # #[derive(Clone, Default, serde::Serialize, serde::Deserialize)]
    /// # struct Account(i64);
    /// # #[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
    /// # enum AccountEvent { Changed(i64) }
    /// # impl Aggregate for Account {
    /// #     const TYPE: &'static str = "account";
    /// #     type Event = AccountEvent;
    /// #     fn apply(&mut self, AccountEvent::Changed(by): &AccountEvent) { self.0 += by; }
    /// # }
    /// # #[derive(Debug, thiserror::Error, PartialEq)]
    /// # #[error("only {0} is there")]
    /// # struct TooLittle(i64);
    /// # struct Change(i64);
    /// # impl Command for Change {
    /// #     type Aggregate = Account;
    /// #     type Reply = i64;
    /// #     type Rejection = TooLittle;
    /// #     fn decide(&self, account: &Account, _: &CommandContext) -> Decided<Self> {
    /// #         let after = account.0 + self.0;
    /// #         if after < 0 { return Err(TooLittle(account.0)); }
    /// #         Ok(Decision::event(AccountEvent::Changed(self.0), after))
    /// #     }
    /// # }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let runtime = Runtime::builder(std::sync::Arc::new(MemoryStore::new())).start().await?;
    /// let cash = runtime.aggregate::<Account>("acme", "cash")?;
    /// let rent = runtime.aggregate::<Account>("acme", "rent")?;
    /// cash.send(Change(100)).await?;
    ///
    /// let (left, paid) = runtime.transact((cash.step(Change(-60)), rent.step(Change(60)))).await?;
    /// assert_eq!((left, paid), (40, 60));
    ///
    /// let refused = runtime.transact((rent.step(Change(60)), cash.step(Change(-60)))).await.unwrap_err();
    /// assert_eq!(refused.rejection(), Some(&TooLittle(40)));
    /// assert_eq!(rent.query(|account| account.0).await?, 60); // nothing happened to either
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`TransactionError`] says what the caller can do, and which step was rejected.
    pub async fn transact<S: Steps>(&self, steps: S) -> Result<S::Replies, TransactionError> {
        self.transact_with(steps, CommandOptions::new())
            .await
            .map(|transacted| transacted.replies)
    }

    /// The same with an id, facts to record with every event, or a choice to wait or not; tells where the events stand.
    ///
    /// # Errors
    /// As for [`Runtime::transact`].
    pub async fn transact_with<S: Steps>(
        &self,
        steps: S,
        options: impl Into<CommandOptions>,
    ) -> Result<Transacted<S::Replies>, TransactionError> {
        let options = options.into();
        transaction::run(&self.owner.shared, steps, options, Purpose::Record).await
    }

    /// As [`Runtime::transact`], but the transaction takes effect once, however often it is sent with this id: also after a
    /// crash, a timeout, a restart or a lost reply. A retry gets the replies that the first one got. All that is said at
    /// [`AggregateRef::send_once`] holds here; the id stands for all steps, in their order, and the replies of all of them
    /// together may take 64 KiB.
    ///
    /// # Errors
    /// As for [`Runtime::transact`]; a retry is always safe. [`TransactionError::CommandIdReused`]: other steps, or a
    /// single command, were recorded under this id. [`TransactionError::UnreadableReply`]: these were, but the replies
    /// cannot be read any more.
    pub async fn transact_once<S: IdempotentSteps>(
        &self,
        steps: S,
        id: Uuid,
    ) -> Result<S::Replies, TransactionError> {
        self.transact_once_with(steps, id, CommandOptions::new())
            .await
            .map(|transacted| transacted.replies)
    }

    /// The same with facts to record with every event, a choice to wait or not, or a deadline; tells where the events
    /// stand. The id is `id`, whatever the options say.
    ///
    /// # Errors
    /// As for [`Runtime::transact_once`].
    pub async fn transact_once_with<S: IdempotentSteps>(
        &self,
        steps: S,
        id: Uuid,
        options: impl Into<CommandOptions>,
    ) -> Result<Transacted<S::Replies>, TransactionError> {
        transaction::run_once(&self.owner.shared, steps, id, options.into()).await
    }

    /// What the command or transaction that was sent under this id (with [`AggregateRef::send_once`] or
    /// [`Runtime::transact_once`]) came to: `None` if nothing was recorded under it, or it is not remembered any more. One
    /// that is on its way in this runtime is waited for, so that `None` stays true until somebody sends it again.
    ///
    /// For a caller that knows the aggregate and the command's type, [`AggregateRef::outcome`] checks both.
    ///
    /// # Errors
    /// See [`OutcomeError`].
    pub async fn outcome(&self, command_id: Uuid) -> Result<Option<Outcome>, OutcomeError> {
        settled_outcome(&self.owner.shared, command_id).await
    }

    /// A fresh command id from the runtime's clock: a UUID of version 7, which no other command has.
    #[must_use]
    pub fn new_command_id(&self) -> Uuid {
        self.owner.shared.options.clock.new_id()
    }

    /// Runs several transactions in one call, each for itself: one that is rejected or fails does not touch the others.
    /// They take effect in this order, though what others do may come in between, and the answers have this order too.
    ///
    /// It spares the caller a task, and a wake-up, for each transaction: what comes in by files, or from a network in
    /// packets, goes in like this.
    ///
    /// # Errors
    /// For each transaction as for [`Runtime::transact`]. With more of them than the limits allow in flight, those behind
    /// wait for those before, or are refused, as [`WhenFull`](crate::WhenFull) says.
    pub async fn transact_each<S: Steps>(
        &self,
        transactions: Vec<S>,
    ) -> Vec<Result<S::Replies, TransactionError>> {
        let transactions = transactions.into_iter();
        let transactions = transactions.map(|steps| (steps, CommandOptions::new()));
        let outcomes = transaction::run_each(&self.owner.shared, transactions).await;
        let replies = outcomes.into_iter();
        replies
            .map(|outcome| outcome.map(|transacted| transacted.replies))
            .collect()
    }

    /// The same with an id, facts to record, or a deadline for each transaction, and with where its events stand.
    ///
    /// # Errors
    /// As for [`Runtime::transact_each`].
    pub async fn transact_each_with<S: Steps>(
        &self,
        transactions: Vec<(S, CommandOptions)>,
    ) -> Vec<Result<Transacted<S::Replies>, TransactionError>> {
        transaction::run_each(&self.owner.shared, transactions).await
    }

    /// What the steps would lead to if they were executed now, in turn with the commands; a single
    /// [`AggregateRef::step`] will do. Nothing is recorded, and no state changes.
    ///
    /// # Errors
    /// As for [`Runtime::transact`].
    pub async fn dry_run<S: Steps>(
        &self,
        steps: S,
        options: impl Into<CommandOptions>,
    ) -> Result<S::Replies, TransactionError> {
        let options = options.into();
        transaction::run(&self.owner.shared, steps, options, Purpose::DryRun)
            .await
            .map(|transacted| transacted.replies)
    }

    /// Starts a projection: loads its rows, reads what they do not show yet, and follows the journal from there.
    ///
    /// # Errors
    /// See [`ProjectError`].
    pub async fn project<P: Projection>(
        &self,
        projection: P,
    ) -> Result<ProjectionRef<P>, ProjectError> {
        projection::start(&self.owner.shared, projection).await
    }

    /// Starts a process where it was: it is told of all events that it was not told of, and then of those that come. What
    /// its instances had on their way goes on. It ends with the runtime.
    ///
    /// # Errors
    /// See [`StartProcessError`].
    pub async fn run_process<P: ProcessManager>(&self) -> Result<ProcessRef<P>, StartProcessError> {
        process::start(&self.owner.shared).await
    }

    /// The aggregates that failed too often and are left alone, the longest parked first. At most 10,000 are kept in mind;
    /// beyond that the one that was parked first gets another chance.
    #[must_use]
    pub fn parked(&self) -> Vec<ParkedAggregate> {
        self.owner.shared.restarts.parked()
    }

    /// What does not return: commands and queries that have held their thread for longer than
    /// [`RuntimeBuilder::stuck_after`]. No more than there are threads.
    #[must_use]
    pub fn stuck(&self) -> Vec<StuckCommand> {
        self.owner.shared.stuck()
    }

    /// How many aggregates are in memory: they have an actor, or are about to have one.
    #[must_use]
    pub fn live_aggregates(&self) -> usize {
        self.owner.shared.residency.len()
    }

    /// Ends the runtime. It takes no new commands (they get [`NotRecorded::ShuttingDown`](crate::NotRecorded)), answers
    /// every accepted one, ends all actors, and lets each projection come up to the last event and keep its rows.
    /// The store stays open; close it afterwards.
    ///
    /// # Errors
    /// [`ShutdownIncomplete`] says what was not done within `deadline`. It goes on; call again to wait longer.
    pub async fn shutdown(&self, deadline: Duration) -> Result<ShutdownReport, ShutdownIncomplete> {
        shutdown::shutdown(&self.owner.shared, deadline).await
    }
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runtime").finish_non_exhaustive()
    }
}
