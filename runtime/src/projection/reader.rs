use std::sync::Arc;

use foldhouse_store::{Page, Position, ReadError, Store};
use tokio::task::JoinHandle;

/// Events of one read.
const PAGE_EVENTS: usize = 1_024;

type PageRead = Result<Page<Position>, ReadError>;

/// Reads the journal page by page, and the next page while the current one is being applied.
pub(super) struct Reader {
    store: Arc<dyn Store>,
    ahead: Option<(Position, JoinHandle<PageRead>)>,
}

impl Reader {
    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        Self { store, ahead: None }
    }

    /// The events behind a position.
    pub(super) async fn page(&mut self, after: Position) -> PageRead {
        let page = match self.ahead.take() {
            Some((read_after, read)) if read_after == after => match read.await {
                Ok(page) => page?,
                Err(_cancelled) => self.store.read_all(after, PAGE_EVENTS).await?,
            },
            other => {
                if let Some((_, read)) = other {
                    read.abort();
                }
                self.store.read_all(after, PAGE_EVENTS).await?
            }
        };
        if let Some(next) = page.next {
            let store = Arc::clone(&self.store);
            let read = tokio::spawn(async move { store.read_all(next, PAGE_EVENTS).await });
            self.ahead = Some((next, read));
        }
        Ok(page)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if let Some((_, read)) = &self.ahead {
            read.abort();
        }
    }
}
