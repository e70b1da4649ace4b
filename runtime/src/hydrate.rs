mod snapshot;

use std::sync::Arc;

use foldhouse_store::{
    Append, EventStoreExt, ExpectedVersion, RecordedEvent, Store, StreamId, StreamQuery, Timestamp,
    Version,
};

pub(crate) use self::snapshot::state_in;

use self::snapshot::usable_snapshot;

use crate::aggregate::Aggregate;
use crate::command_error::not_recorded;
use crate::fold::fold;
use crate::refusal::{NotRecorded, Refusal};
use crate::watchdog::Deciding;

/// An aggregate as its stream has it.
pub(crate) struct Hydrated<A> {
    pub(crate) state: A,
    pub(crate) version: Version,
    /// The version of the snapshot that it came from; [`Version::EMPTY`] without one.
    pub(crate) snapshot_version: Version,
    /// How many bytes that takes.
    pub(crate) snapshot_bytes: usize,
    /// When that was taken; without one, when the first event was recorded, if there is any.
    pub(crate) since: Option<Timestamp>,
    /// What the payloads of the events behind it take.
    pub(crate) bytes_behind_snapshot: u64,
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
    let snapshot = snapshot.map_err(|error| Refusal::from_read(stream, error))?;
    let start = match snapshot {
        Some((snapshot, state)) => Hydrated {
            state,
            version: snapshot.version,
            snapshot_version: snapshot.version,
            snapshot_bytes: snapshot.payload.bytes.len(),
            since: Some(snapshot.taken_at),
            bytes_behind_snapshot: 0,
        },
        None => Hydrated {
            state: A::default(),
            version: Version::EMPTY,
            snapshot_version: Version::EMPTY,
            snapshot_bytes: 0,
            since: None,
            bytes_behind_snapshot: 0,
        },
    };
    replay(store, stream, start, deciding).await
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
    hydrated.since.get_or_insert(event.recorded_at);
    hydrated.bytes_behind_snapshot += event.payload.bytes.len() as u64;
    Ok(())
}
