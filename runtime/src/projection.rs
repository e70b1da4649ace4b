//! Read models: tables that follow the journal.

mod actor;
mod apply;
mod beat;
mod commit;
mod control;
mod dead_letter;
mod error;
mod external;
mod external_model;
mod external_ref;
mod filter;
mod follower;
mod incident;
mod live;
mod load;
mod model;
mod monitor;
mod pages;
mod partitioned;
mod policy;
mod progress;
mod reader;
mod rebuild;
mod reference;
mod slot;
mod start;
mod status;
mod store_keys;
mod table;
mod table_model;

use std::time::Duration;

use foldhouse_store::RecordedEvent;
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use self::commit::ROW_BYTES_MAX;
pub use self::dead_letter::DeadLetter;
pub use self::error::{ControlError, ProjectError, ProjectionError, RebuildError, WaitError};
pub use self::external::ExternalModel;
pub use self::external_ref::ExternalRef;
pub use self::filter::ProjectionFilter;
pub use self::incident::{IncidentKind, ProjectionIncident};
pub use self::partitioned::{PARTITIONS_MAX, PartitionedRef};
pub use self::policy::{DEAD_LETTERS_MAX, FailurePolicy};
pub use self::progress::ParkedEvent;
pub use self::rebuild::RebuildProgress;
pub use self::reference::ProjectionRef;
pub use self::status::{ProjectionState, ProjectionStatus};
pub use self::table::Table;

pub(crate) use self::apply::Selection;
pub(crate) use self::control::AnyProjection;
pub(crate) use self::external_ref::start_external;
pub(crate) use self::incident::Alerts;
pub(crate) use self::pages::Pages;
pub(crate) use self::partitioned::start_partitioned;
pub(crate) use self::start::start;

/// A read model: rows by key, made from events.
///
/// [`Runtime::project`](crate::Runtime::project) starts one. It reads every event of the store once, in commit order,
/// first what is there and then what is added. The rows live in memory; what changed is kept in the store together with
/// how far it has come, in one atomic step, so that an event takes effect exactly once, whatever happens.
///
/// `apply` is pure and synchronous, as an aggregate's is: the same events always give the same rows.
///
/// ```
/// use foldhouse::{Projection, ProjectionError, RecordedEvent, Table};
///
/// /// How many events each user has caused.
/// struct EventsByUser;
///
/// impl Projection for EventsByUser {
///     const NAME: &'static str = "events-by-user";
///     type Key = String;
///     type Row = u64;
///
///     fn apply(&self, event: &RecordedEvent, table: &mut Table<String, u64>) -> Result<(), ProjectionError> {
///         if let Some(user) = event.user.as_deref() {
///             table.update(user, |events| *events += 1);
///         }
///         Ok(())
///     }
/// }
/// ```
pub trait Projection: Send + Sync + 'static {
    /// Its stable name, unique in the store, of 1 to 64 bytes. Rows and checkpoint are kept under it.
    const NAME: &'static str;

    /// The version of the rows' shape and of `apply`'s meaning. Raise it when either changes: the model is then made
    /// anew from the first event.
    const MODEL_VERSION: u32 = 1;

    /// The most rows that it may have; they are in memory. It parks when an event would make more.
    const ROWS_MAX: usize = 10_000_000;

    /// How long it may get nowhere, though there is something to do, before it is called stalled. More than an event, or
    /// a read of the store, ever takes.
    const STALLED_AFTER: Duration = Duration::from_secs(10);

    /// What a row is found by; at most 512 bytes when it is encoded.
    type Key: Serialize + DeserializeOwned + Ord + Clone + Send + Sync + 'static;

    /// A row. If it has a `Default`, that is what [`Table::update`] starts a key with.
    type Row: Serialize + DeserializeOwned + Clone + Send + Sync + 'static;

    /// Which events it wants; all if nothing is said. Asked once, when it is started. A change of it changes what the rows
    /// mean: raise [`Projection::MODEL_VERSION`].
    fn filter(&self) -> ProjectionFilter {
        ProjectionFilter::all()
    }

    /// What is done about an event that it cannot apply; if nothing is said it is tried three times more, and then the
    /// projection parks. Asked once, when it is started.
    fn failure_policy(&self) -> FailurePolicy {
        FailurePolicy::park()
    }

    /// Changes the rows as `event` demands. Other aggregates' events come here, too: pass over what is of no interest,
    /// and read the rest with [`decode_event`](crate::decode_event).
    ///
    /// # Errors
    /// When the event cannot be applied. What it has changed is taken back, and it is tried again a few times; then what
    /// [`Projection::failure_policy`] says is done: the projection parks before this event, visible in its
    /// [`status`](ProjectionRef::status), or sets it aside. Appends go on all the same. A panic counts as an error.
    fn apply(
        &self,
        event: &RecordedEvent,
        table: &mut Table<Self::Key, Self::Row>,
    ) -> Result<(), ProjectionError>;
}

pub(crate) type TableOf<P> = Table<<P as Projection>::Key, <P as Projection>::Row>;
