use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foldhouse_store::{RecordedEvent, StreamId, Version};
use tokio::sync::futures::Notified;
use tokio::sync::{Notify, watch};

use super::dispatcher::Dispatcher;
use crate::shared::Shared;

/// What is told to those who wait for a stream's next event. The newest stands for all before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// The stream has this version.
    Reached(Version),
    /// It may have more events than were told.
    Look,
    /// Whatever it has now is all that there will be. Nothing is told behind this.
    Ended,
}

/// The streams that somebody follows.
///
/// One reader of the journal ([`Dispatcher`]) tells each stream's followers of its events, and nobody else: waiting for the
/// head of the journal, each of them would wake for every frame. It is there as long as anybody follows anything.
#[derive(Default)]
pub(crate) struct Topics {
    followed: Mutex<Followed>,
    /// Nobody follows anything any more, or the runtime closes.
    changed: Notify,
}

#[derive(Default)]
struct Followed {
    streams: HashMap<StreamId, watch::Sender<News>>,
    /// Whether there is a dispatcher.
    dispatching: bool,
    /// Whether nothing more will be told.
    ended: bool,
}

/// Follows a stream. What is read behind this call and what is told from now on leave no event out.
pub(super) fn subscribe(shared: &Arc<Shared>, stream: &StreamId) -> watch::Receiver<News> {
    let mut followed = shared.topics.followed();
    if followed.ended {
        // The sender is not needed: nothing is told any more.
        return watch::channel(News::Ended).1;
    }
    let topic = followed.streams.entry(stream.clone());
    let news = topic
        .or_insert_with(|| watch::Sender::new(News::Look))
        .subscribe();
    // It begins with what is recorded from now on; what is there is for the follower's first read. Where it begins is
    // settled under the lock, or another follower could read before it and be told only of what comes behind.
    let sets_out = (!followed.dispatching).then(|| Dispatcher::new(Arc::clone(shared)));
    followed.dispatching = true;
    drop(followed);
    if let Some(dispatcher) = sets_out {
        // Not under the lock: threads that have ended drop it at once, and it ends everything then.
        shared.tokio.spawn(dispatcher.run());
    }
    news
}

impl Topics {
    /// Somebody who followed the stream does so no more.
    pub(super) fn forget(&self, stream: &StreamId) {
        let mut followed = self.followed();
        let topic = followed.streams.get(stream);
        if topic.is_some_and(|topic| topic.receiver_count() == 0) {
            followed.streams.remove(stream);
        }
        let is_last = followed.streams.is_empty();
        drop(followed);
        if is_last {
            self.changed.notify_waiters();
        }
    }

    /// Tells the followers of each event's stream.
    pub(super) fn tell(&self, events: &[RecordedEvent]) {
        let followed = self.followed();
        for event in events {
            if let Some(topic) = followed.streams.get(&event.stream) {
                topic.send_replace(News::Reached(event.version));
            }
        }
    }

    /// Tells everybody to look for themselves.
    pub(super) fn tell_all(&self) {
        for topic in self.followed().streams.values() {
            topic.send_replace(News::Look);
        }
    }

    /// Lets the dispatcher end if nobody follows anything. From then on the next follower starts another one.
    pub(super) fn let_go(&self) -> bool {
        let mut followed = self.followed();
        if followed.streams.is_empty() {
            followed.dispatching = false;
        }
        !followed.dispatching
    }

    /// Ends every subscription, once it has given what is there.
    pub(super) fn end(&self) {
        let mut followed = self.followed();
        followed.ended = true;
        followed.dispatching = false;
        for topic in followed.streams.values() {
            topic.send_replace(News::Ended);
        }
        followed.streams.clear();
    }

    /// The runtime takes no new commands. With a dispatcher, what is under way is still told.
    pub(crate) fn close(&self) {
        let mut followed = self.followed();
        followed.ended |= !followed.dispatching;
        drop(followed);
        self.changed.notify_waiters();
    }

    /// Waits until nobody follows anything any more, or the runtime closes.
    pub(super) fn changed(&self) -> Notified<'_> {
        self.changed.notified()
    }

    #[cfg(test)]
    pub(crate) fn is_dispatching(&self) -> bool {
        self.followed().dispatching
    }

    fn followed(&self) -> MutexGuard<'_, Followed> {
        // Nothing panics while it holds the lock; a poisoned one is whole.
        self.followed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
