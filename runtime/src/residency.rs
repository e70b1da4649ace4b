//! Which aggregates stay in memory.
//!
//! # How
//! Whoever is in memory, or is about to be, has a seat in the `ring`. With every piece of work an aggregate notes
//! the time of this module's clock, which counts arrivals and not seconds: one relaxed load and one relaxed store, and
//! nothing that two aggregates share is written. Over a limit, the one that arrives looks at the next few seats of the
//! ring, and of these the one goes that was used least often, and least recently among equals. So a scan over a million
//! streams does not drive out what is asked for between its steps, and no list has to be kept in order.
//!
//! # What is not evicted
//! Who is at work, is being hydrated, or has work waiting. If all are, more reside than should until they come to rest:
//! no more than there are commands in flight, which is bounded. Who comes to rest meanwhile looks for one to go.

mod idle;
mod ring;

use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;

pub(crate) use self::idle::passivate_idle;
use self::ring::{Index, Ring};
use crate::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use crate::sync::{Mutex, MutexGuard};

#[derive(Clone, Copy, Debug)]
pub(crate) struct ResidencyLimits {
    pub(crate) aggregates_max: usize,
    pub(crate) bytes_max: Option<usize>,
    pub(crate) idle_max: Option<Duration>,
}

/// Who resides: a slot with an aggregate.
pub(crate) trait Resident: Send + Sync {
    /// What the clock said when it was used last.
    fn last_used(&self) -> u64;

    /// Lets it go and drops its seat, if it rests and nothing waits for it. What is asked of it from now on hydrates it
    /// again.
    fn retire(self: Arc<Self>);
}

pub(crate) struct Residency {
    limits: ResidencyLimits,
    /// Counts arrivals and sweeps.
    clock: AtomicU64,
    /// Whether more reside than should.
    over: AtomicBool,
    bytes: AtomicUsize,
    ring: Mutex<Ring>,
}

/// The right to reside. Whoever drops it has left.
pub(crate) struct Seat {
    residency: Arc<Residency>,
    index: Index,
    bytes: usize,
}

/// Who goes is chosen among so many. It is as much of a sorted list as is needed: of 16, the one used longest ago is
/// nearly always among the sixth that was used longest ago of all.
const LOOKED_AT: usize = 16;

/// How often an arrival looks at so many before it leaves it to those that come to rest.
const ROUNDS_MAX: usize = 4;

/// What a live aggregate takes besides its state, about: its slot, its cell, its place in the directory and here. Its
/// actor is not among it: of those, a few stay.
const BYTES_BESIDES_STATE: usize = 2 * 1024 + 512;

impl Residency {
    pub(crate) fn new(limits: ResidencyLimits) -> Self {
        Self {
            limits,
            clock: AtomicU64::new(1),
            over: AtomicBool::new(false),
            bytes: AtomicUsize::new(0),
            ring: Mutex::default(),
        }
    }

    /// What the clock says, to be noted with a use.
    pub(crate) fn now(&self) -> u64 {
        self.clock.load(Ordering::Relaxed)
    }

    /// Whether states are to be measured.
    pub(crate) fn measures(&self) -> bool {
        self.limits.bytes_max.is_some()
    }

    /// Whether somebody should go.
    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    pub(crate) fn len(&self) -> usize {
        self.ring().len()
    }

    /// One more is about to be in memory. Makes room for it, as far as that is possible.
    pub(crate) fn arrive(self: &Arc<Self>, who: Weak<dyn Resident>) -> Seat {
        self.clock.fetch_add(1, Ordering::Relaxed);
        let index = self.ring().insert(who);
        let mut seat = Seat {
            residency: Arc::clone(self),
            index,
            bytes: 0,
        };
        seat.resize(0);
        self.relieve();
        seat
    }

    /// Lets some go while more reside than should.
    pub(crate) fn relieve(&self) {
        for _ in 0..ROUNDS_MAX {
            let surplus = self.surplus();
            self.over.store(surplus > 0, Ordering::Relaxed);
            // Once more behind the store: who arrived in between may have set the flag, and found nobody to go.
            if surplus == 0 && self.surplus() == 0 {
                return;
            }
            let looked_at = self.ring().look(LOOKED_AT, self.now());
            for resident in looked_at {
                if self.surplus() > 0 {
                    resident.retire();
                }
            }
        }
        self.over.store(self.surplus() > 0, Ordering::Relaxed);
    }

    /// How many should go, at least.
    fn surplus(&self) -> usize {
        let residents = self.ring().len();
        let too_many = residents.saturating_sub(self.limits.aggregates_max);
        let bytes = self.bytes.load(Ordering::Relaxed);
        // The last one stays: with nobody beside it, it could not go on at all.
        let too_large = self.limits.bytes_max.is_some_and(|max| bytes > max) && residents > 1;
        too_many.max(usize::from(too_large))
    }

    /// What the clock said before this call. Whoever is used from now on notes a later time.
    pub(crate) fn tick(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::Relaxed)
    }

    /// Lets those of the last few seats before `end` go that were not used after the clock said `since`. Gives where to
    /// go on, 0 at the end.
    pub(crate) fn sweep(&self, end: usize, since: u64) -> usize {
        let (residents, next) = self.ring().before(end, SWEPT_AT_A_TIME);
        for resident in residents {
            if resident.last_used() <= since {
                resident.retire();
            }
        }
        next
    }

    pub(crate) fn idle_max(&self) -> Option<Duration> {
        self.limits.idle_max
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        // Nothing panics while it holds the lock; a poisoned one is whole.
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many seats are looked at in one step of a sweep: nobody waits long for the ring.
const SWEPT_AT_A_TIME: usize = 16;

impl Seat {
    /// Notes how much room its holder's state takes.
    pub(crate) fn resize(&mut self, state_bytes: usize) {
        if !self.residency.measures() {
            return;
        }
        let bytes = state_bytes.saturating_add(BYTES_BESIDES_STATE);
        let all = &self.residency.bytes;
        all.fetch_add(bytes, Ordering::Relaxed);
        all.fetch_sub(self.bytes, Ordering::Relaxed);
        self.bytes = bytes;
        if self.residency.surplus() > 0 {
            self.residency.over.store(true, Ordering::Relaxed);
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.residency
            .bytes
            .fetch_sub(self.bytes, Ordering::Relaxed);
        self.residency.ring().remove(&self.index);
    }
}

#[cfg(test)]
mod tests;
