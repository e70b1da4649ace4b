//! What a transaction is answered, and when, while the disk is slow or fails.

use super::counter::*;
use super::held_store::{HeldStore, not_recorded};
use super::transactions::{at, count};
use super::*;
use crate::*;
use tokio::task::JoinHandle;

pub(super) fn transfer(
    runtime: &Runtime,
    steps: [(&AggregateRef<Counter>, u64); 2],
) -> JoinHandle<Result<Vec<u64>, TransactionError>> {
    let runtime = runtime.clone();
    let steps: Vec<_> = steps
        .into_iter()
        .map(|(counter, by)| counter.step(Add(by)))
        .collect();
    tokio::spawn(async move { runtime.transact(steps).await })
}

/// Two counters that live, whose next appends are held back, and how many were submitted so far.
pub(super) async fn held() -> (Arc<HeldStore>, Runtime, [AggregateRef<Counter>; 2], usize) {
    let store = HeldStore::new();
    let runtime = start(&store).await;
    let counters = [at(&runtime, "a"), at(&runtime, "b")];
    for counter in &counters {
        counter.send(Add(1)).await.unwrap();
    }
    store.hold();
    let submitted = store.submitted();
    (store, runtime, counters, submitted)
}

#[tokio::test]
async fn actors_go_on_when_the_append_is_queued_and_nothing_is_answered_before_it_is_durable() {
    let (store, runtime, [a, b], submitted) = held().await;
    let transfer = transfer(&runtime, [(&a, 1), (&b, 1)]);
    store.until_submitted(submitted + 1).await;
    // Both decide on what the transaction left, while the disk is still busy with it.
    let singles = [&a, &b].map(|counter| {
        let counter = counter.clone();
        tokio::spawn(async move { counter.send(Add(1)).await })
    });
    store.until_submitted(submitted + 3).await;
    settle().await;
    assert!(!transfer.is_finished() && !singles.iter().any(JoinHandle::is_finished));
    store.let_go();
    assert_eq!(transfer.await.unwrap().unwrap(), [2, 2]);
    for single in singles {
        assert_eq!(single.await.unwrap().unwrap(), 3);
    }
}

#[tokio::test]
async fn a_failed_append_takes_back_all_steps_and_what_was_built_on_any() {
    let (store, runtime, [a, b], submitted) = held().await;
    let transfer = transfer(&runtime, [(&a, 1), (&b, 1)]);
    store.until_submitted(submitted + 1).await;
    let on_a = tokio::spawn({
        let a = a.clone();
        async move { a.send(Add(1)).await }
    });
    store.until_submitted(submitted + 2).await;
    store.fail_one(not_recorded());
    let error = transfer.await.unwrap().unwrap_err();
    assert!(error.is_retry_safe(), "{error}");
    store.let_go();
    let error = on_a.await.unwrap().unwrap_err();
    assert!(error.is_retry_safe(), "{error}");
    assert_eq!((count(&a).await, count(&b).await), (1, 1));
    let again = runtime.transact((a.step(Add(1)), b.step(Add(1)))).await;
    assert_eq!(again.unwrap(), (2, 2));
}

#[tokio::test]
async fn a_rejection_waits_for_what_it_rests_on_and_falls_with_it() {
    let (store, runtime, [a, b], submitted) = held().await;
    let fill = |counter: &AggregateRef<Counter>| {
        let counter = counter.clone();
        tokio::spawn(async move { counter.send(Add(LIMIT - 1)).await })
    };
    let fills = fill(&b);
    store.until_submitted(submitted + 1).await;
    let rejected = transfer(&runtime, [(&a, 1), (&b, 1)]);
    store.until_submitted(submitted + 2).await;
    settle().await;
    assert!(!rejected.is_finished(), "what it rests on is not durable");
    store.fail_one(not_recorded());
    fills.await.unwrap().unwrap_err();
    store.let_go();
    let error = rejected.await.unwrap().unwrap_err();
    assert!(
        matches!(error, TransactionError::NotRecorded { .. }),
        "{error}"
    );
    let again = transfer(&runtime, [(&a, 1), (&b, 1)]).await.unwrap();
    assert_eq!(again.unwrap(), [2, 2]);
}

#[tokio::test]
async fn what_arrives_while_a_mailbox_is_held_is_handled_after_the_transaction_in_order() {
    let (store, runtime, [a, b], submitted) = held().await;
    // `b` does not get on: its actor waits for room in the store.
    store.set_ready(false);
    settle().await;
    let transfer = transfer(&runtime, [(&a, 10), (&b, 10)]);
    settle().await;
    let later: Vec<_> = (0..5)
        .map(|_| {
            let a = a.clone();
            tokio::spawn(async move { a.send(Add(1)).await })
        })
        .collect();
    settle().await;
    assert_eq!(store.submitted(), submitted);
    store.set_ready(true);
    store.until_submitted(submitted + 6).await;
    store.let_go();
    assert_eq!(transfer.await.unwrap().unwrap(), [11, 11]);
    for (later, expected) in later.into_iter().zip(12..) {
        assert_eq!(later.await.unwrap().unwrap(), expected);
    }
}

#[tokio::test]
async fn a_caller_that_gives_up_leaves_no_half_and_no_actor_waiting() {
    let (store, runtime, [a, b], submitted) = held().await;
    let transfer = transfer(&runtime, [(&a, 1), (&b, 1)]);
    store.until_submitted(submitted + 1).await;
    transfer.abort();
    assert!(transfer.await.unwrap_err().is_cancelled());
    store.let_go();
    assert_eq!((count(&a).await, count(&b).await), (2, 2));
}

#[tokio::test]
async fn a_transaction_takes_one_place_at_each_aggregate_and_one_in_the_runtime() {
    let store = HeldStore::new();
    let runtime = start_with(&store, |builder| {
        builder
            .commands_in_flight_max(2)
            .commands_in_flight_per_aggregate_max(1)
    })
    .await;
    let [a, b, c] = ["a", "b", "c"].map(|id| at(&runtime, id));
    for counter in [&a, &b, &c] {
        counter.send(Add(1)).await.unwrap();
    }
    store.hold();
    let submitted = store.submitted();
    let first = transfer(&runtime, [(&a, 1), (&b, 1)]);
    store.until_submitted(submitted + 1).await;
    let refuse = || CommandOptions::new().when_full(WhenFull::Refuse);
    let steps = || (c.step(Add(1)), b.step(Add(1)));
    let error = runtime.transact_with(steps(), refuse()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the aggregate has 1 commands and queries in flight, its limit (stream acme/counter/b); \
         nothing was recorded: retry later"
    );
    let waiting = tokio::spawn({
        let runtime = runtime.clone();
        let steps = steps();
        async move { runtime.transact(steps).await }
    });
    settle().await;
    assert!(!waiting.is_finished());
    store.let_go();
    first.await.unwrap().unwrap();
    assert_eq!(waiting.await.unwrap().unwrap(), (2, 3));
    assert_eq!(count(&c).await, 2);
}
