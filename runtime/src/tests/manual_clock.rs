//! A clock that a test sets.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use foldhouse_store::{Clock, Timestamp};
use uuid::Uuid;

/// All clocks give different ids: what one runtime records must not be taken for another one's.
static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// Tells the time that it was set to.
#[derive(Debug)]
pub(super) struct ManualClock {
    micros: AtomicI64,
}

impl ManualClock {
    pub(super) fn at(now: Timestamp) -> Arc<Self> {
        Arc::new(Self {
            micros: now.unix_micros().into(),
        })
    }

    pub(super) fn set(&self, now: Timestamp) {
        self.micros.store(now.unix_micros(), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_micros(self.micros.load(Ordering::SeqCst))
    }

    fn new_id(&self) -> Uuid {
        Uuid::from_u128(NEXT_ID.fetch_add(1, Ordering::SeqCst).into())
    }
}
