use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use uuid::Uuid;

use crate::error::{Damage, Fault};
use crate::journal::recovery::TornTail;
use crate::position::Position;

/// How far a verification has come.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct VerifyProgress {
    /// Bytes of the journal that are checked.
    pub bytes_done: u64,
    /// Bytes that there were to check when it began; a store that is open for writing may grow meanwhile.
    pub bytes_total: u64,
    /// The segment under way, relative to the store's directory.
    pub file: PathBuf,
    /// The last event checked.
    pub position: Position,
}

/// What a verification found.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct VerifyReport {
    /// The identity of the store, from its first segment; `None` if there is none to read.
    pub store_id: Option<Uuid>,
    /// How many segment files there are.
    pub segments: u64,
    /// How many frames are whole.
    pub frames: u64,
    /// How many events these hold.
    pub events: u64,
    /// How many streams these belong to.
    pub streams: u64,
    /// The position of the last event.
    pub head: Position,
    /// The hash of the last frame. In a journal without findings it stands for everything before it: who has written it
    /// down can tell later that no event up to `head` was changed, added or removed.
    pub last_hash: [u8; 32],
    /// What stands behind the last frame.
    pub tail: VerifiedTail,
    /// Whether a process had the store open for writing.
    pub in_use: bool,
    /// What does not hold, in the order of the journal, up to [`VERIFY_FINDINGS_MAX`].
    pub findings: Vec<Damage>,
    /// How many findings there were beyond these.
    pub findings_left_out: u64,
    /// Files in the journal's directory that are not the journal's. They harm nothing.
    pub other_files: Vec<String>,
    /// How many bytes were read.
    pub bytes: u64,
    /// How long it took.
    pub duration: Duration,
}

/// How many findings a report lists; more are only counted.
pub const VERIFY_FINDINGS_MAX: usize = 1_000;

impl VerifyReport {
    /// Whether everything holds. A write that did not complete is no damage: it was never acknowledged.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.findings.is_empty()
    }
}

/// What stands behind the last frame of a journal.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum VerifiedTail {
    /// Zeros only.
    Clean,
    /// A write that did not complete when the last process died. It was never acknowledged; opening cuts it off.
    Torn(TornTail),
    /// A write that was under way: the store was open for writing.
    InFlight(TornTail),
}

/// Why a store could not be verified. Nothing was changed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// There is nothing to verify.
    #[error("{} is not a store: {what}; give the directory that a store was opened in", .directory.display())]
    NoStore {
        /// What was given.
        directory: PathBuf,
        /// What is missing.
        what: String,
    },
    /// A newer foldhouse wrote it.
    #[error(
        "{} has format version {found}; this build reads up to {newest}: use a newer foldhouse",
        .file.display()
    )]
    NewerFormat {
        /// The file.
        file: PathBuf,
        /// Its version.
        found: u16,
        /// The newest version that this build reads.
        newest: u16,
    },
    /// The file system refused.
    #[error("{0}")]
    Io(Fault),
}

impl fmt::Display for VerifyReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            segments,
            frames,
            events,
            streams,
            head,
            ..
        } = self;
        let found = self.findings.len() as u64 + self.findings_left_out;
        write!(
            f,
            "{segments} segments, {frames} frames, {events} events of {streams} streams up to position {head}: "
        )?;
        match found {
            0 => write!(f, "whole"),
            1 => write!(f, "1 finding"),
            _ => write!(f, "{found} findings"),
        }
    }
}
