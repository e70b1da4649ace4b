use crate::error::ReadError;
use crate::event_store::BoxFuture;
use crate::position::Position;

/// How far a projection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Checkpoint {
    /// Everything up to here is in the read model. Never ahead of the store's head: a durable store whose journal ends
    /// before a checkpoint has lost events, and does not open ([`OpenError::OlderThanIndex`](crate::OpenError)).
    pub position: Position,
    /// The version of the read model's own shape; a projection with another one starts over.
    pub model_version: u32,
}

/// One change of a read model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The key of the row, at most [`READ_MODEL_KEY_BYTES_MAX`] bytes.
    pub key: Vec<u8>,
    /// Its new value; `None` removes the row.
    pub value: Option<Vec<u8>>,
}

/// The longest key of a read model's row, in bytes.
pub const READ_MODEL_KEY_BYTES_MAX: usize = 512;
/// The longest projection name, in bytes.
pub const PROJECTION_NAME_BYTES_MAX: usize = 64;

/// One row of a read model: key and value.
pub type Row = (Vec<u8>, Vec<u8>);

/// Keeps the rows and the checkpoint of projections.
pub trait ReadModelStore: Send + Sync + 'static {
    /// Writes the changes and the checkpoint of one projection in one atomic step: after a crash both are there or
    /// neither is, which is what makes the effect of an event on a read model happen exactly once.
    fn commit(
        &self,
        projection: &str,
        checkpoint: Checkpoint,
        changes: Vec<Change>,
    ) -> BoxFuture<'_, Result<(), ReadError>>;

    /// How far a projection has come; `None` if it never committed.
    fn checkpoint(&self, projection: &str) -> BoxFuture<'_, Result<Option<Checkpoint>, ReadError>>;

    /// The rows of a projection in key order, behind `after`, up to `limit`.
    fn rows(
        &self,
        projection: &str,
        after: Option<&[u8]>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Row>, ReadError>>;

    /// Forgets the rows and the checkpoint of a projection.
    fn reset(&self, projection: &str) -> BoxFuture<'_, Result<(), ReadError>>;
}

/// Refuses a commit whose name or keys are too long, before anything of it is written.
pub(crate) fn check_commit(projection: &str, changes: &[Change]) -> Result<(), ReadError> {
    at_most(
        "name of a projection",
        projection.len(),
        PROJECTION_NAME_BYTES_MAX,
    )?;
    for change in changes {
        at_most("key of a row", change.key.len(), READ_MODEL_KEY_BYTES_MAX)?;
    }
    Ok(())
}

fn at_most(what: &'static str, bytes: usize, limit_bytes: usize) -> Result<(), ReadError> {
    if bytes > limit_bytes {
        return Err(ReadError::TooLong {
            what,
            bytes,
            limit_bytes,
        });
    }
    Ok(())
}

/// Everything that a runtime needs to keep.
pub trait Store: crate::EventStore + crate::SnapshotStore + ReadModelStore {}

impl<S: crate::EventStore + crate::SnapshotStore + ReadModelStore> Store for S {}
