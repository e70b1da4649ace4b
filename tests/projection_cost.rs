//! What commands pay for projections that do not work: one that hangs, and one that fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use foldhouse::{
    FailurePolicy, JournalOptions, JournalStore, Projection, ProjectionError, ProjectionState,
    RecordedEvent, Runtime, Table,
};
use foldhouse_aggregates::{InventoryItem, Quantity, Receive};
use tokio::task::JoinSet;

const PATIENCE: Duration = Duration::from_secs(60);
const ITEMS: usize = 64;
const ROUNDS: usize = 5;
const COMMANDS_PER_ITEM: usize = 1_000;

/// Does not come back from its first event until it is let go.
struct Hangs(Arc<AtomicBool>);

impl Projection for Hangs {
    const NAME: &'static str = "hangs";
    type Key = u64;
    type Row = u64;

    fn apply(&self, _: &RecordedEvent, _: &mut Table<u64, u64>) -> Result<(), ProjectionError> {
        while !self.0.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }
}

/// Tries its first event again and again.
struct Fails;

impl Projection for Fails {
    const NAME: &'static str = "fails";
    type Key = u64;
    type Row = u64;

    fn failure_policy(&self) -> FailurePolicy {
        // As often as may be, and longer than a round takes.
        FailurePolicy::park().retry_after([Duration::from_millis(50); 100])
    }

    fn apply(&self, _: &RecordedEvent, _: &mut Table<u64, u64>) -> Result<(), ProjectionError> {
        Err(ProjectionError::new("it never works"))
    }
}

async fn latencies_us(runtime: &Runtime, round: usize) -> Vec<u64> {
    let mut senders = JoinSet::new();
    for number in 0..ITEMS {
        let item = runtime
            .aggregate::<InventoryItem>("shop", &format!("{round}-{number}"))
            .unwrap();
        senders.spawn(async move {
            item.send(Receive::new(Quantity::new(1))).await.unwrap();
            let mut latencies = Vec::with_capacity(COMMANDS_PER_ITEM);
            for _ in 0..COMMANDS_PER_ITEM {
                let started = Instant::now();
                item.send(Receive::new(Quantity::new(1))).await.unwrap();
                latencies.push(u64::try_from(started.elapsed().as_micros()).unwrap());
            }
            latencies
        });
    }
    senders.join_all().await.into_iter().flatten().collect()
}

/// Rounds without and with them take turns, so that both see the same machine.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "figures: some 640,000 durable commands, for a release build on a quiet machine"]
async fn commands_do_not_wait_for_projections_that_hang_or_fail() {
    let mut latencies = [Vec::new(), Vec::new()];
    for round in 0..2 * ROUNDS {
        let with_them = round % 2 == 1;
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let store: Arc<JournalStore> =
            Arc::new(JournalOptions::new().open(directory.path()).unwrap());
        let runtime = Runtime::builder(store.clone()).start().await.unwrap();
        let let_go = Arc::new(AtomicBool::new(!with_them));
        let mut projections = None;
        if with_them {
            let hangs = runtime.project(Hangs(Arc::clone(&let_go))).await.unwrap();
            projections = Some((hangs, runtime.project(Fails).await.unwrap()));
        }
        latencies[usize::from(with_them)].extend(latencies_us(&runtime, round).await);
        if let Some((hangs, fails)) = projections {
            assert_eq!(hangs.position().get(), 0);
            let state = fails.status().state;
            assert!(
                matches!(state, ProjectionState::Retrying { .. }),
                "{state:?}"
            );
            fails.pause();
        }
        let_go.store(true, Ordering::SeqCst);
        runtime.shutdown(PATIENCE).await.unwrap();
        store.close();
    }
    let [without, with] = latencies.map(|mut all| {
        all.sort_unstable();
        let at = |per_mille: usize| all[(all.len() * per_mille / 1_000).min(all.len() - 1)];
        [at(500), at(990), at(999), at(1_000)]
    });
    println!("p50, p99, p99.9, max in us");
    println!("without: {without:?}");
    println!("with one that hangs and one that fails: {with:?}");
    // Noise apart: waiting for either of them would show at once.
    assert!(with[1] <= 2 * without[1] + 1_000);
}
