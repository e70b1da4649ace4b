//! What an event carries comes back as it was given.

use std::num::NonZeroU32;
use std::sync::Arc;

use uuid::Uuid;

use super::support::{
    append, append_one, assert_event_count, event, events, fresh_id, noted, patterned,
    read_everything, read_whole, refused, stream, stream_of,
};
use crate::append::{Append, Appended};
use crate::clock::Timestamp;
use crate::error::{AppendError, InvalidAppend};
use crate::event::{
    Codec, EVENT_TYPE_BYTES_MAX, METADATA_BYTES_MAX, Metadata, NewEvent, Payload, RecordedEvent,
    USER_BYTES_MAX,
};
use crate::position::{ExpectedVersion, Position};
use crate::read_model::Store;
use crate::stream_id::{AGGREGATE_ID_BYTES_MAX, STREAM_ID_SEGMENT_BYTES_MAX, StreamId};

/// The most that an event's payload and texts take by default, in bytes.
const EVENT_BYTES_MAX: usize = 16 * 1024 * 1024;

/// What must come back of `event` after its append was answered with `answer`, as the only event of the append.
fn as_recorded(stream: &StreamId, event: NewEvent, answer: &Appended) -> RecordedEvent {
    RecordedEvent {
        position: answer.position,
        stream: stream.clone(),
        version: answer.versions[0],
        id: event.id,
        event_type: event.event_type,
        schema_version: event.schema_version,
        recorded_at: answer.recorded_at,
        effective_at: event.effective_at.unwrap_or(answer.recorded_at),
        correlation_id: event.correlation_id,
        causation_id: event.causation_id,
        user: event.user,
        metadata: event.metadata,
        payload: event.payload,
    }
}

/// Appends each alone and reads all back, by stream and by position.
async fn assert_round_trip<S: Store + ?Sized>(store: &Arc<S>, given: Vec<NewEvent>) {
    let account = stream("facts");
    let mut expected = Vec::new();
    for event in given {
        let entry = Append::to(account.clone(), ExpectedVersion::Any, [event.clone()]);
        let answer = append(store, entry).await;
        expected.push(as_recorded(&account, event, &answer));
    }
    for recorded in [
        read_whole(store, &account).await,
        read_everything(store).await,
    ] {
        assert_eq!(recorded.len(), expected.len());
        for (recorded, expected) in recorded.iter().zip(&expected) {
            assert_eq!(recorded, expected);
        }
    }
}

/// An event with nothing but an id and a type keeps the rest absent.
pub async fn an_event_with_only_an_id_and_a_type_comes_back_bare<S: Store + ?Sized>(
    store: &Arc<S>,
) {
    let bare = NewEvent::new(fresh_id(), "E", Payload::default());
    assert_round_trip(store, vec![bare]).await;
}

/// Each optional fact is kept by itself, be it present, empty or extreme.
pub async fn every_fact_of_an_event_comes_back_as_it_was_given<S: Store + ?Sized>(store: &Arc<S>) {
    let with = |change: &dyn Fn(&mut NewEvent)| {
        let mut event = event();
        change(&mut event);
        event
    };
    let mut given = vec![
        with(&|event| event.correlation_id = Some(fresh_id())),
        with(&|event| event.causation_id = Some(fresh_id())),
        // An id of zeros is an id, not an absent one.
        with(&|event| event.correlation_id = Some(Uuid::nil())),
        with(&|event| event.causation_id = Some(Uuid::max())),
        with(&|event| event.user = Some("ann".into())),
        with(&|event| event.user = Some("Zoë Ω 山田".into())),
        with(&|event| event.user = Some("u".repeat(USER_BYTES_MAX).into())),
        with(&|event| event.event_type = "Überwiesen".into()),
        with(&|event| event.event_type = "E".repeat(EVENT_TYPE_BYTES_MAX).into()),
        with(&|event| event.schema_version = u16::MAX),
        with(&|event| event.id = Uuid::from_u128(0x1234_5678_9abc_4def_8012_3456_789a_bcde)),
    ];
    for micros in [0, 1, -1, 1_700_000_000_123_456, i64::MIN, i64::MAX] {
        given.push(with(&|event| {
            event.effective_at = Some(Timestamp::from_unix_micros(micros));
        }));
    }
    given.push(with(&|event| {
        event.schema_version = 7;
        event.effective_at = Some(Timestamp::from_unix_micros(-86_400_000_000));
        event.correlation_id = Some(fresh_id());
        event.causation_id = Some(fresh_id());
        event.user = Some("ann".into());
        event.metadata.insert("ip".into(), "::1".into());
        event.payload.key_id = NonZeroU32::new(3);
    }));
    assert_round_trip(store, given).await;
}

/// Metadata is text by key: any text, as much as the limit allows.
pub async fn metadata_comes_back_as_it_was_given<S: Store + ?Sized>(store: &Arc<S>) {
    let pairs = |pairs: &[(&str, &str)]| -> Metadata {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        pairs.iter().map(owned).collect()
    };
    let many = (0..500).map(|number| (format!("key{number}"), number.to_string()));
    let given = [
        pairs(&[("reason", "correction")]),
        pairs(&[("b", "2"), ("a", "1"), ("ab", "12")]),
        pairs(&[("", ""), ("empty value", "")]),
        pairs(&[
            ("Grund", "Übertrag für Σ"),
            ("理由", "訂正 🧾"),
            ("nul", "a\0b\n"),
        ]),
        pairs(&[("full", &"x".repeat(METADATA_BYTES_MAX - 4))]),
        many.collect(),
    ];
    let with_metadata = |metadata| {
        let mut event = event();
        event.metadata = metadata;
        event
    };
    assert_round_trip(store, given.map(with_metadata).into()).await;
}

/// A payload keeps its bytes, its codec and its key, whatever its size.
pub async fn a_payload_comes_back_byte_for_byte<S: Store + ?Sized>(store: &Arc<S>) {
    let mut given = Vec::new();
    for codec in [Codec::Raw, Codec::MessagePack, Codec::Json] {
        for key_id in [None, NonZeroU32::new(1), Some(NonZeroU32::MAX)] {
            for bytes in [&b""[..], b"\0", b"{}", b"\xff\xfe not text \0\0"] {
                let payload = Payload {
                    codec,
                    key_id,
                    bytes: bytes::Bytes::copy_from_slice(bytes),
                };
                given.push(NewEvent::new(fresh_id(), "Paid", payload));
            }
        }
    }
    // Around the sizes at which lengths take one byte more and blocks end.
    for size in [
        127, 128, 255, 256, 4_095, 4_096, 4_097, 16_384, 65_535, 65_536, 65_537,
    ] {
        given.push(noted(patterned(size)));
        given.push(noted(vec![0; size]));
    }
    assert_round_trip(store, given).await;
}

/// A payload of one MiB is an event like any other.
pub async fn a_payload_of_one_mebibyte_comes_back<S: Store + ?Sized>(store: &Arc<S>) {
    let given = vec![event(), noted(patterned(1 << 20)), event()];
    assert_round_trip(store, given).await;
}

/// The longest stream name that there can be is a stream like any other.
pub async fn the_longest_stream_name_comes_back<S: Store + ?Sized>(store: &Arc<S>) {
    let segment = "s".repeat(STREAM_ID_SEGMENT_BYTES_MAX);
    let longest = stream_of(&segment, &segment, &"i".repeat(AGGREGATE_ID_BYTES_MAX));
    append_one(store, &longest).await;
    let recorded = read_whole(store, &longest).await;
    assert_eq!(recorded.len(), 1);
    assert_eq!(recorded[0].stream, longest);
    assert_eq!(recorded[0].stream.aggregate_id(), longest.aggregate_id());
    let listed = store.streams(&segment, &segment, None, 10).await.unwrap();
    assert_eq!(listed, [longest]);
}

/// All events of an append have one time of recording, which the answer names, and over positions it never goes back.
pub async fn the_time_of_recording_never_goes_back<S: Store + ?Sized>(store: &Arc<S>) {
    let mut answered = Vec::new();
    for number in 0..50 {
        let entry = Append::to(stream(number % 3), ExpectedVersion::Any, events(2)).and(
            stream("all"),
            ExpectedVersion::Any,
            events(1),
        );
        answered.push(append(store, entry).await.recorded_at);
    }
    let everything = read_everything(store).await;
    assert_eq!(everything.len(), 150);
    for (of_one_append, answered) in everything.chunks(3).zip(answered) {
        for event in of_one_append {
            assert_eq!(
                event.recorded_at, answered,
                "at position {}",
                event.position
            );
            assert_eq!(
                event.effective_at, answered,
                "unless the writer says otherwise"
            );
        }
    }
    for pair in everything.windows(2) {
        assert!(
            pair[0].recorded_at <= pair[1].recorded_at,
            "the time of recording goes back at position {}",
            pair[1].position
        );
    }
}

/// An event that takes just the limit of 16 MiB comes back byte for byte; with one byte more it is refused, by a typed
/// error that names both, and takes its append with it. The store must have its default limits.
pub async fn an_event_is_taken_up_to_the_size_limit_and_refused_above<S: Store + ?Sized>(
    store: &Arc<S>,
) {
    let account = stream("large");
    // What a store counts besides the payload, it says itself.
    let far_above = size_refused(store, EVENT_BYTES_MAX + 1).await;
    let beside = far_above - (EVENT_BYTES_MAX + 1);
    let at_limit = EVENT_BYTES_MAX - beside;
    assert_eq!(size_refused(store, at_limit + 1).await, EVENT_BYTES_MAX + 1);
    assert_event_count(store, 0).await;

    let largest = noted(patterned(at_limit));
    let entry = Append::to(
        account.clone(),
        ExpectedVersion::NoStream,
        [largest.clone()],
    );
    assert_eq!(append(store, entry).await.position, Position::new(1));
    size_refused(store, at_limit + 1).await;
    append(
        store,
        Append::to(account.clone(), ExpectedVersion::Any, [event()]),
    )
    .await;
    assert_event_count(store, 2).await;
    let recorded = read_whole(store, &account).await;
    assert!(
        recorded[0].payload == largest.payload,
        "the payload is not what was appended"
    );
}

/// What the store says that an event with a payload of so many bytes takes, when it refuses it and the event beside it.
async fn size_refused<S: Store + ?Sized>(store: &Arc<S>, payload_bytes: usize) -> usize {
    let account = stream("large");
    let above = noted(vec![0; payload_bytes]);
    let entry = Append::to(stream("small"), ExpectedVersion::Any, [event()]).and(
        account.clone(),
        ExpectedVersion::Any,
        [above],
    );
    match refused(store, entry).await {
        AppendError::Invalid(InvalidAppend::EventTooLarge {
            stream,
            bytes,
            limit_bytes,
        }) => {
            assert_eq!((stream, limit_bytes), (account, EVENT_BYTES_MAX));
            assert!(bytes > EVENT_BYTES_MAX && bytes >= payload_bytes);
            bytes
        }
        other => panic!("it must be too large, not: {other}"),
    }
}
