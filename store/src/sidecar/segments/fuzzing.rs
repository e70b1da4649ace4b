#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a broken promise must be seen"
)]

use super::super::{FramePlace, SegmentMark};
use super::{
    FORMAT, Voucher, decode_voucher, encode_voucher, frames_key, mark_key, put_frames, sparse,
    take_frames,
};
use crate::position::Position;
use crate::sidecar::engine::Batch;
use crate::sidecar::value::{CheckSum, seal};
use crate::varint::put_varint;

/// Any key and sealed value of a mark: what is read is what would have been written.
pub(in crate::sidecar) fn mark(key: &[u8], value: &[u8]) {
    if let Some(Some(voucher)) = decode_voucher(key, value) {
        assert_eq!(encode_voucher(key, &voucher), value);
    }
}

/// Any key and sealed value of a part of a segment's frames.
pub(in crate::sidecar) fn frames(key: &[u8], value: &[u8]) {
    let mut frames = Vec::new();
    let taken = take_frames(key, value, Position::new(1), &mut frames);
    assert!(frames.len() * 2 <= value.len(), "more frames than bytes");
    if taken.is_some() {
        assert!(frames.is_sorted_by_key(|frame| (frame.first_position, frame.offset)));
    }
}

/// A mark and the frames of its segment read back as they were written.
pub(in crate::sidecar) fn round_trip(segment: &SegmentMark, frames: &[FramePlace]) {
    let voucher = Voucher {
        mark: segment.clone(),
        chunks: CheckSum { count: 3, sum: 4 },
    };
    let key = mark_key(segment.number);
    assert_eq!(
        decode_voucher(&key, &encode_voucher(&key, &voucher)),
        Some(Some(voucher))
    );
    put_frames(&mut Batch::default(), segment, frames).expect("frames in order are written");
    // One part, as `put_frames` writes it; a batch cannot be read.
    let kept: Vec<FramePlace> = sparse(frames).take(200).collect();
    let (mut position, mut offset) = (segment.first_position.get(), 0);
    let mut value = vec![FORMAT];
    for frame in &kept {
        put_varint(&mut value, frame.first_position.get() - position);
        put_varint(&mut value, u64::from(frame.offset - offset));
        (position, offset) = (frame.first_position.get(), frame.offset);
    }
    let key = frames_key(segment.number, 0);
    seal(&key, &mut value);
    let mut read = Vec::new();
    take_frames(&key, &value, segment.first_position, &mut read).expect("frames are read");
    assert_eq!(read, kept);
}
