//! States that are kept, so that bringing an aggregate back need not start from its first event.
//!
//! - `policy`: when one is taken, and which ones stay
//! - `retention`: which of them are too many
//! - `cadence`: whether an aggregate is due for one
//! - `job`: one that is taken beside the commands
//! - `save`: how one is written down and kept
//! - `encoding`: a state as bytes
//! - `kept`: what users see of those that are there

mod cadence;
mod encoding;
mod job;
mod kept;
mod policy;
mod retention;
mod save;

pub(crate) use self::cadence::Cadence;
pub use self::encoding::SNAPSHOT_BYTES_MAX;
pub(crate) use self::encoding::decode_state;
pub(crate) use self::job::SnapshotJob;
pub(crate) use self::kept::space;
pub use self::kept::{KeptSnapshot, SnapshotError, SnapshotSpace};
pub(crate) use self::policy::SnapshotPolicies;
pub use self::policy::SnapshotPolicy;
pub(crate) use self::save::save;
