//! Snapshots over the journal: a history of them over restarts, and what taking them costs commands.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use foldhouse::{JournalOptions, JournalStore, Runtime, SnapshotCriteria, SnapshotPolicy, Version};
use foldhouse_aggregates::{InventoryItem, Quantity, Receive, Reserve};
use foldhouse_store::SnapshotStore;
use tokio::task::JoinSet;

const PATIENCE: Duration = Duration::from_secs(60);

async fn open(directory: &Path, policy: SnapshotPolicy) -> (Arc<JournalStore>, Runtime) {
    let store = Arc::new(JournalOptions::new().open(directory).unwrap());
    let runtime = Runtime::builder(store.clone()).snapshots(policy);
    (store, runtime.start().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn snapshots_that_are_kept_are_there_after_a_restart_and_the_aggregate_is_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let policy = || {
        SnapshotPolicy::never()
            .keep_newest(3)
            .keep_one_per(Duration::from_secs(86_400), 2)
    };
    let (store, runtime) = open(directory.path(), policy()).await;
    let item = runtime.aggregate::<InventoryItem>("shop", "1").unwrap();
    for number in 1..=6 {
        item.send(Receive::new(Quantity::new(number)))
            .await
            .unwrap();
        let taken = item.take_snapshot().await.unwrap().unwrap();
        assert_eq!(taken.version, Version::new(number));
    }
    let kept = item.snapshots().await.unwrap();
    // All were taken on one day, or two, so the newest are those of the days as well.
    let versions: Vec<_> = kept.iter().map(|kept| kept.version.get()).collect();
    assert!(
        versions.starts_with(&[6, 5, 4]) && versions.len() <= 4,
        "{versions:?}"
    );
    runtime.shutdown(PATIENCE).await.unwrap();
    store.close();

    let (store, runtime) = open(directory.path(), policy()).await;
    let item = runtime.aggregate::<InventoryItem>("shop", "1").unwrap();
    assert_eq!(item.snapshots().await.unwrap(), kept);
    let nearest = store.load_snapshot(item.stream(), SnapshotCriteria::up_to(Version::new(5)));
    assert_eq!(nearest.await.unwrap().unwrap().version, Version::new(5));
    assert_eq!(item.query(|item| item.on_hand().get()).await.unwrap(), 21);
    let space = runtime
        .snapshot_space::<InventoryItem>("shop")
        .await
        .unwrap();
    assert_eq!(space.snapshots, kept.len() as u64);
    runtime.shutdown(PATIENCE).await.unwrap();
    store.close();
}

/// How many items are worked on, and how many reservations each holds: a state of about 25 KB.
const ITEMS: usize = 8;
const RESERVATIONS: usize = 1_000;
const ROUNDS: usize = 5;
const COMMANDS_PER_ITEM: usize = 2_000;

/// Sends commands to all items at once, and gives how long each took, in microseconds.
async fn latencies_us(runtime: &Runtime, round: usize) -> Vec<u64> {
    let mut senders = JoinSet::new();
    for number in 0..ITEMS {
        let item = runtime
            .aggregate::<InventoryItem>("shop", &format!("{round}-{number}"))
            .unwrap();
        senders.spawn(async move {
            item.send(Receive::new(Quantity::new(1_000_000)))
                .await
                .unwrap();
            let reserve = || Reserve::new(Quantity::new(1));
            item.send_each((0..RESERVATIONS).map(|_| reserve()).collect())
                .await;
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

fn percentile(sorted: &[u64], percent: f64) -> u64 {
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "an index"
    )]
    let index = (sorted.len() as f64 * percent / 100.0) as usize;
    sorted[index.min(sorted.len() - 1)]
}

/// Rounds without and with a snapshot every 100 events take turns, so that both see the same machine.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "figures: some 160,000 durable commands, for a release build on a quiet machine"]
async fn commands_do_not_wait_for_snapshots() {
    let directory = tempfile::tempdir().unwrap();
    let policies = [
        SnapshotPolicy::never(),
        SnapshotPolicy::new().every_events(100).keep_newest(20),
    ];
    let mut latencies = [Vec::new(), Vec::new()];
    for round in 0..2 * ROUNDS {
        let with_snapshots = round % 2;
        let (store, runtime) = open(directory.path(), policies[with_snapshots].clone()).await;
        latencies[with_snapshots].extend(latencies_us(&runtime, round).await);
        if with_snapshots == 1 {
            let space = runtime
                .snapshot_space::<InventoryItem>("shop")
                .await
                .unwrap();
            println!("round {round}: {space:?}");
            assert!(space.snapshots >= 20);
        }
        runtime.shutdown(PATIENCE).await.unwrap();
        store.close();
    }
    let p99 = [0, 1].map(|index| {
        let sorted = &mut latencies[index];
        sorted.sort_unstable();
        let name = ["without snapshots", "every 100 events"][index];
        let [p50, p99, p999, max] =
            [50.0, 99.0, 99.9, 100.0].map(|percent| percentile(sorted, percent));
        let count = sorted.len();
        println!(
            "{name}: {count} commands, p50 {p50} us, p99 {p99} us, p99.9 {p999} us, max {max} us"
        );
        p99
    });
    // Noise apart: an encoding or a save on the way of a command would show at once.
    assert!(p99[1] <= p99[0] + p99[0] / 2 + 500, "p99 {p99:?} us");
}
