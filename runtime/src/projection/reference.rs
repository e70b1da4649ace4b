use std::borrow::Borrow;
use std::sync::Arc;
use std::time::Duration;

use foldhouse_store::{Position, Store};

use super::error::WaitError;
use super::live::{Live, Until};
use super::progress::{ProjectionStatus, State};
use super::{Projection, TableOf};

/// A handle on a running projection: its rows, and how far it has come. A clone is cheap.
pub struct ProjectionRef<P: Projection> {
    live: Arc<Live<P>>,
    store: Arc<dyn Store>,
}

impl<P: Projection> ProjectionRef<P> {
    pub(super) fn new(live: Arc<Live<P>>, store: Arc<dyn Store>) -> Self {
        Self { live, store }
    }

    /// A copy of the row of a key.
    pub fn get<Q>(&self, key: &Q) -> Option<P::Row>
    where
        P::Key: Borrow<Q>,
        Q: Ord + ?Sized,
    {
        self.live.read().get(key).cloned()
    }

    /// Reads any number of rows at one moment: all of them behind the same event, none behind half of one.
    ///
    /// The projection waits meanwhile, so `read` should be quick.
    pub fn read<R>(&self, read: impl FnOnce(&TableOf<P>) -> R) -> R {
        read(&self.live.read())
    }

    /// Whether the runtime is shutting it down.
    #[cfg(test)]
    pub(crate) fn is_told_to_end(&self) -> bool {
        self.live.orders.borrow().until != Until::Forever
    }

    /// Up to where the rows show the events.
    #[must_use]
    pub fn position(&self) -> Position {
        self.live.position()
    }

    /// What it does.
    #[must_use]
    pub fn status(&self) -> ProjectionStatus {
        let progress = self.live.progress.borrow().clone();
        progress.status(self.store.head())
    }

    /// Waits until the rows show everything up to `position`: the one that
    /// [`Committed::position`](crate::Committed::position) names, to read one's own write.
    ///
    /// # Errors
    /// [`WaitError`]: it is slower than `timeout`, is parked, or has stopped.
    pub async fn wait_for(&self, position: Position, timeout: Duration) -> Result<(), WaitError> {
        let mut progress = self.live.progress.subscribe();
        let reached = progress.wait_for(|progress| {
            progress.position >= position
                || progress.ended
                || matches!(progress.state, State::Parked(_))
        });
        let reached = match tokio::time::timeout(timeout, reached).await {
            // The sender is in `self.live`, so it cannot close; if it did, this is where it stands.
            Ok(Ok(progress)) => progress.clone(),
            _ => self.live.progress.borrow().clone(),
        };
        if reached.position >= position {
            return Ok(());
        }
        let projection = P::NAME;
        Err(match reached.state {
            State::Parked(parked) => WaitError::Parked {
                projection,
                wanted: position,
                parked,
            },
            _ if reached.ended => WaitError::Stopped {
                projection,
                wanted: position,
                reached: reached.position,
            },
            _ => WaitError::TimedOut {
                projection,
                wanted: position,
                reached: reached.position,
                timeout,
            },
        })
    }

    /// Lets a parked projection try again. Nothing happens if it is not parked.
    pub fn resume(&self) {
        let ends = self.live.orders.borrow().until != Until::Forever;
        // At once, or whoever waits from here on could still find it parked. One that ends stays parked, visibly.
        self.live.progress.send_if_modified(|progress| {
            let resumes = !ends && matches!(progress.state, State::Parked(_));
            if resumes {
                progress.state = State::CatchingUp;
            }
            resumes
        });
        self.live
            .orders
            .send_modify(|orders| orders.resumes = orders.resumes.wrapping_add(1));
    }
}

impl<P: Projection> Clone for ProjectionRef<P> {
    fn clone(&self) -> Self {
        Self {
            live: Arc::clone(&self.live),
            store: Arc::clone(&self.store),
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
