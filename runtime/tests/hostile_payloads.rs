//! Payloads that no encoder wrote: refused with an error, without a panic, on a small stack, and within a cap of memory.
//!
//! A binary with one test, for its allocator counts what the whole process takes.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use foldhouse::{
    Aggregate, EventStore, EventStoreExt, ExpectedVersion, MemoryStore, Projection,
    ProjectionError, RecordedEvent, Runtime, Table, decode_event,
};
use foldhouse_store::{
    Append, Change, Checkpoint, NewEvent, Payload, Position, ReadModelStore, Snapshot,
    SnapshotStore, StreamId, Timestamp, Version,
};
use peak_alloc::PeakAlloc;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// What refusing any payload may take, whatever it claims.
const FIXED_BYTES: usize = 64 << 10;
/// And for each of its bytes.
const REFUSED_PER_BYTE: usize = 16;
/// For each byte of a payload that is read: a list of small numbers grows by doubling.
const READ_PER_BYTE: usize = 64;
/// The same where serde keeps all values before it knows their type: `untagged`, `flatten`, `tag`.
const BUFFERED_PER_BYTE: usize = 256;
const BUFFERED: [&str; 3] = ["Loose", "Tagged", "Flat"];
const STACK_BYTES: usize = 1 << 20;

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Everything {
    list: Vec<u64>,
    lists: Vec<Vec<u64>>,
    #[serde(default)]
    map: HashMap<String, u64>,
    #[serde(default)]
    tree: Option<Tree>,
    #[serde(default)]
    loose: Option<Loose>,
}

/// Nests without end, through an enum.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum Tree {
    Leaf,
    Wrap(Box<Tree>),
    Many { children: Vec<Tree> },
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Loose {
    Number(i64),
    Text(String),
    List(Vec<Loose>),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "kind")]
enum Tagged {
    Fields { a: u8 },
}

#[derive(Clone, Debug, Serialize, Deserialize)]
enum Happened {
    Counted(u64),
    Text(String),
    List(Vec<u64>),
    Lists(Vec<Vec<Vec<u64>>>),
    Map(BTreeMap<String, u64>),
    Hash(HashMap<u64, u64>),
    Fields {
        a: u8,
        #[serde(default)]
        b: Vec<u64>,
    },
    Grown(Tree),
    Loose(Loose),
    Tagged(Tagged),
    Flat {
        a: u8,
        #[serde(flatten)]
        rest: BTreeMap<String, Loose>,
    },
    Unit,
}

const EVENT_TYPES: [&str; 12] = [
    "Counted", "Text", "List", "Lists", "Map", "Hash", "Fields", "Grown", "Loose", "Tagged",
    "Flat", "Unit",
];

impl Aggregate for Everything {
    const TYPE: &'static str = "everything";
    type Event = Happened;

    fn apply(&mut self, _: &Happened) {}
}

struct Rows;

impl Projection for Rows {
    const NAME: &'static str = "rows";
    const MODEL_VERSION: u32 = 1;
    type Key = String;
    type Row = Everything;

    fn apply(
        &self,
        _: &RecordedEvent,
        _: &mut Table<String, Everything>,
    ) -> Result<(), ProjectionError> {
        Ok(())
    }
}

fn claims(marker: u8) -> Vec<u8> {
    [&[marker, 0xff, 0xff, 0xff, 0xff][..], b"0123456789"].concat()
}

/// Payloads that fit no type of an event, a state or a row here.
fn hostile() -> Vec<(&'static str, Vec<u8>)> {
    let text = |bytes: usize| {
        [
            &[0xdb][..],
            &u32::try_from(bytes).unwrap().to_be_bytes(),
            &vec![b'\x01'; bytes],
        ]
        .concat()
    };
    vec![
        ("nothing", vec![]),
        ("lists 10,000 deep", vec![0x91; 10_000]),
        ("maps 10,000 deep", [0x81, 0x01].repeat(10_000)),
        ("enums 60,000 deep", b"\x81\xa4Wrap".repeat(60_000)),
        (
            "trees 20,000 deep",
            b"\x81\xa4Many\x81\xa8children\x91".repeat(20_000),
        ),
        ("a list of 4 GiB", claims(0xdd)),
        ("a map of 4 GiB", claims(0xdf)),
        ("a text of 4 GiB", claims(0xdb)),
        ("bytes of 4 GiB", claims(0xc6)),
        ("an extension of 4 GiB", claims(0xc9)),
        (
            "a list of 65,535 with nothing in it",
            vec![0xdc, 0xff, 0xff],
        ),
        ("a map of 65,535 with nothing in it", vec![0xde, 0xff, 0xff]),
        (
            "lists that each claim a million",
            [0xdd, 0x00, 0x0f, 0xff, 0xff].repeat(60),
        ),
        (
            "a field that claims 4 GiB",
            [&b"\x82\xa1a\x01\xa1b"[..], &claims(0xdd)].concat(),
        ),
        (
            "bytes behind the value",
            b"\x82\xa1a\x01\xa1b\x90\x00".to_vec(),
        ),
        (
            "a field twice, and no list",
            b"\x83\xa1a\x01\xa1a\x02\xa4kind\xa6Fields".to_vec(),
        ),
        ("text that is not UTF-8", b"\xa2\xff\xfe".to_vec()),
        (
            "a field that is not UTF-8",
            b"\x82\xa1a\x01\xa1b\xa2\xff\xfe".to_vec(),
        ),
        (
            "not a number for a key",
            b"\x81\xcb\x7f\xf8\0\0\0\0\0\0\x01".to_vec(),
        ),
        ("a reserved byte", vec![0xc1]),
        (
            "200,000 empty maps",
            [&[0xdd, 0x00, 0x03, 0x0d, 0x40][..], &vec![0x80; 200_000]].concat(),
        ),
        (
            "a list of a long text and a truth",
            [&[0x92][..], &text(300_000), &[0xc3]].concat(),
        ),
        (
            "a map with a long key",
            [&[0x81][..], &text(300_000), &[0xc3]].concat(),
        ),
        (
            "a variant with a long name",
            [&[0x81][..], &text(300_000), &[0x91, 0xc3]].concat(),
        ),
        ("an extension", vec![0xd4, 0x01, 0x01]),
    ]
}

fn recorded(event_type: &str, payload: &[u8]) -> RecordedEvent {
    RecordedEvent {
        position: Position::new(1),
        stream: StreamId::new("acme", Everything::TYPE, "1").unwrap(),
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

/// What `work` answers, and how much memory it took at its peak.
fn measured<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    let answer = work();
    (answer, MEMORY.peak_usage().saturating_sub(before))
}

fn events_are_refused() {
    for (name, payload) in hostile() {
        for event_type in EVENT_TYPES {
            if payload.is_empty() && event_type == "Unit" {
                continue;
            }
            let event = recorded(event_type, &payload);
            let (read, peak) = measured(|| decode_event::<Everything>(&event).unwrap());
            let refusal = read.expect_err(name).to_string();
            assert!(
                refusal.len() < 600,
                "{name}: the error repeats what it refuses"
            );
            let per_byte = if BUFFERED.contains(&event_type) {
                BUFFERED_PER_BYTE
            } else {
                REFUSED_PER_BYTE
            };
            let cap = FIXED_BYTES + per_byte * payload.len();
            assert!(
                peak <= cap,
                "{name} as {event_type}: {peak} bytes of memory, the cap is {cap}; {refusal}"
            );
        }
    }
}

/// What is large and sound is read in proportion to its size.
fn large_events_are_read_in_proportion() {
    let list = |count: u32, value: &[u8]| {
        [
            &[0xdd][..],
            &count.to_be_bytes(),
            &value.repeat(count as usize),
        ]
        .concat()
    };
    let flat = [&b"\x82\xa1a\x01\xa1b"[..], &list(200_000, &[7])].concat();
    for (event_type, per_byte, payload) in [
        ("List", READ_PER_BYTE, list(200_000, &[7])),
        ("Lists", READ_PER_BYTE, list(100_000, &[0x91, 0x90])),
        ("Loose", BUFFERED_PER_BYTE, list(200_000, &[7])),
        ("Loose", BUFFERED_PER_BYTE, list(100_000, &[0x91, 0x07])),
        ("Flat", BUFFERED_PER_BYTE, flat),
    ] {
        let event = recorded(event_type, &payload);
        let (read, peak) = measured(|| decode_event::<Everything>(&event).unwrap());
        read.unwrap();
        let cap = FIXED_BYTES + per_byte * payload.len();
        println!(
            "{event_type} of {} bytes: {} bytes of memory for each",
            payload.len(),
            peak / payload.len()
        );
        assert!(
            peak <= cap,
            "{event_type}: {peak} bytes of memory, the cap is {cap}"
        );
    }
}

/// A state that cannot be read is passed over, a read model made anew; both within the cap.
async fn states_and_rows_are_refused() {
    for (name, payload) in hostile() {
        let store = Arc::new(MemoryStore::new());
        let stream = StreamId::new("acme", Everything::TYPE, "1").unwrap();
        let event = NewEvent::new(Uuid::from_u128(1), "Unit", Payload::message_pack(vec![]));
        let append = Append::to(stream.clone(), ExpectedVersion::NoStream, [event]);
        store.append(append).await.unwrap();
        let snapshot = Snapshot {
            taken_at: foldhouse::Timestamp::default(),
            stream,
            version: Version::new(1),
            event_id: Uuid::from_u128(1),
            state_schema: Everything::STATE_SCHEMA,
            payload: Payload::message_pack(payload.clone()),
        };
        store
            .save_snapshot(snapshot, std::num::NonZeroU16::MIN)
            .await
            .unwrap();
        let checkpoint = Checkpoint {
            position: Position::new(1),
            model_version: Rows::MODEL_VERSION,
        };
        let row = Change {
            key: vec![0xa1, b'k'],
            value: Some(payload.clone()),
        };
        store
            .commit(Rows::NAME, checkpoint, vec![row])
            .await
            .unwrap();
        let before = MEMORY.current_usage();
        MEMORY.reset_peak_usage();
        let runtime = Runtime::builder(store.clone()).start().await.unwrap();
        let lists = runtime.aggregate::<Everything>("acme", "1").unwrap();
        assert_eq!(
            lists.query(|state| state.list.len()).await.unwrap(),
            0,
            "{name}"
        );
        let rows = runtime.project(Rows).await.unwrap();
        let status = rows.wait_for(store.head(), Duration::from_secs(60)).await;
        status.expect(name);
        assert_eq!(rows.read(Table::len), 0, "{name}");
        let peak = MEMORY.peak_usage().saturating_sub(before);
        // An actor, a projection and their mailboxes take some, too.
        let cap = 4 * FIXED_BYTES + REFUSED_PER_BYTE * payload.len();
        assert!(
            peak <= cap,
            "{name}: {peak} bytes of memory, the cap is {cap}"
        );
    }
}

#[test]
fn a_hostile_payload_is_refused_within_a_cap_of_memory_and_stack() {
    let small = std::thread::Builder::new().stack_size(STACK_BYTES);
    let run = || {
        events_are_refused();
        large_events_are_read_in_proportion();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.unwrap().block_on(states_and_rows_are_refused());
    };
    small.spawn(run).unwrap().join().unwrap();
}
