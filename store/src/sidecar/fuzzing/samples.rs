use std::path::Path;

use uuid::Uuid;

use crate::event::Payload;
use crate::position::{Position, Version};
use crate::read_model::{Change, Checkpoint};
use crate::sidecar::engine::Table;
use crate::sidecar::value::SEAL_BYTES;
use crate::sidecar::{EventPlace, FramePlace, SegmentMark, Sidecar};
use crate::snapshot::Snapshot;
use crate::stream_id::StreamId;

fn stream(id: &str) -> StreamId {
    StreamId::new("acme", "gl-account", id).unwrap()
}

fn filled(directory: &Path) -> Sidecar {
    std::fs::create_dir_all(directory).unwrap();
    let (sidecar, _) = Sidecar::open(directory, [7; 16], 1 << 20).unwrap();
    let mark = SegmentMark {
        number: 0,
        first_position: Position::new(1),
        last_position: Position::new(40),
        length_bytes: 900_000,
        last_frame_hash: [9; 32],
    };
    let frames = [1, 20, 40].map(|position| FramePlace {
        first_position: Position::new(position),
        offset: u32::try_from(position).unwrap() * 20_000,
    });
    let places: Vec<_> = (0..40)
        .map(|position_in_segment| EventPlace {
            position_in_segment,
            offset: 4_224 + position_in_segment * 200,
        })
        .collect();
    let stream_id = stream("1000");
    let places = (&stream_id, Version::new(1), &places[..]);
    let commands = [3, 5].map(|id| {
        let place = EventPlace {
            position_in_segment: 7,
            offset: 5_000,
        };
        (Uuid::from_u128(id), place)
    });
    sidecar
        .index_segment(&mark, &frames, &mut std::iter::once(places), &commands)
        .unwrap();
    for (id, bytes) in [("1000", 20), ("2000", 9_000)] {
        let snapshot = Snapshot {
            stream: stream(id),
            version: Version::new(2),
            event_id: Uuid::from_u128(2),
            taken_at: crate::clock::Timestamp::default(),
            state_schema: 1,
            payload: Payload::raw(vec![7; bytes]),
        };
        sidecar
            .save_snapshot(&snapshot, std::num::NonZeroU16::MIN)
            .unwrap();
    }
    let checkpoint = Checkpoint {
        position: Position::new(3),
        model_version: 7,
    };
    let row = |key: &[u8], bytes| Change {
        key: key.to_vec(),
        value: Some(vec![9; bytes]),
    };
    let rows = vec![row(b"1000", 10), row(b"2000", 9_000)];
    sidecar.commit("balances", checkpoint, rows).unwrap();
    sidecar
}

/// Inputs of the targets `index_value` and `snapshot` made of values that a sidecar in `directory` really keeps.
pub(crate) fn samples(directory: &Path) -> Vec<(&'static str, Vec<u8>)> {
    let sidecar = filled(&directory.join("samples"));
    let mut inputs = Vec::new();
    for (table, kinds) in [
        (Table::Streams, &[0][..]),
        (Table::Segments, &[1, 2]),
        (Table::Meta, &[3, 4]),
        (Table::Models, &[6, 7]),
        (Table::Snapshots, &[]),
    ] {
        let mut entries = sidecar.engine.range(table, &[], &[u8::MAX]).unwrap();
        while let Some((key, value)) = entries.forward().unwrap() {
            let Some(unsealed) = value.len().checked_sub(SEAL_BYTES) else {
                continue;
            };
            for kind in kinds {
                let head = [*kind, u8::try_from(key.len()).unwrap()];
                inputs.push((
                    "index_value",
                    [&head[..], &key, &value[..unsealed]].concat(),
                ));
            }
            if kinds.is_empty() && value.len() < 256 {
                let head = [u8::try_from(unsealed).unwrap()];
                let input = [&head[..], &value[..unsealed], &[7; 9_000]].concat();
                inputs.push(("snapshot", input));
            }
        }
    }
    let receipt = sidecar.engine.receipt().slot().encode();
    inputs.push((
        "index_value",
        [&[5, 0][..], &receipt[..receipt.len() - SEAL_BYTES]].concat(),
    ));
    inputs
}
