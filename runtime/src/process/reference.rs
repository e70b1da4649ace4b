use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use foldhouse_store::{Position, ReadError, StreamId};
use tokio::time::timeout;
use uuid::Uuid;

use super::ProcessManager;
use super::instance::Instance;
use super::live::{Live, ParkedInstance, ProcessStatus, StuckInstance};
use super::reactions::Outgoing;
use crate::aggregate_ref::AggregateRef;
use crate::directory::Directory;
use crate::query_error::QueryError;
use crate::runtime::AddressError;
use crate::shared::Shared;
use crate::timer::PendingTimer;

/// A handle on a running process; see [`Runtime::run_process`](crate::Runtime::run_process). A clone is cheap.
pub struct ProcessRef<P: ProcessManager> {
    shared: Arc<Shared>,
    live: Arc<Live>,
    process: PhantomData<fn() -> P>,
}

impl<P: ProcessManager> ProcessRef<P> {
    pub(super) fn new(shared: Arc<Shared>, live: Arc<Live>) -> Self {
        Self {
            shared,
            live,
            process: PhantomData,
        }
    }

    /// How far it is, and what holds it up.
    #[must_use]
    pub fn status(&self) -> ProcessStatus {
        self.live.status(self.shared.store.head())
    }

    /// The instances that are parked before an event, in the order of their streams. They are tried again when the process
    /// starts, and by [`ProcessRef::retry_parked`].
    #[must_use]
    pub fn parked(&self) -> Vec<ParkedInstance> {
        self.live.seen().parked.clone()
    }

    /// The instances whose next command fails, in the order of their streams. They are tried again by themselves.
    #[must_use]
    pub fn stuck(&self) -> Vec<StuckInstance> {
        self.live.seen().stuck.values().cloned().collect()
    }

    /// Tells parked instances again what they could not deal with, and then what they have missed. Waits until that is
    /// done; [`ProcessRef::parked`] tells who is still parked.
    pub async fn retry_parked(&self) {
        let mut progress = self.live.progress.subscribe();
        let before = progress.borrow().retries;
        self.live.retry.notify_one();
        // The sender is in `live`, so it cannot close.
        let _ = progress
            .wait_for(|progress| progress.retries > before || progress.has_ended)
            .await;
    }

    /// Waits until it has read up to a position, that of a command's [`Committed`](crate::Committed) say, but not longer
    /// than `within`; true if it has. Commands that it sends may still be on their way.
    pub async fn wait_for(&self, position: Position, within: Duration) -> bool {
        let mut progress = self.live.progress.subscribe();
        let reached = progress.wait_for(|progress| progress.position >= position);
        matches!(timeout(within, reached).await, Ok(Ok(_)))
    }

    /// A handle on one instance. It need not exist: one that was told of nothing is in its default state.
    ///
    /// # Errors
    /// [`AddressError`]: tenant or key cannot name a stream.
    pub fn instance(&self, tenant: &str, key: &str) -> Result<InstanceRef<P>, AddressError> {
        let stream = StreamId::new(tenant, P::NAME, key)?;
        match Directory::slot(&self.shared, stream.clone()) {
            Ok(slot) => Ok(InstanceRef(AggregateRef::new(slot))),
            Err(_) => Err(AddressError::OtherType {
                stream,
                rust_type: std::any::type_name::<P>(),
            }),
        }
    }
}

/// A handle on one instance of a process; see [`ProcessRef::instance`].
pub struct InstanceRef<P: ProcessManager>(AggregateRef<Instance<P>>);

/// A command of an instance that is not settled yet.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnsettledCommand {
    /// What the instance calls it.
    pub step: Arc<str>,
    /// The command's name.
    pub command: Arc<str>,
    /// Whom it is for.
    pub stream: StreamId,
    /// The id that it is sent under.
    pub command_id: Uuid,
}

impl<P: ProcessManager> InstanceRef<P> {
    /// The instance's stream.
    #[must_use]
    pub fn stream(&self) -> &StreamId {
        self.0.stream()
    }

    /// Asks about the state, in turn with what the instance is told; as [`AggregateRef::query`].
    ///
    /// # Errors
    /// See [`QueryError`].
    pub async fn query<R, F>(&self, query: F) -> Result<R, QueryError>
    where
        F: FnOnce(&P::State) -> R + Send + 'static,
        R: Send + 'static,
    {
        self.0.query(move |instance| query(&instance.state)).await
    }

    /// The commands that it has issued and that are not settled yet, in the order in which they are sent.
    ///
    /// # Errors
    /// See [`QueryError`].
    pub async fn unsettled(&self) -> Result<Vec<UnsettledCommand>, QueryError> {
        let unsettled = |outgoing: &Outgoing| UnsettledCommand {
            step: Arc::clone(&outgoing.step),
            command: Arc::clone(&outgoing.command),
            stream: outgoing.stream.clone(),
            command_id: outgoing.id,
        };
        let query = move |instance: &Instance<P>| instance.outbox.iter().map(unsettled).collect();
        self.0.query(query).await
    }

    /// Its timeouts that are pending; as [`AggregateRef::timers`].
    ///
    /// # Errors
    /// [`ReadError`]: the store cannot be read.
    pub async fn timeouts(&self) -> Result<Vec<PendingTimer>, ReadError> {
        self.0.timers().await
    }
}

impl<P: ProcessManager> Clone for ProcessRef<P> {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.shared), Arc::clone(&self.live))
    }
}

impl<P: ProcessManager> std::fmt::Debug for ProcessRef<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ProcessRef").field(&P::NAME).finish()
    }
}

impl<P: ProcessManager> Clone for InstanceRef<P> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<P: ProcessManager> std::fmt::Debug for InstanceRef<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("InstanceRef").field(self.stream()).finish()
    }
}
