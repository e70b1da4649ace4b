use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use foldhouse_store::{Position, StreamId};
use tokio::sync::{Notify, watch};

/// What a process does.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProcessStatus {
    /// The last event that it has read; what concerned an instance was told to it, or the instance is parked.
    pub position: Position,
    /// The last event that is there. Without anything to do for it, the process is at it.
    pub head: Position,
    /// How many instances have commands that are not settled yet.
    pub open: usize,
    /// How many of these have one that failed and is sent again; see [`ProcessRef::stuck`](super::ProcessRef::stuck).
    pub stuck: usize,
    /// How many instances are parked before an event; see [`ProcessRef::parked`](super::ProcessRef::parked).
    pub parked: usize,
    /// What keeps it from reading on: the store, or a panic in [`ProcessManager::key`](super::ProcessManager::key). It
    /// tries again.
    pub failing: Option<Arc<str>>,
    /// Whether it has ended, with the runtime.
    pub has_ended: bool,
}

/// An instance that could not deal with an event. What comes after that waits, too; nothing of other instances does.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ParkedInstance {
    /// The instance's stream.
    pub instance: StreamId,
    /// The event that it is parked before.
    pub position: Position,
    /// The event's type.
    pub event_type: Arc<str>,
    /// Why.
    pub error: Arc<str>,
}

/// An instance whose next command fails, or that cannot deal with its outcome. It is sent again, at last once a minute.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StuckInstance {
    /// The instance's stream.
    pub instance: StreamId,
    /// The step and the command that it waits for, and whom that was sent to; `None` if the instance itself cannot be
    /// read.
    pub waits_for: Option<(Arc<str>, Arc<str>, StreamId)>,
    /// What failed last.
    pub error: Arc<str>,
    /// How often in a row.
    pub failures: u32,
    /// How long it waits before it tries again.
    pub again_in: Duration,
}

/// A process in memory: what its task writes and its references read.
pub(super) struct Live {
    pub(super) progress: watch::Sender<Progress>,
    seen: Mutex<Seen>,
    /// Somebody wants parked instances tried again.
    pub(super) retry: Notify,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Progress {
    pub(super) position: Position,
    pub(super) open: usize,
    pub(super) failing: Option<Arc<str>>,
    /// How often parked instances were tried again.
    pub(super) retries: u64,
    pub(super) has_ended: bool,
}

#[derive(Default)]
pub(super) struct Seen {
    pub(super) parked: Vec<ParkedInstance>,
    pub(super) stuck: BTreeMap<StreamId, StuckInstance>,
}

impl Live {
    pub(super) fn new(position: Position) -> Self {
        Self {
            progress: watch::Sender::new(Progress {
                position,
                ..Progress::default()
            }),
            seen: Mutex::default(),
            retry: Notify::new(),
        }
    }

    pub(super) fn seen(&self) -> MutexGuard<'_, Seen> {
        // Nothing panics while it holds the lock; a poisoned one is whole.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn status(&self, head: Position) -> ProcessStatus {
        let progress = self.progress.borrow().clone();
        let seen = self.seen();
        ProcessStatus {
            position: progress.position,
            head,
            open: progress.open,
            stuck: seen.stuck.len(),
            parked: seen.parked.len(),
            failing: progress.failing,
            has_ended: progress.has_ended,
        }
    }
}
