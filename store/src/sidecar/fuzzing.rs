//! Doors to the decoders of the sidecar's values for `crate::fuzzing`.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a broken promise must be seen"
)]

#[cfg(test)]
mod samples;

pub use super::snapshots::fuzzing::snapshot;
#[cfg(test)]
pub(crate) use samples::samples;

use super::receipt::Slot;
use super::value::seal;
use super::{EventPlace, FramePlace, SegmentMark};
use super::{commands, facts, meta, models, segments, streams};
use crate::position::Position;

/// Any key and value of the index, the read models and the receipt, with its checksum put right.
pub fn index_value(data: &[u8]) {
    let Some(([kind, key_bytes], rest)) = data.split_first_chunk() else {
        return;
    };
    let (key, value) = rest
        .split_at_checked(usize::from(*key_bytes))
        .unwrap_or((rest, &[]));
    let sealed = |key: &[u8]| {
        let mut value = value.to_vec();
        seal(key, &mut value);
        value
    };
    match kind % 8 {
        0 if *kind >= 128 => commands::fuzzing::chunk(key, &sealed(key)),
        0 => streams::fuzzing::chunk(key, &sealed(key)),
        1 if *kind >= 128 => facts::fuzzing::piece(&sealed(key)),
        1 => segments::fuzzing::mark(key, &sealed(key)),
        2 => segments::fuzzing::frames(key, &sealed(key)),
        3 => drop(meta::decode_identity(&sealed(b"identity"))),
        4 => drop(meta::decode_generation(&sealed(b"generation"))),
        5 => receipt(&sealed(&[])),
        6 => models::fuzzing::checkpoint(key, &sealed(key)),
        _ => models::fuzzing::row(key, &sealed(key)),
    }
}

fn receipt(slot: &[u8]) {
    if let Some(slot) = Slot::decode(slot) {
        assert_eq!(Slot::decode(&slot.encode()), Some(slot));
    }
}

/// The places of one stream and the frames of its segment read back as they were written.
///
/// `steps` are how many positions and bytes lie between one event and the next.
pub fn index_round_trip(
    number: u64,
    first_position: u32,
    first_version: u32,
    steps: &[(u16, u16)],
) {
    let (mut places, mut frames) = (Vec::new(), Vec::new());
    let (mut position, mut offset) = (0, 0);
    for (positions, bytes) in steps {
        position += 1 + u32::from(*positions);
        offset += u32::from(*bytes);
        places.push(EventPlace {
            position_in_segment: position,
            offset,
        });
        frames.push(FramePlace {
            first_position: Position::new(u64::from(first_position) + u64::from(position)),
            offset,
        });
    }
    let mark = SegmentMark {
        number,
        first_position: Position::new(u64::from(first_position)),
        last_position: Position::new(u64::from(first_position) + u64::from(position)),
        length_bytes: u64::from(offset) + 1,
        last_frame_hash: [9; 32],
    };
    streams::fuzzing::round_trip(&mark, u64::from(first_version) + 1, &places);
    segments::fuzzing::round_trip(&mark, &frames);
}
