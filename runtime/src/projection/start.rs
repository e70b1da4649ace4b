use std::sync::Arc;

use foldhouse_store::PROJECTION_NAME_BYTES_MAX;
use ractor::Actor;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::mpsc;

use super::Projection;
use super::actor::{Follow, ProjectionActor};
use super::commit::Commits;
use super::control::{AnyProjection, Control, Task};
use super::error::ProjectError;
use super::follower::Follower;
use super::live::Live;
use super::load::load;
use super::model::Model;
use super::monitor::watch_over;
use super::reference::ProjectionRef;
use super::slot::Partition;
use super::table_model::TableModel;
use crate::shared::Shared;

/// Loads a projection's rows and starts its actor.
pub(crate) async fn start<P: Projection>(
    shared: &Arc<Shared>,
    projection: P,
) -> Result<ProjectionRef<P>, ProjectError> {
    let registration = Registration::reserve(shared, P::NAME)?;
    let loaded = prepare(shared, Arc::new(projection), None).await?;
    let live = Arc::clone(&loaded.live);
    registration.register(Arc::clone(&live.control) as Arc<dyn AnyProjection>)?;
    loaded.start(shared, registration).await?;
    Ok(ProjectionRef::new(live, shared, None))
}

/// A projection, or a part of one, that is loaded and does not run yet.
pub(super) struct Prepared<P: Projection> {
    pub(super) live: Arc<Live<P>>,
    model: TableModel<P>,
    to_do: mpsc::Receiver<Task>,
}

pub(super) async fn prepare<P: Projection>(
    shared: &Arc<Shared>,
    projection: Arc<P>,
    partition: Option<Partition>,
) -> Result<Prepared<P>, ProjectError> {
    let name = P::NAME;
    let loaded = load::<P>(&*shared.store, partition)
        .await
        .map_err(|error| ProjectError::Read { name, error })?;
    let (position, rows) = (loaded.position, loaded.rows.table.len());
    tracing::info!(projection = name, %position, rows, ?partition, "a projection starts");
    let (control, to_do) = Control::new(name, position, P::STALLED_AFTER);
    let place = (loaded.place.side, loaded.place.generation);
    let live = Arc::new(Live::new(projection, loaded.rows, Arc::new(control), place));
    let commits = Commits::new(Arc::clone(&shared.store), loaded.place, position);
    let model = TableModel::new(Arc::clone(&live), shared, commits, partition);
    Ok(Prepared { live, model, to_do })
}

impl<P: Projection> Prepared<P> {
    pub(super) fn partition(&self) -> Option<Partition> {
        self.model.partition
    }

    pub(super) async fn start(
        self,
        shared: &Arc<Shared>,
        registration: Arc<Registration>,
    ) -> Result<(), ProjectError> {
        let control = Arc::clone(&self.live.control);
        start_follower(shared, self.model, control, self.to_do, registration).await
    }
}

pub(super) async fn start_follower<M: Model>(
    shared: &Arc<Shared>,
    model: M,
    control: Arc<Control>,
    to_do: mpsc::Receiver<Task>,
    registration: Arc<Registration>,
) -> Result<(), ProjectError> {
    let name = control.name;
    let follower = Follower::new(
        model,
        Arc::clone(&control),
        to_do,
        Arc::clone(shared),
        Some(registration),
    );
    let supervisor = shared.projection_supervisor.clone();
    // If this fails, the follower is dropped, and gives the name back.
    ProjectionActor::spawn_linked(None, ProjectionActor::new(), follower, supervisor)
        .await
        .ok()
        .and_then(|(actor, _task)| actor.send_message(Follow).ok())
        .ok_or(ProjectError::ShuttingDown { name })?;
    // On the only thread it would hang with what it watches, and it would wake for nothing in a simulation.
    if Handle::current().runtime_flavor() != RuntimeFlavor::CurrentThread {
        watch_over(&control, shared);
    }
    Ok(())
}

/// A name that is taken while its projection is loaded and runs; given back in the end.
pub(super) struct Registration {
    shared: Arc<Shared>,
    name: &'static str,
}

impl Registration {
    pub(super) fn reserve(
        shared: &Arc<Shared>,
        name: &'static str,
    ) -> Result<Arc<Self>, ProjectError> {
        if name.is_empty() || name.len() > PROJECTION_NAME_BYTES_MAX {
            return Err(ProjectError::Name {
                name,
                limit_bytes: PROJECTION_NAME_BYTES_MAX,
            });
        }
        let mut projections = shared.projections();
        if shared.is_closing() {
            return Err(ProjectError::ShuttingDown { name });
        }
        if projections.contains_key(name) {
            return Err(ProjectError::AlreadyRunning { name });
        }
        projections.insert(name, None);
        Ok(Arc::new(Self {
            shared: Arc::clone(shared),
            name,
        }))
    }

    pub(super) fn register(&self, projection: Arc<dyn AnyProjection>) -> Result<(), ProjectError> {
        let mut projections = self.shared.projections();
        // Under the lock: a runtime that closes looks for its projections under it, after it has said so.
        if self.shared.is_closing() {
            drop(projections);
            return Err(ProjectError::ShuttingDown { name: self.name });
        }
        projections.insert(self.name, Some(projection));
        Ok(())
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.shared.projection_ended(self.name);
    }
}
