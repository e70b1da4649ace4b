use foldhouse_store::{InvalidStreamId, RecordedEvent, StreamId};

use super::folds::fold;
use super::history::Call;
use crate::aggregate::Aggregate;

/// What is there at a quiet moment: all recorded events, and all that was called and answered.
#[derive(Debug)]
pub struct World<'w> {
    pub(super) events: &'w [RecordedEvent],
    pub(super) calls: &'w [Call],
}

impl World<'_> {
    /// All recorded events, in the order of their positions.
    #[must_use]
    pub fn events(&self) -> &[RecordedEvent] {
        self.events
    }

    /// All commands, transactions and queries so far, in the order in which they were made.
    #[must_use]
    pub fn calls(&self) -> &[Call] {
        self.calls
    }

    /// The state of one aggregate, by a replay of its events; its default if it has none.
    ///
    /// # Errors
    /// Its events cannot be read, or its name is none; what [`Scenario::check`](super::Scenario::check) may give back.
    pub fn state<A: Aggregate>(&self, tenant: &str, id: &str) -> Result<A, String> {
        let stream = StreamId::new(tenant, A::TYPE, id)
            .map_err(|error: InvalidStreamId| error.to_string())?;
        fold(self.events.iter().filter(|event| event.stream == stream))
    }

    /// The state of every aggregate of a type that has events, in the order of their streams.
    ///
    /// # Errors
    /// As for [`World::state`].
    pub fn states<A: Aggregate>(&self) -> Result<Vec<(StreamId, A)>, String> {
        let streams = by_stream(self.events).into_iter();
        streams
            .filter(|(stream, _)| stream.aggregate_type() == A::TYPE)
            .map(|(stream, events)| Ok((stream.clone(), fold::<A>(events)?)))
            .collect()
    }
}

/// The events of each stream, in the order of the streams.
pub(super) fn by_stream(events: &[RecordedEvent]) -> Vec<(&StreamId, Vec<&RecordedEvent>)> {
    let mut streams = std::collections::BTreeMap::<&StreamId, Vec<_>>::new();
    for event in events {
        streams.entry(&event.stream).or_default().push(event);
    }
    streams.into_iter().collect()
}
