use std::sync::Arc;

use foldhouse_store::{Position, ReadError};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::pages::SharedPage;
use crate::shared::Shared;

/// How many pages lie ready: while one is applied the next ones are read, and neither waits for the other to wake.
const AHEAD_MAX: usize = 2;

type PageRead = Result<SharedPage, ReadError>;

/// Reads the journal page by page. With a thread of its own it reads there, where what is read is then applied; else the
/// next pages are read elsewhere while the current one is being applied.
pub(super) struct Reader {
    shared: Arc<Shared>,
    has_thread: bool,
    ahead: Option<Ahead>,
}

/// What is being read ahead.
struct Ahead {
    /// Where the next page begins.
    after: Position,
    pages: mpsc::Receiver<PageRead>,
    task: JoinHandle<()>,
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Reader {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        shared.pages.join();
        Self {
            shared,
            has_thread: false,
            ahead: None,
        }
    }

    /// It may block the thread that it is on.
    pub(super) fn has_thread(&mut self) {
        self.has_thread = true;
    }

    /// The events behind a position.
    pub(super) async fn page(&mut self, after: Position) -> PageRead {
        let page = match self.next_ahead(after).await {
            Some(page) => page?,
            None => {
                self.ahead = None;
                let store = &*self.shared.store;
                self.shared
                    .pages
                    .read(store, after, self.has_thread)
                    .await?
            }
        };
        match (page.next, &mut self.ahead) {
            (None, _) => self.ahead = None,
            (Some(_), None) if self.has_thread => {}
            (Some(next), Some(ahead)) => ahead.after = next,
            (Some(next), None) => self.ahead = Some(read_ahead(&self.shared, next)),
        }
        Ok(page)
    }

    /// The page behind `after` if it was read ahead.
    async fn next_ahead(&mut self, after: Position) -> Option<PageRead> {
        let ahead = self.ahead.as_mut().filter(|ahead| ahead.after == after)?;
        let page = ahead.pages.recv().await?;
        if page.is_err() {
            self.ahead = None;
        }
        Some(page)
    }
}

fn read_ahead(shared: &Arc<Shared>, mut after: Position) -> Ahead {
    let (sender, pages) = mpsc::channel(AHEAD_MAX);
    let reading = Arc::clone(shared);
    let task = async move {
        loop {
            let page = reading.pages.read(&*reading.store, after, false).await;
            let next = page.as_ref().ok().and_then(|page| page.next);
            if sender.send(page).await.is_err() {
                return;
            }
            match next {
                Some(next) => after = next,
                None => return,
            }
        }
    };
    Ahead {
        after,
        pages,
        task: tokio::spawn(task),
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.shared.pages.leave();
    }
}
