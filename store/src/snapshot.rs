use uuid::Uuid;

use crate::error::ReadError;
use crate::event::Payload;
use crate::event_store::BoxFuture;
use crate::position::Version;
use crate::stream_id::StreamId;

/// The state of one aggregate at one version, kept so that hydrating it need not start from the first event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The aggregate's stream.
    pub stream: StreamId,
    /// The version whose state this is.
    pub version: Version,
    /// The id of the event at that version: a snapshot of another history (a restored copy that went on differently)
    /// is recognised by it and not used.
    pub event_id: Uuid,
    /// The version of the state's own shape; a snapshot of another version is not used.
    pub state_schema: u32,
    /// The encoded state.
    pub payload: Payload,
}

/// Keeps the latest snapshot of each stream.
///
/// Snapshots are an economy, never a source: a store may lose any of them at any time, and gives back only what passes
/// its checksum. Deleting them all changes nothing but the time that hydrating takes.
pub trait SnapshotStore: Send + Sync + 'static {
    /// Keeps `snapshot` in place of one of its stream that is older, or of the same version (the state's shape may be
    /// another). A newer one that is already there stays.
    ///
    /// Only events that are durable may have gone into it.
    fn save_snapshot(&self, snapshot: Snapshot) -> BoxFuture<'_, Result<(), ReadError>>;

    /// The latest snapshot of a stream; `None` if there is none or it is damaged (which is logged).
    fn load_snapshot(
        &self,
        stream: &StreamId,
    ) -> BoxFuture<'_, Result<Option<Snapshot>, ReadError>>;

    /// Forgets the snapshots of a stream.
    fn delete_snapshot(&self, stream: &StreamId) -> BoxFuture<'_, Result<(), ReadError>>;
}
