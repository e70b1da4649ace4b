//! A store over another one: what that had at a position, and behind it a tail in memory.
//!
//! - `base`: the other store as it was at the position, for reading only
//! - `known`: what the tail must know of the base before it can take an append
//! - `queue`: appends that wait until that is known
//! - `event_store`, `sidecar_stores`: the three traits

mod base;
mod event_store;
mod known;
mod queue;
mod sidecar_stores;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use self::base::Base;
use self::queue::Tail;
use self::sidecar_stores::Kept;
use crate::append::AppendLimits;
use crate::clock::{Clock, SystemClock};
use crate::error::ReadError;
use crate::memory::read_models::ReadModels;
use crate::position::Position;
use crate::read_model::Store;
use crate::stream_id::StreamId;

/// The most that the tail of a fork may take in memory, in bytes, if nothing else is said.
pub const OVERLAY_BYTES_MAX: usize = 256 * 1024 * 1024;

/// A fork of another store: all that it had at some position, and behind that whatever is appended here. Nothing is copied,
/// and nothing is ever written to the other store, which may go on meanwhile: the fork does not see that.
///
/// Positions and versions go on from where the fork began. Snapshots of the other store are used up to there; read models
/// are the fork's own and begin empty; command ids are looked up in both. What is appended is in memory, up to a limit
/// ([`OVERLAY_BYTES_MAX`]), and gone with the fork: what the traits call durable is here what has been taken.
///
/// It is made for trying things out with the real code: see `Runtime::what_if` of the crate `foldhouse`.
///
/// ```
/// use std::sync::Arc;
///
/// use foldhouse_store::{
///     Append, Clock, EventStore, EventStoreExt, ExpectedVersion, MemoryStore, NewEvent, OverlayStore, Payload, Position,
///     StreamId, SystemClock, Version,
/// };
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let live = Arc::new(MemoryStore::new());
/// let cash = StreamId::new("acme", "gl-account", "1000")?;
/// let noted = || NewEvent::new(SystemClock.new_id(), "Noted", Payload::raw("25.00 EUR"));
/// for _ in 0..3 {
///     live.append(Append::to(cash.clone(), ExpectedVersion::Any, [noted()])).await?;
/// }
///
/// let fork = OverlayStore::fork(live.clone(), Position::new(2)).await?;
/// let appended = fork.append(Append::to(cash.clone(), ExpectedVersion::Exact(Version::new(2)), [noted()])).await?;
/// assert_eq!(appended.position, Position::new(3));
/// assert_eq!(live.head(), Position::new(3)); // its own third event
/// # Ok(())
/// # }
/// ```
pub struct OverlayStore {
    inner: Arc<Inner>,
}

struct Inner {
    base: Base,
    clock: Arc<dyn Clock>,
    limits: AppendLimits,
    bytes_max: usize,
    tail: Mutex<Tail>,
    head: watch::Sender<Position>,
    /// How many bytes wait in the queue.
    queued: watch::Sender<usize>,
    snapshots: Mutex<Kept>,
    read_models: Mutex<ReadModels>,
    tokio: tokio::runtime::Handle,
}

/// Why a store was not forked.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ForkError {
    /// The store does not have the position yet. Fork at its head, or later.
    #[error("position {at} is not there yet, the store is at {head}: fork at its head or before")]
    NotYet {
        /// Where it was to be forked.
        at: Position,
        /// Where the store is.
        head: Position,
    },
    /// The store gave nothing; its error says whether a retry may work.
    #[error("the store could not be forked: {0}")]
    Read(#[from] ReadError),
}

impl OverlayStore {
    /// Forks a store at a position, on the machine's clock. Within a tokio runtime, where it looks up what it has to know.
    ///
    /// The position may lie within the events of one append, of which the fork then has a part.
    ///
    /// # Errors
    /// [`ForkError`].
    pub async fn fork(base: Arc<dyn Store>, at: Position) -> Result<Self, ForkError> {
        Self::fork_with(base, at, Arc::new(SystemClock), OVERLAY_BYTES_MAX).await
    }

    /// The same on a clock of its own, and with a limit of its own on what the tail may take in memory, in bytes. Appends
    /// beyond the limit are refused, with nothing recorded; snapshots beyond it are not kept.
    ///
    /// # Errors
    /// [`ForkError`].
    pub async fn fork_with(
        base: Arc<dyn Store>,
        at: Position,
        clock: Arc<dyn Clock>,
        bytes_max: usize,
    ) -> Result<Self, ForkError> {
        let head = base.head();
        if at > head {
            return Err(ForkError::NotYet { at, head });
        }
        let base = Base::new(base, at);
        let last_recorded_at = base.last_recorded_at().await?;
        Ok(Self {
            inner: Arc::new(Inner {
                base,
                clock,
                limits: AppendLimits::default(),
                bytes_max,
                tail: Mutex::new(Tail::behind(at, last_recorded_at)),
                head: watch::Sender::new(at),
                queued: watch::Sender::new(0),
                snapshots: Mutex::default(),
                read_models: Mutex::default(),
                tokio: tokio::runtime::Handle::current(),
            }),
        })
    }

    /// Where it was forked.
    #[must_use]
    pub fn forked_at(&self) -> Position {
        self.inner.base.at()
    }

    /// The streams that have events of the fork's own, in the order of their ids, behind `after`, up to `limit`.
    #[must_use]
    pub fn changed_streams(&self, after: Option<&StreamId>, limit: usize) -> Vec<StreamId> {
        lock(&self.inner.tail).log.touched(after, limit)
    }

    /// The same of one aggregate type of a tenant.
    #[must_use]
    pub fn changed_streams_of(
        &self,
        tenant: &str,
        aggregate_type: &str,
        after: Option<&StreamId>,
        limit: usize,
    ) -> Vec<StreamId> {
        let prefix = format!("{tenant}/{aggregate_type}/");
        lock(&self.inner.tail).log.streams(&prefix, after, limit)
    }

    /// What the fork's own events take in memory, in bytes, about.
    #[must_use]
    pub fn bytes(&self) -> usize {
        lock(&self.inner.tail).bytes
    }
}

impl fmt::Debug for OverlayStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OverlayStore")
            .field("forked_at", &self.forked_at())
            .field("head", &*self.inner.head.borrow())
            .finish_non_exhaustive()
    }
}

/// Locks, also behind a panic of another holder: nothing here is ever left half changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
