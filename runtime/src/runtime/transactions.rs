//! Several aggregates at once, and commands that take effect once.

use uuid::Uuid;

use super::Runtime;
use crate::command_options::CommandOptions;
use crate::outcome::{Outcome, OutcomeError, settled_outcome};
use crate::transaction::{self, IdempotentSteps, Purpose, Steps, Transacted, TransactionError};

impl Runtime {
    /// Executes commands to several aggregates so that all of them take effect or none does, and waits until they are
    /// durable. Gives the replies in the shape of the steps.
    ///
    /// Each step decides on its own aggregate's state. Steps on the same aggregate see each other: the second decides
    /// on
    /// what the first leaves. All events are recorded by one append, side by side, in the order of the aggregates'
    /// first
    /// steps. Transactions and single commands together are strictly serializable: each takes effect at one moment
    /// between its call and its answer, for all aggregates that it changes and those that it only reads
    /// ([`AggregateRef::require`](crate::AggregateRef::require)). Any number may run at once, over any aggregates in
    /// any order; they cannot deadlock.
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

    /// As [`Runtime::transact`], but the transaction takes effect once, however often it is sent with this id: also
    /// after a
    /// crash, a timeout, a restart or a lost reply. A retry gets the replies that the first one got. All that is said
    /// at
    /// [`AggregateRef::send_once`](crate::AggregateRef::send_once) holds here; the id stands for all steps, in their
    /// order, and the replies of all of them
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

    /// What the command or transaction that was sent under this id (with
    /// [`AggregateRef::send_once`](crate::AggregateRef::send_once) or
    /// [`Runtime::transact_once`]) came to: `None` if nothing was recorded under it, or it is not remembered any more.
    /// One
    /// that is on its way in this runtime is waited for, so that `None` stays true until somebody sends it again.
    ///
    /// For a caller that knows the aggregate and the command's type,
    /// [`AggregateRef::outcome`](crate::AggregateRef::outcome) checks both.
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
    /// For each transaction as for [`Runtime::transact`]. With more of them than the limits allow in flight, those
    /// behind
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
    /// [`AggregateRef::step`](crate::AggregateRef::step) will do. Nothing is recorded, and no state changes.
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
}
