//! A new model, made beside the live one while that goes on being read.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use foldhouse_store::Position;
use tokio::time::Instant;

use super::Projection;
use super::actor::run;
use super::commit::{Commits, Place};
use super::control::{AnyProjection, Control, Task, Until};
use super::error::{ControlError, RebuildError};
use super::follower::Follower;
use super::live::{Live, Rows};
use super::progress::State;
use super::slot::{Partition, store_name};
use super::table_model::TableModel;
use crate::shared::Shared;

/// The new model is handed over when it is no further behind than this; the live one waits while it comes up.
pub(super) const CLOSE_EVENTS: u64 = 1_024;

/// How far a model is that is being made beside the live one.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct RebuildProgress {
    /// How many events it shows.
    pub done: u64,
    /// How many there are.
    pub total: u64,
    /// How many it has taken in for each second since it was begun.
    pub events_per_second: f64,
    /// When it will have caught up if it goes on like this; `None` while nobody can know.
    pub remaining: Option<Duration>,
}

/// The model that is being made beside a live one, if there is one.
#[derive(Default)]
pub(super) struct Rebuilding(Mutex<Option<Running>>);

struct Running {
    /// Not known while the place for it is being emptied.
    control: Option<Arc<Control>>,
    begun: Instant,
}

impl Rebuilding {
    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Running>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// False if there is one already.
    fn begin(&self) -> bool {
        let mut running = self.lock();
        let is_free = running.is_none();
        if is_free {
            *running = Some(Running {
                control: None,
                begun: Instant::now(),
            });
        }
        is_free
    }

    fn runs(&self, control: &Arc<Control>) {
        if let Some(running) = self.lock().as_mut() {
            running.control = Some(Arc::clone(control));
        }
    }

    /// Lets it end, whatever it has come to.
    pub(super) fn cancel(&self) {
        if let Some(control) = self
            .lock()
            .as_ref()
            .and_then(|running| running.control.as_ref())
        {
            control.stop();
        }
    }

    #[allow(clippy::cast_precision_loss, reason = "figures for people to read")]
    pub(super) fn progress(&self, head: Position) -> Option<RebuildProgress> {
        let running = self.lock();
        let Running { control, begun } = running.as_ref()?;
        let done = control
            .as_ref()
            .map_or(0, |control| control.position().get());
        let total = head.get().max(done);
        let seconds = begun.elapsed().as_secs_f64();
        let events_per_second = match seconds > 0.0 {
            true => done as f64 / seconds,
            false => 0.0,
        };
        let remaining = (events_per_second > 0.0)
            .then(|| Duration::try_from_secs_f64((total - done) as f64 / events_per_second).ok());
        Some(RebuildProgress {
            done,
            total,
            events_per_second,
            remaining: remaining.flatten(),
        })
    }
}

/// Gives the place free for another one.
struct Ends<'a>(&'a Rebuilding);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        let ended = self.0.lock().take();
        drop(ended);
    }
}

/// Makes a new model beside the live one and puts it in its place.
pub(super) async fn rebuild<P: Projection>(
    shared: Arc<Shared>,
    live: Arc<Live<P>>,
    partition: Option<Partition>,
) -> Result<(), RebuildError> {
    let projection = P::NAME;
    let rebuilding = &live.control.rebuilding;
    if !rebuilding.begin() {
        return Err(RebuildError::AlreadyRunning { projection });
    }
    let _ends = Ends(rebuilding);
    tracing::info!(projection, "a model is made beside the live one");
    let failed = |error: String| RebuildError::Failed { projection, error };
    // It may be emptied still of what was there before the last time.
    if let Some(clearing) = live.clearing.lock().await.take() {
        let _ = clearing.await;
    }
    let (side, generation) = *live.place.lock().unwrap_or_else(PoisonError::into_inner);
    let place = Place {
        name: store_name(P::NAME, partition, side.other()),
        side: side.other(),
        generation,
    };
    let reset = shared.store.reset(&place.name).await;
    reset.map_err(|error| failed(error.to_string()))?;

    let staged = Arc::clone(&place.name);
    let outcome = match make(&shared, &live, partition, place).await {
        Ok(model) => hand_over(&live, model).await,
        Err(error) => Err(error),
    };
    match &outcome {
        Ok(()) => tracing::info!(
            projection,
            "a model was made anew and has taken the old one's place"
        ),
        Err(error) => {
            tracing::warn!(projection, %error, "a model was not made anew; the old one stays");
            // If it is not removed now, the next start does it.
            let _ = shared.store.reset(&staged).await;
        }
    }
    outcome
}

type Made<P> = (TableModel<P>, Position);

/// Makes the new model until it is close to the head.
async fn make<P: Projection>(
    shared: &Arc<Shared>,
    live: &Live<P>,
    partition: Option<Partition>,
    place: Place,
) -> Result<Made<P>, RebuildError> {
    let projection = P::NAME;
    let (control, to_do) = Control::new(projection, Position::BEFORE_FIRST, P::STALLED_AFTER);
    let control = Arc::new(control);
    let end = shared.store.head();
    control
        .orders
        .send_modify(|orders| orders.until = Until::Close(end));
    let new_live = Live::new(
        Arc::clone(&live.projection),
        Rows::new(),
        Arc::clone(&control),
        (place.side, place.generation),
    );
    let commits = Commits::staged(Arc::clone(&shared.store), place);
    let model = TableModel::new(Arc::new(new_live), shared, commits, partition);
    live.control.rebuilding.runs(&control);
    // Behind this it is known there, and ends with the live one.
    if live.control.is_ending() {
        return Err(RebuildError::Stopped { projection });
    }
    let follower = Follower::new(model, Arc::clone(&control), to_do, Arc::clone(shared), None);
    let model = run(follower).await;
    let progress = control.progress.borrow().clone();
    let was_cancelled = control.orders.borrow().until == Until::Now;
    match (model, progress.state) {
        (_, State::Parked(parked)) => Err(RebuildError::Failed {
            projection,
            error: parked.to_string(),
        }),
        (Some(model), _) if !was_cancelled => Ok((model, progress.position)),
        _ => Err(RebuildError::Stopped { projection }),
    }
}

/// Lets the live one's follower, which alone changes it, take the new model.
async fn hand_over<P: Projection>(live: &Live<P>, made: Made<P>) -> Result<(), RebuildError> {
    let projection = P::NAME;
    *live.rebuilt.lock().unwrap_or_else(PoisonError::into_inner) = Some(made);
    let taken = live.control.ask(Task::TakeRebuilt).await;
    let left = live
        .rebuilt
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take();
    drop(left);
    taken.map_err(|error| match error {
        ControlError::Stopped { .. } => RebuildError::Stopped { projection },
        error => RebuildError::Failed {
            projection,
            error: error.to_string(),
        },
    })
}
