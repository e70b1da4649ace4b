use std::sync::Arc;
use std::time::Duration;

use foldhouse_store::{Clock, Position, Store};

use super::control::{AnyProjection, Control, Letters, Task};
use super::error::{ControlError, ProjectError, WaitError};
use super::external::ExternalModel;
use super::external_model::External;
use super::start::{Registration, start_follower};
use super::status::ProjectionStatus;
use crate::shared::Shared;

/// A handle on a projection into a database of its user's. A clone is cheap.
#[derive(Clone)]
pub struct ExternalRef {
    control: Arc<Control>,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
}

pub(crate) async fn start_external<E: ExternalModel>(
    shared: &Arc<Shared>,
    model: E,
) -> Result<ExternalRef, ProjectError> {
    let name = E::NAME;
    let registration = Registration::reserve(shared, name)?;
    let model = External::open(model).await;
    let model = model.map_err(|error| ProjectError::Checkpoint { name, error })?;
    let (position, head) = (model.kept(), shared.store.head());
    if position > head {
        return Err(ProjectError::AheadOfJournal {
            name,
            checkpoint: position,
            head,
        });
    }
    tracing::info!(projection = name, %position, "an external projection starts");
    let (control, to_do) = Control::new(name, position, E::STALLED_AFTER);
    let control = Arc::new(control);
    registration.register(Arc::clone(&control) as Arc<dyn AnyProjection>)?;
    start_follower(shared, model, Arc::clone(&control), to_do, registration).await?;
    Ok(ExternalRef {
        control,
        store: Arc::clone(&shared.store),
        clock: Arc::clone(&shared.options.clock),
    })
}

impl ExternalRef {
    /// Up to where the rows show the events.
    #[must_use]
    pub fn position(&self) -> Position {
        self.control.position()
    }

    /// What it does, how far it has come, and how far it lags. Dead letters are in your database, and not counted here.
    #[must_use]
    pub fn status(&self) -> ProjectionStatus {
        self.control.status(self.store.head(), &*self.clock)
    }

    /// Waits until the rows show everything up to `position`.
    ///
    /// # Errors
    /// [`WaitError`]: it is slower than `timeout`, is parked, or has stopped.
    pub async fn wait_for(&self, position: Position, timeout: Duration) -> Result<(), WaitError> {
        self.control.wait_for(position, timeout).await
    }

    /// Lets it rest, once the transaction is done that it is at.
    pub fn pause(&self) {
        self.control.pause();
    }

    /// Lets it go on if it is paused, and try again if it is parked.
    pub fn resume(&self) {
        self.control.resume();
    }

    /// Lets the model forget everything, and makes it anew from the first event.
    ///
    /// # Errors
    /// See [`ControlError`].
    pub async fn reset(&self) -> Result<(), ControlError> {
        self.control.ask(Task::Reset).await
    }

    /// Tries an event again that was set aside: see [`ExternalModel::apply_set_aside`].
    ///
    /// # Errors
    /// [`ControlError::StillFailing`], with the reason; see the others there.
    pub async fn retry_dead_letter(&self, position: Position) -> Result<(), ControlError> {
        let task = |answer| Task::Retry(Letters::At(position), answer);
        self.control.ask(task).await.map(drop)
    }
}

impl std::fmt::Debug for ExternalRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExternalRef")
            .field("name", &self.control.name)
            .field("status", &self.status())
            .finish()
    }
}
