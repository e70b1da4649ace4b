//! Read models in a database of their user's.

use std::future::Future;

use foldhouse_store::{Position, RecordedEvent};
use std::time::Duration;

use super::dead_letter::DeadLetter;
use super::error::ProjectionError;
use super::filter::ProjectionFilter;
use super::policy::FailurePolicy;

/// A read model in a database of your own: its rows and its checkpoint are written by you, in one transaction of yours, so
/// that an event takes effect there exactly once, whatever happens.
///
/// [`Runtime::project_external`](crate::Runtime::project_external) starts one, on a thread of its own: the methods may
/// block it for as long as a transaction takes, or await. Wherever the process is killed, the database has the rows and the
/// checkpoint of before a transaction, or of behind it.
///
/// ```
/// use foldhouse::{DeadLetter, ExternalModel, Position, ProjectionError, RecordedEvent};
/// # #[derive(Default)] struct Database { checkpoint: u64, events: u64 }
/// # impl Database {
/// #     fn transaction(&mut self) -> Result<&mut Self, std::io::Error> { Ok(self) }
/// #     fn commit(&self) -> Result<(), std::io::Error> { Ok(()) }
/// # }
///
/// struct EventCount(Database);
///
/// impl ExternalModel for EventCount {
///     const NAME: &'static str = "event-count";
///
///     async fn checkpoint(&mut self) -> Result<Position, ProjectionError> {
///         Ok(Position::new(self.0.checkpoint)) // SELECT position FROM checkpoint
///     }
///
///     async fn apply(&mut self, events: &[&RecordedEvent], up_to: Position) -> Result<(), ProjectionError> {
///         let transaction = self.0.transaction().map_err(ProjectionError::from_error)?;
///         for _event in events {
///             transaction.events += 1;
///         }
///         transaction.checkpoint = up_to.get(); // UPDATE checkpoint SET position = ?
///         transaction.commit().map_err(ProjectionError::from_error)
///     }
///
///     async fn reset(&mut self) -> Result<(), ProjectionError> {
///         self.0 = Database::default(); // DELETE both, in one transaction
///         Ok(())
///     }
/// }
/// ```
pub trait ExternalModel: Send + 'static {
    /// Its name, unique in the runtime, of 1 to 64 bytes; for logs, metrics and reports.
    const NAME: &'static str;

    /// How long it may get nowhere, though there is something to do, before it is called stalled. More than a transaction
    /// ever takes.
    const STALLED_AFTER: Duration = Duration::from_secs(10);

    /// Which events it wants; all if nothing is said. Asked once, when it is started.
    fn filter(&self) -> ProjectionFilter {
        ProjectionFilter::all()
    }

    /// What is done about an event that it cannot apply; if nothing is said it is tried three times more, and then the
    /// projection parks. Asked once, when it is started.
    fn failure_policy(&self) -> FailurePolicy {
        FailurePolicy::park()
    }

    /// How far its rows go: the last `up_to` that was committed, [`Position::BEFORE_FIRST`] if none was. Asked when it is
    /// started, and after an error, when it is not certain what was committed.
    ///
    /// # Errors
    /// When the database cannot be read.
    fn checkpoint(&mut self) -> impl Future<Output = Result<Position, ProjectionError>> + Send;

    /// Applies events, in their order, and notes `up_to` as the checkpoint, in one transaction. There may be none: then
    /// only the checkpoint moves, over events that the filter passes over.
    ///
    /// # Errors
    /// When something could not be done; the transaction is to be rolled back. The events are then applied one by one, each
    /// in a transaction of its own, up to the one that fails. A panic counts as an error.
    fn apply(
        &mut self,
        events: &[&RecordedEvent],
        up_to: Position,
    ) -> impl Future<Output = Result<(), ProjectionError>> + Send;

    /// Keeps a dead letter, and notes `up_to` as the checkpoint, in one transaction. Only asked for by
    /// [`FailurePolicy::set_aside`]; bounding their number is up to you (an error parks the projection).
    ///
    /// # Errors
    /// When it is not kept. If this is not implemented, it never is.
    fn set_aside(
        &mut self,
        letter: &DeadLetter,
        up_to: Position,
    ) -> impl Future<Output = Result<(), ProjectionError>> + Send {
        let _ = (letter, up_to);
        std::future::ready(Err(ProjectionError::new(
            "it keeps no dead letters; implement ExternalModel::set_aside",
        )))
    }

    /// Applies an event that was set aside, and removes its dead letter, in one transaction; the checkpoint stays.
    ///
    /// # Errors
    /// When it still cannot be applied, or is not set aside.
    fn apply_set_aside(
        &mut self,
        event: &RecordedEvent,
    ) -> impl Future<Output = Result<(), ProjectionError>> + Send {
        let _ = event;
        std::future::ready(Err(ProjectionError::new(
            "it keeps no dead letters; implement ExternalModel::apply_set_aside",
        )))
    }

    /// Removes all rows, dead letters and the checkpoint, in one transaction.
    ///
    /// # Errors
    /// When they are not removed.
    fn reset(&mut self) -> impl Future<Output = Result<(), ProjectionError>> + Send;
}
