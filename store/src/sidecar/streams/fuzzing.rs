#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a broken promise must be seen"
)]

use std::ops::ControlFlow;

use super::super::{EventPlace, SegmentMark};
use super::chunk::{Chunk, ChunkWriter, split_key};
use crate::position::Version;
use crate::stream_id::StreamId;

/// Any key and sealed value of a chunk.
pub(in crate::sidecar) fn chunk(key: &[u8], value: &[u8]) {
    let Some(chunk) = Chunk::parse(key, value) else {
        return;
    };
    assert!(chunk.first < chunk.next && split_key(key).is_some());
    let mut count = 0;
    let mut next = chunk.first;
    let read = chunk.read(value, |place| {
        assert_eq!(place.version, next);
        next = place.version.next();
        count += 1;
        ControlFlow::Continue(())
    });
    assert!(count <= value.len(), "more events than bytes");
    assert!(read.is_none() || next == chunk.next);
}

/// Places read back from the chunks that they were split into.
pub(in crate::sidecar) fn round_trip(mark: &SegmentMark, first: u64, places: &[EventPlace]) {
    let stream = StreamId::new("acme", "gl-account", "1000").expect("a stream id");
    let mut read = Vec::new();
    let written =
        ChunkWriter::new(mark).write(&stream, Version::new(first), places, |key, value| {
            let chunk = Chunk::parse(key, value).expect("a chunk that was written is parsed");
            assert!(chunk.belongs_to(mark));
            let end = chunk.read(value, |place| {
                read.push(place);
                ControlFlow::Continue(())
            });
            assert_eq!(end, Some(ControlFlow::Continue(())));
            Ok(())
        });
    written.expect("places in order are written");
    assert_eq!(read.len(), places.len());
    for ((found, given), version) in read.iter().zip(places).zip(first..) {
        let position = mark.first_position.get() + u64::from(given.position_in_segment);
        assert_eq!((found.segment, found.version.get()), (mark.number, version));
        assert_eq!(
            (found.position.get(), found.offset),
            (position, given.offset)
        );
    }
}
