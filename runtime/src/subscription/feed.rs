use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use foldhouse_store::{BoxFuture, Position, RecordedEvent};
use tokio::sync::watch;

use super::course::{Course, PageRead};
use super::error::SubscriptionError;
use super::topics::{self, News, Topic};
use crate::shared::Shared;

/// Recorded events in order, a page in memory at a time: first those that are there, then those that come.
///
/// It registers before it reads for the first time, and whatever is told while it reads makes it read again: so between
/// catching up and following there is no gap. What it has begun to read or to wait for is kept here and not in the
/// future of whoever asks, which can be dropped at any time.
pub(super) struct Feed {
    shared: Arc<Shared>,
    topic: Topic,
    course: Course,
    page: VecDeque<RecordedEvent>,
    /// The event that was given last, or where it began.
    given: Position,
    step: Step,
    /// Whether nothing more will be told.
    has_ended: bool,
}

type Waiting = BoxFuture<'static, (News, watch::Receiver<News>)>;

/// What it does when its page is used up.
enum Step {
    Read(watch::Receiver<News>),
    Reading(
        BoxFuture<'static, Result<PageRead, SubscriptionError>>,
        watch::Receiver<News>,
    ),
    Wait(watch::Receiver<News>),
    Waiting(Waiting),
    /// It is between two steps, or was left there by a panic.
    Nothing,
}

impl Feed {
    pub(super) fn new(shared: &Arc<Shared>, course: Course) -> Self {
        let topic = course.topic();
        let news = topics::subscribe(shared, &topic);
        let has_ended = *news.borrow() == News::Ended;
        Self {
            shared: Arc::clone(shared),
            topic,
            given: match &course {
                Course::Versions { .. } => Position::BEFORE_FIRST,
                Course::Positions { next, .. } => Position::new(next.get().saturating_sub(1)),
            },
            course,
            page: VecDeque::new(),
            step: Step::Read(news),
            has_ended,
        }
    }

    #[cfg(test)]
    pub(super) fn in_memory(&self) -> usize {
        self.page.len()
    }

    /// The position up to which everything was given.
    pub(super) fn position(&self) -> Position {
        match &self.course {
            // Nothing that it gives lies between the last event and where it has read to.
            Course::Positions { next, .. } if self.page.is_empty() => {
                Position::new(next.get().saturating_sub(1)).max(self.given)
            }
            _ => self.given,
        }
    }

    /// Takes the event that [`Feed::poll_front`] gave.
    pub(super) fn take(&mut self) -> Option<RecordedEvent> {
        let event = self.page.pop_front()?;
        self.given = event.position;
        Some(event)
    }

    /// The next event, which stays here; `None` at the end.
    pub(super) fn poll_front(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<&RecordedEvent>, SubscriptionError>> {
        while self.page.is_empty() {
            if !ready!(self.poll_step(cx))? {
                return Poll::Ready(Ok(None));
            }
        }
        Poll::Ready(Ok(self.page.front()))
    }

    /// Takes one step; false at the end.
    fn poll_step(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, SubscriptionError>> {
        match std::mem::replace(&mut self.step, Step::Nothing) {
            Step::Read(news) => {
                self.step = Step::Reading(self.course.read(Arc::clone(&self.shared)), news);
            }
            Step::Reading(mut reading, news) => match reading.as_mut().poll(cx) {
                Poll::Pending => {
                    self.step = Step::Reading(reading, news);
                    return Poll::Pending;
                }
                Poll::Ready(Ok(read)) => self.turn_page(read, news),
                Poll::Ready(Err(error)) => {
                    self.step = Step::Read(news);
                    return Poll::Ready(Err(error));
                }
            },
            Step::Wait(news) if self.has_ended => {
                self.step = Step::Wait(news);
                return Poll::Ready(Ok(false));
            }
            Step::Wait(news) => self.step = Step::Waiting(Box::pin(until_told(news))),
            Step::Waiting(mut waiting) => match waiting.as_mut().poll(cx) {
                Poll::Pending => {
                    self.step = Step::Waiting(waiting);
                    return Poll::Pending;
                }
                Poll::Ready((told, news)) => self.hear(told, news),
            },
            Step::Nothing => return Poll::Ready(Ok(false)),
        }
        Poll::Ready(Ok(true))
    }

    fn turn_page(&mut self, read: PageRead, news: watch::Receiver<News>) {
        self.course = read.course;
        self.page = read.events.into();
        self.step = match read.may_have_more {
            true => Step::Read(news),
            false => Step::Wait(news),
        };
    }

    fn hear(&mut self, told: News, news: watch::Receiver<News>) {
        self.has_ended = told == News::Ended;
        // A page that was read meanwhile may have it already.
        self.step = match self.course.is_behind(told) {
            true => Step::Read(news),
            false => Step::Wait(news),
        };
    }
}

/// Waits until there may be more to read. What is told before a read begins is in that read.
async fn until_told(mut news: watch::Receiver<News>) -> (News, watch::Receiver<News>) {
    // Without a sender the runtime is gone.
    let told = match news.changed().await {
        Ok(()) => *news.borrow_and_update(),
        Err(_gone) => News::Ended,
    };
    (told, news)
}

impl Drop for Feed {
    fn drop(&mut self) {
        // The receiver first: it must not count any more.
        self.step = Step::Nothing;
        self.shared.topics.forget(&self.topic);
    }
}

impl std::fmt::Debug for Feed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Feed")
            .field("course", &self.course)
            .field("given", &self.given)
            .finish_non_exhaustive()
    }
}
