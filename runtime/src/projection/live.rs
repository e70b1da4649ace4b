use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use foldhouse_store::{BoxFuture, Position};
use tokio::sync::watch;

use super::progress::{Progress, State};
use super::{Projection, Table, TableOf};

/// A projection in memory: what its actor writes and its references read.
pub(crate) struct Live<P: Projection> {
    pub(super) projection: P,
    table: RwLock<TableOf<P>>,
    pub(super) progress: watch::Sender<Progress>,
    pub(super) orders: watch::Sender<Orders>,
}

/// What the actor is told to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Orders {
    pub(super) until: Until,
    /// Raised by one to let a parked projection try again.
    pub(super) resumes: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Until {
    /// Follow the journal.
    Forever,
    /// Go on up to this position, keep the rows, and end.
    Position(Position),
    /// Keep the rows, and end.
    Now,
}

impl<P: Projection> Live<P> {
    pub(super) fn new(projection: P, table: TableOf<P>, position: Position) -> Self {
        Self {
            projection,
            table: RwLock::new(table),
            progress: watch::Sender::new(Progress {
                position,
                state: State::CatchingUp,
                ended: false,
            }),
            orders: watch::Sender::new(Orders {
                until: Until::Forever,
                resumes: 0,
            }),
        }
    }

    pub(super) fn read(&self) -> RwLockReadGuard<'_, Table<P::Key, P::Row>> {
        // The actor catches the panics of `apply` under the lock, and takes back what it had changed.
        self.table.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn write(&self) -> RwLockWriteGuard<'_, Table<P::Key, P::Row>> {
        self.table.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn position(&self) -> Position {
        self.progress.borrow().position
    }

    /// Changes the progress; who waits for it is woken.
    pub(super) fn set(&self, change: impl FnOnce(&mut Progress)) {
        self.progress.send_modify(change);
    }
}

/// A projection of whatever kind, for the runtime's end.
pub(crate) trait AnyProjection: Send + Sync {
    /// Lets it keep what it has, and end.
    fn stop(&self);

    /// Lets it go on up to `head`, and end there, or where it is parked.
    fn finish(&self, head: Position);

    /// How far it has come, what parks it, and whether it has ended.
    fn progress(&self) -> Progress;

    /// Waits until it has ended.
    fn until_ended(&self) -> BoxFuture<'_, ()>;
}

impl<P: Projection> AnyProjection for Live<P> {
    fn stop(&self) {
        self.orders.send_modify(|orders| orders.until = Until::Now);
    }

    fn finish(&self, head: Position) {
        self.orders.send_modify(|orders| {
            if orders.until != Until::Now {
                orders.until = Until::Position(head);
            }
        });
    }

    fn progress(&self) -> Progress {
        self.progress.borrow().clone()
    }

    fn until_ended(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            // The sender is in `self`, so it cannot close.
            let _ = self
                .progress
                .subscribe()
                .wait_for(|progress| progress.ended)
                .await;
        })
    }
}
