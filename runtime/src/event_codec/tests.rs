use std::collections::BTreeMap;

use bytes::Bytes;
use foldhouse_store::{Payload, Position, StreamId, Timestamp, Version};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::*;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Movement {
    Opened,
    Named(String),
    Nested(Inner),
    Pair(u32, Option<String>),
    #[serde(rename = "Debited", alias = "Withdrawn")]
    Debit {
        amount: i64,
        #[serde(default)]
        memo: Option<String>,
        #[serde(default)]
        tags: BTreeMap<String, u8>,
        id: Uuid,
    },
    Empty {},
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Inner {
    Left,
    Right { at: Timestamp },
}

fn recorded(event_type: &str, payload: impl Into<Bytes>) -> RecordedEvent {
    RecordedEvent {
        position: Position::new(1),
        stream: StreamId::new("acme", "account", "1").unwrap(),
        version: Version::new(1),
        id: Uuid::nil(),
        event_type: event_type.into(),
        schema_version: 1,
        recorded_at: Timestamp::default(),
        effective_at: Timestamp::default(),
        correlation_id: None,
        causation_id: None,
        user: None,
        metadata: BTreeMap::new(),
        payload: Payload::message_pack(payload),
    }
}

fn decode<E: serde::de::DeserializeOwned>(event: &RecordedEvent) -> Result<E, EventCodecError> {
    decode_content(&event.event_type, plain_payload(event)?)
}

fn round_trip(event: &Movement) -> Movement {
    let mut payload = Vec::new();
    let event_type = encode(event, &mut payload).unwrap();
    decode(&recorded(event_type, payload)).unwrap()
}

fn any_event() -> impl Strategy<Value = Movement> {
    prop_oneof![
        Just(Movement::Opened),
        Just(Movement::Empty {}),
        ".*".prop_map(Movement::Named),
        Just(Movement::Nested(Inner::Left)),
        any::<i64>().prop_map(|micros| Movement::Nested(Inner::Right {
            at: Timestamp::from_unix_micros(micros)
        })),
        (any::<u32>(), any::<Option<String>>()).prop_map(|(a, b)| Movement::Pair(a, b)),
        (
            any::<i64>(),
            any::<Option<String>>(),
            any::<BTreeMap<String, u8>>(),
            any::<u128>()
        )
            .prop_map(|(amount, memo, tags, id)| Movement::Debit {
                amount,
                memo,
                tags,
                id: Uuid::from_u128(id)
            }),
    ]
}

proptest! {
    #[test]
    fn every_event_reads_back_as_it_was_written(event in any_event()) {
        prop_assert_eq!(round_trip(&event), event);
    }

    #[test]
    fn any_bytes_give_an_event_or_an_error_and_never_a_panic(
        event_type in "Opened|Named|Nested|Pair|Debited|Empty|Other",
        bytes in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let _: Result<Movement, _> = decode(&recorded(&event_type, bytes));
    }
}

#[test]
fn the_event_type_is_the_serde_name_and_the_payload_the_content_alone() {
    let mut payload = vec![9, 9];
    assert_eq!(encode(&Movement::Opened, &mut payload).unwrap(), "Opened");
    assert_eq!(payload, []);
    let debit = Movement::Debit {
        amount: 5,
        memo: None,
        tags: BTreeMap::new(),
        id: Uuid::nil(),
    };
    assert_eq!(encode(&debit, &mut payload).unwrap(), "Debited");
    // A map of four named fields, the first of them `amount`: 5.
    assert_eq!(payload[..9], *b"\x84\xa6amount\x05");
}

#[test]
fn an_alias_and_a_defaulted_field_read_old_events() {
    #[derive(Serialize)]
    struct OldContent {
        amount: i64,
        id: Uuid,
    }
    let mut payload = Vec::new();
    let old = OldContent {
        amount: 7,
        id: Uuid::nil(),
    };
    old.serialize(&mut rmp_serde::Serializer::new(&mut payload).with_struct_map())
        .unwrap();
    assert_eq!(
        decode::<Movement>(&recorded("Withdrawn", payload)).unwrap(),
        Movement::Debit {
            amount: 7,
            memo: None,
            tags: BTreeMap::new(),
            id: Uuid::nil()
        }
    );
}

#[test]
fn an_event_that_is_not_a_plain_enum_is_refused_when_it_is_written() {
    #[derive(Serialize)]
    struct Single {
        amount: i64,
    }
    #[derive(Serialize)]
    #[serde(tag = "kind")]
    enum Tagged {
        Opened { amount: i64 },
    }
    let refused = |outcome: Result<&'static str, EventCodecError>| matches!(outcome, Err(EventCodecError::NotAnEnum { found, .. }) if found == "struct");
    assert!(refused(encode(&Single { amount: 1 }, &mut Vec::new())));
    assert!(refused(encode(
        &Tagged::Opened { amount: 1 },
        &mut Vec::new()
    )));
    assert!(matches!(
        encode(&vec![1], &mut Vec::new()),
        Err(EventCodecError::NotAnEnum { .. })
    ));
}

#[test]
fn an_unknown_event_type_names_itself() {
    let error = decode::<Movement>(&recorded("Closed", vec![])).unwrap_err();
    assert_eq!(
        error,
        EventCodecError::UnknownType {
            event_type: "Closed".to_owned()
        }
    );
}

#[test]
fn trailing_bytes_another_codec_or_a_key_are_refused() {
    let mut payload = Vec::new();
    let event_type = encode(&Movement::Named("a".into()), &mut payload).unwrap();
    payload.push(0x91);
    let error = decode::<Movement>(&recorded(event_type, payload)).unwrap_err();
    assert!(error.to_string().contains("bytes follow"), "{error}");
    assert!(decode::<Movement>(&recorded("Opened", vec![0xc0])).is_err());

    let mut raw = recorded("Opened", vec![]);
    raw.payload.codec = Codec::Json;
    assert!(matches!(
        decode::<Movement>(&raw),
        Err(EventCodecError::Codec { .. })
    ));
    raw.payload.codec = Codec::MessagePack;
    raw.payload.key_id = std::num::NonZeroU32::new(3);
    assert!(matches!(
        decode::<Movement>(&raw),
        Err(EventCodecError::Encrypted { key_id: 3, .. })
    ));
}

#[test]
fn a_payload_that_nests_too_deep_or_is_too_large_is_refused() {
    #[derive(Clone, Debug, Serialize, Deserialize)]
    enum Deep {
        Tree(Node),
    }
    #[derive(Clone, Debug, Serialize, Deserialize)]
    struct Node(Vec<Node>);
    // Arrays in arrays, far deeper than a stack would bear.
    let nested = vec![0x91; 200_000];
    assert!(matches!(
        decode::<Deep>(&recorded("Tree", nested)),
        Err(EventCodecError::Payload { .. })
    ));
    let large = Movement::Named("x".repeat(EVENT_PAYLOAD_BYTES_MAX + 1));
    assert!(matches!(
        encode(&large, &mut Vec::new()),
        Err(EventCodecError::TooLarge { .. })
    ));
}

#[test]
fn an_event_type_is_shared_by_all_its_events() {
    let mut types = EventTypes::default();
    let mut payload = Vec::new();
    let first = types.shared(encode(&Movement::Opened, &mut payload).unwrap());
    let second = types.shared(encode(&Movement::Opened, &mut payload).unwrap());
    assert!(std::sync::Arc::ptr_eq(&first, &second));
}
