use super::counter::*;
use super::held_store::{HeldStore, not_recorded};
use super::*;
use crate::*;
use foldhouse_store::{Append, ExpectedVersion, NewEvent, Payload};

async fn record(store: &Arc<MemoryStore>, event_type: &str, payload: Payload) {
    let event = NewEvent::new(SystemClock.new_id(), event_type, payload);
    let stream = StreamId::new("acme", "counter", "1").unwrap();
    let append = Append::to(stream, ExpectedVersion::Any, [event]);
    store.append(append).await.unwrap();
}

#[tokio::test]
async fn a_panic_in_decide_is_told_and_the_aggregate_goes_on_from_what_is_durable() {
    let store = Arc::new(MemoryStore::new());
    let runtime = start(&store).await;
    let counter = counter(&runtime);
    counter.send(Add(3)).await.unwrap();
    let error = counter.send(Panic::InDecide).await.unwrap_err();
    assert!(!error.is_retry_safe());
    assert_eq!(
        error.to_string(),
        "decide panicked on a command for acme/counter/1, nothing was recorded: decide was told to panic"
    );
    assert_eq!(counter.send(Add(1)).await.unwrap(), 4);
}

#[tokio::test]
async fn a_panic_in_apply_or_in_serialize_is_told_and_nothing_is_recorded() {
    let store = Arc::new(MemoryStore::new());
    let runtime = start(&store).await;
    let counter = counter(&runtime);
    counter.send(Add(3)).await.unwrap();
    for (panic, panicked_in) in [
        (Panic::InApply, PanickedIn::Apply),
        (Panic::WhileEncoding, PanickedIn::Encode),
    ] {
        let error = counter.send(panic).await.unwrap_err();
        assert!(matches!(error, CommandError::Panicked { step, .. } if step == panicked_in));
        assert_eq!(store.head(), Position::new(1));
        assert_eq!(counter.query(|state| state.count).await.unwrap(), 3);
    }
    assert_eq!(counter.send(Add(1)).await.unwrap(), 4);
}

#[tokio::test]
async fn a_reply_whose_drop_panics_hurts_nobody_when_its_caller_has_gone() {
    #[derive(Debug)]
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            assert!(std::thread::panicking(), "drop was told to panic");
        }
    }
    struct Arm;
    impl Command for Arm {
        type Aggregate = Counter;
        type Reply = Bomb;
        type Rejection = Never;
        fn decide(&self, _: &Counter, _: &CommandContext) -> Decided<Self> {
            Ok(Decision::event(CounterEvent::Added { by: 1 }, Bomb))
        }
    }
    let store = HeldStore::new();
    let runtime = start(&store).await;
    let counter = counter(&runtime);
    counter.send(Add(1)).await.unwrap();
    store.hold();
    let submitted = store.submitted();
    let sending = counter.clone();
    let gone = tokio::spawn(async move { sending.send(Arm).await });
    store.until_submitted(submitted + 1).await;
    gone.abort();
    assert!(gone.await.unwrap_err().is_cancelled());
    store.let_go();
    assert_eq!(counter.send(Add(1)).await.unwrap(), 3);
    let report = runtime.shutdown(PATIENCE).await.unwrap();
    assert_eq!(report.unanswered, 0);
}

#[tokio::test]
async fn commands_queued_behind_a_panic_are_decided_by_the_next_actor() {
    let store = HeldStore::new();
    let runtime = start(&store).await;
    let counter = counter(&runtime);
    counter.send(Add(1)).await.unwrap();
    store.set_ready(false);
    let sending = counter.clone();
    let panics = tokio::spawn(async move { sending.send(Panic::InDecide).await });
    settle().await;
    let mut behind = Vec::new();
    for _ in 0..10 {
        let sending = counter.clone();
        behind.push(tokio::spawn(async move { sending.send(Add(1)).await }));
        settle().await;
    }
    store.set_ready(true);
    assert!(matches!(
        panics.await.unwrap().unwrap_err(),
        CommandError::Panicked { .. }
    ));
    for (count, command) in (2..).zip(behind) {
        assert_eq!(command.await.unwrap().unwrap(), count);
    }
}

#[tokio::test]
async fn a_panic_in_a_query_hurts_nobody_else() {
    let runtime = start(&Arc::new(MemoryStore::new())).await;
    let counter = counter(&runtime);
    let error = counter
        .query(|_| -> u64 { panic!("no answer") })
        .await
        .unwrap_err();
    assert!(matches!(
        error,
        QueryError::Panicked {
            step: PanickedIn::Query,
            ..
        }
    ));
    assert_eq!(counter.send(Add(1)).await.unwrap(), 1);
}

#[tokio::test]
async fn an_event_that_this_build_does_not_know_is_named_and_stays_untouched() {
    let store = Arc::new(MemoryStore::new());
    record(&store, "Multiplied", Payload::message_pack(vec![])).await;
    let runtime = start(&store).await;
    let error = counter(&runtime).send(Add(1)).await.unwrap_err();
    assert!(matches!(error, CommandError::Unreadable(_)));
    assert_eq!(
        error.to_string(),
        "nothing was recorded: event 1 of stream acme/counter/1 (type Multiplied, schema 1) cannot be read: \
         the event type Multiplied is unknown to this build; run the build that wrote it if that is a newer one, \
         keep its variant, or declare in the aggregate's upcasters what became of it (rename, split, skip)"
    );
    let error = counter(&runtime).query(|_| ()).await.unwrap_err();
    assert!(matches!(error, QueryError::Unreadable(_)));
    assert_eq!(store.head(), Position::new(1));
}

#[tokio::test]
async fn an_apply_or_a_deserialize_that_panics_on_a_recorded_event_names_the_event() {
    for (event_type, payload, said) in [
        ("Broken", vec![], "apply was told to panic"),
        ("Unwritable", vec![0xc0], "deserialize was told to panic"),
    ] {
        let store = Arc::new(MemoryStore::new());
        record(&store, event_type, Payload::message_pack(payload)).await;
        let runtime = start(&store).await;
        let error = counter(&runtime).send(Add(1)).await.unwrap_err();
        let CommandError::Unreadable(unreadable) = error else {
            panic!("expected Unreadable, got {error}");
        };
        assert!(matches!(
            &*unreadable,
            UnreadableStream::Apply { version, message, .. }
                if *version == Version::new(1) && message == said
        ));
    }
}

#[tokio::test]
async fn a_failed_start_answers_all_who_wait_and_the_next_command_tries_again() {
    let store = HeldStore::new();
    let runtime = start(&store).await;
    let counter = counter(&runtime);
    store.hold();
    let mut waiting = Vec::new();
    for _ in 0..5 {
        let sending = counter.clone();
        waiting.push(tokio::spawn(async move { sending.send(Add(1)).await }));
    }
    store.until_submitted(1).await;
    settle().await;
    // A check may fall with others' appends; one that nothing was in front of says how the store is.
    store.fail_one(not_recorded());
    store.until_submitted(2).await;
    store.fail_one(not_recorded());
    for command in waiting {
        assert!(matches!(
            command.await.unwrap().unwrap_err(),
            CommandError::NotRecorded {
                reason: NotRecorded::Store(_),
                ..
            }
        ));
    }
    store.let_go();
    assert_eq!(counter.send(Add(1)).await.unwrap(), 1);
}

#[tokio::test]
async fn an_aggregate_that_fails_again_and_again_never_touches_another() {
    let store = Arc::new(MemoryStore::new());
    record(&store, "Multiplied", Payload::message_pack(vec![])).await;
    let runtime = start(&store).await;
    let unreadable = counter(&runtime);
    let panicking: AggregateRef<Counter> = runtime.aggregate("acme", "2").unwrap();
    let sound: AggregateRef<Counter> = runtime.aggregate("acme", "3").unwrap();
    for count in 1..=50 {
        let (first, second, third) = tokio::join!(
            unreadable.send(Add(1)),
            panicking.send(Panic::InDecide),
            sound.send(Add(1))
        );
        first.unwrap_err();
        second.unwrap_err();
        assert_eq!(third.unwrap(), count);
    }
}
