//! Commands on a fork, beside a live state that goes on.

use std::sync::Arc;

use super::counter::*;
use super::*;
use crate::*;

async fn everything(store: &Arc<MemoryStore>) -> Vec<RecordedEvent> {
    let page = store.read_all(Position::BEFORE_FIRST, 100_000).await;
    page.unwrap().events
}

fn counter_of(runtime: &Runtime, id: &str) -> AggregateRef<Counter> {
    runtime.aggregate("acme", id).unwrap()
}

#[tokio::test]
async fn a_fork_goes_on_from_its_position_and_the_live_state_does_not_hear_of_it() {
    let store = Arc::new(MemoryStore::new());
    let runtime = start(&store).await;
    let live = counter(&runtime);
    for by in [10, 20, 30] {
        live.send(Add(by)).await.unwrap();
    }
    let before = everything(&store).await;
    let fork = runtime.what_if(Position::new(2)).await.unwrap();
    assert_eq!(fork.forked_at(), Position::new(2));
    let forked = fork.aggregate::<Counter>("acme", "1").unwrap();
    assert_eq!(forked.query(|counter| counter.count).await.unwrap(), 30);
    let committed = forked
        .execute(Add(500), CommandOptions::new())
        .await
        .unwrap();
    assert_eq!(
        (
            committed.reply,
            committed.version.get(),
            committed.position.get()
        ),
        (530, 3, 3)
    );
    // The rules hold there, too.
    let refused = forked.send(Add(LIMIT)).await.unwrap_err();
    assert!(
        matches!(refused, CommandError::Rejected(Full { count: 530 })),
        "{refused}"
    );
    let transacted = (
        counter_of(fork.runtime(), "2").step(Add(1)),
        forked.step(Add(2)),
    );
    fork.runtime().transact(transacted).await.unwrap();

    assert_eq!(everything(&store).await, before);
    assert_eq!(live.send(Add(40)).await.unwrap(), 100);
    assert_eq!(forked.query(|counter| counter.count).await.unwrap(), 532);

    let compared = fork.compare::<Counter>("acme", "1").await.unwrap();
    let counts = [&compared.forked, &compared.here, &compared.live].map(|at| at.state.count);
    assert_eq!(counts, [30, 532, 100]);
    assert_eq!(compared.changed.to_string(), "count: 30 -> 532\n");
    assert_eq!(compared.against_live.to_string(), "count: 100 -> 532\n");
    assert_eq!((compared.added.len(), compared.added_count), (2, 2));
    let all = fork.compare_all::<Counter>("acme", None, 10).await.unwrap();
    assert_eq!(all.len(), 2);
    assert_eq!(all[0], compared);
    assert_eq!(all[1].live.version, Version::EMPTY);
    assert_eq!(fork.changed_streams(None, 10).len(), 2);
    let events = fork
        .events(Position::BEFORE_FIRST, 10)
        .await
        .unwrap()
        .events;
    let positions: Vec<_> = events.iter().map(|event| event.position.get()).collect();
    assert_eq!(positions, [3, 4, 5]);

    fork.discard(PATIENCE).await.unwrap();
    runtime.shutdown(PATIENCE).await.unwrap();
    assert_eq!(everything(&store).await.len(), 4);
}

#[tokio::test]
async fn a_position_that_is_not_there_yet_cannot_be_forked() {
    let store = Arc::new(MemoryStore::new());
    let runtime = start(&store).await;
    let refused = runtime.what_if(Position::new(1)).await.unwrap_err();
    assert!(matches!(refused, WhatIfError::Fork(_)), "{refused}");
    assert!(
        refused.to_string().contains("fork at its head or before"),
        "{refused}"
    );
    let empty = runtime.what_if(Position::BEFORE_FIRST).await.unwrap();
    assert_eq!(counter(empty.runtime()).send(Add(7)).await.unwrap(), 7);
}

#[tokio::test]
async fn no_command_or_transaction_is_forked_by_half() {
    // One time of recording for all of them: the times alone do not tell them apart.
    #[derive(Debug)]
    struct Stopped;
    impl Clock for Stopped {
        fn now(&self) -> Timestamp {
            Timestamp::from_unix_micros(5)
        }
        fn new_id(&self) -> uuid::Uuid {
            SystemClock.new_id()
        }
    }
    let store = Arc::new(MemoryStore::with_clock(Arc::new(Stopped)));
    let runtime = start(&store).await;
    let mut ends = vec![0];
    for round in 0..4usize {
        counter_of(&runtime, "1")
            .send(AddOneByOne(1 + round * 300))
            .await
            .unwrap();
        ends.push(store.head().get());
        let steps = ["2", "1", "3"].map(|id| counter_of(&runtime, id).step(AddOneByOne(round + 1)));
        runtime
            .transact(steps.into_iter().collect::<Vec<_>>())
            .await
            .unwrap();
        ends.push(store.head().get());
    }
    for at in (0..=store.head().get()).filter(|at| at % 37 < 4 || ends.contains(at)) {
        let whole = *ends.iter().rfind(|end| **end <= at).unwrap();
        let fork = runtime.what_if(Position::new(at)).await.unwrap();
        assert_eq!(fork.forked_at().get(), whole, "at {at}");
    }
}

#[tokio::test]
async fn a_command_that_was_recorded_before_the_fork_is_a_retry_there_and_a_later_one_is_not() {
    let store = Arc::new(MemoryStore::new());
    let runtime = start(&store).await;
    let ids = [1u128, 2].map(uuid::Uuid::from_u128);
    let live = counter(&runtime);
    for id in ids {
        live.send_once(Add(5), id).await.unwrap();
    }
    let fork = runtime.what_if(Position::new(1)).await.unwrap();
    let forked = counter(fork.runtime());
    assert_eq!(forked.send_once(Add(5), ids[0]).await.unwrap(), 5);
    assert_eq!(forked.version().await.unwrap().get(), 1);
    assert_eq!(forked.send_once(Add(5), ids[1]).await.unwrap(), 10);
    assert_eq!(forked.send_once(Add(5), ids[1]).await.unwrap(), 10);
    assert_eq!(forked.version().await.unwrap().get(), 2);
}

#[tokio::test]
async fn a_fork_begins_with_a_live_snapshot_only_where_it_is_not_from_later() {
    let store = Arc::new(MemoryStore::new());
    let runtime = start_with(&store, |builder| builder.snapshot_every_events(100)).await;
    let live = counter(&runtime);
    for _ in 0..150 {
        live.send(Add(1)).await.unwrap();
    }
    settle().await;
    for (at, from_snapshot) in [(99, 0), (100, 100), (150, 100)] {
        let fork = runtime.what_if(Position::new(at)).await.unwrap();
        let forked = counter(fork.runtime());
        assert_eq!(forked.query(|counter| counter.count).await.unwrap(), at);
        let state = forked.past().state(AsOf::Now).await.unwrap();
        assert_eq!(
            (state.state.count, state.snapshot.get()),
            (at, from_snapshot)
        );
    }
}

/// A projection over a fork has the rows of both histories.
#[tokio::test]
async fn read_models_on_a_fork_are_its_own() {
    struct Events;
    impl Projection for Events {
        const NAME: &'static str = "events";
        type Key = String;
        type Row = u64;
        fn apply(
            &self,
            event: &RecordedEvent,
            rows: &mut Table<String, u64>,
        ) -> Result<(), ProjectionError> {
            rows.update(event.stream.aggregate_id(), |count| *count += 1);
            Ok(())
        }
    }
    let store = Arc::new(MemoryStore::new());
    let runtime = start(&store).await;
    let live_rows = runtime.project(Events).await.unwrap();
    for _ in 0..3 {
        counter(&runtime).send(Add(1)).await.unwrap();
    }
    live_rows
        .wait_for(Position::new(3), PATIENCE)
        .await
        .unwrap();
    let fork = runtime.what_if(Position::new(2)).await.unwrap();
    counter_of(fork.runtime(), "2").send(Add(1)).await.unwrap();
    let rows = fork.runtime().project(Events).await.unwrap();
    rows.wait_for(Position::new(3), PATIENCE).await.unwrap();
    assert_eq!((rows.get("1"), rows.get("2")), (Some(2), Some(1)));
    fork.discard(PATIENCE).await.unwrap();
    assert_eq!((live_rows.get("1"), live_rows.get("2")), (Some(3), None));
    runtime.shutdown(PATIENCE).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forks_and_the_live_state_work_at_the_same_time() {
    let store = Arc::new(MemoryStore::new());
    let runtime = start(&store).await;
    for id in 0..4 {
        counter_of(&runtime, &id.to_string())
            .send(Add(100))
            .await
            .unwrap();
    }
    let add = async |runtime: &Runtime| {
        for round in 0..100u64 {
            let ids = [round % 4, (round + 1) % 4].map(|id| counter_of(runtime, &id.to_string()));
            let steps = ids.iter().map(|counter| counter.step(Add(1)));
            runtime.transact(steps.collect::<Vec<_>>()).await.unwrap();
        }
    };
    let sum = async |runtime: &Runtime| {
        let mut sum = 0;
        for id in 0..4 {
            let counter = counter_of(runtime, &id.to_string());
            sum += counter.query(|counter| counter.count).await.unwrap();
        }
        sum
    };
    let fork_and_add = async || {
        let at = store.head();
        let fork = runtime.what_if(at).await.unwrap();
        let before = fork.forked_at().get() + 396;
        assert_eq!(sum(fork.runtime()).await, before);
        add(fork.runtime()).await;
        assert_eq!(sum(fork.runtime()).await, before + 200);
        fork.discard(PATIENCE).await.unwrap();
    };
    tokio::join!(add(&runtime), fork_and_add(), fork_and_add(), async {
        tokio::task::yield_now().await;
        fork_and_add().await;
    });
    assert_eq!(sum(&runtime).await, 600);
    assert_eq!(store.head().get(), 204);
    runtime.shutdown(PATIENCE).await.unwrap();
}
