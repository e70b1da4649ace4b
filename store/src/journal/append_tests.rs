//! What the journal tells of the bounds of appends.

use super::test_support::*;
use super::*;
use crate::append::Append;
use crate::bytes_io::Fields;
use crate::journal::append_record::{self, Announced};
use crate::journal::frame::{FRAME_HEADER_BYTES, FrameHeader, HeaderCheck};
use crate::journal::record::RawRecord;
use crate::journal::segment::BLOCK_BYTES;
use crate::position::ExpectedVersion;

/// What stands in a frame, in order: an event, or how many events the head of an append counts.
#[derive(Debug, PartialEq, Eq)]
enum Stands {
    Event,
    Head(u64),
}

/// The contents of all frames of a segment file, and the numbers of records and events that their headers give.
fn frames(path: &Path) -> Vec<(Vec<Stands>, (u32, u32))> {
    let bytes = std::fs::read(path).unwrap();
    let mut frames = Vec::new();
    let mut offset = BLOCK_BYTES;
    while let HeaderCheck::Sound(header) = FrameHeader::check(&bytes[offset..]) {
        let body = &bytes[offset + FRAME_HEADER_BYTES..][..header.body_bytes()];
        let mut fields = Fields::new(body);
        let mut position = header.first_position;
        let mut stands = Vec::new();
        while !fields.rest().is_empty() {
            let raw = RawRecord::next(&mut fields).unwrap();
            assert!(raw.is_intact(position));
            if raw.is_event() {
                position = position.next();
                stands.push(Stands::Event);
            } else if let Some(Announced::Append(append)) = append_record::decode(raw.content) {
                stands.push(Stands::Head(append.event_count));
            }
        }
        frames.push((stands, (header.record_count, header.event_count)));
        offset += header.padded_bytes();
    }
    frames
}

#[test]
fn the_events_of_an_append_are_announced_and_a_single_one_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let store = options().open(directory.path()).unwrap();
    append(&store, "1000", 10).unwrap();
    let both = Append::to(stream("1000"), ExpectedVersion::Any, [event(1), event(2)]).and(
        stream("2000"),
        ExpectedVersion::NoStream,
        [event(3)],
    );
    assert_eq!(answer(&submit(&store, both)).unwrap().position.get(), 4);
    let check = Append::check(stream("2000"), ExpectedVersion::StreamExists);
    assert_eq!(answer(&submit(&store, check)).unwrap().event_count, 0);
    let [file] = segment_files(directory.path()).try_into().unwrap();
    let frames = frames(&file);
    let [first, second] = &frames[..2] else {
        panic!("two frames at the front of {frames:?}")
    };
    assert_eq!(first, &(vec![Stands::Event], (1, 1)));
    let three = vec![Stands::Head(3), Stands::Event, Stands::Event, Stands::Event];
    assert_eq!(second, &(three, (4, 3)));
    let before = all_events(&store, 1);
    drop(store);
    let store = options().open(directory.path()).unwrap();
    for limit in [1, 2, 3, 100] {
        assert_eq!(all_events(&store, limit), before);
    }
}

#[test]
fn appends_of_one_frame_are_told_apart() {
    let (directory, faults) = (tempfile::tempdir().unwrap(), Arc::default());
    let store = open(directory.path(), &faults);
    faults.hold_writes();
    // The first one is in a frame of its own that is being written; the others share the next.
    let held: Vec<_> = [1, 1, 2, 1, 3]
        .into_iter()
        .map(|count| {
            let events = (0..count).map(|_| event(10));
            let entry = Append::to(stream("1000"), ExpectedVersion::Any, events);
            let held = submit(&store, entry);
            faults.wait_for_held_write();
            held
        })
        .collect();
    faults.release_writes();
    for held in &held {
        answer(held).unwrap();
    }
    let [file] = segment_files(directory.path()).try_into().unwrap();
    use Stands::{Event, Head};
    let shared = vec![
        Event,
        Head(2),
        Event,
        Event,
        Event,
        Head(3),
        Event,
        Event,
        Event,
    ];
    assert_eq!(frames(&file)[1], (shared, (9, 7)));
}
