use std::sync::Arc;

use foldhouse::{Position, ProjectionError, Store};
use foldhouse_store::Checkpoint;

/// How far a follower of the journal has come, kept in the store under its name. It is only derived: without it a follower
/// begins with the first event, and finds that what it does is done.
pub(crate) struct Noted {
    store: Arc<dyn Store>,
    name: &'static str,
}

impl Noted {
    pub(crate) fn new(store: Arc<dyn Store>, name: &'static str) -> Self {
        Self { store, name }
    }

    pub(crate) async fn position(&self) -> Result<Position, ProjectionError> {
        let checkpoint = self.store.checkpoint(self.name).await;
        let checkpoint = checkpoint.map_err(ProjectionError::from_error)?;
        Ok(checkpoint.map_or(Position::BEFORE_FIRST, |checkpoint| checkpoint.position))
    }

    pub(crate) async fn note(&self, position: Position) -> Result<(), ProjectionError> {
        let checkpoint = Checkpoint {
            position,
            model_version: 1,
        };
        let noted = self.store.commit(self.name, checkpoint, Vec::new());
        noted.await.map_err(ProjectionError::from_error)
    }

    pub(crate) async fn forget(&self) -> Result<(), ProjectionError> {
        let reset = self.store.reset(self.name).await;
        reset.map_err(ProjectionError::from_error)
    }
}
