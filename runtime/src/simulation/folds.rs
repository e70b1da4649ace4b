//! What the recorded events come to, by a replay of all of them: what everything else has to agree with.

use std::any::type_name;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foldhouse_store::{BoxFuture, RecordedEvent, Store, StreamId, Version};

use crate::aggregate::Aggregate;
use crate::command_options::QueryOptions;
use crate::hydrate::hydrate;
use crate::runtime::Runtime;

/// The state that a stream's events lead to.
pub(super) fn fold<'e, A: Aggregate>(
    events: impl IntoIterator<Item = &'e RecordedEvent>,
) -> Result<A, String> {
    let mut state = A::default();
    for event in events {
        crate::fold::fold(&mut state, event).map_err(|unreadable| unreadable.to_string())?;
    }
    Ok(state)
}

/// The aggregate types that were used, by the names that stand in their streams.
#[derive(Default)]
pub(super) struct Folds {
    by_type: Mutex<BTreeMap<&'static str, Arc<dyn Fold>>>,
}

/// The events of one stream.
pub(super) type Events<'e> = Vec<&'e RecordedEvent>;

/// Compares what an aggregate type has with a replay.
pub(super) trait Fold: Send + Sync {
    /// What hydrating gives, from a snapshot if there is one.
    fn check_hydrated<'e>(
        &'e self,
        store: &'e dyn Store,
        stream: &'e StreamId,
        events: Events<'e>,
    ) -> BoxFuture<'e, Result<(), String>>;

    /// What the runtime has in memory.
    fn check_live<'e>(
        &'e self,
        runtime: &'e Runtime,
        stream: &'e StreamId,
        events: Events<'e>,
    ) -> BoxFuture<'e, Result<(), String>>;
}

impl Folds {
    pub(super) fn add<A: Aggregate + PartialEq + Debug>(&self) {
        let mut by_type = self.by_type();
        by_type
            .entry(A::TYPE)
            .or_insert_with(|| Arc::new(FoldOf::<A>(PhantomData)));
    }

    pub(super) fn of(&self, aggregate_type: &str) -> Option<Arc<dyn Fold>> {
        self.by_type().get(aggregate_type).cloned()
    }

    fn by_type(&self) -> MutexGuard<'_, BTreeMap<&'static str, Arc<dyn Fold>>> {
        self.by_type.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct FoldOf<A>(PhantomData<fn() -> A>);

impl<A: Aggregate + PartialEq + Debug> Fold for FoldOf<A> {
    fn check_hydrated<'e>(
        &'e self,
        store: &'e dyn Store,
        stream: &'e StreamId,
        events: Events<'e>,
    ) -> BoxFuture<'e, Result<(), String>> {
        Box::pin(async move {
            let hydrated = hydrate::<A>(store, stream, || None)
                .await
                .map_err(|refusal| format!("{stream} cannot be hydrated: {refusal}"))?;
            let found = (hydrated.state, hydrated.version);
            let source = format!("hydrated from snapshot {}", hydrated.snapshot_version);
            compare(stream, &source, found, events)
        })
    }

    fn check_live<'e>(
        &'e self,
        runtime: &'e Runtime,
        stream: &'e StreamId,
        events: Events<'e>,
    ) -> BoxFuture<'e, Result<(), String>> {
        Box::pin(async move {
            let aggregate = runtime
                .aggregate_of::<A>(stream.clone())
                .map_err(|error| error.to_string())?;
            let found = aggregate
                .ask(
                    |state, version| (state.clone(), version),
                    QueryOptions::new(),
                )
                .await
                .map_err(|error| format!("{stream} cannot be asked: {error}"))?;
            compare(stream, "in memory", found, events)
        })
    }
}

fn compare<A: Aggregate + PartialEq + Debug>(
    stream: &StreamId,
    source: &str,
    (state, version): (A, Version),
    events: Events<'_>,
) -> Result<(), String> {
    let last = events.last().map_or(Version::EMPTY, |event| event.version);
    if version != last {
        return Err(format!(
            "{stream} {source} is at version {version}, its last event at {last}"
        ));
    }
    let replayed = fold::<A>(events)?;
    if replayed != state {
        return Err(format!(
            "{stream} ({}) {source} at version {version} is {state:?}, but a replay of its events gives {replayed:?}",
            type_name::<A>()
        ));
    }
    Ok(())
}
