use foldhouse_store::Version;
use tokio::sync::oneshot;

use crate::aggregate::Aggregate;

/// How a participant's actor may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Release {
    /// The events are queued behind everything before them: they count.
    Committed,
    /// Nothing happened.
    Aborted,
    /// The store refused what the decision rested on: the state in memory is void.
    Void,
}

/// What an actor that has agreed keeps until the transaction is decided. Its mailbox waits meanwhile.
pub(crate) struct Hold<A: Aggregate> {
    /// What the transaction leads to; none if it has no events here.
    pub(super) after: Option<Ahead<A>>,
    pub(super) released: oneshot::Receiver<Release>,
}

/// A state with the transaction's events applied.
pub(crate) struct Ahead<A> {
    pub(crate) state: A,
    pub(crate) version: Version,
    /// Whether a snapshot of it is kept once it is durable.
    pub(crate) has_snapshot: bool,
}

impl<A: Aggregate> Hold<A> {
    /// Waits for the outcome; gives back the state to go on with, if it is another one now.
    pub(crate) async fn until_released(self) -> Result<Option<Ahead<A>>, Voided> {
        match self.released.await {
            Ok(Release::Committed) => Ok(self.after),
            Ok(Release::Aborted) => Ok(None),
            // A transaction that was lost may have been queued: only the stream knows.
            Ok(Release::Void) | Err(_) => Err(Voided),
        }
    }
}

/// The state in memory cannot be gone on with.
pub(crate) struct Voided;
