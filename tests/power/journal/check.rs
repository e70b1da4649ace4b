//! What must hold of a store that was cut off, whenever that was.

use std::collections::HashMap;
use std::path::Path;

use foldhouse_store::{
    Append, EventStore, EventStoreExt, ExpectedVersion, JournalStore, NewEvent, Payload, Position,
    ReadModelStore, RecordedEvent, SnapshotCriteria, SnapshotStore, StreamId, StreamQuery, Version,
};
use uuid::Uuid;

use super::witness::{Told, Witness};
use super::workload::{HEAD_ROW, PROJECTION};
use crate::power::campaign::Checked;

const PAGE: usize = 1_000;

/// Opens the store, checks everything that it says against what was promised before the cut, and goes on in it.
pub(crate) fn check(directory: &Path, witness: &Witness, cut_at: usize) -> Result<Checked, String> {
    let store = super::open(directory).map_err(|error| format!("it does not open: {error}"))?;
    let report = store.recovery().clone();
    let runtime = super::runtime();
    let acked_events = runtime.block_on(async {
        let events = all_events(&store).await?;
        let acked = check_events(&events, witness, cut_at)?;
        check_streams(&store, &events, witness).await?;
        check_beside(&store, &events, witness).await?;
        go_on(&store, &events).await?;
        Ok::<_, String>(acked)
    })?;
    let head = store.head();
    store.close();
    let again =
        super::open(directory).map_err(|error| format!("it does not open again: {error}"))?;
    if again.head() != head || again.recovery().torn_tail.is_some() {
        return Err(format!(
            "opened again it ends at {}, not at {head}",
            again.head()
        ));
    }
    again.close();
    Ok(Checked {
        acked_events,
        torn_tails: usize::from(report.torn_tail.is_some()),
        indexes_moved_aside: usize::from(report.index_moved_aside.is_some()),
    })
}

pub(crate) async fn all_events(store: &JournalStore) -> Result<Vec<RecordedEvent>, String> {
    let (mut events, mut after) = (Vec::new(), Position::BEFORE_FIRST);
    loop {
        let page = store.read_all(after, PAGE).await;
        let page = page.map_err(|error| format!("reading behind {after}: {error}"))?;
        events.extend(page.events);
        match page.next {
            Some(next) => after = next,
            None => return Ok(events),
        }
    }
}

/// No gap, nothing that nobody wrote, nothing acked that is missing, no append in parts. Gives back how many acked events
/// were found.
pub(crate) fn check_events(
    events: &[RecordedEvent],
    witness: &Witness,
    cut_at: usize,
) -> Result<usize, String> {
    let told = witness.by_id();
    let mut versions: HashMap<&StreamId, u64> = HashMap::new();
    for (event, position) in events.iter().zip(1..) {
        let version = versions.entry(&event.stream).or_default();
        *version += 1;
        if (event.position.get(), event.version.get()) != (position, *version) {
            return Err(format!("a gap before {}", name(event)));
        }
        match told.get(&event.id) {
            Some(told) => check_event(event, told)?,
            None => return Err(format!("nobody wrote {}", name(event))),
        }
    }
    let found: HashMap<Uuid, &RecordedEvent> =
        events.iter().map(|event| (event.id, event)).collect();
    if found.len() != events.len() {
        return Err("an event is there twice".to_owned());
    }
    let mut acked = 0;
    for attempt in &witness.attempts {
        let there = attempt
            .events
            .iter()
            .filter(|event| found.contains_key(&event.id));
        let (there, all) = (there.count(), attempt.events.len());
        let describe = || format!("{:?} of {:?}", attempt.answer, attempt.events.first());
        if attempt.is_promised(cut_at) && there < all {
            return Err(format!(
                "only {there} of {all} events are there: {}",
                describe()
            ));
        }
        if there != 0 && there != all {
            return Err(format!(
                "an append is there in part, {there} of {all}: {}",
                describe()
            ));
        }
        if attempt.is_denied() && there > 0 {
            return Err(format!(
                "it was said not to be recorded, and is there: {}",
                describe()
            ));
        }
        if attempt.is_promised(cut_at) {
            acked += all;
        }
    }
    Ok(acked)
}

fn check_event(event: &RecordedEvent, told: &Told) -> Result<(), String> {
    if told.payload != event.payload
        || told.stream != event.stream
        || &*event.event_type != "Debited"
    {
        return Err(format!("{} is not what was written", name(event)));
    }
    match told.place {
        Some(place) if place != (event.version, event.position) => {
            Err(format!("{} was acked at {place:?}", name(event)))
        }
        _ => Ok(()),
    }
}

fn name(event: &RecordedEvent) -> String {
    let (id, stream) = (event.id, &event.stream);
    format!(
        "event {id} at position {}, version {} of {stream}",
        event.position, event.version
    )
}

/// Each stream by itself, through the index, says the same.
pub(crate) async fn check_streams(
    store: &JournalStore,
    events: &[RecordedEvent],
    witness: &Witness,
) -> Result<(), String> {
    for stream in &witness.streams {
        let expected: Vec<_> = events
            .iter()
            .filter(|event| event.stream == *stream)
            .collect();
        let failed = |error| format!("reading {stream}: {error}");
        let version = store.stream_version(stream).await.map_err(failed)?;
        if version.get() != expected.len() as u64 {
            return Err(format!(
                "{stream} is said to have version {version}, not {}",
                expected.len()
            ));
        }
        let (mut found, mut from) = (Vec::new(), Version::EMPTY.next());
        loop {
            let query = StreamQuery::since(stream.clone(), from, PAGE);
            let page = store.read_stream(query).await.map_err(failed)?;
            found.extend(page.events);
            match page.next {
                Some(next) => from = next,
                None => break,
            }
        }
        if found.iter().ne(expected) {
            return Err(format!("{stream} read by itself holds something else"));
        }
    }
    Ok(())
}

/// Snapshots and the read model follow the journal and are never ahead of it.
async fn check_beside(
    store: &JournalStore,
    events: &[RecordedEvent],
    witness: &Witness,
) -> Result<(), String> {
    for stream in &witness.streams {
        let snapshot = store.load_snapshot(stream, SnapshotCriteria::ALL).await;
        let Some(snapshot) =
            snapshot.map_err(|error| format!("the snapshot of {stream}: {error}"))?
        else {
            continue;
        };
        let is_of =
            |event: &&RecordedEvent| event.stream == *stream && event.version == snapshot.version;
        let event = events.iter().find(is_of);
        if event.is_none_or(|event| event.id != snapshot.event_id) {
            return Err(format!(
                "the snapshot of {stream} at version {} is ahead of the journal",
                snapshot.version
            ));
        }
        let state = snapshot.version.get().to_le_bytes();
        if snapshot.payload.bytes.chunks(8).any(|chunk| chunk != state) {
            return Err(format!("the snapshot of {stream} is not what was saved"));
        }
    }
    let failed = |error| format!("the read model: {error}");
    let checkpoint = store.checkpoint(PROJECTION).await.map_err(failed)?;
    let rows = store.rows(PROJECTION, None, 10).await.map_err(failed)?;
    let expected = checkpoint.map(|checkpoint| {
        let head = checkpoint.position.get().to_le_bytes();
        (HEAD_ROW.to_vec(), head.to_vec())
    });
    if rows.first() != expected.as_ref() || rows.len() > 1 {
        return Err(format!("rows {rows:?} with checkpoint {checkpoint:?}"));
    }
    match checkpoint {
        Some(checkpoint) if checkpoint.position > store.head() => Err(format!(
            "the read model is at {}, the journal at {}",
            checkpoint.position,
            store.head()
        )),
        _ => Ok(()),
    }
}

/// The store takes the next event, at the next position.
async fn go_on(store: &JournalStore, events: &[RecordedEvent]) -> Result<(), String> {
    let stream = StreamId::new("acme", "check", "after").map_err(|error| error.to_string())?;
    let event = NewEvent::new(
        store.clock().new_id(),
        "Checked",
        Payload::raw(vec![7; 100]),
    );
    let append = Append::to(stream, ExpectedVersion::NoStream, [event]);
    let appended = store.append(append).await;
    let appended = appended.map_err(|error| format!("it does not go on: {error}"))?;
    let expected = events.len() as u64 + 1;
    if appended.position.get() != expected || store.head() != appended.position {
        return Err(format!(
            "it went on at {}, not at {expected}",
            appended.position
        ));
    }
    Ok(())
}
