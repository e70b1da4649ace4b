use std::sync::Arc;

use foldhouse_store::Position;
use tokio::sync::watch;

use crate::shared::Shared;

/// Events of one read.
const PAGE_EVENTS: usize = 1_024;

/// Reads the journal as it grows, and tells those who follow the streams of its events.
///
/// The journal and not this runtime's own actors: another writer's events are to be seen, too, and nothing that a command
/// waits for has to look for followers.
pub(super) struct Dispatcher {
    shared: Arc<Shared>,
    head: watch::Receiver<Position>,
    position: Position,
    /// Whether another one takes over when it is needed.
    let_go: bool,
}

impl Dispatcher {
    /// Begins behind what is durable now.
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let mut head = shared.store.watch_head();
        let position = *head.borrow_and_update();
        Self {
            shared,
            head,
            position,
            let_go: false,
        }
    }

    pub(super) async fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        let done = until_done(&shared);
        tokio::pin!(done);
        loop {
            let changed = shared.topics.changed();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if shared.topics.let_go() {
                self.let_go = true;
                return;
            }
            let position = self.position;
            tokio::select! {
                biased;
                () = &mut done => return,
                moved = self.head.wait_for(|head| *head > position) => {
                    if moved.is_err() {
                        return;
                    }
                }
                () = &mut changed => continue,
            }
            self.tell_of_page().await;
        }
    }

    async fn tell_of_page(&mut self) {
        match self.shared.store.read_all(self.position, PAGE_EVENTS).await {
            Ok(page) if !page.events.is_empty() => {
                self.shared.topics.tell(&page.events);
                if let Some(last) = page.events.last() {
                    self.position = last.position;
                }
            }
            // Who follows a stream that cannot be read is to hear that from its own read, and nobody else.
            unreadable => {
                if let Err(error) = unreadable {
                    tracing::warn!(%error, after = %self.position, "subscriptions look for their events one by one");
                }
                self.position = self.shared.store.head().max(self.position);
                self.shared.topics.tell_all();
            }
        }
    }
}

/// Waits until the runtime closes and has answered everything that it had accepted.
async fn until_done(shared: &Shared) {
    loop {
        let changed = shared.topics.changed();
        tokio::pin!(changed);
        changed.as_mut().enable();
        if shared.is_closing() {
            break;
        }
        changed.await;
    }
    shared.until_all_slots_empty().await;
    shared.admission.until_empty().await;
}

impl Drop for Dispatcher {
    fn drop(&mut self) {
        // Also where its task was cancelled: nobody would tell anything any more.
        if !self.let_go {
            self.shared.topics.end();
        }
    }
}
