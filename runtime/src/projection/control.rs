//! What is known and told of a projection whatever its model is: its progress, its orders, its signs of life.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use foldhouse_store::{BoxFuture, Clock, Position};
use tokio::sync::{mpsc, oneshot, watch};

use super::beat::Beat;
use super::error::{ControlError, WaitError};
use super::progress::{Progress, State};
use super::rebuild::Rebuilding;
use super::status::{ProjectionState, ProjectionStatus};

/// How many tasks may wait for a projection; who gives more waits.
const TASKS_MAX: usize = 16;

/// The outside of a projection.
pub(crate) struct Control {
    pub(super) name: &'static str,
    pub(super) progress: watch::Sender<Progress>,
    pub(super) orders: watch::Sender<Orders>,
    pub(super) beat: Beat,
    pub(super) dead_letters: AtomicUsize,
    pub(super) rebuilding: Rebuilding,
    stalled_after: Duration,
    tasks: mpsc::Sender<Task>,
}

/// What the actor is told to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Orders {
    pub(super) until: Until,
    pub(super) paused: bool,
    /// Raised by one to let a parked projection try again.
    pub(super) resumes: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Until {
    /// Follow the journal.
    Forever,
    /// Go on up to this position, keep the rows, and end.
    Position(Position),
    /// Keep the rows, and end.
    Now,
    /// Go on up to this position and on until no more than a page is missing: a model that is made beside a live one.
    Close(Position),
}

type Answer<T> = oneshot::Sender<Result<T, ControlError>>;

/// What the actor is told to do once, between two pages.
pub(super) enum Task {
    /// Forget the rows, and make them anew.
    Reset(Answer<()>),
    /// Try what is set aside again; gives how many are applied.
    Retry(Letters, Answer<usize>),
    /// Forget what is set aside; gives how many.
    Discard(Letters, Answer<usize>),
    /// Take the model that was made beside this one.
    TakeRebuilt(Answer<()>),
}

/// Which of the dead letters.
#[derive(Clone, Copy, Debug)]
pub(super) enum Letters {
    At(Position),
    All,
}

impl Control {
    pub(super) fn new(
        name: &'static str,
        position: Position,
        stalled_after: Duration,
    ) -> (Self, mpsc::Receiver<Task>) {
        let (tasks, to_do) = mpsc::channel(TASKS_MAX);
        let control = Self {
            name,
            progress: watch::Sender::new(Progress {
                position,
                state: State::CatchingUp,
                ended: false,
            }),
            orders: watch::Sender::new(Orders {
                until: Until::Forever,
                paused: false,
                resumes: 0,
            }),
            beat: Beat::new(),
            dead_letters: AtomicUsize::new(0),
            rebuilding: Rebuilding::default(),
            stalled_after,
            tasks,
        };
        (control, to_do)
    }

    pub(super) fn position(&self) -> Position {
        self.progress.borrow().position
    }

    /// Changes the progress; who waits for it is woken.
    pub(super) fn set(&self, change: impl FnOnce(&mut Progress)) {
        self.progress.send_modify(change);
    }

    pub(super) fn set_state(&self, state: State) {
        self.set(|progress| progress.state = state);
    }

    pub(super) fn is_ending(&self) -> bool {
        self.orders.borrow().until != Until::Forever
    }

    /// Gives the actor something to do, and waits until it is done.
    pub(super) async fn ask<T>(
        &self,
        task: impl FnOnce(Answer<T>) -> Task,
    ) -> Result<T, ControlError> {
        let stopped = || ControlError::Stopped {
            projection: self.name,
        };
        let (answer, answered) = oneshot::channel();
        self.tasks.send(task(answer)).await.map_err(|_| stopped())?;
        answered.await.map_err(|_| stopped())?
    }

    /// Waits until everything up to `position` is shown.
    pub(super) async fn wait_for(
        &self,
        position: Position,
        timeout: Duration,
    ) -> Result<(), WaitError> {
        let mut progress = self.progress.subscribe();
        let reached = progress.wait_for(|progress| {
            progress.position >= position
                || progress.ended
                || matches!(progress.state, State::Parked(_))
        });
        let reached = match tokio::time::timeout(timeout, reached).await {
            // The sender is in `self`, so it cannot close; if it did, this is where it stands.
            Ok(Ok(progress)) => progress.clone(),
            _ => self.progress.borrow().clone(),
        };
        if reached.position >= position {
            return Ok(());
        }
        let projection = self.name;
        Err(match reached.state {
            State::Parked(parked) => WaitError::Parked {
                projection,
                wanted: position,
                parked,
            },
            _ if reached.ended => WaitError::Stopped {
                projection,
                wanted: position,
                reached: reached.position,
            },
            _ => WaitError::TimedOut {
                projection,
                wanted: position,
                reached: reached.position,
                timeout,
            },
        })
    }

    pub(super) fn pause(&self) {
        self.orders.send_modify(|orders| orders.paused = true);
    }

    /// Lets it go on if it is paused or parked.
    pub(super) fn resume(&self) {
        let ends = self.is_ending();
        // At once, or whoever waits from here on could still find it parked. One that ends stays parked, visibly.
        self.progress.send_if_modified(|progress| {
            let resumes = !ends && matches!(progress.state, State::Parked(_) | State::Paused);
            if resumes {
                progress.state = State::CatchingUp;
                self.beat.moved();
            }
            resumes
        });
        self.orders.send_modify(|orders| {
            orders.paused = false;
            orders.resumes = orders.resumes.wrapping_add(1);
        });
    }

    pub(super) fn status(&self, head: Position, clock: &dyn Clock) -> ProjectionStatus {
        let progress = self.progress.borrow().clone();
        let lag_events = head.get().saturating_sub(progress.position.get());
        let no_progress_for = (lag_events > 0).then(|| self.beat.still_for(progress.position));
        let age = |recorded_at: foldhouse_store::Timestamp| {
            let micros = clock
                .now()
                .unix_micros()
                .saturating_sub(recorded_at.unix_micros());
            Duration::from_micros(u64::try_from(micros).unwrap_or_default())
        };
        let lag = match no_progress_for {
            None => Duration::ZERO,
            Some(still_for) => self.beat.next_recorded_at().map_or(still_for, age),
        };
        let is_still = no_progress_for.is_some_and(|still_for| still_for >= self.stalled_after);
        let state = match progress.state {
            State::Parked(parked) => ProjectionState::Parked(parked),
            _ if progress.ended => ProjectionState::Stopped,
            State::Paused => ProjectionState::Paused,
            State::Retrying { .. } if is_still && self.beat.is_applying() => {
                ProjectionState::Stalled
            }
            State::Retrying { failed, attempts } => ProjectionState::Retrying { failed, attempts },
            State::CatchingUp | State::Live if is_still => ProjectionState::Stalled,
            State::CatchingUp => ProjectionState::CatchingUp,
            State::Live => ProjectionState::Live,
        };
        ProjectionStatus {
            state,
            position: progress.position,
            head,
            lag_events,
            lag,
            no_progress_for,
            dead_letters: self.dead_letters.load(Ordering::Relaxed),
            rebuild: self.rebuilding.progress(head),
        }
    }
}

/// A projection of whatever kind, for the runtime's end.
pub(crate) trait AnyProjection: Send + Sync {
    /// Lets it keep what it has, and end.
    fn stop(&self);

    /// Lets it go on up to `head`, and end there, or where it is parked.
    fn finish(&self, head: Position);

    /// How far it has come, what parks it, and whether it has ended.
    fn progress(&self) -> Progress;

    /// Waits until it has ended.
    fn until_ended(&self) -> BoxFuture<'_, ()>;
}

impl AnyProjection for Control {
    fn stop(&self) {
        self.orders.send_modify(|orders| orders.until = Until::Now);
    }

    fn finish(&self, head: Position) {
        self.orders.send_modify(|orders| {
            if orders.until != Until::Now {
                orders.until = Until::Position(head);
            }
        });
    }

    fn progress(&self) -> Progress {
        self.progress.borrow().clone()
    }

    fn until_ended(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            // The sender is in `self`, so it cannot close.
            let _ = self
                .progress
                .subscribe()
                .wait_for(|progress| progress.ended)
                .await;
        })
    }
}
