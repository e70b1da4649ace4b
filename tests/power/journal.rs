//! The real store, put to the test.

use std::path::Path;
use std::time::{Duration, Instant};

use foldhouse_store::{JournalOptions, JournalStore, OpenError};

use super::campaign::{Checked, Subject};
use super::volume::Volume;

mod check;
mod witness;
mod workload;

pub(super) use check::{all_events, check, check_events, check_streams};
pub(super) use witness::{Answer, Attempt, Witness};
pub(super) use workload::Workload;

/// Small segments: a short run fills several.
pub(super) const SEGMENT_BYTES: u64 = 256 << 10;
const INDEX_CACHE_BYTES: u64 = 4 << 20;

/// The longest to wait for a lock that was let go.
const LOCK_WAIT_MAX: Duration = Duration::from_secs(10);

/// Opens the store. Another test may just be starting a program: until that runs, it holds a copy of every descriptor,
/// and so the lock of a store that is closed.
pub(super) fn open(directory: &Path) -> Result<JournalStore, OpenError> {
    let started = Instant::now();
    loop {
        let options = JournalOptions::new()
            .segment_bytes(SEGMENT_BYTES)
            .index_cache_bytes(INDEX_CACHE_BYTES);
        match options.open(directory.join("store")) {
            Err(OpenError::Locked { .. }) if started.elapsed() < LOCK_WAIT_MAX => {
                std::thread::sleep(Duration::from_millis(5));
            }
            opened => return opened,
        }
    }
}

/// A runtime for the store's futures.
pub(super) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime")
}

/// The journal store under a workload of several lives.
pub(super) struct Journal {
    pub(super) lives: usize,
    pub(super) rounds_per_life: usize,
}

impl Subject for Journal {
    type Witness = Witness;

    fn run(&self, directory: &Path, volume: &Volume, seed: u64) -> Witness {
        let mut workload = Workload::new(volume, seed);
        for _ in 0..self.lives {
            workload.live(
                &open(directory).expect("nothing is wrong"),
                self.rounds_per_life,
            );
        }
        let witness = workload.into_witness();
        assert!(
            witness.failed_beside.is_empty(),
            "{:?}",
            witness.failed_beside
        );
        assert!(witness.attempts.iter().all(Attempt::is_acked));
        witness
    }

    fn recover(&self, directory: &Path) {
        open(directory).expect("it opened before").close();
    }

    fn check(&self, directory: &Path, witness: &Witness, cut_at: usize) -> Result<Checked, String> {
        check(directory, witness, cut_at)
    }
}
