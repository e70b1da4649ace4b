use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use uuid::Uuid;

use super::*;
use crate::clock::Timestamp;
use crate::event::{NewEvent, Payload};
use crate::event_store::EventStoreExt;
use crate::position::ExpectedVersion;

#[cfg(feature = "conformance")]
crate::conformance_tests!(async { (Arc::new(MemoryStore::new()), ()) });

fn stream() -> StreamId {
    StreamId::new("acme", "account", "1").unwrap()
}

fn one_event(payload: Payload) -> Append {
    let event = NewEvent::new(Uuid::nil(), "Noted", payload);
    Append::to(stream(), ExpectedVersion::Any, [event])
}

/// A clock that shows what it is set to.
#[derive(Default, Debug)]
struct SetClock(AtomicI64);

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_micros(self.0.load(Ordering::Relaxed))
    }

    fn new_id(&self) -> Uuid {
        Uuid::nil()
    }
}

#[tokio::test]
async fn the_clock_decides_when_events_are_recorded_but_never_turns_back() {
    let clock = Arc::new(SetClock::default());
    let store = MemoryStore::with_clock(clock.clone());
    let mut recorded_at = Vec::new();
    for now in [-10, 5, 3, 5, 8] {
        clock.0.store(now, Ordering::Relaxed);
        let appended = store.append(one_event(Payload::default())).await.unwrap();
        recorded_at.push(appended.recorded_at.unix_micros());
    }
    assert_eq!(recorded_at, [-10, 5, 5, 5, 8]);
}

#[tokio::test]
async fn a_page_is_bounded_in_bytes_but_never_empty_while_there_is_more() {
    let store = MemoryStore::new();
    let mebibyte = |count: usize| Payload::raw(vec![0; count << 20]);
    for size in [3, 5, 1, 12, 1] {
        store.append(one_event(mebibyte(size))).await.unwrap();
    }
    let mut after = Position::BEFORE_FIRST;
    let mut pages = Vec::new();
    loop {
        let page = store.read_all(after, 100).await.unwrap();
        pages.push(page.events.len());
        match page.next {
            Some(next) => after = next.max(after.next()),
            None => break,
        }
    }
    assert_eq!(pages, [2, 1, 1, 1]);
}

#[test]
fn a_callback_may_submit_again_and_is_told_in_order() {
    let store = Arc::new(MemoryStore::new());
    let told = Arc::new(Mutex::new(Vec::new()));
    let (again, told_again) = (store.clone(), told.clone());
    let told_first = told.clone();
    store.submit(
        one_event(Payload::default()),
        Box::new(move |_| {
            again.submit(
                one_event(Payload::default()),
                Box::new(move |inner| told_again.lock().unwrap().push(inner.unwrap().position)),
            );
            // The inner append is recorded, but its outcome waits for this callback to end.
            assert_eq!(again.head(), Position::new(2));
            told_first.lock().unwrap().push(Position::new(1));
        }),
    );
    assert_eq!(*told.lock().unwrap(), [Position::new(1), Position::new(2)]);
}

#[test]
fn a_callback_that_panics_takes_no_other_outcome_with_it() {
    let store = Arc::new(MemoryStore::new());
    let told = Arc::new(AtomicUsize::new(0));
    let submit = |settled: OnSettled| store.submit(one_event(Payload::default()), settled);
    let count = |told: Arc<AtomicUsize>| -> OnSettled {
        Box::new(move |_| {
            told.fetch_add(1, Ordering::Relaxed);
        })
    };
    let (again, inner) = (store.clone(), count(told.clone()));
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        submit(Box::new(move |_| {
            again.submit(one_event(Payload::default()), inner);
            panic!("a callback must not panic");
        }));
    }));
    assert!(panicked.is_err(), "the panic must be seen");
    assert_eq!(told.load(Ordering::Relaxed), 1);
    submit(count(told.clone()));
    assert_eq!(told.load(Ordering::Relaxed), 2);
}
