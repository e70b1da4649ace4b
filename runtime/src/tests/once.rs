//! A command under an id takes effect once, whatever comes between the caller and its answer.

use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::counter::*;
use super::held_store::{HeldStore, not_recorded};
use super::*;
use crate::*;
use foldhouse_store::EventStore;

fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

fn options() -> CommandOptions {
    CommandOptions::new()
}

/// As `Add`, under another name.
#[derive(Serialize)]
struct AddAlso(u64);

impl Command for AddAlso {
    type Aggregate = Counter;
    type Reply = u64;
    type Rejection = Full;

    fn decide(&self, state: &Counter, context: &CommandContext) -> Decided<Self> {
        Add(self.0).decide(state, context)
    }
}

impl IdempotentCommand for AddAlso {
    const NAME: &'static str = "add-also";
}

#[tokio::test]
async fn a_retried_command_takes_effect_once_and_gets_the_same_answer() {
    let store = Arc::new(MemoryStore::new());
    let runtime = start(&store).await;
    let counter = counter(&runtime);
    counter.send(Add(1)).await.unwrap();
    let first = counter
        .execute_once(Add(5), id(1), options())
        .await
        .unwrap();
    assert_eq!((first.reply, first.version), (6, Version::new(2)));
    assert_eq!(
        (first.position, first.command_id),
        (Position::new(2), id(1))
    );
    counter.send(Add(10)).await.unwrap();
    for _ in 0..3 {
        let again = counter
            .execute_once(Add(5), id(1), options())
            .await
            .unwrap();
        assert_eq!(again, first);
    }
    assert_eq!(counter.query(|state| state.count).await.unwrap(), 16);
    assert_eq!(store.head(), Position::new(3));
    // Its events have the ids that any command with this id gives them.
    let query = foldhouse_store::StreamQuery::since(counter.stream().clone(), Version::new(2), 1);
    let page = store.read_stream(query).await.unwrap();
    assert_eq!(page.events[0].id, event_id(id(1), counter.stream(), 0));
    // Another runtime knows it, too.
    runtime.shutdown(PATIENCE).await.unwrap();
    let next = start_with(&store, |builder| builder.snapshot_every_events(1)).await;
    let counter = super::counter(&next);
    let again = counter.execute_once(Add(5), id(1), options()).await;
    assert_eq!(again.unwrap(), first);
    assert_eq!(counter.send(Add(1)).await.unwrap(), 17);
    assert_eq!(next.claim_count(), 0);
}

#[tokio::test]
async fn the_same_id_with_another_command_is_an_error_of_its_own() {
    let store = Arc::new(MemoryStore::new());
    let runtime = start(&store).await;
    let counter = counter(&runtime);
    let other: AggregateRef<Counter> = runtime.aggregate("acme", "2").unwrap();
    counter.send_once(Add(5), id(1)).await.unwrap();
    for outcome in [
        counter.send_once(Add(6), id(1)).await,
        counter.send_once(AddAlso(5), id(1)).await,
        other.send_once(Add(5), id(1)).await,
    ] {
        let error = outcome.unwrap_err();
        assert!(
            matches!(&error, CommandError::CommandIdReused { command_id, .. } if *command_id == id(1)),
            "{error}"
        );
        assert!(!error.is_retry_safe());
        assert!(error.to_string().contains(&id(1).to_string()), "{error}");
        assert!(error.to_string().contains("acme/counter/"), "{error}");
    }
    assert_eq!(counter.send_once(Add(5), id(1)).await.unwrap(), 5);
    assert_eq!(store.head(), Position::new(1));
}

#[tokio::test]
async fn a_rejection_is_not_remembered_and_a_retry_decides_anew() {
    let runtime = start(&Arc::new(MemoryStore::new())).await;
    let counter = counter(&runtime);
    counter.send(Add(LIMIT)).await.unwrap();
    let rejected = counter.send_once(Add(1), id(1)).await.unwrap_err();
    assert_eq!(rejected.rejection(), Some(&Full { count: LIMIT }));
    assert_eq!(counter.outcome::<Add>(id(1)).await.unwrap(), None);
    // Nor does it bind the id.
    let decided = counter
        .execute_once(Add(0), id(1), options())
        .await
        .unwrap();
    assert_eq!((decided.reply, decided.version), (LIMIT, Version::new(1)));
}

#[tokio::test]
async fn a_command_without_events_is_remembered() {
    let store = Arc::new(MemoryStore::new());
    let runtime = start(&store).await;
    let counter = counter(&runtime);
    counter.send(Add(4)).await.unwrap();
    let first = counter
        .execute_once(Add(0), id(1), options())
        .await
        .unwrap();
    assert_eq!((first.reply, first.version), (4, Version::new(1)));
    assert_eq!(first.position, Position::new(1));
    counter.send(Add(1)).await.unwrap();
    let again = counter.execute_once(Add(0), id(1), options()).await;
    assert_eq!(again.unwrap(), first);
    let outcome = runtime.outcome(id(1)).await.unwrap().unwrap();
    assert_eq!(
        (outcome.event_count(), outcome.position()),
        (0, Position::new(1))
    );
    assert_eq!(outcome.recorded_at(), None);
}

#[tokio::test]
async fn a_reply_that_was_lost_is_there_for_the_retry_and_the_command_is_not_decided_again() {
    let store = HeldStore::new();
    let runtime = start(&store).await;
    let counter = counter(&runtime);
    counter.send(Add(1)).await.unwrap();
    store.hold();
    let submitted = store.submitted();
    let sending = counter.clone();
    let lost = tokio::spawn(async move { sending.send_once(Add(5), id(1)).await });
    store.until_submitted(submitted + 1).await;
    lost.abort();
    assert!(lost.await.unwrap_err().is_cancelled());
    // It is on its way all the same, so the retry waits for it, and so does who asks.
    let sending = counter.clone();
    let retry = tokio::spawn(async move { sending.execute_once(Add(5), id(1), options()).await });
    let asking = counter.clone();
    let asked = tokio::spawn(async move { asking.outcome::<Add>(id(1)).await });
    settle().await;
    assert!(!retry.is_finished() && !asked.is_finished());
    assert_eq!(store.submitted(), submitted + 1);
    store.let_go();
    let committed = retry.await.unwrap().unwrap();
    assert_eq!((committed.reply, committed.version), (6, Version::new(2)));
    assert_eq!(asked.await.unwrap().unwrap(), Some(committed));
    assert_eq!(store.head(), Position::new(2));
    assert_eq!(runtime.claim_count(), 0);
}

#[tokio::test]
async fn a_command_that_was_not_recorded_takes_effect_when_it_is_sent_again() {
    let store = HeldStore::new();
    let runtime = start(&store).await;
    let counter = counter(&runtime);
    counter.send(Add(1)).await.unwrap();
    for error in [
        not_recorded(),
        AppendError::Unknown(foldhouse_store::Fault::new("half way")),
    ] {
        // Hydrates what the last failure has ended.
        assert_eq!(counter.query(|state| state.count).await.unwrap(), 1);
        store.hold();
        let submitted = store.submitted();
        let sending = counter.clone();
        let failing = tokio::spawn(async move { sending.send_once(Add(5), id(1)).await });
        store.until_submitted(submitted + 1).await;
        store.fail_one(error);
        store.let_go();
        failing.await.unwrap().unwrap_err();
        assert_eq!(counter.outcome::<Add>(id(1)).await.unwrap(), None);
    }
    assert_eq!(counter.send_once(Add(5), id(1)).await.unwrap(), 6);
    assert_eq!(counter.send_once(Add(5), id(1)).await.unwrap(), 6);
    assert_eq!(counter.query(|state| state.count).await.unwrap(), 6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixty_four_at_once_take_effect_once_and_get_one_answer() {
    let store = Arc::new(MemoryStore::new());
    let runtime = start(&store).await;
    for round in 1..=20 {
        let mut senders = JoinSet::new();
        for _ in 0..64 {
            let counter = counter(&runtime);
            senders.spawn(async move { counter.execute_once(Add(1), id(round), options()).await });
        }
        let answers = senders.join_all().await;
        let first = answers[0].as_ref().unwrap();
        assert_eq!(u128::from(first.reply), round);
        assert!(
            answers
                .iter()
                .all(|answer| answer.as_ref().unwrap() == first)
        );
    }
    assert_eq!(store.head(), Position::new(20));
    assert_eq!(runtime.claim_count(), 0);
}

/// With a place for one only, those who wait for the first one's answer wait for its place.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_at_once_with_few_places_all_get_their_answer() {
    let runtime = start_with(&Arc::new(MemoryStore::new()), |builder| {
        builder
            .commands_in_flight_per_aggregate_max(2)
            .commands_in_flight_max(2)
    })
    .await;
    let mut senders = JoinSet::new();
    for sender in 0..64 {
        let counter = counter(&runtime);
        senders.spawn(async move { counter.send_once(Add(1), id(sender % 4)).await });
    }
    let answers = tokio::time::timeout(PATIENCE, senders.join_all()).await;
    let mut replies: Vec<u64> = answers.unwrap().into_iter().map(Result::unwrap).collect();
    replies.sort_unstable();
    replies.dedup();
    assert_eq!(replies, [1, 2, 3, 4]);
}

/// Another runtime over the same store is the one case in which only the store can tell.
#[tokio::test]
async fn a_duplicate_that_only_the_store_sees_gets_the_answer_and_harms_no_other_command() {
    let store = HeldStore::new();
    let runtime = start(&store).await;
    let counter = counter(&runtime);
    let first = counter.execute_once(Add(5), id(1), options()).await;
    store.blind_look_ups(1);
    store.set_ready(false);
    let mut running = JoinSet::new();
    for number in 0..3 {
        let sending = counter.clone();
        running.spawn(async move {
            match number {
                1 => {
                    let again = sending.execute_once(Add(5), id(1), options()).await;
                    (number, again.unwrap())
                }
                _ => (number, sending.execute(Add(100), options()).await.unwrap()),
            }
        });
        settle().await;
    }
    store.set_ready(true);
    let mut answers = running.join_all().await;
    answers.sort_by_key(|(number, _)| *number);
    assert_eq!(answers[1].1, first.unwrap());
    assert_eq!((answers[0].1.reply, answers[2].1.reply), (105, 205));
    assert_eq!(counter.version().await.unwrap(), Version::new(3));
}

#[tokio::test]
async fn a_retry_later_than_the_store_remembers_is_a_new_command() {
    let store = Arc::new(MemoryStore::new().commands_remembered(10));
    let runtime = start(&store).await;
    let counter = counter(&runtime);
    for number in 0..11 {
        counter.send_once(Add(1), id(number)).await.unwrap();
    }
    assert_eq!(counter.send_once(Add(1), id(1)).await.unwrap(), 2);
    assert_eq!(counter.outcome::<Add>(id(0)).await.unwrap(), None);
    assert_eq!(counter.send_once(Add(1), id(0)).await.unwrap(), 12);
}

#[tokio::test]
async fn what_a_command_came_to_can_be_asked_by_its_id() {
    let runtime = start(&Arc::new(MemoryStore::new())).await;
    let counter = counter(&runtime);
    let other: AggregateRef<Counter> = runtime.aggregate("acme", "2").unwrap();
    assert_eq!(counter.outcome::<Add>(id(1)).await.unwrap(), None);
    assert_eq!(runtime.outcome(id(1)).await.unwrap(), None);
    let committed = counter
        .execute_once(Add(7), id(1), options())
        .await
        .unwrap();
    let outcome = counter.outcome::<Add>(id(1)).await.unwrap();
    assert_eq!(outcome.as_ref(), Some(&committed));
    let outcome = runtime.outcome(id(1)).await.unwrap().unwrap();
    assert_eq!(outcome.command_id(), id(1));
    assert_eq!(
        (outcome.position(), outcome.event_count()),
        (committed.position, 1)
    );
    assert!(outcome.recorded_at().is_some());
    assert_eq!(outcome.reply::<u64>().unwrap(), 7);
    let error = outcome.reply::<String>().unwrap_err();
    assert!(
        matches!(error, OutcomeError::UnreadableReply { .. }),
        "{error}"
    );
    // Of another aggregate, or under another name.
    for error in [
        other.outcome::<Add>(id(1)).await.unwrap_err(),
        counter.outcome::<AddAlso>(id(1)).await.unwrap_err(),
    ] {
        let command_id = id(1);
        assert_eq!(error, OutcomeError::OtherCommand { command_id });
    }
}

/// What a reply was recorded as stays; what the program reads it as may change.
#[tokio::test]
async fn a_reply_that_cannot_be_read_any_more_is_told_and_the_command_is_not_decided_again() {
    #[derive(Serialize, Deserialize)]
    struct Details {
        count: u64,
    }
    #[derive(Serialize)]
    struct Later(u64);
    impl Command for Later {
        type Aggregate = Counter;
        type Reply = Details;
        type Rejection = Never;
        fn decide(&self, _: &Counter, _: &CommandContext) -> Decided<Self> {
            panic!("it was recorded before")
        }
    }
    impl IdempotentCommand for Later {
        const NAME: &'static str = Add::NAME;
    }
    let runtime = start(&Arc::new(MemoryStore::new())).await;
    let counter = counter(&runtime);
    counter.send_once(Add(5), id(1)).await.unwrap();
    let Err(error) = counter.send_once(Later(5), id(1)).await else {
        panic!("a number is read as a struct");
    };
    assert!(
        matches!(error, CommandError::UnreadableReply { .. }),
        "{error}"
    );
    assert!(!error.is_retry_safe());
}

#[tokio::test]
async fn a_reply_that_cannot_be_recorded_is_told_before_the_state_is_touched() {
    #[derive(Serialize)]
    struct Say(usize);
    impl Command for Say {
        type Aggregate = Counter;
        type Reply = String;
        type Rejection = Never;
        fn decide(&self, _: &Counter, _: &CommandContext) -> Decided<Self> {
            Ok(Decision::event(
                CounterEvent::Added { by: 1 },
                "x".repeat(self.0),
            ))
        }
    }
    impl IdempotentCommand for Say {
        const NAME: &'static str = "say";
    }
    #[derive(Debug, Serialize, Deserialize)]
    struct Nested(Option<Box<Nested>>);
    #[derive(Serialize)]
    struct Nest(usize);
    impl Command for Nest {
        type Aggregate = Counter;
        type Reply = Vec<Nested>;
        type Rejection = Never;
        fn decide(&self, _: &Counter, _: &CommandContext) -> Decided<Self> {
            panic!("decide was told to panic")
        }
    }
    impl IdempotentCommand for Nest {
        const NAME: &'static str = "nest";
    }
    let store = HeldStore::new();
    let runtime = start(&store).await;
    let counter = counter(&runtime);
    counter.send(Add(1)).await.unwrap();
    let submitted = store.submitted();
    let error = counter.send_once(Say(70_000), id(1)).await.unwrap_err();
    assert!(
        matches!(error, CommandError::InvalidEvents { .. }),
        "{error}"
    );
    assert!(error.to_string().contains("reply"), "{error}");
    // Nothing went to the store, not even the check of a new actor.
    assert_eq!(store.submitted(), submitted);
    assert_eq!(
        counter.send_once(Say(60_000), id(1)).await.unwrap().len(),
        60_000
    );
    assert_eq!(
        counter.send_once(Say(60_000), id(1)).await.unwrap().len(),
        60_000
    );
    assert_eq!(counter.query(|state| state.count).await.unwrap(), 2);
    // A panic gives the id free.
    let error = counter.send_once(Nest(1), id(2)).await.unwrap_err();
    assert!(matches!(error, CommandError::Panicked { .. }), "{error}");
    assert_eq!(runtime.claim_count(), 0);
    assert_eq!(counter.send_once(Add(1), id(2)).await.unwrap(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_retry_that_waits_for_the_first_one_is_answered_at_its_deadline() {
    let store = HeldStore::new();
    let runtime = start(&store).await;
    let counter = counter(&runtime);
    counter.send(Add(1)).await.unwrap();
    store.hold();
    let submitted = store.submitted();
    let sending = counter.clone();
    let first = tokio::spawn(async move { sending.send_once(Add(5), id(1)).await });
    store.until_submitted(submitted + 1).await;
    let soon = options().deadline(Duration::from_millis(10));
    let error = counter.execute_once(Add(5), id(1), soon).await.unwrap_err();
    assert!(matches!(error, CommandError::Expired { .. }), "{error}");
    store.let_go();
    assert_eq!(first.await.unwrap().unwrap(), 6);
    assert_eq!(counter.send_once(Add(5), id(1)).await.unwrap(), 6);
}
