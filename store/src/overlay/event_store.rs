//! The fork as an [`EventStore`].

use std::collections::BTreeSet;

use tokio::sync::watch;
use uuid::Uuid;

use super::known::note_version;
use super::{Inner, OverlayStore, lock};
use crate::append::{Append, OnSettled, Verdict};
use crate::command::RecordedCommand;
use crate::error::ReadError;
use crate::event_store::{BoxFuture, Direction, EventStore, Page, StreamQuery};
use crate::position::{Position, Version};
use crate::stream_id::StreamId;

impl EventStore for OverlayStore {
    fn submit(&self, append: Append, settled: OnSettled) -> Verdict {
        self.inner.submit(append, settled)
    }

    fn ready(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.inner.ready())
    }

    fn is_ready(&self) -> bool {
        self.inner.is_ready()
    }

    fn read_stream(&self, query: StreamQuery) -> BoxFuture<'_, Result<Page<Version>, ReadError>> {
        Box::pin(async move {
            let before = self.inner.version_before(&query.stream).await?;
            match query.direction {
                Direction::Forward => self.inner.read_forward(query, before).await,
                Direction::Backward => self.inner.read_backward(query, before).await,
            }
        })
    }

    fn read_all(
        &self,
        after: Position,
        limit: usize,
    ) -> BoxFuture<'_, Result<Page<Position>, ReadError>> {
        Box::pin(async move {
            let inner = &self.inner;
            let at = inner.base.at();
            if after >= at {
                return Ok(lock(&inner.tail).log.read_all(after, limit));
            }
            let mut page = inner.base.read_all(after, limit).await?;
            if page.next.is_none() && page.events.last().is_some_and(|last| last.position == at) {
                let has_more = lock(&inner.tail).log.head() > at;
                page.next = has_more.then_some(at);
            }
            Ok(page)
        })
    }

    fn stream_version(&self, stream: &StreamId) -> BoxFuture<'_, Result<Version, ReadError>> {
        let stream = stream.clone();
        Box::pin(async move {
            self.inner.version_before(&stream).await?;
            Ok(lock(&self.inner.tail).log.version(&stream))
        })
    }

    fn command(&self, id: Uuid) -> BoxFuture<'_, Result<Option<RecordedCommand>, ReadError>> {
        Box::pin(async move {
            if let Some(command) = lock(&self.inner.tail).log.command(id) {
                return Ok(Some(command));
            }
            let command = self.inner.base.command(id).await?;
            let mut tail = lock(&self.inner.tail);
            tail.commands.insert(id, command.is_some());
            Ok(command)
        })
    }

    fn streams(
        &self,
        tenant: &str,
        aggregate_type: &str,
        after: Option<&StreamId>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<StreamId>, ReadError>> {
        let (tenant, aggregate_type) = (tenant.to_owned(), aggregate_type.to_owned());
        let after = after.cloned();
        Box::pin(async move {
            let prefix = format!("{tenant}/{aggregate_type}/");
            let base = &self.inner.base;
            let here = base.streams(&tenant, &aggregate_type, after.as_ref(), limit);
            let mut streams: BTreeSet<_> = here.await?.into_iter().collect();
            let tail = lock(&self.inner.tail);
            streams.extend(tail.log.streams(&prefix, after.as_ref(), limit));
            Ok(streams.into_iter().take(limit).collect())
        })
    }

    fn head(&self) -> Position {
        *self.inner.head.borrow()
    }

    fn watch_head(&self) -> watch::Receiver<Position> {
        self.inner.head.subscribe()
    }
}

impl Inner {
    /// A stream's version where the fork began.
    async fn version_before(&self, stream: &StreamId) -> Result<Version, ReadError> {
        if self.base.at() == Position::BEFORE_FIRST {
            return Ok(Version::EMPTY);
        }
        if let Some(version) = lock(&self.tail).log.continued(stream) {
            return Ok(version);
        }
        let version = self.base.version(stream).await?;
        note_version(&mut lock(&self.tail).log, stream.clone(), version);
        Ok(version)
    }

    async fn read_forward(
        &self,
        query: StreamQuery,
        before: Version,
    ) -> Result<Page<Version>, ReadError> {
        let mut page = self.base.read_stream(&query, before).await?;
        if page.next.is_some() || query.to <= before {
            return Ok(page);
        }
        let rest = StreamQuery {
            from: query.from.max(before.next()),
            limit: query.limit.saturating_sub(page.events.len()),
            ..query
        };
        let tail = lock(&self.tail).log.read_stream(&rest);
        page.events.extend(tail.events);
        page.next = tail.next;
        Ok(page)
    }

    async fn read_backward(
        &self,
        query: StreamQuery,
        before: Version,
    ) -> Result<Page<Version>, ReadError> {
        let newer = StreamQuery {
            from: query.from.max(before.next()),
            ..query.clone()
        };
        let mut page = lock(&self.tail).log.read_stream(&newer);
        if page.next.is_some() || query.from > before {
            return Ok(page);
        }
        let limit = query.limit.saturating_sub(page.events.len());
        if limit == 0 {
            let has_more = before > Version::EMPTY && query.from <= query.to;
            page.next = has_more.then(|| query.to.min(before));
            return Ok(page);
        }
        let older = StreamQuery { limit, ..query };
        let base = self.base.read_stream(&older, before).await?;
        page.events.extend(base.events);
        page.next = base.next;
        Ok(page)
    }
}
