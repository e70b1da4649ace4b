//! Values that go through an encoder and must come back from the decoder as they were.
#![no_main]

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use arbitrary::Arbitrary;
use foldhouse_store::{Codec, NewEvent, Payload, StreamId, Timestamp, fuzzing};
use uuid::Uuid;

#[derive(Arbitrary, Debug)]
enum Value {
    Frame {
        body: Vec<u8>,
        numbers: (u32, u32, u64, i64),
        previous_hash: [u8; 32],
    },
    Record {
        stream: [String; 3],
        version: u64,
        recorded_at: i64,
        event: Event,
    },
    Index {
        number: u64,
        first_position: u32,
        first_version: u32,
        steps: Vec<(u16, u16)>,
    },
}

#[derive(Arbitrary, Debug)]
struct Event {
    id: [u8; 16],
    event_type: String,
    schema_version: u16,
    effective_at: Option<i64>,
    correlation_id: Option<[u8; 16]>,
    causation_id: Option<[u8; 16]>,
    user: Option<String>,
    metadata: BTreeMap<String, String>,
    codec: u8,
    key_id: Option<NonZeroU32>,
    payload: Vec<u8>,
}

libfuzzer_sys::fuzz_target!(|value: Value| match value {
    Value::Frame {
        body,
        numbers,
        previous_hash,
    } => fuzzing::frame_round_trip(&body, numbers, previous_hash),
    Value::Record {
        stream: [tenant, aggregate_type, aggregate_id],
        version,
        recorded_at,
        event,
    } => {
        let Ok(stream) = StreamId::new(&tenant, &aggregate_type, &aggregate_id) else {
            return;
        };
        if event.event_type.len() > 127 || event.user.as_ref().is_some_and(|user| user.len() > 127)
        {
            return;
        }
        let recorded_at = Timestamp::from_unix_micros(recorded_at);
        let event = NewEvent {
            id: Uuid::from_bytes(event.id),
            event_type: event.event_type.into(),
            schema_version: event.schema_version,
            effective_at: event.effective_at.map(Timestamp::from_unix_micros),
            correlation_id: event.correlation_id.map(Uuid::from_bytes),
            causation_id: event.causation_id.map(Uuid::from_bytes),
            user: event.user.map(Into::into),
            metadata: event.metadata,
            payload: Payload {
                codec: Codec::from_byte(event.codec % 3).unwrap_or_default(),
                key_id: event.key_id,
                bytes: event.payload.into(),
            },
        };
        fuzzing::record_round_trip(&stream, version.max(2) >> 1, recorded_at, &event);
    }
    Value::Index {
        number,
        first_position,
        first_version,
        steps,
    } => fuzzing::index_round_trip(number, first_position, first_version, &steps),
});
