use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

use super::faulty_disk::Faults;
use super::test_support::{Outcome, event, stream, submit, try_open};
use super::*;
use crate::append::{Append, OnSettled};
use crate::error::AppendError;
use crate::event_store::EventStore;
use crate::position::{ExpectedVersion, Version};

fn open(directory: &Path, faults: &Arc<Faults>) -> JournalStore {
    let options = test_support::options().frame_bytes(64 << 10);
    try_open(directory, &options, faults).unwrap()
}

fn submit_event(store: &JournalStore, id: &str, expected: u64) -> Receiver<Outcome> {
    let expected = ExpectedVersion::Exact(Version::new(expected));
    submit(store, Append::to(stream(id), expected, [event(100)]))
}

#[test]
fn what_is_submitted_during_a_write_shares_the_next_frame() {
    let (directory, faults) = (tempfile::tempdir().unwrap(), Arc::default());
    let store = open(directory.path(), &faults);
    let writes_before = faults.writes_done();
    faults.hold_writes();
    let first = submit_event(&store, "0", 0);
    faults.wait_for_held_write();
    let others: Vec<_> = (1..=100)
        .map(|id| submit_event(&store, &id.to_string(), 0))
        .collect();
    assert!(first.try_recv().is_err(), "acked before the write was done");
    faults.release_writes();
    first.recv().unwrap().unwrap();
    let positions: Vec<_> = others
        .iter()
        .map(|other| other.recv().unwrap().unwrap().position.get())
        .collect();
    assert_eq!(positions, (2..=101).collect::<Vec<_>>());
    assert_eq!(faults.writes_done() - writes_before, 2);
}

#[test]
fn nothing_is_answered_that_rests_on_an_event_which_is_not_durable() {
    let (directory, faults) = (tempfile::tempdir().unwrap(), Arc::default());
    let store = open(directory.path(), &faults);
    faults.hold_writes();
    let written = submit_event(&store, "a", 0);
    faults.wait_for_held_write();
    let conflict = submit_event(&store, "a", 0);
    let check = submit(
        &store,
        Append::check(stream("a"), ExpectedVersion::StreamExists),
    );
    let elsewhere = submit(
        &store,
        Append::check(stream("b"), ExpectedVersion::NoStream),
    );
    assert!(
        elsewhere.recv().unwrap().is_ok(),
        "what rests on nothing need not wait"
    );
    assert!(
        conflict.try_recv().is_err() && check.try_recv().is_err() && written.try_recv().is_err()
    );
    assert_eq!(store.head(), Position::BEFORE_FIRST);
    faults.release_writes();
    written.recv().unwrap().unwrap();
    let conflict = conflict.recv().unwrap().unwrap_err();
    assert!(matches!(conflict, AppendError::Conflict { actual, .. } if actual == Version::new(1)));
    assert_eq!(check.recv().unwrap().unwrap().versions[0], Version::new(1));
}

#[test]
fn after_a_failed_write_nothing_more_is_acked_until_the_store_is_reopened() {
    for bytes_on_disk in [0, 4096] {
        let (directory, faults) = (tempfile::tempdir().unwrap(), Arc::default());
        let store = open(directory.path(), &faults);
        submit_event(&store, "a", 0).recv().unwrap().unwrap();
        faults.hold_writes();
        faults.fail_next_write_after(bytes_on_disk);
        let failing = submit_event(&store, "a", 1);
        faults.wait_for_held_write();
        let built_on_it = submit_event(&store, "a", 2);
        let conflict = submit_event(&store, "a", 0);
        faults.release_writes();
        assert!(matches!(
            failing.recv().unwrap(),
            Err(AppendError::Unknown(_))
        ));
        assert!(matches!(
            built_on_it.recv().unwrap(),
            Err(AppendError::NotRecorded(_))
        ));
        assert!(matches!(
            conflict.recv().unwrap(),
            Err(AppendError::NotRecorded(_))
        ));
        let after = submit_event(&store, "b", 0).recv().unwrap();
        assert!(
            matches!(after, Err(AppendError::NotRecorded(_))),
            "{after:?}"
        );
        assert_eq!(store.head(), Position::new(1));
        drop(store);
        let store = open(directory.path(), &faults);
        let found = if bytes_on_disk == 0 { 1 } else { 2 };
        assert_eq!(store.head(), Position::new(found));
        assert_eq!(
            submit_event(&store, "a", found)
                .recv()
                .unwrap()
                .unwrap()
                .position
                .get(),
            found + 1
        );
    }
}

#[test]
fn a_full_disk_refuses_appends_and_takes_them_again_when_there_is_room() {
    let (directory, faults) = (tempfile::tempdir().unwrap(), Arc::default());
    let store = open(directory.path(), &faults);
    faults.set_full(true);
    let mut acked = 0;
    let refused = loop {
        match submit_event(&store, "a", acked).recv().unwrap() {
            Ok(_) => acked += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, AppendError::NotRecorded(_)), "{refused}");
    assert!(acked > 50);
    assert_eq!(
        store.reader.stream_version(&stream("a")).unwrap(),
        Version::new(acked)
    );
    faults.set_full(false);
    let appended = submit_event(&store, "a", acked).recv().unwrap().unwrap();
    assert_eq!(appended.position, Position::new(acked + 1));
    drop(store);
    assert_eq!(
        open(directory.path(), &faults).head(),
        Position::new(acked + 1)
    );
}

#[test]
fn whoever_built_on_a_failed_append_hears_of_it_before_anything_else() {
    let (directory, faults) = (tempfile::tempdir().unwrap(), Arc::default());
    let store = Arc::new(open(directory.path(), &faults));
    faults.hold_writes();
    faults.fail_next_write_after(0);
    let (answers, order) = channel();
    let settled = |name: &'static str| -> OnSettled {
        let answers = answers.clone();
        Box::new(move |outcome| answers.send((name, outcome.is_ok())).unwrap())
    };
    let to_a = |expected| Append::to(stream("a"), expected, [event(10)]);
    store.submit(to_a(ExpectedVersion::NoStream), settled("failing"));
    faults.wait_for_held_write();
    store.submit(to_a(ExpectedVersion::Any), settled("built on it"));
    let late = {
        let (store, settled) = (Arc::clone(&store), settled("late"));
        let append = Append::check(stream("a"), ExpectedVersion::StreamExists);
        move || store.submit(append, settled)
    };
    let late = std::thread::spawn(late);
    faults.release_writes();
    late.join().unwrap();
    let mut answers: Vec<_> = (0..3).map(|_| order.recv().unwrap()).collect();
    assert!(answers.iter().all(|(_, acked)| !acked), "{answers:?}");
    answers.retain(|(name, _)| *name != "late");
    assert_eq!(answers, [("failing", false), ("built on it", false)]);
}

#[tokio::test]
async fn a_full_queue_refuses_and_ready_waits_for_room() {
    let (directory, faults) = (tempfile::tempdir().unwrap(), Arc::default());
    let options = JournalOptions::new()
        .segment_bytes(1 << 20)
        .queue_bytes(10_000);
    let store = try_open(directory.path(), &options, &faults).unwrap();
    faults.hold_writes();
    let large = |id: &str| Append::to(stream(id), ExpectedVersion::Any, [event(6_000)]);
    let held = [
        submit(&store, large("a")),
        submit(&store, large("b")),
        submit(&store, large("c")),
    ];
    let refused = submit(&store, large("d")).recv().unwrap();
    assert!(
        matches!(
            refused,
            Err(AppendError::Overloaded {
                limit_bytes: 20_000,
                ..
            })
        ),
        "{refused:?}"
    );
    assert!(!store.is_ready());
    let waiting = store.ready();
    faults.release_writes();
    waiting.await;
    for held in held {
        held.recv().unwrap().unwrap();
    }
    assert!(store.is_ready());
    submit(&store, large("d")).recv().unwrap().unwrap();
}
