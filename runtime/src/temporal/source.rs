use std::sync::Arc;

use foldhouse_store::{
    Direction, EventStore, Fault, Page, ReadError, RecordedEvent, SnapshotStore, Store, StreamId,
    StreamQuery, Version,
};

use super::error::PastError;

/// Events of one read.
const PAGE_EVENTS: usize = 1_000;

/// A stream, read from a store.
pub(super) struct Source {
    pub(super) events: Arc<dyn EventStore>,
    pub(super) snapshots: Option<Arc<dyn SnapshotStore>>,
    /// Where the times of its events may be kept.
    pub(super) times: Option<Arc<dyn Store>>,
    pub(super) stream: StreamId,
}

impl Source {
    pub(super) fn failed(&self, error: ReadError) -> PastError {
        PastError::Read {
            stream: self.stream.clone(),
            error,
        }
    }

    /// The stream's durable version.
    pub(super) async fn version(&self) -> Result<Version, PastError> {
        let version = self.events.stream_version(&self.stream).await;
        version.map_err(|error| self.failed(error))
    }

    /// One event that is there.
    pub(super) async fn event(&self, version: Version) -> Result<RecordedEvent, PastError> {
        let mut page = self.page(version, version).await?;
        page.events.pop().ok_or_else(|| self.gap(version))
    }

    /// The events of these versions, oldest first, as far as they fit on a page.
    async fn page(&self, from: Version, to: Version) -> Result<Page<Version>, PastError> {
        let query = StreamQuery {
            stream: self.stream.clone(),
            from,
            to,
            direction: Direction::Forward,
            limit: PAGE_EVENTS,
        };
        let page = self.events.read_stream(query).await;
        let page = page.map_err(|error| self.failed(error))?;
        let mut expected = from;
        for event in &page.events {
            if event.version != expected {
                return Err(self.gap(expected));
            }
            expected = expected.next();
        }
        Ok(page)
    }

    /// Gives every event of these versions, which are all there, in their order. The next page is read while one is
    /// worked on.
    pub(super) async fn each(
        &self,
        from: Version,
        to: Version,
        mut take: impl FnMut(RecordedEvent) -> Result<(), PastError> + Send,
    ) -> Result<(), PastError> {
        if from > to {
            return Ok(());
        }
        let mut page = self.page(from, to).await?;
        loop {
            let Some(next) = page.events.last().map(|event| event.version.next()) else {
                return Err(self.gap(from));
            };
            let events = std::mem::take(&mut page.events);
            if next > to {
                return events.into_iter().try_for_each(take);
            }
            // Polled in this order: the read is on its way before the events are worked on.
            let work = async { events.into_iter().try_for_each(&mut take) };
            let (read, worked) = tokio::join!(biased; self.page(next, to), work);
            worked?;
            page = read?;
            // A store that answers at once would keep others from their turn.
            tokio::task::yield_now().await;
            if page.events.is_empty() {
                return Err(self.gap(next));
            }
        }
    }

    /// The store does not give what it said it has.
    pub(super) fn gap(&self, version: Version) -> PastError {
        let what = format!("it does not give event {version} of stream {}", self.stream);
        self.failed(ReadError::Io(Fault::new(what)))
    }
}
