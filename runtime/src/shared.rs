use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use foldhouse_store::Store;
use ractor::ActorCell;
use tokio::sync::{Notify, Semaphore};

use crate::admission::Gate;
use crate::crew::Crew;
use crate::directory::Directory;
use crate::meters::Meters;
use crate::once::Claims;
use crate::options::Options;
use crate::projection::{AnyProjection, Pages};
use crate::residency::Residency;
use crate::restarts::Restarts;
use crate::subscription::Topics;
use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use crate::temporal::RememberedMarks;
use crate::timer::Timers;
use crate::watchdog::{StuckCommand, Watchdog};

/// What all parts of one runtime share.
pub(crate) struct Shared {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) options: Options,
    pub(crate) meters: Meters,
    /// Bounds the commands and queries in flight.
    pub(crate) admission: Gate,
    /// The ids of commands on their way that are to take effect once.
    pub(crate) claims: Claims,
    /// One permit for each snapshot that may be encoded and saved at a time.
    pub(crate) snapshots: Semaphore,
    pub(crate) directory: Arc<Directory>,
    /// Who has a place in memory.
    pub(crate) residency: Arc<Residency>,
    /// Who has an actor.
    pub(crate) crew: Arc<Crew>,
    /// Who has failed lately.
    pub(crate) restarts: Restarts,
    pub(crate) watchdog: Option<Watchdog>,
    pub(crate) topics: Topics,
    /// What projections read.
    pub(crate) pages: Pages,
    pub(crate) timers: Timers,
    /// What was read of the past lately.
    pub(crate) past: RememberedMarks,
    /// The supervisor of all aggregate actors.
    pub(crate) supervisor: ActorCell,
    /// The supervisor of all projection actors.
    pub(crate) projection_supervisor: ActorCell,
    pub(crate) tokio: tokio::runtime::Handle,
    closing: AtomicBool,
    /// How many slots have an aggregate in memory, or are about to.
    occupied_slots: AtomicUsize,
    all_slots_empty: Notify,
    begins_to_close: Notify,
    /// By name; without one while it is being loaded.
    projections: Mutex<BTreeMap<&'static str, Option<Arc<dyn AnyProjection>>>>,
    /// The names of the processes that run.
    processes: Mutex<BTreeSet<&'static str>>,
}

/// How many snapshots may be encoded and saved at a time, over all aggregates.
const SNAPSHOTS_AT_A_TIME_MAX: usize = 16;

impl Shared {
    pub(crate) fn new(
        store: Arc<dyn Store>,
        options: Options,
        supervisor: ActorCell,
        projection_supervisor: ActorCell,
    ) -> Self {
        let directory = Arc::<Directory>::default();
        let lifecycle = &options.lifecycle;
        let meters = options.meters(|| Meters::register(&[]));
        let watchdog = lifecycle.stuck_after.and_then(|stuck_after| {
            let stuck = meters.stuck_commands.clone();
            Watchdog::start(Arc::clone(&directory), stuck_after, stuck)
        });
        Self {
            timers: Timers::new(&store),
            past: RememberedMarks::default(),
            store,
            admission: Gate::new(options.commands_in_flight_max),
            claims: Claims::default(),
            snapshots: Semaphore::new(SNAPSHOTS_AT_A_TIME_MAX),
            residency: Arc::new(Residency::new(lifecycle.residency)),
            crew: Arc::new(Crew::new(
                lifecycle.idle_actors_max,
                meters.live_actors.clone(),
            )),
            restarts: Restarts::new(lifecycle.restarts, meters.parked_aggregates.clone()),
            watchdog,
            meters,
            options,
            directory,
            topics: Topics::default(),
            pages: Pages::default(),
            supervisor,
            projection_supervisor,
            tokio: tokio::runtime::Handle::current(),
            closing: AtomicBool::new(false),
            occupied_slots: AtomicUsize::new(0),
            all_slots_empty: Notify::new(),
            begins_to_close: Notify::new(),
            projections: Mutex::default(),
            processes: Mutex::default(),
        }
    }

    /// Whether the runtime takes no new commands.
    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::SeqCst)
    }

    /// Takes no new commands, and lets every actor end once it has handled what it was given.
    pub(crate) fn close(&self) {
        // The flag first: a slot that the sweep does not see was empty, and will look at the flag before it starts.
        self.closing.store(true, Ordering::SeqCst);
        self.begins_to_close.notify_waiters();
        self.directory.close_all();
        self.topics.close();
        if self.occupied_slots() == 0 {
            self.supervisor.stop(None);
        }
        self.stop_projection_supervisor_if_done();
    }

    pub(crate) fn projections(
        &self,
    ) -> MutexGuard<'_, BTreeMap<&'static str, Option<Arc<dyn AnyProjection>>>> {
        // Nothing panics while it holds the lock; a poisoned one is whole.
        self.projections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The names of the processes that run.
    pub(crate) fn processes(&self) -> MutexGuard<'_, BTreeSet<&'static str>> {
        // Nothing panics while it holds the lock; a poisoned one is whole.
        self.processes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The projections that run.
    pub(crate) fn running_projections(&self) -> Vec<(&'static str, Arc<dyn AnyProjection>)> {
        let projections = self.projections();
        projections
            .iter()
            .filter_map(|(name, projection)| Some((*name, Arc::clone(projection.as_ref()?))))
            .collect()
    }

    /// A projection's actor is gone.
    pub(crate) fn projection_ended(&self, name: &str) {
        let ended = self.projections().remove(name);
        drop(ended);
        self.stop_projection_supervisor_if_done();
    }

    pub(crate) fn stop_projection_supervisor_if_done(&self) {
        if self.is_closing() && self.projections().is_empty() {
            self.projection_supervisor.stop(None);
        }
    }

    pub(crate) fn stuck(&self) -> Vec<StuckCommand> {
        let watchdog = self.watchdog.as_ref();
        watchdog.map_or_else(Vec::new, Watchdog::stuck)
    }

    /// Waits so long by the machine's clock, even if nothing of the tokio runtime can run. For ever without a watchdog.
    pub(crate) async fn alarm(&self, after: Duration) {
        match &self.watchdog {
            Some(watchdog) => watchdog.alarm(after).await,
            None => std::future::pending().await,
        }
    }

    pub(crate) fn occupied_slots(&self) -> usize {
        self.occupied_slots.load(Ordering::SeqCst)
    }

    pub(crate) fn slot_occupied(&self) {
        self.occupied_slots.fetch_add(1, Ordering::SeqCst);
        self.meters.live_aggregates.increment(1);
    }

    pub(crate) fn slot_emptied(&self) {
        self.meters.live_aggregates.decrement(1);
        if self.occupied_slots.fetch_sub(1, Ordering::SeqCst) == 1 && self.is_closing() {
            self.all_slots_empty.notify_waiters();
            self.supervisor.stop(None);
        }
    }

    /// Waits until the runtime takes no new commands.
    pub(crate) async fn until_closing(&self) {
        let closes = self.begins_to_close.notified();
        tokio::pin!(closes);
        closes.as_mut().enable();
        if !self.is_closing() {
            closes.await;
        }
    }

    /// Waits until no aggregate is in memory.
    pub(crate) async fn until_all_slots_empty(&self) {
        loop {
            let emptied = self.all_slots_empty.notified();
            tokio::pin!(emptied);
            emptied.as_mut().enable();
            if self.occupied_slots() == 0 {
                return;
            }
            emptied.await;
        }
    }
}
