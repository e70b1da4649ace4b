//! What if: commands on a fork of the live state, with real actors, thrown away afterwards.
//!
//! - this file: the fork as its user holds it
//! - `compare`: what differs from the live state
//! - `boundary`: the end of the last whole command

mod boundary;
mod compare;

use std::sync::Arc;
use std::time::Duration;

use foldhouse_store::{
    EventStore, ForkError, InvalidStreamId, OVERLAY_BYTES_MAX, OverlayStore, Page, Position,
    ReadError, Store, StreamId,
};

use self::boundary::end_of_whole_command;
pub use self::compare::{ComparedToLive, WHAT_IF_EVENTS_MAX};
use crate::aggregate::Aggregate;
use crate::aggregate_ref::AggregateRef;
use crate::projection::Alerts;
use crate::runtime::{AddressError, Runtime, StartError};
use crate::shutdown::ShutdownIncomplete;
use crate::temporal::PastError;

/// A fork of the live state: a runtime of its own over what the store had at a position, made by [`Runtime::what_if`].
///
/// The live store is only read, by a type that cannot write. What is recorded here is in memory, up to
/// [`OVERLAY_BYTES_MAX`] bytes (commands beyond that are not recorded, and say so), and gone when this is dropped.
pub struct WhatIf {
    runtime: Runtime,
    fork: Arc<OverlayStore>,
    live: Arc<dyn Store>,
}

/// Why there is no fork, or no comparison with it.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WhatIfError {
    /// The store could not be forked: the position is not there yet, or it cannot be read.
    #[error(transparent)]
    Fork(#[from] ForkError),
    /// The fork's runtime did not start.
    #[error("the runtime of the fork did not start: {0}")]
    Start(#[from] StartError),
    /// The tenant or the id cannot name a stream.
    #[error(transparent)]
    Address(InvalidStreamId),
    /// A state cannot be read or compared.
    #[error(transparent)]
    Past(#[from] PastError),
    /// The store gave nothing; its error says whether a retry may work.
    #[error("the fork cannot be read: {0}")]
    Read(#[from] ReadError),
}

impl Runtime {
    /// Forks the state at a position (of this runtime's store: `runtime.store().head()` for the state as it is) into a scratch
    /// runtime. Commands there are decided by real actors, transactions and projections work, and nothing of it reaches this
    /// runtime or its store, which go on meanwhile. The journal is not copied.
    ///
    /// A position within the events of one command or transaction is rounded down to the end of the one before, so that no
    /// entry is there by half; [`WhatIf::forked_at`] tells. The fork has this runtime's options, its clock too. It
    /// measures nothing, its timers do not fire, and projections that are started on it make their rows anew, from the first
    /// event.
    ///
    /// "What would the trial balance be if these had been posted the other way round?"
    ///
    /// ```
    /// # use foldhouse::*;
    /// # #[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
    /// # struct Account { balance: i64 }
    /// # #[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
    /// # enum AccountEvent { Posted(i64) }
    /// # impl Aggregate for Account {
    /// #     const TYPE: &'static str = "account";
    /// #     type Event = AccountEvent;
    /// #     fn apply(&mut self, AccountEvent::Posted(by): &AccountEvent) { self.balance += by; }
    /// # }
    /// # struct Post(i64);
    /// # impl Command for Post {
    /// #     type Aggregate = Account;
    /// #     type Reply = ();
    /// #     type Rejection = Never;
    /// #     fn decide(&self, account: &Account, _: &CommandContext) -> Decided<Self> {
    /// #         Ok(Decision::event(AccountEvent::Posted(self.0), ()))
    /// #     }
    /// # }
    /// # /// The sum over all accounts, which is 0.
    /// # struct TrialBalance;
    /// # impl Projection for TrialBalance {
    /// #     const NAME: &'static str = "trial-balance";
    /// #     type Key = String;
    /// #     type Row = i64;
    /// #     fn apply(&self, event: &RecordedEvent, rows: &mut Table<String, i64>) -> Result<(), ProjectionError> {
    /// #         if let Some(decoded) = decode_event::<Account>(event) {
    /// #             let AccountEvent::Posted(by) = decoded?;
    /// #             rows.update(event.stream.aggregate_id(), |sum| *sum += by);
    /// #         }
    /// #         Ok(())
    /// #     }
    /// # }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use std::time::Duration;
    /// # let runtime = Runtime::builder(std::sync::Arc::new(MemoryStore::new())).start().await?;
    /// let (cash, rent) = (runtime.aggregate::<Account>("acme", "cash")?, runtime.aggregate::<Account>("acme", "rent")?);
    /// runtime.transact((cash.step(Post(-500)), rent.step(Post(500)))).await?;
    ///
    /// let fork = runtime.what_if(runtime.store().head()).await?;
    /// let (travel, rent) = (fork.aggregate::<Account>("acme", "travel")?, fork.aggregate::<Account>("acme", "rent")?);
    /// fork.runtime().transact((rent.step(Post(-120)), travel.step(Post(120)))).await?;
    ///
    /// let balances = fork.runtime().project(TrialBalance).await?;
    /// balances.wait_for(fork.runtime().store().head(), Duration::from_secs(10)).await?;
    /// assert_eq!(balances.get("travel"), Some(120));
    /// for compared in fork.compare_all::<Account>("acme", None, 100).await? {
    ///     println!("{}:\n{}", compared.stream, compared.against_live);
    /// }
    /// let compared = fork.compare::<Account>("acme", "rent").await?;
    /// assert_eq!(compared.against_live.to_string(), "balance: 500 -> 380\n");
    ///
    /// fork.discard(Duration::from_secs(10)).await?;
    /// assert_eq!(runtime.aggregate::<Account>("acme", "rent")?.query(|account| account.balance).await?, 500);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`WhatIfError`]: the position is not there yet, or the store cannot be read.
    pub async fn what_if(&self, at: Position) -> Result<WhatIf, WhatIfError> {
        let live = Arc::clone(self.store());
        let at = end_of_whole_command(&*live, at).await?;
        let mut options = self.options().clone();
        options.is_scratch = true;
        // Nobody is to be called out of bed by what is tried out.
        options.alerts = Alerts::default();
        let clock = Arc::clone(&options.clock);
        let fork = OverlayStore::fork_with(Arc::clone(&live), at, clock, OVERLAY_BYTES_MAX).await?;
        let fork = Arc::new(fork);
        let store: Arc<dyn Store> = Arc::clone(&fork) as Arc<dyn Store>;
        Ok(WhatIf {
            runtime: Runtime::start(store, options).await?,
            fork,
            live,
        })
    }
}

impl WhatIf {
    /// The scratch runtime: for transactions and projections.
    #[must_use]
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// A handle on an aggregate of the scratch runtime.
    ///
    /// # Errors
    /// As for [`Runtime::aggregate`].
    pub fn aggregate<A: Aggregate>(
        &self,
        tenant: &str,
        id: &str,
    ) -> Result<AggregateRef<A>, AddressError> {
        self.runtime.aggregate(tenant, id)
    }

    /// The last position of the live store that the fork has.
    #[must_use]
    pub fn forked_at(&self) -> Position {
        self.fork.forked_at()
    }

    /// The streams that have got events here, in the order of their ids, behind `after`, up to `limit`.
    #[must_use]
    pub fn changed_streams(&self, after: Option<&StreamId>, limit: usize) -> Vec<StreamId> {
        self.fork.changed_streams(after, limit)
    }

    /// The events that were recorded here, in order, behind `after`, up to `limit` (and a bound in bytes) a page.
    /// [`WhatIf::forked_at`] is where they begin.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn events(&self, after: Position, limit: usize) -> Result<Page<Position>, ReadError> {
        let after = after.max(self.forked_at());
        self.fork.read_all(after, limit).await
    }

    /// Throws the fork away, and waits until its actors have ended. Dropping it does the same without waiting.
    ///
    /// # Errors
    /// [`ShutdownIncomplete`]: what is not done within `deadline`; it goes on.
    pub async fn discard(self, deadline: Duration) -> Result<(), ShutdownIncomplete> {
        self.runtime.shutdown(deadline).await.map(drop)
    }
}

impl std::fmt::Debug for WhatIf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WhatIf")
            .field("fork", &self.fork)
            .finish_non_exhaustive()
    }
}
