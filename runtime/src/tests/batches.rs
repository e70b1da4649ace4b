//! Several commands, or several transactions, in one call.

use super::counter::*;
use super::held_store::not_recorded;
use super::transaction_durability::held;
use super::transactions::{at, count, over_memory};
use super::*;
use crate::*;

#[tokio::test]
async fn commands_sent_in_one_call_are_decided_in_order_each_for_itself() {
    let (_store, runtime) = over_memory().await;
    let a = at(&runtime, "a");
    let outcomes = a
        .send_each(vec![Add(1), Add(LIMIT), Add(2), Add(3)])
        .await
        .into_iter()
        .map(|outcome| outcome.map_err(|error| error.rejection().cloned()))
        .collect::<Vec<_>>();
    let rejected = Err(Some(Full { count: 1 }));
    assert_eq!(outcomes, [Ok(1), rejected, Ok(3), Ok(6)]);
    assert_eq!(count(&a).await, 6);
}

#[tokio::test]
async fn more_commands_than_may_be_in_flight_wait_for_those_before_them() {
    let store = Arc::new(MemoryStore::new());
    let runtime = start_with(&store, |builder| builder.commands_in_flight_max(2)).await;
    let a = at(&runtime, "a");
    let outcomes = a.send_each(vec![Add(1); 100]).await;
    let replies: Vec<_> = outcomes.into_iter().map(Result::unwrap).collect();
    assert_eq!(replies, (1..=100).collect::<Vec<_>>());
}

#[tokio::test]
async fn transactions_in_one_call_take_effect_in_order_each_for_itself() {
    let (_store, runtime) = over_memory().await;
    let [a, b, c] = ["a", "b", "c"].map(|id| at(&runtime, id));
    for before in [0, 4] {
        let outcomes = runtime
            .transact_each(vec![
                (a.step(Add(1)), b.step(Add(1))),
                (c.step(Add(1)), a.step(Add(LIMIT))),
                (c.step(Add(1)), b.step(Add(1))),
                (a.step(Add(1)), a.step(Add(2))),
            ])
            .await;
        let replies: Vec<_> = outcomes
            .into_iter()
            .map(|outcome| match outcome {
                Err(TransactionError::Rejected { step: 1, .. }) => None,
                outcome => Some(outcome.unwrap()),
            })
            .collect();
        let expected = [
            Some((before + 1, before / 2 + 1)),
            None,
            Some((before / 4 + 1, before / 2 + 2)),
            Some((before + 2, before + 4)),
        ];
        assert_eq!(replies, expected);
    }
}

#[tokio::test]
async fn transactions_in_one_call_keep_their_order_also_where_one_has_to_wait() {
    let (store, runtime, [a, b], _) = held().await;
    store.let_go();
    let c = at(&runtime, "c");
    for round in 1..=50 {
        // A cold aggregate in the first: the second would find its own idle.
        let cold = at(&runtime, &format!("cold-{round}"));
        let outcomes = runtime
            .transact_each(vec![
                vec![cold.step(Add(1)), a.step(Add(1))],
                vec![a.step(Add(1)), b.step(Add(1)), c.step(Add(1))],
            ])
            .await;
        let replies: Vec<_> = outcomes.into_iter().map(Result::unwrap).collect();
        assert_eq!(replies[0], [1, 2 * round]);
        assert_eq!(replies[1], [2 * round + 1, round + 1, round]);
    }
}

#[tokio::test]
async fn a_failed_append_in_a_batch_takes_back_what_was_built_on_it_and_no_more() {
    let (store, runtime, [a, b], submitted) = held().await;
    let c = at(&runtime, "c");
    store.let_go();
    c.send(Add(1)).await.unwrap();
    store.hold();
    let submitted = submitted + store.submitted() - submitted;
    let batch = tokio::spawn({
        let runtime = runtime.clone();
        let transactions = vec![
            (a.step(Add(1)), b.step(Add(1))),
            (b.step(Add(1)), a.step(Add(1))),
        ];
        async move { runtime.transact_each(transactions).await }
    });
    store.until_submitted(submitted + 2).await;
    store.fail_one(not_recorded());
    store.let_go();
    for outcome in batch.await.unwrap() {
        let error = outcome.unwrap_err();
        assert!(
            matches!(error, TransactionError::NotRecorded { .. }),
            "{error}"
        );
    }
    assert_eq!((count(&a).await, count(&b).await), (1, 1));
    assert_eq!(c.send(Add(1)).await.unwrap(), 2);
}
