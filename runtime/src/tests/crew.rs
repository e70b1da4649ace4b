//! Aggregates at rest have no actor, and nobody can tell from the answers.

use super::counter::*;
use super::held_store::{HeldStore, not_recorded};
use super::transactions::at;
use super::*;
use crate::*;

const IDS: [&str; 5] = ["a", "b", "c", "d", "e"];

/// Five aggregates that count 1, of whose actors so many may stay.
async fn five(idle_actors_max: usize) -> (Arc<HeldStore>, Runtime, Vec<AggregateRef<Counter>>) {
    let store = HeldStore::new();
    let runtime = start_with(&store, |builder| builder.idle_actors_max(idle_actors_max)).await;
    let counters: Vec<_> = IDS.iter().map(|id| at(&runtime, id)).collect();
    for counter in &counters {
        counter.send(Add(1)).await.unwrap();
    }
    settle().await;
    (store, runtime, counters)
}

/// Has an actor work off what two callers send to each at once.
async fn contend(store: &HeldStore, counters: &[&AggregateRef<Counter>]) {
    store.set_ready(false);
    let sent: Vec<_> = counters
        .iter()
        .map(|counter| {
            let counter = (*counter).clone();
            tokio::spawn(async move { counter.send(Add(1)).await })
        })
        .collect();
    settle().await;
    store.set_ready(true);
    for sent in sent {
        sent.await.unwrap().unwrap();
    }
    settle().await;
}

fn has_actor(counter: &AggregateRef<Counter>) -> bool {
    counter.slot().has_actor()
}

#[tokio::test]
async fn aggregates_at_rest_stay_in_memory_without_an_actor() {
    let (_, runtime, counters) = five(0).await;
    assert_eq!((runtime.live_aggregates(), runtime.actor_count()), (5, 0));
    for counter in &counters {
        assert_eq!(counter.send(Add(1)).await.unwrap(), 2);
        assert_eq!(counter.query(|state| state.count).await.unwrap(), 2);
    }
    let (a, b) = (&counters[0], &counters[1]);
    let transfer = runtime.transact((a.step(Add(1)), b.step(Add(2)))).await;
    assert_eq!(transfer.unwrap(), (3, 4));
    // All that was decided where it was sent.
    assert_eq!((runtime.live_aggregates(), runtime.actor_count()), (5, 0));
    runtime.shutdown(PATIENCE).await.unwrap();
    assert_eq!(runtime.live_aggregates(), 0);
}

#[tokio::test]
async fn what_waits_in_a_mailbox_gets_an_actor_which_stays_if_few_do() {
    for (idle_actors_max, stay) in [(0, 0), (2, 2), (5, 5)] {
        let (store, runtime, counters) = five(idle_actors_max).await;
        contend(&store, &counters.iter().collect::<Vec<_>>()).await;
        assert_eq!(runtime.actor_count(), stay);
        for counter in &counters {
            assert_eq!(counter.send(Add(1)).await.unwrap(), 3);
        }
        runtime.shutdown(PATIENCE).await.unwrap();
        assert_eq!(runtime.actor_count(), 0);
    }
}

#[tokio::test]
async fn an_actor_that_has_had_no_work_makes_room_for_one_that_has() {
    let (store, runtime, counters) = five(2).await;
    let [a, b, c, ..] = &counters[..] else {
        panic!("there are five");
    };
    // More than once: an actor is looked at twice before it goes.
    for _ in 0..4 {
        contend(&store, &[a, c]).await;
    }
    assert!(has_actor(a) && has_actor(c) && !has_actor(b));
    for _ in 0..4 {
        contend(&store, &[a, b]).await;
    }
    assert!(has_actor(a) && has_actor(b) && !has_actor(c));
    assert_eq!(runtime.actor_count(), 2);
}

#[tokio::test]
async fn a_failed_append_is_noticed_by_an_aggregate_without_an_actor() {
    let (store, runtime, counters) = five(0).await;
    store.hold();
    let counter = counters[0].clone();
    let first = tokio::spawn(async move { counter.send(Add(1)).await });
    let counter = counters[0].clone();
    let second = tokio::spawn(async move { counter.send(Add(1)).await });
    settle().await;
    assert_eq!(runtime.actor_count(), 0);
    store.fail_one(not_recorded());
    store.let_go();
    assert!(first.await.unwrap().is_err() && second.await.unwrap().is_err());
    assert_eq!(counters[0].send(Add(1)).await.unwrap(), 2);
}

#[tokio::test]
async fn a_panic_ends_the_life_of_an_aggregate_without_an_actor_and_the_next_one_knows_what_is_durable()
 {
    let (_, runtime, counters) = five(0).await;
    let error = counters[0].send(Panic::InApply).await.unwrap_err();
    assert!(matches!(error, CommandError::Panicked { .. }), "{error}");
    assert_eq!(counters[0].send(Add(1)).await.unwrap(), 2);
    settle().await;
    assert_eq!((runtime.live_aggregates(), runtime.actor_count()), (5, 0));
}

/// An aggregate at rest refers to its slot, which holds it: nothing but its end sets them free.
#[test]
fn whichever_of_tokio_and_the_runtime_goes_first_nothing_of_them_is_left() {
    for tokio_goes_first in [true, false] {
        for idle_actors_max in [0, 2] {
            let tokio = tokio::runtime::Runtime::new().unwrap();
            let (store, runtime, counters) = tokio.block_on(five(idle_actors_max));
            drop(counters);
            if tokio_goes_first {
                drop(tokio);
                drop(runtime);
            } else {
                drop(runtime);
                let waiting = std::time::Instant::now();
                while Arc::strong_count(&store) > 1 && waiting.elapsed() < PATIENCE {
                    std::thread::yield_now();
                }
                drop(tokio);
            }
            assert_eq!(Arc::strong_count(&store), 1, "{tokio_goes_first}");
        }
    }
}

#[tokio::test]
async fn a_transaction_that_waits_for_one_aggregate_borrows_the_others_where_they_rest() {
    let (_, runtime, counters) = five(0).await;
    let [a, b, c, ..] = &counters[..] else {
        panic!("there are five");
    };
    let busy = b.slot().borrow().unwrap();
    let transfer = tokio::spawn({
        let (runtime, steps) = (
            runtime.clone(),
            (c.step(Add(3)), b.step(Add(2)), a.step(Add(1))),
        );
        async move { runtime.transact(steps).await }
    });
    settle().await;
    // In the order of their ids: the last one is not kept from others yet.
    assert!(a.slot().borrow().is_none());
    assert_eq!(c.send(Add(1)).await.unwrap(), 2);
    assert!(!transfer.is_finished() && runtime.actor_count() == 0);
    let waiting = tokio::spawn({
        let a = a.clone();
        async move { a.send(Add(1)).await }
    });
    settle().await;
    drop(busy);
    assert_eq!(transfer.await.unwrap().unwrap(), (5, 3, 2));
    assert_eq!(waiting.await.unwrap().unwrap(), 3);
    settle().await;
    assert_eq!(runtime.actor_count(), 0);
}
