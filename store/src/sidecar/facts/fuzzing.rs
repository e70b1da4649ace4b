use super::{Head, dictionary};
use crate::position::Position;
use crate::sidecar::SegmentMark;

/// Any value of the table: no more keys and places than the bytes hold, and none outside of the segment.
pub(in crate::sidecar) fn piece(value: &[u8]) {
    let mark = SegmentMark {
        number: 0,
        first_position: Position::new(1),
        last_position: Position::new(40),
        length_bytes: 900_000,
        last_frame_hash: [0; 32],
    };
    let _ = Head::decode(&[], value);
    let _ = dictionary::first_key(value);
    let (mut keys, mut end) = (0, None);
    let walked = dictionary::walk(value, &mut |key, list| {
        assert!(key.len() <= value.len() && end.is_none_or(|end| end == list.start));
        (keys, end) = (keys + 1, Some(list.end));
        Some(true)
    });
    assert!(walked.is_none() || 3 * keys <= value.len());
    let mut places = Vec::new();
    if dictionary::read_list(value, &mark, &mut places).is_some() {
        assert!(2 * places.len() <= value.len());
        assert!(
            places
                .iter()
                .all(|place| place.position_in_segment < 40 && place.offset < 900_000)
        );
    }
}
