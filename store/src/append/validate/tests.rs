use std::sync::atomic::{AtomicU64, Ordering};

use uuid::Uuid;

use super::*;
use crate::event::Payload;
use crate::position::ExpectedVersion;

const LIMITS: AppendLimits = AppendLimits {
    event_bytes_max: 1_000,
    append_bytes_max: 1_500,
};

fn stream(id: usize) -> StreamId {
    StreamId::new("acme", "account", &id.to_string()).unwrap()
}

fn event(payload_bytes: usize) -> NewEvent {
    static GIVEN: AtomicU64 = AtomicU64::new(1);
    let id = Uuid::from_u64_pair(0, GIVEN.fetch_add(1, Ordering::Relaxed));
    NewEvent::new(id, "E", Payload::raw(vec![0; payload_bytes]))
}

fn one(event: NewEvent) -> Append {
    Append::to(stream(0), ExpectedVersion::Any, [event])
}

fn over_streams(ids: impl IntoIterator<Item = usize>) -> Append {
    ids.into_iter().fold(Append::default(), |append, id| {
        append.and(stream(id), ExpectedVersion::Any, [])
    })
}

#[test]
fn an_append_needs_a_stream_but_no_event() {
    assert_eq!(
        validate(&Append::default(), &LIMITS),
        Err(InvalidAppend::NoStream)
    );
    assert_eq!(validate(&over_streams([1]), &LIMITS), Ok(()));
}

#[test]
fn a_stream_named_twice_is_found_among_few_and_among_many() {
    for count in [2, 3, PAIRWISE_MAX, PAIRWISE_MAX + 1, 100] {
        assert_eq!(validate(&over_streams(0..count), &LIMITS), Ok(()));
        let twice = over_streams((0..count - 1).chain([count / 2 - 1]));
        assert_eq!(
            validate(&twice, &LIMITS),
            Err(InvalidAppend::DuplicateStream(stream(count / 2 - 1))),
            "among {count}"
        );
    }
}

#[test]
fn the_number_of_streams_and_events_is_limited() {
    assert_eq!(
        validate(&over_streams(0..APPEND_STREAMS_MAX), &LIMITS),
        Ok(())
    );
    assert_eq!(
        validate(&over_streams(0..=APPEND_STREAMS_MAX), &LIMITS),
        Err(InvalidAppend::TooManyStreams(APPEND_STREAMS_MAX + 1))
    );
    let events = |count| {
        Append::to(
            stream(0),
            ExpectedVersion::Any,
            (0..count).map(|_| event(0)),
        )
        .and(stream(1), ExpectedVersion::Any, [event(0)])
    };
    let roomy = AppendLimits::default();
    assert_eq!(validate(&events(APPEND_EVENTS_MAX - 1), &roomy), Ok(()));
    assert_eq!(
        validate(&events(APPEND_EVENTS_MAX), &roomy),
        Err(InvalidAppend::TooManyEvents(APPEND_EVENTS_MAX + 1))
    );
}

#[test]
fn an_event_counts_its_payload_and_all_its_texts() {
    let mut full = event(10);
    full.user = Some("ann".into());
    full.metadata.insert("key".into(), "value".into());
    assert_eq!(event_bytes(&full), 10 + 1 + 3 + 3 + 5);

    assert_eq!(validate(&one(event(999)), &LIMITS), Ok(()));
    assert_eq!(
        validate(&one(event(1_000)), &LIMITS),
        Err(InvalidAppend::EventTooLarge {
            stream: stream(0),
            bytes: 1_001,
            limit_bytes: 1_000
        })
    );
}

#[test]
fn all_events_together_are_limited_over_all_streams() {
    let two = |bytes| one(event(bytes)).and(stream(1), ExpectedVersion::Any, [event(bytes)]);
    assert_eq!(validate(&two(749), &LIMITS), Ok(()));
    assert_eq!(
        validate(&two(750), &LIMITS),
        Err(InvalidAppend::TooLarge {
            bytes: 1_502,
            limit_bytes: 1_500
        })
    );
}

#[test]
fn a_text_that_is_empty_or_too_long_is_refused_by_name() {
    let refused = |change: &dyn Fn(&mut NewEvent)| {
        let mut event = event(0);
        change(&mut event);
        match validate(&one(event), &AppendLimits::default()) {
            Ok(()) => None,
            Err(InvalidAppend::Text { field, bytes, .. }) => Some((field, bytes)),
            Err(other) => panic!("{other}"),
        }
    };
    let text = |bytes: usize| "x".repeat(bytes);

    let event_type = |bytes| refused(&|event| event.event_type = text(bytes).into());
    assert_eq!(event_type(0), Some(("event type", 0)));
    assert_eq!(event_type(EVENT_TYPE_BYTES_MAX), None);
    assert_eq!(event_type(128), Some(("event type", 128)));

    let user = |bytes| refused(&|event| event.user = Some(text(bytes).into()));
    assert_eq!(user(0), Some(("user", 0)));
    assert_eq!(user(USER_BYTES_MAX), None);
    assert_eq!(user(128), Some(("user", 128)));

    let metadata = |bytes| {
        refused(&|event| {
            event.metadata.insert("k".into(), text(bytes - 1));
        })
    };
    assert_eq!(metadata(1), None);
    assert_eq!(metadata(METADATA_BYTES_MAX), None);
    assert_eq!(metadata(16_385), Some(("metadata", 16_385)));
}
