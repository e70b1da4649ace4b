use proptest::prelude::*;

use super::*;

fn new_event() -> impl Strategy<Value = NewEvent> {
    let ids = (any::<u128>(), any::<Option<u128>>(), any::<Option<u128>>());
    let texts = ("[A-Za-z]{1,30}", proptest::option::of("[a-z]{1,20}"));
    let metadata = proptest::collection::btree_map(".{0,12}", ".{0,40}", 0..4);
    let payload = (
        0_u8..3,
        any::<Option<NonZeroU32>>(),
        proptest::collection::vec(any::<u8>(), 0..600),
    );
    (
        ids,
        texts,
        any::<u16>(),
        any::<Option<i64>>(),
        metadata,
        payload,
    )
        .prop_map(
            |(
                (id, correlation, causation),
                (event_type, user),
                schema_version,
                effective_at,
                metadata,
                payload,
            )| NewEvent {
                id: Uuid::from_u128(id),
                event_type: event_type.into(),
                schema_version,
                effective_at: effective_at.map(Timestamp::from_unix_micros),
                correlation_id: correlation.map(Uuid::from_u128),
                causation_id: causation.map(Uuid::from_u128),
                user: user.map(Arc::from),
                metadata,
                payload: Payload {
                    codec: Codec::from_byte(payload.0).unwrap(),
                    key_id: payload.1,
                    bytes: payload.2.into(),
                },
            },
        )
}

fn encoded(event: &NewEvent, position: Position) -> Vec<u8> {
    let stream = StreamId::new("acme", "gl-account", "1000").unwrap();
    let mut bytes = Vec::new();
    encode(
        &mut bytes,
        &stream,
        Version::new(300),
        Timestamp::from_unix_micros(-5),
        event,
    );
    seal(&mut bytes, position);
    bytes
}

proptest! {
    #[test]
    fn a_record_gives_back_the_event_that_went_in(event in new_event(), position in 1_u64..u64::MAX) {
        let position = Position::new(position);
        let bytes = Bytes::from(encoded(&event, position));
        let mut fields = Fields::new(&bytes);
        let raw = RawRecord::next(&mut fields).unwrap();
        prop_assert!(fields.rest().is_empty() && raw.is_event() && raw.is_intact(position));
        let (parts, version) = decode_place(raw.content).unwrap();
        prop_assert_eq!((parts.aggregate_id, version), ("1000", Version::new(300)));
        let read = decode(&bytes, raw.content, position, &mut Names::default()).unwrap();
        let recorded_at = Timestamp::from_unix_micros(-5);
        prop_assert_eq!(read.stream.as_str(), "acme/gl-account/1000");
        prop_assert_eq!((read.position, read.version, read.recorded_at), (position, Version::new(300), recorded_at));
        prop_assert_eq!(read.effective_at, event.effective_at.unwrap_or(recorded_at));
        let again = NewEvent {
            id: read.id,
            event_type: read.event_type,
            schema_version: read.schema_version,
            effective_at: event.effective_at,
            correlation_id: read.correlation_id,
            causation_id: read.causation_id,
            user: read.user,
            metadata: read.metadata,
            payload: read.payload,
        };
        prop_assert_eq!(again, event);
    }

    #[test]
    fn a_hostile_record_never_panics_the_decoder(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let frame = Bytes::from(bytes);
        if let Some(raw) = RawRecord::next(&mut Fields::new(&frame)) {
            let _ = decode(&frame, raw.content, Position::new(1), &mut Names::default());
        }
        let _ = decode(&frame, &frame, Position::new(1), &mut Names::default());
        let _ = decode_place(&frame);
    }
}

#[test]
fn every_flipped_bit_of_a_record_is_noticed() {
    let event = NewEvent::new(
        Uuid::from_u128(7),
        "Debited",
        Payload::message_pack(vec![0x5a; 40]),
    );
    let position = Position::new(9);
    let bytes = encoded(&event, position);
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let noticed = RawRecord::next(&mut Fields::new(&flipped))
            .is_none_or(|raw| !raw.is_intact(position) || raw.content.len() + 8 != bytes.len());
        assert!(noticed, "bit {bit}");
    }
}

#[test]
fn a_record_moved_to_another_position_is_noticed() {
    let event = NewEvent::new(Uuid::from_u128(7), "Debited", Payload::default());
    let bytes = encoded(&event, Position::new(9));
    assert!(
        !RawRecord::next(&mut Fields::new(&bytes))
            .unwrap()
            .is_intact(Position::new(10))
    );
}

#[test]
fn a_version_that_no_stream_has_is_refused() {
    let stream = StreamId::new("acme", "gl-account", "1000").unwrap();
    let event = NewEvent::new(Uuid::from_u128(7), "Debited", Payload::default());
    for (version, is_possible) in [
        (0, false),
        (1, true),
        (u64::MAX >> 1, true),
        (1 << 63, false),
        (u64::MAX, false),
    ] {
        let mut bytes = Vec::new();
        let (version, at) = (Version::new(version), Timestamp::default());
        encode(&mut bytes, &stream, version, at, &event);
        let frame = Bytes::from(bytes);
        let raw = RawRecord::next(&mut Fields::new(&frame)).unwrap();
        let read = decode(&frame, raw.content, Position::new(1), &mut Names::default());
        assert_eq!(read.is_some(), is_possible, "{version}");
        assert_eq!(decode_place(raw.content).is_some(), is_possible);
    }
}

/// A number of entries or a length is believed only as far as bytes are there.
#[test]
fn a_record_that_claims_more_than_it_holds_is_refused() {
    let stream = StreamId::new("acme", "gl-account", "1000").unwrap();
    let mut event = NewEvent::new(Uuid::from_u128(7), "Debited", Payload::default());
    event.metadata.insert("key".to_owned(), "value".to_owned());
    let mut bytes = Vec::new();
    encode(
        &mut bytes,
        &stream,
        Version::new(1),
        Timestamp::default(),
        &event,
    );
    let (head, metadata) =
        bytes[RECORD_PREFIX_BYTES..].split_at(bytes.len() - RECORD_PREFIX_BYTES - 11);
    assert_eq!(metadata, b"\x01\x03key\x05value");
    for hostile in [
        // 2^60 entries, a key and a value of 2^62 bytes, a number in more bytes than it needs.
        &b"\x80\x80\x80\x80\x80\x80\x80\x80\x10\x03key\x05value"[..],
        b"\x01\x80\x80\x80\x80\x80\x80\x80\x80\x40key",
        b"\x01\x03key\x80\x80\x80\x80\x80\x80\x80\x80\x40value",
        b"\x81\x00\x03key\x05value",
        b"\x01\x03key\x05val",
    ] {
        let frame = Bytes::from([head, hostile].concat());
        let read = decode(&frame, &frame, Position::new(1), &mut Names::default());
        assert_eq!(read, None, "{hostile:x?}");
    }
    let long = [&u32::MAX.to_le_bytes()[..], &[0; 40]].concat();
    assert!(RawRecord::next(&mut Fields::new(&long)).is_none());
}
