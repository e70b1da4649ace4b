//! Parts of an append without events, which only check a version.

use std::sync::Arc;

use super::support::{
    append, append_many, assert_event_count, event, events, refused, stream, version_of,
};
use crate::append::Append;
use crate::error::AppendError;
use crate::position::{ExpectedVersion, Position, Version};
use crate::read_model::Store;

/// A check that is met succeeds, names the version it found, and records nothing.
pub async fn a_check_that_is_met_records_nothing<S: Store + ?Sized>(store: &Arc<S>) {
    let (written, other) = (stream("written"), stream("other"));
    append_many(store, &written, 3).await;
    append_many(store, &other, 2).await;
    for expected in [
        ExpectedVersion::Any,
        ExpectedVersion::StreamExists,
        ExpectedVersion::Exact(Version::new(3)),
    ] {
        let answer = append(store, Append::check(written.clone(), expected)).await;
        assert_eq!(answer.event_count, 0);
        assert_eq!(answer.versions.as_slice(), [Version::new(3)]);
        assert!(
            (Position::new(3)..=Position::new(5)).contains(&answer.position),
            "position {} must be at or behind the last event of the stream, and not behind the head",
            answer.position
        );
    }
    assert_event_count(store, 5).await;
}

/// A check that is not met is a conflict like any other.
pub async fn a_check_that_is_not_met_is_a_conflict<S: Store + ?Sized>(store: &Arc<S>) {
    let (written, empty) = (stream("written"), stream("empty"));
    append_many(store, &written, 3).await;
    for (account, expected, actual) in [
        (&written, ExpectedVersion::NoStream, 3),
        (&written, ExpectedVersion::Exact(Version::new(2)), 3),
        (&empty, ExpectedVersion::StreamExists, 0),
        (&empty, ExpectedVersion::Exact(Version::new(1)), 0),
    ] {
        match refused(store, Append::check(account.clone(), expected)).await {
            AppendError::Conflict {
                stream,
                expected: named,
                actual: found,
            } => assert_eq!(
                (&stream, named, found),
                (account, expected, Version::new(actual))
            ),
            other => panic!("it must be a conflict, not: {other}"),
        }
    }
    assert_event_count(store, 3).await;
}

/// A stream that was only ever checked does not exist.
pub async fn a_check_does_not_create_its_stream<S: Store + ?Sized>(store: &Arc<S>) {
    let empty = stream("empty");
    for expected in [
        ExpectedVersion::Any,
        ExpectedVersion::NoStream,
        ExpectedVersion::Exact(Version::EMPTY),
    ] {
        let answer = append(store, Append::check(empty.clone(), expected)).await;
        assert_eq!(answer.position, Position::BEFORE_FIRST);
        assert_eq!(answer.versions.as_slice(), [Version::EMPTY]);
    }
    let listed = store.streams("acme", "account", None, 10).await.unwrap();
    assert_eq!(listed, []);
    assert_event_count(store, 0).await;
    // Still new to a writer.
    append(
        store,
        Append::to(empty, ExpectedVersion::NoStream, [event()]),
    )
    .await;
}

/// A check and events in one append hold each other: both, or neither, wherever the check stands.
pub async fn a_check_beside_events_decides_over_them<S: Store + ?Sized>(store: &Arc<S>) {
    let (limit, account) = (stream("limit"), stream("account"));
    append_many(store, &limit, 2).await;
    let two = ExpectedVersion::Exact(Version::new(2));
    let three = ExpectedVersion::Exact(Version::new(3));

    let check_first = |expected| {
        Append::check(limit.clone(), expected).and(account.clone(), ExpectedVersion::Any, events(2))
    };
    let check_last = |expected| {
        Append::to(account.clone(), ExpectedVersion::Any, events(2)).and(
            limit.clone(),
            expected,
            [],
        )
    };
    for unmet in [check_first(three), check_last(three)] {
        match refused(store, unmet).await {
            AppendError::Conflict { stream, actual, .. } => {
                assert_eq!((stream, actual), (limit.clone(), Version::new(2)));
            }
            other => panic!("it must be a conflict, not: {other}"),
        }
        assert_eq!(version_of(store, &account).await, 0);
        assert_event_count(store, 2).await;
    }

    let answer = append(store, check_first(two)).await;
    assert_eq!(
        answer.versions.as_slice(),
        [Version::new(2), Version::new(2)]
    );
    assert_eq!((answer.position, answer.event_count), (Position::new(4), 2));
    let answer = append(store, check_last(two)).await;
    assert_eq!(
        answer.versions.as_slice(),
        [Version::new(4), Version::new(2)]
    );
    assert_eq!((answer.position, answer.event_count), (Position::new(6), 2));
    assert_event_count(store, 6).await;
}

/// One unmet check among many keeps all the others from meaning anything.
pub async fn a_check_over_several_streams_needs_all_of_them<S: Store + ?Sized>(store: &Arc<S>) {
    let (one, two) = (stream("one"), stream("two"));
    append_many(store, &one, 1).await;
    append_many(store, &two, 2).await;
    let check = |expected_of_two| {
        Append::check(one.clone(), ExpectedVersion::Exact(Version::new(1))).and(
            two.clone(),
            ExpectedVersion::Exact(Version::new(expected_of_two)),
            [],
        )
    };
    let answer = append(store, check(2)).await;
    assert_eq!(
        answer.versions.as_slice(),
        [Version::new(1), Version::new(2)]
    );
    assert!(matches!(
        refused(store, check(1)).await,
        AppendError::Conflict { stream, .. } if stream == two
    ));
}
