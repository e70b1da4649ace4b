use std::sync::Arc;

use foldhouse_store::{
    Append, EventStore, EventStoreExt, ExpectedVersion, ReadError, RecordedEvent, Snapshot,
    SnapshotCriteria, Store, StreamId, StreamQuery, Version,
};

use crate::aggregate::Aggregate;
use crate::command_error::not_recorded;
use crate::fold::fold;
use crate::refusal::{NotRecorded, Refusal};
use crate::snapshots::decode_state;
use crate::state_schema::state_schema;
use crate::watchdog::Deciding;

/// An aggregate as its stream has it.
pub(crate) struct Hydrated<A> {
    pub(crate) state: A,
    pub(crate) version: Version,
    /// The version of the snapshot that it came from; [`Version::EMPTY`] without one.
    pub(crate) snapshot_version: Version,
    /// How many bytes that takes.
    pub(crate) snapshot_bytes: usize,
}

/// Events of one read.
const PAGE_EVENTS: usize = 1_000;

/// Brings an aggregate back from its latest snapshot and the events behind it. `deciding` lets the watchdog see while the
/// domain's code is at work.
pub(crate) async fn hydrate<A: Aggregate>(
    store: &dyn Store,
    stream: &StreamId,
    deciding: impl Fn() -> Option<Deciding>,
) -> Result<Hydrated<A>, Refusal> {
    // An earlier actor may have left appends in flight. Once this check is answered, each is durable or void.
    let check = || store.append(Append::check(stream.clone(), ExpectedVersion::Any));
    let mut settled = check().await;
    if settled.is_err() {
        // It falls with the appends that it waited for, which is no reason to refuse what was not built on them.
        settled = check().await;
    }
    settled.map_err(|error| Refusal::NotRecorded(not_recorded(error)))?;
    let snapshot = usable_snapshot::<A>(store, stream).await;
    if let Some(snapshot) = snapshot.map_err(|error| Refusal::from_read(stream, error))? {
        return replay(store, stream, snapshot, deciding).await;
    }
    let empty = Hydrated {
        state: A::default(),
        version: Version::EMPTY,
        snapshot_version: Version::EMPTY,
        snapshot_bytes: 0,
    };
    replay(store, stream, empty, deciding).await
}

/// The state in the stream's snapshot, if it is of this shape and of this history.
async fn usable_snapshot<A: Aggregate>(
    store: &dyn Store,
    stream: &StreamId,
) -> Result<Option<Hydrated<A>>, ReadError> {
    let snapshot = match store.load_snapshot(stream, SnapshotCriteria::ALL).await {
        Ok(Some(snapshot)) => snapshot,
        Ok(None) => return Ok(None),
        Err(error) => {
            tracing::warn!(%stream, %error, "a snapshot could not be read and is not used");
            return Ok(None);
        }
    };
    Ok(state_in(store, &snapshot).await?.map(|state| Hydrated {
        state,
        version: snapshot.version,
        snapshot_version: snapshot.version,
        snapshot_bytes: snapshot.payload.bytes.len(),
    }))
}

/// The state in a snapshot, if it is of this shape and of the history that `events` has.
pub(crate) async fn state_in<A: Aggregate>(
    events: &(impl EventStore + ?Sized),
    snapshot: &Snapshot,
) -> Result<Option<A>, ReadError> {
    let stream = &snapshot.stream;
    let wanted = state_schema::<A>();
    if snapshot.state_schema != wanted {
        tracing::debug!(%stream, found = snapshot.state_schema, wanted,
            "a snapshot has another state schema and is not used");
        return Ok(None);
    }
    if !is_of_this_history(events, snapshot).await? {
        tracing::warn!(%stream, version = %snapshot.version, "a snapshot is of another history and is not used");
        return Ok(None);
    }
    match decode_state(&snapshot.payload) {
        Ok(state) => Ok(Some(state)),
        Err(error) => {
            tracing::warn!(%stream, version = %snapshot.version, error, "a snapshot cannot be decoded and is not used");
            Ok(None)
        }
    }
}

async fn is_of_this_history(
    events: &(impl EventStore + ?Sized),
    snapshot: &Snapshot,
) -> Result<bool, ReadError> {
    let query = StreamQuery::since(snapshot.stream.clone(), snapshot.version, 1);
    let page = events.read_stream(query).await?;
    Ok(page
        .events
        .first()
        .is_some_and(|event| event.version == snapshot.version && event.id == snapshot.event_id))
}

async fn replay<A: Aggregate>(
    store: &dyn Store,
    stream: &StreamId,
    mut hydrated: Hydrated<A>,
    deciding: impl Fn() -> Option<Deciding>,
) -> Result<Hydrated<A>, Refusal> {
    let mut next = Some(hydrated.version.next());
    while let Some(from) = next {
        let page = store
            .read_stream(StreamQuery::since(stream.clone(), from, PAGE_EVENTS))
            .await
            .map_err(|error| Refusal::from_read(stream, error))?;
        {
            let _deciding = deciding();
            for event in &page.events {
                apply(&mut hydrated, event)?;
            }
        }
        next = page.next;
        if next.is_some() {
            // A long replay must not keep others from their turn.
            tokio::task::yield_now().await;
        }
    }
    tracing::debug!(%stream, version = %hydrated.version, snapshot = %hydrated.snapshot_version, "hydrated");
    Ok(hydrated)
}

fn apply<A: Aggregate>(hydrated: &mut Hydrated<A>, event: &RecordedEvent) -> Result<(), Refusal> {
    if event.version != hydrated.version.next() {
        let gap = format!(
            "it gave version {} of {} behind version {}",
            event.version, event.stream, hydrated.version
        );
        return Err(Refusal::NotRecorded(NotRecorded::Store(gap.into())));
    }
    fold(&mut hydrated.state, event)
        .map_err(|unreadable| Refusal::Unreadable(Arc::new(unreadable)))?;
    hydrated.version = event.version;
    Ok(())
}
