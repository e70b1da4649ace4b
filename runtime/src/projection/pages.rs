//! Pages of the journal, read once for all projections that are at about the same place.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use foldhouse_store::{Page, Position, ReadError, Store};
use tokio::sync::OnceCell;

/// Events of one read.
const PAGE_EVENTS: usize = 1_024;
/// How many pages are remembered while several projections read.
const PAGES_MAX: usize = 8;

pub(super) type SharedPage = Arc<Page<Position>>;

/// What was read last, and what is just being read.
#[derive(Default)]
pub(crate) struct Pages {
    /// With one reader alone nothing is remembered.
    readers: AtomicUsize,
    recent: Mutex<VecDeque<(Position, Arc<OnceCell<SharedPage>>)>>,
}

impl Pages {
    /// One more projection reads.
    pub(super) fn join(&self) {
        self.readers.fetch_add(1, Ordering::Relaxed);
    }

    /// One reads no more.
    pub(super) fn leave(&self) {
        self.readers.fetch_sub(1, Ordering::Relaxed);
        let forgotten = std::mem::take(&mut *self.recent());
        drop(forgotten);
    }

    /// The events behind a position; read `here`, on a thread that may wait, or on another one.
    pub(super) async fn read(
        &self,
        store: &dyn Store,
        after: Position,
        here: bool,
    ) -> Result<SharedPage, ReadError> {
        let read = || async {
            let page = match here.then(|| store.read_all_here(after, PAGE_EVENTS)) {
                Some(Some(page)) => page,
                _ => store.read_all(after, PAGE_EVENTS).await,
            };
            page.map(Arc::new)
        };
        if self.readers.load(Ordering::Relaxed) <= 1 || store.head() <= after {
            return read().await;
        }
        let cell = self.cell(after);
        let page = cell.get_or_try_init(read).await?;
        if page.events.is_empty() {
            // There is more by now; a page without events would be given again and again.
            return read().await;
        }
        Ok(Arc::clone(page))
    }

    fn recent(&self) -> std::sync::MutexGuard<'_, VecDeque<(Position, Arc<OnceCell<SharedPage>>)>> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cell(&self, after: Position) -> Arc<OnceCell<SharedPage>> {
        let mut recent = self.recent();
        if let Some((_, cell)) = recent.iter().find(|(position, _)| *position == after) {
            return Arc::clone(cell);
        }
        let forgotten = (recent.len() >= PAGES_MAX).then(|| recent.pop_front());
        let cell = Arc::new(OnceCell::new());
        recent.push_back((after, Arc::clone(&cell)));
        drop(recent);
        // Not under the lock: it may hold many events.
        drop(forgotten);
        cell
    }
}
