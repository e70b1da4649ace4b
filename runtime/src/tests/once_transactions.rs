//! A transaction under an id takes effect once, over all its aggregates.

use uuid::Uuid;

use super::counter::*;
use super::held_store::{HeldStore, not_recorded};
use super::*;
use crate::*;
use foldhouse_store::EventStore;

fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

fn at(runtime: &Runtime, number: u64) -> AggregateRef<Counter> {
    runtime.aggregate("acme", &number.to_string()).unwrap()
}

async fn count(runtime: &Runtime, number: u64) -> u64 {
    let counter = at(runtime, number);
    counter.query(|state| state.count).await.unwrap()
}

#[tokio::test]
async fn a_retried_transaction_takes_effect_once_and_gets_the_same_replies() {
    let store = Arc::new(MemoryStore::new());
    let runtime = start(&store).await;
    let steps = |runtime: &Runtime| {
        let many = vec![at(runtime, 1).step(Add(2)), at(runtime, 3).step(Add(3))];
        let is_below = at(runtime, 4).require(|state| match state.count {
            0..100 => Ok(state.count),
            count => Err(Full { count }),
        });
        (at(runtime, 2).step(Add(1)), many, (is_below,))
    };
    let first = runtime
        .transact_once_with(steps(&runtime), id(1), CommandOptions::new())
        .await
        .unwrap();
    assert_eq!(first.replies, (1, vec![2, 3], (0,)));
    assert_eq!(
        (first.position, first.command_id),
        (Position::new(3), id(1))
    );
    for counter in 1..=4 {
        at(&runtime, counter).send(Add(1_000)).await.unwrap();
    }
    // The condition does not hold any more: it held when the transaction took effect.
    let again = runtime.transact_once_with(steps(&runtime), id(1), CommandOptions::new());
    assert_eq!(again.await.unwrap(), first);
    runtime.shutdown(PATIENCE).await.unwrap();
    let next = start(&store).await;
    let again = next.transact_once_with(steps(&next), id(1), CommandOptions::new());
    assert_eq!(again.await.unwrap(), first);
    assert_eq!(count(&next, 1).await, 1_002);
    let outcome = next.outcome(id(1)).await.unwrap().unwrap();
    let replies: (u64, Vec<u64>, (u64,)) = outcome.reply().unwrap();
    assert_eq!(replies, first.replies);
    assert_eq!(outcome.event_count(), 3);
    assert_eq!(next.claim_count(), 0);
}

#[tokio::test]
async fn another_transaction_under_the_same_id_is_an_error_of_its_own() {
    let store = Arc::new(MemoryStore::new());
    let runtime = start(&store).await;
    let step = |counter, by| at(&runtime, counter).step(Add(by));
    runtime
        .transact_once((step(1, 1), step(2, 2)), id(1))
        .await
        .unwrap();
    at(&runtime, 1).send_once(Add(1), id(2)).await.unwrap();
    let reused = |error: TransactionError, command_id: Uuid| {
        assert!(
            matches!(&error, TransactionError::CommandIdReused { command_id: found, .. } if *found == command_id),
            "{error}"
        );
        assert!(!error.is_retry_safe());
    };
    let outcome = runtime.transact_once((step(1, 1), step(2, 3)), id(1));
    reused(outcome.await.unwrap_err(), id(1));
    let outcome = runtime.transact_once((step(2, 2), step(1, 1)), id(1));
    reused(outcome.await.unwrap_err(), id(1));
    let outcome = runtime.transact_once((step(1, 1), (step(2, 2),)), id(1));
    reused(outcome.await.unwrap_err(), id(1));
    let outcome = runtime.transact_once(step(1, 1), id(2));
    reused(outcome.await.unwrap_err(), id(2));
    let error = at(&runtime, 1).send_once(Add(1), id(1)).await.unwrap_err();
    assert!(
        matches!(error, CommandError::CommandIdReused { .. }),
        "{error}"
    );
    assert_eq!(store.head(), Position::new(3));
    let empty: Vec<Step<Add>> = Vec::new();
    let error = runtime.transact_once(empty, id(3)).await.unwrap_err();
    assert!(matches!(error, TransactionError::Empty), "{error}");
}

#[tokio::test]
async fn a_transaction_that_was_rejected_or_failed_is_decided_anew() {
    let store = HeldStore::new();
    let runtime = start(&store).await;
    let steps = || (at(&runtime, 1).step(Add(1)), at(&runtime, 2).step(Add(1)));
    at(&runtime, 2).send(Add(LIMIT)).await.unwrap();
    let rejected = runtime.transact_once(steps(), id(1)).await.unwrap_err();
    assert_eq!(rejected.rejection(), Some(&Full { count: LIMIT }));
    assert_eq!(runtime.outcome(id(1)).await.unwrap(), None);

    let steps = |runtime: &Runtime| (at(runtime, 1).step(Add(1)), at(runtime, 3).step(Add(1)));
    runtime.transact(steps(&runtime)).await.unwrap();
    store.hold();
    let submitted = store.submitted();
    let running = runtime.clone();
    let failing = tokio::spawn(async move { running.transact_once(steps(&running), id(1)).await });
    store.until_submitted(submitted + 1).await;
    store.fail_one(not_recorded());
    store.let_go();
    failing.await.unwrap().unwrap_err();
    for _ in 0..2 {
        let replies = runtime.transact_once(steps(&runtime), id(1)).await;
        assert_eq!(replies.unwrap(), (2, 2));
    }
    assert_eq!((count(&runtime, 1).await, count(&runtime, 3).await), (2, 2));
}

#[tokio::test]
async fn the_replies_of_a_transaction_whose_caller_has_gone_are_there_for_the_retry() {
    let store = HeldStore::new();
    let runtime = start(&store).await;
    let steps = |runtime: &Runtime| (at(runtime, 2).step(Add(2)), at(runtime, 1).step(Add(1)));
    runtime.transact(steps(&runtime)).await.unwrap();
    store.hold();
    let submitted = store.submitted();
    let running = runtime.clone();
    let lost = tokio::spawn(async move { running.transact_once(steps(&running), id(1)).await });
    store.until_submitted(submitted + 1).await;
    lost.abort();
    assert!(lost.await.unwrap_err().is_cancelled());
    let running = runtime.clone();
    let retry = tokio::spawn(async move { running.transact_once(steps(&running), id(1)).await });
    settle().await;
    assert!(!retry.is_finished());
    store.let_go();
    assert_eq!(retry.await.unwrap().unwrap(), (4, 2));
    assert_eq!(store.head(), Position::new(4));
}

#[tokio::test]
async fn a_transaction_without_events_is_remembered() {
    let store = Arc::new(MemoryStore::new());
    let runtime = start(&store).await;
    at(&runtime, 1).send(Add(3)).await.unwrap();
    let steps = || (at(&runtime, 1).step(Add(0)), at(&runtime, 2).step(Add(0)));
    assert_eq!(runtime.transact_once(steps(), id(1)).await.unwrap(), (3, 0));
    at(&runtime, 1).send(Add(1)).await.unwrap();
    assert_eq!(runtime.transact_once(steps(), id(1)).await.unwrap(), (3, 0));
    assert_eq!(at(&runtime, 1).send(Add(1)).await.unwrap(), 5);
}

#[tokio::test]
async fn a_transaction_whose_duplicate_only_the_store_sees_gets_its_replies() {
    let store = HeldStore::new();
    let runtime = start(&store).await;
    let steps = || (at(&runtime, 1).step(Add(1)), at(&runtime, 2).step(Add(2)));
    assert_eq!(runtime.transact_once(steps(), id(1)).await.unwrap(), (1, 2));
    store.blind_look_ups(1);
    assert_eq!(runtime.transact_once(steps(), id(1)).await.unwrap(), (1, 2));
    assert_eq!(at(&runtime, 1).send(Add(1)).await.unwrap(), 2);
    assert_eq!(at(&runtime, 2).send(Add(1)).await.unwrap(), 3);
}

/// Their heads have other bytes from 16 and from 65,536 on.
#[tokio::test]
async fn the_replies_of_many_steps_come_back_as_a_list() {
    let runtime = start(&Arc::new(MemoryStore::new())).await;
    for (number, count) in [(1, 15), (2, 16), (3, 300)] {
        let steps = || -> Vec<_> {
            let counters = (0..count).map(|counter| at(&runtime, counter % 5));
            counters.map(|counter| counter.step(Add(1))).collect()
        };
        let first = runtime.transact_once(steps(), id(number)).await.unwrap();
        assert_eq!(first.len() as u64, count);
        let again = runtime.transact_once(steps(), id(number)).await.unwrap();
        assert_eq!(again, first);
    }
}
