//! The mark of a clean close: what stands behind it, what it makes of damage before it, and when there is none.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use super::faulty_disk::{Faults, Step};
use super::test_support::*;
use super::*;
use crate::append::Append;
use crate::error::OpenError;
use crate::event_store::{Direction, EventStore, StreamQuery};
use crate::journal::frame::{FrameHeader, HeaderCheck};
use crate::journal::segment::BLOCK_BYTES;
use crate::position::ExpectedVersion;

const SECTOR: usize = 512;

/// The frames of a segment file: offset, length with padding, number of events.
fn frames(path: &Path) -> Vec<(usize, usize, u32)> {
    let bytes = std::fs::read(path).unwrap();
    let mut frames = Vec::new();
    let mut offset = BLOCK_BYTES;
    while let Some(HeaderCheck::Sound(header)) = bytes.get(offset..).map(FrameHeader::check) {
        frames.push((offset, header.padded_bytes(), header.event_count));
        offset += header.padded_bytes();
    }
    frames
}

fn event_counts(path: &Path) -> Vec<u32> {
    frames(path).iter().map(|(.., events)| *events).collect()
}

fn only_segment(directory: &Path) -> PathBuf {
    let [file] = segment_files(directory).try_into().unwrap();
    file
}

/// A closed store whose last frame with events has that payload.
fn closed_store(payload: Vec<u8>) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let store = options().open(directory.path()).unwrap();
    append(&store, "1000", 10).unwrap();
    let last = Append::to(stream("1000"), ExpectedVersion::Any, [event_of(payload)]);
    answer(&submit(&store, last)).unwrap();
    store.close();
    directory
}

fn overwrite(path: &Path, offset: usize, bytes: &[u8]) {
    let file = OpenOptions::new().write(true).open(path).unwrap();
    file.write_all_at(bytes, offset as u64).unwrap();
}

/// A store whose only segment is `whole` as `change` has changed it.
fn changed(whole: &[u8], change: impl FnOnce(&mut [u8])) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let journal = directory.path().join(JOURNAL_DIRECTORY);
    std::fs::create_dir(&journal).unwrap();
    let mut bytes = whole.to_vec();
    change(&mut bytes);
    std::fs::write(journal.join("00000000000000000001.segment"), bytes).unwrap();
    directory
}

#[test]
fn a_close_writes_one_mark_behind_what_was_written_and_none_where_nothing_was() {
    let directory = tempfile::tempdir().unwrap();
    options().open(directory.path()).unwrap().close();
    let file = only_segment(directory.path());
    assert_eq!(event_counts(&file), [0; 0]);
    let store = options().open(directory.path()).unwrap();
    append(&store, "1000", 10).unwrap();
    store.close();
    drop(store);
    assert_eq!(event_counts(&file), [1, 0]);
    options().open(directory.path()).unwrap().close();
    assert_eq!(event_counts(&file), [1, 0]);
    let store = options().open(directory.path()).unwrap();
    assert_eq!(append(&store, "1000", 10).unwrap().position.get(), 2);
    drop(store);
    assert_eq!(event_counts(&file), [1, 0, 1, 0]);
}

#[test]
fn every_read_passes_over_the_marks_in_live_and_in_sealed_segments() {
    let directory = tempfile::tempdir().unwrap();
    for round in 0..30_u64 {
        let store = options().open(directory.path()).unwrap();
        assert_eq!(store.head().get(), 2 * round);
        assert_eq!(store.recovery().torn_tail, None);
        append(&store, "1000", 20_000).unwrap();
        append(&store, "2000", 100).unwrap();
        if round % 7 == 3 {
            drop(store);
            std::fs::remove_dir_all(directory.path().join("index")).unwrap();
        }
    }
    assert!(segment_files(directory.path()).len() > 2);
    let marks = |path: &PathBuf| {
        event_counts(path)
            .iter()
            .filter(|events| **events == 0)
            .count()
    };
    let marked: usize = segment_files(directory.path()).iter().map(marks).sum();
    assert!(marked > 20, "{marked} marks");
    for forget_index in [false, true] {
        if forget_index {
            std::fs::remove_dir_all(directory.path().join("index")).unwrap();
        }
        let store = options().open(directory.path()).unwrap();
        let events = all_events(&store, 3);
        assert_eq!(events.len(), 60);
        for after in 0..60 {
            let page = store
                .reader
                .read_all(Position::new(after), store.head(), 5)
                .unwrap();
            let first = usize::try_from(after).unwrap();
            assert_eq!(
                page.events,
                events[first..60.min(first + 5)],
                "behind {after}"
            );
        }
        for direction in [Direction::Forward, Direction::Backward] {
            let query = StreamQuery {
                direction,
                ..StreamQuery::whole(stream("1000"), 100)
            };
            assert_eq!(store.reader.read_stream(&query).unwrap().events.len(), 30);
        }
    }
}

#[test]
fn whatever_happens_to_the_frame_before_the_mark_is_damage_and_never_cut_off() {
    // Its only set bit in one of the sectors, zeros by nature in others.
    let mut payload = vec![0; 6_000];
    payload[..700].fill(0x5a);
    payload[2_000] = 1;
    payload[4_000..].fill(0x5a);
    let directory = closed_store(payload);
    let file = only_segment(directory.path());
    let whole = std::fs::read(&file).unwrap();
    let [_, (start, len, 1), (mark, _, 0)] = frames(&file)[..] else {
        panic!("{:?}", frames(&file))
    };
    assert_eq!(start + len, mark);
    let footer_end = whole[..mark].iter().rposition(|byte| *byte != 0).unwrap() + 1;
    let damaged = |what: String, change: &dyn Fn(&mut [u8])| {
        let mut changed = whole.clone();
        change(&mut changed);
        if changed == whole {
            return;
        }
        match options().open(self::changed(&whole, change).path()) {
            Err(OpenError::Corrupt(damage)) => {
                assert_eq!(
                    (damage.offset, damage.position.get()),
                    (start as u64, 2),
                    "{what}"
                );
            }
            other => panic!("{what}: {:?}", other.map(|store| store.recovery().clone())),
        }
    };
    // Every bit of the header, then some of each sector, among them the only one that is set.
    let bits = (0..160 * 8)
        .step_by(11)
        .chain((160 * 8..(footer_end - start) * 8).step_by(1_021));
    for bit in bits.chain([(2_000 + 128 + 90) * 8]) {
        damaged(format!("bit {bit}"), &|bytes| {
            bytes[start + bit / 8] ^= 1 << (bit % 8)
        });
    }
    for sector in (start..mark).step_by(SECTOR) {
        damaged(format!("sector at {sector}"), &|bytes| {
            bytes[sector..sector + SECTOR].fill(0)
        });
    }
    for cut in (start..footer_end).step_by(509) {
        damaged(format!("cut at {cut}"), &|bytes| bytes[cut..mark].fill(0));
    }
    let only = whole[start..mark].iter().enumerate();
    let only = only.filter(|(at, byte)| (1_900..2_600).contains(at) && **byte != 0);
    let [(only, 1)] = only.collect::<Vec<_>>()[..] else {
        panic!("one bit alone in its sector")
    };
    damaged("the only bit".to_owned(), &|bytes| bytes[start + only] = 0);
}

#[test]
fn a_mark_that_was_cut_short_harms_nothing() {
    let directory = closed_store(vec![0x5a; 300]);
    let file = only_segment(directory.path());
    let whole = std::fs::read(&file).unwrap();
    let (mark, ..) = frames(&file)[2];
    for kept in (0..160).step_by(3) {
        let torn = changed(&whole, |bytes| bytes[mark + kept..].fill(0));
        let store = options().open(torn.path()).unwrap();
        assert_eq!(store.head().get(), 2, "{kept} bytes kept");
        assert_eq!(append(&store, "1000", 10).unwrap().position.get(), 3);
        assert_eq!(all_events(&store, 2).len(), 3);
    }
}

#[test]
fn a_poisoned_store_writes_no_mark_and_a_mark_that_fails_is_no_failure() {
    let (directory, faults) = (tempfile::tempdir().unwrap(), Arc::<Faults>::default());
    let store = open(directory.path(), &faults);
    append(&store, "1000", 10).unwrap();
    faults.fail_next_write_after(0);
    append(&store, "1000", 10).unwrap_err();
    store.close();
    drop(store);
    let file = only_segment(directory.path());
    assert_eq!(event_counts(&file), [1]);
    // An error that comes before or after the mark has reached the disk.
    for (acked, bytes) in [(2, 0), (3, BLOCK_BYTES)] {
        let store = open(directory.path(), &faults);
        append(&store, "1000", 10).unwrap();
        let writes = faults.writes_done();
        faults.fail_next_write_after(bytes);
        store.close();
        drop(store);
        assert_eq!(faults.writes_done() - writes, 1);
        let store = open(directory.path(), &faults);
        assert_eq!(store.head().get(), acked as u64);
        assert_eq!(all_events(&store, 1).len(), acked);
    }
}

#[test]
fn the_mark_always_has_room_and_never_needs_a_new_segment() {
    let directory = tempfile::tempdir().unwrap();
    let mut bytes = 1_000;
    for _ in 0..60 {
        let store = options().open(directory.path()).unwrap();
        append(&store, "1000", bytes).unwrap();
        let segments = segment_files(directory.path()).len();
        store.close();
        let files = segment_files(directory.path());
        assert_eq!(files.len(), segments);
        assert_eq!(event_counts(&files[segments - 1]).last(), Some(&0));
        bytes = (bytes + 4_057) % 120_000;
    }
}

#[test]
fn a_segment_that_is_full_to_the_last_block_gets_no_mark() {
    let (directory, faults) = (tempfile::tempdir().unwrap(), Arc::<Faults>::default());
    closed_store_in(directory.path());
    let file = only_segment(directory.path());
    // As a build left it that kept no room: the capacity ends behind the last frame.
    let (end, len, _) = *frames(&file).last().unwrap();
    let block = std::fs::read(&file).unwrap()[..BLOCK_BYTES].to_vec();
    let mut header = crate::journal::segment::SegmentHeader::decode(&block).unwrap();
    header.capacity_bytes = (end + len + BLOCK_BYTES) as u64;
    overwrite(&file, 0, &header.encode());
    OpenOptions::new()
        .write(true)
        .open(&file)
        .unwrap()
        .set_len(header.capacity_bytes)
        .unwrap();
    let mut writer = crate::journal::writer::SegmentWriter::resume(
        disk(directory.path()),
        crate::journal::spare::SpareSegments::start(disk(directory.path()), SEGMENT_BYTES, false)
            .unwrap(),
        header.clone(),
        header.capacity_bytes,
        [0; 32],
    )
    .unwrap();
    writer
        .write_closing_mark(Position::new(2), crate::clock::Timestamp::default())
        .unwrap();
    assert_eq!(
        std::fs::metadata(&file).unwrap().len(),
        header.capacity_bytes
    );
    let store = open(directory.path(), &faults);
    append(&store, "1000", 10).unwrap();
    assert!(faults.steps().iter().any(|(step, _)| *step == Step::Rename));
    assert_eq!(all_events(&store, 1).len(), 2);
}

fn closed_store_in(directory: &Path) {
    let store = options().open(directory).unwrap();
    append(&store, "1000", 10).unwrap();
    store.close();
}

fn disk(directory: &Path) -> Arc<dyn crate::journal::disk::Disk> {
    let path = directory.join(JOURNAL_DIRECTORY);
    Arc::new(crate::journal::disk::FsDisk::open(&path).unwrap())
}
