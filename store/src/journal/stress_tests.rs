//! Many writers and readers at once over segments that are sealed and indexed all the time.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use super::faulty_disk::{Faults, Step};
use super::test_support::*;
use super::*;
use crate::append::{Append, Appended};
use crate::error::AppendError;
use crate::event_store::{Direction, EventStore, StreamQuery};
use crate::position::{ExpectedVersion, Version};
use crate::stream_id::StreamId;

const WRITERS: u8 = 60;
const STREAMS: u8 = 13;

type Acked = Mutex<Vec<(Append, Appended)>>;

/// Appends to two streams at a time, each time behind the version that the last answer told.
fn write(store: &JournalStore, writer: u8, acked: &Acked, count: usize) {
    let ids =
        [writer % STREAMS, (writer + 1 + writer % 5) % STREAMS].map(|id| stream(&id.to_string()));
    let mut versions = [Version::EMPTY; 2];
    for number in 0..count {
        let payload = vec![writer + 1; 200 + 37 * (number % 50)];
        let append = Append::to(
            ids[0].clone(),
            ExpectedVersion::Exact(versions[0]),
            [event_of(payload)],
        )
        .and(
            ids[1].clone(),
            ExpectedVersion::Exact(versions[1]),
            [event(20), event(30)],
        );
        match answer(&submit(store, append.clone())) {
            Ok(appended) => {
                versions = [appended.versions[0], appended.versions[1]];
                acked.lock().unwrap().push((append, appended));
            }
            Err(AppendError::Conflict { stream, actual, .. }) => {
                for (id, version) in ids.iter().zip(&mut versions) {
                    if *id == stream {
                        *version = actual;
                    }
                }
            }
            Err(AppendError::NotRecorded(_)) => return,
            Err(other) => panic!("{other}"),
        }
    }
}

/// Follows all events from the start until the writers are done, in pages of `limit`.
fn follow(store: &JournalStore, limit: usize, done: &AtomicBool) {
    let mut after = Position::BEFORE_FIRST;
    loop {
        let was_done = done.load(Ordering::SeqCst);
        let head = store.head();
        let Some(page) = unless_closed(store.reader.read_all(after, head, limit)) else {
            return;
        };
        for event in &page.events {
            assert_eq!(event.position, after.next());
            after = event.position;
        }
        assert_eq!(page.next.is_none(), after >= head);
        if page.events.is_empty() && was_done {
            assert_eq!(after, store.head());
            return;
        }
    }
}

/// What was read; `None` if the store was closed before.
fn unless_closed<T>(read: Result<T, ReadError>) -> Option<T> {
    match read {
        Err(ReadError::Closed) => None,
        other => Some(other.unwrap()),
    }
}

/// Reads one stream over and over, both ways, in pages of `limit`.
fn read_both_ways(store: &JournalStore, id: u8, limit: usize, done: &AtomicBool) {
    while !done.load(Ordering::SeqCst) {
        let known = store.reader.stream_version(&stream(&id.to_string()));
        let Some(known) = unless_closed(known) else {
            return;
        };
        for direction in [Direction::Forward, Direction::Backward] {
            let mut query = StreamQuery {
                direction,
                to: known,
                limit,
                ..StreamQuery::whole(stream(&id.to_string()), limit)
            };
            let mut versions = Vec::new();
            loop {
                let Some(page) = unless_closed(store.reader.read_stream(&query)) else {
                    return;
                };
                versions.extend(page.events.iter().map(|event| event.version.get()));
                match (page.next, direction) {
                    (Some(next), Direction::Forward) => query.from = next,
                    (Some(next), Direction::Backward) => query.to = next,
                    (None, _) => break,
                }
            }
            if direction == Direction::Backward {
                versions.reverse();
            }
            assert_eq!(
                versions,
                (1..=known.get()).collect::<Vec<_>>(),
                "stream {id} {direction:?}"
            );
        }
    }
}

#[test]
fn every_ack_of_sixty_writers_holds_for_every_reader_and_after_a_close_in_the_middle() {
    let (directory, faults) = (tempfile::tempdir().unwrap(), Arc::<Faults>::default());
    let options = options()
        .stream_heads(1)
        .recent_frames_bytes(32 << 10)
        .frame_bytes(20_000);
    let store = try_open(directory.path(), &options, &faults).unwrap();
    let (acked, done) = (Acked::default(), AtomicBool::new(false));
    let _following = store.watch_head();
    thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                scope.spawn({
                    let (store, acked) = (&store, &acked);
                    move || write(store, writer, acked, 60)
                })
            })
            .collect();
        for limit in [1, 7, 1_000] {
            let (store, done) = (&store, &done);
            scope.spawn(move || follow(store, limit, done));
        }
        for (id, limit) in [(0, 3), (1, 10_000)] {
            let (store, done) = (&store, &done);
            scope.spawn(move || read_both_ways(store, id, limit, done));
        }
        // Closes while half of the writers are still at it.
        for writer in writers.into_iter().take(usize::from(WRITERS / 2)) {
            writer.join().unwrap();
        }
        store.close();
        done.store(true, Ordering::SeqCst);
    });
    let head = store.head();
    drop(store);
    let store = try_open(directory.path(), &options, &faults).unwrap();
    assert!(store.recovery().segments > 2);
    assert_eq!(
        (store.recovery().segments_indexed_again, store.head()),
        (0, head)
    );
    let events = all_events(&store, 100);
    check_acks(&acked.into_inner().unwrap(), &events);
    assert_eq!(all_events(&store, 1_000), events);
}

/// Every acked append is there, whole, at the positions and versions that it was told, and nothing else is.
fn check_acks(acked: &[(Append, Appended)], events: &[crate::RecordedEvent]) {
    let mut versions: HashMap<&StreamId, u64> = HashMap::new();
    for event in events {
        let version = versions.entry(&event.stream).or_default();
        *version += 1;
        assert_eq!(event.version.get(), *version, "{}", event.stream);
    }
    assert!(
        events
            .windows(2)
            .all(|pair| pair[0].recorded_at <= pair[1].recorded_at)
    );
    let mut found = 0;
    for (append, appended) in acked {
        let count = append.event_count();
        let end = usize::try_from(appended.position.get()).unwrap();
        let recorded = &events[end - count..end];
        let wanted = append
            .streams
            .iter()
            .flat_map(|part| part.events.iter().map(|event| (&part.stream, event)));
        for (event, (stream, new)) in recorded.iter().zip(wanted) {
            assert_eq!(
                (&event.stream, event.id, &event.payload),
                (stream, new.id, &new.payload)
            );
        }
        assert_eq!(
            recorded.last().map(|last| last.version),
            appended.versions.last().copied()
        );
        found += count;
    }
    assert_eq!(found, events.len());
}

/// Builds three appends on each other without waiting, over and over; whoever is refused makes room again.
fn run_ahead(store: &JournalStore, faults: &Faults, writer: u8, acked: &Acked) {
    let own = stream(&format!("own-{writer}"));
    let shared = stream(&format!("shared-{}", writer % 3));
    let mut version = Version::EMPTY;
    for round in 0..40 {
        if round % 5 == usize::from(writer % 5) {
            faults.set_full(true);
        }
        let ahead: Vec<_> = (0..3)
            .map(|step| {
                let expected = ExpectedVersion::Exact(Version::new(version.get() + step));
                let append = Append::to(own.clone(), expected, [event(900)]).and(
                    shared.clone(),
                    ExpectedVersion::Any,
                    [event_of(vec![writer; 40])],
                );
                (submit(store, append.clone()), append)
            })
            .collect();
        let check = submit(store, Append::check(own.clone(), ExpectedVersion::Any));
        let mut durable = version;
        for (receiver, append) in ahead {
            match answer(&receiver) {
                Ok(appended) => {
                    durable = appended.versions[0];
                    acked.lock().unwrap().push((append, appended));
                }
                Err(AppendError::NotRecorded(_)) => faults.set_full(false),
                // It came after the append that it was to build on was voided.
                Err(AppendError::Conflict { actual, .. }) => assert_eq!(actual, durable),
                Err(other) => panic!("{other}"),
            }
        }
        version = durable;
        match answer(&check) {
            Ok(checked) => assert_eq!(checked.versions[0], version),
            Err(AppendError::NotRecorded(_)) => faults.set_full(false),
            Err(other) => panic!("{other}"),
        }
    }
}

#[test]
fn what_runs_ahead_of_a_disk_that_is_full_again_and_again_is_acked_or_not_there() {
    let (directory, faults) = (tempfile::tempdir().unwrap(), Arc::<Faults>::default());
    let options = options().stream_heads(1).frame_bytes(30_000);
    let store = try_open(directory.path(), &options, &faults).unwrap();
    let (acked, done) = (Acked::default(), AtomicBool::new(false));
    thread::scope(|scope| {
        let writers: Vec<_> = (0..20)
            .map(|writer| {
                scope.spawn({
                    let (store, faults, acked) = (&store, &faults, &acked);
                    move || run_ahead(store, faults, writer, acked)
                })
            })
            .collect();
        scope.spawn(|| follow(&store, 50, &done));
        for writer in writers {
            writer.join().unwrap();
        }
        done.store(true, Ordering::SeqCst);
    });
    let before = all_events(&store, 100);
    check_acks(&acked.into_inner().unwrap(), &before);
    assert!(store.reader.segments.first_position(2).is_some());
    assert!(faults.steps().iter().any(|(step, _)| *step == Step::Full));
    faults.set_full(false);
    drop(store);
    assert_eq!(
        all_events(
            &try_open(directory.path(), &options, &faults).unwrap(),
            1_000
        ),
        before
    );
}
