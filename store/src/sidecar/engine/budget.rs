//! Bounds what sled has taken and not yet handed to the operating system, over all databases of the process.
//!
//! sled queues writes without limit, on one pool of seven threads for the whole process. With as many writes under way
//! as there are threads it can hang for ever (see `watch`), so it is made to catch up long before.

use std::sync::atomic::{AtomicUsize, Ordering};

/// sled writes its log in buffers of a MiB: this is well below seven of them.
const UNFLUSHED_BYTES_MAX: usize = 3 << 20;
/// What one change costs beside its bytes: every so often the page that it is on is written whole, and sled moves other
/// pages along.
const CHANGE_BYTES: usize = 4 << 10;

static UNFLUSHED_BYTES: AtomicUsize = AtomicUsize::new(0);

/// About how much a change with so many bytes makes sled write.
pub(super) fn cost(key_bytes: usize, value_bytes: usize) -> usize {
    CHANGE_BYTES + 4 * (key_bytes + value_bytes)
}

/// What one database has not flushed.
#[derive(Debug, Default)]
pub(super) struct Unflushed(AtomicUsize);

impl Unflushed {
    /// Whether there is room for a change of this cost; if not, flush first.
    pub(super) fn has_room(&self, cost: usize) -> bool {
        self.0.load(Ordering::Relaxed) == 0
            || UNFLUSHED_BYTES.load(Ordering::Relaxed) + cost <= UNFLUSHED_BYTES_MAX
    }

    pub(super) fn add(&self, cost: usize) {
        self.0.fetch_add(cost, Ordering::Relaxed);
        UNFLUSHED_BYTES.fetch_add(cost, Ordering::Relaxed);
    }

    /// What is there before a flush, to be given to [`Unflushed::flushed`] when that is done.
    pub(super) fn cost(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn flushed(&self, cost: usize) {
        let take = |held: usize| Some(held.saturating_sub(cost));
        let Ok(before) = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
        else {
            return;
        };
        UNFLUSHED_BYTES.fetch_sub(before.min(cost), Ordering::Relaxed);
    }
}

impl Drop for Unflushed {
    fn drop(&mut self) {
        self.flushed(usize::MAX);
    }
}
