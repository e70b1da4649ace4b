use std::fmt::Display;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::append::{Append, Appended};
use crate::error::AppendError;
use crate::event::{NewEvent, Payload, RecordedEvent};
use crate::event_store::{Direction, EventStoreExt, StreamQuery};
use crate::position::{ExpectedVersion, Position, Version};
use crate::read_model::Store;
use crate::stream_id::StreamId;

/// The limits to page with: every way in which a page can end beside an append or a stream.
pub(super) const PAGE_LIMITS: [usize; 5] = [1, 2, 3, 7, 1_000];

pub(super) fn stream(id: impl Display) -> StreamId {
    stream_of("acme", "account", &id.to_string())
}

pub(super) fn stream_of(tenant: &str, aggregate_type: &str, id: &str) -> StreamId {
    StreamId::new(tenant, aggregate_type, id).expect("the suite names its streams well")
}

/// An id of the form of UUID version 7, never given twice in this process.
pub(super) fn fresh_id() -> Uuid {
    static GIVEN: AtomicU64 = AtomicU64::new(1);
    let number = GIVEN.fetch_add(1, Ordering::Relaxed);
    let mut random = [0; 10];
    random[2..].copy_from_slice(&number.to_be_bytes());
    uuid::Builder::from_unix_timestamp_millis(1_700_000_000_000, &random).into_uuid()
}

pub(super) fn event() -> NewEvent {
    noted("a note")
}

pub(super) fn noted(payload: impl Into<Bytes>) -> NewEvent {
    NewEvent::new(fresh_id(), "Noted", Payload::raw(payload))
}

pub(super) fn events(count: usize) -> Vec<NewEvent> {
    (0..count).map(|_| event()).collect()
}

/// Payload bytes that no compression and no zero filling gives by chance.
pub(super) fn patterned(len: usize) -> Vec<u8> {
    let mut state: u32 = 0x9e37_79b9;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[1]
    };
    (0..len).map(next).collect()
}

/// Appends what must succeed.
pub(super) async fn append<S: Store + ?Sized>(store: &Arc<S>, append: Append) -> Appended {
    let shown = format!(
        "{:?}",
        append
            .streams
            .iter()
            .map(|p| (&p.stream, p.expected))
            .collect::<Vec<_>>()
    );
    match store.append(append).await {
        Ok(appended) => appended,
        Err(error) => panic!("the append to {shown} must succeed, but: {error}"),
    }
}

/// Appends what must be refused.
pub(super) async fn refused<S: Store + ?Sized>(store: &Arc<S>, append: Append) -> AppendError {
    match store.append(append).await {
        Ok(appended) => panic!("the append must be refused, but: {appended:?}"),
        Err(error) => error,
    }
}

/// Appends one event to a stream of whatever version.
pub(super) async fn append_one<S: Store + ?Sized>(store: &Arc<S>, stream: &StreamId) -> Appended {
    append(
        store,
        Append::to(stream.clone(), ExpectedVersion::Any, [event()]),
    )
    .await
}

/// Appends that many events to a stream of whatever version, in one append.
pub(super) async fn append_many<S: Store + ?Sized>(
    store: &Arc<S>,
    stream: &StreamId,
    count: usize,
) -> Appended {
    let append_all = Append::to(stream.clone(), ExpectedVersion::Any, events(count));
    append(store, append_all).await
}

/// The outcome of an append that is submitted and not waited for.
#[derive(Debug)]
pub(super) struct Submitted(oneshot::Receiver<Result<Appended, AppendError>>);

impl Submitted {
    pub(super) async fn outcome(self) -> Result<Appended, AppendError> {
        self.0
            .await
            .expect("the store dropped a callback that it must call exactly once")
    }

    pub(super) async fn success(self) -> Appended {
        match self.outcome().await {
            Ok(appended) => appended,
            Err(error) => panic!("the submitted append must succeed, but: {error}"),
        }
    }
}

pub(super) fn submit<S: Store + ?Sized>(store: &Arc<S>, append: Append) -> Submitted {
    let (told, outcome) = oneshot::channel();
    store.submit(append, Box::new(move |outcome| drop(told.send(outcome))));
    Submitted(outcome)
}

/// Everything that a query gives over all its pages, which must fit together.
pub(super) async fn read_pages<S: Store + ?Sized>(
    store: &Arc<S>,
    mut query: StreamQuery,
) -> Vec<RecordedEvent> {
    let mut events: Vec<RecordedEvent> = Vec::new();
    loop {
        let page = store
            .read_stream(query.clone())
            .await
            .expect("the stream must be readable");
        assert!(
            page.events.len() <= query.limit,
            "{query:?} gave {} events",
            page.events.len()
        );
        let last = page.events.last().map(|event| event.version.get());
        events.extend(page.events);
        let Some(next) = page.next else { return events };
        let last = last.unwrap_or_else(|| panic!("{query:?} gave no event, but has more"));
        match query.direction {
            Direction::Forward => {
                assert_eq!(next.get(), last + 1, "where {query:?} goes on");
                query.from = next;
            }
            Direction::Backward => {
                assert_eq!(next.get(), last - 1, "where {query:?} goes on");
                query.to = next;
            }
        }
    }
}

/// All events of a stream, oldest first.
pub(super) async fn read_whole<S: Store + ?Sized>(
    store: &Arc<S>,
    stream: &StreamId,
) -> Vec<RecordedEvent> {
    read_pages(store, StreamQuery::whole(stream.clone(), 1_000)).await
}

/// All events behind a position, over all pages, which must fit together.
pub(super) async fn read_behind<S: Store + ?Sized>(
    store: &Arc<S>,
    mut after: Position,
    limit: usize,
) -> Vec<RecordedEvent> {
    let mut events: Vec<RecordedEvent> = Vec::new();
    loop {
        let page = store
            .read_all(after, limit)
            .await
            .expect("the events must be readable");
        assert!(
            page.events.len() <= limit,
            "limit {limit} gave {} events",
            page.events.len()
        );
        let last = page.events.last().map(|event| event.position);
        events.extend(page.events);
        let Some(next) = page.next else { return events };
        assert_eq!(Some(next), last, "where reading behind {after} goes on");
        after = next;
    }
}

/// All events of the store, in the order of positions.
pub(super) async fn read_everything<S: Store + ?Sized>(store: &Arc<S>) -> Vec<RecordedEvent> {
    read_behind(store, Position::BEFORE_FIRST, 1_000).await
}

pub(super) async fn version_of<S: Store + ?Sized>(store: &Arc<S>, stream: &StreamId) -> u64 {
    store
        .stream_version(stream)
        .await
        .expect("the version must be readable")
        .get()
}

/// The store holds exactly this many events, and says so in every way there is.
pub(super) async fn assert_event_count<S: Store + ?Sized>(store: &Arc<S>, count: u64) {
    let everything = read_everything(store).await;
    let positions: Vec<_> = everything
        .iter()
        .map(|event| event.position.get())
        .collect();
    assert_eq!(
        positions,
        (1..=count).collect::<Vec<_>>(),
        "positions must be 1 to {count}"
    );
    assert_eq!(store.head().get(), count, "the head");
    assert_eq!(store.watch_head().borrow().get(), count, "the watched head");
}

/// A stream's versions are 1, 2, 3 and so on, and its positions rise with them.
pub(super) fn assert_gap_free(events: &[RecordedEvent]) {
    for (version, event) in (1..).zip(events) {
        assert_eq!(event.version, Version::new(version), "in {}", event.stream);
    }
    for pair in events.windows(2) {
        assert!(
            pair[0].position < pair[1].position,
            "positions must rise with versions in {}",
            pair[0].stream
        );
    }
}
