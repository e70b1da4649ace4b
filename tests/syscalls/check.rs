//! What must be in a store whose process was killed, given the steps of the script that it told of.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use foldhouse_store::{
    Append, AppendError, Checkpoint, Direction, EventStore, EventStoreExt, ExpectedVersion,
    JournalStore, NewEvent, Payload, Position, ReadModelStore, RecordedEvent, RecoveryReport,
    Snapshot, SnapshotCriteria, SnapshotStore, StreamId, StreamQuery, Version,
};
use uuid::Uuid;

use crate::script::{self, Step, Written, stream, written};

/// Small enough that streams and the whole are read in several pages.
const PAGE_EVENTS: usize = 7;

/// How far a child had come when it was killed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told {
    /// How many steps were done; the next one may or may not have taken effect.
    pub(crate) done: usize,
}

impl Told {
    /// What the lines on the child's stdout say.
    pub(crate) fn of(stdout: &str) -> Self {
        // A line without its end was cut off.
        let whole = stdout.split_inclusive('\n').filter(|l| l.ends_with('\n'));
        let mut done = 0;
        for line in whole {
            if let Some(number) = line.trim_end().strip_prefix("done ") {
                assert_eq!(number.parse(), Ok(done), "the child skipped a step");
                done += 1;
            }
        }
        Self { done }
    }
}

/// What may have become of the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Index {
    /// A kill of a running store leaves it as good as it was.
    Kept,
    /// sled that was killed twice while it opened may be moved aside, and with it snapshots and read models.
    MayBeMovedAside,
}

/// Opens what a kill has left, checks everything that was promised, and that the store goes on.
pub(crate) fn check(directory: &Path, told: &Told, index: Index, context: &str) -> RecoveryReport {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let store = open(directory, context);
    let report = store.recovery().clone();
    let was_moved = report.index_moved_aside.is_some();
    // While it is being created sled's files can be such that it does not open them again; nothing was in them.
    let was_empty = report.head == Position::BEFORE_FIRST && told.done == 0;
    assert!(
        !was_moved || was_empty || index == Index::MayBeMovedAside,
        "{context}: {report:?}"
    );
    assert_eq!(report.read_models_reset, Vec::<String>::new(), "{context}");
    let events = runtime.block_on(async {
        let events = all_events(&store).await;
        check_events(&events, told, context);
        check_answers(&store, &events, context).await;
        check_snapshots(&store, &events, told, was_moved, context).await;
        check_read_model(&store, &events, told, was_moved, context).await;
        go_on(&store, &events, context).await;
        all_events(&store).await
    });
    store.close();
    let store = open(directory, context);
    runtime.block_on(async {
        let again = all_events(&store).await;
        assert_eq!(again, events, "{context}: another history after a reopen");
        check_answers(&store, &again, context).await;
    });
    store.close();
    report
}

fn open(directory: &Path, context: &str) -> JournalStore {
    script::options()
        .open(directory)
        .unwrap_or_else(|error| panic!("{context}: the store does not open: {error}"))
}

pub(crate) async fn all_events(store: &JournalStore) -> Vec<RecordedEvent> {
    let mut events = Vec::new();
    let mut after = Position::BEFORE_FIRST;
    loop {
        let page = store.read_all(after, PAGE_EVENTS).await.unwrap();
        events.extend(page.events);
        match page.next {
            Some(next) => after = next,
            None => return events,
        }
    }
}

/// The events are those of the appends that were acked, and of the one under way at most: whole or not at all.
fn check_events(events: &[RecordedEvent], told: &Told, context: &str) {
    let mut wanted: Vec<Written> = Vec::new();
    let mut acked = 0;
    for (number, step) in script::steps().iter().enumerate().take(told.done + 1) {
        if let Step::Append(append) = step {
            let written = written(append, &wanted);
            wanted.extend(written);
        }
        if number < told.done {
            acked = wanted.len();
        }
    }
    assert!(
        events.len() == acked || events.len() == wanted.len(),
        "{context}: {} events, of which {acked} were acked and {} begun",
        events.len(),
        wanted.len()
    );
    for (position, (found, wanted)) in (1..).zip(events.iter().zip(&wanted)) {
        assert_eq!(found.position.get(), position, "{context}");
        assert_eq!(found.stream, wanted.stream, "{context}: at {position}");
        assert_eq!(found.version, wanted.version, "{context}: at {position}");
        let effective_at = wanted.event.effective_at.unwrap_or(found.recorded_at);
        assert_eq!(found.effective_at, effective_at, "{context}: at {position}");
        let found = NewEvent {
            id: found.id,
            event_type: found.event_type.clone(),
            schema_version: found.schema_version,
            effective_at: wanted.event.effective_at,
            correlation_id: found.correlation_id,
            causation_id: found.causation_id,
            user: found.user.clone(),
            metadata: found.metadata.clone(),
            payload: found.payload.clone(),
        };
        assert_eq!(found, wanted.event, "{context}: at {position}");
    }
}

/// What the index answers is what a reading of the whole journal gives.
pub(crate) async fn check_answers(store: &JournalStore, events: &[RecordedEvent], context: &str) {
    assert_eq!(store.head().get(), events.len() as u64, "{context}");
    let mut by_stream: BTreeMap<StreamId, Vec<RecordedEvent>> = BTreeMap::new();
    for event in events {
        let of_stream = by_stream.entry(event.stream.clone()).or_default();
        of_stream.push(event.clone());
        let count = of_stream.len() as u64;
        assert_eq!(event.version.get(), count, "{context}: {}", event.stream);
    }
    let listed = store
        .streams(script::TENANT, script::AGGREGATE_TYPE, None, 1_000)
        .await
        .unwrap();
    assert!(listed.iter().eq(by_stream.keys()), "{context}: {listed:?}");
    let absent = store.stream_version(&stream("none")).await.unwrap();
    assert_eq!(absent, Version::EMPTY, "{context}");
    for (stream, wanted) in &mut by_stream {
        let version = store.stream_version(stream).await.unwrap();
        assert_eq!(version.get(), wanted.len() as u64, "{context}: {stream}");
        for direction in [Direction::Forward, Direction::Backward] {
            let found = stream_events(store, stream, direction).await;
            assert_eq!(&found, wanted, "{context}: {stream} {direction:?}");
            wanted.reverse();
        }
    }
}

async fn stream_events(
    store: &JournalStore,
    stream: &StreamId,
    direction: Direction,
) -> Vec<RecordedEvent> {
    let mut query = StreamQuery::whole(stream.clone(), PAGE_EVENTS);
    query.direction = direction;
    let mut events = Vec::new();
    loop {
        let page = store.read_stream(query.clone()).await.unwrap();
        events.extend(page.events);
        match (page.next, direction) {
            (None, _) => return events,
            (Some(next), Direction::Forward) => query.from = next,
            (Some(next), Direction::Backward) => query.to = next,
        }
    }
}

/// The first step whose effect need not be there any more: what a completed close or reset has made durable stays.
fn first_unflushed(steps: &[Step], told: &Told) -> usize {
    let flushing = |step: &Step| matches!(step, Step::CloseAndOpen | Step::ResetReadModel);
    let done = steps.iter().take(told.done);
    done.enumerate()
        .filter(|(_, step)| flushing(step))
        .map(|(number, _)| number + 1)
        .next_back()
        .unwrap_or(0)
}

/// What something may be now, of the states that the steps give it one after the other: the one at the last flush or a
/// later one.
fn possible<T: Clone>(
    told: &Told,
    start: T,
    mut next: impl FnMut(&T, &Step) -> Option<T>,
) -> Vec<T> {
    let steps = script::steps();
    let flushed = first_unflushed(&steps, told);
    let mut states = vec![start];
    for (number, step) in steps.iter().enumerate().take(told.done + 1) {
        if number == flushed {
            states.drain(..states.len() - 1);
        }
        if let Some(state) = next(&states[states.len() - 1], step) {
            states.push(state);
        }
    }
    states
}

async fn check_snapshots(
    store: &JournalStore,
    events: &[RecordedEvent],
    told: &Told,
    was_moved: bool,
    context: &str,
) {
    for name in ["a", "d", "h"] {
        let stream = stream(name);
        let states = possible(told, None, |_, step| match step {
            Step::SaveSnapshot(snapshot) if snapshot.stream == stream => {
                Some(Some(snapshot.clone()))
            }
            Step::DeleteSnapshot(deleted) if *deleted == stream => Some(None),
            _ => None,
        });
        let found: Option<Snapshot> = store
            .load_snapshot(&stream, SnapshotCriteria::ALL)
            .await
            .unwrap();
        assert!(
            states.contains(&found) || (was_moved && found.is_none()),
            "{context}: the snapshot of {stream} is {:?}",
            found.map(|snapshot| snapshot.version)
        );
        if let Some(found) = found {
            let event = events
                .iter()
                .find(|event| event.stream == stream && event.version == found.version);
            let id = event.map(|event| event.id);
            assert_eq!(id, Some(found.event_id), "{context}: ahead of the journal");
        }
    }
}

/// The checkpoint and the rows of the read model.
pub(crate) type Model = (Option<Checkpoint>, BTreeMap<Vec<u8>, Vec<u8>>);

async fn check_read_model(
    store: &JournalStore,
    events: &[RecordedEvent],
    told: &Told,
    was_moved: bool,
    context: &str,
) {
    let states = possible(told, Model::default(), next_model);
    let checkpoint = store.checkpoint(script::PROJECTION).await.unwrap();
    let rows = store.rows(script::PROJECTION, None, 1_000).await.unwrap();
    let found: Model = (checkpoint, rows.into_iter().collect());
    assert!(
        states.contains(&found) || (was_moved && found == Model::default()),
        "{context}: the read model is at {:?} with {} rows",
        found.0,
        found.1.len()
    );
    let position = checkpoint.map_or(0, |checkpoint| checkpoint.position.get());
    assert!(position <= events.len() as u64, "{context}: ahead");
}

/// The read model after a step that changes it.
pub(crate) fn next_model(before: &Model, step: &Step) -> Option<Model> {
    match step {
        Step::ResetReadModel => Some(Model::default()),
        Step::Commit(checkpoint, changes) => {
            let mut rows = before.1.clone();
            for change in changes {
                match &change.value {
                    Some(value) => drop(rows.insert(change.key.clone(), value.clone())),
                    None => drop(rows.remove(&change.key)),
                }
            }
            Some((Some(*checkpoint), rows))
        }
        _ => None,
    }
}

/// Wrong versions are refused, right ones taken, in every stream at once.
pub(crate) async fn go_on(store: &JournalStore, events: &[RecordedEvent], context: &str) {
    let note = |number: usize| {
        let id = Uuid::from_u128((0x0190_0000_0000_7fff << 64) | 1 << 63 | number as u128);
        NewEvent::new(id, "Noted", Payload::raw(script::pattern(7, 50)))
    };
    let mut append = Append::default().and(stream("new"), ExpectedVersion::NoStream, [note(0)]);
    let streams: BTreeSet<&StreamId> = events.iter().map(|event| &event.stream).collect();
    for (number, stream) in (1..).zip(streams) {
        let version = store.stream_version(stream).await.unwrap();
        let behind = Version::new(version.get() - 1);
        for wrong in [ExpectedVersion::NoStream, ExpectedVersion::Exact(behind)] {
            let refused = Append::to(stream.clone(), wrong, [note(99)]);
            let outcome = store.append(refused).await;
            let is_conflict = matches!(outcome, Err(AppendError::Conflict { .. }));
            assert!(is_conflict, "{context}: {stream} {wrong:?}: {outcome:?}");
        }
        append = append.and(
            stream.clone(),
            ExpectedVersion::Exact(version),
            [note(number)],
        );
    }
    let appended = store.append(append).await;
    let position = appended.map(|appended| appended.position.get());
    let wanted = events.len()
        + 1
        + events
            .iter()
            .map(|e| &e.stream)
            .collect::<BTreeSet<_>>()
            .len();
    assert_eq!(position.unwrap(), wanted as u64, "{context}");
}
