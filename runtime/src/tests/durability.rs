//! Nothing is answered before what it rests on is durable, and what fails takes along what was built on it.

use super::counter::*;
use super::held_store::{HeldStore, not_recorded};
use super::*;
use crate::*;
use foldhouse_store::{Append, AppendError, ExpectedVersion, Fault, NewEvent, Payload};
use std::future::poll_fn;
use std::task::Poll;
use tokio::task::JoinHandle;

/// A counter that lives, whose next appends are held back, and how many were submitted so far.
async fn held() -> (Arc<HeldStore>, Runtime, AggregateRef<Counter>, usize) {
    let store = HeldStore::new();
    let runtime = start(&store).await;
    let counter = counter(&runtime);
    counter.send(Add(1)).await.unwrap();
    store.hold();
    let submitted = store.submitted();
    (store, runtime, counter, submitted)
}

fn send(
    counter: &AggregateRef<Counter>,
    command: Add,
) -> JoinHandle<Result<u64, CommandError<Full>>> {
    let counter = counter.clone();
    tokio::spawn(async move { counter.send(command).await })
}

async fn is_answered<T>(task: &mut JoinHandle<T>) -> bool {
    settle().await;
    let mut answered = false;
    poll_fn(|_| {
        answered = task.is_finished();
        Poll::Ready(())
    })
    .await;
    answered
}

fn not_recorded_because<T: std::fmt::Debug>(outcome: Result<T, CommandError<Full>>) -> NotRecorded {
    match outcome.unwrap_err() {
        CommandError::NotRecorded { reason, .. } => reason,
        other => panic!("expected NotRecorded, got {other}"),
    }
}

#[tokio::test]
async fn a_reply_is_given_when_the_append_is_durable_and_not_before() {
    let (store, _runtime, counter, submitted) = held().await;
    let mut first = send(&counter, Add(1));
    store.until_submitted(submitted + 1).await;
    let mut second = send(&counter, Add(1));
    // The second is decided on the state that the first left, without waiting for the disk.
    store.until_submitted(submitted + 2).await;
    assert!(!is_answered(&mut first).await && !is_answered(&mut second).await);
    store.release_one();
    assert_eq!(first.await.unwrap().unwrap(), 2);
    assert!(!is_answered(&mut second).await);
    store.release_one();
    assert_eq!(second.await.unwrap().unwrap(), 3);
}

#[tokio::test]
async fn a_rejection_waits_for_the_events_that_it_rests_on() {
    let (store, _runtime, counter, submitted) = held().await;
    let fills = send(&counter, Add(LIMIT - 1));
    store.until_submitted(submitted + 1).await;
    let mut rejected = send(&counter, Add(1));
    store.until_submitted(submitted + 2).await;
    assert!(!is_answered(&mut rejected).await);
    store.let_go();
    assert_eq!(fills.await.unwrap().unwrap(), LIMIT);
    let error = rejected.await.unwrap().unwrap_err();
    assert_eq!(error.rejection(), Some(&Full { count: LIMIT }));
}

#[tokio::test]
async fn a_rejection_falls_with_the_events_that_it_rests_on() {
    let (store, _runtime, counter, submitted) = held().await;
    let fills = send(&counter, Add(LIMIT - 1));
    store.until_submitted(submitted + 1).await;
    let rejected = send(&counter, Add(2));
    store.until_submitted(submitted + 2).await;
    store.fail_one(not_recorded());
    store.let_go();
    assert!(matches!(
        not_recorded_because(fills.await.unwrap()),
        NotRecorded::Store(_)
    ));
    assert_eq!(
        not_recorded_because(rejected.await.unwrap()),
        NotRecorded::Voided
    );
    assert_eq!(counter.send(Add(2)).await.unwrap(), 3);
}

#[tokio::test]
async fn a_query_never_shows_what_is_not_durable() {
    let (store, _runtime, counter, submitted) = held().await;
    let adds = send(&counter, Add(5));
    store.until_submitted(submitted + 1).await;
    let asking = counter.clone();
    let mut query = tokio::spawn(async move { asking.query(|state| state.count).await });
    store.until_submitted(submitted + 2).await;
    assert!(!is_answered(&mut query).await);
    store.fail_one(not_recorded());
    store.let_go();
    adds.await.unwrap().unwrap_err();
    let error = query.await.unwrap().unwrap_err();
    assert!(error.is_retry_safe(), "{error}");
    assert_eq!(counter.query(|state| state.count).await.unwrap(), 1);
}

#[tokio::test]
async fn an_answer_that_rests_on_durable_events_costs_no_append() {
    let (store, _runtime, counter, submitted) = held().await;
    assert_eq!(counter.query(|state| state.count).await.unwrap(), 1);
    counter.send(Add(LIMIT)).await.unwrap_err();
    assert_eq!(store.submitted(), submitted);
}

#[tokio::test]
async fn a_failed_append_voids_all_that_was_built_on_it_and_a_retry_succeeds() {
    let (store, _runtime, counter, submitted) = held().await;
    let mut commands = Vec::new();
    for command in 0..10 {
        commands.push(send(&counter, Add(1)));
        store.until_submitted(submitted + command + 1).await;
    }
    store.release_one();
    store.fail_one(not_recorded());
    store.let_go();
    let mut outcomes = Vec::new();
    for command in commands {
        outcomes.push(command.await.unwrap());
    }
    assert_eq!(*outcomes[0].as_ref().unwrap(), 2);
    assert!(matches!(
        not_recorded_because(outcomes.remove(1)),
        NotRecorded::Store(_)
    ));
    for outcome in outcomes.split_off(1) {
        assert_eq!(not_recorded_because(outcome), NotRecorded::Voided);
    }
    assert_eq!(counter.send(Add(1)).await.unwrap(), 3);
    assert_eq!(counter.version().await.unwrap(), Version::new(3));
}

#[tokio::test]
async fn a_command_that_was_not_decided_yet_survives_the_failure_before_it() {
    let (store, _runtime, counter, submitted) = held().await;
    let fails = send(&counter, Add(10));
    store.until_submitted(submitted + 1).await;
    // The store is full now: the actor waits before it decides the next ones.
    store.set_ready(false);
    let waiting = [send(&counter, Add(1)), send(&counter, Add(1))];
    settle().await;
    store.fail_one(not_recorded());
    store.let_go();
    store.set_ready(true);
    fails.await.unwrap().unwrap_err();
    let [first, second] = waiting;
    assert_eq!(first.await.unwrap().unwrap(), 2);
    assert_eq!(second.await.unwrap().unwrap(), 3);
}

#[tokio::test]
async fn an_unknown_outcome_names_the_command_whose_events_to_look_for() {
    let (store, _runtime, counter, submitted) = held().await;
    let sending = counter.clone();
    let id = uuid::Uuid::from_u128(77);
    let command = tokio::spawn(async move {
        sending
            .execute(Add(1), CommandOptions::new().command_id(id))
            .await
    });
    store.until_submitted(submitted + 1).await;
    store.fail_one(AppendError::Unknown(Fault::new("fsync failed")));
    let error = command.await.unwrap().unwrap_err();
    assert!(!error.is_retry_safe());
    assert!(matches!(error, CommandError::Unknown { command_id, .. } if command_id == id));
}

#[tokio::test]
async fn an_append_that_the_store_forgets_is_of_unknown_outcome() {
    let (store, _runtime, counter, submitted) = held().await;
    let command = send(&counter, Add(1));
    store.until_submitted(submitted + 1).await;
    store.drop_one();
    assert!(matches!(
        command.await.unwrap().unwrap_err(),
        CommandError::Unknown { .. }
    ));
    store.let_go();
    assert_eq!(counter.send(Add(1)).await.unwrap(), 2);
}

#[tokio::test]
async fn another_writer_on_the_stream_is_a_conflict_and_a_retry_sees_its_events() {
    let store = HeldStore::new();
    let runtime = start(&store).await;
    let counter = counter(&runtime);
    counter.send(Add(1)).await.unwrap();
    // {"by": 5}
    let foreign = NewEvent::new(
        uuid::Uuid::from_u128(1),
        "Added",
        Payload::message_pack(b"\x81\xa2by\x05".to_vec()),
    );
    let append = Append::to(counter.stream().clone(), ExpectedVersion::Any, [foreign]);
    store.append(append).await.unwrap();
    let error = counter.send(Add(1)).await.unwrap_err();
    assert!(error.is_retry_safe());
    assert!(matches!(
        error,
        CommandError::Conflict { expected, actual, .. }
            if expected == Version::new(1) && actual == Version::new(2)
    ));
    assert_eq!(counter.send(Add(1)).await.unwrap(), 7);
}

#[tokio::test]
async fn a_full_store_holds_commands_back_before_they_are_decided() {
    let (store, _runtime, counter, submitted) = held().await;
    store.set_ready(false);
    let mut command = send(&counter, Add(1));
    assert!(!is_answered(&mut command).await);
    assert_eq!(store.submitted(), submitted);
    store.let_go();
    store.set_ready(true);
    assert_eq!(command.await.unwrap().unwrap(), 2);
}

#[tokio::test]
async fn the_next_actor_waits_for_what_the_last_one_left_in_flight() {
    let (store, _runtime, counter, submitted) = held().await;
    let in_flight = send(&counter, Add(5));
    store.until_submitted(submitted + 1).await;
    let panics = {
        let counter = counter.clone();
        tokio::spawn(async move { counter.send(Panic::InDecide).await })
    };
    assert!(matches!(
        panics.await.unwrap().unwrap_err(),
        CommandError::Panicked { .. }
    ));
    let next = send(&counter, Add(1));
    // The new actor's check stands behind the append that is in flight.
    store.until_submitted(submitted + 2).await;
    store.let_go();
    assert_eq!(in_flight.await.unwrap().unwrap(), 6);
    assert_eq!(next.await.unwrap().unwrap(), 7);
}
