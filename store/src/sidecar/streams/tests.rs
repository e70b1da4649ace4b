use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::super::tests::{Segment, open, stream, version};
use super::super::value::VALUE_BYTES_MAX;
use super::*;

const ALL: Version = Version::new(u64::MAX);

fn all_places(sidecar: &Sidecar, stream: &StreamId) -> Vec<Place> {
    sidecar
        .places(stream, version(1), ALL, Direction::Forward, usize::MAX)
        .unwrap()
}

/// What `places` has to give, from the whole list.
fn model(places: &[Place], from: u64, to: u64, direction: Direction, limit: usize) -> Vec<Place> {
    let within = places
        .iter()
        .filter(|place| (from..=to).contains(&place.version.get()))
        .copied();
    match direction {
        Direction::Forward => within.take(limit).collect(),
        Direction::Backward => within.rev().take(limit).collect(),
    }
}

#[test]
fn a_stream_of_many_chunks_is_read_in_both_directions() {
    let directory = tempfile::tempdir().unwrap();
    let sidecar = open(directory.path());
    let (long, short) = (stream("long"), stream("short"));
    let mut places = Vec::new();
    let mut position = 1;
    for (number, count) in [(3, 30_000), (4, 60_000), (7, 10_000)] {
        let first = version(places.len() as u64 + 1);
        let segment = Segment::new(
            number,
            position,
            &[
                (long.clone(), first, count),
                (short.clone(), version(number), 1),
            ],
        );
        position = segment.mark.last_position.get() + 1;
        segment.index(&sidecar).unwrap();
        places.extend(segment.places_of(&long));
    }
    assert_eq!(places.len(), 100_000);
    assert_eq!(sidecar.stream_version(&long).unwrap(), version(100_000));
    assert_eq!(all_places(&sidecar, &long), places);

    // Ranges around the ends of all chunks, and the ends of the stream.
    let mut edges = BTreeSet::from([0, 1, 2, 50_000, 99_999, 100_000, 100_001, u64::MAX]);
    let mut chunks = 0;
    let vouchers = sidecar.vouchers();
    let mut walk = Chunks::from(&sidecar, &vouchers, &long, Version::EMPTY).unwrap();
    while let Some(found) = walk.forward().unwrap() {
        chunks += 1;
        let first = found.chunk.first.get();
        if chunks % 7 == 0 || found.chunk.segment != 4 {
            edges.extend([first - 1, first, first + 1]);
        }
    }
    drop(vouchers);
    assert!(chunks > 50, "{chunks}");
    for &from in &edges {
        for (to, limit) in [
            (from, 10),
            (from.saturating_add(3), 10),
            (from.saturating_add(3_000), 2_999),
            (u64::MAX, 5),
        ] {
            for direction in [Direction::Forward, Direction::Backward] {
                let given = sidecar
                    .places(&long, version(from), version(to), direction, limit)
                    .unwrap();
                assert_eq!(
                    given,
                    model(&places, from, to, direction, limit),
                    "{from}..={to} {direction:?} {limit}"
                );
            }
        }
    }
}

#[test]
fn no_value_is_larger_than_the_limit() {
    let directory = tempfile::tempdir().unwrap();
    let sidecar = open(directory.path());
    // Distances that take as many bytes as possible.
    let places: Vec<EventPlace> = (0..2_000)
        .map(|n| EventPlace {
            position_in_segment: n * 2_000_000,
            offset: n * 2_100_000,
        })
        .collect();
    let mark = crate::sidecar::SegmentMark {
        number: u64::MAX,
        first_position: crate::Position::new(1 << 60),
        last_position: crate::Position::new((1 << 60) + (1 << 32)),
        length_bytes: 1 << 32,
        last_frame_hash: [9; 32],
    };
    let long = stream("x".repeat(126));
    sidecar
        .index_segment(
            &mark,
            &[],
            &mut std::iter::once((&long, version(1), places.as_slice())),
            &[],
        )
        .unwrap();
    let mut sizes = Vec::new();
    let mut entries = sidecar.engine.range(Table::Streams, &[], &[255]).unwrap();
    while let Some((_, value)) = entries.forward().unwrap() {
        sizes.push(value.len());
    }
    assert!(sizes.len() > 3);
    assert!(
        sizes.iter().all(|size| *size <= VALUE_BYTES_MAX),
        "{sizes:?}"
    );
    assert_eq!(all_places(&sidecar, &long).len(), places.len());
}

#[test]
fn an_unknown_stream_has_no_places_and_version_zero() {
    let directory = tempfile::tempdir().unwrap();
    let sidecar = open(directory.path());
    Segment::new(0, 1, &[(stream("10"), version(1), 3)])
        .index(&sidecar)
        .unwrap();
    for unknown in [stream("1"), stream("100"), stream("0")] {
        assert_eq!(all_places(&sidecar, &unknown), []);
        assert_eq!(sidecar.stream_version(&unknown).unwrap(), Version::EMPTY);
    }
}

#[test]
fn streams_are_listed_once_in_id_order_and_never_beyond_their_type() {
    let directory = tempfile::tempdir().unwrap();
    let sidecar = open(directory.path());
    let id = |text: &str| text.parse::<StreamId>().unwrap();
    let mut wanted: Vec<StreamId> = ["1", "10", "1 0", "1!", "2", "é", "~"]
        .iter()
        .map(|last| id(&format!("acme/gl/{last}")))
        .collect();
    let others = [
        "acm/gl/1",
        "acme/g/1",
        "acme/gl-account/1",
        "acme/gl!/1",
        "acme/gl0/1",
        "acme/gm/1",
        "acme1/gl/1",
        "b/gl/1",
    ];
    let mut all: Vec<StreamId> = wanted.clone();
    all.extend(others.iter().map(|text| id(text)));
    // Many chunks of each: a long one in the first segment, then one in each of three more.
    let mut position = 1;
    for number in 0..4 {
        let count = if number == 0 { 2_500 } else { 1 };
        let first = if number == 0 { 1 } else { 2_500 + number };
        let streams: Vec<_> = all
            .iter()
            .map(|stream| (stream.clone(), version(first), count))
            .collect();
        let segment = Segment::new(number, position, &streams);
        position = segment.mark.last_position.get() + 1;
        segment.index(&sidecar).unwrap();
    }
    wanted.sort();
    assert_eq!(sidecar.streams("acme", "gl", None, 100).unwrap(), wanted);
    for limit in 0..wanted.len() {
        let mut paged = Vec::new();
        loop {
            let page = sidecar.streams("acme", "gl", paged.last(), limit).unwrap();
            assert!(page.len() <= limit);
            if page.is_empty() {
                break;
            }
            paged.extend(page);
        }
        assert_eq!(paged, wanted[..if limit == 0 { 0 } else { wanted.len() }]);
    }
    // From behind a stream that is not there, and from one of another type.
    let from = |after: &str| sidecar.streams("acme", "gl", Some(&id(after)), 1).unwrap();
    assert_eq!(from("acme/gl/15"), [id("acme/gl/2")]);
    assert_eq!(from("acme/aa/1"), wanted[..1]);
    assert_eq!(from("acme/zz/1"), []);
    assert_eq!(sidecar.streams("acme", "nothing", None, 9).unwrap(), []);
    assert_eq!(sidecar.streams("", "", None, 9).unwrap(), []);
    assert_eq!(sidecar.streams("acme/gl", "1", None, 9).unwrap(), []);
}

#[test]
fn a_gap_in_a_stream_is_a_fault_that_names_it() {
    for direction in [Direction::Forward, Direction::Backward] {
        let directory = tempfile::tempdir().unwrap();
        let sidecar = open(directory.path());
        let (holed, headless) = (stream("holed"), stream("headless"));
        for (number, first) in [(0, 1), (1, 12), (2, 22)] {
            let mut streams = vec![(holed.clone(), version(first), 10)];
            if number > 0 {
                streams.push((headless.clone(), version(first), 10));
            }
            Segment::new(number, 1 + number * 20, &streams)
                .index(&sidecar)
                .unwrap();
        }
        let places = |stream, from, to| {
            sidecar.places(stream, version(from), version(to), direction, usize::MAX)
        };
        // What lies beside the gap can be read.
        assert_eq!(places(&holed, 1, 10).unwrap().len(), 10);
        assert_eq!(places(&holed, 12, u64::MAX).unwrap().len(), 20);
        for (stream, from, to) in [
            (&holed, 1, u64::MAX),
            (&holed, 10, 12),
            (&holed, 9, 11),
            (&holed, 11, 11),
            (&headless, 1, 5),
            (&headless, 11, 12),
        ] {
            let Err(fault) = places(stream, from, to) else {
                // A range that ends before the first chunk touches nothing when read from its end.
                assert_eq!((stream, direction), (&headless, Direction::Backward));
                assert!(to < 12);
                continue;
            };
            assert!(fault.to_string().contains(stream.as_str()), "{fault}");
        }
    }
}

#[test]
fn a_damaged_chunk_is_a_fault_that_names_its_stream() {
    let directory = tempfile::tempdir().unwrap();
    let sidecar = open(directory.path());
    let (good, bad) = (stream("good"), stream("bad"));
    Segment::new(
        0,
        1,
        &[(good.clone(), version(1), 3), (bad.clone(), version(1), 3)],
    )
    .index(&sidecar)
    .unwrap();
    let key = chunk::chunk_key(&bad, version(1));
    let value = sidecar.engine.get(Table::Streams, &key).unwrap().unwrap();
    for at in 0..value.len() {
        let mut changed = value.to_vec();
        changed[at] ^= 4;
        sidecar.engine.put(Table::Streams, &key, &changed).unwrap();
        let fault = sidecar
            .places(&bad, version(1), ALL, Direction::Forward, 9)
            .unwrap_err();
        assert!(fault.to_string().contains(bad.as_str()), "{fault}");
        assert!(sidecar.stream_version(&bad).is_err());
    }
    assert_eq!(all_places(&sidecar, &good).len(), 3);
    assert_eq!(sidecar.damaged_segments().unwrap(), [0]);
}

#[test]
fn places_out_of_order_or_outside_their_segment_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let sidecar = open(directory.path());
    let account = stream("1");
    let segment = Segment::new(0, 1, &[(account.clone(), version(1), 3)]);
    let place = |position_in_segment, offset| EventPlace {
        position_in_segment,
        offset,
    };
    let length = u32::try_from(segment.mark.length_bytes).unwrap();
    for (first, places) in [
        (0, vec![place(0, 0)]),
        (u64::MAX, vec![place(0, 0)]),
        (1, vec![place(1, 9), place(1, 10)]),
        (1, vec![place(1, 9), place(2, 8)]),
        (1, vec![place(3, 9)]),
        (1, vec![place(0, length)]),
    ] {
        let mut wrong = segment.clone();
        wrong.streams = vec![(account.clone(), version(first), places)];
        let fault = wrong.index(&sidecar).unwrap_err();
        assert!(fault.to_string().contains(account.as_str()), "{fault}");
    }
    let mut twice = segment.clone();
    twice.streams.push(twice.streams[0].clone());
    assert!(twice.index(&sidecar).is_err());
    // Nothing of all that is visible, and the right one still goes in.
    assert_eq!(all_places(&sidecar, &account), []);
    assert_eq!(sidecar.indexed_segments().unwrap(), []);
    segment.index(&sidecar).unwrap();
    assert_eq!(all_places(&sidecar, &account), segment.places_of(&account));
}

/// Segments with the count of events that each of some streams has in it.
fn layouts() -> impl Strategy<Value = Vec<BTreeMap<u8, usize>>> {
    let count = prop_oneof![8 => 1_usize..5, 1 => 1_000_usize..4_000];
    proptest::collection::vec(proptest::collection::btree_map(0_u8..6, count, 1..5), 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn places_are_what_was_indexed(
        layout in layouts(),
        queries in proptest::collection::vec((0_u8..7, 0_u64..9_000, 0_u64..9_000, any::<bool>(), 0_usize..4_000), 40),
    ) {
        let directory = tempfile::tempdir().unwrap();
        let mut sidecar = open(directory.path());
        let mut truth = BTreeMap::<StreamId, Vec<Place>>::new();
        let mut position = 1;
        for (number, counts) in (0..).zip(&layout) {
            let streams: Vec<_> = counts
                .iter()
                .map(|(id, count)| {
                    let stream = stream(id);
                    let first = truth.get(&stream).map_or(0, Vec::len) as u64 + 1;
                    (stream, version(first), *count)
                })
                .collect();
            let segment = Segment::new(number, position, &streams);
            position = segment.mark.last_position.get() + 1;
            segment.index(&sidecar).unwrap();
            for (stream, ..) in &streams {
                truth.entry(stream.clone()).or_default().extend(segment.places_of(stream));
            }
        }
        for reopened in [false, true] {
            if reopened {
                sidecar.close().unwrap();
                sidecar = open(directory.path());
            }
            let listed = sidecar.streams("acme", "gl-account", None, 100).unwrap();
            prop_assert_eq!(listed, truth.keys().cloned().collect::<Vec<_>>());
            for (id, from, length, forward, limit) in &queries {
                let stream = stream(id);
                let places = truth.get(&stream).map(Vec::as_slice).unwrap_or_default();
                let direction = if *forward { Direction::Forward } else { Direction::Backward };
                let given = sidecar
                    .places(&stream, version(*from), version(from + length), direction, *limit)
                    .unwrap();
                prop_assert_eq!(given, model(places, *from, from + length, direction, *limit));
                prop_assert_eq!(
                    sidecar.stream_version(&stream).unwrap(),
                    version(places.len() as u64)
                );
            }
            prop_assert_eq!(sidecar.damaged_segments().unwrap(), Vec::<u64>::new());
        }
    }
}
