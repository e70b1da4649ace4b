use std::sync::{Arc, PoisonError, RwLock};

use foldhouse_store::Store;
use tokio::sync::{Mutex, Notify, watch};

use super::change::TimedCommand;
use super::index::Index;
use super::registry::{TimedCommands, TimedKind};

/// What a runtime's parts share of its timers.
pub(crate) struct Timers {
    pub(super) index: Mutex<Index>,
    /// Told when timer changes are durable, or somebody wants the scheduler to look.
    pub(super) wake: Notify,
    /// How far the scheduler is, for those who wait for it.
    pub(super) rounds: watch::Sender<Rounds>,
    /// The commands of those who register them while the runtime runs.
    registered: RwLock<TimedCommands>,
}

/// The scheduler's rounds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rounds {
    /// How many looks it has begun.
    pub(super) begun: u64,
    /// The last look that found nothing due, with nothing on its way.
    pub(super) idle: u64,
    pub(super) has_ended: bool,
}

impl Timers {
    pub(crate) fn new(store: &Arc<dyn Store>) -> Self {
        Self {
            index: Mutex::new(Index::new(Arc::clone(store))),
            wake: Notify::new(),
            rounds: watch::Sender::default(),
            registered: RwLock::default(),
        }
    }

    /// Lets timers send this command from now on.
    pub(crate) fn register<C: TimedCommand>(&self) {
        let registered = self.registered.write();
        registered
            .unwrap_or_else(PoisonError::into_inner)
            .add::<C>();
    }

    /// A kind of command that was registered while the runtime runs.
    pub(super) fn find(&self, aggregate_type: &str, name: &str) -> Option<Arc<dyn TimedKind>> {
        let registered = self.registered.read();
        let registered = registered.unwrap_or_else(PoisonError::into_inner);
        registered.find(aggregate_type, name).cloned()
    }

    /// Timer changes are durable.
    pub(crate) fn changed(&self) {
        self.wake.notify_one();
    }

    /// There is no scheduler, so nobody is to wait for it.
    pub(crate) fn never_fire(&self) {
        self.rounds.send_modify(|rounds| rounds.has_ended = true);
    }

    /// Lets the scheduler look now, and waits until nothing that is due is left to try.
    pub(crate) async fn settled(&self) {
        let begun = self.rounds.borrow().begun;
        self.wake.notify_one();
        let is_settled = |rounds: &Rounds| rounds.idle > begun || rounds.has_ended;
        // The sender is in `self`, so it cannot close.
        let _ = self.rounds.subscribe().wait_for(is_settled).await;
    }
}
