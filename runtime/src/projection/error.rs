use std::fmt;
use std::time::Duration;

use foldhouse_store::{Position, ReadError};

use super::partitioned::PARTITIONS_MAX;
use super::progress::ParkedEvent;
use crate::event_codec::EventCodecError;

/// Why a projection cannot apply an event, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectionError(String);

impl ProjectionError {
    /// An error with these words.
    #[must_use]
    pub fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

impl ProjectionError {
    /// The same as `error`, with what caused it: for `map_err`.
    #[must_use]
    pub fn from_error(error: impl std::error::Error) -> Self {
        let mut what = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            what = format!("{what}: {cause}");
            source = cause.source();
        }
        Self(what)
    }
}

impl fmt::Display for ProjectionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ProjectionError {}

impl From<EventCodecError> for ProjectionError {
    fn from(error: EventCodecError) -> Self {
        Self(error.to_string())
    }
}

impl From<ReadError> for ProjectionError {
    fn from(error: ReadError) -> Self {
        Self(error.to_string())
    }
}

/// Why a projection did not start.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProjectError {
    /// One of this name runs already in this runtime. Use its [`ProjectionRef`](crate::ProjectionRef).
    #[error("the projection {name} runs already in this runtime; use the reference that it gave")]
    AlreadyRunning {
        /// The projection.
        name: &'static str,
    },
    /// Its name is empty or too long.
    #[error("{name:?} cannot name a projection: it takes 1 to {limit_bytes} bytes")]
    Name {
        /// The name.
        name: &'static str,
        /// The longest allowed.
        limit_bytes: usize,
    },
    /// Its rows or its checkpoint could not be read.
    #[error("the rows of projection {name} could not be read: {error}")]
    Read {
        /// The projection.
        name: &'static str,
        /// Why.
        error: ReadError,
    },
    /// There cannot be so many parts.
    #[error("projection {name} cannot have {partitions} parts; it takes 1 to {PARTITIONS_MAX}")]
    Partitions {
        /// The projection.
        name: &'static str,
        /// How many were asked for.
        partitions: u32,
    },
    /// The checkpoint of an external model could not be read.
    #[error("the checkpoint of projection {name} could not be read: {error}")]
    Checkpoint {
        /// The projection.
        name: &'static str,
        /// Why, in the model's words.
        error: String,
    },
    /// The checkpoint of an external model is ahead of the journal: an older copy of the journal was put back, or the
    /// database belongs to another one. Put back the right one, or remove the model's rows and its checkpoint.
    #[error(
        "projection {name} has a checkpoint at {checkpoint}, and the journal ends at {head}: put back the right \
         journal, or remove the model's rows and its checkpoint"
    )]
    AheadOfJournal {
        /// The projection.
        name: &'static str,
        /// Its checkpoint.
        checkpoint: Position,
        /// The last event that is there.
        head: Position,
    },
    /// The runtime shuts down.
    #[error("the projection {name} was not started: the runtime is shutting down")]
    ShuttingDown {
        /// The projection.
        name: &'static str,
    },
}

/// Why a projection has not reached a position.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WaitError {
    /// It is slower than the caller would wait. It goes on; wait again, or read what is there.
    #[error(
        "projection {projection} is at position {reached}, not at {wanted}, after {timeout:?}; wait again"
    )]
    TimedOut {
        /// The projection.
        projection: &'static str,
        /// The position asked for.
        wanted: Position,
        /// The position reached.
        reached: Position,
        /// How long the caller waited.
        timeout: Duration,
    },
    /// It is parked before the position asked for. Mend what the error names, then resume it.
    #[error("projection {projection} is parked and does not reach position {wanted}: {parked}")]
    Parked {
        /// The projection.
        projection: &'static str,
        /// The position asked for.
        wanted: Position,
        /// Where it is parked, and why.
        parked: ParkedEvent,
    },
    /// It has stopped, with the runtime.
    #[error("projection {projection} has stopped at position {reached}, before {wanted}")]
    Stopped {
        /// The projection.
        projection: &'static str,
        /// The position asked for.
        wanted: Position,
        /// The position reached.
        reached: Position,
    },
}

/// Why a projection did not do what it was told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// It has stopped, with the runtime. Nothing was done.
    #[error("projection {projection} has stopped, with its runtime")]
    Stopped {
        /// The projection.
        projection: &'static str,
    },
    /// The store did not do its part. Look at it, and try again.
    #[error("projection {projection}: {error}; try again")]
    Failed {
        /// The projection.
        projection: &'static str,
        /// What failed, in words.
        error: String,
    },
    /// No event of this position is set aside.
    #[error("projection {projection} has not set aside event {position}")]
    NoDeadLetter {
        /// The projection.
        projection: &'static str,
        /// The position asked for.
        position: Position,
    },
    /// An event that was set aside still cannot be applied, and stays where it is. Mend what the error names.
    #[error("projection {projection} still fails: {parked}")]
    StillFailing {
        /// The projection.
        projection: &'static str,
        /// The event, and why.
        parked: ParkedEvent,
    },
}

/// Why a model was not made anew. The old one is untouched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RebuildError {
    /// One is being made already: see [`ProjectionStatus::rebuild`](crate::ProjectionStatus::rebuild).
    #[error("projection {projection} is being rebuilt already")]
    AlreadyRunning {
        /// The projection.
        projection: &'static str,
    },
    /// An event cannot be applied, or the store did not do its part. Mend what the error names, and try again.
    #[error("projection {projection} was not rebuilt, and its old model stays: {error}")]
    Failed {
        /// The projection.
        projection: &'static str,
        /// What failed, in words.
        error: String,
    },
    /// It was cancelled, or the projection has stopped.
    #[error(
        "projection {projection} was not rebuilt, and its old model stays: it was told to stop"
    )]
    Stopped {
        /// The projection.
        projection: &'static str,
    },
}
