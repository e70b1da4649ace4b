use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::*;
use crate::event::RecordedEvent;
use crate::journal::faulty_disk::Faults;
use crate::journal::test_support::{all_events, append, open, options, segment_files};
use crate::journal::{Until, restore};

/// What a frame with one event of 20,000 bytes takes.
const FRAME_BYTES: usize = 20_480;
/// So many of these go into a segment.
const FRAMES: usize = 12;

struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
        }
    }

    fn of(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

fn write(store: &JournalStore, events: usize) {
    for number in 0..events {
        append(store, &(number % 5).to_string(), 20_000).unwrap();
    }
}

fn events_of(directory: &Path) -> Vec<RecordedEvent> {
    let store = options().open(directory).unwrap();
    assert_eq!(store.recovery().torn_tail, None);
    all_events(&store, 100)
}

fn copy(from: &Path, to: &Path) -> Result<BackupReport, CopyError> {
    backup(from, to, BackupOptions::new())
}

fn flip(file: &Path, at: usize) {
    let mut bytes = std::fs::read(file).unwrap();
    bytes[at] ^= 1;
    std::fs::write(file, bytes).unwrap();
}

#[test]
fn backups_taken_while_eight_threads_write_are_prefixes_that_hold_all_that_was_acked() {
    let place = Place::new();
    let store = open(&place.of("books"), &Arc::<Faults>::default());
    let (acked, writing) = (AtomicU64::new(0), AtomicBool::new(true));
    let mut backups = Vec::new();
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..8_usize)
            .map(|writer| {
                let (store, acked) = (&store, &acked);
                scope.spawn(move || {
                    for number in 0..40 {
                        let bytes = [100, 9_000, 40_000][(writer + number) % 3];
                        let appended = append(store, &writer.to_string(), bytes).unwrap();
                        acked.fetch_max(appended.position.get(), Ordering::SeqCst);
                    }
                })
            })
            .collect();
        let taking = scope.spawn(|| {
            let mut taken = Vec::new();
            while writing.load(Ordering::SeqCst) {
                // By the store itself, as if from another process, and into the same place again.
                let number = taken.len();
                let to = place.of(&format!("copy-{}", number / 3 * 3 + number % 3 / 2));
                let before = acked.load(Ordering::SeqCst);
                let report = if number % 2 == 0 {
                    store.backup(&to, BackupOptions::new())
                } else {
                    copy(&place.of("books"), &to)
                };
                taken.push((to, before, report.unwrap()));
            }
            taken
        });
        for writer in writers {
            writer.join().unwrap();
        }
        writing.store(false, Ordering::SeqCst);
        backups = taking.join().unwrap();
    });
    let events = all_events(&store, 1_000);
    println!(
        "{} backups while {} events were written",
        backups.len(),
        events.len()
    );
    assert!(backups.len() > 1);
    for (number, (to, before, report)) in backups.iter().enumerate() {
        assert!(
            report.head.get() >= *before,
            "backup {number} lacks acked events"
        );
        // A later one went to the same place.
        if backups[number + 1..].iter().any(|(later, ..)| later == to) {
            continue;
        }
        let held = events_of(to);
        assert_eq!(held.len() as u64, report.head.get());
        assert!(held == events[..held.len()], "backup {number} is no prefix");
        let half = Until::Position(Position::new(report.head.get() / 2));
        let restored = place.of(&format!("restored-{number}"));
        let report = restore(to, &restored, half).unwrap();
        let kept = usize::try_from(report.position.get()).unwrap();
        assert!(events_of(&restored) == events[..kept]);
    }
}

#[test]
fn a_backup_is_brought_up_to_date_and_keeps_what_it_has() {
    let place = Place::new();
    let (books, to) = (place.of("books"), place.of("copy"));
    let store = open(&books, &Arc::<Faults>::default());
    // Empty; within a segment; at its end; some segments on; nothing new.
    for (more, kept) in [
        (0, 0),
        (5, 0),
        (FRAMES - 5, 0),
        (3 * FRAMES, 1),
        (0, 3),
        (4, 4),
    ] {
        write(&store, more);
        let report = store.backup(&to, BackupOptions::new()).unwrap();
        assert_eq!(report.head, store.head());
        assert_eq!(report.segments_kept, kept, "after {more} more");
        assert_eq!(segment_files(&to).len(), segment_files(&books).len());
        let last = segment_files(&to).pop().unwrap();
        let capacity = segment_files(&books)
            .pop()
            .unwrap()
            .metadata()
            .unwrap()
            .len();
        assert_eq!(last.metadata().unwrap().len(), capacity);
        assert_eq!(
            crate::journal::JournalOptions::new()
                .open_read_only(&to)
                .unwrap()
                .head(),
            store.head()
        );
    }
    assert!(!to.join("index").exists());
    assert_eq!(events_of(&to), all_events(&store, 100));
}

#[test]
fn a_backup_stopped_at_any_frame_is_run_again_to_its_end() {
    let place = Place::new();
    let books = place.of("books");
    let store = open(&books, &Arc::<Faults>::default());
    write(&store, 2 * FRAMES + 3);
    let events = all_events(&store, 100);
    for stop_at in 1..=events.len() {
        let to = place.of(&format!("copy-{stop_at}"));
        let mut frames = 0;
        let stopping = BackupOptions::new().on_progress(|progress| {
            frames += 1;
            assert!(progress.bytes_done <= progress.bytes_total);
            if frames == stop_at {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        let stopped = backup(&books, &to, stopping).unwrap_err();
        assert!(matches!(stopped, CopyError::Stopped));
        assert!(to.join(UNFINISHED).is_dir() && !to.join("journal").exists());
        let report = copy(&books, &to).unwrap();
        assert_eq!(
            report.segments_kept,
            (stop_at - 1) / FRAMES,
            "stopped at {stop_at}"
        );
        assert!(!to.join(UNFINISHED).exists());
        if stop_at % 5 == 0 {
            assert!(events_of(&to) == events);
        }
    }
}

#[test]
fn an_update_stopped_at_any_frame_leaves_a_backup_of_before_or_later() {
    let place = Place::new();
    let books = place.of("books");
    let store = open(&books, &Arc::<Faults>::default());
    write(&store, FRAMES + 2);
    let to = place.of("copy");
    copy(&books, &to).unwrap();
    let mut held = store.head();
    for stop_at in [
        1,
        3,
        FRAMES,
        FRAMES + 1,
        FRAMES + 2,
        FRAMES + 8,
        2 * FRAMES + 1,
    ] {
        write(&store, FRAMES);
        let mut frames = 0;
        let stopping = BackupOptions::new().on_progress(|_| {
            frames += 1;
            if frames == stop_at {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        assert!(matches!(
            backup(&books, &to, stopping),
            Err(CopyError::Stopped)
        ));
        let reader = crate::journal::JournalOptions::new()
            .open_read_only(&to)
            .unwrap();
        assert!(reader.head() >= held, "stopped at {stop_at}");
        held = reader.head();
    }
    assert_eq!(copy(&books, &to).unwrap().head, store.head());
    assert!(events_of(&to) == all_events(&store, 100));
}

#[test]
fn damage_in_the_source_is_named_and_not_copied() {
    let place = Place::new();
    let books = place.of("books");
    let store = open(&books, &Arc::<Faults>::default());
    write(&store, 2 * FRAMES + 3);
    store.close();
    let files = segment_files(&books);
    for (file, frame) in [(0, 0), (1, 5), (2, 1), (2, 2)] {
        let offset = 4_096 + frame * FRAME_BYTES;
        flip(&files[file], offset + 700);
        let to = place.of(&format!("copy-{file}-{frame}"));
        for options in [BackupOptions::new(), BackupOptions::new().link_sealed(true)] {
            let error = backup(&books, &to, options).unwrap_err();
            let CopyError::Source(OpenError::Corrupt(damage)) = &error else {
                panic!("{error:?}");
            };
            assert_eq!(damage.file.file_name(), files[file].file_name());
            assert_eq!(damage.offset, offset as u64);
            assert_eq!(damage.position.get(), (file * FRAMES + frame + 1) as u64);
            assert!(!to.join("journal").exists());
        }
        flip(&files[file], offset + 700);
    }
}

#[test]
fn a_last_frame_that_was_acked_and_is_gone_fails_the_backup() {
    let place = Place::new();
    let books = place.of("books");
    let store = open(&books, &Arc::<Faults>::default());
    write(&store, 3);
    let file = segment_files(&books).pop().unwrap();
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[4_096 + 2 * FRAME_BYTES..4_096 + 3 * FRAME_BYTES].fill(0);
    std::fs::write(&file, bytes).unwrap();
    let error = store
        .backup(place.of("copy"), BackupOptions::new())
        .unwrap_err();
    assert!(
        error.to_string().contains("position 3 was acknowledged"),
        "{error}"
    );
    assert!(!place.of("copy").join("journal").exists());
}

#[test]
fn a_segment_that_has_rotted_in_the_backup_is_copied_anew() {
    let place = Place::new();
    let (books, to) = (place.of("books"), place.of("copy"));
    let store = open(&books, &Arc::<Faults>::default());
    write(&store, 3 * FRAMES + 3);
    copy(&books, &to).unwrap();
    for file in [1, 3] {
        flip(&segment_files(&to)[file], 4_096 + 2 * FRAME_BYTES + 999);
    }
    assert_eq!(copy(&books, &to).unwrap().segments_kept, 2);
    assert!(events_of(&to) == all_events(&store, 100));
}

#[test]
fn a_directory_with_anything_else_is_refused_and_left_as_it_is() {
    let place = Place::new();
    let (books, other) = (place.of("books"), place.of("other"));
    let store = open(&books, &Arc::<Faults>::default());
    write(&store, 3);
    std::fs::create_dir(&other).unwrap();
    std::fs::write(other.join("notes.txt"), "mine").unwrap();
    let error = copy(&books, &other).unwrap_err();
    assert!(matches!(error, CopyError::NotEmpty { .. }), "{error:?}");
    let another = open(&place.of("another"), &Arc::<Faults>::default());
    write(&another, 2);
    let error = copy(&books, &place.of("another")).unwrap_err();
    assert!(matches!(error, CopyError::InUse { .. }), "{error:?}");
    another.close();
    let error = copy(&books, &place.of("another")).unwrap_err();
    assert!(matches!(error, CopyError::OtherStore { .. }), "{error:?}");
    assert_eq!(events_of(&place.of("another")).len(), 2);
    store.close();
    let error = copy(&books, &books).unwrap_err();
    assert!(matches!(error, CopyError::Itself { .. }), "{error:?}");
    let error = copy(&place.of("typo"), &place.of("copy")).unwrap_err();
    assert!(
        matches!(error, CopyError::Source(OpenError::NoJournal { .. })),
        "{error:?}"
    );
    assert!(!place.of("copy").exists());
}

#[test]
fn a_backup_that_has_other_or_later_events_is_never_overwritten() {
    let place = Place::new();
    let (books, to) = (place.of("books"), place.of("copy"));
    let store = open(&books, &Arc::<Faults>::default());
    write(&store, FRAMES + 3);
    copy(&books, &to).unwrap();
    // The backup went on by itself; then the books did, too; then the books were put back to an earlier time.
    write(&options().open(&to).unwrap(), 1);
    let ahead = events_of(&to);
    let earlier = place.of("earlier");
    restore(&books, &earlier, Until::Position(Position::new(5))).unwrap();
    let error = copy(&books, &to).unwrap_err();
    assert!(matches!(error, CopyError::OtherHistory { .. }), "{error:?}");
    write(&store, FRAMES);
    for from in [&books, &earlier] {
        let error = copy(from, &to).unwrap_err();
        assert!(matches!(error, CopyError::OtherHistory { .. }), "{error:?}");
    }
    assert_eq!(events_of(&to), ahead);
}

#[test]
fn linked_segments_are_shared_and_the_last_one_is_not() {
    use std::os::unix::fs::MetadataExt;

    let place = Place::new();
    let (books, to) = (place.of("books"), place.of("copy"));
    let store = open(&books, &Arc::<Faults>::default());
    write(&store, 2 * FRAMES + 3);
    let report = store
        .backup(&to, BackupOptions::new().link_sealed(true))
        .unwrap();
    assert_eq!((report.segments, report.segments_linked), (3, 2));
    let links: Vec<_> = segment_files(&to)
        .iter()
        .map(|file| file.metadata().unwrap().nlink())
        .collect();
    assert_eq!(links, [2, 2, 1]);
    // Both go on, each by itself, and a later backup of the one does not touch the other.
    write(&options().open(&to).unwrap(), 2 * FRAMES);
    write(&store, 2 * FRAMES);
    assert_eq!(all_events(&store, 100).len(), 4 * FRAMES + 3);
    assert_eq!(events_of(&to).len(), 4 * FRAMES + 3);
    let error = store
        .backup(&to, BackupOptions::new().link_sealed(true))
        .unwrap_err();
    assert!(matches!(error, CopyError::OtherHistory { .. }), "{error:?}");
}
