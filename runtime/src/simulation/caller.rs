use std::any::type_name;
use std::fmt::Debug;
use std::sync::Arc;

use foldhouse_store::{Clock, StreamId};
use uuid::Uuid;

use super::history::Answer;
use super::machine::Machine;
use crate::aggregate::Aggregate;
use crate::aggregate_ref::AggregateRef;
use crate::command::Command;
use crate::command_error::CommandError;
use crate::command_options::{CommandOptions, QueryOptions};
use crate::committed::Committed;
use crate::idempotent_command::IdempotentCommand;
use crate::query_error::QueryError;
use crate::runtime::{AddressError, Runtime};
use crate::transaction::{IdempotentSteps, Steps, Transacted, TransactionError};

/// Who does an operation. What goes through it is written down and checked against what is recorded; the rest of the
/// runtime is at [`Caller::runtime`].
pub struct Caller {
    pub(super) number: usize,
    pub(super) runtime: Runtime,
    pub(super) machine: Arc<Machine>,
}

impl Caller {
    /// Its number, from 0.
    #[must_use]
    pub fn number(&self) -> usize {
        self.number
    }

    /// The runtime of the process.
    #[must_use]
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// A handle on one aggregate. Its state is compared with a replay of its events from here on: in memory, and as it is
    /// hydrated from a snapshot.
    ///
    /// # Errors
    /// As for [`Runtime::aggregate`].
    pub fn aggregate<A: Aggregate + PartialEq + Debug>(
        &self,
        tenant: &str,
        id: &str,
    ) -> Result<AggregateRef<A>, AddressError> {
        self.machine.folds.add::<A>();
        self.runtime.aggregate(tenant, id)
    }

    /// As [`AggregateRef::send`].
    ///
    /// # Errors
    /// As there.
    pub async fn send<C: Command>(
        &self,
        aggregate: &AggregateRef<C::Aggregate>,
        command: C,
    ) -> Result<C::Reply, CommandError<C::Rejection>> {
        let options = CommandOptions::new();
        let committed = self.execute(aggregate, command, options).await;
        committed.map(|committed| committed.reply)
    }

    /// As [`AggregateRef::execute`].
    ///
    /// # Errors
    /// As there.
    pub async fn execute<C: Command>(
        &self,
        aggregate: &AggregateRef<C::Aggregate>,
        command: C,
        options: impl Into<CommandOptions>,
    ) -> Result<Committed<C::Reply>, CommandError<C::Rejection>> {
        let options = self.with_id(options.into());
        let call = self.call(
            Some(aggregate.stream()),
            &options,
            short_name(type_name::<C>()),
        );
        let outcome = aggregate.execute(command, options).await;
        self.answered(call, || Answer::to_command(&outcome)).await;
        outcome
    }

    /// As [`AggregateRef::send_once`]. Not by two callers at a time with one id: it could not be said whose answer is whose.
    ///
    /// # Errors
    /// As there.
    pub async fn send_once<C: IdempotentCommand>(
        &self,
        aggregate: &AggregateRef<C::Aggregate>,
        command: C,
        id: Uuid,
    ) -> Result<C::Reply, CommandError<C::Rejection>> {
        let options = CommandOptions::new().command_id(id);
        let what = short_name(type_name::<C>());
        let call = self.call(Some(aggregate.stream()), &options, what);
        let outcome = aggregate.execute_once(command, id, options).await;
        self.answered(call, || Answer::to_command(&outcome)).await;
        outcome.map(|committed| committed.reply)
    }

    /// As [`Runtime::transact`].
    ///
    /// # Errors
    /// As there.
    pub async fn transact<S: Steps>(&self, steps: S) -> Result<S::Replies, TransactionError> {
        let transacted = self.transact_with(steps, CommandOptions::new()).await;
        transacted.map(|transacted| transacted.replies)
    }

    /// As [`Runtime::transact_with`].
    ///
    /// # Errors
    /// As there.
    pub async fn transact_with<S: Steps>(
        &self,
        steps: S,
        options: impl Into<CommandOptions>,
    ) -> Result<Transacted<S::Replies>, TransactionError> {
        let options = self.with_id(options.into());
        let call = self.call(None, &options, "a transaction");
        let outcome = self.runtime.transact_with(steps, options).await;
        self.answered(call, || Answer::to_transaction(&outcome))
            .await;
        outcome
    }

    /// As [`Runtime::transact_once`]. Not by two callers at a time with one id, as for [`Caller::send_once`].
    ///
    /// # Errors
    /// As there.
    pub async fn transact_once<S: IdempotentSteps>(
        &self,
        steps: S,
        id: Uuid,
    ) -> Result<S::Replies, TransactionError> {
        let options = CommandOptions::new().command_id(id);
        let call = self.call(None, &options, "a transaction");
        let outcome = self.runtime.transact_once_with(steps, id, options).await;
        self.answered(call, || Answer::to_transaction(&outcome))
            .await;
        outcome.map(|transacted| transacted.replies)
    }

    /// As [`AggregateRef::query`].
    ///
    /// # Errors
    /// As there.
    pub async fn query<A, R, F>(
        &self,
        aggregate: &AggregateRef<A>,
        query: F,
    ) -> Result<R, QueryError>
    where
        A: Aggregate,
        F: FnOnce(&A) -> R + Send + 'static,
        R: Send + 'static,
    {
        let stream = Some(aggregate.stream());
        let history = &self.machine.history;
        let call = history.called(self.number, stream, None, "a query");
        let outcome = aggregate
            .ask(
                move |state, version| (query(state), version),
                QueryOptions::new(),
            )
            .await;
        self.answered(call, || Answer::to_query(&outcome)).await;
        outcome.map(|(given, _version)| given)
    }

    fn with_id(&self, mut options: CommandOptions) -> CommandOptions {
        let id = &mut options.command_id;
        id.get_or_insert_with(|| self.machine.clock.new_id());
        options
    }

    fn call(&self, stream: Option<&StreamId>, options: &CommandOptions, what: &str) -> usize {
        let history = &self.machine.history;
        history.called(self.number, stream, options.command_id, what)
    }

    async fn answered(&self, call: usize, answer: impl FnOnce() -> Answer) {
        if self.machine.disk.is_off() {
            // Nobody is there any more who could hear it.
            std::future::pending::<()>().await;
        }
        self.machine.history.answered(call, answer());
    }
}

/// A type's name without the modules that it is in.
fn short_name(name: &str) -> &str {
    let path = name.split('<').next().unwrap_or(name);
    path.rsplit("::").next().unwrap_or(path)
}

impl Debug for Caller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Caller")
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}
