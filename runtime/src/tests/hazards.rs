//! What an adversary would try: code of the user's that panics at odd places, states that leave fields out, another
//! writer on a stream whose actor runs ahead.

use std::sync::atomic::{AtomicBool, Ordering};

use super::counter::*;
use super::held_store::{HeldStore, not_recorded};
use super::*;
use crate::*;
use foldhouse_store::{
    Append, ExpectedVersion, NewEvent, Payload, SnapshotCriteria, SnapshotStore,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tokio::task::JoinHandle;

/// Leaves out what is not set, as much real code does.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Card {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    street: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum CardEvent {
    Moved(String),
    /// Cannot be written.
    Cursed(Cursed),
    /// As deep as one likes.
    Nested(Vec<Vec<Deep>>),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Deep(Vec<Deep>);

#[derive(Clone, Debug, PartialEq)]
struct Cursed;

impl Serialize for Cursed {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        panic!("serialize was told to panic")
    }
}

impl<'de> Deserialize<'de> for Cursed {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        panic!("deserialize was told to panic")
    }
}

impl Aggregate for Card {
    const TYPE: &'static str = "card";
    type Event = CardEvent;

    fn apply(&mut self, event: &CardEvent) {
        if let CardEvent::Moved(street) = event {
            self.street = Some(street.clone());
        }
    }
}

struct Record(CardEvent);

impl Command for Record {
    type Aggregate = Card;
    type Reply = ();
    type Rejection = Never;

    fn decide(&self, _: &Card, _: &CommandContext) -> Result<Decision<CardEvent, ()>, Never> {
        Ok(Decision::event(self.0.clone(), ()))
    }
}

fn card(runtime: &Runtime) -> AggregateRef<Card> {
    runtime.aggregate("acme", "1").unwrap()
}

async fn until_snapshot(store: &MemoryStore, stream: &StreamId) {
    while store
        .load_snapshot(stream, SnapshotCriteria::ALL)
        .await
        .unwrap()
        .is_none()
    {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_state_that_leaves_fields_out_comes_back_from_its_snapshot_as_it_was() {
    let store = Arc::new(MemoryStore::new());
    let runtime = start_with(&store, |builder| builder.snapshot_every_events(1)).await;
    let moved = Record(CardEvent::Moved("Elm Street".to_owned()));
    card(&runtime).send(moved).await.unwrap();
    let before = card(&runtime).query(Card::clone).await.unwrap();
    until_snapshot(&store, card(&runtime).stream()).await;
    runtime.shutdown(PATIENCE).await.unwrap();
    let next = start(&store).await;
    assert_eq!(card(&next).query(Card::clone).await.unwrap(), before);
}

#[tokio::test]
async fn an_event_whose_serialize_panics_is_told_and_the_aggregate_goes_on() {
    let store = HeldStore::new();
    let runtime = start(&store).await;
    let moved = || Record(CardEvent::Moved("Elm Street".to_owned()));
    card(&runtime).send(moved()).await.unwrap();
    let error = card(&runtime)
        .send(Record(CardEvent::Cursed(Cursed)))
        .await
        .unwrap_err();
    assert!(matches!(error, CommandError::Panicked { .. }), "{error}");
    card(&runtime).send(moved()).await.unwrap();
    assert_eq!(store.head().get(), 2);
}

#[tokio::test]
async fn an_event_whose_deserialize_panics_is_named_as_unreadable() {
    let store = Arc::new(MemoryStore::new());
    let runtime = start(&store).await;
    let payload = Payload::message_pack(b"\xc0".to_vec());
    let event = NewEvent::new(uuid::Uuid::from_u128(1), "Cursed", payload);
    let append = Append::to(
        card(&runtime).stream().clone(),
        ExpectedVersion::Any,
        [event],
    );
    store.append(append).await.unwrap();
    let error = card(&runtime).query(|_| ()).await.unwrap_err();
    assert!(matches!(error, QueryError::Unreadable(_)), "{error}");
}

#[tokio::test]
async fn an_event_that_could_not_be_read_back_is_not_recorded() {
    let store = Arc::new(MemoryStore::new());
    let runtime = start(&store).await;
    let nested = |depth: usize| {
        let deep = (0..depth).fold(Deep(Vec::new()), |inner, _| Deep(vec![inner]));
        Record(CardEvent::Nested(vec![vec![deep]]))
    };
    let mut recorded = 0;
    for depth in NESTING_DEPTH_MAX - 8..NESTING_DEPTH_MAX + 8 {
        match card(&runtime).send(nested(depth)).await {
            Ok(()) => recorded += 1,
            Err(error) => assert!(
                matches!(error, CommandError::InvalidEvents { .. }),
                "{error}"
            ),
        }
    }
    // Two lists stand around the deepest, which is one itself.
    assert_eq!(recorded, 8 - 2);
    let again = start(&store).await;
    assert_eq!(
        card(&again).version().await.unwrap(),
        Version::new(recorded)
    );
}

/// Its clone panics when told to, and so does reading it.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Brittle(Shard);

#[derive(Debug, Default, Serialize)]
struct Shard(u64);

static CLONE_PANICS: AtomicBool = AtomicBool::new(true);

impl Clone for Brittle {
    fn clone(&self) -> Self {
        assert!(
            !CLONE_PANICS.load(Ordering::SeqCst),
            "clone was told to panic"
        );
        Self(Shard(self.0.0))
    }
}

impl<'de> Deserialize<'de> for Shard {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        panic!("deserialize was told to panic")
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
enum BrittleEvent {
    Hit,
}

impl Aggregate for Brittle {
    const TYPE: &'static str = "brittle";
    type Event = BrittleEvent;

    fn apply(&mut self, _: &BrittleEvent) {
        self.0.0 += 1;
    }
}

struct Hit;

impl Command for Hit {
    type Aggregate = Brittle;
    type Reply = u64;
    type Rejection = Never;

    fn decide(
        &self,
        state: &Brittle,
        _: &CommandContext,
    ) -> Result<Decision<BrittleEvent, u64>, Never> {
        Ok(Decision::event(BrittleEvent::Hit, state.0.0 + 1))
    }
}

#[tokio::test]
async fn a_state_that_cannot_be_cloned_or_read_costs_its_snapshots_and_nothing_else() {
    let store = Arc::new(MemoryStore::new());
    let runtime = start_with(&store, |builder| builder.snapshot_every_events(1)).await;
    let brittle: AggregateRef<Brittle> = runtime.aggregate("acme", "1").unwrap();
    for hit in 1..=20 {
        assert_eq!(brittle.send(Hit).await.unwrap(), hit);
    }
    // No right to save one was lost meanwhile.
    CLONE_PANICS.store(false, Ordering::SeqCst);
    assert_eq!(brittle.send(Hit).await.unwrap(), 21);
    until_snapshot(&store, brittle.stream()).await;
    runtime.shutdown(PATIENCE).await.unwrap();
    let next = start(&store).await;
    let brittle: AggregateRef<Brittle> = next.aggregate("acme", "1").unwrap();
    assert_eq!(brittle.send(Hit).await.unwrap(), 22);
}

fn send(
    counter: &AggregateRef<Counter>,
    command: Add,
) -> JoinHandle<Result<u64, CommandError<Full>>> {
    let counter = counter.clone();
    tokio::spawn(async move { counter.send(command).await })
}

/// {"by": 5}, recorded beside the runtime and past what is held back.
pub(super) async fn foreign_event(store: &HeldStore, stream: &StreamId) {
    let payload = Payload::message_pack(b"\x81\xa2by\x05".to_vec());
    let event = NewEvent::new(uuid::Uuid::from_u128(1), "Added", payload);
    let append = Append::to(stream.clone(), ExpectedVersion::Any, [event]);
    store.inner.append(append).await.unwrap();
}

#[tokio::test]
async fn an_answer_that_rests_on_events_whose_versions_another_writer_took_is_void() {
    let store = HeldStore::new();
    let runtime = start(&store).await;
    let counter = counter(&runtime);
    counter.send(Add(1)).await.unwrap();
    store.hold();
    let submitted = store.submitted();
    let fills = send(&counter, Add(LIMIT - 1));
    store.until_submitted(submitted + 1).await;
    // Rests on version 2, which the store is going to have: but it is another event.
    let rejected = send(&counter, Add(2));
    store.until_submitted(submitted + 2).await;
    let asking = counter.clone();
    let query = tokio::spawn(async move { asking.query(|state| state.count).await });
    store.until_submitted(submitted + 3).await;
    foreign_event(&store, counter.stream()).await;
    store.let_go();
    assert!(matches!(
        fills.await.unwrap().unwrap_err(),
        CommandError::Conflict { .. }
    ));
    let error = rejected.await.unwrap().unwrap_err();
    assert!(error.is_retry_safe(), "{error}");
    let error = query.await.unwrap().unwrap_err();
    assert!(error.is_retry_safe(), "{error}");
    assert_eq!(counter.query(|state| state.count).await.unwrap(), 6);
}

#[tokio::test]
async fn what_was_recorded_on_events_whose_versions_another_writer_took_is_told_and_not_kept_as_a_snapshot()
 {
    let store = HeldStore::new();
    let runtime = start_with(&store, |builder| builder.snapshot_every_events(3)).await;
    let counter = counter(&runtime);
    counter.send(Add(1)).await.unwrap();
    store.hold();
    let submitted = store.submitted();
    let conflicts = send(&counter, Add(10));
    store.until_submitted(submitted + 1).await;
    let recorded = send(&counter, Add(100));
    store.until_submitted(submitted + 2).await;
    foreign_event(&store, counter.stream()).await;
    store.let_go();
    assert!(matches!(
        conflicts.await.unwrap().unwrap_err(),
        CommandError::Conflict { .. }
    ));
    let error = recorded.await.unwrap().unwrap_err();
    assert!(matches!(error, CommandError::Unknown { .. }), "{error}");
    settle().await;
    let snapshot = store
        .inner
        .load_snapshot(counter.stream(), SnapshotCriteria::ALL)
        .await
        .unwrap();
    assert!(snapshot.is_none());
    assert_eq!(counter.query(|state| state.count).await.unwrap(), 106);
}

#[tokio::test]
async fn what_is_durable_and_not_yet_told_is_not_void_because_another_writer_went_on_behind_it() {
    let store = HeldStore::new();
    let runtime = start(&store).await;
    let counter = counter(&runtime);
    counter.send(Add(1)).await.unwrap();
    store.hold_news();
    let submitted = store.submitted();
    let recorded = send(&counter, Add(10));
    store.until_submitted(submitted + 1).await;
    foreign_event(&store, counter.stream()).await;
    // Refused at once, before the news of what it rests on.
    let error = counter.query(|state| state.count).await.unwrap_err();
    assert!(error.is_retry_safe(), "{error}");
    store.tell();
    assert_eq!(recorded.await.unwrap().unwrap(), 11);
    assert_eq!(counter.query(|state| state.count).await.unwrap(), 16);
}

#[tokio::test]
async fn a_transaction_that_only_looked_voids_nothing_that_is_durable_and_not_yet_told() {
    let store = HeldStore::new();
    let runtime = start(&store).await;
    let counter = counter(&runtime);
    counter.send(Add(1)).await.unwrap();
    store.hold_news();
    let submitted = store.submitted();
    let recorded = send(&counter, Add(10));
    store.until_submitted(submitted + 1).await;
    foreign_event(&store, counter.stream()).await;
    let looked = runtime
        .transact((counter.require(|state: &Counter| Ok::<u64, Never>(state.count)),))
        .await;
    looked.unwrap_err();
    store.tell();
    assert_eq!(recorded.await.unwrap().unwrap(), 11);
}

#[tokio::test]
async fn a_check_that_falls_with_what_it_waits_for_does_not_take_queued_commands_along() {
    let store = HeldStore::new();
    let runtime = start(&store).await;
    let counter = counter(&runtime);
    counter.send(Add(1)).await.unwrap();
    store.hold();
    let submitted = store.submitted();
    let fails = send(&counter, Add(10));
    store.until_submitted(submitted + 1).await;
    counter.send(Panic::InDecide).await.unwrap_err();
    let queued = send(&counter, Add(1));
    // The next actor's check waits behind the append in flight, and in a journal falls with it.
    store.until_submitted(submitted + 2).await;
    store.fail_one(not_recorded());
    store.fail_one(not_recorded());
    store.let_go();
    fails.await.unwrap().unwrap_err();
    assert_eq!(queued.await.unwrap().unwrap(), 2);
}

#[tokio::test]
async fn who_does_not_want_to_wait_hears_of_a_shutdown_and_not_of_a_limit() {
    let store = HeldStore::new();
    let runtime = start_with(&store, |builder| builder.when_full(WhenFull::Refuse)).await;
    let counter = counter(&runtime);
    counter.send(Add(1)).await.unwrap();
    store.hold();
    let submitted = store.submitted();
    let accepted = send(&counter, Add(1));
    store.until_submitted(submitted + 1).await;
    let ending = runtime.clone();
    let shutdown = tokio::spawn(async move { ending.shutdown(PATIENCE).await });
    settle().await;
    assert!(matches!(
        counter.send(Add(1)).await.unwrap_err(),
        CommandError::NotRecorded {
            reason: NotRecorded::ShuttingDown,
            ..
        }
    ));
    assert!(matches!(
        counter.query(|_| ()).await.unwrap_err(),
        QueryError::Unavailable { .. }
    ));
    store.let_go();
    assert_eq!(accepted.await.unwrap().unwrap(), 2);
    shutdown.await.unwrap().unwrap();
}

#[tokio::test]
async fn an_epoch_that_ended_well_stays_good_when_a_later_one_is_voided() {
    let runtime = start(&Arc::new(MemoryStore::new())).await;
    let counter = counter(&runtime);
    let slot = counter.slot();
    let at = Version::new;
    assert!(slot.void(2, Some(at(5))));
    assert!(!slot.void(2, Some(at(4))));
    assert!(!slot.is_voided_at(1, at(9)));
    assert!(!slot.is_voided_at(2, at(3)) && slot.is_voided_at(2, at(4)));
    assert!(!slot.is_voided_at(3, at(9)));
    assert!(slot.void(3, None));
    assert!(!slot.is_voided_at(2, at(3)) && slot.is_voided_at(2, at(4)));
    // Of one that is long gone nothing is known.
    for epoch in 4..100 {
        slot.void(epoch, None);
    }
    assert!(slot.is_voided_at(2, at(3)) && !slot.is_voided_at(100, at(1)));
}
