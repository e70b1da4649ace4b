//! Commands in the journal: remembered over reopenings, crashes, sealed segments and a lost index, for as long as was
//! asked for; and void with the append that they came with.

use std::path::Path;
use std::sync::Arc;

use uuid::Uuid;

use super::faulty_disk::{Faults, Step};
use super::test_support::*;
use super::*;
use crate::append::Append;
use crate::command::{CommandReply, CommandStamp, RecordedCommand};
use crate::error::AppendError;
use crate::event_store::EventStore;
use crate::position::ExpectedVersion;

pub(super) fn stamp(id: u128, reply_bytes: usize) -> CommandStamp {
    CommandStamp {
        id: Uuid::from_u128(id),
        fingerprint: id.to_be_bytes(),
        reply: CommandReply {
            bytes: vec![0x5a; reply_bytes].into(),
            ..CommandReply::default()
        },
    }
}

/// A command with that many events of that size.
pub(super) fn command(id: u128, events: usize, bytes: usize) -> Append {
    let events = (0..events).map(|_| event(bytes));
    Append::to(stream("1000"), ExpectedVersion::Any, events).answering(stamp(id, 50))
}

fn send(store: &JournalStore, append: Append) -> Outcome {
    answer(&submit(store, append))
}

pub(super) fn recorded(store: &JournalStore, id: u128) -> Option<RecordedCommand> {
    store.reader.command(Uuid::from_u128(id)).unwrap()
}

fn is_duplicate(outcome: &Outcome, id: u128) -> bool {
    matches!(outcome, Err(AppendError::Duplicate { command_id }) if *command_id == Uuid::from_u128(id))
}

/// Opens `directory` and finds each of the commands with its position and number of events.
fn holds(directory: &Path, commands: &[(u128, u64, u32)]) {
    let store = options().open(directory).unwrap();
    let head = store.head();
    for (id, position, event_count) in commands {
        let found = recorded(&store, *id).unwrap_or_else(|| panic!("command {id}"));
        assert_eq!(
            (found.position.get(), found.event_count),
            (*position, *event_count)
        );
        assert_eq!(found.fingerprint, id.to_be_bytes());
        assert_eq!(found.recorded_at.is_some(), *event_count > 0);
        assert!(
            is_duplicate(&send(&store, command(*id, 1, 10)), *id),
            "command {id}"
        );
    }
    assert_eq!(store.head(), head);
}

#[test]
fn commands_are_remembered_over_reopening_crashing_sealing_and_the_loss_of_the_index() {
    let directory = tempfile::tempdir().unwrap();
    let mut commands = Vec::new();
    let mut head = 0;
    for round in 0..6 {
        let store = options().open(directory.path()).unwrap();
        for number in 0..12 {
            let (id, count) = (round * 100 + number, usize::try_from(number % 3).unwrap());
            let appended = send(&store, command(id, count, 7_000)).unwrap();
            head += count as u64;
            assert_eq!(appended.position.get(), head);
            commands.push((id, head, appended.event_count));
        }
        if round % 2 == 0 {
            die(store);
        } else {
            drop(store);
        }
        if round == 3 {
            std::fs::remove_dir_all(directory.path().join("index")).unwrap();
        }
        holds(directory.path(), &commands);
    }
    assert!(segment_files(directory.path()).len() > 2);
    std::fs::remove_dir_all(directory.path().join("index")).unwrap();
    holds(directory.path(), &commands);
    let store = options().open(directory.path()).unwrap();
    assert_eq!(all_events(&store, 5).len() as u64, head);
}

#[test]
fn at_least_so_many_of_the_newest_commands_are_remembered_as_was_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let few = options().commands_remembered(10);
    let store = few.clone().open(directory.path()).unwrap();
    // About seven to a segment.
    for id in 0..70 {
        send(&store, command(id, 1, 30_000)).unwrap();
    }
    assert!(segment_files(directory.path()).len() > 8);
    store.close();
    drop(store);
    let store = few.open(directory.path()).unwrap();
    assert!((50..70).all(|id| recorded(&store, id).is_some()));
    assert!((0..30).all(|id| recorded(&store, id).is_none()));
    // A retry that comes too late is taken for a new one.
    send(&store, command(3, 1, 10)).unwrap();
    assert!(is_duplicate(&send(&store, command(3, 1, 10)), 3));
    drop(store);
    let store = options().open(directory.path()).unwrap();
    assert!((0..70).all(|id| recorded(&store, id).is_some()));
    assert_eq!(
        recorded(&store, 3).unwrap().position.get(),
        71,
        "the newest one"
    );
}

#[test]
fn a_duplicate_waits_for_the_first_and_is_void_with_it() {
    let (directory, faults) = (tempfile::tempdir().unwrap(), Arc::<Faults>::default());
    let store = open(directory.path(), &faults);
    faults.hold_writes();
    let first = submit(&store, command(1, 1, 10));
    faults.wait_for_held_write();
    let (second, other) = (
        submit(&store, command(1, 1, 10)),
        submit(&store, command(2, 0, 0)),
    );
    let third = submit(&store, command(2, 1, 10));
    assert_eq!(recorded(&store, 1), None);
    std::thread::sleep(std::time::Duration::from_millis(20));
    for waiting in [&first, &second, &other, &third] {
        assert!(waiting.try_recv().is_err(), "answered before it is durable");
    }
    faults.release_writes();
    answer(&first).unwrap();
    assert!(is_duplicate(&answer(&second), 1));
    assert_eq!(answer(&other).unwrap().event_count, 0);
    assert!(is_duplicate(&answer(&third), 2));

    // Now the first one fails, with nothing written: no room for the segment that it needs.
    for _ in 0..6 {
        append(&store, "1000", 30_000).unwrap();
    }
    faults.set_full(true);
    let mut refused = None;
    for id in 10..30 {
        faults.hold_writes();
        let before = submit(&store, Append::check(stream("1000"), ExpectedVersion::Any));
        let first = submit(&store, command(id, 1, 30_000));
        let second = submit(&store, command(id, 1, 30_000));
        faults.release_writes();
        answer(&before).unwrap();
        let (first, second) = (answer(&first), answer(&second));
        if first.is_ok() {
            assert!(is_duplicate(&second, id));
            continue;
        }
        assert!(
            matches!(first, Err(AppendError::NotRecorded(_))),
            "{first:?}"
        );
        assert!(
            matches!(second, Err(AppendError::NotRecorded(_))),
            "{second:?}"
        );
        refused = Some(id);
        break;
    }
    let refused = refused.expect("the disk is full");
    assert!(faults.steps().iter().any(|(step, _)| *step == Step::Full));
    assert_eq!(recorded(&store, refused), None);
    faults.set_full(false);
    send(&store, command(refused, 1, 30_000)).unwrap();
    assert!(is_duplicate(
        &send(&store, command(refused, 1, 30_000)),
        refused
    ));
}

#[test]
fn after_a_write_of_unknown_outcome_the_retry_is_a_duplicate_just_if_it_was_recorded() {
    for was_written in [false, true] {
        let (directory, faults) = (tempfile::tempdir().unwrap(), Arc::<Faults>::default());
        let store = open(directory.path(), &faults);
        append(&store, "1000", 10).unwrap();
        for (events, id) in [(1, 5), (0, 6)] {
            let store = open_again(&store, &directory, &faults);
            faults.fail_next_write_after(if was_written { usize::MAX } else { 0 });
            let outcome = send(&store, command(id, events, 10));
            assert!(
                matches!(outcome, Err(AppendError::Unknown(_))),
                "{outcome:?}"
            );
            drop(store);
            let store = open(directory.path(), &faults);
            let retried = send(&store, command(id, events, 10));
            assert_eq!(is_duplicate(&retried, id), was_written, "{retried:?}");
            assert!(recorded(&store, id).is_some());
        }
    }
}

fn open_again(
    store: &JournalStore,
    directory: &tempfile::TempDir,
    faults: &Arc<Faults>,
) -> JournalStore {
    store.close();
    open(directory.path(), faults)
}

#[test]
fn a_journal_of_commands_without_events_grows_and_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let store = options().open(directory.path()).unwrap();
    for id in 0..20 {
        let rejected = command(id, 0, 0).answering(stamp(id, 60_000));
        assert_eq!(send(&store, rejected).unwrap().position.get(), 0);
    }
    assert_eq!(segment_files(directory.path()).len(), 1);
    die(store);
    let store = options().open(directory.path()).unwrap();
    assert_eq!(store.head().get(), 0);
    assert!((0..20).all(|id| recorded(&store, id).unwrap().reply == stamp(id, 60_000).reply));
    for id in 20..40 {
        let rejected = command(id, 0, 0).answering(stamp(id, 60_000));
        assert_eq!(send(&store, rejected).unwrap().position.get(), 0);
    }
    drop(store);
    let store = options().open(directory.path()).unwrap();
    assert_eq!(append(&store, "1000", 100_000).unwrap().position.get(), 1);
    assert_eq!(segment_files(directory.path()).len(), 1);
    for (id, head) in [(40, 1), (41, 1)] {
        let rejected = command(id, 0, 0).answering(stamp(id, 60_000));
        assert_eq!(send(&store, rejected).unwrap().position.get(), head);
    }
    for position in 2..60 {
        assert_eq!(
            append(&store, "1000", 30_000).unwrap().position.get(),
            position
        );
    }
    assert!(segment_files(directory.path()).len() > 2);
    for lose_index in [false, true] {
        store.close();
        if lose_index {
            std::fs::remove_dir_all(directory.path().join("index")).unwrap();
        }
        let store = options().open(directory.path()).unwrap();
        assert!((0..42).all(|id| recorded(&store, id).unwrap().reply == stamp(id, 60_000).reply));
        assert_eq!(all_events(&store, 3).len(), 59);
        store.close();
    }
}

#[test]
fn a_segment_that_cannot_grow_refuses_and_goes_on_when_it_can() {
    let (directory, faults) = (tempfile::tempdir().unwrap(), Arc::<Faults>::default());
    let store = open(directory.path(), &faults);
    let rejected = |id| command(id, 0, 0).answering(stamp(id, 60_000));
    let mut id = 0;
    // Four fill the segment; the next write is that of the zeros.
    for _ in 0..4 {
        send(&store, rejected(id)).unwrap();
        id += 1;
    }
    faults.fail_next_write_after(4096);
    let outcome = send(&store, rejected(id));
    assert!(
        matches!(outcome, Err(AppendError::NotRecorded(_))),
        "{outcome:?}"
    );
    assert_eq!(recorded(&store, id), None);
    for id in id..id + 30 {
        send(&store, rejected(id)).unwrap();
    }
    drop(store);
    let store = open(directory.path(), &faults);
    assert!((0..id + 30).all(|id| recorded(&store, id).is_some()));
    assert_eq!(append(&store, "1000", 10).unwrap().position.get(), 1);
}
