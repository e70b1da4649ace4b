//! What fails is started again, later and later, and left alone in the end; nobody else is touched.

use foldhouse_store::{Append, ExpectedVersion, NewEvent, Payload};
use tokio::time::Instant;

use super::counter::*;
use super::held_store::{HeldStore, not_recorded};
use super::*;
use crate::*;

fn at(runtime: &Runtime, id: &str) -> AggregateRef<Counter> {
    runtime.aggregate("acme", id).unwrap()
}

/// A runtime that parks an aggregate at its fourth failure.
async fn start_strict(store: &Arc<impl Store>) -> Runtime {
    start_with(store, |builder| {
        builder
            .restarts_max(3, Duration::from_secs(600))
            .restart_backoff_max(Duration::from_secs(60))
    })
    .await
}

async fn fail(counter: &AggregateRef<Counter>, times: usize) {
    for _ in 0..times {
        let error = counter.send(Panic::InDecide).await.unwrap_err();
        assert!(matches!(error, CommandError::Panicked { .. }), "{error}");
    }
}

fn parked<R>(error: &CommandError<R>) -> &ParkedAggregate {
    match error {
        CommandError::Parked(parked) => parked,
        _ => panic!("it is not parked"),
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_restart_comes_at_once_and_the_next_ones_later_and_later() {
    let runtime = start_with(&Arc::new(MemoryStore::new()), |builder| {
        builder.restart_backoff_max(Duration::from_millis(35))
    })
    .await;
    let counter = counter(&runtime);
    let mut waited = Vec::new();
    for count in 1..=5 {
        fail(&counter, 1).await;
        let failed_at = Instant::now();
        assert_eq!(counter.send(Add(1)).await.unwrap(), count);
        waited.push(failed_at.elapsed().as_millis());
    }
    // The timer's steps are milliseconds, and may add one.
    for (waited, least) in waited.iter().zip([0, 10, 20, 35, 35]) {
        assert!((least..=least + 1).contains(waited), "{waited} for {least}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_sent_while_an_aggregate_backs_off_waits_and_is_answered_in_order() {
    let runtime = start(&Arc::new(MemoryStore::new())).await;
    let counter = counter(&runtime);
    fail(&counter, 6).await;
    let began = Instant::now();
    let commands: Vec<_> = (1..=20)
        .map(|count| {
            let counter = counter.clone();
            (
                count,
                tokio::spawn(async move { counter.send(Add(1)).await }),
            )
        })
        .collect();
    for (count, command) in commands {
        assert_eq!(command.await.unwrap().unwrap(), count);
    }
    assert!(began.elapsed() >= Duration::from_millis(160));
}

#[tokio::test(start_paused = true)]
async fn one_that_fails_too_often_is_parked_and_every_way_in_says_so_at_once() {
    let runtime = start_strict(&Arc::new(MemoryStore::new())).await;
    let bad = at(&runtime, "bad");
    let good = at(&runtime, "good");
    bad.send(Add(7)).await.unwrap();
    fail(&bad, 4).await;
    let now = Instant::now();
    let error = bad.send(Add(1)).await.unwrap_err();
    assert!(!error.is_retry_safe());
    let told = parked(&error).clone();
    assert_eq!((&told.stream, told.failures), (bad.stream(), 4));
    assert_eq!(
        &*told.reason,
        "decide of acme/counter/bad panicked: decide was told to panic"
    );
    assert!(
        error.to_string().contains("AggregateRef::revive"),
        "{error}"
    );
    let QueryError::Parked(of_query) = bad.version().await.unwrap_err() else {
        panic!("a query is told something else");
    };
    let steps = (good.step(Add(1)), bad.step(Add(1)));
    let TransactionError::Parked(of_transaction) = runtime.transact(steps).await.unwrap_err()
    else {
        panic!("a transaction is told something else");
    };
    assert_eq!((&*of_query, &*of_transaction), (&told, &told));
    assert_eq!(runtime.parked(), [told]);
    assert_eq!(Instant::now(), now);
    // Nothing happened to the other one, and a new handle makes no difference.
    assert_eq!(good.send(Add(1)).await.unwrap(), 1);
    drop((error, bad));
    settle().await;
    let again = at(&runtime, "bad");
    parked(&again.send(Add(1)).await.unwrap_err());
    // It comes back as it was, with a clean record.
    assert!(again.revive());
    assert!(!again.revive());
    assert!(runtime.parked().is_empty());
    assert_eq!(again.send(Add(1)).await.unwrap(), 8);
    fail(&again, 3).await;
    assert_eq!(again.send(Add(1)).await.unwrap(), 9);
    fail(&again, 1).await;
    parked(&again.send(Add(1)).await.unwrap_err());
    runtime.shutdown(PATIENCE).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_cannot_be_read_parks_its_aggregate_with_the_event() {
    let store = Arc::new(MemoryStore::new());
    let broken = NewEvent::new(
        SystemClock.new_id(),
        "Broken",
        Payload::message_pack(b"\xa6Broken".to_vec()),
    );
    let stream = StreamId::new("acme", "counter", "1").unwrap();
    let append = Append::to(stream, ExpectedVersion::Any, [broken]);
    store.append(append).await.unwrap();
    let runtime = start_strict(&store).await;
    let counter = counter(&runtime);
    for _ in 0..4 {
        let error = counter.send(Add(1)).await.unwrap_err();
        assert!(matches!(error, CommandError::Unreadable(_)), "{error}");
    }
    let error = counter.send(Add(1)).await.unwrap_err();
    let reason = &parked(&error).reason;
    assert!(
        reason.contains("event 1 of stream acme/counter/1"),
        "{reason}"
    );
    // Revived without anything mended it fails again, as before.
    assert!(counter.revive());
    let error = counter.send(Add(1)).await.unwrap_err();
    assert!(matches!(error, CommandError::Unreadable(_)), "{error}");
}

#[tokio::test(start_paused = true)]
async fn appends_that_fail_are_not_the_aggregates_fault() {
    let store = HeldStore::new();
    let runtime = start_strict(&store).await;
    let counter = counter(&runtime);
    counter.send(Add(1)).await.unwrap();
    let began = Instant::now();
    for _ in 0..10 {
        // There is an actor, which asks the store for nothing more.
        counter.version().await.unwrap();
        store.hold();
        let submitted = store.submitted();
        let sending = counter.clone();
        let fails = tokio::spawn(async move { sending.send(Add(1)).await });
        store.until_submitted(submitted + 1).await;
        store.fail_one(not_recorded());
        store.let_go();
        let error = fails.await.unwrap().unwrap_err();
        assert!(error.is_retry_safe(), "{error}");
    }
    assert_eq!(counter.send(Add(1)).await.unwrap(), 2);
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_aggregates_harm_nobody_else() {
    let runtime = start_strict(&Arc::new(MemoryStore::new())).await;
    let bad: Vec<_> = (0..20)
        .map(|id| {
            let bad = at(&runtime, &format!("bad-{id}"));
            tokio::spawn(async move {
                loop {
                    let panic = match id % 2 {
                        0 => Panic::InDecide,
                        _ => Panic::InApply,
                    };
                    if let Err(CommandError::Parked(_)) = bad.send(panic).await {
                        return;
                    }
                }
            })
        })
        .collect();
    let good: Vec<_> = (0..20)
        .map(|id| {
            let good = at(&runtime, &format!("good-{id}"));
            tokio::spawn(async move {
                for count in 1..=100 {
                    assert_eq!(good.send(Add(1)).await.unwrap(), count);
                }
            })
        })
        .collect();
    for task in good.into_iter().chain(bad) {
        task.await.unwrap();
    }
    assert_eq!(runtime.parked().len(), 20);
    runtime.shutdown(PATIENCE).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_transaction_that_waits_for_one_that_backs_off_keeps_nobody_from_the_others() {
    let runtime = start_with(&Arc::new(MemoryStore::new()), |builder| {
        builder
            .restarts_max(20, Duration::from_secs(3_600))
            .restart_backoff_max(Duration::from_secs(3_600))
    })
    .await;
    let (good, late) = (at(&runtime, "a"), at(&runtime, "b"));
    good.send(Add(1)).await.unwrap();
    fail(&late, 15).await;
    let (paying, receiving, transacting) = (good.clone(), late.clone(), runtime.clone());
    let transaction = tokio::spawn(async move {
        let steps = (paying.step(Add(10)), receiving.step(Add(10)));
        transacting.transact(steps).await
    });
    settle().await;
    let began = Instant::now();
    for count in 2..=50 {
        assert_eq!(good.send(Add(1)).await.unwrap(), count);
    }
    assert_eq!(began.elapsed(), Duration::ZERO);
    assert_eq!(transaction.await.unwrap().unwrap(), (60, 10));
    assert!(began.elapsed() >= Duration::from_secs(60));
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_does_not_wait_for_a_backoff_and_answers_what_waits_for_it() {
    let runtime = start_with(&Arc::new(MemoryStore::new()), |builder| {
        builder
            .restarts_max(20, Duration::from_secs(3_600))
            .restart_backoff_max(Duration::from_secs(3_600))
    })
    .await;
    let backs_off = at(&runtime, "backs-off");
    fail(&backs_off, 18).await;
    let waits = backs_off.clone();
    let waits = tokio::spawn(async move { waits.send(Add(1)).await });
    let parked = at(&runtime, "parked");
    fail(&parked, 20).await;
    let last = parked.clone();
    let last = tokio::spawn(async move { last.send(Panic::InDecide).await });
    settle().await;
    let began = Instant::now();
    let report = runtime.shutdown(PATIENCE).await.unwrap();
    assert_eq!(report, ShutdownReport::default());
    assert_eq!(began.elapsed(), Duration::ZERO);
    assert_eq!(waits.await.unwrap().unwrap(), 1);
    let error = last.await.unwrap().unwrap_err();
    assert!(matches!(error, CommandError::Panicked { .. }), "{error}");
}
