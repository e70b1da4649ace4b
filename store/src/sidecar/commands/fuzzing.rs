use super::{Chunk, ID_BYTES, segment_of};
use crate::position::Position;
use crate::sidecar::SegmentMark;

/// Any key and sealed value of a chunk of commands: no more commands than the bytes hold.
pub(in crate::sidecar) fn chunk(key: &[u8], value: &[u8]) {
    let mark = SegmentMark {
        number: segment_of(key).unwrap_or_default(),
        first_position: Position::new(1),
        last_position: Position::new(40),
        length_bytes: 900_000,
        last_frame_hash: [0; 32],
    };
    if let Some(commands) = Chunk::parse(key, value, &mark).and_then(Chunk::read) {
        assert!(commands.len() * ID_BYTES <= value.len());
    }
}
