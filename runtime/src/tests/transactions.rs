//! Commands to several aggregates take effect together or not at all.

use std::collections::HashMap;

use super::counter::*;
use super::*;
use crate::*;
use foldhouse_store::{Append, NewEvent, Payload, SnapshotCriteria, SnapshotStore};
use tokio::task::JoinSet;
use uuid::Uuid;

pub(super) fn at(runtime: &Runtime, id: &str) -> AggregateRef<Counter> {
    runtime.aggregate("acme", id).unwrap()
}

pub(super) async fn count(counter: &AggregateRef<Counter>) -> u64 {
    counter.query(|state| state.count).await.unwrap()
}

pub(super) async fn over_memory() -> (Arc<MemoryStore>, Runtime) {
    let store = Arc::new(MemoryStore::new());
    let runtime = start(&store).await;
    (store, runtime)
}

async fn all_events(store: &Arc<impl Store>) -> Vec<RecordedEvent> {
    store
        .read_all(Position::BEFORE_FIRST, 10_000)
        .await
        .unwrap()
        .events
}

#[derive(Debug, PartialEq, thiserror::Error)]
#[error("it is at {0}")]
struct NotBelow(u64);

fn below(limit: u64) -> impl FnOnce(&Counter) -> Result<u64, NotBelow> + Send + 'static {
    move |state| match state.count {
        count if count < limit => Ok(count),
        count => Err(NotBelow(count)),
    }
}

#[tokio::test]
async fn all_steps_take_effect_and_each_replies() {
    let (_store, runtime) = over_memory().await;
    let (a, b) = (at(&runtime, "a"), at(&runtime, "b"));
    a.send(Add(10)).await.unwrap();
    let replies = runtime.transact((b.step(Add(2)), a.step(Add(3)))).await;
    assert_eq!(replies.unwrap(), (2, 13));
    assert_eq!((count(&a).await, count(&b).await), (13, 2));
    let many: Vec<_> = (0..50)
        .map(|id| at(&runtime, &id.to_string()).step(Add(id)))
        .collect();
    let replies = runtime.transact((many, (a.step(Add(1)),))).await.unwrap();
    assert_eq!(replies, ((0..50).collect(), (14,)));
}

#[tokio::test]
async fn the_events_stand_side_by_side_in_the_order_of_the_steps_under_one_command_id() {
    let (store, runtime) = over_memory().await;
    let (a, b, c) = (at(&runtime, "a"), at(&runtime, "b"), at(&runtime, "c"));
    let id = Uuid::from_u128(7);
    let meta = CommandMeta::new().user("anna").with("entry", "4711");
    let options = CommandOptions::new().command_id(id).meta(meta);
    let steps = (
        c.step(Add(1)),
        a.step(AddOneByOne(2)),
        b.step(Add(3)),
        c.step(Add(4)),
    );
    let transacted = runtime.transact_with(steps, options).await.unwrap();
    assert_eq!(transacted.replies, (1, (), 3, 5));
    assert_eq!(transacted.position, Position::new(5));
    assert_eq!(transacted.command_id, id);
    let events = all_events(&store).await;
    let streams = [&c, &c, &a, &a, &b].map(|counter| counter.stream().clone());
    assert_eq!(
        events.iter().map(|event| &event.stream).collect::<Vec<_>>(),
        streams.iter().collect::<Vec<_>>()
    );
    let ids = [(&c, 0), (&c, 1), (&a, 0), (&a, 1), (&b, 0)];
    for (event, (counter, index)) in events.iter().zip(ids) {
        assert_eq!(event.id, event_id(id, counter.stream(), index));
        assert_eq!(event.user.as_deref(), Some("anna"));
    }
    let noted = |event: &RecordedEvent| event.metadata.contains_key("entry");
    assert!(events.iter().all(noted));
}

#[tokio::test]
async fn a_rejected_step_is_named_and_nothing_happens_to_any() {
    let (store, runtime) = over_memory().await;
    let (a, b) = (at(&runtime, "a"), at(&runtime, "b"));
    b.send(Add(LIMIT)).await.unwrap();
    for (steps, rejected) in [
        ([(&a, 1), (&b, 1)], 1),
        ([(&b, 1), (&a, 1)], 0),
        ([(&b, 0), (&b, 1)], 1),
    ] {
        let steps = steps.map(|(counter, by)| counter.step(Add(by)));
        let error = runtime.transact(Vec::from(steps)).await.unwrap_err();
        assert_eq!(error.rejection(), Some(&Full { count: LIMIT }));
        assert_eq!(
            error.to_string(),
            format!(
                "step {rejected} (stream acme/counter/b) was rejected, so nothing was recorded: 1000000 is all it can count"
            )
        );
        assert!(!error.is_retry_safe());
    }
    assert_eq!(store.head(), Position::new(1));
    assert_eq!((count(&a).await, count(&b).await), (0, LIMIT));
    assert_eq!(a.send(Add(1)).await.unwrap(), 1);
}

#[tokio::test]
async fn two_steps_on_one_aggregate_see_each_other() {
    let (_store, runtime) = over_memory().await;
    let a = at(&runtime, "a");
    let each_fits = || a.step(Add(LIMIT / 2 + 1));
    let error = runtime.transact((each_fits(), each_fits())).await;
    let full = Full {
        count: LIMIT / 2 + 1,
    };
    assert_eq!(error.unwrap_err().rejection(), Some(&full));
    assert_eq!(count(&a).await, 0);
    let steps = vec![a.step(Add(2)), a.step(Add(0)), a.step(Add(3))];
    assert_eq!(runtime.transact(steps).await.unwrap(), [2, 2, 5]);
    assert_eq!(count(&a).await, 5);
}

#[tokio::test]
async fn a_condition_is_checked_and_its_aggregate_is_not_changed() {
    let (store, runtime) = over_memory().await;
    let (a, b) = (at(&runtime, "a"), at(&runtime, "b"));
    a.send(Add(5)).await.unwrap();
    let seen = runtime
        .transact((b.step(Add(1)), a.require(below(6))))
        .await;
    assert_eq!(seen.unwrap(), (1, 5));
    let error = runtime
        .transact((b.step(Add(1)), a.require(below(5))))
        .await
        .unwrap_err();
    assert_eq!(error.rejection(), Some(&NotBelow(5)));
    // After a step on the same aggregate it sees what that left.
    let error = runtime
        .transact((a.step(Add(1)), a.require(below(6))))
        .await;
    assert_eq!(error.unwrap_err().rejection(), Some(&NotBelow(6)));
    // Only conditions: nothing is recorded, and the answer is true at one moment.
    let seen = runtime
        .transact((a.require(below(9)), b.require(below(9))))
        .await;
    assert_eq!(seen.unwrap(), (5, 1));
    assert_eq!(store.head(), Position::new(2));
}

#[tokio::test]
async fn a_dry_run_tells_what_would_happen_and_changes_nothing() {
    let (store, runtime) = over_memory().await;
    let (a, b) = (at(&runtime, "a"), at(&runtime, "b"));
    a.send(Add(5)).await.unwrap();
    let plain = CommandOptions::new;
    let would = runtime.dry_run((a.step(Add(1)), b.step(Add(2))), plain());
    assert_eq!(would.await.unwrap(), (6, 2));
    assert_eq!(runtime.dry_run(a.step(Add(1)), plain()).await.unwrap(), 6);
    let refused = runtime.dry_run(a.step(Add(LIMIT)), plain()).await;
    assert_eq!(refused.unwrap_err().rejection(), Some(&Full { count: 5 }));
    assert_eq!(store.head(), Position::new(1));
    assert_eq!((count(&a).await, count(&b).await), (5, 0));
}

#[tokio::test]
async fn a_transaction_that_makes_no_sense_is_refused_by_name() {
    let (_store, runtime) = over_memory().await;
    let (_store, other) = over_memory().await;
    let none: Vec<Step<Add>> = Vec::new();
    let error = runtime.transact(none).await.unwrap_err();
    assert!(matches!(error, TransactionError::Empty), "{error}");
    let steps = (at(&runtime, "a").step(Add(1)), at(&other, "b").step(Add(1)));
    let error = runtime.transact(steps).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the handle on acme/counter/b belongs to another runtime; nothing was recorded"
    );
    let count = TRANSACTION_AGGREGATES_MAX + 1;
    let too_many: Vec<_> = (0..count)
        .map(|id| at(&runtime, &id.to_string()).step(Add(1)))
        .collect();
    let error = runtime.transact(too_many).await.unwrap_err();
    assert!(matches!(error, TransactionError::TooManyAggregates(found) if found == count));
    let most: Vec<_> = (0..TRANSACTION_AGGREGATES_MAX)
        .map(|id| at(&runtime, &id.to_string()).step(Add(1)))
        .collect();
    runtime.transact(most).await.unwrap();
}

#[tokio::test]
async fn a_panicking_step_harms_nothing_but_its_transaction() {
    let (store, runtime) = over_memory().await;
    let (a, b, c) = (at(&runtime, "a"), at(&runtime, "b"), at(&runtime, "c"));
    for (panic, expected) in [
        (Panic::InDecide, PanickedIn::Decide),
        (Panic::InApply, PanickedIn::Apply),
        (Panic::WhileEncoding, PanickedIn::Encode),
    ] {
        let steps = (a.step(Add(1)), b.step(panic), c.step(Add(1)));
        let error = runtime.transact(steps).await.unwrap_err();
        assert!(
            matches!(&error, TransactionError::Panicked { stream, panicked_in, .. }
                if stream == b.stream() && *panicked_in == expected),
            "{error}"
        );
        assert_eq!(store.head(), Position::BEFORE_FIRST);
        let counts = (count(&a).await, count(&b).await, count(&c).await);
        assert_eq!(counts, (0, 0, 0));
    }
    let steps = (a.step(Add(1)), b.step(Add(1)), c.step(Add(1)));
    assert_eq!(runtime.transact(steps).await.unwrap(), (1, 1, 1));
}

#[tokio::test]
async fn an_unreadable_aggregate_fails_the_transaction_and_lets_the_others_go_on() {
    let (store, runtime) = over_memory().await;
    let (a, b) = (at(&runtime, "a"), at(&runtime, "b"));
    let event = NewEvent::new(SystemClock.new_id(), "Nonsense", Payload::raw("?"));
    let append = Append::to(b.stream().clone(), ExpectedVersion::Any, [event]);
    store.append(append).await.unwrap();
    let error = runtime.transact((a.step(Add(1)), b.step(Add(1)))).await;
    assert!(matches!(error, Err(TransactionError::Unreadable(_))));
    assert_eq!(a.send(Add(1)).await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn transfers_in_all_directions_never_deadlock_and_conserve_the_sum() {
    const COUNTERS: u64 = 6;
    const CALLERS: u64 = 24;
    const EACH: u64 = 150;
    let (store, runtime) = over_memory().await;
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let runtime = runtime.clone();
        callers.spawn(async move {
            let mut sums: HashMap<u64, u64> = HashMap::new();
            for n in 0..EACH {
                let from = (caller + n) % COUNTERS;
                let to = (caller * 5 + n * 7) % COUNTERS;
                let [one, other] = [from, to].map(|id| at(&runtime, &id.to_string()));
                if n % 5 == 0 {
                    one.send(Add(1)).await.unwrap();
                    *sums.entry(from).or_default() += 1;
                    continue;
                }
                let watched = at(&runtime, &(n % COUNTERS).to_string());
                let steps = (
                    one.step(Add(2)),
                    watched.require(below(LIMIT)),
                    other.step(Add(3)),
                );
                runtime.transact(steps).await.unwrap();
                *sums.entry(from).or_default() += 2;
                *sums.entry(to).or_default() += 3;
            }
            sums
        });
    }
    let all = async {
        let mut sums: HashMap<u64, u64> = HashMap::new();
        while let Some(caller) = callers.join_next().await {
            for (counter, sum) in caller.unwrap() {
                *sums.entry(counter).or_default() += sum;
            }
        }
        sums
    };
    let sums = tokio::time::timeout(PATIENCE, all)
        .await
        .expect("no deadlock");
    for (counter, sum) in sums {
        assert_eq!(count(&at(&runtime, &counter.to_string())).await, sum);
    }
    // Every transaction stands in one piece.
    let events = all_events(&store).await;
    let by = |event: &RecordedEvent| match decode_event::<Counter>(event).unwrap().unwrap() {
        CounterEvent::Added { by } => by,
        other => panic!("{other:?}"),
    };
    for pair in events.windows(2) {
        assert_eq!(by(&pair[0]) == 2, by(&pair[1]) == 3, "{pair:?}");
    }
    runtime.shutdown(PATIENCE).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_two_transactions_read_and_write_crosswise_is_as_if_one_came_first() {
    // Each adds to one if the other is still 0: both may do so only if neither saw the other, which no order explains.
    for round in 0..200 {
        let (_store, runtime) = over_memory().await;
        let (a, b) = (at(&runtime, "a"), at(&runtime, "b"));
        let one = runtime.transact((a.require(below(1)), b.step(Add(1))));
        let other = runtime.transact((b.require(below(1)), a.step(Add(1))));
        let (one, other) = tokio::join!(
            tokio::time::timeout(PATIENCE, one),
            tokio::time::timeout(PATIENCE, other)
        );
        let took_effect = [one.unwrap().is_ok(), other.unwrap().is_ok()];
        assert_eq!(
            took_effect.iter().filter(|ok| **ok).count(),
            1,
            "round {round}: {took_effect:?}"
        );
    }
}

#[tokio::test]
async fn snapshots_are_taken_of_what_transactions_lead_to() {
    let store = Arc::new(MemoryStore::new());
    let runtime = start_with(&store, |builder| builder.snapshot_every_events(4)).await;
    let (a, b) = (at(&runtime, "a"), at(&runtime, "b"));
    for _ in 0..5 {
        runtime
            .transact((a.step(Add(1)), b.step(Add(1))))
            .await
            .unwrap();
    }
    settle().await;
    runtime.shutdown(PATIENCE).await.unwrap();
    for counter in [&a, &b] {
        let snapshot = store
            .load_snapshot(counter.stream(), SnapshotCriteria::ALL)
            .await
            .unwrap();
        assert_eq!(snapshot.unwrap().version, Version::new(4));
    }
    let runtime = start(&store).await;
    assert_eq!(count(&at(&runtime, "a")).await, 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_shutdown_in_the_middle_answers_every_transaction_and_leaves_no_half() {
    for round in 0..30 {
        let (store, runtime) = over_memory().await;
        let mut callers = JoinSet::new();
        for caller in 0..16 {
            let runtime = runtime.clone();
            callers.spawn(async move {
                let mut done = 0u64;
                loop {
                    let ids = [caller % 3, (caller + 1 + done) % 3];
                    let steps: Vec<_> = ids
                        .iter()
                        .map(|id| at(&runtime, &id.to_string()).step(Add(1)))
                        .collect();
                    match runtime.transact(steps).await {
                        Ok(_) => done += 1,
                        Err(error) => {
                            assert!(
                                matches!(error, TransactionError::NotRecorded { .. }),
                                "{error}"
                            );
                            return done;
                        }
                    }
                }
            });
        }
        for _ in 0..round * 20 {
            tokio::task::yield_now().await;
        }
        runtime.shutdown(PATIENCE).await.unwrap();
        let mut done = 0;
        let all = async {
            while let Some(caller) = callers.join_next().await {
                done += caller.unwrap();
            }
        };
        tokio::time::timeout(PATIENCE, all)
            .await
            .expect("everyone is answered");
        assert_eq!(store.head().get(), done * 2);
    }
}
