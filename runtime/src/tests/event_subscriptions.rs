//! A subscriber to a scope gets every durable event in it once, in the order of positions, and nothing else.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use foldhouse_store::{Append, ExpectedVersion, NewEvent, Payload};
use futures_util::{StreamExt, TryStreamExt};

use super::counter::*;
use super::held_store::HeldStore;
use super::*;
use crate::*;

/// Appends events of these types to one stream, beside the runtime.
async fn record(store: &Arc<impl Store>, tenant: &str, aggregate_type: &str, event_types: &[&str]) {
    let stream = StreamId::new(tenant, aggregate_type, "1").unwrap();
    // {"by": 9}
    let payload = Payload::message_pack(b"\x81\xa2by\x09".to_vec());
    let event =
        |name: &&str| NewEvent::new(SystemClock.new_id(), Arc::from(*name), payload.clone());
    let events: Vec<_> = event_types.iter().map(event).collect();
    store
        .append(Append::to(stream, ExpectedVersion::Any, events))
        .await
        .unwrap();
}

async fn next(events: &mut EventSubscription) -> Option<u64> {
    let next = tokio::time::timeout(PATIENCE, events.next()).await;
    let next = next.expect("there is something").unwrap()?;
    Some(next.position.get())
}

/// What it has for now.
async fn rest(events: &mut EventSubscription) -> Vec<u64> {
    let mut given = Vec::new();
    loop {
        let mut next = pin!(events.next());
        let mut polled = Poll::Pending;
        for _ in 0..10 {
            polled = next.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            if polled.is_ready() {
                break;
            }
            settle().await;
        }
        let Poll::Ready(next) = polled else {
            return given;
        };
        given.push(next.unwrap().expect("it goes on").position.get());
    }
}

#[tokio::test]
async fn each_scope_gives_just_its_events_from_those_there_to_those_that_come() {
    let store = HeldStore::new();
    let runtime = start(&store).await;
    let stream = StreamId::new("acme", "counter", "1").unwrap();
    let scopes = [
        (EventScope::all(), vec![1, 2, 3, 4, 5, 6]),
        (EventScope::tenant("acme"), vec![1, 2, 3, 5, 6]),
        (EventScope::category("acme", "counter"), vec![1, 2, 6]),
        (EventScope::aggregate_type("counter"), vec![1, 2, 4, 6]),
        (EventScope::event_type("Closed"), vec![2, 4, 5]),
        (EventScope::event_type_of("acme", "Closed"), vec![2, 5]),
        (EventScope::stream(stream), vec![1, 2, 6]),
        (EventScope::tenant("acm"), vec![]),
        (EventScope::category("acme", "count"), vec![]),
    ];
    let round = async || {
        record(&store, "acme", "counter", &["Added", "Closed"]).await;
        record(&store, "acme", "item", &["Added"]).await;
        record(&store, "globex", "counter", &["Closed"]).await;
        record(&store, "acme", "item", &["Closed"]).await;
        record(&store, "acme", "counter", &["Added"]).await;
    };
    round().await;
    let mut subscriptions: Vec<_> = scopes
        .iter()
        .map(|(scope, _)| runtime.subscribe(scope.clone(), StartAt::Beginning))
        .collect();
    for ((scope, expected), events) in scopes.iter().zip(&mut subscriptions) {
        assert_eq!(rest(events).await, *expected, "{scope:?}");
        assert_eq!(events.position(), Position::new(6), "{scope:?}");
    }
    round().await;
    for ((scope, expected), events) in scopes.iter().zip(&mut subscriptions) {
        let expected: Vec<u64> = expected.iter().map(|position| position + 6).collect();
        assert_eq!(rest(events).await, expected, "{scope:?}");
    }
}

#[tokio::test]
async fn it_begins_at_the_first_event_behind_a_position_or_with_what_comes() {
    let store = HeldStore::new();
    let runtime = start(&store).await;
    for _ in 0..4 {
        record(&store, "acme", "counter", &["Added"]).await;
        record(&store, "acme", "item", &["Moved"]).await;
    }
    let category = EventScope::category("acme", "counter");
    let stream = StreamId::new("acme", "counter", "1").unwrap();
    for scope in [category, EventScope::stream(stream.clone())] {
        let from = |start| runtime.subscribe(scope.clone(), start);
        let mut all = from(StartAt::Beginning);
        let mut behind = from(StartAt::After(Position::new(3)));
        let mut between = from(StartAt::After(Position::new(4)));
        let mut ahead = from(StartAt::After(runtime.store().head().next().next()));
        let mut now = from(StartAt::Now);
        let head = runtime.store().head().get();
        let there: Vec<u64> = (1..=head).step_by(2).collect();
        assert_eq!(rest(&mut all).await, there);
        assert_eq!(rest(&mut behind).await, there[2..]);
        assert_eq!(rest(&mut between).await, there[2..]);
        assert!(rest(&mut now).await.is_empty());
        record(&store, "acme", "counter", &["Added"]).await;
        record(&store, "acme", "item", &["Moved"]).await;
        for events in [&mut all, &mut behind, &mut between, &mut now] {
            assert_eq!(next(events).await, Some(head + 1));
        }
        assert!(rest(&mut ahead).await.is_empty());
        record(&store, "acme", "counter", &["Added"]).await;
        record(&store, "acme", "item", &["Moved"]).await;
        assert_eq!(next(&mut ahead).await, Some(head + 3));
    }
    let mut by_version = runtime.subscribe_stream(&stream, Version::new(2));
    assert_eq!(rest(&mut by_version).await[..2], [3, 5]);
}

#[tokio::test]
async fn a_category_is_given_decoded_and_of_one_tenant_or_of_all() {
    let store = HeldStore::new();
    let runtime = start(&store).await;
    let mut of_acme = runtime.subscribe_to::<Counter>(Some("acme"), StartAt::Beginning);
    let mut of_all = runtime.subscribe_to::<Counter>(None, StartAt::Now);
    for (tenant, by) in [("acme", 1), ("globex", 2), ("acme", 3)] {
        let counter: AggregateRef<Counter> = runtime.aggregate(tenant, "1").unwrap();
        counter.send(Add(by)).await.unwrap();
    }
    record(&store, "acme", "item", &["Added"]).await;
    for by in [1, 3] {
        let event = of_acme.next().await.unwrap().unwrap();
        assert_eq!(event.event, CounterEvent::Added { by });
        assert!(of_acme.position() >= event.recorded.position);
    }
    for by in [1, 2, 3] {
        let event = of_all.next().await.unwrap().unwrap();
        assert_eq!(event.event, CounterEvent::Added { by });
    }
    runtime.shutdown(PATIENCE).await.unwrap();
    assert_eq!(of_acme.next().await.unwrap(), None);
    assert_eq!(of_all.next().await.unwrap(), None);
}

#[tokio::test]
async fn an_event_of_a_category_that_cannot_be_read_is_named_until_it_is_passed_over() {
    let store = HeldStore::new();
    let runtime = start(&store).await;
    record(&store, "acme", "counter", &["Added", "Vanished", "Added"]).await;
    let mut events = runtime.subscribe_to::<Counter>(Some("acme"), StartAt::Beginning);
    let mut raw = runtime.subscribe(EventScope::all(), StartAt::Beginning);
    assert_eq!(
        rest(&mut raw).await,
        [1, 2, 3],
        "as they are recorded all can be read"
    );
    assert!(events.next().await.unwrap().is_some());
    for _again in 0..2 {
        let error = events.next().await.unwrap_err();
        assert!(!error.is_retry_safe());
        assert!(error.to_string().contains("Vanished"), "{error}");
        assert_eq!(events.position(), Position::new(1));
    }
    let left_out = events.pass_over().unwrap();
    assert_eq!(&*left_out.event_type, "Vanished");
    let behind = events.next().await.unwrap().unwrap();
    assert_eq!(behind.recorded.position, Position::new(3));
}

#[tokio::test]
async fn it_is_a_stream_for_combinators() {
    let store = HeldStore::new();
    let runtime = start(&store).await;
    let counter = counter(&runtime);
    let of_one = counter.subscribe(Version::EMPTY);
    let of_type = runtime.subscribe_to::<Counter>(None, StartAt::Beginning);
    let raw = runtime.subscribe(EventScope::all(), StartAt::Beginning);
    for by in 1..=500 {
        counter.send(Add(by)).await.unwrap();
    }
    runtime.shutdown(PATIENCE).await.unwrap();
    let positions: Vec<u64> = raw
        .map_ok(|event| event.position.get())
        .try_collect()
        .await
        .unwrap();
    assert_eq!(positions, (1..=500).collect::<Vec<_>>());
    let amount = |event: SubscribedEvent<CounterEvent>| match event.event {
        CounterEvent::Added { by } => by,
        other => panic!("{other:?}"),
    };
    let both: Vec<(u64, u64)> = of_one
        .map_ok(amount)
        .zip(of_type.map_ok(amount))
        .map(|(one, other)| (one.unwrap(), other.unwrap()))
        .collect()
        .await;
    assert_eq!(both, (1..=500).map(|by| (by, by)).collect::<Vec<_>>());
}

/// The choices of one task.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    async fn pause(&mut self) {
        match self.below(20) {
            0 => tokio::time::sleep(Duration::from_micros(self.below(2_000))).await,
            1..=5 => tokio::task::yield_now().await,
            _ => {}
        }
    }
}

/// Reads up to `end`, with subscriptions that end anywhere and go on behind what the one before had given.
async fn read_in_pieces(
    runtime: Runtime,
    scope: EventScope,
    mut dice: Dice,
    end: Position,
) -> Vec<RecordedEvent> {
    let mut given: Vec<RecordedEvent> = Vec::new();
    let mut position = Position::BEFORE_FIRST;
    while position < end {
        let mut events = runtime.subscribe(scope.clone(), StartAt::After(position));
        for _ in 0..1 + dice.below(400) {
            dice.pause().await;
            if events.position() >= end {
                break;
            }
            // Given up anywhere, which loses nothing.
            let patience = Duration::from_micros(50 + dice.below(3_000));
            if let Ok(next) = tokio::time::timeout(patience, events.next()).await {
                given.push(next.unwrap().expect("the runtime is there"));
            }
        }
        position = events.position();
    }
    given
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn with_many_writers_and_subscribers_that_come_and_go_nothing_is_left_out_or_given_twice() {
    const WRITERS: u64 = 6;
    const COMMANDS: u64 = 500;
    let store = Arc::new(MemoryStore::new());
    let runtime = start(&store).await;
    let end = Position::new(WRITERS * COMMANDS);
    let stream = StreamId::new("t1", "counter", "1").unwrap();
    let scopes = [
        EventScope::all(),
        EventScope::tenant("t1"),
        EventScope::category("t2", "counter"),
        EventScope::aggregate_type("counter"),
        EventScope::event_type_of("t0", "Added"),
        EventScope::stream(stream),
    ];
    let mut readers = Vec::new();
    for (number, scope) in (1..).zip(scopes.iter().chain(&scopes)) {
        let dice = Dice(number * 7_919);
        let reader = read_in_pieces(runtime.clone(), scope.clone(), dice, end);
        readers.push((scope, tokio::spawn(reader)));
    }
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let runtime = runtime.clone();
            tokio::spawn(async move {
                let mut dice = Dice(writer + 1);
                for _ in 0..COMMANDS {
                    let tenant = format!("t{}", dice.below(3));
                    let id = dice.below(3).to_string();
                    let counter: AggregateRef<Counter> = runtime.aggregate(&tenant, &id).unwrap();
                    counter.send(Add(1)).await.unwrap();
                    dice.pause().await;
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    let mut everything: Vec<RecordedEvent> = Vec::new();
    while let Some(after) = everything.last().map_or(Some(0), |event| {
        Some(event.position.get()).filter(|last| *last < end.get())
    }) {
        let page = store.read_all(Position::new(after), 1_000).await.unwrap();
        everything.extend(page.events);
    }
    for (scope, reader) in readers {
        let given = tokio::time::timeout(PATIENCE, reader).await.unwrap();
        let expected: Vec<RecordedEvent> = everything
            .iter()
            .filter(|event| match scope {
                _ if *scope == scopes[0] || *scope == scopes[3] => true,
                _ if *scope == scopes[1] => event.stream.tenant() == "t1",
                _ if *scope == scopes[2] => event.stream.tenant() == "t2",
                _ if *scope == scopes[4] => event.stream.tenant() == "t0",
                _ => event.stream.as_str() == "t1/counter/1",
            })
            .cloned()
            .collect();
        assert_eq!(given.unwrap(), expected, "{scope:?}");
    }
}

#[tokio::test]
async fn a_slow_one_keeps_a_page_at_most_and_slows_nobody() {
    const COUNT: u64 = 3_000;
    let store = HeldStore::new();
    let runtime = start(&store).await;
    let counter = counter(&runtime);
    let mut slow = runtime.subscribe(EventScope::all(), StartAt::Beginning);
    let mut stands_still = runtime.subscribe(EventScope::all(), StartAt::Beginning);
    assert!(rest(&mut stands_still).await.is_empty());
    let mut quick = runtime.subscribe(EventScope::all(), StartAt::Beginning);
    for position in 1..=COUNT {
        counter.send(Add(1)).await.unwrap();
        assert_eq!(next(&mut quick).await, Some(position));
        if position % 10 == 0 {
            assert_eq!(next(&mut slow).await, Some(position / 10));
        }
        assert!(slow.in_memory() <= 128 && stands_still.in_memory() <= 128);
    }
    for position in 1..=COUNT {
        assert_eq!(next(&mut stands_still).await, Some(position));
        assert!(stands_still.in_memory() <= 128);
    }
}

/// Counts how often it is woken.
#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn one_that_waits_is_not_woken_by_events_out_of_its_scope() {
    let store = HeldStore::new();
    let runtime = start(&store).await;
    let mut subscriptions: Vec<_> = (0..1_000)
        .map(|tenant| EventScope::category(format!("t{tenant}"), "counter"))
        .map(|scope| runtime.subscribe(scope, StartAt::Beginning))
        .collect();
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(Arc::clone(&wakes));
    let mut waiting: Vec<_> = subscriptions
        .iter_mut()
        .map(|events| Box::pin(events.next()))
        .collect();
    for next in &mut waiting {
        let polled = next.as_mut().poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
    }
    for _ in 0..100 {
        record(&store, "t1000", "counter", &["Added"]).await;
        record(&store, "t77", "item", &["Added"]).await;
    }
    settle().await;
    assert_eq!(wakes.0.load(Ordering::SeqCst), 0);
    record(&store, "t77", "counter", &["Added"]).await;
    settle().await;
    assert_eq!(wakes.0.load(Ordering::SeqCst), 1);
    let polled = waiting[77].as_mut().poll(&mut Context::from_waker(&waker));
    assert!(matches!(polled, Poll::Ready(Ok(Some(_)))));
}

#[tokio::test]
async fn it_ends_with_the_runtime_behind_the_last_event_that_was_accepted() {
    let store = HeldStore::new();
    let runtime = start(&store).await;
    let counter = counter(&runtime);
    let mut events = runtime.subscribe(EventScope::tenant("acme"), StartAt::Beginning);
    let mut idle = runtime.subscribe(EventScope::tenant("globex"), StartAt::Beginning);
    counter.send(Add(1)).await.unwrap();
    store.hold();
    let submitted = store.submitted();
    let sending = counter.clone();
    let accepted = tokio::spawn(async move { sending.send(Add(2)).await });
    store.until_submitted(submitted + 1).await;
    let ending = runtime.clone();
    let ending = tokio::spawn(async move { ending.shutdown(PATIENCE).await });
    assert_eq!(rest(&mut events).await, [1]);
    assert!(rest(&mut idle).await.is_empty());
    store.let_go();
    assert_eq!(next(&mut events).await, Some(2));
    assert_eq!(next(&mut events).await, None);
    assert_eq!(next(&mut idle).await, None);
    accepted.await.unwrap().unwrap();
    ending.await.unwrap().unwrap();
    // Too late to follow, but not to read.
    let mut late = runtime.subscribe(EventScope::all(), StartAt::After(Position::new(1)));
    assert_eq!(next(&mut late).await, Some(2));
    assert_eq!(next(&mut late).await, None);
}

#[tokio::test]
async fn it_does_not_keep_the_runtime_alive_and_when_all_are_gone_nobody_reads_for_them() {
    let store = HeldStore::new();
    let runtime = start(&store).await;
    let counter = counter(&runtime);
    let mut events = runtime.subscribe(EventScope::all(), StartAt::Beginning);
    let second = runtime.subscribe(EventScope::tenant("acme"), StartAt::Now);
    assert!(runtime.topics().is_dispatching());
    drop(second);
    settle().await;
    assert!(runtime.topics().is_dispatching());
    counter.send(Add(1)).await.unwrap();
    assert_eq!(next(&mut events).await, Some(1));
    drop(events);
    settle().await;
    assert!(!runtime.topics().is_dispatching());
    let mut events = runtime.subscribe(EventScope::all(), StartAt::Now);
    drop(runtime);
    assert_eq!(next(&mut events).await, None);
}

#[tokio::test]
async fn a_read_that_fails_is_told_and_tried_again() {
    let store = HeldStore::new();
    let runtime = start(&store).await;
    let mut events = runtime.subscribe(EventScope::tenant("acme"), StartAt::Beginning);
    assert!(rest(&mut events).await.is_empty());
    // The first is the one of whoever wakes the subscriptions.
    store.fail_reads(2);
    record(&store, "acme", "counter", &["Added"]).await;
    let error = tokio::time::timeout(PATIENCE, events.next()).await.unwrap();
    assert!(error.unwrap_err().is_retry_safe());
    assert_eq!(next(&mut events).await, Some(1));
    record(&store, "acme", "counter", &["Added"]).await;
    assert_eq!(next(&mut events).await, Some(2));
}
