//! Questions about the past while the aggregate lives, works and leaves memory.

use std::sync::Arc;
use std::time::Duration;

use foldhouse_store::ReadModelStore;

use super::super::{PATIENCE, start, start_with};
use super::*;

#[tokio::test]
async fn asking_about_the_past_wakes_nobody() {
    let store = Arc::new(MemoryStore::new());
    let stream = StreamId::new("acme", Account::TYPE, "1").unwrap();
    append(&store, &stream, (1..=3).map(|amount| posted(amount, None))).await;
    let runtime = start(&store).await;
    let account = runtime.aggregate::<Account>("acme", "1").unwrap();
    let past = account.past();
    let state = past.state(AsOf::Version(Version::new(2))).await.unwrap();
    assert_eq!(state.state.postings, [1, 2]);
    past.history(&(AsOf::BEGINNING..AsOf::Now).into(), Clone::clone)
        .await
        .unwrap();
    assert_eq!(runtime.live_aggregates(), 0);
    // Nor does it need the runtime.
    runtime.shutdown(PATIENCE).await.unwrap();
    assert_eq!(
        past.state(AsOf::Now).await.unwrap().version,
        Version::new(3)
    );
}

/// Every posting is 1 with an effective time of its own, before or behind those that are there.
async fn post_for_a_while(account: &AggregateRef<Account>, posts: i64) {
    for number in 0..posts {
        let effective = if number % 2 == 0 { number } else { -number };
        let meta = CommandMeta::new().effective_at(micros(effective));
        account.execute(Post(vec![number]), meta).await.unwrap();
        if number % 16 == 0 {
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
    }
}

/// Asks all kinds of questions until the other side is done; gives how many.
async fn ask(past: &Past<Account>, is_done: impl Fn() -> bool) -> u64 {
    let mut asked = 0;
    let mut reached = 0;
    loop {
        let last_round = is_done();
        let now = past.state(AsOf::Now).await.unwrap();
        let count = now.version.get() as i64;
        assert_eq!(now.state.postings, (0..count).collect::<Vec<_>>());
        assert!(count >= reached, "it went back from {reached} to {count}");
        reached = count;

        let half = AsOf::Version(Version::new(now.version.get() / 2));
        let state = past.state(half).await.unwrap().state;
        assert_eq!(state.postings, (0..count / 2).collect::<Vec<_>>());

        let recorded = past.state(AsOf::Bitemporal {
            recorded: micros(i64::MAX),
            effective: micros(0),
        });
        let recorded = recorded.await.unwrap();
        // Version 1 has number 0, so the odd numbers are half of them.
        assert_eq!(
            recorded.events,
            recorded.version.get() / 2 + u64::from(recorded.version.get() > 0)
        );
        assert!(
            recorded
                .state
                .postings
                .is_sorted_by(|one, other| one > other)
        );

        let query = HistoryQuery::between(half, AsOf::Version(now.version)).limit(50);
        let page = past.history(&query, Account::balance).await.unwrap();
        let numbers = page
            .changes
            .iter()
            .map(|change| change.after - change.before);
        let expected = (count / 2..count).take(50);
        assert!(numbers.eq(expected));
        asked += 4;
        // The store answers at once: without this nobody else would have a turn.
        tokio::task::yield_now().await;
        if last_round {
            return asked;
        }
    }
}

async fn ask_beside_a_writer(set_up: impl FnOnce(RuntimeBuilder) -> RuntimeBuilder) {
    let store = Arc::new(MemoryStore::new());
    let runtime = start_with(&store, set_up).await;
    let account = runtime.aggregate::<Account>("acme", "1").unwrap();
    let writer = tokio::spawn({
        let account = account.clone();
        async move { post_for_a_while(&account, 1_000).await }
    });
    let past = Arc::new(account.past());
    let askers = [0, 1].map(|_| {
        let (past, writer) = (Arc::clone(&past), writer.abort_handle());
        tokio::spawn(async move { ask(&past, || writer.is_finished()).await })
    });
    writer.await.unwrap();
    for asker in askers {
        assert!(asker.await.unwrap() > 4);
    }
    let total = account.query(Account::balance).await.unwrap();
    assert_eq!(total, 999 * 1_000 / 2);
    runtime.shutdown(PATIENCE).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_past_stays_what_it_is_while_the_actor_works_and_saves_snapshots() {
    ask_beside_a_writer(|builder| builder.snapshot_every_events(70)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_past_stays_what_it_is_while_the_aggregate_leaves_memory_again_and_again() {
    ask_beside_a_writer(|builder| {
        builder
            .passivate_after(Duration::from_millis(1))
            .snapshot_on_passivation_after_events(10)
    })
    .await;
}

#[tokio::test]
async fn times_that_are_kept_with_snapshots_change_no_answer_and_spare_the_events() {
    let store = Arc::new(MemoryStore::new());
    let start = || async {
        let policy = SnapshotPolicy::new().every_events(200).keep_times();
        let builder = Runtime::builder(store.clone()).snapshots(policy);
        builder.start().await.unwrap()
    };
    let runtime = start().await;
    let account = runtime.aggregate::<Account>("acme", "1").unwrap();
    for number in 0..1_500i64 {
        // Every tenth one counts long before the others.
        let effective = if number % 10 == 9 {
            number - 500
        } else {
            number
        };
        let meta = CommandMeta::new().effective_at(micros(effective));
        account.execute(Post(vec![number]), meta).await.unwrap();
    }
    account.take_snapshot().await.unwrap();
    let kept = store.rows("~times", None, 10).await.unwrap();
    assert_eq!(kept.len(), 5);
    runtime.shutdown(Duration::from_secs(30)).await.unwrap();
    // Another runtime remembers nothing.
    let runtime = start().await;
    let account = runtime.aggregate::<Account>("acme", "1").unwrap();
    let (past, plain) = (account.past(), past_of::<Account>(&store, "1"));
    for at in [-400, 0, 3, 400, 999, 1_024, 1_499, 5_000] {
        for as_of in [
            AsOf::Effective(micros(at)),
            AsOf::Recorded(SystemClock.now()),
        ] {
            let (state, expected) = (past.state(as_of).await, plain.state(as_of).await);
            assert_eq!(state.unwrap().state, expected.unwrap().state, "{as_of}");
        }
    }
}
