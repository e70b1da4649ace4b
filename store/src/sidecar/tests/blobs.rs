use super::*;
use crate::event::Payload;
use crate::event_store::Direction;
use crate::read_model::{Change, Checkpoint, READ_MODEL_KEY_BYTES_MAX};
use crate::snapshot::Snapshot;
use crate::stream_id::{AGGREGATE_ID_BYTES_MAX, STREAM_ID_SEGMENT_BYTES_MAX};

/// A page that is too large for sled's log goes to a file of its own, which is never synced: a power cut would take what
/// was said to be durable.
#[test]
fn nothing_is_so_large_that_it_gets_a_file_of_its_own() {
    const STREAMS: u64 = 4_000;
    let long = |bytes: usize, text: &str| text.repeat(bytes)[..bytes].to_owned();
    let longest = |n: u64| {
        let segment = long(STREAM_ID_SEGMENT_BYTES_MAX, "t");
        // They differ at the end only: inner pages of the tree keep all of it.
        let id = format!("{}{n:08}", long(AGGREGATE_ID_BYTES_MAX - 8, "i"));
        StreamId::new(&segment, &segment, &id).unwrap()
    };
    let directory = tempfile::tempdir().unwrap();
    let sidecar = open(directory.path());
    for number in 0..2 {
        let streams: Vec<_> = (0..STREAMS)
            .map(|n| (longest(n), version(1 + 2 * number), 2))
            .collect();
        Segment::new(number, 1 + number * 2 * STREAMS, &streams)
            .index(&sidecar)
            .unwrap();
    }
    for n in 0..4 {
        let bytes = blake3::hash(&n_bytes(n)).as_bytes().repeat((1 << 20) / 32);
        let snapshot = Snapshot {
            taken_at: crate::clock::Timestamp::default(),
            stream: longest(n),
            version: version(1),
            event_id: uuid::Uuid::from_u128(1),
            state_schema: 1,
            payload: Payload::raw(bytes),
        };
        sidecar
            .save_snapshot(&snapshot, std::num::NonZeroU16::MIN)
            .unwrap();
    }
    for round in 0..2 {
        let changes = (0..1_000_u64).map(|row| {
            let key = format!("{}{row:08}", long(READ_MODEL_KEY_BYTES_MAX - 8, "k"));
            let value_bytes = if row % 100 == 0 { 100_000 } else { 3_000 };
            Change {
                key: key.into_bytes(),
                value: Some(n_bytes(round + row).repeat(value_bytes / 8)),
            }
        });
        let checkpoint = Checkpoint {
            position: Position::new(round + 1),
            model_version: 1,
        };
        sidecar
            .commit("wide", checkpoint, changes.collect())
            .unwrap();
    }
    assert_eq!(blobs(directory.path()), 0);
    sidecar.close().unwrap();
    let sidecar = open(directory.path());
    assert_eq!(sidecar.damaged_segments().unwrap(), []);
    let places = |n| sidecar.places(&longest(n), version(1), version(9), Direction::Forward, 9);
    assert_eq!(places(STREAMS - 1).unwrap().len(), 4);
    assert_eq!(sidecar.rows("wide", None, 9_999).unwrap().len(), 1_000);
    sidecar.close().unwrap();
    assert_eq!(blobs(directory.path()), 0);
}

fn n_bytes(number: u64) -> [u8; 8] {
    number.to_le_bytes()
}
