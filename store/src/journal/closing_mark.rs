//! What a store writes last when it is closed, byte by byte (format version 1): a frame without events, whose only record
//! is this one.
//!
//! | bytes | field |
//! |---|---|
//! | 4 | length: 2 |
//! | 4 | CRC-32 (IEEE) of the position that the next event will have (8 bytes), followed by the 2 bytes behind it |
//! | 1 | kind: 129 |
//! | 1 | flags: 0 |
//!
//! It says nothing that a reader needs. It is there to follow the last frame that holds events: what does not hold in
//! that one can then not be a write that did not complete, and is never cut off.

use crate::journal::frame;
use crate::journal::record;
use crate::position::Position;

pub(crate) const KIND_CLOSED: u8 = 129;

/// The bytes that the mark's frame takes in a segment.
pub(crate) const MARK_FRAME_BYTES: usize = crate::journal::segment::BLOCK_BYTES;

/// The body of the mark's frame.
pub(crate) fn body(next_position: Position) -> Vec<u8> {
    let mut body = Vec::new();
    let start = record::begin(&mut body);
    body.extend_from_slice(&[KIND_CLOSED, 0]);
    record::end(&mut body, start);
    record::seal(&mut body, next_position);
    debug_assert_eq!(frame::padded_bytes(body.len()), MARK_FRAME_BYTES);
    body
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes_io::Fields;
    use crate::journal::record::RawRecord;

    #[test]
    fn the_mark_is_a_record_that_may_be_skipped_and_takes_one_block() {
        let body = body(Position::new(8));
        let raw = RawRecord::next(&mut Fields::new(&body)).unwrap();
        assert_eq!(raw.content, [129, 0]);
        assert!(raw.is_intact(Position::new(8)) && !raw.is_event() && !raw.is_foreign());
        assert_eq!(frame::padded_bytes(body.len()), MARK_FRAME_BYTES);
    }
}
