//! Which actors stay while there is nothing to do for them.
//!
//! An aggregate at rest needs no actor: a command that finds it idle is decided where it is sent. One starts when
//! something waits in the mailbox, and starting it takes about as long as a few commands, so it stays on for the next
//! time. But ractor's actor takes 5 KB, several times what a small aggregate takes, so only so many stay: each that
//! starts beyond that looks at the two that were looked at longest ago, and sends away who has had no work since.
//! Whoever finds no work while there are too many leaves by itself.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError, Weak};

use metrics::Gauge;

use crate::sync::Mutex;
use crate::sync::atomic::{AtomicUsize, Ordering};

/// How many are looked at when one starts: more than one, or those that left by themselves would pile up.
const LOOKED_AT: usize = 2;

/// So many are kept in mind for each that may stay. Who is forgotten still leaves when there are too many.
const MEMBERS_FOR_EACH: usize = 16;

/// Who may have an actor.
pub(crate) trait Member: Send + Sync {
    /// False if it has none, or none that is needed: that one leaves then.
    fn is_kept(self: Arc<Self>) -> bool;
}

/// The actors of a runtime.
pub(crate) struct Crew {
    /// How many stay without work.
    idle_max: usize,
    actors: AtomicUsize,
    live_actors: Gauge,
    /// In the order in which they are looked at next. One may stand here more than once, and is gone earlier then.
    members: Mutex<VecDeque<Weak<dyn Member>>>,
}

impl Crew {
    pub(crate) fn new(idle_max: usize, live_actors: Gauge) -> Self {
        Self {
            idle_max,
            actors: AtomicUsize::new(0),
            live_actors,
            members: Mutex::default(),
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.actors.load(Ordering::Relaxed)
    }

    fn enlist(&self, who: Weak<dyn Member>) {
        let mut looked_at = [const { None }; LOOKED_AT];
        {
            let mut members = self.members();
            members.push_back(who);
            for place in &mut looked_at {
                if members.len() > self.idle_max {
                    *place = members.pop_front();
                }
            }
        }
        // Behind the lock: it takes theirs, and may drop the last reference to one.
        for member in looked_at.into_iter().flatten() {
            let kept = member.upgrade().is_some_and(Member::is_kept);
            if kept {
                let mut members = self.members();
                if members.len() < self.idle_max.saturating_mul(MEMBERS_FOR_EACH) {
                    members.push_back(member);
                }
            }
        }
    }

    fn members(&self) -> crate::sync::MutexGuard<'_, VecDeque<Weak<dyn Member>>> {
        // Nothing panics while it holds the lock; a poisoned one is whole.
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An actor's entry in the crew, which is out when this is dropped.
pub(crate) struct Post {
    crew: Arc<Crew>,
    is_counted: bool,
}

impl Post {
    pub(crate) fn taken(crew: &Arc<Crew>, who: Weak<dyn Member>) -> Self {
        crew.actors.fetch_add(1, Ordering::Relaxed);
        crew.live_actors.increment(1);
        crew.enlist(who);
        Self {
            crew: Arc::clone(crew),
            is_counted: true,
        }
    }

    /// Counts this actor out if there are too many: it has nothing to do, and leaves then. Of several that look at once no
    /// more leave than have to.
    pub(crate) fn leaves_if_over(&mut self) -> bool {
        let one_less = |actors: usize| (actors > self.crew.idle_max).then(|| actors - 1);
        let actors = &self.crew.actors;
        let left = actors.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less);
        self.is_counted = left.is_err();
        !self.is_counted
    }
}

impl Drop for Post {
    fn drop(&mut self) {
        if self.is_counted {
            self.crew.actors.fetch_sub(1, Ordering::Relaxed);
        }
        self.crew.live_actors.decrement(1);
    }
}
