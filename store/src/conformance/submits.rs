//! Appends that are submitted and not waited for: their order, their outcomes, and what is visible when those are told.

use std::sync::Arc;
use std::task::Poll;

use tokio::sync::mpsc;

use super::support::{
    append_many, append_one, assert_event_count, assert_gap_free, event, events, noted, patterned,
    read_everything, read_whole, stream, submit, version_of,
};
use crate::append::{Append, Appended};
use crate::error::AppendError;
use crate::event::NewEvent;
use crate::event_store::EventStoreExt;
use crate::position::{ExpectedVersion, Position, Version};
use crate::read_model::Store;

fn exactly(version: u64) -> ExpectedVersion {
    ExpectedVersion::Exact(Version::new(version))
}

/// A writer goes on building on its own appends without waiting, and hears of them in order.
pub async fn a_writer_builds_on_its_own_appends_without_waiting<S: Store + ?Sized>(store: &Arc<S>) {
    let account = stream(1);
    let (told, mut outcomes) = mpsc::unbounded_channel();
    let given = events(100);
    for (before, event) in (0..).zip(&given) {
        let told = told.clone();
        let entry = Append::to(account.clone(), exactly(before), [event.clone()]);
        store.submit(entry, Box::new(move |outcome| drop(told.send(outcome))));
    }
    for version in 1..=100 {
        let answer = outcomes
            .recv()
            .await
            .expect("every submit must be told its outcome");
        let answer = answer.unwrap_or_else(|error| panic!("submit {version}: {error}"));
        assert_eq!(answer.versions.as_slice(), [Version::new(version)]);
        assert_eq!(answer.position, Position::new(version));
    }
    let recorded = read_whole(store, &account).await;
    assert_gap_free(&recorded);
    let ids: Vec<_> = given.iter().map(|event| event.id).collect();
    assert_eq!(
        recorded.iter().map(|event| event.id).collect::<Vec<_>>(),
        ids
    );
}

/// Over streams that have nothing to do with each other, submits take effect and are told in their order too.
pub async fn what_is_submitted_in_order_is_recorded_and_told_in_order<S: Store + ?Sized>(
    store: &Arc<S>,
) {
    let (told, mut outcomes) = mpsc::unbounded_channel();
    for number in 0..200_u64 {
        let told = told.clone();
        // Small ones after large ones: none may overtake.
        let payload = vec![0; if number % 7 == 0 { 100_000 } else { 10 }];
        let entry = Append::to(stream(number % 11), ExpectedVersion::Any, [noted(payload)]);
        store.submit(
            entry,
            Box::new(move |outcome| drop(told.send((number, outcome)))),
        );
    }
    for number in 0..200 {
        let (told, outcome) = outcomes
            .recv()
            .await
            .expect("every submit must be told its outcome");
        assert_eq!(
            told, number,
            "outcomes must be told in the order of submits"
        );
        assert_eq!(outcome.unwrap().position, Position::new(number + 1));
    }
    assert_event_count(store, 200).await;
}

/// An append that builds on a refused one is refused as well, and what stands beside them is not touched.
pub async fn what_builds_on_a_refused_append_is_refused_too<S: Store + ?Sized>(store: &Arc<S>) {
    let account = stream(1);
    let to = |expected, count| Append::to(account.clone(), expected, events(count));
    let first = submit(store, to(ExpectedVersion::NoStream, 1));
    let refused = submit(store, to(exactly(5), 2));
    let built_on_refused = submit(store, to(exactly(7), 1));
    let built_on_first = submit(store, to(exactly(1), 1));
    let check_of_refused = submit(store, Append::check(account.clone(), exactly(7)));

    assert_eq!(first.success().await.versions.as_slice(), [Version::new(1)]);
    for (outcome, expected_actual) in [
        (refused.outcome().await, 1),
        (built_on_refused.outcome().await, 1),
        (check_of_refused.outcome().await, 2),
    ] {
        match outcome {
            Err(AppendError::Conflict { actual, .. }) => {
                assert_eq!(actual, Version::new(expected_actual));
            }
            other => panic!("it must be a conflict, not: {other:?}"),
        }
    }
    let answer = built_on_first.success().await;
    assert_eq!(answer.versions.as_slice(), [Version::new(2)]);
    assert_event_count(store, 2).await;
}

/// A check sees what was submitted before it, and is answered behind it.
pub async fn a_check_sees_what_was_submitted_before_it<S: Store + ?Sized>(store: &Arc<S>) {
    let account = stream(1);
    let written = submit(
        store,
        Append::to(account.clone(), ExpectedVersion::NoStream, events(3)),
    );
    let checked = submit(store, Append::check(account.clone(), exactly(3)));
    let answer = checked.success().await;
    assert_eq!(answer.versions.as_slice(), [Version::new(3)]);
    assert!(answer.position >= Position::new(3));
    // The check was answered, so what it rests on is durable, whether its own writer has looked yet or not.
    assert_eq!(version_of(store, &account).await, 3);
    assert_eq!(written.success().await.position, Position::new(3));
}

/// Whoever has an ack finds the events in every way of reading.
pub async fn an_acked_event_can_be_read_at_once<S: Store + ?Sized>(store: &Arc<S>) {
    let account = stream(1);
    let watched = store.watch_head();
    for count in 1..=20 {
        let answer = append_one(store, &account).await;
        assert_eq!(answer.position, Position::new(count));
        assert!(store.head() >= answer.position, "the head");
        assert!(
            *watched.borrow() >= answer.position,
            "the head that is watched since long"
        );
        assert!(
            *store.watch_head().borrow() >= answer.position,
            "the head that is watched now"
        );
        assert_eq!(version_of(store, &account).await, count);
        let behind = Position::new(count - 1);
        let page = store.read_all(behind, 10).await.unwrap();
        assert_eq!(page.events.len(), 1);
        assert_eq!(page.events[0].position, answer.position);
        assert_eq!(page.events[0].recorded_at, answer.recorded_at);
        let recorded = read_whole(store, &account).await;
        assert_eq!(recorded.last(), page.events.last());
    }
}

/// When an outcome is told, the head already covers it: a success its events, a conflict the events that it rests on.
/// Who retries on a conflict would otherwise read the old version again.
pub async fn the_head_covers_every_outcome_when_it_is_told<S: Store + ?Sized>(store: &Arc<S>) {
    let account = stream(1);
    let (told, mut outcomes) = mpsc::unbounded_channel();
    let submit = |entry| {
        let (told, head) = (told.clone(), store.watch_head());
        store.submit(
            entry,
            Box::new(move |outcome| {
                let head = *head.borrow();
                drop(told.send((outcome, head)));
            }),
        );
    };
    for version in 0..20 {
        submit(Append::to(account.clone(), exactly(version), [event()]));
        submit(Append::to(account.clone(), exactly(version), [event()]));
        submit(Append::check(account.clone(), exactly(version + 1)));
    }
    for _ in 0..60 {
        let (outcome, head) = outcomes
            .recv()
            .await
            .expect("every submit must be told its outcome");
        let rests_on = match outcome {
            Ok(Appended { position, .. }) => position,
            // The only stream: its versions are the positions.
            Err(AppendError::Conflict { actual, .. }) => Position::new(actual.get()),
            Err(other) => panic!("neither success nor conflict: {other}"),
        };
        assert!(
            head >= rests_on,
            "told at head {head}, but it rests on {rests_on}"
        );
    }
    assert_event_count(store, 20).await;
}

/// A store with nothing to do has room, and one that has answered everything has it again.
pub async fn a_store_with_nothing_to_do_is_ready<S: Store + ?Sized>(store: &Arc<S>) {
    store.ready().await;
    assert!(store.is_ready(), "a store with nothing to do must be ready");
    append_many(store, &stream(1), 3).await;
    store.ready().await;
    assert!(store.is_ready(), "after the ack nothing waits any more");
}

/// However much is submitted at once, each append is recorded or refused as overloaded, and nothing else happens.
pub async fn a_flood_is_recorded_or_refused_but_never_lost<S: Store + ?Sized>(store: &Arc<S>) {
    let large = patterned(1 << 20);
    let account = stream(1);
    let submitted: Vec<_> = (0..48)
        .map(|_| {
            let event = noted(large.clone());
            let id = event.id;
            let entry = Append::to(account.clone(), ExpectedVersion::Any, [event]);
            (id, submit(store, entry))
        })
        .collect();
    let mut acked = Vec::new();
    for (id, submitted) in submitted {
        match submitted.outcome().await {
            Ok(_) => acked.push(id),
            Err(AppendError::Overloaded { limit_bytes, .. }) => {
                assert!(limit_bytes > 0, "a limit of nothing");
            }
            Err(other) => panic!("neither recorded nor overloaded: {other}"),
        }
    }
    assert!(
        !acked.is_empty(),
        "an idle store must take at least one append"
    );
    let recorded = read_whole(store, &account).await;
    assert_eq!(
        recorded.iter().map(|event| event.id).collect::<Vec<_>>(),
        acked
    );
    assert_gap_free(&recorded);

    store.ready().await;
    let behind = append_one(store, &account).await;
    assert_eq!(
        usize::try_from(behind.position.get()),
        Ok(acked.len() + 1),
        "a refused append took no position"
    );
}

/// Dropping the future of an append neither takes it back nor harms what comes after.
pub async fn a_dropped_append_leaves_the_store_whole<S: Store + ?Sized>(store: &Arc<S>) {
    let (left, right) = (stream("left"), stream("right"));
    let mut dropped: Vec<NewEvent> = Vec::new();
    for round in 0..20 {
        let pair = events(2);
        dropped.extend(pair.clone());
        let entry = Append::to(left.clone(), ExpectedVersion::Any, [pair[0].clone()]).and(
            right.clone(),
            ExpectedVersion::Any,
            [pair[1].clone()],
        );
        let appending = store.append(entry);
        if round % 2 == 0 {
            // Never even started.
            drop(appending);
        } else {
            let mut appending = std::pin::pin!(appending);
            std::future::poll_fn(|context| {
                let _ = appending.as_mut().poll(context);
                Poll::Ready(())
            })
            .await;
        }
    }
    // Whatever became of them, this one is behind all that were submitted.
    let last = append_one(store, &left).await;

    let everything = read_everything(store).await;
    assert_eq!(everything.last().unwrap().position, last.position);
    assert_event_count(store, last.position.get()).await;
    let (on_left, on_right) = (
        read_whole(store, &left).await,
        read_whole(store, &right).await,
    );
    assert_gap_free(&on_left);
    assert_gap_free(&on_right);
    assert_eq!(
        on_left.len(),
        on_right.len() + 1,
        "an append over both streams was recorded in half"
    );
    for (left, right) in on_left.iter().zip(&on_right) {
        let at = dropped
            .iter()
            .position(|event| event.id == left.id)
            .expect("an event that nobody appended");
        assert_eq!(
            dropped[at + 1].id,
            right.id,
            "the parts of two appends were mixed"
        );
    }
}
