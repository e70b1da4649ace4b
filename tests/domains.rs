use std::sync::Arc;
use std::time::Duration;

use foldhouse::{CommandError, EventStore, JournalOptions, Runtime};
use foldhouse_aggregates::{
    Balances, Credit, Currency, Debit, GlAccount, InventoryItem, Money, OpenAccount, Quantity,
    Receive, Reserve, ReserveRejection, Ship, Side, StockLevels, TrialBalance,
};
use tokio::task::JoinSet;

const DEADLINE: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_callers_never_oversell_the_last_items() {
    const ON_HAND: u64 = 500;
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let store = Arc::new(
        JournalOptions::new()
            .segment_bytes(1 << 20)
            .open(directory.path())
            .unwrap(),
    );
    let runtime = Runtime::builder(store.clone()).start().await.unwrap();
    let levels = runtime.project(StockLevels).await.unwrap();
    let item = runtime.aggregate::<InventoryItem>("shop", "beer").unwrap();
    item.send(Receive::new(Quantity::new(ON_HAND)))
        .await
        .unwrap();
    let mut running = JoinSet::new();
    for _ in 0..64 {
        let item = item.clone();
        running.spawn(async move {
            let mut shipped = 0;
            loop {
                match item.send(Reserve::new(Quantity::new(3))).await {
                    Ok(reservation) => {
                        item.send(Ship::new(reservation)).await.unwrap();
                        shipped += 3;
                    }
                    Err(CommandError::Rejected(ReserveRejection::Insufficient { .. })) => {
                        return shipped;
                    }
                    Err(other) => panic!("{other}"),
                }
            }
        });
    }
    let mut shipped = 0;
    while let Some(joined) = running.join_next().await {
        shipped += joined.unwrap();
    }
    assert_eq!(shipped, ON_HAND - ON_HAND % 3);
    levels.wait_for(store.head(), DEADLINE).await.unwrap();
    let level = levels.get(item.stream()).unwrap();
    assert_eq!(
        (level.on_hand, level.reserved),
        (Quantity::new(ON_HAND % 3), Quantity::new(0))
    );
    runtime.shutdown(DEADLINE).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_trial_balance_follows_the_postings_over_a_restart() {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let euro: Currency = "EUR".parse().unwrap();
    for run in 1..=2 {
        let store = Arc::new(
            JournalOptions::new()
                .segment_bytes(1 << 20)
                .open(directory.path())
                .unwrap(),
        );
        let runtime = Runtime::builder(store.clone()).start().await.unwrap();
        let balances = runtime.project(Balances).await.unwrap();
        let cash = runtime.aggregate::<GlAccount>("acme", "1000").unwrap();
        let revenue = runtime.aggregate::<GlAccount>("acme", "4000").unwrap();
        if run == 1 {
            cash.send(OpenAccount::new(euro, Side::Debit))
                .await
                .unwrap();
            revenue
                .send(OpenAccount::new(euro, Side::Credit))
                .await
                .unwrap();
        }
        for cents in [1_999, 501] {
            cash.send(Debit::new(Money::new(cents, euro)))
                .await
                .unwrap();
            revenue
                .send(Credit::new(Money::new(cents, euro)))
                .await
                .unwrap();
        }
        balances.wait_for(store.head(), DEADLINE).await.unwrap();
        let rows = balances.read(|table| {
            table
                .iter()
                .map(|(stream, row)| (stream.aggregate_id().to_owned(), *row))
                .collect::<Vec<_>>()
        });
        let trial = TrialBalance::of(rows).unwrap();
        assert!(trial.is_balanced());
        assert_eq!(
            trial.section(euro).unwrap().debits.minor_units(),
            2_500 * run
        );
        runtime.shutdown(DEADLINE).await.unwrap();
        store.close();
    }
}

/// Nothing keeps a program from this, though nobody should do it: each append of the one makes void what the other has
/// decided ahead of the disk.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_runtimes_over_one_store_record_just_what_they_confirm() {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let store = Arc::new(
        JournalOptions::new()
            .segment_bytes(1 << 20)
            .open(directory.path())
            .unwrap(),
    );
    let euro: Currency = "EUR".parse().unwrap();
    let runtimes = [
        Runtime::builder(store.clone()).start().await.unwrap(),
        Runtime::builder(store.clone()).start().await.unwrap(),
    ];
    let account = |runtime: &Runtime| runtime.aggregate::<GlAccount>("acme", "1000").unwrap();
    account(&runtimes[0])
        .send(OpenAccount::new(euro, Side::Debit))
        .await
        .unwrap();
    let mut running = JoinSet::new();
    for caller in 0..64 {
        let account = account(&runtimes[caller % 2]);
        running.spawn(async move {
            let mut confirmed = 0;
            for _ in 0..50 {
                match account.send(Debit::new(Money::new(1, euro))).await {
                    Ok(_) => confirmed += 1,
                    Err(error) => assert!(error.is_retry_safe(), "{error}"),
                }
            }
            confirmed
        });
    }
    let mut confirmed = 0;
    while let Some(joined) = running.join_next().await {
        confirmed += joined.unwrap();
    }
    assert!(confirmed > 0);
    assert_eq!(store.head().get(), 1 + confirmed);
    for runtime in runtimes {
        runtime.shutdown(DEADLINE).await.unwrap();
    }
    let fresh = Runtime::builder(store.clone()).start().await.unwrap();
    let balance = account(&fresh)
        .query(|account| account.balance().unwrap().minor_units())
        .await
        .unwrap();
    assert_eq!(balance, i64::try_from(confirmed).unwrap());
    fresh.shutdown(DEADLINE).await.unwrap();
}
