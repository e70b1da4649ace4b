use foldhouse_store::{EventStore, RecordedEvent, StreamId, StreamQuery};

use super::{WhatIf, WhatIfError};
use crate::aggregate::Aggregate;
use crate::temporal::{AsOf, Differences, Past, PastError, RememberedMarks, StateAt, differences};

/// The most events of one stream that a comparison lists; [`WhatIf::events`] gives all.
pub const WHAT_IF_EVENTS_MAX: usize = 1_000;

/// What has become of one aggregate on a fork, beside what it was and what it is.
#[derive(Clone, Debug, PartialEq)]
pub struct ComparedToLive<A> {
    /// Its stream.
    pub stream: StreamId,
    /// The state that the fork began with.
    pub forked: StateAt<A>,
    /// The state on the fork.
    pub here: StateAt<A>,
    /// The live state now: it may have gone on since.
    pub live: StateAt<A>,
    /// What the commands on the fork have changed.
    pub changed: Differences,
    /// What differs from the live state: `before` is live, `after` is here.
    pub against_live: Differences,
    /// The first [`WHAT_IF_EVENTS_MAX`] events that were recorded on the fork.
    pub added: Vec<RecordedEvent>,
    /// How many there are of them in all.
    pub added_count: u64,
}

impl WhatIf {
    /// Compares one aggregate with what it was when the fork began, and with the live one as it is now.
    ///
    /// What is durable is compared: for a command that is still on its way, wait first.
    ///
    /// # Errors
    /// [`WhatIfError`].
    pub async fn compare<A: Aggregate>(
        &self,
        tenant: &str,
        id: &str,
    ) -> Result<ComparedToLive<A>, WhatIfError> {
        let stream = StreamId::new(tenant, A::TYPE, id).map_err(WhatIfError::Address)?;
        self.compare_stream(stream).await
    }

    /// Compares the aggregates of this type that have got events on the fork: those of a tenant in the order of their ids,
    /// behind `after`, up to `limit`.
    ///
    /// # Errors
    /// As for [`WhatIf::compare`].
    pub async fn compare_all<A: Aggregate>(
        &self,
        tenant: &str,
        after: Option<&StreamId>,
        limit: usize,
    ) -> Result<Vec<ComparedToLive<A>>, WhatIfError> {
        let mut compared = Vec::new();
        for stream in self.fork.changed_streams_of(tenant, A::TYPE, after, limit) {
            compared.push(self.compare_stream(stream).await?);
        }
        Ok(compared)
    }

    async fn compare_stream<A: Aggregate>(
        &self,
        stream: StreamId,
    ) -> Result<ComparedToLive<A>, WhatIfError> {
        let past = Past::<A>::new(
            self.runtime.store(),
            &RememberedMarks::default(),
            stream.clone(),
        );
        let forked = past.state(AsOf::Position(self.forked_at())).await?;
        let here = past.state(AsOf::Now).await?;
        let live = Past::<A>::new(&self.live, &RememberedMarks::default(), stream.clone());
        let live = live.state(AsOf::Now).await?;
        let differ = |before: &A, after: &A| {
            differences(before, after).map_err(|error| PastError::Unserializable {
                stream: stream.clone(),
                error,
            })
        };
        let changed = differ(&forked.state, &here.state)?;
        let against_live = differ(&live.state, &here.state)?;
        let from = forked.version.next();
        let query = StreamQuery::since(stream.clone(), from, WHAT_IF_EVENTS_MAX);
        let added = self.fork.read_stream(query).await?.events;
        let added_count = here.version.get().saturating_sub(forked.version.get());
        Ok(ComparedToLive {
            stream,
            forked,
            here,
            live,
            changed,
            against_live,
            added,
            added_count,
        })
    }
}
