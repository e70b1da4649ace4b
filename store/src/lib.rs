//! The store under foldhouse: durable streams of events with versions, and one order over all of them.
//!
//! It knows bytes, streams and positions, and no domain. It is an embedded, append-only journal with an index beside it:
//! one directory, one process that writes. It is not a server, not a general key-value store, and it deletes nothing.
//!
//! - [`JournalStore`] is the durable one. An append is acknowledged when its frame, shared with everything that waited, has
//!   been written with one durable write. The bytes are described in `FORMAT.md`.
//! - [`ReadOnlyJournal`] reads the same directory beside the process that writes it, or a backup of it.
//! - [`MemoryStore`] keeps the same promises for as long as the process lives, for tests.
//! - [`OverlayStore`] goes on from some position of another store without writing to it, to try things out.
//! - A store of your own implements [`EventStore`], [`SnapshotStore`] and [`ReadModelStore`], and passes the suite in the
//!   module `conformance` (feature `conformance`).
//!
//! # Layout
//! - Names and places: [`StreamId`], [`Position`], [`Version`], [`ExpectedVersion`], [`Timestamp`], [`Clock`].
//! - Events: [`NewEvent`] goes in, [`RecordedEvent`] comes back; [`Payload`] is the domain's part.
//! - Writing: [`Append`], [`Appended`], [`Verdict`], [`AppendError`], sorted by what the caller can do.
//! - Looking: [`LookUp`] by kind, correlation id or stream, over all events; [`Found`].
//! - Retries: [`CommandStamp`] makes a command take effect once, [`RecordedCommand`] is what it came to.
//! - The seam: [`EventStore`], [`SnapshotStore`], [`ReadModelStore`], and [`Store`] for all three.
//! - Opening: [`JournalOptions`], [`OpenProgress`], [`RecoveryReport`], [`OpenError`].
//! - Upkeep: [`verify`] checks every byte of a journal, [`repair`] lets one that is damaged go on.
#![warn(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

mod stream_id;
mod position;
mod clock;
mod event;
mod command;
mod append;
mod error;
mod event_store;
mod look_up;
mod snapshot;
mod read_model;
mod memory;
mod overlay;
#[cfg(feature = "conformance")]
pub mod conformance;
mod journal;
#[cfg(feature = "simulation")]
pub mod simulation;
mod meters;
mod varint;
mod bytes_io;
mod sidecar;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
#[allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a broken promise must be seen"
)]
pub mod fuzzing;

pub use append::{
    APPEND_EVENTS_MAX, APPEND_STREAMS_MAX, Append, Appended, OnSettled, StreamAppend, Verdict,
};
pub use clock::{Clock, SystemClock, Timestamp};
pub use command::{COMMAND_REPLY_BYTES_MAX, CommandReply, CommandStamp, RecordedCommand};
pub use error::{AppendError, CopyError, Damage, Fault, InvalidAppend, OpenError, ReadError};
pub use event::{
    Codec, EVENT_TYPE_BYTES_MAX, METADATA_BYTES_MAX, Metadata, NewEvent, Payload, RecordedEvent,
    USER_BYTES_MAX,
};
pub use event_store::{BoxFuture, Direction, EventStore, EventStoreExt, Page, StreamQuery};
pub use journal::raw_log::{RawLogLimit, raw_log_limit};
pub use journal::{
    BackupOptions, BackupReport, CopyProgress, InvalidUntil, RestoreReport, Until, backup, restore,
    restore_watched,
};
pub use journal::{Consent, RepairError, RepairReport, RepairStep, repair};
pub use journal::{
    FrameSize, JournalOptions, JournalStore, OpenProgress, OpenStep, OpeningTimes, ReadOnlyJournal,
    RecoveryReport, TornTail, WriteMode,
};
pub use journal::{
    VERIFY_FINDINGS_MAX, VerifiedTail, VerifyError, VerifyProgress, VerifyReport, verify,
};
pub use look_up::{EventKind, Found, LookUp, LookUpBy};
pub use memory::MemoryStore;
#[doc(hidden)]
pub use meters::Meter;
pub use meters::journal_metrics;
pub use overlay::{ForkError, OVERLAY_BYTES_MAX, OverlayStore};
pub use position::{ExpectedVersion, Position, Version};
pub use read_model::{
    Change, Checkpoint, PROJECTION_NAME_BYTES_MAX, READ_MODEL_KEY_BYTES_MAX, ReadModelStore, Row,
    Store,
};
pub use snapshot::{Snapshot, SnapshotCriteria, SnapshotInfo, SnapshotStore};
pub use stream_id::{
    AGGREGATE_ID_BYTES_MAX, InvalidStreamId, STREAM_ID_SEGMENT_BYTES_MAX, StreamId,
};
