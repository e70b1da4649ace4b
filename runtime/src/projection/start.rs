use std::sync::Arc;

use foldhouse_store::PROJECTION_NAME_BYTES_MAX;
use ractor::Actor;

use super::Projection;
use super::actor::{Follow, Follower, ProjectionActor};
use super::error::ProjectError;
use super::live::{AnyProjection, Live};
use super::load::load;
use super::reference::ProjectionRef;
use crate::shared::Shared;

/// Loads a projection's rows and starts its actor.
pub(crate) async fn start<P: Projection>(
    shared: &Arc<Shared>,
    projection: P,
) -> Result<ProjectionRef<P>, ProjectError> {
    let name = P::NAME;
    if name.is_empty() || name.len() > PROJECTION_NAME_BYTES_MAX {
        return Err(ProjectError::Name {
            name,
            limit_bytes: PROJECTION_NAME_BYTES_MAX,
        });
    }
    let starting = Starting::reserve(shared, name)?;
    let (table, position) = load::<P>(&*shared.store)
        .await
        .map_err(|error| ProjectError::Read { name, error })?;
    tracing::info!(projection = name, %position, rows = table.len(), "a projection starts");
    let live = Arc::new(Live::new(projection, table, position));
    let follower = Follower::new(Arc::clone(&live), Arc::clone(shared));
    let supervisor = shared.projection_supervisor.clone();
    starting.register(Arc::clone(&live) as Arc<dyn AnyProjection>)?;
    // If this fails, the follower is dropped, and gives the name back.
    ProjectionActor::spawn_linked(None, ProjectionActor::new(), follower, supervisor)
        .await
        .ok()
        .and_then(|(actor, _task)| actor.send_message(Follow).ok())
        .ok_or(ProjectError::ShuttingDown { name })?;
    Ok(ProjectionRef::new(live, Arc::clone(&shared.store)))
}

/// A name that is taken while its projection is being loaded. Given back if that comes to nothing.
struct Starting<'a> {
    shared: &'a Arc<Shared>,
    name: &'static str,
    registered: bool,
}

impl<'a> Starting<'a> {
    fn reserve(shared: &'a Arc<Shared>, name: &'static str) -> Result<Self, ProjectError> {
        let mut projections = shared.projections();
        if shared.is_closing() {
            return Err(ProjectError::ShuttingDown { name });
        }
        if projections.contains_key(name) {
            return Err(ProjectError::AlreadyRunning { name });
        }
        projections.insert(name, None);
        Ok(Self {
            shared,
            name,
            registered: false,
        })
    }

    fn register(mut self, live: Arc<dyn AnyProjection>) -> Result<(), ProjectError> {
        let mut projections = self.shared.projections();
        // Under the lock: a runtime that closes looks for its projections under it, after it has said so.
        if self.shared.is_closing() {
            drop(projections);
            return Err(ProjectError::ShuttingDown { name: self.name });
        }
        projections.insert(self.name, Some(live));
        self.registered = true;
        Ok(())
    }
}

impl Drop for Starting<'_> {
    fn drop(&mut self) {
        if !self.registered {
            self.shared.projection_ended(self.name);
        }
    }
}
