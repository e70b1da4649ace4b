//! Many writers and readers at the same time, on several threads.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::task::{JoinHandle, JoinSet};
use uuid::Uuid;

use super::support::{
    append, append_one, assert_event_count, assert_gap_free, event, read_behind, read_everything,
    read_whole, stream, submit, version_of,
};
use crate::append::Append;
use crate::error::AppendError;
use crate::event_store::EventStoreExt;
use crate::position::{ExpectedVersion, Position, Version};
use crate::read_model::Store;

const WRITERS: u64 = 64;

async fn all_of(mut writers: JoinSet<()>) {
    while let Some(ended) = writers.join_next().await {
        if let Err(failed) = ended {
            std::panic::resume_unwind(failed.into_panic());
        }
    }
}

/// Writers of one stream, each with an exact expectation and another try after a conflict: every success is one event,
/// and no version is given twice or left out.
pub async fn writers_of_one_stream_leave_no_gap<S: Store + ?Sized>(store: &Arc<S>) {
    const APPENDS_EACH: u64 = 4;
    let account = stream("shared");
    let mut writers = JoinSet::new();
    for _ in 0..WRITERS {
        let (store, account) = (store.clone(), account.clone());
        writers.spawn(async move {
            let mut version = Version::EMPTY;
            for _ in 0..APPENDS_EACH {
                let event = event();
                loop {
                    let expected = ExpectedVersion::Exact(version);
                    let entry = Append::to(account.clone(), expected, [event.clone()]);
                    match store.append(entry).await {
                        Ok(answer) => {
                            assert_eq!(answer.versions.as_slice(), [version.next()]);
                            version = version.next();
                            break;
                        }
                        Err(AppendError::Conflict { actual, .. }) => {
                            assert_ne!(actual, version, "a conflict with what was expected");
                            version = actual;
                        }
                        Err(other) => panic!("neither success nor conflict: {other}"),
                    }
                }
            }
        });
    }
    all_of(writers).await;
    assert_eq!(version_of(store, &account).await, WRITERS * APPENDS_EACH);
    let recorded = read_whole(store, &account).await;
    assert_gap_free(&recorded);
    let ids: std::collections::HashSet<_> = recorded.iter().map(|event| event.id).collect();
    assert_eq!(ids.len(), recorded.len(), "an event was recorded twice");
    assert_event_count(store, WRITERS * APPENDS_EACH).await;
}

/// Writers of their own streams, who all write to one more besides: none disturbs another, and the answers name the
/// places where the events are.
pub async fn writers_of_their_own_streams_leave_no_gap<S: Store + ?Sized>(store: &Arc<S>) {
    const APPENDS_EACH: u64 = 4;
    let shared = stream("shared");
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let (store, shared) = (store.clone(), shared.clone());
        writers.spawn(async move {
            let own = stream(writer);
            for round in 0..APPENDS_EACH {
                let expected = ExpectedVersion::Exact(Version::new(2 * round));
                let entry = Append::to(own.clone(), expected, [event(), event()]).and(
                    shared.clone(),
                    ExpectedVersion::Any,
                    [event()],
                );
                let answer = append(&store, entry).await;
                assert_eq!(answer.versions[0], Version::new(2 * round + 2));
                let before = Position::new(answer.position.get() - 3);
                let page = store.read_all(before, 3).await.unwrap();
                let places: Vec<_> = page
                    .events
                    .iter()
                    .map(|event| (&event.stream, event.version))
                    .collect();
                assert_eq!(
                    places,
                    [
                        (&own, Version::new(2 * round + 1)),
                        (&own, Version::new(2 * round + 2)),
                        (&shared, answer.versions[1]),
                    ]
                );
            }
        });
    }
    all_of(writers).await;
    assert_event_count(store, 3 * WRITERS * APPENDS_EACH).await;
    assert_eq!(version_of(store, &shared).await, WRITERS * APPENDS_EACH);
    assert_gap_free(&read_whole(store, &shared).await);
    for writer in 0..WRITERS {
        let recorded = read_whole(store, &stream(writer)).await;
        assert_eq!(recorded.len(), 8, "events of writer {writer}");
        assert_gap_free(&recorded);
    }
    let everything = read_everything(store).await;
    for pair in everything.windows(2) {
        assert!(
            pair[0].recorded_at <= pair[1].recorded_at,
            "recorded_at goes back at position {}",
            pair[1].position
        );
    }
}

/// Who reads up to the head while others write sees each append over several streams whole or not at all.
pub async fn an_append_over_streams_is_seen_whole_or_not_at_all<S: Store + ?Sized>(store: &Arc<S>) {
    const APPENDS_EACH: u64 = 25;
    let done = Arc::new(AtomicBool::new(false));
    let readers: Vec<JoinHandle<u64>> = [1, 2, 7, 1_000]
        .map(|limit| {
            let (store, done) = (store.clone(), done.clone());
            tokio::spawn(async move {
                let mut passes = 0;
                loop {
                    let last_pass = done.load(Ordering::Acquire);
                    let head = store.head().get();
                    assert_eq!(head % 3, 0, "the head {head} lies within an append");
                    let after = Position::new(head.saturating_sub(30));
                    let seen = read_behind(&store, after, limit).await;
                    for group in seen.chunks(3) {
                        assert_eq!(group.len(), 3, "an append of three was seen in part");
                        assert!(
                            group
                                .iter()
                                .all(|event| event.correlation_id == group[0].correlation_id),
                            "two appends were mixed at position {}",
                            group[0].position
                        );
                    }
                    assert!(
                        after.get() + u64::try_from(seen.len()).unwrap() >= head,
                        "a read did not reach the head of before it"
                    );
                    passes += 1;
                    if last_pass {
                        return passes;
                    }
                    tokio::task::yield_now().await;
                }
            })
        })
        .into();
    let mut writers = JoinSet::new();
    for writer in 0..4 {
        let store = store.clone();
        writers.spawn(async move {
            for round in 0..APPENDS_EACH {
                let entry_id = Uuid::from_u64_pair(writer, round);
                let mut entry = Append::default();
                for part in 0..3 {
                    let mut event = event();
                    event.correlation_id = Some(entry_id);
                    entry = entry.and(stream(part), ExpectedVersion::Any, [event]);
                }
                append(&store, entry).await;
            }
        });
    }
    all_of(writers).await;
    done.store(true, Ordering::Release);
    for reader in readers {
        assert!(reader.await.unwrap() >= 1);
    }
    assert_event_count(store, 4 * APPENDS_EACH * 3).await;
}

/// Who reads one stream after the other while others write sees no append over several of them in one and not in the
/// next.
pub async fn an_append_over_streams_is_seen_in_each_of_them_or_in_none<S: Store + ?Sized>(
    store: &Arc<S>,
) {
    const APPENDS: u64 = 100;
    let streams = [stream("b"), stream("c"), stream("a")];
    let readers: Vec<JoinHandle<()>> = [[0, 1, 2], [2, 1, 0], [1, 0, 2]]
        .map(|order| {
            let (store, streams) = (store.clone(), streams.clone());
            tokio::spawn(async move {
                let mut seen = 0;
                while seen < APPENDS {
                    // Each append adds one event to each of them, so none may be behind the one that was read before.
                    for (number, at) in order.into_iter().enumerate() {
                        let read = read_whole(&store, &streams[at]).await.len() as u64;
                        assert!(
                            read >= seen,
                            "{} has {read} events, another one already {seen} (read as number {number})",
                            streams[at]
                        );
                        seen = read;
                        let told = version_of(&store, &streams[at]).await;
                        assert!(told >= seen, "{told} was told, {seen} were read");
                        seen = told;
                    }
                    tokio::task::yield_now().await;
                }
            })
        })
        .into();
    for _ in 0..APPENDS {
        let entry = streams.iter().fold(Append::default(), |entry, stream| {
            entry.and(stream.clone(), ExpectedVersion::Any, [event()])
        });
        append(store, entry).await;
    }
    for reader in readers {
        reader.await.unwrap();
    }
}

/// What any read gave at any time is there to the end, at the same place; nothing of a refused append is ever given.
pub async fn what_was_seen_stays_and_what_was_refused_is_never_seen<S: Store + ?Sized>(
    store: &Arc<S>,
) {
    const APPENDS_EACH: u64 = 40;
    const WRITERS: u64 = 4;
    let done = Arc::new(AtomicBool::new(false));
    let reader = {
        let (store, done) = (store.clone(), done.clone());
        tokio::spawn(async move {
            let mut seen = HashMap::new();
            loop {
                let last_pass = done.load(Ordering::Acquire);
                let mut read = read_everything(&store).await;
                for writer in 0..WRITERS {
                    read.extend(read_whole(&store, &stream(writer)).await);
                }
                for event in read {
                    let place = (event.id, event.stream.clone(), event.version);
                    let before = seen.insert(event.position, place.clone());
                    assert!(before.is_none_or(|before| before == place));
                }
                if last_pass {
                    return seen;
                }
                tokio::task::yield_now().await;
            }
        })
    };
    let mut writers = JoinSet::new();
    let refused_ids = Arc::new(std::sync::Mutex::new(Vec::new()));
    for writer in 0..WRITERS {
        let (store, refused_ids) = (store.clone(), Arc::clone(&refused_ids));
        writers.spawn(async move {
            for round in 0..APPENDS_EACH {
                let (good, bad, beside) = (event(), event(), event());
                refused_ids.lock().unwrap().extend([bad.id, beside.id]);
                let expected = |version| ExpectedVersion::Exact(Version::new(version));
                // In one go: the good one is not durable when the bad one is refused on top of it.
                let taken = Append::to(stream(writer), expected(round), [good]);
                let conflicting = Append::to(stream(writer), expected(round), [bad]).and(
                    stream("other"),
                    ExpectedVersion::Any,
                    [beside],
                );
                let (taken, conflicting) = (submit(&store, taken), submit(&store, conflicting));
                taken.success().await;
                assert!(matches!(
                    conflicting.outcome().await,
                    Err(AppendError::Conflict { .. })
                ));
            }
        });
    }
    all_of(writers).await;
    done.store(true, Ordering::Release);
    let seen = reader.await.unwrap();
    assert_eq!(seen.len() as u64, WRITERS * APPENDS_EACH);
    for id in refused_ids.lock().unwrap().iter() {
        assert!(
            seen.values().all(|(seen, ..)| seen != id),
            "{id} was refused"
        );
    }
    assert_event_count(store, WRITERS * APPENDS_EACH).await;
}

/// Who reads on whenever the head moves gets every event once and in order, though others go on writing.
pub async fn a_reader_that_follows_the_head_misses_nothing<S: Store + ?Sized>(store: &Arc<S>) {
    const APPENDS_EACH: usize = 25;
    let total = 4 * APPENDS_EACH;
    let following = store.clone();
    let reader = tokio::spawn(async move {
        let mut head = following.watch_head();
        let mut seen = Vec::new();
        while seen.len() < total {
            let after = Position::new(u64::try_from(seen.len()).unwrap());
            head.wait_for(|head| *head > after)
                .await
                .expect("the store must not close the watch");
            seen.extend(read_behind(&following, after, 7).await);
        }
        seen
    });
    let mut writers = JoinSet::new();
    for writer in 0..4 {
        let store = store.clone();
        writers.spawn(async move {
            for _ in 0..APPENDS_EACH {
                append_one(&store, &stream(writer)).await;
            }
        });
    }
    all_of(writers).await;
    let seen = reader.await.unwrap();
    assert_eq!(seen, read_everything(store).await);
    let mut versions = HashMap::new();
    for (position, event) in (1..).zip(&seen) {
        assert_eq!(event.position, Position::new(position));
        let version = versions.entry(&event.stream).or_insert(0);
        *version += 1;
        assert_eq!(event.version.get(), *version, "of {}", event.stream);
    }
}

/// A stream's version and its events agree at any moment: a version that was told can be read.
pub async fn a_version_that_was_told_can_be_read<S: Store + ?Sized>(store: &Arc<S>) {
    let account = stream(1);
    let writing = {
        let (store, account) = (store.clone(), account.clone());
        tokio::spawn(async move {
            for _ in 0..100 {
                append_one(&store, &account).await;
            }
        })
    };
    let mut told = 0;
    while told < 100 {
        told = version_of(store, &account).await;
        let recorded = read_whole(store, &account).await;
        assert_gap_free(&recorded);
        assert!(
            recorded.len() >= usize::try_from(told).unwrap(),
            "version {told} was told, but there are {} events",
            recorded.len()
        );
        if let Some(last) = recorded.last() {
            assert!(
                store.head() >= last.position,
                "an event beyond the head was read"
            );
        }
        tokio::task::yield_now().await;
    }
    writing.await.unwrap();
}
