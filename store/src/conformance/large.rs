//! Many streams, and a long one: nothing is lost or slow to find because there is much.
//!
//! The size is quick here, so that it runs with all other cases. The same with a million is in [`super::campaign`].

use std::collections::HashSet;
use std::sync::Arc;

use super::support::{append, event, noted, read_pages, refused, stream};
use crate::append::Append;
use crate::error::AppendError;
use crate::event_store::{Direction, StreamQuery};
use crate::position::{ExpectedVersion, Position, Version};
use crate::read_model::Store;
use crate::stream_id::StreamId;

const QUICK: u64 = 20_000;
/// Events or streams of one append.
const BATCH: u64 = 1_000;
const BATCH_STEP: usize = 1_000;
/// Of how many streams or versions the content is looked at one by one.
const SAMPLES: u64 = 500;

/// Each of many streams with one event is listed once, has its own event, and takes the next one.
pub async fn many_streams_of_one_event_are_each_found<S: Store + ?Sized>(store: &Arc<S>) {
    streams_of_one_event(store, QUICK).await;
}

/// A stream of many events is whole, both ways, from any version.
pub async fn a_stream_of_many_events_is_whole_both_ways<S: Store + ?Sized>(store: &Arc<S>) {
    one_stream_of(store, QUICK).await;
}

/// The digits are the other way round: streams that come one behind the other do not stand so in the listing. No two
/// numbers give the same text, since none begins with a zero.
fn scattered(number: u64) -> StreamId {
    stream(number.to_string().chars().rev().collect::<String>())
}

/// See [`many_streams_of_one_event_are_each_found`].
pub(super) async fn streams_of_one_event<S: Store + ?Sized>(store: &Arc<S>, count: u64) {
    for first in (0..count).step_by(BATCH_STEP) {
        let batch = (first..count.min(first + BATCH)).fold(Append::default(), |batch, number| {
            let event = noted(number.to_le_bytes().to_vec());
            batch.and(scattered(number), ExpectedVersion::NoStream, [event])
        });
        append(store, batch).await;
    }
    assert_eq!(store.head(), Position::new(count));

    let mut last: Option<StreamId> = None;
    let mut listed = 0;
    loop {
        let page = store
            .streams("acme", "account", last.as_ref(), 1_000)
            .await
            .expect("the streams must be listed");
        for id in page.iter() {
            assert!(
                last.as_ref().is_none_or(|last| last < id),
                "{id} is not behind {last:?}"
            );
            last = Some(id.clone());
        }
        listed += page.len() as u64;
        if page.len() < 1_000 {
            break;
        }
    }
    assert_eq!(listed, count, "streams listed");

    let mut positions = HashSet::new();
    for number in (0..count).step_by(step(count)) {
        let page = store
            .read_stream(StreamQuery::whole(scattered(number), 10))
            .await
            .expect("the stream must be readable");
        assert_eq!(page.events.len(), 1, "events of stream {number}");
        let only = &page.events[0];
        assert_eq!(only.payload.bytes, number.to_le_bytes().as_slice());
        assert_eq!(only.position, Position::new(number + 1));
        assert!(positions.insert(only.position));
        let second = Append::to(
            scattered(number),
            ExpectedVersion::Exact(Version::new(1)),
            [event()],
        );
        assert_eq!(append(store, second).await.versions[0], Version::new(2));
    }
    let added = positions.len() as u64;
    assert_eq!(store.head(), Position::new(count + added));
    let page = store
        .read_all(Position::new(count - 1), 10)
        .await
        .expect("the events must be readable");
    assert_eq!(page.events[0].stream, scattered(count - 1));
}

/// See [`a_stream_of_many_events_is_whole_both_ways`].
pub(super) async fn one_stream_of<S: Store + ?Sized>(store: &Arc<S>, count: u64) {
    let account = stream("long");
    for first in (0..count).step_by(BATCH_STEP) {
        let batch = first..count.min(first + BATCH);
        let events = batch.map(|number| noted((number + 1).to_le_bytes().to_vec()));
        let expected = ExpectedVersion::Exact(Version::new(first));
        append(store, Append::to(account.clone(), expected, events)).await;
    }
    let told = store.stream_version(&account).await;
    assert_eq!(told.expect("the version is there"), Version::new(count));
    for direction in [Direction::Forward, Direction::Backward] {
        let mut query = StreamQuery {
            direction,
            ..StreamQuery::whole(account.clone(), 1_000)
        };
        let mut seen = 0;
        loop {
            let page = store
                .read_stream(query.clone())
                .await
                .expect("the stream must be readable");
            for event in &page.events {
                let version = match direction {
                    Direction::Forward => seen + 1,
                    Direction::Backward => count - seen,
                };
                assert_eq!(event.version, Version::new(version));
                assert_eq!(event.payload.bytes, version.to_le_bytes().as_slice());
                seen += 1;
            }
            match (page.next, direction) {
                (Some(next), Direction::Forward) => query.from = next,
                (Some(next), Direction::Backward) => query.to = next,
                (None, _) => break,
            }
        }
        assert_eq!(seen, count, "{direction:?}");
    }
    for number in (1..=count).step_by(step(count)) {
        let query = StreamQuery {
            to: Version::new(number + 2),
            ..StreamQuery::since(account.clone(), Version::new(number), 2)
        };
        let read = read_pages(store, query).await;
        let expected = (number..=count.min(number + 2)).count();
        assert_eq!(read.len(), expected, "versions {number} to {}", number + 2);
        assert_eq!(read[0].version, Version::new(number));
        assert_eq!(read[0].payload.bytes, number.to_le_bytes().as_slice());
    }
    // A conflict this far up is told like any other.
    let late = ExpectedVersion::Exact(Version::new(1));
    match refused(store, Append::to(account, late, [event()])).await {
        AppendError::Conflict { actual, .. } => assert_eq!(actual, Version::new(count)),
        other => panic!("it must be a conflict, not: {other}"),
    }
    assert_eq!(store.head(), Position::new(count));
}

/// Odd, unlike the sizes of batches and pages, so that samples fall on all places in them.
fn step(count: u64) -> usize {
    let step = usize::try_from(count / SAMPLES).expect("sizes are small");
    step.max(1) | 1
}
