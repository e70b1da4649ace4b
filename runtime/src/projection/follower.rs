//! Follows the journal: reads, lets the model apply, and does about failures what the policy says.

mod rest;
mod tasks;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use foldhouse_store::{Position, RecordedEvent, Timestamp};
use tokio::sync::{mpsc, watch};

use super::control::{Control, Orders, Task, Until};
use super::dead_letter::DeadLetter;
use super::incident::IncidentKind;
use super::model::Model;
use super::progress::{ParkedEvent, State};
use super::reader::Reader;
use super::rebuild::CLOSE_EVENTS;
use super::start::Registration;
use crate::meters::ProjectionMeters;
use crate::shared::Shared;

/// What one projection's actor works with.
pub(super) struct Follower<M: Model> {
    /// Gone when it is done.
    pub(super) model: Option<M>,
    control: Arc<Control>,
    shared: Arc<Shared>,
    reader: Reader,
    head: watch::Receiver<Position>,
    orders: watch::Receiver<Orders>,
    to_do: mpsc::Receiver<Task>,
    meters: ProjectionMeters,
    /// When the last event was recorded that the rows show.
    last_recorded_at: Option<Timestamp>,
    failures: Failures,
    /// Gives the name back. There is none for a model that is made beside a live one: it tells and measures nothing.
    registration: Option<Arc<Registration>>,
}

/// Failures in a row at one position.
#[derive(Default)]
struct Failures {
    position: Position,
    attempts: u32,
}

/// How a step ended well.
enum Stepped {
    More,
    AtHead,
}

/// How it ended badly.
struct Failure {
    parked: ParkedEvent,
    /// The event that can be set aside.
    event: Option<Box<RecordedEvent>>,
}

impl<M: Model> Follower<M> {
    pub(super) fn new(
        model: M,
        control: Arc<Control>,
        to_do: mpsc::Receiver<Task>,
        shared: Arc<Shared>,
        registration: Option<Arc<Registration>>,
    ) -> Self {
        let follower = Self {
            reader: Reader::new(Arc::clone(&shared.store)),
            head: shared.store.watch_head(),
            orders: control.orders.subscribe(),
            to_do,
            meters: shared
                .options
                .meters(|| ProjectionMeters::register(&[("projection", control.name)])),
            model: Some(model),
            control,
            shared,
            last_recorded_at: None,
            failures: Failures::default(),
            registration,
        };
        follower.count_letters();
        follower
    }

    pub(super) fn control(&self) -> &Arc<Control> {
        &self.control
    }

    pub(super) async fn follow(&mut self) {
        // It is put back in the end; whoever takes it has waited for that.
        let Some(mut model) = self.model.take() else {
            return;
        };
        self.follow_with(&mut model).await;
        self.end(&mut model).await;
        self.model = Some(model);
    }

    async fn follow_with(&mut self, model: &mut M) {
        while !self.is_done() {
            if let Ok(task) = self.to_do.try_recv() {
                self.do_task(model, task).await;
                continue;
            }
            if self.orders.borrow().paused {
                self.pause(model).await;
                continue;
            }
            match self.step(model).await {
                Ok(Stepped::More) => {
                    self.failures = Failures::default();
                    // A long catch-up must not keep others from their turn.
                    tokio::task::yield_now().await;
                }
                Ok(Stepped::AtHead) => {
                    self.failures = Failures::default();
                    // This step may have come to the end that was ordered before it: no further order follows then.
                    if !self.is_done() {
                        self.wait_at_head(model).await;
                    }
                }
                Err(failure) => self.failed(model, failure).await,
            }
        }
    }

    async fn end(&mut self, model: &mut M) {
        self.control.rebuilding.cancel();
        // Once more, as one that failed may have been on its way before the end was ordered.
        let position = self.control.position();
        if model.finish(position).await.is_ok() {
            return;
        }
        if let Err(error) = model.finish(position).await {
            tracing::warn!(
                projection = self.control.name,
                error,
                "a projection ends, and reads its last events again next time"
            );
            let unkept = self.parked(&error);
            self.control.set(|progress| {
                // What parks it before has more to say.
                if !matches!(progress.state, State::Parked(_)) {
                    progress.state = State::Parked(unkept);
                }
            });
        }
    }

    fn is_done(&mut self) -> bool {
        let Orders { until, paused, .. } = *self.orders.borrow_and_update();
        match until {
            Until::Forever => false,
            Until::Position(end) => paused || self.control.position() >= end,
            Until::Now => true,
            Until::Close(end) => {
                let (position, head) = (self.control.position(), self.shared.store.head());
                position >= end && head.get().saturating_sub(position.get()) <= CLOSE_EVENTS
            }
        }
    }

    /// Reads a page, applies it, and keeps the rows if it is time.
    async fn step(&mut self, model: &mut M) -> Result<Stepped, Failure> {
        let position = self.control.position();
        let page = self.reader.page(position).await;
        let page = page.map_err(|error| self.failure(&error.to_string()))?;
        let at_head = page.next.is_none();
        if let Some(first) = page.events.first() {
            self.control.beat.next_is(Some(first.recorded_at));
        }
        self.apply(model, &page.events, at_head)?;
        let position = self.control.position();
        let kept = model.keep(position, at_head).await;
        kept.map_err(|error| self.failure(&error))?;
        Ok(if at_head {
            Stepped::AtHead
        } else {
            Stepped::More
        })
    }

    fn apply(
        &mut self,
        model: &mut M,
        events: &[RecordedEvent],
        at_head: bool,
    ) -> Result<(), Failure> {
        let applied = model.apply(events, &self.control.beat);
        let failed = applied.failed.as_ref();
        let failed_event = failed.and_then(|failed| events.get(failed.index));
        self.control
            .beat
            .next_is(failed_event.map(|event| event.recorded_at));
        self.control.set(|progress| {
            if let Some((position, _)) = applied.shown {
                progress.position = position;
            }
            match progress.state {
                // It may be on its way to the same failure again.
                State::Retrying { .. } if failed.is_some() => {}
                _ if at_head && failed.is_none() => progress.state = State::Live,
                _ => progress.state = State::CatchingUp,
            }
        });
        if let Some((_, recorded_at)) = applied.shown {
            self.last_recorded_at = Some(recorded_at);
        }
        self.measure_lag();
        match (applied.failed, failed_event) {
            (Some(failed), Some(event)) => Err(Failure {
                parked: ParkedEvent::before(event, failed.error),
                event: failed.is_events_fault.then(|| Box::new(event.clone())),
            }),
            _ => Ok(()),
        }
    }

    fn measure_lag(&self) {
        if self.registration.is_none() {
            return;
        }
        let (position, head) = (self.control.position(), self.shared.store.head());
        let clock = &*self.shared.options.clock;
        self.meters
            .lag(position, head, self.last_recorded_at, clock);
    }

    fn parked(&self, error: &str) -> ParkedEvent {
        ParkedEvent {
            error: error.into(),
            position: self.control.position(),
            event: None,
        }
    }

    fn failure(&self, error: &str) -> Failure {
        Failure {
            parked: self.parked(error),
            event: None,
        }
    }

    /// Waits and tries again, sets the event aside, or parks.
    async fn failed(&mut self, model: &mut M, failure: Failure) {
        let Failure { mut parked, event } = failure;
        if self.failures.position != parked.position {
            self.failures = Failures {
                position: parked.position,
                attempts: 0,
            };
        }
        self.failures.attempts += 1;
        let attempts = self.failures.attempts;
        tracing::warn!(projection = self.control.name, %parked, attempts, "a projection failed");
        self.meters.failures.increment(1);
        if let Some(delay) = model.policy().delay_after(attempts) {
            self.control.set_state(State::Retrying {
                failed: parked,
                attempts,
            });
            self.wait(delay).await;
            return;
        }
        self.failures = Failures::default();
        if let Some(event) = event.filter(|_| model.policy().set_aside_max() > 0) {
            let now = self.shared.options.clock.now();
            let letter = DeadLetter::new(&event, &parked.error, attempts, now);
            match model.set_aside(letter.clone()) {
                Ok(()) => return self.went_on_without(model, &event, letter),
                Err(why_not) => {
                    let error = format!("{}; it was not set aside: {why_not}", parked.error);
                    parked.error = error.into();
                }
            }
        }
        self.park(model, parked).await;
    }

    fn went_on_without(&mut self, model: &M, event: &RecordedEvent, letter: DeadLetter) {
        tracing::error!(projection = self.control.name, %letter, "a projection goes on without an event");
        self.count(model);
        self.last_recorded_at = Some(event.recorded_at);
        self.control.beat.next_is(None);
        self.control.beat.moved();
        self.control.set(|progress| {
            progress.position = event.position;
            progress.state = State::CatchingUp;
        });
        self.alert(IncidentKind::SetAside(letter));
    }

    fn alert(&self, what: IncidentKind) {
        if self.registration.is_none() {
            return;
        }
        self.shared.options.alerts.tell(self.control.name, what);
    }

    fn count_letters(&self) {
        if let Some(model) = &self.model {
            self.count(model);
        }
    }

    fn count(&self, model: &M) {
        let count = model.dead_letters().len();
        self.control.dead_letters.store(count, Ordering::Relaxed);
    }

    /// Waits until there is more to read, or it is told something.
    async fn wait_at_head(&mut self, model: &mut M) {
        let position = self.control.position();
        self.control.beat.waits();
        let mut task = None;
        // In order, so that a run can be replayed; after each of them all are looked at again.
        let store_gone = tokio::select! {
            biased;
            moved = self.head.wait_for(|head| *head > position) => moved.is_err(),
            _ = self.orders.changed() => false,
            () = model.until_kept() => false,
            given = self.to_do.recv() => { task = given; false }
        };
        if store_gone {
            // Nothing more will come.
            let _ = self.orders.changed().await;
        }
        self.control.beat.wakes();
        if let Some(task) = task {
            self.do_task(model, task).await;
        }
    }

    async fn wait(&mut self, delay: Duration) {
        tokio::select! {
            biased;
            () = tokio::time::sleep(delay) => {}
            _ = self.orders.changed() => {}
        }
    }
}

impl<M: Model> Drop for Follower<M> {
    fn drop(&mut self) {
        self.control.set(|progress| progress.ended = true);
    }
}
