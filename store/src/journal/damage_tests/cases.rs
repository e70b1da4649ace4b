//! Files that are missing, swapped, old, or partly another's.

use std::fs;

use super::support::{Files, MemoryDisk, Place, Subject, copy_of, frames, read, segment_files};
use crate::error::OpenError;
use crate::journal::JOURNAL_DIRECTORY;
use crate::journal::frame::SECTOR_BYTES;
use crate::journal::segment::BLOCK_BYTES;
use crate::journal::test_support::{append, options};
use crate::journal::verify;

/// How a case went.
#[derive(Debug, PartialEq, Eq)]
enum Noticed {
    /// By opening or by reading.
    InUse,
    /// Every answer is the same, but verifying tells.
    ByVerifying,
    /// By nobody; every answer is the same.
    Harmless,
}

/// Opens, reads and verifies the store with these files, with and without its index. Fails if it answers differently.
fn judge(subject: &Subject, files: &Files, with_index: bool) -> Noticed {
    let directory = subject.with(files);
    if !with_index {
        fs::remove_dir_all(directory.path().join("index")).unwrap();
    }
    // A journal without any segment is none to verify.
    let is_whole = verify(directory.path(), &mut |_| ()).is_ok_and(|report| report.is_whole());
    match read(directory.path()) {
        Err(damage) => {
            assert!(damage.file.starts_with(JOURNAL_DIRECTORY), "{damage}");
            assert!(damage.position.get() > 0, "{damage}");
            assert!(!damage.what.is_empty());
            assert!(
                !is_whole || damage.what.contains("knows of position"),
                "{damage}"
            );
            Noticed::InUse
        }
        Ok(events) => {
            let is_same = events == subject.events;
            assert!(is_same, "another history up to {}, unnoticed", events.len());
            if is_whole {
                Noticed::Harmless
            } else {
                Noticed::ByVerifying
            }
        }
    }
}

fn is_noticed_in_use(subject: &Subject, files: &Files) {
    for with_index in [true, false] {
        assert_eq!(judge(subject, files, with_index), Noticed::InUse);
    }
}

/// The frames with events of a segment.
fn frames_of(files: &Files, name: &str) -> Vec<Place> {
    let mut places = frames(&files[name]);
    places.retain(|place| place.header.event_count > 0);
    places
}

#[test]
fn segments_that_are_swapped_are_noticed() {
    let subject = Subject::new(200);
    let names = subject.names();
    assert!(names.len() >= 4);
    for (one, other) in [(0, 1), (1, 2), (0, names.len() - 1)] {
        let mut files = subject.files.clone();
        files.insert(names[one].clone(), subject.files[&names[other]].clone());
        files.insert(names[other].clone(), subject.files[&names[one]].clone());
        is_noticed_in_use(&subject, &files);
        let report = MemoryDisk::new(&files).walk().report;
        assert!(report.findings[0].file.ends_with(&names[one]));
        assert!(report.findings[0].what.contains("name of another one"));
    }
}

#[test]
fn segments_that_are_missing_are_noticed() {
    let subject = Subject::new(200);
    let names = subject.names();
    let last = names.len() - 1;
    for missing in [0..1, 1..2, 1..3, last..last + 1, 0..last, 1..last + 1] {
        let mut files = subject.files.clone();
        names[missing.clone()]
            .iter()
            .for_each(|name| drop(files.remove(name)));
        for with_index in [true, false] {
            assert_eq!(
                judge(&subject, &files, with_index),
                Noticed::InUse,
                "{missing:?}"
            );
        }
    }
    // With all of them gone it would be a new store; only the index knows that there was one.
    assert_eq!(judge(&subject, &Files::new(), true), Noticed::InUse);
}

#[test]
fn an_old_copy_of_a_sealed_segment_is_noticed() {
    let directory = tempfile::tempdir().unwrap();
    let store = options().open(directory.path()).unwrap();
    append(&store, "0", 3_000).unwrap();
    append(&store, "1", 3_000).unwrap();
    drop(store);
    let old = segment_files(directory.path());
    let store = options().open(directory.path()).unwrap();
    for number in 0..100 {
        append(&store, &(number % 3).to_string(), 5_000).unwrap();
    }
    drop(store);
    let subject = Subject::of(directory);
    let mut files = subject.files.clone();
    files.extend(old.clone());
    is_noticed_in_use(&subject, &files);
    let report = MemoryDisk::new(&files).walk().report;
    assert!(
        report.findings[0].what.contains("old copy"),
        "{}",
        report.findings[0]
    );
    assert_eq!(report.findings.len(), 1, "{:?}", report.findings);
    assert_eq!(old.len(), 1);
}

#[test]
fn an_old_copy_of_the_active_segment_is_noticed_as_long_as_the_index_is_there() {
    let directory = tempfile::tempdir().unwrap();
    let store = options().open(directory.path()).unwrap();
    append(&store, "0", 3_000).unwrap();
    drop(store);
    let old = segment_files(directory.path());
    let store = options().open(directory.path()).unwrap();
    append(&store, "1", 3_000).unwrap();
    drop(store);
    let subject = Subject::of(directory);
    let older = subject.with(&old);
    let error = options().open(older.path()).unwrap_err();
    let OpenError::OlderThanIndex { damage, index } = &error else {
        panic!("{error}");
    };
    assert_eq!(damage.position.get(), 2);
    assert!(error.to_string().contains("move"), "{error}");
    assert_eq!(segment_files(older.path()), old, "nothing was changed");
    // Whoever wants the older history says so.
    fs::remove_dir_all(index).unwrap();
    let events = read(older.path()).unwrap();
    assert!(events == subject.events[..1]);
    let store = options().open(older.path()).unwrap();
    assert_eq!(append(&store, "1", 10).unwrap().position.get(), 2);
}

#[test]
fn a_read_model_that_is_ahead_of_the_journal_keeps_it_from_opening_even_after_a_crash() {
    use crate::position::Position;
    use crate::read_model::Checkpoint;

    let directory = tempfile::tempdir().unwrap();
    let store = options().open(directory.path()).unwrap();
    append(&store, "0", 3_000).unwrap();
    let old = segment_files(directory.path());
    append(&store, "1", 3_000).unwrap();
    let checkpoint = Checkpoint {
        position: Position::new(2),
        model_version: 1,
    };
    let commit = |sidecar: &crate::sidecar::Sidecar| {
        sidecar.commit("balances", checkpoint, Vec::new())?;
        sidecar.flush()
    };
    store.reader.beside(commit).unwrap();
    // The state that a crash would leave here.
    let crashed = copy_of(directory.path());
    drop(store);
    let journal = crashed.path().join(JOURNAL_DIRECTORY);
    assert_eq!(read(copy_of(crashed.path()).path()).unwrap().len(), 2);
    for (name, bytes) in &old {
        fs::write(journal.join(name), bytes).unwrap();
    }
    let damage = read(crashed.path()).unwrap_err();
    assert!(
        damage.what.contains("the read model \"balances\""),
        "{damage}"
    );
    assert!(damage.what.contains("position 2"), "{damage}");
}

#[test]
fn a_frame_of_another_store_is_noticed() {
    let subject = Subject::new(200);
    let other = Subject::new(200);
    for name in subject.names() {
        let (ours, theirs) = (
            frames_of(&subject.files, &name),
            frames_of(&other.files, &name),
        );
        for index in [0, ours.len() / 2, ours.len() - 1] {
            let (place, foreign) = (&ours[index], &theirs[index]);
            assert_eq!(place.header.first_position, foreign.header.first_position);
            assert_eq!(place.start..place.end, foreign.start..foreign.end);
            let mut files = subject.files.clone();
            let spliced = &other.files[&name][foreign.start..foreign.end];
            files.get_mut(&name).unwrap()[place.start..place.end].copy_from_slice(spliced);
            let found = &MemoryDisk::new(&files).walk().report.findings[0];
            assert!(found.file.ends_with(&name), "{found}");
            assert_eq!(found.offset, place.start as u64, "{found}");
            assert_eq!(found.position, place.header.first_position, "{found}");
            is_noticed_without_index(&subject, &files);
        }
    }
}

/// With the index a sealed segment is not read when the store is opened, but when its events are.
fn is_noticed_without_index(subject: &Subject, files: &Files) {
    assert_eq!(judge(subject, files, false), Noticed::InUse);
}

#[test]
fn a_whole_segment_of_another_store_is_noticed() {
    let subject = Subject::new(200);
    let other = Subject::new(200);
    for name in subject.names() {
        let mut files = subject.files.clone();
        files.insert(name.clone(), other.files[&name].clone());
        is_noticed_in_use(&subject, &files);
    }
}

#[test]
fn frames_that_are_duplicated_or_change_places_are_noticed() {
    let subject = Subject::of_small_frames(150);
    for name in subject.names() {
        let places = frames_of(&subject.files, &name);
        let index = places.len() / 2;
        let (one, next) = (&places[index], &places[index + 1]);
        assert_eq!(one.padded_end - one.start, next.padded_end - next.start);
        let whole = &subject.files[&name];
        let (first, second) = (
            whole[one.start..one.padded_end].to_vec(),
            whole[next.start..next.padded_end].to_vec(),
        );
        for (here, there) in [(&first, &first), (&second, &second), (&second, &first)] {
            let mut files = subject.files.clone();
            let bytes = files.get_mut(&name).unwrap();
            bytes[one.start..one.padded_end].copy_from_slice(here);
            bytes[next.start..next.padded_end].copy_from_slice(there);
            let report = MemoryDisk::new(&files).walk().report;
            assert!(
                report.findings[0].file.ends_with(&name),
                "{:?}",
                report.findings
            );
            is_noticed_without_index(&subject, &files);
        }
    }
}

#[test]
fn zeros_in_the_middle_are_noticed() {
    let subject = Subject::new(100);
    for name in subject.names() {
        let places = frames_of(&subject.files, &name);
        let place = &places[places.len() / 2];
        let block = place.start..place.start + BLOCK_BYTES;
        let last_sector = (place.end - 1) / SECTOR_BYTES * SECTOR_BYTES;
        for zeroed in [
            place.start..place.start + SECTOR_BYTES,
            last_sector..place.end,
            block,
            place.start..place.padded_end,
            0..BLOCK_BYTES,
            0..SECTOR_BYTES,
        ] {
            let mut files = subject.files.clone();
            files.get_mut(&name).unwrap()[zeroed.clone()].fill(0);
            let found = &MemoryDisk::new(&files).walk().report.findings[0];
            assert!(found.file.ends_with(&name), "{zeroed:?}: {found}");
            is_noticed_without_index(&subject, &files);
        }
    }
}

#[test]
fn rubbish_behind_the_last_frame_is_noticed_in_the_active_segment_and_harmless_in_a_sealed_one() {
    let subject = Subject::new(100);
    let names = subject.names();
    for name in &names {
        let last = frames(&subject.files[name]).pop().unwrap();
        let is_active = Some(name) == names.last();
        let again = subject.files[name][last.start..last.padded_end].to_vec();
        for rubbish in [vec![0x5a; 700], again] {
            let mut files = subject.files.clone();
            let bytes = files.get_mut(name).unwrap();
            let len = bytes.len().max(last.padded_end + rubbish.len());
            bytes.resize(len, 0);
            bytes[last.padded_end..last.padded_end + rubbish.len()].copy_from_slice(&rubbish);
            let report = MemoryDisk::new(&files).walk().report;
            assert_eq!(report.findings[0].offset, last.padded_end as u64);
            for with_index in [true, false] {
                let noticed = judge(&subject, &files, with_index);
                let expected = if is_active {
                    Noticed::InUse
                } else {
                    Noticed::ByVerifying
                };
                assert_eq!(noticed, expected, "{name}");
            }
        }
    }
}

#[test]
fn a_segment_under_another_name_is_noticed_and_a_file_that_is_none_is_ignored() {
    let subject = Subject::new(100);
    let names = subject.names();
    for name in &names {
        for other in [
            "00000000000000000002.segment",
            "00000000000000999999.segment",
            "copy.segment",
        ] {
            let mut files = subject.files.clone();
            let bytes = files.remove(name).unwrap();
            files.insert(other.to_owned(), bytes);
            is_noticed_in_use(&subject, &files);
        }
    }
    let mut files = subject.files.clone();
    for other in [
        "notes.txt",
        "copy.segment",
        "00000000000000000001.segment.old",
    ] {
        files.insert(other.to_owned(), b"no segment".to_vec());
    }
    assert_eq!(judge(&subject, &files, true), Noticed::Harmless);
    let directory = subject.with(&files);
    let report = verify(directory.path(), &mut |_| ()).unwrap();
    assert_eq!(report.other_files.len(), 3);
}
