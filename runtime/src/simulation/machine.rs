use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foldhouse_store::simulation::{Random, SimulatedClock, SimulatedDisk};
use uuid::Uuid;

use super::folds::Folds;
use super::history::History;
use super::trace::Trace;

/// What outlives the processes of one run: the disk, the clock, and what is known of the run so far.
pub(super) struct Machine {
    pub(super) disk: SimulatedDisk,
    pub(super) clock: Arc<SimulatedClock>,
    pub(super) trace: Arc<Trace>,
    pub(super) history: Arc<History>,
    pub(super) folds: Folds,
    /// What the processes make their choices from.
    random: Mutex<Random>,
    /// The ids of the events that were found last, by position.
    known: Mutex<Vec<Uuid>>,
    /// The projections that were started.
    projections: Mutex<BTreeSet<&'static str>>,
    pub(super) counts: Counts,
}

/// What happened in a run.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) processes: AtomicU64,
    pub(super) power_cuts: AtomicU64,
    pub(super) torn_tails: AtomicU64,
    pub(super) failed_writes: AtomicU64,
    pub(super) segments: AtomicU64,
}

impl Counts {
    pub(super) fn one(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

impl Machine {
    pub(super) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed ^ MACHINE);
        let clock = Arc::new(SimulatedClock::new(random.branch()));
        let trace = Arc::new(Trace::new(Arc::clone(&clock)));
        let telling = Arc::clone(&trace);
        let narrator = Arc::new(move |line: std::fmt::Arguments<'_>| {
            telling.note(line);
        });
        Self {
            disk: SimulatedDisk::new(random.branch(), narrator),
            clock,
            history: Arc::new(History::new(Arc::clone(&trace))),
            trace,
            folds: Folds::default(),
            random: Mutex::new(random),
            known: Mutex::default(),
            projections: Mutex::default(),
            counts: Counts::default(),
        }
    }

    /// Choices of their own for a part of the next process.
    pub(super) fn branch(&self) -> Random {
        lock(&self.random).branch()
    }

    pub(super) fn known(&self) -> MutexGuard<'_, Vec<Uuid>> {
        lock(&self.known)
    }

    pub(super) fn projections(&self) -> MutexGuard<'_, BTreeSet<&'static str>> {
        lock(&self.projections)
    }
}

/// Keeps what a machine does apart from what is planned, which is drawn from the same seed.
const MACHINE: u64 = 0x6d61_6368_696e_6500;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing here is ever left half changed.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
