//! Going on in a new segment, and what is left when that stops half way.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use uuid::Uuid;

use super::faulty_disk::{Faults, Step};
use super::test_support::*;
use super::*;
use crate::append::Append;
use crate::clock::{SystemClock, Timestamp};
use crate::error::AppendError;
use crate::event_store::EventStore;
use crate::position::ExpectedVersion;

#[test]
fn an_empty_segment_that_is_too_small_for_the_next_frame_is_replaced() {
    let directory = tempfile::tempdir().unwrap();
    drop(options().open(directory.path()).unwrap());
    let larger = options().segment_bytes(4 << 20);
    let store = larger.clone().open(directory.path()).unwrap();
    append(&store, "1000", 1 << 20).unwrap();
    append(&store, "1000", 10).unwrap();
    assert_eq!(all_events(&store, 1).len(), 2);
    drop(store);
    let store = larger.open(directory.path()).unwrap();
    assert_eq!(all_events(&store, 1).len(), 2);
}

#[test]
fn a_frame_never_outgrows_its_segment() {
    let (directory, faults) = (tempfile::tempdir().unwrap(), Arc::default());
    // The frame size that is not set is far larger than these segments.
    let store = open(directory.path(), &faults);
    faults.hold_writes();
    let held: Vec<_> = (0..200)
        .map(|id| {
            Append::to(
                stream(&id.to_string()),
                ExpectedVersion::NoStream,
                [event(10_000)],
            )
        })
        .map(|append| submit(&store, append))
        .collect();
    faults.release_writes();
    for held in &held {
        answer(held).unwrap();
    }
    let before = all_events(&store, 7);
    drop(store);
    for file in segment_files(directory.path()) {
        assert!(std::fs::metadata(file).unwrap().len() <= SEGMENT_BYTES);
    }
    assert_eq!(all_events(&open(directory.path(), &faults), 7), before);
}

#[test]
fn a_store_is_created_with_the_directories_above_it() {
    let directory = tempfile::tempdir().unwrap();
    let nested = directory.path().join("a").join("b").join("c");
    for head in 0..2 {
        let store = options().open(&nested).unwrap();
        assert_eq!(store.head().get(), head);
        append(&store, "1000", 10).unwrap();
    }
    let file = directory.path().join("file");
    std::fs::write(&file, "").unwrap();
    assert!(matches!(options().open(&file), Err(OpenError::Io(_))));
    assert!(matches!(options().open(""), Err(OpenError::Io(_))));
}

/// Appends until the active segment is so full that one more event of 30,000 bytes needs a new one.
fn fill_first_segment(store: &JournalStore) {
    for _ in 0..7 {
        append(store, "1000", 30_000).unwrap();
    }
}

#[test]
fn a_roll_that_fails_at_any_step_loses_nothing_that_was_acked() {
    for step in [
        Step::Prepare,
        Step::Rename,
        Step::RenameSync,
        Step::OpenWriter,
        Step::Write,
        Step::Truncate,
    ] {
        let (directory, faults) = (tempfile::tempdir().unwrap(), Arc::<Faults>::default());
        let store = open(directory.path(), &faults);
        fill_first_segment(&store);
        faults.fail_next(step);
        let mut acked = 7;
        let mut refused = 0;
        for _ in 0..12 {
            match append(&store, "1000", 30_000) {
                Ok(appended) => {
                    acked += 1;
                    assert_eq!(appended.position.get(), acked, "{step:?}");
                }
                Err(AppendError::NotRecorded(_)) => refused += 1,
                Err(other) => panic!("{step:?}: {other}"),
            }
        }
        let may_be_refused = !matches!(step, Step::Truncate);
        assert!(refused == 0 || may_be_refused, "{step:?}");
        assert_eq!(all_events(&store, 3).len() as u64, acked, "{step:?}");
        drop(store);
        let store = open(directory.path(), &faults);
        assert_eq!(all_events(&store, 3).len() as u64, acked, "{step:?}");
        assert_eq!(store.recovery().torn_tail, None, "{step:?}");
        for next in acked + 1..acked + 20 {
            let appended = append(&store, "1000", 30_000).unwrap();
            assert_eq!(
                (appended.position.get(), appended.versions[0].get()),
                (next, next)
            );
        }
    }
}

#[test]
fn a_first_write_into_a_new_segment_that_fails_leaves_a_store_that_opens() {
    for bytes_on_disk in [0, 4_096, 32_768] {
        let (directory, faults) = (tempfile::tempdir().unwrap(), Arc::<Faults>::default());
        let store = open(directory.path(), &faults);
        fill_first_segment(&store);
        // The header is the first write of the roll, the frame the second.
        faults.fail_write_after_next(bytes_on_disk);
        let outcome = append(&store, "1000", 30_000);
        assert!(
            matches!(outcome, Err(AppendError::Unknown(_))),
            "{outcome:?}"
        );
        drop(store);
        let store = open(directory.path(), &faults);
        let found = if bytes_on_disk == 32_768 { 8 } else { 7 };
        assert_eq!(store.recovery().torn_tail.is_some(), bytes_on_disk == 4_096);
        assert_eq!(store.head().get(), found);
        for next in found + 1..found + 20 {
            assert_eq!(
                append(&store, "1000", 30_000).unwrap().versions[0].get(),
                next
            );
        }
        drop(store);
        assert_eq!(
            all_events(&open(directory.path(), &faults), 5).len() as u64,
            found + 19
        );
    }
}

#[test]
fn a_spare_that_could_not_be_prepared_long_ago_does_not_refuse_the_roll_of_today() {
    let (directory, faults) = (tempfile::tempdir().unwrap(), Arc::<Faults>::default());
    let store = open(directory.path(), &faults);
    faults.set_full(true);
    // Past the middle of the segment the next one is ordered.
    for _ in 0..5 {
        append(&store, "1000", 30_000).unwrap();
    }
    faults.wait_for_step(Step::Full);
    faults.set_full(false);
    for _ in 0..10 {
        append(&store, "1000", 30_000).unwrap();
    }
}

/// A clock that a test sets.
#[derive(Debug, Default)]
struct SetClock(AtomicI64);

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_micros(self.0.load(Ordering::SeqCst))
    }

    fn new_id(&self) -> Uuid {
        SystemClock.new_id()
    }
}

#[test]
fn the_time_of_recording_does_not_go_back_over_a_roll_and_a_reopening() {
    let (directory, faults) = (tempfile::tempdir().unwrap(), Arc::<Faults>::default());
    let clock = Arc::new(SetClock::default());
    let options = options().clock(Arc::clone(&clock) as Arc<dyn Clock>);
    let store = try_open(directory.path(), &options, &faults).unwrap();
    clock.0.store(1_000_000, Ordering::SeqCst);
    fill_first_segment(&store);
    clock.0.store(5_000, Ordering::SeqCst);
    faults.fail_write_after_next(0);
    append(&store, "1000", 30_000).unwrap_err();
    drop(store);
    let store = try_open(directory.path(), &options, &faults).unwrap();
    let appended = append(&store, "1000", 30_000).unwrap();
    assert_eq!(appended.recorded_at, Timestamp::from_unix_micros(1_000_000));
}

#[test]
fn what_opening_finds_is_made_durable_before_anything_is_built_on_it() {
    let (directory, faults) = (tempfile::tempdir().unwrap(), Arc::<Faults>::default());
    let store = open(directory.path(), &faults);
    append(&store, "1000", 100).unwrap();
    drop(store);
    let name = segment::file_name(Position::new(1));
    let synced_before = faults.steps().len();
    drop(open(directory.path(), &faults));
    let steps = faults.steps();
    assert!(
        steps[synced_before..].contains(&(Step::Sync, name)),
        "{steps:?}"
    );
    faults.fail_next(Step::Sync);
    let refused = try_open(directory.path(), &options(), &faults);
    assert!(matches!(refused, Err(OpenError::Io(_))), "{refused:?}");
    open(directory.path(), &faults);
}
