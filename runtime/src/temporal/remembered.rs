use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use foldhouse_store::StreamId;

use super::marks::Marks;

/// So many marks are remembered, over all aggregates: 24 MB. With more all are forgotten, and read anew as they are needed.
const REMEMBERED_MAX: u64 = 1_000_000;

/// When the events of aggregates count, for those that were asked about lately: all handles of a runtime on one aggregate's
/// past share what one of them has read.
pub(crate) struct RememberedMarks {
    by_stream: Mutex<HashMap<StreamId, Arc<Marks>>>,
    /// How many marks all of them have read since they were forgotten.
    read: Arc<AtomicU64>,
    limit: u64,
}

impl Default for RememberedMarks {
    fn default() -> Self {
        Self::up_to(REMEMBERED_MAX)
    }
}

impl RememberedMarks {
    fn up_to(limit: u64) -> Self {
        Self {
            by_stream: Mutex::default(),
            read: Arc::default(),
            limit,
        }
    }

    pub(super) fn of(&self, stream: &StreamId) -> Arc<Marks> {
        // Nothing panics while it holds the lock; a poisoned one is whole.
        let mut by_stream = self
            .by_stream
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        // An aggregate that was asked for takes some room even if nothing was read of it.
        let taken = self.read.load(Ordering::Relaxed);
        let taken = taken.saturating_add(by_stream.len() as u64 * 8);
        if taken > self.limit {
            // Handles that are there keep theirs.
            by_stream.clear();
            self.read.store(0, Ordering::Relaxed);
        }
        let marks = by_stream.entry(stream.clone());
        let new = || Arc::new(Marks::counted(Arc::clone(&self.read)));
        Arc::clone(marks.or_insert_with(new))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(id: u64) -> StreamId {
        StreamId::new("acme", "account", &id.to_string()).unwrap()
    }

    #[test]
    fn what_is_remembered_is_shared_and_bounded() {
        let remembered = RememberedMarks::up_to(100);
        let first = remembered.of(&stream(1));
        assert!(Arc::ptr_eq(&first, &remembered.of(&stream(1))));
        remembered.read.fetch_add(101, Ordering::Relaxed);
        assert!(!Arc::ptr_eq(&first, &remembered.of(&stream(1))));
        for id in 0..1_000 {
            remembered.of(&stream(id));
            assert!(remembered.by_stream.lock().unwrap().len() <= 14);
        }
    }
}
