//! What an append expects, what it records, and what it answers.

use std::sync::Arc;

use super::support::{
    append, append_many, append_one, assert_event_count, event, events, read_everything,
    read_whole, refused, stream, submit, version_of,
};
use crate::append::{APPEND_EVENTS_MAX, APPEND_STREAMS_MAX, Append};
use crate::error::{AppendError, InvalidAppend};
use crate::event::{EVENT_TYPE_BYTES_MAX, METADATA_BYTES_MAX, NewEvent, USER_BYTES_MAX};
use crate::position::{ExpectedVersion, Position, Version};
use crate::read_model::Store;

fn exactly(version: u64) -> ExpectedVersion {
    ExpectedVersion::Exact(Version::new(version))
}

/// The first event of a store has version 1 and position 1.
pub async fn the_first_event_has_version_and_position_one<S: Store + ?Sized>(store: &Arc<S>) {
    let account = stream(1);
    let first = event();
    let answer = append(
        store,
        Append::to(account.clone(), ExpectedVersion::NoStream, [first.clone()]),
    )
    .await;
    assert_eq!(answer.position, Position::new(1));
    assert_eq!(answer.event_count, 1);
    assert_eq!(answer.versions.as_slice(), [Version::new(1)]);

    let recorded = read_whole(store, &account).await;
    assert_eq!(recorded.len(), 1);
    assert_eq!(recorded[0].id, first.id);
    assert_eq!(recorded[0].version, Version::new(1));
    assert_eq!(recorded[0].position, Position::new(1));
    assert_event_count(store, 1).await;
}

/// The events of one append to one stream stand side by side, in their order.
pub async fn the_events_of_one_append_stand_side_by_side<S: Store + ?Sized>(store: &Arc<S>) {
    let account = stream(1);
    append_one(store, &account).await;
    let four = events(4);
    let answer = append(store, Append::to(account.clone(), exactly(1), four.clone())).await;
    assert_eq!(answer.position, Position::new(5));
    assert_eq!(answer.event_count, 4);
    assert_eq!(answer.versions.as_slice(), [Version::new(5)]);

    let recorded = read_whole(store, &account).await;
    for (recorded, given) in recorded[1..].iter().zip(&four) {
        assert_eq!(recorded.id, given.id);
    }
    assert_event_count(store, 5).await;
}

/// Every kind of expectation, against an empty stream, one event, and three.
pub async fn an_expectation_is_met_or_refused_as_it_says<S: Store + ?Sized>(store: &Arc<S>) {
    let cases: [(ExpectedVersion, &[u64]); 9] = [
        (ExpectedVersion::Any, &[0, 1, 3]),
        (ExpectedVersion::NoStream, &[0]),
        (ExpectedVersion::StreamExists, &[1, 3]),
        (exactly(0), &[0]),
        (exactly(1), &[1]),
        (exactly(2), &[]),
        (exactly(3), &[3]),
        (exactly(4), &[]),
        (exactly(u64::MAX), &[]),
    ];
    let mut recorded = 0;
    for (number, (expected, met_at)) in cases.into_iter().enumerate() {
        for actual in [0, 1, 3] {
            let account = stream(format_args!("{number}-{actual}"));
            for _ in 0..actual {
                append_one(store, &account).await;
            }
            recorded += actual;
            let outcome = Append::to(account.clone(), expected, [event()]);
            if met_at.contains(&actual) {
                let answer = append(store, outcome).await;
                assert_eq!(answer.versions.as_slice(), [Version::new(actual + 1)]);
                recorded += 1;
                continue;
            }
            match refused(store, outcome).await {
                AppendError::Conflict {
                    stream,
                    expected: named,
                    actual: found,
                } => assert_eq!(
                    (stream, named, found),
                    (account.clone(), expected, Version::new(actual))
                ),
                other => panic!("{expected} at version {actual} must be a conflict, not: {other}"),
            }
            assert_eq!(version_of(store, &account).await, actual);
        }
    }
    assert_event_count(store, recorded).await;
}

/// A conflict leaves nothing behind, not even the id of its event: the same event may be appended again.
pub async fn a_conflict_records_nothing<S: Store + ?Sized>(store: &Arc<S>) {
    let account = stream(1);
    append_many(store, &account, 2).await;
    let late = event();
    let conflict = Append::to(account.clone(), exactly(1), [late.clone(), event()]);
    assert!(matches!(
        refused(store, conflict).await,
        AppendError::Conflict { .. }
    ));
    assert_event_count(store, 2).await;
    assert_eq!(version_of(store, &account).await, 2);

    let retried = Append::to(account.clone(), exactly(2), [late.clone()]);
    let answer = append(store, retried).await;
    assert_eq!(
        answer.position,
        Position::new(3),
        "the conflict took no position"
    );
    assert_eq!(read_whole(store, &account).await[2].id, late.id);
}

/// Positions run through the parts in their order, and the versions are answered in that order.
pub async fn an_append_over_streams_is_recorded_in_the_order_of_its_parts<S: Store + ?Sized>(
    store: &Arc<S>,
) {
    // Not in the order of their names.
    let (first, second, third) = (stream("m"), stream("z"), stream("a"));
    append_many(store, &second, 2).await;
    let (of_first, of_second, of_third) = (events(2), events(1), events(3));
    let entry = Append::to(first.clone(), ExpectedVersion::NoStream, of_first.clone())
        .and(second.clone(), exactly(2), of_second.clone())
        .and(third.clone(), ExpectedVersion::Any, of_third.clone());
    let answer = append(store, entry).await;
    assert_eq!(answer.position, Position::new(8));
    assert_eq!(answer.event_count, 6);
    assert_eq!(
        answer.versions.as_slice(),
        [Version::new(2), Version::new(3), Version::new(3)]
    );

    let everything = read_everything(store).await;
    let given = of_first.iter().chain(&of_second).chain(&of_third);
    let ids: Vec<_> = given.map(|event| event.id).collect();
    let recorded: Vec<_> = everything[2..].iter().map(|event| event.id).collect();
    assert_eq!(recorded, ids);
    let streams: Vec<_> = everything[2..].iter().map(|event| &event.stream).collect();
    assert_eq!(streams, [&first, &first, &second, &third, &third, &third]);
    assert_event_count(store, 8).await;
}

/// One expectation that is not met, wherever it stands, keeps all parts from being recorded.
pub async fn one_conflict_among_the_streams_records_nothing_anywhere<S: Store + ?Sized>(
    store: &Arc<S>,
) {
    let accounts = [stream("old"), stream("new"), stream("newer")];
    append_one(store, &accounts[0]).await;
    let met = [exactly(1), ExpectedVersion::NoStream, exactly(0)];
    for broken in 0..3 {
        let mut entry = Append::default();
        for (number, account) in accounts.iter().enumerate() {
            let expected = if number == broken {
                exactly(9)
            } else {
                met[number]
            };
            entry = entry.and(account.clone(), expected, events(2));
        }
        match refused(store, entry).await {
            AppendError::Conflict { stream, .. } => assert_eq!(stream, accounts[broken]),
            other => panic!("it must be a conflict, not: {other}"),
        }
        assert_event_count(store, 1).await;
        for (account, version) in accounts.iter().zip([1, 0, 0]) {
            assert_eq!(version_of(store, account).await, version, "of {account}");
            let recorded = read_whole(store, account).await;
            assert_eq!(
                recorded.len(),
                usize::try_from(version).unwrap(),
                "in {account}"
            );
        }
    }
}

/// Of several expectations that are not met, the conflict names the first.
pub async fn a_conflict_names_the_first_stream_that_is_not_as_expected<S: Store + ?Sized>(
    store: &Arc<S>,
) {
    let entry = Append::to(stream("d"), exactly(0), [event()])
        .and(stream("c"), exactly(1), [event()])
        .and(stream("b"), ExpectedVersion::StreamExists, [event()])
        .and(stream("a"), exactly(3), [event()]);
    match refused(store, entry).await {
        AppendError::Conflict {
            stream: named,
            expected,
            actual,
        } => assert_eq!(
            (named, expected, actual),
            (stream("c"), exactly(1), Version::EMPTY)
        ),
        other => panic!("it must be a conflict, not: {other}"),
    }
    assert_event_count(store, 0).await;
}

/// A stream may stand in an append only once, be it beside itself or far away.
pub async fn a_stream_named_twice_is_refused<S: Store + ?Sized>(store: &Arc<S>) {
    for between in [0, 1, 5, 30] {
        let twice = stream("twice");
        let mut entry = Append::to(twice.clone(), ExpectedVersion::Any, [event()]);
        for other in 0..between {
            entry = entry.and(stream(other), ExpectedVersion::Any, [event()]);
        }
        entry = entry.and(twice.clone(), ExpectedVersion::Any, [event()]);
        match refused(store, entry).await {
            AppendError::Invalid(InvalidAppend::DuplicateStream(named)) => {
                assert_eq!(named, twice);
            }
            other => panic!("a duplicate with {between} between must be refused, not: {other}"),
        }
    }
    assert_event_count(store, 0).await;
}

/// Two events of one append must not have the same id, wherever they go, however many they are.
pub async fn an_event_id_used_twice_in_one_append_is_refused<S: Store + ?Sized>(store: &Arc<S>) {
    for count in [2, 3, 8, 9, 300] {
        let mut given = events(count);
        given[count - 1].id = given[0].id;
        let twice = given[0].id;
        let last = given.split_off(count - 1);
        let entry = Append::to(stream(1), ExpectedVersion::Any, given).and(
            stream(2),
            ExpectedVersion::Any,
            last,
        );
        match refused(store, entry).await {
            AppendError::Invalid(InvalidAppend::DuplicateEventId { id, stream: found }) => {
                assert_eq!((id, found), (twice, stream(2)), "{count} events");
            }
            other => panic!("it must be refused for the id, not: {other}"),
        }
    }
    assert_event_count(store, 0).await;
}

/// An append over no stream says nothing and is refused.
pub async fn an_append_over_no_stream_is_refused<S: Store + ?Sized>(store: &Arc<S>) {
    let error = refused(store, Append::default()).await;
    assert!(
        matches!(error, AppendError::Invalid(InvalidAppend::NoStream)),
        "not: {error}"
    );
    assert_event_count(store, 0).await;
}

/// An append takes as many streams and events as the limits say, and not one more.
pub async fn the_limits_on_streams_and_events_are_kept_to_the_last<S: Store + ?Sized>(
    store: &Arc<S>,
) {
    let over = |count| {
        (0..count).fold(Append::default(), |entry, number| {
            entry.and(stream(number), ExpectedVersion::NoStream, [event()])
        })
    };
    let error = refused(store, over(APPEND_STREAMS_MAX + 1)).await;
    assert!(
        matches!(error, AppendError::Invalid(InvalidAppend::TooManyStreams(count)) if count == APPEND_STREAMS_MAX + 1),
        "not: {error}"
    );
    let answer = append(store, over(APPEND_STREAMS_MAX)).await;
    assert_eq!(answer.versions.len(), APPEND_STREAMS_MAX);

    let many = stream("many");
    let of = |count| Append::to(many.clone(), ExpectedVersion::NoStream, events(count));
    let error = refused(store, of(APPEND_EVENTS_MAX + 1)).await;
    assert!(
        matches!(error, AppendError::Invalid(InvalidAppend::TooManyEvents(count)) if count == APPEND_EVENTS_MAX + 1),
        "not: {error}"
    );
    let answer = append(store, of(APPEND_EVENTS_MAX)).await;
    assert_eq!(usize::try_from(answer.event_count), Ok(APPEND_EVENTS_MAX));
    let total = u64::try_from(APPEND_STREAMS_MAX + APPEND_EVENTS_MAX).unwrap();
    assert_eq!(answer.position, Position::new(total));
    assert_eq!(store.head(), Position::new(total));
}

/// A text that is empty or too long is refused with its name, and takes the rest of the append with it.
pub async fn a_text_that_is_empty_or_too_long_is_refused<S: Store + ?Sized>(store: &Arc<S>) {
    let changed = |change: &dyn Fn(&mut NewEvent)| {
        let mut event = event();
        change(&mut event);
        event
    };
    let text = |bytes: usize| "x".repeat(bytes);
    let bad = [
        ("event type", changed(&|event| event.event_type = "".into())),
        (
            "event type",
            changed(&|event| event.event_type = text(EVENT_TYPE_BYTES_MAX + 1).into()),
        ),
        ("user", changed(&|event| event.user = Some("".into()))),
        (
            "user",
            changed(&|event| event.user = Some(text(USER_BYTES_MAX + 1).into())),
        ),
        (
            "metadata",
            changed(&|event| {
                event
                    .metadata
                    .insert("key".into(), text(METADATA_BYTES_MAX - 2));
            }),
        ),
    ];
    for (expected_field, bad) in bad {
        let entry = Append::to(stream("good"), ExpectedVersion::Any, [event()]).and(
            stream("bad"),
            ExpectedVersion::Any,
            [event(), bad],
        );
        match refused(store, entry).await {
            AppendError::Invalid(InvalidAppend::Text {
                stream: named,
                field,
                ..
            }) => assert_eq!((named, field), (stream("bad"), expected_field)),
            other => panic!("the {expected_field} must be refused, not: {other}"),
        }
    }
    assert_event_count(store, 0).await;
}

/// One append that is refused among others that were submitted with it leaves them as they are, and leaves no gap.
pub async fn a_refused_append_among_others_leaves_the_others_recorded<S: Store + ?Sized>(
    store: &Arc<S>,
) {
    let account = stream(1);
    append_many(store, &account, 5).await;
    let mut nameless = event();
    nameless.event_type = "".into();
    let to = |event| Append::to(account.clone(), ExpectedVersion::Any, [event]);
    let (before, behind) = (event(), event());
    let outcomes = [before.clone(), nameless, behind.clone()].map(|event| submit(store, to(event)));
    let [of_before, of_nameless, of_behind] = outcomes;
    assert_eq!(of_before.success().await.versions[0], Version::new(6));
    assert!(matches!(
        of_nameless.outcome().await,
        Err(AppendError::Invalid(InvalidAppend::Text { .. }))
    ));
    assert_eq!(of_behind.success().await.versions[0], Version::new(7));
    let recorded = read_whole(store, &account).await;
    let ids: Vec<_> = recorded[5..].iter().map(|event| event.id).collect();
    assert_eq!(ids, [before.id, behind.id]);
    assert_event_count(store, 7).await;
}
