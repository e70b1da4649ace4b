//! What the store child does, step by step, and what must then be in the store: the child runs it, the tests that kill
//! the child know it. Nothing in it is random, so every event can be compared byte for byte.

use std::num::NonZeroU16;

use foldhouse_store::{
    Append, Change, Checkpoint, EventStore, EventStoreExt, ExpectedVersion, JournalOptions,
    JournalStore, NewEvent, Payload, Position, ReadModelStore, Snapshot, SnapshotCriteria,
    SnapshotStore, StreamId, StreamQuery, Timestamp, Version,
};
use uuid::Uuid;

/// What the streams of the script belong to.
pub(crate) const TENANT: &str = "acme";
pub(crate) const AGGREGATE_TYPE: &str = "account";
/// The read model that the script keeps.
pub(crate) const PROJECTION: &str = "balances";
/// Written to stdout before the store is touched.
pub(crate) const BEGIN: &str = "begin";

/// How the script's store is opened: the smallest segments, so that a few appends fill one.
pub(crate) fn options() -> JournalOptions {
    JournalOptions::new().segment_bytes(256 << 10)
}

/// One step of the script.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Append(Append),
    SaveSnapshot(Snapshot),
    DeleteSnapshot(StreamId),
    Commit(Checkpoint, Vec<Change>),
    ResetReadModel,
    /// Reads a stream, and all events of the first segment.
    Read(StreamId),
    CloseAndOpen,
}

pub(crate) fn stream(name: &str) -> StreamId {
    StreamId::new(TENANT, AGGREGATE_TYPE, name).unwrap()
}

/// The whole script.
pub(crate) fn steps() -> Vec<Step> {
    let mut script = Script::default();
    script.append(&[("a", 1, 40)]);
    script.append(&[("b", 5, 300)]);
    script.append(&[("a", 1, 900), ("c", 2, 10), ("d", 1, 5_000)]);
    script.snapshot("a", 300);
    script.snapshot("d", 10_000);
    script.commit(1, &[1, 2, 3, 700]);
    for round in 0..6 {
        // Fills a segment and a bit.
        script.append(&[("big", 1, 60_000), ("b", 2, 100)]);
        script.append(&[(["e", "f", "g"][round % 3], 1, 8_000)]);
        if round == 2 {
            script.snapshot("a", 9_000);
            script.commit(2, &[2, 3, 4, 900]);
        }
    }
    script.steps.push(Step::Read(stream("b")));
    script.snapshot("d", 200);
    script.steps.push(Step::CloseAndOpen);
    script.append(&[("a", 2, 500)]);
    script.steps.push(Step::DeleteSnapshot(stream("a")));
    script.steps.push(Step::ResetReadModel);
    script.commit(3, &[1, 5]);
    script.append(&[("h", 1, 70_000), ("a", 1, 20_000), ("big", 1, 1)]);
    script.append(&[("big", 3, 20_000), ("c", 1, 77)]);
    script.append(&[("e", 1, 1)]);
    script.snapshot("h", 50);
    script.steps.push(Step::Read(stream("big")));
    script.steps
}

/// Takes any step but [`Step::CloseAndOpen`].
pub(crate) async fn take(store: &JournalStore, step: Step) {
    match step {
        Step::Append(append) => drop(store.append(append).await.unwrap()),
        Step::SaveSnapshot(snapshot) => store
            .save_snapshot(snapshot, NonZeroU16::MIN)
            .await
            .unwrap(),
        Step::DeleteSnapshot(stream) => store
            .delete_snapshots(&stream, SnapshotCriteria::ALL)
            .await
            .unwrap(),
        Step::Commit(checkpoint, changes) => {
            let committed = store.commit(PROJECTION, checkpoint, changes).await;
            committed.unwrap();
        }
        Step::ResetReadModel => store.reset(PROJECTION).await.unwrap(),
        Step::Read(stream) => {
            let query = StreamQuery::whole(stream, 1_000);
            assert!(!store.read_stream(query).await.unwrap().events.is_empty());
            let all = store.read_all(Position::BEFORE_FIRST, 10).await.unwrap();
            assert_eq!(all.events.len(), 10);
        }
        Step::CloseAndOpen => panic!("it takes more than the store"),
    }
}

/// An event as the script gave it.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    pub(crate) stream: StreamId,
    pub(crate) version: Version,
    pub(crate) event: NewEvent,
}

/// The events of an append in the order of their positions, given the ones before it.
pub(crate) fn written(append: &Append, before: &[Written]) -> Vec<Written> {
    let mut written = Vec::new();
    for part in &append.streams {
        let earlier = before.iter().filter(|w| w.stream == part.stream).count() as u64;
        for (version, event) in (earlier + 1..).zip(&part.events) {
            written.push(Written {
                stream: part.stream.clone(),
                version: Version::new(version),
                event: event.clone(),
            });
        }
    }
    written
}

#[derive(Default)]
struct Script {
    steps: Vec<Step>,
    written: Vec<Written>,
}

impl Script {
    /// An append of `(stream, events, bytes of each)`.
    fn append(&mut self, parts: &[(&str, usize, usize)]) {
        let mut append = Append::default();
        let mut number = self.written.len() as u64;
        for (name, count, bytes) in parts {
            let stream = stream(name);
            let expected = match self.version(&stream) {
                Version::EMPTY => ExpectedVersion::NoStream,
                version => ExpectedVersion::Exact(version),
            };
            let events = (0..*count).map(|_| {
                number += 1;
                event(number, *bytes)
            });
            let events: Vec<NewEvent> = events.collect();
            append = append.and(stream, expected, events);
        }
        let written = written(&append, &self.written);
        self.written.extend(written);
        self.steps.push(Step::Append(append));
    }

    fn version(&self, stream: &StreamId) -> Version {
        let count = self.written.iter().filter(|w| w.stream == *stream).count();
        Version::new(count as u64)
    }

    /// A snapshot of the stream as it is now.
    fn snapshot(&mut self, name: &str, bytes: usize) {
        let stream = stream(name);
        let last = self.written.iter().rev().find(|w| w.stream == stream);
        let last = last.unwrap();
        let snapshot = Snapshot {
            version: last.version,
            event_id: last.event.id,
            taken_at: Timestamp::default(),
            state_schema: 1,
            payload: Payload::raw(pattern(self.steps.len() as u64, bytes)),
            stream,
        };
        self.steps.push(Step::SaveSnapshot(snapshot));
    }

    /// A commit that brings the read model to the last event so far: it sets some rows and removes those after them.
    fn commit(&mut self, round: u64, rows: &[u64]) {
        let row = |key: u64, value| Change {
            key: key.to_be_bytes().to_vec(),
            value,
        };
        let set = |key: &u64| {
            row(
                *key,
                Some(pattern(round + key, 20 * usize::try_from(*key).unwrap())),
            )
        };
        let mut changes: Vec<Change> = rows.iter().map(set).collect();
        changes.push(row(round, None));
        let checkpoint = Checkpoint {
            position: Position::new(self.written.len() as u64),
            model_version: 1,
        };
        self.steps.push(Step::Commit(checkpoint, changes));
    }
}

/// Event number `number`, with something in every field now and then.
fn event(number: u64, bytes: usize) -> NewEvent {
    let id = |salt: u64| Uuid::from_u64_pair(0x0190_0000_0000_7000 + salt, number | 1 << 63);
    let types = ["Opened", "Credited", "Debited"];
    let event_type = types[usize::try_from(number % 3).unwrap()];
    let mut event = NewEvent::new(id(0), event_type, Payload::raw(pattern(number, bytes)));
    if number.is_multiple_of(2) {
        event.effective_at = Some(Timestamp::from_unix_micros(1_000_000));
        event.correlation_id = Some(id(1));
    }
    if number.is_multiple_of(3) {
        event.causation_id = Some(id(2));
        event.user = Some("teller".into());
        event.metadata.insert("channel".into(), "branch".into());
    }
    event
}

/// Bytes that neither zeros nor other bytes of the script pass for.
pub(crate) fn pattern(seed: u64, bytes: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..bytes).map(next).collect()
}
