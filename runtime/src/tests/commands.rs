use std::sync::Arc;

use super::counter::*;
use super::*;
use crate::*;
use foldhouse_store::StreamQuery;
use uuid::Uuid;

#[tokio::test]
async fn a_command_is_recorded_and_its_reply_given() {
    let store = Arc::new(MemoryStore::new());
    let runtime = start(&store).await;
    let counter = counter(&runtime);
    assert_eq!(counter.send(Add(2)).await.unwrap(), 2);
    assert_eq!(counter.send(Add(3)).await.unwrap(), 5);
    assert_eq!(counter.query(|state| state.count).await.unwrap(), 5);
    assert_eq!(counter.version().await.unwrap(), Version::new(2));
    assert_eq!(store.head(), Position::new(2));
}

#[tokio::test]
async fn a_rejection_is_the_domains_own_and_nothing_is_recorded() {
    let store = Arc::new(MemoryStore::new());
    let runtime = start(&store).await;
    let error = counter(&runtime).send(Add(LIMIT + 1)).await.unwrap_err();
    assert_eq!(error.rejection(), Some(&Full { count: 0 }));
    assert!(!error.is_retry_safe());
    assert_eq!(store.head(), Position::BEFORE_FIRST);
}

#[tokio::test]
async fn a_decision_without_events_gets_its_reply_and_records_nothing() {
    let store = Arc::new(MemoryStore::new());
    let runtime = start(&store).await;
    let counter = counter(&runtime);
    counter.send(Add(4)).await.unwrap();
    let nothing = counter
        .execute(Add(0), CommandOptions::new())
        .await
        .unwrap();
    assert_eq!((nothing.reply, nothing.version), (4, Version::new(1)));
    assert_eq!(nothing.position, Position::new(1));
    assert_eq!(store.head(), Position::new(1));
}

#[tokio::test]
async fn a_committed_command_says_where_its_events_are_and_under_which_ids() {
    let store = Arc::new(MemoryStore::new());
    let runtime = start(&store).await;
    let counter = counter(&runtime);
    counter.send(Add(1)).await.unwrap();
    let meta = CommandMeta::new()
        .user("maria")
        .correlation_id(Uuid::from_u128(7))
        .causation_id(Uuid::from_u128(8))
        .effective_at(Timestamp::from_unix_micros(99))
        .with("channel", "web");
    let options = CommandOptions::new()
        .command_id(Uuid::from_u128(5))
        .meta(meta);
    let committed = counter.execute(AddOneByOne(3), options).await.unwrap();
    assert_eq!(committed.command_id, Uuid::from_u128(5));
    assert_eq!(committed.position, Position::new(4));
    assert_eq!(committed.version, Version::new(4));

    let query = StreamQuery::since(counter.stream().clone(), Version::new(2), 10);
    let events = store.read_stream(query).await.unwrap().events;
    assert_eq!(events.len(), 3);
    for (index, event) in (0..).zip(&events) {
        assert_eq!(
            event.id,
            event_id(Uuid::from_u128(5), counter.stream(), index)
        );
        assert_eq!(&*event.event_type, "Added");
        assert_eq!(event.user.as_deref(), Some("maria"));
        assert_eq!(event.correlation_id, Some(Uuid::from_u128(7)));
        assert_eq!(event.causation_id, Some(Uuid::from_u128(8)));
        assert_eq!(event.effective_at, Timestamp::from_unix_micros(99));
        assert_eq!(event.metadata["channel"], "web");
        let decoded = decode_event::<Counter>(event).unwrap().unwrap();
        assert_eq!(decoded, CounterEvent::Added { by: 1 });
    }
}

#[tokio::test]
async fn an_aggregate_comes_back_as_it_was_in_a_new_runtime() {
    let store = Arc::new(MemoryStore::new());
    let first = start(&store).await;
    counter(&first).send(AddOneByOne(2_500)).await.unwrap();
    first.shutdown(PATIENCE).await.unwrap();
    let second = start(&store).await;
    assert_eq!(counter(&second).send(Add(1)).await.unwrap(), 2_501);
}

#[tokio::test]
async fn a_stream_of_another_aggregate_type_gives_no_handle() {
    let runtime = start(&Arc::new(MemoryStore::new())).await;
    let stream = StreamId::new("acme", "account", "1").unwrap();
    let error = runtime.aggregate_of::<Counter>(stream).unwrap_err();
    assert!(matches!(error, AddressError::OtherAggregate { .. }));
    let error = runtime.aggregate::<Counter>("acme", "a/b").unwrap_err();
    assert!(matches!(error, AddressError::Invalid(_)));
}

#[tokio::test]
async fn two_rust_types_of_one_aggregate_type_never_share_a_stream() {
    #[derive(Clone, Default, serde::Serialize, serde::Deserialize)]
    struct Impostor;
    impl Aggregate for Impostor {
        const TYPE: &'static str = Counter::TYPE;
        type Event = ();
        fn apply(&mut self, (): &()) {}
    }
    let runtime = start(&Arc::new(MemoryStore::new())).await;
    let counter = counter(&runtime);
    let error = runtime.aggregate::<Impostor>("acme", "1").unwrap_err();
    assert!(matches!(error, AddressError::OtherType { .. }), "{error}");
    assert_eq!(counter.send(Add(1)).await.unwrap(), 1);
}

#[tokio::test]
async fn events_that_cannot_be_written_are_named_and_change_nothing() {
    #[derive(Clone, Default, serde::Serialize, serde::Deserialize)]
    struct Flat {
        applied: u32,
    }
    #[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
    struct NotAnEnum {
        amount: i64,
    }
    impl Aggregate for Flat {
        const TYPE: &'static str = "flat";
        type Event = NotAnEnum;
        fn apply(&mut self, _event: &NotAnEnum) {
            self.applied += 1;
        }
    }
    struct Note;
    impl Command for Note {
        type Aggregate = Flat;
        type Reply = ();
        type Rejection = Never;
        fn decide(
            &self,
            _state: &Flat,
            _context: &CommandContext,
        ) -> Result<Decision<NotAnEnum, ()>, Never> {
            Ok(Decision::event(NotAnEnum { amount: 1 }, ()))
        }
    }
    let store = Arc::new(MemoryStore::new());
    let runtime = start(&store).await;
    let flat = runtime.aggregate::<Flat>("acme", "1").unwrap();
    let error = flat.send(Note).await.unwrap_err();
    assert!(error.to_string().contains("is not an enum"), "{error}");
    assert!(matches!(error, CommandError::InvalidEvents { .. }));
    assert_eq!(flat.query(|state| state.applied).await.unwrap(), 0);
    assert_eq!(store.head(), Position::BEFORE_FIRST);
}

#[tokio::test]
async fn an_option_that_does_not_fit_is_named() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let error = Runtime::builder(store)
        .commands_in_flight_max(0)
        .start()
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "commands_in_flight_max is 0; it takes 1 to 4294967295"
    );
}

#[tokio::test]
async fn what_the_store_would_refuse_is_refused_before_it_touches_the_state() {
    let store = super::held_store::HeldStore::new();
    let runtime = start(&store).await;
    let counter = counter(&runtime);
    counter.send(Add(1)).await.unwrap();
    let submitted = store.submitted();
    let long = "x".repeat(20_000);
    for meta in [
        CommandMeta::new().user(""),
        CommandMeta::new().user(long.as_str()),
        CommandMeta::new().with("note", long.as_str()),
    ] {
        let error = counter.execute(Add(1), meta).await.unwrap_err();
        assert!(
            matches!(
                error,
                CommandError::InvalidEvents {
                    error: InvalidEvents::Append(_),
                    ..
                }
            ),
            "{error}"
        );
        assert!(!error.is_retry_safe());
    }
    let many = foldhouse_store::APPEND_EVENTS_MAX + 1;
    counter.send(AddOneByOne(many)).await.unwrap_err();
    // Nothing went to the store, not even the check of a new actor.
    assert_eq!(store.submitted(), submitted);
    assert_eq!(counter.send(Add(1)).await.unwrap(), 2);
}
