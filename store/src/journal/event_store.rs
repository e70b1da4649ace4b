//! The journal as an [`EventStore`].

use tokio::sync::watch;
use uuid::Uuid;

use crate::append::validate::{AppendLimits, validate};
use crate::append::{Append, OnSettled, Verdict};
use crate::command::RecordedCommand;
use crate::error::{AppendError, InvalidAppend, ReadError};
use crate::event_store::{BoxFuture, EventStore, Page, StreamQuery};
use crate::journal::{JournalStore, options, queue};
use crate::look_up::{self, Found, LookUp, LookUpBy};
use crate::position::{Position, Version};
use crate::stream_id::StreamId;

impl EventStore for JournalStore {
    fn submit(&self, append: Append, settled: OnSettled) -> Verdict {
        match check(&append, &self.limits) {
            Ok(()) => self
                .queue
                .submit(append, settled, self.clock.now(), &*self.reader),
            Err(invalid) => {
                settled(Err(AppendError::Invalid(invalid)));
                Verdict::Refused
            }
        }
    }

    fn ready(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.queue.ready())
    }

    fn is_ready(&self) -> bool {
        self.queue.is_ready()
    }

    fn read_stream(&self, query: StreamQuery) -> BoxFuture<'_, Result<Page<Version>, ReadError>> {
        self.blocking(move |reader| reader.read_stream(&query))
    }

    fn read_all(
        &self,
        after: Position,
        limit: usize,
    ) -> BoxFuture<'_, Result<Page<Position>, ReadError>> {
        let head = self.head();
        self.blocking(move |reader| reader.read_all(after, head, limit))
    }

    fn read_all_here(
        &self,
        after: Position,
        limit: usize,
    ) -> Option<Result<Page<Position>, ReadError>> {
        if self.reader.is_closed() {
            return Some(Err(ReadError::Closed));
        }
        Some(self.reader.read_all(after, self.head(), limit))
    }

    fn look_up(&self, look_up: LookUp) -> BoxFuture<'_, Result<Found, ReadError>> {
        match &look_up.by {
            LookUpBy::Kind(_) | LookUpBy::Correlation(_) => {
                let head = self.head();
                self.blocking(move |reader| reader.look_up(look_up, head))
            }
            // They have their index, or need none.
            LookUpBy::Stream(_) | LookUpBy::Everything => {
                Box::pin(look_up::by_reading(self, look_up))
            }
        }
    }

    fn stream_version(&self, stream: &StreamId) -> BoxFuture<'_, Result<Version, ReadError>> {
        let stream = stream.clone();
        self.blocking(move |reader| reader.stream_version(&stream))
    }

    fn command(&self, id: Uuid) -> BoxFuture<'_, Result<Option<RecordedCommand>, ReadError>> {
        // Most ids that are asked for are new, and that is known without reading.
        if !self.reader.may_have_command(id) {
            return Box::pin(std::future::ready(Ok(None)));
        }
        self.blocking(move |reader| reader.command(id))
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
        self.blocking(move |reader| reader.streams(&tenant, &aggregate_type, after.as_ref(), limit))
    }

    fn head(&self) -> Position {
        *self.head.borrow()
    }

    fn watch_head(&self) -> watch::Receiver<Position> {
        self.head.clone()
    }
}

/// Whether the journal takes an append like this at all.
pub(super) fn check(append: &Append, limits: &AppendLimits) -> Result<(), InvalidAppend> {
    validate(append, limits)?;
    let bytes = queue::encoded_bytes_max(append);
    let limit_bytes = limits.append_bytes_max;
    if bytes > options::encoded_limit(limit_bytes) {
        return Err(InvalidAppend::TooLarge { bytes, limit_bytes });
    }
    Ok(())
}
