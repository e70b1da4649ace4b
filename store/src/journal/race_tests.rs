//! What happens at the same time as something else, or in its wake: heads and indexes that leave memory, threads that
//! die, stores that are dropped by their own threads.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;

use super::faulty_disk::{Faults, Step};
use super::test_support::*;
use super::*;
use crate::append::Append;
use crate::error::AppendError;
use crate::event_store::{Direction, EventStore, StreamQuery};
use crate::journal::disk::FsDisk;
use crate::journal::opening::lock;
use crate::position::ExpectedVersion;
use crate::sidecar::SegmentMark;
use crate::stream_id::StreamId;

/// Makes the sidecar refuse segment 0, until `forget_segments_from(0)`.
fn block_index_of_first_segment(store: &JournalStore) {
    let foreign = SegmentMark {
        number: 0,
        first_position: Position::new(1),
        last_position: Position::new(1),
        length_bytes: 1,
        last_frame_hash: [1; 32],
    };
    let nothing = &mut std::iter::empty();
    let index = |sidecar: &Sidecar| sidecar.index_segment(&foreign, &[], nothing, &[]);
    store.reader.beside(index).unwrap();
}

#[test]
fn versions_stay_right_while_a_segment_cannot_be_indexed() {
    let (directory, faults) = (tempfile::tempdir().unwrap(), Arc::<Faults>::default());
    let options = options().stream_heads(1);
    let store = try_open(directory.path(), &options, &faults).unwrap();
    block_index_of_first_segment(&store);
    for version in 1..=60 {
        for id in ["a", "b"] {
            let appended = append(&store, id, 20_000).unwrap();
            assert_eq!(appended.versions[0].get(), version, "stream {id}");
        }
    }
    let page = |direction| {
        let query = StreamQuery {
            direction,
            ..StreamQuery::whole(stream("a"), 1_000)
        };
        store.reader.read_stream(&query).unwrap().events
    };
    let mut backward = page(Direction::Backward);
    backward.reverse();
    assert_eq!(
        (page(Direction::Forward).len(), page(Direction::Forward)),
        (60, backward)
    );
    // What could not be indexed is indexed with the next segment that is sealed.
    let forget = |sidecar: &Sidecar| sidecar.forget_segments_from(0);
    store.reader.beside(forget).unwrap();
    for _ in 0..20 {
        append(&store, "a", 20_000).unwrap();
    }
    store.close();
    assert_eq!(store.reader.live.len(), 1);
    let store = try_open(directory.path(), &options, &faults).unwrap();
    assert_eq!(store.recovery().segments_indexed_again, 0);
    let whole = StreamQuery::whole(stream("a"), 1_000);
    assert_eq!(store.reader.read_stream(&whole).unwrap().events.len(), 80);
    drop(store);
    let store = try_open(directory.path(), &options, &faults).unwrap();
    assert_eq!(store.recovery().segments_indexed_again, 0);
    assert_eq!(append(&store, "a", 10).unwrap().versions[0].get(), 81);
}

fn copy_journal(from: &Path, to: &Path) {
    let journal = to.join(JOURNAL_DIRECTORY);
    let _ = std::fs::remove_dir_all(&journal);
    std::fs::create_dir_all(&journal).unwrap();
    for file in segment_files(from) {
        std::fs::copy(&file, journal.join(file.file_name().unwrap())).unwrap();
    }
}

#[test]
fn an_index_of_a_journal_that_went_on_differently_is_built_anew() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let fill = |directory: &Path, id: &str, count: usize| {
        let store = options().open(directory).unwrap();
        for _ in 0..count {
            append(&store, id, 30_000).unwrap();
        }
        all_events(&store, 10)
    };
    fill(one.path(), "a", 20);
    copy_journal(one.path(), other.path());
    fill(one.path(), "a", 30);
    let went_on = fill(other.path(), "b", 40);
    copy_journal(other.path(), one.path());
    let store = options().open(one.path()).unwrap();
    assert_eq!(all_events(&store, 10), went_on);
    assert!(store.recovery().segments_indexed_again > 2);
    let differs_from = store.recovery().other_history_from.unwrap();
    assert!(differs_from <= Position::new(21), "{differs_from}");
    for (id, version) in [("a", 21), ("b", 41)] {
        let query = StreamQuery::whole(stream(id), 100);
        let read = store.reader.read_stream(&query).unwrap().events;
        assert_eq!(read.len() as u64, version - 1);
        assert_eq!(append(&store, id, 10).unwrap().versions[0].get(), version);
    }
}

#[test]
fn a_damaged_journal_leaves_the_index_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let store = options().open(directory.path()).unwrap();
    for _ in 0..20 {
        append(&store, "a", 30_000).unwrap();
    }
    drop(store);
    let index = directory.path().join("index");
    std::fs::remove_dir_all(&index).unwrap();
    let newest = segment_files(directory.path()).pop().unwrap();
    let whole = std::fs::read(&newest).unwrap();
    let mut flipped = whole.clone();
    flipped[4_096 + 1_000] ^= 1;
    std::fs::write(&newest, flipped).unwrap();
    let refused = options().open(directory.path());
    assert!(matches!(refused, Err(OpenError::Corrupt(_))), "{refused:?}");
    assert!(!index.exists());
    std::fs::write(&newest, whole).unwrap();
    assert_eq!(options().open(directory.path()).unwrap().head().get(), 20);
}

#[test]
fn a_store_on_a_file_system_in_memory_rolls_and_reopens() {
    let memory = Path::new("/dev/shm");
    if !memory.is_dir() {
        return;
    }
    let directory = tempfile::tempdir_in(memory).unwrap();
    let store = options().open(directory.path()).unwrap();
    for _ in 0..20 {
        append(&store, "a", 30_000).unwrap();
    }
    let before = all_events(&store, 3);
    drop(store);
    let store = options().open(directory.path()).unwrap();
    assert_eq!(all_events(&store, 3), before);
}

#[test]
fn checks_of_ever_new_streams_do_not_fill_the_memory() {
    let directory = tempfile::tempdir().unwrap();
    let store = options()
        .stream_heads(1_000)
        .open(directory.path())
        .unwrap();
    append(&store, "known", 10).unwrap();
    for round in 0..40 {
        let check = (0..4_000).fold(
            Append::check(stream("known"), ExpectedVersion::StreamExists),
            |append, id| {
                append.and(
                    stream(&format!("{round}-{id}")),
                    ExpectedVersion::NoStream,
                    [],
                )
            },
        );
        answer(&submit(&store, check)).unwrap();
    }
    assert!(store.queue.heads() < 80_000, "{}", store.queue.heads());
    assert_eq!(append(&store, "known", 10).unwrap().versions[0].get(), 2);
}

#[test]
fn answers_that_wait_count_against_the_limit_of_the_queue() {
    let (directory, faults) = (tempfile::tempdir().unwrap(), Arc::<Faults>::default());
    let options = options().queue_bytes(10_000);
    let store = try_open(directory.path(), &options, &faults).unwrap();
    faults.hold_writes();
    let written = submit(
        &store,
        Append::to(stream("a"), ExpectedVersion::Any, [event(10)]),
    );
    faults.wait_for_held_write();
    let check = || Append::check(stream("a"), ExpectedVersion::StreamExists);
    let checks: Vec<_> = (0..10_000).map(|_| submit(&store, check())).collect();
    faults.release_writes();
    answer(&written).unwrap();
    let outcomes: Vec<_> = checks.iter().map(answer).collect();
    let refused = outcomes
        .iter()
        .filter(|outcome| matches!(outcome, Err(AppendError::Overloaded { .. })));
    assert!(refused.count() > 9_000);
    answer(&submit(&store, check())).unwrap();
    assert!(store.is_ready());
}

#[test]
fn an_answer_may_submit_again_even_while_failed_appends_are_voided() {
    let (directory, faults) = (tempfile::tempdir().unwrap(), Arc::<Faults>::default());
    let store = Arc::new(open(directory.path(), &faults));
    faults.set_full(true);
    for _ in 0..7 {
        append(&store, "a", 30_000).unwrap();
    }
    let (sender, outcomes) = channel();
    let retrying = Arc::clone(&store);
    let large = || Append::to(stream("a"), ExpectedVersion::Any, [event(30_000)]);
    let settled = move |outcome: Outcome| {
        let retried = sender.clone();
        sender.send(outcome).unwrap();
        retrying.submit(
            large(),
            Box::new(move |outcome| retried.send(outcome).unwrap()),
        );
    };
    store.submit(large(), Box::new(settled));
    let stuck = std::time::Duration::from_secs(20);
    for _ in 0..2 {
        let outcome = outcomes
            .recv_timeout(stuck)
            .expect("the answer within the answer");
        assert!(
            matches!(outcome, Err(AppendError::NotRecorded(_))),
            "{outcome:?}"
        );
    }
    faults.set_full(false);
    append(&store, "a", 30_000).unwrap();
}

#[test]
fn when_the_committing_thread_panics_everyone_is_answered_and_nobody_waits() {
    let (directory, faults) = (tempfile::tempdir().unwrap(), Arc::<Faults>::default());
    let options = options().queue_bytes(1_000);
    let store = try_open(directory.path(), &options, &faults).unwrap();
    append(&store, "a", 10).unwrap();
    faults.hold_writes();
    let to_a = || Append::to(stream("a"), ExpectedVersion::Any, [event(900)]);
    let failing = submit(&store, to_a());
    faults.wait_for_held_write();
    faults.fail_next(Step::WritePanic);
    let check = submit(
        &store,
        Append::check(stream("a"), ExpectedVersion::StreamExists),
    );
    faults.release_writes();
    let failing = answer(&failing);
    assert!(
        matches!(failing, Err(AppendError::Unknown(_))),
        "{failing:?}"
    );
    let check = answer(&check);
    assert!(
        matches!(check, Err(AppendError::NotRecorded(_))),
        "{check:?}"
    );
    let refused = answer(&submit(&store, to_a()));
    assert!(
        matches!(refused, Err(AppendError::NotRecorded(_))),
        "{refused:?}"
    );
    assert!(store.is_ready());
    store.close();
    drop(store);
    let store = try_open(directory.path(), &options, &faults).unwrap();
    assert_eq!(store.head().get(), 1);
}

#[test]
fn an_answer_may_drop_the_last_handle_of_the_store() {
    let (directory, faults) = (tempfile::tempdir().unwrap(), Arc::<Faults>::default());
    let store = Arc::new(open(directory.path(), &faults));
    faults.hold_writes();
    let (sender, outcomes) = channel();
    let (last_handle, dropped) = (Arc::clone(&store), sender.clone());
    let settled = move |_| {
        drop(last_handle);
        dropped.send(true).unwrap();
    };
    let to_a = || Append::to(stream("a"), ExpectedVersion::Any, [event(100)]);
    store.submit(to_a(), Box::new(settled));
    faults.wait_for_held_write();
    store.submit(
        to_a(),
        Box::new(move |outcome| sender.send(outcome.is_ok()).unwrap()),
    );
    drop(store);
    faults.release_writes();
    assert_eq!(outcomes.iter().collect::<Vec<_>>(), [true, true]);
    // The lock is held until the last frame is written: whoever opens now finds both events.
    let store = loop {
        let disk = FsDisk::open(&directory.path().join(JOURNAL_DIRECTORY)).unwrap();
        match lock(directory.path()) {
            Ok(lock) => {
                break JournalStore::start_on(Arc::new(disk), directory.path(), &options(), lock)
                    .unwrap();
            }
            Err(OpenError::Locked { .. }) => thread::yield_now(),
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!(store.head().get(), 2);
}

#[test]
fn listing_streams_behind_those_of_another_type_gives_none() {
    let directory = tempfile::tempdir().unwrap();
    let store = options().open(directory.path()).unwrap();
    for _ in 0..20 {
        append(&store, "a", 30_000).unwrap();
    }
    store.close();
    let store = options().open(directory.path()).unwrap();
    let list = |after: &StreamId| {
        store
            .reader
            .streams("acme", "gl-account", Some(after), 10)
            .unwrap()
    };
    assert_eq!(list(&StreamId::new("acme", "stock", "1").unwrap()), []);
    assert_eq!(
        list(&StreamId::new("acme", "account", "1").unwrap()),
        [stream("a")]
    );
}
