//! A journal that is open for reading only, as an [`EventStore`].

use std::sync::Arc;

use tokio::sync::watch;
use uuid::Uuid;

use crate::append::{Append, OnSettled, Verdict};
use crate::command::RecordedCommand;
use crate::error::{AppendError, Fault, ReadError};
use crate::event_store::{BoxFuture, EventStore, Page, StreamQuery};
use crate::journal::read_only::ReadOnlyJournal;
use crate::journal::reader::JournalReader;
use crate::look_up::{self, Found, LookUp, LookUpBy};
use crate::position::{Position, Version};
use crate::stream_id::StreamId;

impl ReadOnlyJournal {
    /// Runs a read on a thread that may block.
    fn blocking<T: Send + 'static>(
        &self,
        read: impl FnOnce(&JournalReader) -> Result<T, ReadError> + Send + 'static,
    ) -> BoxFuture<'_, Result<T, ReadError>> {
        let reader = Arc::clone(&self.reader);
        Box::pin(async move {
            let task = tokio::task::spawn_blocking(move || read(&reader));
            task.await.unwrap_or_else(|error| {
                Err(ReadError::Io(Fault::new(format!(
                    "the read did not finish: {error}"
                ))))
            })
        })
    }
}

impl EventStore for ReadOnlyJournal {
    /// Refuses, with [`AppendError::ReadOnly`].
    fn submit(&self, _append: Append, settled: OnSettled) -> Verdict {
        settled(Err(AppendError::ReadOnly {
            directory: self.directory.clone(),
        }));
        Verdict::Refused
    }

    fn ready(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }

    fn is_ready(&self) -> bool {
        true
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
        self.head.subscribe()
    }
}
