mod harms;

use std::fs::{self, OpenOptions};
use std::num::NonZeroU16;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::*;
use crate::clock::Timestamp;
use crate::event::Payload;
use crate::event_store::Direction;
use crate::read_model::{Change, Checkpoint};
use crate::snapshot::{Snapshot, SnapshotCriteria};

/// One of everything.
fn fill(sidecar: &Sidecar) {
    for number in 0..3 {
        let streams: Vec<_> = (0..400)
            .map(|n| (stream(n), version(1 + number * 3), 3))
            .collect();
        Segment::new(number, 1 + number * 1_200, &streams)
            .index(sidecar)
            .unwrap();
    }
    let snapshot = Snapshot {
        stream: stream(0),
        version: version(9),
        event_id: uuid::Uuid::from_u128(9),
        taken_at: Timestamp::from_unix_micros(9),
        state_schema: 1,
        payload: Payload::raw(vec![5; 10_000]),
    };
    sidecar.save_snapshot(&snapshot, NonZeroU16::MIN).unwrap();
    let change = Change {
        key: b"k".to_vec(),
        value: Some(b"v".to_vec()),
    };
    let checkpoint = Checkpoint {
        position: Position::new(9),
        model_version: 1,
    };
    sidecar.commit("p", checkpoint, vec![change]).unwrap();
}

fn is_full(sidecar: &Sidecar) -> bool {
    let all = |n: u64| {
        let from_first = sidecar.places(
            &stream(n),
            version(1),
            version(u64::MAX),
            Direction::Forward,
            100,
        );
        from_first.is_ok_and(|places| places.len() == 9)
    };
    (0..400).all(all)
        && sidecar.indexed_segments().unwrap().len() == 3
        && sidecar
            .load_snapshot(&stream(0), SnapshotCriteria::ALL)
            .is_ok_and(|found| found.is_some())
        && sidecar.checkpoint("p").is_ok_and(|found| found.is_some())
        && sidecar.rows("p", None, 9).is_ok_and(|rows| rows.len() == 1)
}

fn is_empty(sidecar: &Sidecar) -> bool {
    sidecar.indexed_segments().unwrap().is_empty()
        && sidecar
            .streams("acme", "gl-account", None, 9)
            .unwrap()
            .is_empty()
        && sidecar
            .load_snapshot(&stream(0), SnapshotCriteria::ALL)
            .unwrap()
            .is_none()
        && sidecar.checkpoint("p").unwrap().is_none()
}

/// Opens what must not be used, and checks that it lies aside, whole, with an empty one in its place.
fn moved_aside(directory: &Path, number: u32) -> String {
    let names = |path: &Path| -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(path)
            .map(|entries| {
                entries
                    .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                    .filter(|name| !name.starts_with("snap.") && name != "blobs")
                    .collect()
            })
            .unwrap_or_default();
        names.sort();
        names
    };
    let before = names(&directory.join("index"));
    let (sidecar, outcome) = try_open(directory).unwrap();
    let OpenOutcome::MovedAside { to, why } = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(to, directory.join(format!("index.damaged-{number}")));
    let after = names(&to);
    assert!(
        before.iter().all(|name| after.contains(name)),
        "{before:?} {after:?}"
    );
    assert!(is_empty(&sidecar));
    fill(&sidecar);
    drop(sidecar);
    assert!(is_full(&open(directory)));
    why
}

fn filled() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let (sidecar, outcome) = try_open(directory.path()).unwrap();
    assert_eq!(outcome, OpenOutcome::Created);
    assert!(is_empty(&sidecar));
    fill(&sidecar);
    sidecar.close().unwrap();
    directory
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn data(directory: &Path) -> PathBuf {
    directory.join("index/db")
}

#[test]
fn everything_is_there_after_reopening() {
    let directory = filled();
    for _ in 0..3 {
        let (sidecar, outcome) = try_open(directory.path()).unwrap();
        assert_eq!(outcome, OpenOutcome::Opened);
        assert!(is_full(&sidecar));
    }
}

#[test]
fn the_index_of_another_journal_is_moved_aside() {
    let directory = filled();
    let (sidecar, outcome) = Sidecar::open(directory.path(), [8; 16], CACHE_BYTES).unwrap();
    let OpenOutcome::MovedAside { to, why } = outcome else {
        panic!("{outcome:?}");
    };
    assert!(why.contains("another journal"), "{why}");
    assert!(is_empty(&sidecar));
    drop(sidecar);
    // And back again: each gets a name of its own, and the first one is still whole.
    assert!(moved_aside(directory.path(), 2).contains("another journal"));
    fs::rename(
        directory.path().join("index"),
        directory.path().join("away"),
    )
    .unwrap();
    fs::rename(to, directory.path().join("index")).unwrap();
    assert!(is_full(&open(directory.path())));
}

#[test]
fn the_index_of_an_unknown_layout_is_moved_aside() {
    let directory = filled();
    let index = directory.path().join("index");
    Receipt::create(&index, LAYOUT + 1, STORE).unwrap();
    assert!(moved_aside(directory.path(), 1).contains("layout"));
}

#[test]
fn what_is_not_an_index_is_moved_aside() {
    let directory = tempfile::tempdir().unwrap();
    let index = directory.path().join("index");
    fs::write(&index, "a file").unwrap();
    moved_aside(directory.path(), 1);

    fs::rename(&index, directory.path().join("away-1")).unwrap();
    fs::create_dir(&index).unwrap();
    fs::write(index.join("notes.txt"), "somebody's").unwrap();
    moved_aside(directory.path(), 2);

    fs::rename(&index, directory.path().join("away-2")).unwrap();
    fs::create_dir(&index).unwrap();
    fs::write(index.join("receipt"), "rubbish").unwrap();
    fs::write(index.join("db"), "rubbish").unwrap();
    moved_aside(directory.path(), 3);
}

#[test]
fn files_full_of_rubbish_are_moved_aside() {
    for name in ["db", "conf", "snap"] {
        let directory = filled();
        drop(open(directory.path()));
        let index = directory.path().join("index");
        let path = fs::read_dir(&index)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .find(|path| {
                path.file_name()
                    .is_some_and(|found| found.to_string_lossy().starts_with(name))
            })
            .unwrap();
        let length = usize::try_from(fs::metadata(&path).unwrap().len()).unwrap();
        let mut rubbish = vec![0; length];
        blake3::Hasher::new().finalize_xof().fill(&mut rubbish);
        fs::write(&path, rubbish).unwrap();
        moved_aside(directory.path(), 1);
    }
}

fn truncate(directory: &Path, keep_percent: u64) {
    let path = data(directory);
    let file = OpenOptions::new().write(true).open(path).unwrap();
    let length = file.metadata().unwrap().len();
    file.set_len(length * keep_percent / 100).unwrap();
}

#[test]
fn a_truncated_or_missing_data_file_is_moved_aside() {
    for keep_percent in [0, 5, 10, 50, 90, 99] {
        let directory = filled();
        truncate(directory.path(), keep_percent);
        moved_aside(directory.path(), 1);
    }
    let directory = filled();
    fs::remove_file(data(directory.path())).unwrap();
    moved_aside(directory.path(), 1);
}

#[test]
fn what_is_cut_off_behind_the_page_table_is_found() {
    let mut whole = 0;
    for keep_percent in [0, 3, 6, 9, 12, 15, 18, 21, 24, 27, 30] {
        let directory = filled();
        // From now on the engine knows where its pages are without looking at them, and has filled the file up.
        drop(open(directory.path()));
        truncate(directory.path(), keep_percent);
        let (sidecar, outcome) = try_open(directory.path()).unwrap();
        match outcome {
            OpenOutcome::MovedAside { .. } => assert!(is_empty(&sidecar)),
            _ => {
                assert!(is_full(&sidecar), "{keep_percent}");
                whole += 1;
            }
        }
    }
    assert!(whole > 0);
}

#[test]
fn a_receipt_alone_does_not_pass_for_an_index() {
    let directory = filled();
    let index = directory.path().join("index");
    let receipt = fs::read(index.join("receipt")).unwrap();
    fs::remove_dir_all(&index).unwrap();
    fs::create_dir(&index).unwrap();
    fs::write(index.join("receipt"), receipt).unwrap();
    moved_aside(directory.path(), 1);
}

#[test]
fn an_engine_that_went_back_in_time_is_moved_aside() {
    let directory = tempfile::tempdir().unwrap();
    let index = directory.path().join("index");
    drop(open(directory.path()));
    let earlier = directory.path().join("earlier");
    copy(&index, &earlier);
    fill(&open(directory.path()));
    // All the engine's files as they once were: nothing in them is wrong, but durable things are missing.
    let receipt = fs::read(index.join("receipt")).unwrap();
    fs::remove_dir_all(&index).unwrap();
    fs::rename(&earlier, &index).unwrap();
    fs::write(index.join("receipt"), receipt).unwrap();
    assert!(moved_aside(directory.path(), 1).contains("lost"));
}

#[test]
fn an_index_that_was_found_damaged_in_use_is_moved_aside_by_the_next_open() {
    let directory = filled();
    let sidecar = open(directory.path());
    sidecar.engine.damaged("a test".to_owned());
    assert!(is_full(&sidecar));
    drop(sidecar);
    assert!(moved_aside(directory.path(), 1).contains("damaged while"));
}

#[test]
fn a_creation_that_was_cut_short_is_begun_again() {
    let directory = tempfile::tempdir().unwrap();
    let index = directory.path().join("index");
    let created = |directory: &Path| {
        let (sidecar, outcome) = try_open(directory).unwrap();
        assert_eq!(outcome, OpenOutcome::Created);
        assert!(is_empty(&sidecar));
        drop(sidecar);
        fs::remove_dir_all(directory.join("index")).unwrap();
    };
    fs::create_dir(&index).unwrap();
    created(directory.path());

    fs::create_dir(&index).unwrap();
    fs::write(index.join("receipt"), "fhin").unwrap();
    created(directory.path());

    fs::create_dir(&index).unwrap();
    Receipt::create(&index, LAYOUT, STORE).unwrap();
    created(directory.path());

    fs::create_dir(&index).unwrap();
    let receipt = Receipt::create(&index, LAYOUT, STORE).unwrap();
    drop(Engine::open(&index, receipt, CACHE_BYTES).unwrap());
    created(directory.path());
}

#[test]
fn what_a_kill_while_opening_leaves_does_not_keep_it_from_opening() {
    let directory = filled();
    drop(open(directory.path()));
    let index = directory.path().join("index");
    let unfinished = index.join("snap.FFFFFFFFFFFFFFFF.generating");
    fs::write(&unfinished, "half a").unwrap();
    assert!(is_full(&open(directory.path())));
    assert!(!unfinished.exists());
}

#[test]
fn a_second_handle_is_refused_and_nothing_is_moved() {
    let directory = filled();
    let sidecar = open(directory.path());
    let fault = try_open(directory.path())
        .map(|(_, outcome)| outcome)
        .unwrap_err();
    assert!(fault.to_string().contains("another handle"), "{fault}");
    assert!(is_full(&sidecar));
    drop(sidecar);
    assert!(is_full(&open(directory.path())));
}

#[test]
fn a_flipped_bit_is_never_a_wrong_answer_that_nobody_notices() {
    const STREAMS: u64 = 3_000;
    for reopened in [false, true] {
        let directory = tempfile::tempdir().unwrap();
        let sidecar = open(directory.path());
        for number in 0..4 {
            let streams: Vec<_> = (0..STREAMS)
                .map(|n| (stream(n), version(1 + number * 2), 2))
                .collect();
            Segment::new(number, 1 + number * 2 * STREAMS, &streams)
                .index(&sidecar)
                .unwrap();
        }
        sidecar.close().unwrap();
        if reopened {
            drop(open(directory.path()));
        }
        let pristine = directory.path().join("index");
        let length = fs::metadata(data(directory.path())).unwrap().len();
        let (mut refused, mut harmless) = (0, 0);
        for step in 0..40 {
            let scene = tempfile::tempdir().unwrap();
            copy(&pristine, &scene.path().join("index"));
            let offset = length * step / 40 + step * 7;
            let file = OpenOptions::new()
                .read(true)
                .write(true)
                .open(data(scene.path()))
                .unwrap();
            let mut byte = [0];
            file.read_exact_at(&mut byte, offset).unwrap();
            file.write_all_at(&[byte[0] ^ 0x20], offset).unwrap();
            drop(file);
            let (sidecar, outcome) = try_open(scene.path()).unwrap();
            if matches!(outcome, OpenOutcome::MovedAside { .. }) {
                refused += 1;
                continue;
            }
            let damaged = sidecar.damaged_segments();
            let counts: Result<Vec<usize>, Fault> = (0..STREAMS)
                .map(|n| {
                    let (first, last) = (version(1), version(u64::MAX));
                    sidecar
                        .places(&stream(n), first, last, Direction::Backward, 100)
                        .map(|places| places.len())
                })
                .collect();
            match counts {
                Err(_) => refused += 1,
                Ok(counts) if counts.iter().all(|count| *count == 8) => harmless += 1,
                // The engine gave out too little as if nothing were wrong.
                Ok(_) => assert_ne!(damaged.unwrap(), [], "offset {offset}"),
            }
        }
        assert!(refused > 0 && harmless > 0, "{refused} {harmless}");
    }
}
