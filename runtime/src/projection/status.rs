//! What a projection does, as it is seen from outside.

use std::time::Duration;

use foldhouse_store::Position;

use super::progress::ParkedEvent;
use super::rebuild::RebuildProgress;

/// What a projection does, how far it has come, and what it has still to do.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ProjectionStatus {
    /// What it does.
    pub state: ProjectionState,
    /// The last event that its rows show.
    pub position: Position,
    /// The last event that is there.
    pub head: Position,
    /// How many events are there that its rows do not show, those included that its filter passes over.
    pub lag_events: u64,
    /// How old the oldest of them is, by the runtime's clock; zero if there is none. If that event has not been read yet,
    /// it is the time since there was something to read.
    pub lag: Duration,
    /// For how long it has got nowhere though there is something to do; `None` while there is nothing to do, however long.
    pub no_progress_for: Option<Duration>,
    /// How many events are set aside.
    pub dead_letters: usize,
    /// How far the model is that is being made beside this one, if one is.
    pub rebuild: Option<RebuildProgress>,
}

/// What a projection does.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProjectionState {
    /// It reads what was there before.
    CatchingUp,
    /// It follows the journal. With nothing to do it is idle, and well.
    Live,
    /// There is something to do, and it has got nowhere for longer than
    /// [`Projection::STALLED_AFTER`](crate::Projection::STALLED_AFTER). Its `apply` does not return, or the store does not
    /// answer. Nothing can end a thread's work from outside: look for what it waits for.
    Stalled,
    /// Something failed, and it tries again.
    Retrying {
        /// What failed.
        failed: ParkedEvent,
        /// How often it was tried.
        attempts: u32,
    },
    /// It has given up before an event, or could not keep its rows. Its rows stay readable;
    /// [`ProjectionRef::resume`](crate::ProjectionRef::resume) lets it try again.
    Parked(ParkedEvent),
    /// It was told to pause. Its rows stay readable; [`ProjectionRef::resume`](crate::ProjectionRef::resume) lets it go on.
    Paused,
    /// It has ended, with the runtime.
    Stopped,
}

impl ProjectionState {
    /// Whether somebody has to look after it.
    #[must_use]
    pub fn needs_attention(&self) -> bool {
        matches!(self, Self::Stalled | Self::Parked(_))
    }
}
