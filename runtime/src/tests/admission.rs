use super::counter::*;
use super::held_store::HeldStore;
use super::*;
use crate::*;

#[tokio::test]
async fn a_full_aggregate_refuses_or_lets_wait_as_the_caller_chose() {
    let store = HeldStore::new();
    let runtime = start_with(&store, |builder| {
        builder.commands_in_flight_per_aggregate_max(1)
    })
    .await;
    let counter = counter(&runtime);
    counter.send(Add(1)).await.unwrap();
    store.hold();
    let submitted = store.submitted();
    let sending = counter.clone();
    let first = tokio::spawn(async move { sending.send(Add(1)).await });
    store.until_submitted(submitted + 1).await;

    let refuse = CommandOptions::new().when_full(WhenFull::Refuse);
    let error = counter.execute(Add(1), refuse).await.unwrap_err();
    assert!(error.is_retry_safe());
    assert!(matches!(
        error,
        CommandError::Overloaded {
            limit: Overloaded::Aggregate { limit: 1 },
            ..
        }
    ));
    // Another aggregate is not touched by it.
    let other: AggregateRef<Counter> = runtime.aggregate("acme", "2").unwrap();
    let sending = other.clone();
    let elsewhere = tokio::spawn(async move { sending.send(Add(1)).await });
    store.until_submitted(submitted + 2).await;

    let sending = counter.clone();
    let waits = tokio::spawn(async move { sending.send(Add(1)).await });
    settle().await;
    store.let_go();
    assert_eq!(first.await.unwrap().unwrap(), 2);
    assert_eq!(waits.await.unwrap().unwrap(), 3);
    assert_eq!(elsewhere.await.unwrap().unwrap(), 1);
}

#[tokio::test]
async fn a_full_runtime_refuses_commands_and_queries_of_any_aggregate() {
    let store = HeldStore::new();
    let runtime = start_with(&store, |builder| {
        builder
            .commands_in_flight_max(1)
            .when_full(WhenFull::Refuse)
    })
    .await;
    let counter = counter(&runtime);
    counter.send(Add(1)).await.unwrap();
    store.hold();
    let submitted = store.submitted();
    let sending = counter.clone();
    let first = tokio::spawn(async move { sending.send(Add(1)).await });
    store.until_submitted(submitted + 1).await;
    let other: AggregateRef<Counter> = runtime.aggregate("acme", "2").unwrap();
    assert!(matches!(
        other.send(Add(1)).await.unwrap_err(),
        CommandError::Overloaded {
            limit: Overloaded::Runtime { limit: 1 },
            ..
        }
    ));
    assert!(matches!(
        counter.query(|state| state.count).await.unwrap_err(),
        QueryError::Overloaded { .. }
    ));
    store.let_go();
    assert_eq!(first.await.unwrap().unwrap(), 2);
    assert_eq!(other.send(Add(1)).await.unwrap(), 1);
}

#[tokio::test]
async fn a_caller_that_gives_up_holds_no_place_and_its_accepted_command_takes_effect() {
    let store = HeldStore::new();
    let runtime = start_with(&store, |builder| {
        builder.commands_in_flight_per_aggregate_max(1)
    })
    .await;
    let counter = counter(&runtime);
    store.set_ready(false);
    // The first is accepted, the others wait for its place.
    for by in [100, 1_000, 10_000] {
        let sending = counter.clone();
        let abandoned = tokio::spawn(async move { sending.send(Add(by)).await });
        settle().await;
        abandoned.abort();
        assert!(abandoned.await.unwrap_err().is_cancelled());
    }
    store.set_ready(true);
    assert_eq!(counter.send(Add(1)).await.unwrap(), 101);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn who_has_an_answer_finds_its_place_free_again() {
    let runtime = start_with(&Arc::new(MemoryStore::new()), |builder| {
        builder
            .commands_in_flight_per_aggregate_max(1)
            .when_full(WhenFull::Refuse)
    })
    .await;
    let counter = counter(&runtime);
    for count in 1..=2_000 {
        assert_eq!(counter.send(Add(1)).await.unwrap(), count);
    }
}

/// What a caller takes while it waits is mostly this.
#[tokio::test]
async fn the_future_of_a_command_takes_little_more_than_half_a_kibibyte() {
    let runtime = start(&HeldStore::new()).await;
    let sending = counter(&runtime);
    let bytes = size_of_val(&sending.send(Add(1)));
    assert!(bytes <= 640, "{bytes} bytes");
}
