use super::counter::*;
use super::held_store::HeldStore;
use super::*;
use crate::*;

fn shut_down<T: std::fmt::Debug>(outcome: Result<T, CommandError<Full>>) -> bool {
    matches!(
        outcome,
        Err(CommandError::NotRecorded {
            reason: NotRecorded::ShuttingDown,
            ..
        })
    )
}

#[tokio::test]
async fn a_shutdown_answers_every_accepted_command_and_refuses_later_ones() {
    let store = HeldStore::new();
    let runtime = start(&store).await;
    let counter = counter(&runtime);
    counter.send(Add(1)).await.unwrap();
    store.hold();
    let commands: Vec<_> = (0..20)
        .map(|_| {
            let sending = counter.clone();
            tokio::spawn(async move { sending.send(Add(1)).await })
        })
        .collect();
    settle().await;
    let ending = runtime.clone();
    let shutdown = tokio::spawn(async move { ending.shutdown(PATIENCE).await });
    settle().await;
    assert!(shut_down(counter.send(Add(1)).await));
    let other: AggregateRef<Counter> = runtime.aggregate("acme", "2").unwrap();
    assert!(shut_down(other.send(Add(1)).await));
    store.let_go();
    for (command, count) in commands.into_iter().zip(2..) {
        assert_eq!(command.await.unwrap().unwrap(), count);
    }
    assert_eq!(shutdown.await.unwrap().unwrap(), ShutdownReport::default());
    // A second one has nothing left to do.
    runtime.shutdown(PATIENCE).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_that_is_not_done_in_time_says_what_is_left() {
    let store = HeldStore::new();
    let runtime = start(&store).await;
    let counter = counter(&runtime);
    counter.send(Add(1)).await.unwrap();
    store.hold();
    let submitted = store.submitted();
    let sending = counter.clone();
    let command = tokio::spawn(async move { sending.send(Add(1)).await });
    store.until_submitted(submitted + 1).await;
    let error = runtime.shutdown(Duration::from_secs(1)).await.unwrap_err();
    assert_eq!((error.left.aggregates_left, error.left.unanswered), (0, 1));
    assert!(
        error
            .to_string()
            .contains("1 commands and queries are unanswered"),
        "{error}"
    );
    store.let_go();
    assert_eq!(command.await.unwrap().unwrap(), 2);
    runtime.shutdown(PATIENCE).await.unwrap();
}

#[tokio::test]
async fn who_waits_for_a_place_when_the_runtime_shuts_down_is_refused() {
    let store = HeldStore::new();
    let runtime = start_with(&store, |builder| builder.commands_in_flight_max(1)).await;
    let counter = counter(&runtime);
    counter.send(Add(1)).await.unwrap();
    store.hold();
    let submitted = store.submitted();
    let sending = counter.clone();
    let inside = tokio::spawn(async move { sending.send(Add(1)).await });
    store.until_submitted(submitted + 1).await;
    let sending = counter.clone();
    let waiting = tokio::spawn(async move { sending.send(Add(1)).await });
    settle().await;
    let ending = runtime.clone();
    let shutdown = tokio::spawn(async move { ending.shutdown(PATIENCE).await });
    settle().await;
    store.let_go();
    assert_eq!(inside.await.unwrap().unwrap(), 2);
    assert!(shut_down(waiting.await.unwrap()));
    shutdown.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_runtime_that_is_dropped_answers_what_it_has_accepted_and_ends() {
    let store = HeldStore::new();
    let runtime = start(&store).await;
    let counter = counter(&runtime);
    counter.send(Add(1)).await.unwrap();
    store.hold();
    let submitted = store.submitted();
    let sending = counter.clone();
    let accepted = tokio::spawn(async move { sending.send(Add(1)).await });
    store.until_submitted(submitted + 1).await;
    drop(runtime);
    assert!(shut_down(counter.send(Add(1)).await));
    store.let_go();
    assert_eq!(accepted.await.unwrap().unwrap(), 2);
    // Nothing holds the store any more once the last handle is gone.
    drop(counter);
    let held = Arc::downgrade(&store);
    drop(store);
    while held.strong_count() > 0 {
        tokio::task::yield_now().await;
    }
}

#[test]
fn a_caller_outside_is_answered_when_the_tokio_runtime_ends() {
    let store = HeldStore::new();
    let tokio = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let runtime = tokio.block_on(start(&store));
    let counter = counter(&runtime);
    tokio.block_on(counter.send(Add(1))).unwrap();
    store.set_ready(false);
    let (ask, asked) = std::sync::mpsc::channel();
    let caller = std::thread::spawn(move || {
        let outside = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        outside.block_on(async {
            let mut command = std::pin::pin!(counter.send(Add(1)));
            let first = std::future::poll_fn(|context| {
                std::task::Poll::Ready(command.as_mut().poll(context).is_pending())
            });
            assert!(first.await);
            ask.send(()).unwrap();
            command.await
        })
    });
    asked.recv().unwrap();
    drop(tokio);
    assert!(matches!(
        caller.join().unwrap().unwrap_err(),
        CommandError::NotRecorded { .. }
    ));
}

#[tokio::test]
async fn a_stream_that_nobody_uses_leaves_nothing_in_the_directory() {
    let runtime = start(&Arc::new(MemoryStore::new())).await;
    let unused: Vec<AggregateRef<Counter>> = (0..100)
        .map(|id| runtime.aggregate("acme", &id.to_string()).unwrap())
        .collect();
    let used = counter(&runtime);
    used.send(Add(1)).await.unwrap();
    assert_eq!(runtime.slot_count(), 100);
    drop(unused);
    assert_eq!(runtime.slot_count(), 1);
    // The live actor keeps its own.
    drop(used);
    assert_eq!(runtime.slot_count(), 1);
    assert_eq!(counter(&runtime).send(Add(1)).await.unwrap(), 2);
}
