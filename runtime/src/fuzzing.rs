//! A door to the decoders of events, states and rows, for the fuzz target `event_payload` and for the test that runs
//! what it found. Here only in tests and with `--cfg fuzzing`; no part of the API.

use std::collections::BTreeMap;

use foldhouse_store::{Payload, Position, RecordedEvent, StreamId, Timestamp, Version};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::event_codec::{EventCodecError, decode_content, decode_value, encode, plain_payload};
use crate::snapshots::decode_state;
use crate::{Aggregate, NESTING_DEPTH_MAX};

/// A state with everything in it that serde reads in a way of its own.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Everything {
    number: i64,
    wide: u128,
    text: String,
    bytes: Vec<u8>,
    list: Vec<u64>,
    map: BTreeMap<String, i32>,
    tree: Option<Box<Tree>>,
    loose: Option<Loose>,
    tagged: Option<Tagged>,
    #[serde(flatten)]
    rest: BTreeMap<String, Loose>,
}

/// Nests without end, through an enum.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Tree {
    Leaf,
    Wrap(Box<Tree>),
    Pair(Box<Tree>, Box<Tree>),
    Many { children: Vec<Tree> },
}

/// Is buffered before it is read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Loose {
    Nothing,
    Number(i64),
    Text(String),
    List(Vec<Loose>),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind")]
enum Tagged {
    Plain,
    Fields { a: u8, b: Option<String> },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Happened {
    Nothing,
    Counted(u64),
    Named { name: String, at: Timestamp },
    Pair(u32, Option<String>),
    Grown(Tree),
    Loose(Loose),
    Tagged(Tagged),
    All(Box<Everything>),
}

const EVENT_TYPES: [&str; 9] = [
    "Nothing", "Counted", "Named", "Pair", "Grown", "Loose", "Tagged", "All", "Unknown",
];

impl Aggregate for Everything {
    const TYPE: &'static str = "everything";
    type Event = Happened;

    fn apply(&mut self, _: &Happened) {}
}

/// Any bytes as the payload of an event (the first byte says of which type), a state, and the key and value of a row.
pub fn event_payload(data: &[u8]) {
    let Some((kind, payload)) = data.split_first() else {
        return;
    };
    let event_type = EVENT_TYPES[usize::from(*kind) % EVENT_TYPES.len()];
    if let Ok(event) = decode(&recorded(event_type, payload)) {
        let mut bytes = Vec::new();
        // A value may nest deeper when it is written than as it was read, where what is left out was read as empty.
        if let Ok(event_type) = encode(&event, &mut bytes) {
            let again: Happened =
                decode(&recorded(event_type, &bytes)).expect("what was written is read");
            assert_eq!(again, event);
        }
    }
    let _ = decode_state::<Everything>(&Payload::message_pack(payload.to_vec()));
    let _ = decode_value::<(u32, String)>(payload);
    let _ = decode_value::<BTreeMap<u64, Vec<Option<[u8; 4]>>>>(payload);
    if let Err(refusal) = decode_value::<IgnoredAny>(payload) {
        assert!(
            refusal.len() < 1_024,
            "an error repeats what it refuses: {refusal}"
        );
        // What rmp reads to its end, not too deep, is never refused by the look at it beforehand.
        let mut rest = payload;
        let mut reader = rmp_serde::Deserializer::new(&mut rest);
        reader.set_max_depth(NESTING_DEPTH_MAX + 1);
        let plain = IgnoredAny::deserialize(&mut reader);
        assert!(plain.is_err() || !rest.is_empty(), "{refusal}");
    }
}

fn decode(event: &RecordedEvent) -> Result<Happened, EventCodecError> {
    decode_content(&event.event_type, plain_payload(event)?)
}

fn recorded(event_type: &str, payload: &[u8]) -> RecordedEvent {
    RecordedEvent {
        position: Position::new(1),
        stream: StreamId::new("acme", Everything::TYPE, "1").expect("a stream id"),
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
        payload: Payload::message_pack(payload.to_vec()),
    }
}

#[cfg(test)]
mod tests;
