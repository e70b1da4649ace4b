//! Reading all events in the order of positions, and following the head.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use tokio::sync::oneshot;

use super::support::{
    PAGE_LIMITS, append, append_many, append_one, events, noted, patterned, read_behind,
    read_everything, refused, stream,
};
use crate::append::Append;
use crate::position::{ExpectedVersion, Position, Version};
use crate::read_model::Store;

/// A store without events is at the position before the first.
pub async fn an_empty_store_is_before_the_first_position<S: Store + ?Sized>(store: &Arc<S>) {
    assert_eq!(store.head(), Position::BEFORE_FIRST);
    assert_eq!(*store.watch_head().borrow(), Position::BEFORE_FIRST);
    let page = store.read_all(Position::BEFORE_FIRST, 10).await.unwrap();
    assert_eq!((page.events.len(), page.next), (0, None));
}

/// From every position and with every page size, reading on gives every event behind it once and in order.
pub async fn all_events_are_read_page_by_page_from_every_position<S: Store + ?Sized>(
    store: &Arc<S>,
) {
    let (one, two, three) = (stream(1), stream(2), stream(3));
    append_many(store, &one, 5).await;
    let over_all = Append::to(two.clone(), ExpectedVersion::Any, events(2))
        .and(one.clone(), ExpectedVersion::Any, events(1))
        .and(three, ExpectedVersion::Any, events(4));
    append(store, over_all).await;
    for _ in 0..4 {
        append_one(store, &two).await;
    }
    append_many(store, &one, 9).await;

    let everything = read_everything(store).await;
    assert_eq!(everything.len(), 25);
    for (position, event) in (1..).zip(&everything) {
        assert_eq!(event.position, Position::new(position));
    }
    for after in 0..=25_u64 {
        for limit in PAGE_LIMITS {
            let behind = read_behind(store, Position::new(after), limit).await;
            let expected = &everything[usize::try_from(after).unwrap()..];
            assert_eq!(behind, expected, "behind {after} with limit {limit}");
        }
    }
}

/// At the head and anywhere behind it there is nothing, until something is appended.
pub async fn behind_the_head_there_is_nothing_to_read<S: Store + ?Sized>(store: &Arc<S>) {
    let head = append_many(store, &stream(1), 4).await.position;
    assert_eq!(head, Position::new(4));
    for after in [4, 5, 6, 1_000, u64::MAX - 1, u64::MAX] {
        for limit in [1, 1_000, usize::MAX] {
            let page = store.read_all(Position::new(after), limit).await.unwrap();
            assert_eq!((page.events.len(), page.next), (0, None), "behind {after}");
        }
    }
    let appended = append_one(store, &stream(2)).await;
    let page = store.read_all(head, 10).await.unwrap();
    assert_eq!(page.events.len(), 1);
    assert_eq!(page.events[0].position, appended.position);
    assert_eq!(page.next, None);
}

/// A page that ends just at the head says that there is nothing more for now.
pub async fn the_last_page_says_that_there_is_no_more<S: Store + ?Sized>(store: &Arc<S>) {
    append_many(store, &stream(1), 4).await;
    let mut after = Position::BEFORE_FIRST;
    let mut seen = 0;
    loop {
        let page = store.read_all(after, 2).await.unwrap();
        seen += page.events.len();
        match page.next {
            Some(next) => after = next,
            None => break,
        }
        assert!(seen < 4, "all events were given, but there should be more");
    }
    assert_eq!(seen, 4);
}

/// A limit of zero events gives none; what it says of the rest is left to the store.
pub async fn a_limit_of_zero_gives_no_event<S: Store + ?Sized>(store: &Arc<S>) {
    append_many(store, &stream(1), 4).await;
    let page = store.read_all(Position::BEFORE_FIRST, 0).await.unwrap();
    assert_eq!(page.events, []);
    let page = store.read_all(Position::new(4), 0).await.unwrap();
    assert_eq!(page.events, []);
}

/// A limit beyond all bounds is no demand for memory.
pub async fn the_highest_limit_is_a_limit_like_any_other<S: Store + ?Sized>(store: &Arc<S>) {
    append_many(store, &stream(1), 4).await;
    assert_eq!(
        read_behind(store, Position::BEFORE_FIRST, usize::MAX).await,
        read_everything(store).await
    );
}

/// Events that do not fit on one page in bytes are given over several, each with at least one.
pub async fn large_events_are_paged_without_loss<S: Store + ?Sized>(store: &Arc<S>) {
    let payload = patterned(1 << 20);
    for number in 0..20 {
        let event = noted(payload[number..].to_vec());
        let entry = Append::to(stream(number % 2), ExpectedVersion::Any, [event]);
        append(store, entry).await;
    }
    for limit in [3, 1_000] {
        let everything = read_behind(store, Position::BEFORE_FIRST, limit).await;
        assert_eq!(everything.len(), 20);
        for (number, event) in everything.iter().enumerate() {
            assert!(
                event.payload.bytes == payload[number..],
                "the payload at position {} is not what was appended",
                event.position
            );
        }
    }
}

/// The head moves with every append, by as many events as it has, and not with a refused one.
pub async fn the_head_moves_with_every_append<S: Store + ?Sized>(store: &Arc<S>) {
    let mut watched = store.watch_head();
    let mut expected = 0;
    for count in [1, 3, 2, 7] {
        let appended = append_many(store, &stream(1), count).await;
        expected += u64::try_from(count).unwrap();
        assert_eq!(appended.position, Position::new(expected));
        assert_eq!(store.head(), Position::new(expected));
        assert!(
            watched.has_changed().unwrap(),
            "the watch must have seen it"
        );
        assert_eq!(*watched.borrow_and_update(), Position::new(expected));
    }
    let unmet = ExpectedVersion::Exact(Version::new(3));
    refused(store, Append::to(stream(1), unmet, events(1))).await;
    append(store, Append::check(stream(1), ExpectedVersion::Any)).await;
    assert_eq!(store.head(), Position::new(expected));
    assert!(!watched.has_changed().unwrap(), "nothing was recorded");
}

/// Who waits at the head is woken by the next append.
pub async fn a_reader_at_the_head_is_woken_by_the_next_append<S: Store + ?Sized>(store: &Arc<S>) {
    let head = append_one(store, &stream(1)).await.position;
    let mut watched = store.watch_head();
    let (tell, waits) = oneshot::channel();
    let waiting = tokio::spawn(async move {
        let mut moved = pin!(watched.wait_for(|now| *now > head));
        let early = poll_fn(|context| Poll::Ready(moved.as_mut().poll(context).is_ready())).await;
        assert!(!early, "the head moved though nothing was appended");
        tell.send(()).unwrap();
        *moved.await.expect("the store must not close the watch")
    });
    waits.await.expect("the reader must come to wait");
    let appended = append_one(store, &stream(2)).await;
    assert_eq!(waiting.await.unwrap(), appended.position);
}
