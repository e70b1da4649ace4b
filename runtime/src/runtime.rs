mod events;
mod followers;
mod transactions;

use std::sync::Arc;
use std::time::Duration;

use foldhouse_store::{InvalidStreamId, ReadError, Store, StreamId};
use ractor::Actor;

use crate::aggregate::Aggregate;
use crate::aggregate_ref::AggregateRef;
use crate::directory::{Directory, OtherType};
use crate::options::{Options, RuntimeBuilder};
use crate::parked::ParkedAggregate;
use crate::residency::passivate_idle;
use crate::shared::Shared;
use crate::shutdown::{self, ShutdownIncomplete, ShutdownReport};
use crate::snapshots::{self, SnapshotError, SnapshotSpace};
use crate::supervisor::Supervisor;
use crate::timer::{self, TimerCursor, TimerPage};
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

    #[cfg(test)]
    pub(crate) fn actor_count(&self) -> usize {
        self.owner.shared.crew.len()
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

    /// How many aggregates are in memory, or are about to be. Few of them have an actor at a time: an aggregate at
    /// rest needs none.
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
