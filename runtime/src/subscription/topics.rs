use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foldhouse_store::{Position, RecordedEvent, StreamId, Version};
use tokio::sync::futures::Notified;
use tokio::sync::{Notify, watch};

use super::dispatcher::Dispatcher;
use super::scope::{EventScope, Events, Shape};
use super::scope_topics::ScopeTopics;
use crate::shared::Shared;

/// What is told to those who wait for their next event. The newest stands for all before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// An event with this place was recorded.
    Reached {
        version: Version,
        position: Position,
    },
    /// There may be more events than were told.
    Look,
    /// Whatever is there now is all that there will be. Nothing is told behind this.
    Ended,
}

/// What somebody may follow.
#[derive(Clone, Debug)]
pub(super) enum Topic {
    Stream(StreamId),
    Scope(Shape),
}

impl Topic {
    pub(super) fn of(scope: &EventScope) -> Self {
        match &scope.events {
            Events::OfStream(stream) => Self::Stream(stream.clone()),
            Events::Matching(shape) => Self::Scope(shape.clone()),
        }
    }
}

/// The streams and scopes that somebody follows.
///
/// One reader of the journal ([`Dispatcher`]) tells each one's followers of its events, and nobody else: waiting for the
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
    scopes: ScopeTopics,
    /// Whether there is a dispatcher.
    dispatching: bool,
    /// Whether nothing more will be told.
    ended: bool,
}

impl Followed {
    fn is_empty(&self) -> bool {
        self.streams.is_empty() && self.scopes.is_empty()
    }

    fn all(&self) -> impl Iterator<Item = &watch::Sender<News>> {
        self.streams.values().chain(self.scopes.all())
    }

    fn follow(&mut self, topic: &Topic) -> Option<watch::Receiver<News>> {
        let topic = match topic {
            Topic::Stream(stream) => {
                let topic = self.streams.entry(stream.clone());
                topic.or_insert_with(|| watch::Sender::new(News::Look))
            }
            Topic::Scope(shape) => self.scopes.entry(shape)?,
        };
        Some(topic.subscribe())
    }
}

/// Follows a topic. What is read behind this call and what is told from now on leave no event out.
pub(super) fn subscribe(shared: &Arc<Shared>, topic: &Topic) -> watch::Receiver<News> {
    let mut followed = shared.topics.followed();
    let news = match followed.ended {
        // The sender is not needed: nothing is told any more.
        true => None,
        false => followed.follow(topic),
    };
    let Some(news) = news else {
        return watch::channel(News::Ended).1;
    };
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
    /// Somebody who followed the topic does so no more.
    pub(super) fn forget(&self, topic: &Topic) {
        let mut followed = self.followed();
        match topic {
            Topic::Stream(stream) => {
                let topic = followed.streams.get(stream);
                if topic.is_some_and(|topic| topic.receiver_count() == 0) {
                    followed.streams.remove(stream);
                }
            }
            Topic::Scope(shape) => followed.scopes.forget(shape),
        }
        let is_last = followed.is_empty();
        drop(followed);
        if is_last {
            self.changed.notify_waiters();
        }
    }

    /// Tells the followers of each event.
    pub(super) fn tell(&self, events: &[RecordedEvent]) {
        let followed = self.followed();
        let mut key = String::new();
        for event in events {
            let news = News::Reached {
                version: event.version,
                position: event.position,
            };
            if let Some(topic) = followed.streams.get(&event.stream) {
                topic.send_replace(news);
            }
            followed.scopes.tell(event, news, &mut key);
        }
    }

    /// Tells everybody to look for themselves.
    pub(super) fn tell_all(&self) {
        for topic in self.followed().all() {
            topic.send_replace(News::Look);
        }
    }

    /// Lets the dispatcher end if nobody follows anything. From then on the next follower starts another one.
    pub(super) fn let_go(&self) -> bool {
        let mut followed = self.followed();
        if followed.is_empty() {
            followed.dispatching = false;
        }
        !followed.dispatching
    }

    /// Ends every subscription, once it has given what is there.
    pub(super) fn end(&self) {
        let mut followed = self.followed();
        followed.ended = true;
        followed.dispatching = false;
        for topic in followed.all() {
            topic.send_replace(News::Ended);
        }
        followed.streams.clear();
        followed.scopes.clear();
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
