use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use bytes::Bytes;
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::append::{Append, Appended};
use crate::clock::Timestamp;
use crate::command::{CommandReply, CommandStamp};
use crate::error::AppendError;
use crate::event::{NewEvent, Payload};
use crate::event_store::{Direction, EventStore, EventStoreExt, StreamQuery};
use crate::memory::MemoryStore;
use crate::position::{ExpectedVersion, Version};
use crate::snapshot::{Snapshot, SnapshotCriteria, SnapshotStore};

#[cfg(feature = "conformance")]
mod over_nothing {
    use super::*;

    crate::conformance_tests!(async {
        let base = Arc::new(MemoryStore::new());
        let fork = OverlayStore::fork(base, Position::BEFORE_FIRST).await;
        (Arc::new(fork.unwrap()), ())
    });
}

/// Nothing of what the base recorded after the fork's position shows in the fork.
#[cfg(feature = "conformance")]
mod before_a_busy_base {
    use super::*;

    crate::conformance_tests!(async {
        let base = Arc::new(MemoryStore::new());
        for number in 0..20u64 {
            // The streams that the suite uses, too.
            let streams = ["1", "written", "read", "known", "left", "right"].map(stream);
            for stream in streams {
                base.append(noted(&stream, number)).await.unwrap();
            }
        }
        let fork = OverlayStore::fork(base, Position::BEFORE_FIRST).await;
        (Arc::new(fork.unwrap()), ())
    });
}

fn stream(id: &str) -> StreamId {
    StreamId::new("acme", "account", id).unwrap()
}

fn event(number: u64) -> NewEvent {
    let payload = Payload::raw(number.to_le_bytes().to_vec());
    NewEvent::new(Uuid::from_u128(number.into()), "Noted", payload)
}

fn noted(stream: &StreamId, number: u64) -> Append {
    Append::to(stream.clone(), ExpectedVersion::Any, [event(number)])
}

fn stamp(id: u128) -> CommandStamp {
    CommandStamp {
        id: Uuid::from_u128(id),
        fingerprint: [3; 16],
        reply: CommandReply {
            bytes: Bytes::from_static(b"done"),
            ..CommandReply::default()
        },
    }
}

#[derive(Debug, Default)]
struct CountingClock(AtomicI64);

impl Clock for CountingClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_micros(self.0.fetch_add(1, Ordering::Relaxed))
    }

    fn new_id(&self) -> Uuid {
        Uuid::nil()
    }
}

/// A base of three streams, forked before its last events, and the events that the fork begins with.
async fn forked() -> (Arc<MemoryStore>, OverlayStore) {
    let base = Arc::new(MemoryStore::new());
    for number in 1..=7 {
        base.append(noted(&stream("a"), number)).await.unwrap();
    }
    base.append(noted(&stream("b"), 8)).await.unwrap();
    let fork_at = base.head();
    base.append(noted(&stream("a"), 9)).await.unwrap();
    base.append(noted(&stream("later"), 10)).await.unwrap();
    let fork = OverlayStore::fork(base.clone(), fork_at).await.unwrap();
    (base, fork)
}

#[tokio::test]
async fn a_position_that_is_not_there_yet_is_not_forked() {
    let base = Arc::new(MemoryStore::new());
    let refused = OverlayStore::fork(base, Position::new(1))
        .await
        .unwrap_err();
    assert!(matches!(refused, ForkError::NotYet { .. }), "{refused}");
}

#[tokio::test]
async fn what_the_base_records_meanwhile_does_not_show_and_the_base_is_never_written() {
    let (base, fork) = forked().await;
    let before = base.read_all(Position::BEFORE_FIRST, 100).await.unwrap();
    assert_eq!(
        fork.stream_version(&stream("later")).await.unwrap(),
        Version::EMPTY
    );
    let exact = ExpectedVersion::Exact(Version::new(7));
    let append = Append::to(stream("a"), exact, [event(100)]);
    let appended = fork.append(append).await.unwrap();
    assert_eq!(
        (appended.position, appended.versions[0]),
        (Position::new(9), Version::new(8))
    );
    let streams = fork.streams("acme", "account", None, 10).await.unwrap();
    assert_eq!(streams, [stream("a"), stream("b")]);
    fork.append(noted(&stream("later"), 101)).await.unwrap();
    assert_eq!(
        fork.changed_streams(None, 10),
        [stream("a"), stream("later")]
    );
    assert_eq!(
        base.read_all(Position::BEFORE_FIRST, 100).await.unwrap(),
        before
    );
}

/// Submits without waiting for anything; gives a receiver of the outcome.
fn submit(
    fork: &OverlayStore,
    append: Append,
) -> tokio::sync::oneshot::Receiver<Result<Appended, AppendError>> {
    let (told, outcome) = tokio::sync::oneshot::channel();
    fork.submit(append, Box::new(move |settled| drop(told.send(settled))));
    outcome
}

/// The version in the base is not known yet, so that the refusal comes late: another writer's events stand where the
/// refused append would have led to.
#[tokio::test]
async fn what_was_built_on_an_append_that_is_refused_late_is_not_recorded() {
    let (_base, fork) = forked().await;
    let to = |expected: u64, number| {
        let expected = ExpectedVersion::Exact(Version::new(expected));
        Append::to(stream("a"), expected, [event(number)])
    };
    let refused = submit(&fork, to(6, 100));
    let built_on_it = submit(&fork, to(7, 101));
    let built_on_that = submit(&fork, to(8, 102));
    let other = submit(&fork, noted(&stream("b"), 103));
    let conflict = refused.await.unwrap().unwrap_err();
    assert!(
        matches!(conflict, AppendError::Conflict { .. }),
        "{conflict}"
    );
    for void in [built_on_it, built_on_that] {
        let void = void.await.unwrap().unwrap_err();
        assert!(matches!(void, AppendError::NotRecorded(_)), "{void}");
    }
    assert_eq!(other.await.unwrap().unwrap().versions[0], Version::new(2));
    // Whoever has read the version anew goes on.
    assert_eq!(
        submit(&fork, to(7, 104)).await.unwrap().unwrap().versions[0],
        Version::new(8)
    );
}

#[tokio::test]
async fn a_command_of_the_base_is_a_duplicate_here_and_one_that_came_later_is_not() {
    let base = Arc::new(MemoryStore::new());
    base.append(noted(&stream("a"), 1).answering(stamp(1)))
        .await
        .unwrap();
    let at = base.head();
    base.append(noted(&stream("a"), 2).answering(stamp(2)))
        .await
        .unwrap();
    let fork = OverlayStore::fork(base, at).await.unwrap();
    let again = fork
        .append(noted(&stream("a"), 3).answering(stamp(1)))
        .await
        .unwrap_err();
    assert!(matches!(again, AppendError::Duplicate { .. }), "{again}");
    assert!(fork.command(Uuid::from_u128(2)).await.unwrap().is_none());
    fork.append(noted(&stream("a"), 4).answering(stamp(2)))
        .await
        .unwrap();
    let recorded = fork.command(Uuid::from_u128(2)).await.unwrap().unwrap();
    assert_eq!(recorded.position, Position::new(2));
    let again = fork
        .append(noted(&stream("a"), 5).answering(stamp(2)))
        .await
        .unwrap_err();
    assert!(matches!(again, AppendError::Duplicate { .. }), "{again}");
}

#[tokio::test]
async fn snapshots_above_the_position_are_not_used_and_the_forks_own_do_not_reach_the_base() {
    let (base, fork) = forked().await;
    let keep = std::num::NonZeroU16::new(9).unwrap();
    let snapshot = |version| Snapshot {
        stream: stream("a"),
        version: Version::new(version),
        event_id: Uuid::nil(),
        taken_at: Timestamp::default(),
        state_schema: 1,
        payload: Payload::raw(vec![0; 10]),
    };
    for version in [3, 6, 8] {
        base.save_snapshot(snapshot(version), keep).await.unwrap();
    }
    let newest = async || {
        let loaded = fork
            .load_snapshot(&stream("a"), SnapshotCriteria::ALL)
            .await
            .unwrap();
        loaded.map(|snapshot| snapshot.version.get())
    };
    assert_eq!(newest().await, Some(6));
    let listed = fork
        .snapshots(&stream("a"), SnapshotCriteria::ALL)
        .await
        .unwrap();
    assert_eq!(listed.len(), 2);
    fork.save_snapshot(snapshot(7), keep).await.unwrap();
    assert_eq!(newest().await, Some(7));
    fork.delete_snapshots(&stream("a"), SnapshotCriteria::ALL)
        .await
        .unwrap();
    assert_eq!(newest().await, None);
    let there = base
        .snapshots(&stream("a"), SnapshotCriteria::ALL)
        .await
        .unwrap();
    assert_eq!(there.len(), 3);
}

#[tokio::test]
async fn a_fork_that_would_take_too_much_memory_refuses_and_says_so() {
    let base = Arc::new(MemoryStore::new());
    let clock = Arc::new(CountingClock::default());
    let fork = OverlayStore::fork_with(base, Position::BEFORE_FIRST, clock, 1_000)
        .await
        .unwrap();
    let mut taken = 0;
    let refused = loop {
        match fork.append(noted(&stream("a"), taken)).await {
            Ok(_) => taken += 1,
            Err(refused) => break refused,
        }
    };
    assert_eq!(taken, 3);
    assert!(
        refused.to_string().contains("its limit is 1000"),
        "{refused}"
    );
    // A check records nothing, and what is there can be read.
    fork.append(Append::check(
        stream("a"),
        ExpectedVersion::Exact(Version::new(3)),
    ))
    .await
    .unwrap();
    assert_eq!(
        fork.read_stream(StreamQuery::whole(stream("a"), 9))
            .await
            .unwrap()
            .events
            .len(),
        3
    );
}

/// One append of a random history: to streams 0 to 4, so many events each, under a command or not.
type Step = (Vec<(u8, u8)>, bool);

fn steps(count: usize) -> impl Strategy<Value = Vec<Step>> {
    let parts = prop::collection::btree_map(0..5u8, 0..4u8, 1..4);
    let parts = parts.prop_map(|parts| parts.into_iter().collect());
    prop::collection::vec((parts, any::<bool>()), 0..count)
}

fn append_of(number: usize, (parts, has_command): &Step) -> Append {
    let mut append = Append::default();
    for (part, count) in parts {
        let events = (0..*count).map(|index| {
            event((number * 100 + usize::from(*part) * 10 + usize::from(index)) as u64)
        });
        append = append.and(stream(&part.to_string()), ExpectedVersion::Any, events);
    }
    match has_command {
        true => append.answering(stamp(number as u128)),
        false => append,
    }
}

/// Every read of both stores gives the same events, whatever its bounds, direction and page size.
async fn same_reads(fork: &OverlayStore, model: &MemoryStore, bounds: (u64, u64), limit: usize) {
    assert_eq!(fork.head(), model.head());
    for after in [0, bounds.0, bounds.1] {
        let (mut found, mut expected) = (Vec::new(), Vec::new());
        for (store, events) in [
            (fork as &dyn EventStore, &mut found),
            (model, &mut expected),
        ] {
            let mut next = Some(Position::new(after));
            while let Some(after) = next {
                let page = store.read_all(after, limit).await.unwrap();
                assert!(page.events.len() <= limit);
                events.extend(page.events);
                next = page.next;
            }
        }
        assert_eq!(found, expected);
    }
    for id in 0..6u8 {
        let id = stream(&id.to_string());
        assert_eq!(
            fork.stream_version(&id).await.unwrap(),
            model.stream_version(&id).await.unwrap()
        );
        for direction in [Direction::Forward, Direction::Backward] {
            let (mut found, mut expected) = (Vec::new(), Vec::new());
            for (store, events) in [
                (fork as &dyn EventStore, &mut found),
                (model, &mut expected),
            ] {
                let mut query = StreamQuery {
                    stream: id.clone(),
                    from: Version::new(bounds.0.min(bounds.1)),
                    to: Version::new(bounds.0.max(bounds.1)),
                    direction,
                    limit,
                };
                loop {
                    let page = store.read_stream(query.clone()).await.unwrap();
                    assert!(page.events.len() <= limit);
                    let has_events = !page.events.is_empty();
                    events.extend(page.events);
                    match page.next {
                        Some(next) if direction == Direction::Forward => query.from = next,
                        Some(next) => query.to = next,
                        None => break,
                    }
                    assert!(has_events, "a page without events says that there are more");
                }
            }
            assert_eq!(found, expected, "{id} {direction:?} {bounds:?} by {limit}");
        }
    }
    for after in [None, Some(stream("1"))] {
        assert_eq!(
            fork.streams("acme", "account", after.as_ref(), limit)
                .await
                .unwrap(),
            model
                .streams("acme", "account", after.as_ref(), limit)
                .await
                .unwrap()
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// The fork reads as a store to which the base's history up to the position and the fork's own were appended.
    #[test]
    fn a_fork_reads_as_one_store_with_both_histories(
        base_steps in steps(12),
        later_steps in steps(6),
        fork_steps in steps(12),
        bounds in (0..25u64, 0..25u64),
        limit in 1..6usize,
        waits in any::<bool>(),
    ) {
        let tokio = tokio::runtime::Builder::new_current_thread().build().unwrap();
        tokio.block_on(async {
            let clock = || Arc::new(CountingClock::default());
            let (base, model) = (Arc::new(MemoryStore::with_clock(clock())), MemoryStore::with_clock(clock()));
            for (number, step) in base_steps.iter().enumerate() {
                base.append(append_of(number, step)).await.unwrap();
                model.append(append_of(number, step)).await.unwrap();
            }
            let at = base.head();
            for (number, step) in later_steps.iter().enumerate() {
                base.append(append_of(5_000 + number, step)).await.unwrap();
            }
            // Its time goes on where the model's does.
            let fork_clock = clock();
            fork_clock.0.store(base_steps.len() as i64, Ordering::Relaxed);
            let fork = OverlayStore::fork_with(base, at, fork_clock, usize::MAX).await.unwrap();
            let mut told = Vec::new();
            for (number, step) in fork_steps.iter().enumerate() {
                told.push(submit(&fork, append_of(100 + number, step)));
                if waits {
                    let outcome = told.pop().unwrap().await.unwrap();
                    let expected = model.append(append_of(100 + number, step)).await;
                    assert_eq!(outcome.unwrap(), expected.unwrap());
                } else {
                    model.append(append_of(100 + number, step)).await.unwrap();
                }
            }
            for outcome in told {
                outcome.await.unwrap().unwrap();
            }
            same_reads(&fork, &model, bounds, limit).await;
        });
    }
}
