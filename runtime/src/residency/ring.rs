use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use super::Resident;

/// Where an entry of the ring is. Read and written under the ring's lock only.
pub(super) type Index = Arc<AtomicUsize>;

/// The seats, with a hand that goes round. It gives away every reference that it comes by: to drop one here could drop a
/// resident, whose seat is in here.
#[derive(Default)]
pub(super) struct Ring {
    entries: Vec<Entry>,
    hand: usize,
}

struct Entry {
    who: Weak<dyn Resident>,
    index: Index,
    /// When it had been used last, when that was noted; 0 before the first time.
    seen: u64,
    noted_at: u64,
    /// How many of the last times it had been used since the one before. The use that it came for does not count.
    uses: u8,
}

/// Who was used so many times in a row is spared for as many without.
const USES_MAX: u8 = 3;

impl Ring {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn insert(&mut self, who: Weak<dyn Resident>) -> Index {
        let index = Arc::new(AtomicUsize::new(self.entries.len()));
        self.entries.push(Entry {
            who,
            index: Arc::clone(&index),
            seen: 0,
            noted_at: 0,
            uses: 0,
        });
        index
    }

    pub(super) fn remove(&mut self, index: &Index) {
        let index = index.load(Ordering::Relaxed);
        if index >= self.entries.len() {
            return;
        }
        self.entries.swap_remove(index);
        if let Some(moved) = self.entries.get(index) {
            moved.index.store(index, Ordering::Relaxed);
        }
        // A ring that was large once does not stay so.
        if self.entries.capacity() > 64 && self.entries.len() < self.entries.capacity() / 4 {
            self.entries.shrink_to(self.entries.len() * 2);
        }
    }

    /// Looks at the next few. Gives them in the order in which they should go.
    pub(super) fn look(&mut self, count: usize, now: u64) -> Vec<Arc<dyn Resident>> {
        // Looked at more often than it could be used, everything would seem unused.
        let note_every = self.entries.len() as u64 / 2;
        let mut looked_at = Vec::with_capacity(count);
        let mut is_one_unused = false;
        // Among so many there is nearly always one that was not used again. If not, it is worth looking on.
        for looks in 0..self.entries.len().min(count * 4) {
            if looks >= count && is_one_unused {
                break;
            }
            if self.hand >= self.entries.len() {
                self.hand = 0;
            }
            if let Some(entry) = self.entries.get_mut(self.hand)
                && let Some(resident) = entry.who.upgrade()
            {
                let last_used = resident.last_used();
                if now.saturating_sub(entry.noted_at) >= note_every {
                    entry.note(last_used, now);
                }
                is_one_unused |= entry.uses == 0;
                looked_at.push((entry.uses, last_used, resident));
            }
            self.hand += 1;
        }
        looked_at.sort_by_key(|(uses, last_used, _)| (*uses, *last_used));
        looked_at
            .into_iter()
            .map(|(_, _, resident)| resident)
            .collect()
    }

    /// The `count` entries before `end`, and where to go on. Backwards: whoever is moved to a seat that came free has been
    /// seen already.
    pub(super) fn before(&self, end: usize, count: usize) -> (Vec<Arc<dyn Resident>>, usize) {
        let end = end.min(self.entries.len());
        let start = end.saturating_sub(count);
        let entries = self.entries.get(start..end).unwrap_or_default();
        let residents = entries.iter().filter_map(|entry| entry.who.upgrade());
        (residents.collect(), start)
    }
}

impl Entry {
    fn note(&mut self, last_used: u64, now: u64) {
        if self.seen == 0 {
            self.uses = 0;
        } else if last_used > self.seen {
            self.uses = (self.uses + 1).min(USES_MAX);
        } else {
            self.uses = self.uses.saturating_sub(1);
        }
        self.seen = last_used.max(1);
        self.noted_at = now;
    }
}
