use super::super::engine::Table;
use super::super::tests::{Segment, blobs, open, stream, version};
use super::*;

/// A segment with 1,000 events, and commands at places that their ids tell.
fn segment(number: u64) -> Segment {
    Segment::new(
        number,
        1 + number * 1_000,
        &[(stream("1000"), version(1 + number * 1_000), 1_000)],
    )
}

fn commands(ids: std::ops::Range<u128>) -> Vec<(Uuid, EventPlace)> {
    ids.map(|id| {
        let place = EventPlace {
            position_in_segment: u32::try_from(id % 1_001).unwrap(),
            offset: u32::try_from(id % 100_000).unwrap(),
        };
        (Uuid::from_u128(id), place)
    })
    .collect()
}

fn index(sidecar: &Sidecar, segment: &Segment, commands: &[(Uuid, EventPlace)]) {
    let streams = segment.streams.iter();
    let mut streams = streams.map(|(stream, first, places)| (stream, *first, places.as_slice()));
    sidecar
        .index_segment(&segment.mark, &segment.frames, &mut streams, commands)
        .unwrap();
}

fn holds(sidecar: &Sidecar, segment: &Segment, commands: &[(Uuid, EventPlace)]) {
    for (id, place) in commands {
        let found = sidecar.command(*id).unwrap().unwrap();
        let first = segment.mark.first_position.get();
        assert_eq!(
            (found.segment, found.position.get(), found.offset),
            (
                segment.mark.number,
                first + u64::from(place.position_in_segment),
                place.offset
            )
        );
    }
}

#[test]
fn commands_are_where_they_were_indexed_also_after_reopening() {
    let directory = tempfile::tempdir().unwrap();
    let (one, other) = (segment(0), segment(1));
    // Many chunks, and less than one.
    let (many, few) = (commands(5_000..8_000), commands(100_000..100_003));
    {
        let sidecar = open(directory.path());
        sidecar.remember_commands(1_000_000).unwrap();
        index(&sidecar, &one, &many);
        index(&sidecar, &other, &few);
        holds(&sidecar, &one, &many);
        holds(&sidecar, &other, &few);
        sidecar.close().unwrap();
    }
    let sidecar = open(directory.path());
    sidecar.remember_commands(1_000_000).unwrap();
    assert!(sidecar.damaged_segments().unwrap().is_empty());
    holds(&sidecar, &one, &many);
    holds(&sidecar, &other, &few);
    for absent in (0..5_000).chain(8_000..20_000) {
        assert_eq!(sidecar.command(Uuid::from_u128(absent)).unwrap(), None);
    }
    assert_eq!(blobs(directory.path()), 0);
}

#[test]
fn a_lost_or_changed_chunk_is_found_and_indexing_again_repairs_it() {
    let directory = tempfile::tempdir().unwrap();
    let sidecar = open(directory.path());
    sidecar.remember_commands(1_000_000).unwrap();
    let (segment, commands) = (segment(0), commands(1..1_000));
    index(&sidecar, &segment, &commands);
    let low = chunk_key(0, Uuid::nil());
    let mut entries = sidecar
        .engine
        .range(Table::Commands, &low, &segment_end(0))
        .unwrap();
    let mut keys = Vec::new();
    while let Some((key, value)) = entries.forward().unwrap() {
        assert!(value.len() <= VALUE_BYTES_MAX);
        keys.push((key, value));
    }
    assert!(keys.len() > 4);
    drop(entries);
    let (key, value) = &keys[2];
    sidecar.engine.remove(Table::Commands, key).unwrap();
    assert_eq!(sidecar.damaged_segments().unwrap(), [0]);
    index(&sidecar, &segment, &commands);
    assert!(sidecar.damaged_segments().unwrap().is_empty());
    let mut changed = value.to_vec();
    changed[30] ^= 1;
    sidecar.engine.put(Table::Commands, key, &changed).unwrap();
    assert_eq!(sidecar.damaged_segments().unwrap(), [0]);
    assert!(sidecar.remember_commands(1_000_000).is_err());
    index(&sidecar, &segment, &commands);
    sidecar.remember_commands(1_000_000).unwrap();
    holds(&sidecar, &segment, &commands);
}

#[test]
fn a_forgotten_segment_takes_its_commands_along() {
    let directory = tempfile::tempdir().unwrap();
    let sidecar = open(directory.path());
    sidecar.remember_commands(1_000_000).unwrap();
    let (one, other) = (segment(0), segment(1));
    let (ones, others) = (commands(1..400), commands(1_000..2_000));
    index(&sidecar, &one, &ones);
    index(&sidecar, &other, &others);
    sidecar.forget_segments_from(1).unwrap();
    holds(&sidecar, &one, &ones);
    assert!(
        others
            .iter()
            .all(|(id, _)| sidecar.command(*id).unwrap().is_none())
    );
    let low = chunk_key(1, Uuid::nil());
    let mut left = sidecar
        .engine
        .range(Table::Commands, &low, &segment_end(u64::MAX))
        .unwrap();
    assert!(left.forward().unwrap().is_none());
    // Another content under the same number.
    drop(left);
    let anew = commands(1_500..1_600);
    index(&sidecar, &other, &anew);
    holds(&sidecar, &other, &anew);
    assert_eq!(sidecar.command(Uuid::from_u128(1_700)).unwrap(), None);
    assert!(sidecar.damaged_segments().unwrap().is_empty());
}

#[test]
fn only_the_newest_segments_are_remembered_and_more_of_them_again_if_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let sidecar = open(directory.path());
    sidecar.remember_commands(15).unwrap();
    let segments: Vec<_> = (0..4).map(segment).collect();
    let of = |number: u128| commands(number * 10_000..number * 10_000 + 10);
    for (segment, number) in segments.iter().zip(0..) {
        index(&sidecar, segment, &of(number));
    }
    let forgotten = |number: u128| {
        of(number)
            .iter()
            .all(|(id, _)| sidecar.command(*id).unwrap().is_none())
    };
    for _ in 0..2 {
        assert!(forgotten(0) && forgotten(1));
        holds(&sidecar, &segments[2], &of(2));
        holds(&sidecar, &segments[3], &of(3));
        sidecar.remember_commands(15).unwrap();
    }
    sidecar.remember_commands(35).unwrap();
    for (segment, number) in segments.iter().zip(0..) {
        holds(&sidecar, segment, &of(number));
    }
}
