use std::sync::Arc;

use uuid::Uuid;

use crate::clock::Timestamp;
use crate::command::RecordedCommand;
use crate::error::{Fault, ReadError};
use crate::event_store::{Direction, Page, StreamQuery};
use crate::position::{Position, Version};
use crate::read_model::Store;
use crate::snapshot::{Snapshot, SnapshotCriteria, SnapshotInfo};
use crate::stream_id::StreamId;

/// Streams of one look into the listing.
const LISTED: usize = 256;

/// A store as it was at a position, for reading only: the store itself is known to nobody else in the fork, and this has no
/// function that writes.
pub(super) struct Base {
    store: Arc<dyn Store>,
    at: Position,
}

impl Base {
    pub(super) fn new(store: Arc<dyn Store>, at: Position) -> Self {
        Self { store, at }
    }

    pub(super) fn at(&self) -> Position {
        self.at
    }

    /// When its last event was recorded.
    pub(super) async fn last_recorded_at(&self) -> Result<Option<Timestamp>, ReadError> {
        let Some(before) = self.at.get().checked_sub(1) else {
            return Ok(None);
        };
        let page = self.store.read_all(Position::new(before), 1).await?;
        let event = page
            .events
            .first()
            .filter(|event| event.position == self.at);
        let event = event.ok_or_else(|| not_given(format_args!("position {}", self.at)))?;
        Ok(Some(event.recorded_at))
    }

    /// The last version of a stream, found by bisecting: positions grow with versions.
    pub(super) async fn version(&self, stream: &StreamId) -> Result<Version, ReadError> {
        if self.at == Position::BEFORE_FIRST {
            return Ok(Version::EMPTY);
        }
        let mut beyond = self.store.stream_version(stream).await?.get();
        if beyond == 0 || self.is_within(stream, beyond).await? {
            return Ok(Version::new(beyond));
        }
        let mut within = 0;
        while beyond - within > 1 {
            let middle = within + (beyond - within) / 2;
            if self.is_within(stream, middle).await? {
                within = middle;
            } else {
                beyond = middle;
            }
        }
        Ok(Version::new(within))
    }

    async fn is_within(&self, stream: &StreamId, version: u64) -> Result<bool, ReadError> {
        let query = StreamQuery::since(stream.clone(), Version::new(version), 1);
        let page = self.store.read_stream(query).await?;
        let event = page.events.first();
        let event = event.ok_or_else(|| not_given(format_args!("event {version} of {stream}")))?;
        Ok(event.position <= self.at)
    }

    /// Reads a stream whose last version here is known.
    pub(super) async fn read_stream(
        &self,
        query: &StreamQuery,
        version: Version,
    ) -> Result<Page<Version>, ReadError> {
        if query.from > version || query.from > query.to {
            return Ok(Page {
                events: Vec::new(),
                next: None,
            });
        }
        let query = StreamQuery {
            to: query.to.min(version),
            ..query.clone()
        };
        let direction = query.direction;
        let to = query.to;
        let mut page = self.store.read_stream(query).await?;
        // Where a page happens to end with what is asked for, a store may say that the stream goes on.
        if direction == Direction::Forward && page.next.is_some_and(|next| next > to) {
            page.next = None;
        }
        Ok(page)
    }

    pub(super) async fn read_all(
        &self,
        after: Position,
        limit: usize,
    ) -> Result<Page<Position>, ReadError> {
        let mut page = self.store.read_all(after, limit).await?;
        page.events.retain(|event| event.position <= self.at);
        let last = page.events.last().map(|event| event.position);
        page.next = page.next.filter(|next| *next < self.at);
        // It may have been cut.
        if last.is_some_and(|last| last < self.at) {
            page.next = page.next.or(last);
        }
        Ok(page)
    }

    /// What a command came to. One without events stands at the position of the event before it, so that one of those
    /// which came right behind the fork's position is told, too.
    pub(super) async fn command(&self, id: Uuid) -> Result<Option<RecordedCommand>, ReadError> {
        let command = self.store.command(id).await?;
        Ok(command.filter(|command| command.position <= self.at))
    }

    pub(super) async fn streams(
        &self,
        tenant: &str,
        aggregate_type: &str,
        after: Option<&StreamId>,
        limit: usize,
    ) -> Result<Vec<StreamId>, ReadError> {
        let mut found = Vec::new();
        let mut after = after.cloned();
        while found.len() < limit && self.at != Position::BEFORE_FIRST {
            let listed = self
                .store
                .streams(tenant, aggregate_type, after.as_ref(), LISTED);
            let listed = listed.await?;
            let Some(last) = listed.last() else {
                break;
            };
            after = Some(last.clone());
            for stream in listed {
                // Others have begun since.
                if found.len() < limit && self.is_within(&stream, 1).await? {
                    found.push(stream);
                }
            }
        }
        Ok(found)
    }

    pub(super) async fn load_snapshot(
        &self,
        stream: &StreamId,
        criteria: SnapshotCriteria,
    ) -> Result<Option<Snapshot>, ReadError> {
        match self.up_to_here(stream, criteria).await? {
            Some(criteria) => self.store.load_snapshot(stream, criteria).await,
            None => Ok(None),
        }
    }

    pub(super) async fn snapshots(
        &self,
        stream: &StreamId,
        criteria: SnapshotCriteria,
    ) -> Result<Vec<SnapshotInfo>, ReadError> {
        match self.up_to_here(stream, criteria).await? {
            Some(criteria) => self.store.snapshots(stream, criteria).await,
            None => Ok(Vec::new()),
        }
    }

    async fn up_to_here(
        &self,
        stream: &StreamId,
        criteria: SnapshotCriteria,
    ) -> Result<Option<SnapshotCriteria>, ReadError> {
        let version = self.version(stream).await?;
        let to = criteria.to.min(version);
        let is_any = to > Version::EMPTY && criteria.from <= to;
        Ok(is_any.then_some(SnapshotCriteria { to, ..criteria }))
    }
}

/// The store under the fork does not give what it said it has.
fn not_given(what: std::fmt::Arguments<'_>) -> ReadError {
    ReadError::Io(Fault::new(format!(
        "the store under the fork does not give {what}"
    )))
}
