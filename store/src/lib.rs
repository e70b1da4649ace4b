//! The store under foldhouse.
#![warn(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

#[cfg(feature = "conformance")]
pub mod conformance;
mod stream_id;
mod position;
mod clock;
mod event;
mod append;
mod error;
mod event_store;
mod snapshot;
mod read_model;
mod memory;

pub use append::{
    APPEND_EVENTS_MAX, APPEND_STREAMS_MAX, Append, Appended, OnSettled, StreamAppend, Verdict,
};
pub use clock::{Clock, SystemClock, Timestamp};
pub use error::{AppendError, Damage, Fault, InvalidAppend, OpenError, ReadError};
pub use event::{
    Codec, EVENT_TYPE_BYTES_MAX, METADATA_BYTES_MAX, Metadata, NewEvent, Payload, RecordedEvent,
    USER_BYTES_MAX,
};
pub use event_store::{BoxFuture, Direction, EventStore, EventStoreExt, Page, StreamQuery};
pub use memory::MemoryStore;
pub use position::{ExpectedVersion, Position, Version};
pub use read_model::{
    Change, Checkpoint, PROJECTION_NAME_BYTES_MAX, READ_MODEL_KEY_BYTES_MAX, ReadModelStore, Row,
    Store,
};
pub use snapshot::{Snapshot, SnapshotStore};
pub use stream_id::{
    AGGREGATE_ID_BYTES_MAX, InvalidStreamId, STREAM_ID_SEGMENT_BYTES_MAX, StreamId,
};
