use std::borrow::Borrow;
use std::sync::{Arc, RwLockReadGuard, Weak};
use std::time::Duration;

use foldhouse_store::{Clock, Position, Store};

use super::control::{Letters, Task};
use super::dead_letter::DeadLetter;
use super::error::{ControlError, RebuildError, WaitError};
use super::live::{Live, Rows};
use super::rebuild::rebuild;
use super::slot::Partition;
use super::status::ProjectionStatus;
use super::{Projection, TableOf};
use crate::shared::Shared;

/// A handle on a running projection: its rows, how far it has come, and what it can be told. A clone is cheap.
pub struct ProjectionRef<P: Projection> {
    live: Arc<Live<P>>,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    shared: Weak<Shared>,
    partition: Option<Partition>,
}

impl<P: Projection> ProjectionRef<P> {
    pub(super) fn new(
        live: Arc<Live<P>>,
        shared: &Arc<Shared>,
        partition: Option<Partition>,
    ) -> Self {
        Self {
            live,
            store: Arc::clone(&shared.store),
            clock: Arc::clone(&shared.options.clock),
            shared: Arc::downgrade(shared),
            partition,
        }
    }

    /// A copy of the row of a key.
    pub fn get<Q>(&self, key: &Q) -> Option<P::Row>
    where
        P::Key: Borrow<Q>,
        Q: Ord + ?Sized,
    {
        self.live.read().table.get(key).cloned()
    }

    /// Reads any number of rows at one moment: all of them behind the same event, none behind half of one.
    ///
    /// The projection waits meanwhile, so `read` should be quick. It waits, too, while events are being applied: for as
    /// long as an `apply` that hangs. [`ProjectionRef::try_read`] does not.
    pub fn read<R>(&self, read: impl FnOnce(&TableOf<P>) -> R) -> R {
        read(&self.live.read().table)
    }

    /// The same, or `None` if events are just being applied.
    pub fn try_read<R>(&self, read: impl FnOnce(&TableOf<P>) -> R) -> Option<R> {
        Some(read(&self.live.try_read()?.table))
    }

    /// The rows, locked against changes.
    pub(super) fn lock(&self) -> RwLockReadGuard<'_, Rows<P>> {
        self.live.read()
    }

    /// Whether the runtime is shutting it down.
    #[cfg(test)]
    pub(crate) fn is_told_to_end(&self) -> bool {
        self.live.control.is_ending()
    }

    /// Up to where the rows show the events.
    #[must_use]
    pub fn position(&self) -> Position {
        self.live.control.position()
    }

    /// What it does, how far it has come, and how far it lags. It does not ask the projection, which may hang.
    #[must_use]
    pub fn status(&self) -> ProjectionStatus {
        let clock = &*self.clock;
        self.live.control.status(self.store.head(), clock)
    }

    /// Waits until the rows show everything up to `position`: the one that
    /// [`Committed::position`](crate::Committed::position) names, to read one's own write.
    ///
    /// # Errors
    /// [`WaitError`]: it is slower than `timeout`, is parked, or has stopped.
    pub async fn wait_for(&self, position: Position, timeout: Duration) -> Result<(), WaitError> {
        self.live.control.wait_for(position, timeout).await
    }

    /// Lets it rest, once the page is done that it is at. What it has is kept, its rows stay readable, and its lag grows.
    /// It ends with the runtime: a projection that is started is not paused.
    pub fn pause(&self) {
        self.live.control.pause();
    }

    /// Lets a paused projection go on, and a parked one try again. Nothing happens if it is neither.
    pub fn resume(&self) {
        self.live.control.resume();
    }

    /// Forgets all rows and dead letters, and makes them anew from the first event. Readers see the rows come back one
    /// after the other; [`ProjectionRef::rebuild`] spares them that. A parked projection goes on, a paused one rests on.
    ///
    /// # Errors
    /// [`ControlError::Failed`] if the store did not forget them: then all is as it was, or will be forgotten at the next
    /// start. [`ControlError::Stopped`].
    pub async fn reset(&self) -> Result<(), ControlError> {
        self.live.control.ask(Task::Reset).await
    }

    /// Makes a new model from the first event, beside the live one, which goes on and is read all the while; then puts it
    /// in its place, with one atomic write in the store and at one moment for readers. It returns when that is done;
    /// [`ProjectionStatus::rebuild`] tells how far it is. Dropping the future does not stop it.
    ///
    /// A crash in between leaves the old model or the new one. While both are there they take memory for both. The events
    /// that are set aside are tried again, like all others. A parked projection goes on behind the event that parked it,
    /// if the new model could apply it: after a mistake in `apply` was mended, this is the way to right rows.
    ///
    /// # Errors
    /// See [`RebuildError`]. The old model stays.
    pub async fn rebuild(&self) -> Result<(), RebuildError> {
        let projection = P::NAME;
        let stopped = RebuildError::Stopped { projection };
        let Some(shared) = self.shared.upgrade() else {
            return Err(stopped);
        };
        let made = tokio::spawn(rebuild(shared, Arc::clone(&self.live), self.partition));
        made.await.unwrap_or(Err(stopped))
    }

    /// Gives up the model that is being made beside the live one. Nothing happens if there is none, or it has taken the
    /// old one's place already.
    pub fn cancel_rebuild(&self) {
        self.live.control.rebuilding.cancel();
    }

    /// The events that are set aside, in order.
    #[must_use]
    pub fn dead_letters(&self) -> Vec<DeadLetter> {
        self.live.read().letters.list()
    }

    /// Tries an event again that is set aside. If it can be applied now, on the rows as they are now, it is no dead letter
    /// any more; durably, when this returns.
    ///
    /// # Errors
    /// [`ControlError::StillFailing`], with the reason; see the others there.
    pub async fn retry_dead_letter(&self, position: Position) -> Result<(), ControlError> {
        let task = |answer| Task::Retry(Letters::At(position), answer);
        self.live.control.ask(task).await.map(drop)
    }

    /// Tries all events again that are set aside, in order, and gives how many could be applied.
    ///
    /// # Errors
    /// [`ControlError::StillFailing`] for the first that still fails; the others are tried all the same.
    pub async fn retry_dead_letters(&self) -> Result<usize, ControlError> {
        let task = |answer| Task::Retry(Letters::All, answer);
        self.live.control.ask(task).await
    }

    /// Forgets an event that is set aside: the rows will never show it, unless they are made anew.
    ///
    /// # Errors
    /// See [`ControlError`].
    pub async fn discard_dead_letter(&self, position: Position) -> Result<(), ControlError> {
        let task = |answer| Task::Discard(Letters::At(position), answer);
        self.live.control.ask(task).await.map(drop)
    }

    /// Forgets all events that are set aside, and gives how many.
    ///
    /// # Errors
    /// See [`ControlError`].
    pub async fn discard_dead_letters(&self) -> Result<usize, ControlError> {
        let task = |answer| Task::Discard(Letters::All, answer);
        self.live.control.ask(task).await
    }
}

impl<P: Projection> Clone for ProjectionRef<P> {
    fn clone(&self) -> Self {
        Self {
            live: Arc::clone(&self.live),
            store: Arc::clone(&self.store),
            clock: Arc::clone(&self.clock),
            shared: Weak::clone(&self.shared),
            partition: self.partition,
        }
    }
}

impl<P: Projection> std::fmt::Debug for ProjectionRef<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProjectionRef")
            .field("name", &P::NAME)
            .field("status", &self.status())
            .finish()
    }
}
