//! A subscriber gets every durable event of its aggregate once, in order, and nothing else.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use super::counter::*;
use super::hazards::foreign_event;
use super::held_store::{HeldStore, not_recorded};
use super::*;
use crate::*;
use foldhouse_store::{Append, ExpectedVersion, NewEvent, Payload};

/// The next event's amount and version; `None` at the end.
async fn next(events: &mut Subscription<Counter>) -> Option<(u64, u64)> {
    let next = tokio::time::timeout(PATIENCE, events.next()).await;
    let next = next.expect("there is something").unwrap()?;
    let CounterEvent::Added { by } = next.event else {
        panic!("{next:?}")
    };
    assert_eq!(next.recorded.stream, *events.stream());
    Some((by, next.recorded.version.get()))
}

/// Whether it has no event now.
async fn waits(events: &mut Subscription<Counter>) -> bool {
    settle().await;
    let mut next = pin!(events.next());
    let mut polled = next.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    for _ in 0..10 {
        if polled.is_ready() {
            break;
        }
        settle().await;
        polled = next.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    }
    polled.is_pending()
}

#[tokio::test]
async fn it_gives_what_is_there_from_a_version_on_and_then_what_is_added() {
    let store = HeldStore::new();
    let runtime = start(&store).await;
    let counter = counter(&runtime);
    for by in 1..=3 {
        counter.send(Add(by)).await.unwrap();
    }
    let mut all = counter.subscribe(Version::EMPTY);
    let mut from_second = counter.subscribe(Version::new(2));
    let mut from_fifth = counter.subscribe(Version::new(5));
    for by in 4..=5 {
        counter.send(Add(by)).await.unwrap();
    }
    for version in 1..=5 {
        assert_eq!(next(&mut all).await, Some((version, version)));
    }
    for version in 2..=5 {
        assert_eq!(next(&mut from_second).await, Some((version, version)));
    }
    assert_eq!(next(&mut from_fifth).await, Some((5, 5)));
    assert!(waits(&mut all).await && waits(&mut from_second).await);
    counter.send(Add(6)).await.unwrap();
    for events in [&mut all, &mut from_second, &mut from_fifth] {
        assert_eq!(next(events).await, Some((6, 6)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn what_is_recorded_while_it_catches_up_is_neither_left_out_nor_given_twice() {
    const COUNT: u64 = 3_000;
    let store = Arc::new(MemoryStore::new());
    let runtime = start(&store).await;
    let counter = counter(&runtime);
    let mut readers = Vec::new();
    for batch in 0..COUNT / 100 {
        // Each begins while the others' events are being recorded.
        let mut events = counter.subscribe(Version::new(batch));
        readers.push(tokio::spawn(async move {
            for version in batch.max(1)..=COUNT {
                assert_eq!(next(&mut events).await, Some((1, version)));
            }
        }));
        let counter = counter.clone();
        let writer = tokio::spawn(async move {
            for _ in 0..50 {
                counter.send(Add(1)).await.unwrap();
            }
        });
        let beside = self::counter(&runtime);
        for _ in 0..50 {
            beside.send(Add(1)).await.unwrap();
        }
        writer.await.unwrap();
    }
    for reader in readers {
        reader.await.unwrap();
    }
}

#[tokio::test]
async fn what_is_recorded_while_another_ones_dispatcher_is_only_setting_out_is_not_left_out() {
    let store = HeldStore::new();
    let runtime = start(&store).await;
    let (first, second) = (counter(&runtime), counter(&runtime));
    let (followed, follows) = std::sync::mpsc::channel();
    let beside = std::thread::spawn({
        let (set_out, sets_out) = std::sync::mpsc::channel();
        let (store, hook) = (store.clone(), store.clone());
        hook.before_head(move || {
            set_out.send(()).unwrap();
            // If it has to wait for the one that sets out it need not have read by now.
            let _ = follows.recv_timeout(Duration::from_millis(300));
            let recorded = foreign_event(&store, second.stream());
            assert!(
                pin!(recorded)
                    .poll(&mut Context::from_waker(Waker::noop()))
                    .is_ready()
            );
        });
        let second = counter(&runtime);
        move || {
            sets_out.recv().unwrap();
            let mut events = second.subscribe(Version::EMPTY);
            // It reads what is there: nothing yet, or the event.
            let polled = pin!(events.next()).poll(&mut Context::from_waker(Waker::noop()));
            let _ = followed.send(());
            (events, polled.is_ready())
        }
    });
    let _first = first.subscribe(Version::EMPTY);
    let (mut events, is_given) = beside.join().unwrap();
    if !is_given {
        let next = tokio::time::timeout(Duration::from_secs(5), next(&mut events)).await;
        assert_eq!(next.expect("it is told of it"), Some((5, 1)));
    }
}

#[tokio::test]
async fn it_gives_nothing_before_it_is_durable_and_nothing_that_failed() {
    let store = HeldStore::new();
    let runtime = start(&store).await;
    let counter = counter(&runtime);
    let mut events = counter.subscribe(Version::EMPTY);
    counter.send(Add(1)).await.unwrap();
    assert_eq!(next(&mut events).await, Some((1, 1)));
    store.hold();
    let submitted = store.submitted();
    let sending = counter.clone();
    let fails = tokio::spawn(async move { sending.send(Add(2)).await });
    store.until_submitted(submitted + 1).await;
    assert!(waits(&mut events).await);
    store.fail_one(not_recorded());
    store.let_go();
    fails.await.unwrap().unwrap_err();
    assert!(waits(&mut events).await);
    counter.send(Add(3)).await.unwrap();
    assert_eq!(next(&mut events).await, Some((3, 2)));
}

#[tokio::test]
async fn it_outlives_the_actor_of_its_aggregate() {
    let store = HeldStore::new();
    let runtime = start(&store).await;
    let counter = counter(&runtime);
    let mut events = counter.subscribe(Version::EMPTY);
    for version in 1..=5 {
        counter.send(Add(7)).await.unwrap();
        counter.send(Panic::InDecide).await.unwrap_err();
        assert_eq!(next(&mut events).await, Some((7, version)));
    }
}

#[tokio::test]
async fn it_gives_what_another_writer_of_the_store_records() {
    let store = HeldStore::new();
    let (runtime, other) = (start(&store).await, start(&store).await);
    let mut events = counter(&runtime).subscribe(Version::EMPTY);
    assert!(waits(&mut events).await);
    counter(&other).send(Add(4)).await.unwrap();
    assert_eq!(next(&mut events).await, Some((4, 1)));
}

#[tokio::test]
async fn a_slow_one_holds_nobody_up_and_keeps_a_page_at_most() {
    const COUNT: u64 = 2_000;
    let store = HeldStore::new();
    let runtime = start(&store).await;
    let counter = counter(&runtime);
    let mut events = counter.subscribe(Version::EMPTY);
    for version in 1..=COUNT {
        counter.send(Add(1)).await.unwrap();
        if version % 10 == 0 {
            assert_eq!(next(&mut events).await, Some((1, version / 10)));
            assert!(events.in_memory() <= 128);
        }
    }
    for version in COUNT / 10 + 1..=COUNT {
        assert_eq!(next(&mut events).await, Some((1, version)));
        assert!(events.in_memory() <= 128);
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
async fn one_that_waits_is_not_woken_by_the_events_of_others() {
    const COUNTERS: usize = 10_000;
    let store = Arc::new(MemoryStore::new());
    let runtime = start(&store).await;
    let at = |id: usize| -> AggregateRef<Counter> {
        runtime.aggregate("acme", &id.to_string()).unwrap()
    };
    let mut subscriptions: Vec<_> = (0..COUNTERS)
        .map(|id| at(id).subscribe(Version::EMPTY))
        .collect();
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(Arc::clone(&wakes));
    let mut waiting: Vec<_> = subscriptions
        .iter_mut()
        .map(|events| Box::pin(events.next()))
        .collect();
    for next in &mut waiting {
        assert!(
            next.as_mut()
                .poll(&mut Context::from_waker(&waker))
                .is_pending()
        );
    }
    for _ in 0..100 {
        at(COUNTERS).send(Add(1)).await.unwrap();
    }
    settle().await;
    assert_eq!(wakes.0.load(Ordering::SeqCst), 0);
    at(77).send(Add(1)).await.unwrap();
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
    let mut events = counter.subscribe(Version::EMPTY);
    let mut idle = runtime
        .aggregate::<Counter>("acme", "idle")
        .unwrap()
        .subscribe(Version::EMPTY);
    counter.send(Add(1)).await.unwrap();
    store.hold();
    let submitted = store.submitted();
    let sending = counter.clone();
    let accepted = tokio::spawn(async move { sending.send(Add(2)).await });
    store.until_submitted(submitted + 1).await;
    let ending = runtime.clone();
    let ending = tokio::spawn(async move { ending.shutdown(PATIENCE).await });
    assert_eq!(next(&mut events).await, Some((1, 1)));
    assert!(waits(&mut events).await && waits(&mut idle).await);
    store.let_go();
    assert_eq!(next(&mut events).await, Some((2, 2)));
    assert_eq!(next(&mut events).await, None);
    assert_eq!(next(&mut idle).await, None);
    assert_eq!(next(&mut events).await, None);
    accepted.await.unwrap().unwrap();
    ending.await.unwrap().unwrap();
    // Too late to follow, but not to read.
    let mut late = counter.subscribe(Version::new(2));
    assert_eq!(next(&mut late).await, Some((2, 2)));
    assert_eq!(next(&mut late).await, None);
}

#[tokio::test]
async fn it_does_not_keep_the_runtime_alive() {
    let store = HeldStore::new();
    let runtime = start(&store).await;
    let counter = counter(&runtime);
    let mut events = counter.subscribe(Version::EMPTY);
    counter.send(Add(1)).await.unwrap();
    drop(runtime);
    assert_eq!(next(&mut events).await, Some((1, 1)));
    assert_eq!(next(&mut events).await, None);
}

#[tokio::test]
async fn when_nobody_follows_anything_nobody_reads_the_journal_for_it() {
    let store = HeldStore::new();
    let runtime = start(&store).await;
    let counter = counter(&runtime);
    for version in 1..=3 {
        let mut events = counter.subscribe(Version::new(version));
        let second = counter.subscribe(Version::EMPTY);
        assert!(runtime.topics().is_dispatching());
        counter.send(Add(1)).await.unwrap();
        assert_eq!(next(&mut events).await, Some((1, version)));
        drop(events);
        settle().await;
        assert!(runtime.topics().is_dispatching());
        drop(second);
        settle().await;
        assert!(!runtime.topics().is_dispatching());
    }
}

#[tokio::test]
async fn dropping_the_future_loses_nothing() {
    let store = HeldStore::new();
    let runtime = start(&store).await;
    let counter = counter(&runtime);
    let mut events = counter.subscribe(Version::EMPTY);
    for version in 1..=20 {
        assert!(waits(&mut events).await);
        counter.send(Add(1)).await.unwrap();
        // Given up wherever it comes to in one go, until it has come to the end.
        let mut given = None;
        while given.is_none() {
            let polled = pin!(events.next()).poll(&mut Context::from_waker(Waker::noop()));
            if let Poll::Ready(next) = polled {
                given = next.unwrap();
            }
            settle().await;
        }
        assert_eq!(given.unwrap().recorded.version.get(), version);
    }
}

#[tokio::test]
async fn an_event_that_cannot_be_read_is_named_and_the_one_behind_it_can_be_followed() {
    let store = HeldStore::new();
    let runtime = start(&store).await;
    let counter = counter(&runtime);
    counter.send(Add(1)).await.unwrap();
    let id = uuid::Uuid::from_u128(5);
    let foreign = NewEvent::new(id, "Vanished", Payload::message_pack(vec![0x80]));
    let append = Append::to(counter.stream().clone(), ExpectedVersion::Any, [foreign]);
    store.append(append).await.unwrap();
    // {"by": 9}
    let good = Payload::message_pack(b"\x81\xa2by\x09".to_vec());
    let good = NewEvent::new(uuid::Uuid::from_u128(6), "Added", good);
    let append = Append::to(counter.stream().clone(), ExpectedVersion::Any, [good]);
    store.append(append).await.unwrap();
    let mut events = counter.subscribe(Version::EMPTY);
    assert_eq!(next(&mut events).await, Some((1, 1)));
    for _again in 0..2 {
        let error = events.next().await.unwrap_err();
        assert!(!error.is_retry_safe());
        let SubscriptionError::Unreadable(unreadable) = error else {
            panic!("{error}")
        };
        assert!(matches!(
            &*unreadable,
            UnreadableStream::Event { version, event_type, .. }
                if version.get() == 2 && &**event_type == "Vanished"
        ));
    }
    let mut behind = counter.subscribe(Version::new(3));
    assert_eq!(next(&mut behind).await, Some((9, 3)));
}

#[tokio::test]
async fn a_read_that_fails_is_told_and_tried_again() {
    let store = HeldStore::new();
    let runtime = start(&store).await;
    let counter = counter(&runtime);
    let mut events = counter.subscribe(Version::EMPTY);
    counter.send(Add(1)).await.unwrap();
    assert_eq!(next(&mut events).await, Some((1, 1)));
    assert!(waits(&mut events).await);
    // The first is the one of whoever wakes the subscriptions.
    store.fail_reads(2);
    counter.send(Add(2)).await.unwrap();
    let error = tokio::time::timeout(PATIENCE, events.next()).await.unwrap();
    assert!(error.unwrap_err().is_retry_safe());
    assert_eq!(next(&mut events).await, Some((2, 2)));
    counter.send(Add(3)).await.unwrap();
    assert_eq!(next(&mut events).await, Some((3, 3)));
}
