use super::counter::*;
use super::held_store::HeldStore;
use super::*;
use crate::*;
use foldhouse_store::StreamQuery;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn commands_of_many_callers_take_effect_one_by_one_and_versions_have_no_gap() {
    const TASKS: u64 = 64;
    const COMMANDS: u64 = 200;
    for aggregates in [1, 7, 500] {
        let store = Arc::new(MemoryStore::new());
        let runtime = start(&store).await;
        let tasks: Vec<_> = (0..TASKS)
            .map(|task| {
                let runtime = runtime.clone();
                tokio::spawn(async move {
                    let mut replies = Vec::new();
                    for command in 0..COMMANDS {
                        let id = ((task * 31 + command * 17) % aggregates).to_string();
                        let counter = runtime.aggregate::<Counter>("acme", &id).unwrap();
                        replies.push((id, counter.send(Add(1)).await.unwrap()));
                    }
                    replies
                })
            })
            .collect();
        let mut replies: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        for task in tasks {
            for (id, reply) in task.await.unwrap() {
                replies.entry(id).or_default().push(reply);
            }
        }
        // Each command saw the one before it: the replies of an aggregate are 1, 2, 3, ... without a gap or a repeat.
        for (id, mut counts) in replies {
            counts.sort_unstable();
            let expected: Vec<u64> = (1..=counts.len() as u64).collect();
            assert_eq!(counts, expected, "aggregate {id}");
        }
        assert_eq!(store.head(), Position::new(TASKS * COMMANDS));
    }
}

#[tokio::test]
async fn commands_are_decided_in_the_order_in_which_they_were_accepted() {
    let store = Arc::new(MemoryStore::new());
    let runtime = start(&store).await;
    let counter = counter(&runtime);
    // Polled once in this order, so accepted in this order.
    let commands: Vec<_> = (1..=50).map(|by| counter.send(Add(by))).collect();
    for (task, by) in futures_in_order(commands).await.into_iter().zip(1..) {
        assert_eq!(task.unwrap(), by * (by + 1) / 2);
    }
    let query = StreamQuery::whole(counter.stream().clone(), 100);
    let events = store.read_stream(query).await.unwrap().events;
    for (event, by) in events.iter().zip(1..) {
        let decoded = decode_event::<Counter>(event).unwrap().unwrap();
        assert_eq!(decoded, CounterEvent::Added { by });
    }
}

async fn futures_in_order<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    let mut futures: Vec<_> = futures.into_iter().map(Box::pin).collect();
    let mut outputs: Vec<Option<F::Output>> = futures.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (future, output) in futures.iter_mut().zip(&mut outputs) {
            if output.is_none()
                && let std::task::Poll::Ready(value) = future.as_mut().poll(context)
            {
                *output = Some(value);
            }
        }
        if outputs.iter().all(Option::is_some) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    outputs.into_iter().flatten().collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hundred_first_callers_find_one_actor() {
    for _ in 0..20 {
        let store = HeldStore::new();
        let runtime = start(&store).await;
        let barrier = Arc::new(tokio::sync::Barrier::new(100));
        let callers: Vec<_> = (0..100)
            .map(|_| {
                let (runtime, barrier) = (runtime.clone(), barrier.clone());
                tokio::spawn(async move {
                    barrier.wait().await;
                    counter(&runtime).send(Add(1)).await.unwrap()
                })
            })
            .collect();
        let mut counts = Vec::new();
        for caller in callers {
            counts.push(caller.await.unwrap());
        }
        counts.sort_unstable();
        assert_eq!(counts, (1..=100).collect::<Vec<_>>());
        assert_eq!(store.snapshots_loaded.load(Ordering::SeqCst), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn panics_and_cancelled_callers_in_a_crowd_leave_a_whole_stream() {
    let store = Arc::new(MemoryStore::new());
    let runtime = start_with(&store, |builder| {
        // It panics more often than would be put up with.
        builder
            .restarts_max(10_000, PATIENCE)
            .restart_backoff_max(Duration::ZERO)
    })
    .await;
    let tasks: Vec<_> = (0..32)
        .map(|task| {
            let counter = counter(&runtime);
            tokio::spawn(async move {
                let mut added = 0;
                for turn in 0..100 {
                    match (task + turn) % 16 {
                        0 => drop(counter.send(Panic::InDecide).await.unwrap_err()),
                        1 => drop(counter.send(Panic::InApply).await.unwrap_err()),
                        2 => {
                            // Polled once, then dropped: it may count or not.
                            tokio::select! {
                                biased;
                                _ = counter.send(Add(1_000)) => {}
                                () = std::future::ready(()) => {}
                            }
                        }
                        _ => {
                            counter.send(Add(1)).await.unwrap();
                            added += 1;
                        }
                    }
                }
                added
            })
        })
        .collect();
    let mut added = 0;
    for task in tasks {
        added += task.await.unwrap();
    }
    let counter = counter(&runtime);
    let count = counter.query(|state| state.count).await.unwrap();
    assert_eq!(count % 1_000, added % 1_000);
    assert_eq!(counter.version().await.unwrap().get(), store.head().get());
    let report = runtime.shutdown(PATIENCE).await.unwrap();
    assert_eq!((report.aggregates_left, report.unanswered), (0, 0));
}
