//! What follows the journal: projections and processes.

use foldhouse_store::Position;

use super::Runtime;
use crate::process::{self, ProcessManager, ProcessRef, StartProcessError};
use crate::projection::{
    self, ExternalModel, ExternalRef, PartitionedRef, ProjectError, Projection, ProjectionRef,
};

impl Runtime {
    /// Starts a projection: loads its rows, reads what they do not show yet, and follows the journal from there.
    ///
    /// # Errors
    /// See [`ProjectError`].
    pub async fn project<P: Projection>(
        &self,
        projection: P,
    ) -> Result<ProjectionRef<P>, ProjectError> {
        projection::start(&self.owner.shared, projection).await
    }

    /// Starts a projection in so many parts, each with a thread, a table and a checkpoint of its own: the events of a stream
    /// all go to one part, in their order. For models that one thread cannot keep up with.
    ///
    /// With another number of parts the model is made anew; what was kept in the old parts stays in the store.
    ///
    /// # Errors
    /// See [`ProjectError`].
    pub async fn project_partitioned<P: Projection>(
        &self,
        projection: P,
        partitions: u32,
    ) -> Result<PartitionedRef<P>, ProjectError> {
        projection::start_partitioned(&self.owner.shared, projection, partitions).await
    }

    /// Starts a projection into a database of your own, whose transactions keep rows and checkpoint together: asks it how
    /// far it goes, reads what is missing, and follows the journal from there.
    ///
    /// # Errors
    /// See [`ProjectError`].
    pub async fn project_external<E: ExternalModel>(
        &self,
        model: E,
    ) -> Result<ExternalRef, ProjectError> {
        projection::start_external(&self.owner.shared, model).await
    }

    /// Starts a process where it was: it is told of all events that it was not told of, and then of those that come. What
    /// its instances had on their way goes on. It ends with the runtime.
    ///
    /// One that never ran begins with the first event that was ever recorded; see [`Runtime::run_process_after`].
    ///
    /// # Errors
    /// See [`StartProcessError`].
    pub async fn run_process<P: ProcessManager>(&self) -> Result<ProcessRef<P>, StartProcessError> {
        self.run_process_after(Position::BEFORE_FIRST).await
    }

    /// The same for a process that is added to a store with a past, which it is not to be told of: one that never ran
    /// begins behind this position. Give the same position for ever: where the process is is only kept beside the journal,
    /// and if that is lost it begins there again (which its instances know, and nothing happens twice).
    ///
    /// # Errors
    /// See [`StartProcessError`].
    pub async fn run_process_after<P: ProcessManager>(
        &self,
        after: Position,
    ) -> Result<ProcessRef<P>, StartProcessError> {
        process::start(&self.owner.shared, after).await
    }
}
