use std::sync::atomic::{AtomicBool, Ordering};

use super::super::tests::{Segment, open, stream, version};
use super::*;
use crate::event_store::Direction;
use crate::position::Version;
use crate::sidecar::Place;
use crate::stream_id::StreamId;

fn places(sidecar: &Sidecar, stream: &StreamId) -> Vec<Place> {
    sidecar
        .places(
            stream,
            version(1),
            Version::new(u64::MAX),
            Direction::Forward,
            usize::MAX,
        )
        .unwrap()
}

/// Three segments with the same two streams, 10 events each in every one.
fn three() -> (StreamId, StreamId, Vec<Segment>) {
    let (one, other) = (stream("one"), stream("other"));
    let segments = (0..3)
        .map(|number| {
            let first = version(1 + number * 10);
            Segment::new(
                number,
                1 + number * 20,
                &[(one.clone(), first, 10), (other.clone(), first, 10)],
            )
        })
        .collect();
    (one, other, segments)
}

#[test]
fn an_indexed_segment_is_there_after_reopening() {
    let directory = tempfile::tempdir().unwrap();
    let (one, _, segments) = three();
    let sidecar = open(directory.path());
    for segment in &segments {
        segment.index(&sidecar).unwrap();
    }
    // Without closing it first: indexing alone makes it durable.
    drop(sidecar);
    let sidecar = open(directory.path());
    let marks: Vec<SegmentMark> = segments.iter().map(|s| s.mark.clone()).collect();
    assert_eq!(sidecar.indexed_segments().unwrap(), marks);
    let all: Vec<Place> = segments.iter().flat_map(|s| s.places_of(&one)).collect();
    assert_eq!(places(&sidecar, &one), all);
}

#[test]
fn indexing_a_segment_again_gives_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let (one, other, segments) = three();
    let sidecar = open(directory.path());
    for segment in segments.iter().chain(&segments) {
        segment.index(&sidecar).unwrap();
    }
    assert_eq!(sidecar.indexed_segments().unwrap().len(), 3);
    assert_eq!(places(&sidecar, &one).len(), 30);
    assert_eq!(places(&sidecar, &other).len(), 30);
    assert_eq!(sidecar.damaged_segments().unwrap(), []);
}

#[test]
fn another_content_under_an_indexed_number_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let (one, _, segments) = three();
    let sidecar = open(directory.path());
    segments[0].index(&sidecar).unwrap();
    let mut changed = segments[0].clone();
    changed.mark.last_frame_hash = [1; 32];
    assert!(changed.index(&sidecar).is_err());
    assert_eq!(places(&sidecar, &one), segments[0].places_of(&one));
    sidecar.forget_segments_from(0).unwrap();
    changed.index(&sidecar).unwrap();
    assert_eq!(places(&sidecar, &one).len(), 10);
}

#[test]
fn forgotten_segments_leave_nothing_behind() {
    let directory = tempfile::tempdir().unwrap();
    let (one, other, segments) = three();
    let only_in_last = stream("only-in-last");
    let mut last = Segment::new(3, 61, &[(only_in_last.clone(), version(1), 2_500)]);
    last.frames.truncate(1);
    let mut sidecar = open(directory.path());
    for segment in segments.iter().chain([&last]) {
        segment.index(&sidecar).unwrap();
    }
    sidecar.forget_segments_from(1).unwrap();
    for reopened in [false, true] {
        if reopened {
            drop(sidecar);
            sidecar = open(directory.path());
        }
        assert_eq!(
            sidecar.indexed_segments().unwrap(),
            [segments[0].mark.clone()]
        );
        assert_eq!(places(&sidecar, &one), segments[0].places_of(&one));
        assert_eq!(sidecar.stream_version(&other).unwrap(), version(10));
        assert_eq!(places(&sidecar, &only_in_last), []);
        assert_eq!(sidecar.frames(1).unwrap(), []);
        assert_eq!(
            sidecar.streams("acme", "gl-account", None, 9).unwrap(),
            [one.clone(), other.clone()]
        );
        assert_eq!(sidecar.damaged_segments().unwrap(), []);
    }
    let mut entries = sidecar.engine.range(Table::Streams, &[], &[255]).unwrap();
    let mut left = 0;
    while entries.forward().unwrap().is_some() {
        left += 1;
    }
    assert_eq!(left, 2);
}

#[test]
fn what_an_unfinished_indexing_left_is_not_seen() {
    let directory = tempfile::tempdir().unwrap();
    let (one, other, segments) = three();
    let sidecar = open(directory.path());
    segments[0].index(&sidecar).unwrap();
    // The chunks of a segment without its mark, as a crash leaves them; the segment is lost after that, and another one
    // takes its number.
    let lost = stream("lost");
    let mut half_done = segments[1].clone();
    half_done.mark.last_frame_hash = [0xee; 32];
    half_done
        .streams
        .push((lost.clone(), version(1), half_done.streams[0].2.clone()));
    sidecar
        .put_streams(
            &half_done.mark,
            &mut half_done
                .streams
                .iter()
                .map(|(stream, first, places)| (stream, *first, places.as_slice())),
        )
        .unwrap();
    let unseen = |sidecar: &Sidecar, indexed: &[Segment]| {
        let all: Vec<Place> = indexed.iter().flat_map(|s| s.places_of(&one)).collect();
        assert_eq!(places(sidecar, &one), all);
        assert_eq!(places(sidecar, &lost), []);
        assert_eq!(sidecar.stream_version(&lost).unwrap(), Version::EMPTY);
        assert_eq!(
            sidecar.streams("acme", "gl-account", None, 9).unwrap(),
            [one.clone(), other.clone()]
        );
        assert_eq!(sidecar.damaged_segments().unwrap(), []);
    };
    unseen(&sidecar, &segments[..1]);
    segments[1].index(&sidecar).unwrap();
    unseen(&sidecar, &segments[..2]);
    drop(sidecar);
    unseen(&open(directory.path()), &segments[..2]);
}

#[test]
fn a_reader_sees_a_segment_as_a_whole_or_not_at_all() {
    const EACH: usize = 3_000;
    let directory = tempfile::tempdir().unwrap();
    let sidecar = open(directory.path());
    let one = stream("one");
    let done = AtomicBool::new(false);
    let reads = std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut reads = 0;
            let mut seen = 0;
            while !done.load(Ordering::Acquire) {
                for direction in [Direction::Forward, Direction::Backward] {
                    let found = sidecar
                        .places(
                            &one,
                            version(1),
                            Version::new(u64::MAX),
                            direction,
                            usize::MAX,
                        )
                        .unwrap()
                        .len();
                    assert!(
                        found.is_multiple_of(EACH) && found >= seen,
                        "{found} {seen}"
                    );
                    seen = found;
                    reads += 1;
                }
            }
            reads
        });
        for number in 0..8 {
            let first = number * EACH as u64 + 1;
            Segment::new(number, first, &[(one.clone(), version(first), EACH)])
                .index(&sidecar)
                .unwrap();
        }
        done.store(true, Ordering::Release);
        reader.join().unwrap()
    });
    assert!(reads > 0);
    assert_eq!(places(&sidecar, &one).len(), 8 * EACH);
}

#[test]
fn a_segment_whose_chunks_were_lost_is_found_and_repaired() {
    let directory = tempfile::tempdir().unwrap();
    let (one, _, segments) = three();
    let sidecar = open(directory.path());
    for segment in &segments {
        segment.index(&sidecar).unwrap();
    }
    // The last chunk of a stream: what is left has no gap.
    let mut entries = sidecar
        .engine
        .range(
            Table::Streams,
            one.as_str().as_bytes(),
            b"acme/gl-account/onf",
        )
        .unwrap();
    let (last, _) = entries.backward().unwrap().unwrap();
    sidecar.engine.remove(Table::Streams, &last).unwrap();
    assert_eq!(sidecar.stream_version(&one).unwrap(), version(20));
    assert_eq!(sidecar.damaged_segments().unwrap(), [2]);
    segments[2].index(&sidecar).unwrap();
    assert_eq!(sidecar.damaged_segments().unwrap(), []);
    assert_eq!(sidecar.stream_version(&one).unwrap(), version(30));
}

#[test]
fn a_frame_is_kept_for_each_stride() {
    let directory = tempfile::tempdir().unwrap();
    let sidecar = open(directory.path());
    let mark = SegmentMark {
        number: 5,
        first_position: Position::new(1_000),
        last_position: Position::new(3_000_000),
        length_bytes: 1 << 32,
        last_frame_hash: [3; 32],
    };
    let frame = |position, offset| FramePlace {
        first_position: Position::new(position),
        offset,
    };
    let stride = FRAME_STRIDE_BYTES;
    let frames = [
        frame(1_000, 128),
        frame(1_010, 4_096),
        frame(1_020, stride - 1),
        frame(1_030, stride),
        frame(1_040, stride + 1),
        // A frame of more than a stride: the next one is the first at or after two multiples.
        frame(1_050, 3 * stride + 7),
        frame(1_060, 3 * stride + 9),
        frame(1_070, 4 * stride),
    ];
    sidecar
        .index_segment(&mark, &frames, &mut std::iter::empty(), &[])
        .unwrap();
    let kept = [frames[0], frames[3], frames[5], frames[7]];
    assert_eq!(sidecar.frames(5).unwrap(), kept);
    assert_eq!(sidecar.frames(4).unwrap(), []);
    // What is kept is all that is needed.
    sidecar
        .index_segment(&mark, &kept, &mut std::iter::empty(), &[])
        .unwrap();
    assert_eq!(sidecar.frames(5).unwrap(), kept);
}

#[test]
fn the_frames_of_the_largest_segment_come_back() {
    let directory = tempfile::tempdir().unwrap();
    let sidecar = open(directory.path());
    let count = 1 << 14;
    let frames: Vec<FramePlace> = (0..count)
        .map(|n| FramePlace {
            first_position: Position::new(1 + u64::from(n) * 250_000),
            offset: n * FRAME_STRIDE_BYTES + n % 7,
        })
        .collect();
    let mark = SegmentMark {
        number: 0,
        first_position: Position::new(1),
        last_position: Position::new(1 << 32),
        length_bytes: 1 << 32,
        last_frame_hash: [3; 32],
    };
    sidecar
        .index_segment(&mark, &frames, &mut std::iter::empty(), &[])
        .unwrap();
    drop(sidecar);
    let sidecar = open(directory.path());
    assert_eq!(sidecar.frames(0).unwrap(), frames);
    let backwards: Vec<FramePlace> = frames.iter().rev().copied().collect();
    sidecar.forget_segments_from(0).unwrap();
    assert!(
        sidecar
            .index_segment(&mark, &backwards, &mut std::iter::empty(), &[])
            .is_err()
    );
    assert_eq!(sidecar.indexed_segments().unwrap(), []);
}
