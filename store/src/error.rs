use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use uuid::Uuid;

use crate::append::{APPEND_EVENTS_MAX, APPEND_STREAMS_MAX};
use crate::command::COMMAND_REPLY_BYTES_MAX;
use crate::position::{ExpectedVersion, Position, Version};
use crate::stream_id::StreamId;

/// What went wrong below the store, in words, with the I/O error that caused it where there was one.
#[derive(Clone, Debug)]
pub struct Fault {
    what: Arc<str>,
    source: Option<Arc<std::io::Error>>,
}

impl Fault {
    /// A fault that no I/O error caused.
    #[must_use]
    pub fn new(what: impl Into<Arc<str>>) -> Self {
        Self {
            what: what.into(),
            source: None,
        }
    }

    /// A fault with the I/O error behind it.
    #[must_use]
    pub fn io(what: impl Into<Arc<str>>, source: std::io::Error) -> Self {
        Self {
            what: what.into(),
            source: Some(Arc::new(source)),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Some(source) => write!(f, "{}: {source}", self.what),
            None => f.write_str(&self.what),
        }
    }
}

impl std::error::Error for Fault {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source
            .as_ref()
            .map(|source| &**source as &(dyn std::error::Error + 'static))
    }
}

/// Why an append was not acknowledged, sorted by what the caller can do.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// The stream was not at the expected version. Nothing was recorded; read the stream and decide again.
    #[error(
        "stream {stream} is at version {actual}, but the append expected {expected}; \
         nothing was recorded: read the stream and decide again"
    )]
    Conflict {
        /// The first stream whose expectation was not met.
        stream: StreamId,
        /// What the append expected.
        expected: ExpectedVersion,
        /// What the store found.
        actual: Version,
    },
    /// A command with this id was recorded before, and is durable. Nothing was recorded again; ask
    /// [`EventStore::command`](crate::EventStore::command) for its outcome, and compare the fingerprint: it may have been
    /// another command that came under the same id.
    #[error(
        "command {command_id} was recorded before; nothing was recorded again: \
         ask for its outcome by the command id"
    )]
    Duplicate {
        /// The id.
        command_id: Uuid,
    },
    /// The append breaks a rule and would break it again. Nothing was recorded; change it.
    #[error("the append is not valid, nothing was recorded: {0}")]
    Invalid(#[from] InvalidAppend),
    /// Too much is queued. Nothing was recorded; wait (see [`EventStore::ready`](crate::EventStore::ready)) and retry.
    #[error(
        "the store has {queued_bytes} bytes queued, its limit is {limit_bytes}; \
         nothing was recorded: wait and retry"
    )]
    Overloaded {
        /// What waits for the disk.
        queued_bytes: usize,
        /// The most that may wait.
        limit_bytes: usize,
    },
    /// The store was opened for reading only. Nothing was recorded; open it for writing, in the one process that does.
    #[error(
        "{} was opened for reading only, nothing was recorded; \
         append through the process that has it open for writing",
        .directory.display()
    )]
    ReadOnly {
        /// The store's directory.
        directory: PathBuf,
    },
    /// Nothing was recorded; a retry is safe (once what the fault names is repaired).
    #[error("nothing was recorded, a retry is safe: {0}")]
    NotRecorded(Fault),
    /// The write failed half way: the events may or may not be found when the store is opened again. Do not retry
    /// blindly; reopen, then look for the event ids. An append with a command can simply be retried after that: if it was
    /// recorded, the retry is a duplicate.
    #[error("it is unknown whether the append was recorded; reopen the store and look: {0}")]
    Unknown(Fault),
}

/// The rule that an append breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidAppend {
    /// It names no stream.
    #[error("it names no stream")]
    NoStream,
    /// It names a stream twice.
    #[error("it names stream {0} twice; put the events of a stream together")]
    DuplicateStream(StreamId),
    /// It touches too many streams.
    #[error("it touches {0} streams; the limit is {APPEND_STREAMS_MAX}")]
    TooManyStreams(usize),
    /// It carries too many events.
    #[error("it carries {0} events; the limit is {APPEND_EVENTS_MAX}")]
    TooManyEvents(usize),
    /// Two of its events have the same id.
    #[error(
        "it carries two events with the id {id}, the second for stream {stream}; give each its own"
    )]
    DuplicateEventId {
        /// The id.
        id: Uuid,
        /// Where the second one was to go.
        stream: StreamId,
    },
    /// The reply of its command is too large.
    #[error("the reply of its command takes {0} bytes; the limit is {COMMAND_REPLY_BYTES_MAX}")]
    ReplyTooLarge(usize),
    /// One event is too large.
    #[error("an event for stream {stream} takes {bytes} bytes; the limit is {limit_bytes}")]
    EventTooLarge {
        /// Where it was to go.
        stream: StreamId,
        /// What it takes.
        bytes: usize,
        /// The most that one event may take.
        limit_bytes: usize,
    },
    /// All its events together are too large for one frame.
    #[error("its events take {bytes} bytes together; the limit is {limit_bytes}")]
    TooLarge {
        /// What they take.
        bytes: usize,
        /// The most that one append may take.
        limit_bytes: usize,
    },
    /// A text of an event is empty or too long.
    #[error(
        "the {field} of an event for stream {stream} has {bytes} bytes; it takes 1 to {limit_bytes}"
    )]
    Text {
        /// Where the event was to go.
        stream: StreamId,
        /// Which text: `event type`, `user` or `metadata`.
        field: &'static str,
        /// Its length.
        bytes: usize,
        /// The longest allowed.
        limit_bytes: usize,
    },
}

/// Where in the store something is damaged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The file, relative to the store's directory.
    pub file: PathBuf,
    /// The byte in that file at which the damaged part starts.
    pub offset: u64,
    /// The position of the first event that cannot be trusted, as far as it is known.
    pub position: Position,
    /// What does not hold.
    pub what: String,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} at offset {} (position {}): {}",
            self.file.display(),
            self.offset,
            self.position,
            self.what
        )
    }
}

/// Why a read gave nothing, or a snapshot or read model was not written.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The bytes on disk are not what was written. The store goes on for everything else; restore the file.
    #[error("the store is damaged: {0}; restore that file from a copy")]
    Corrupt(Damage),
    /// The disk did not answer; a retry may work.
    #[error("the read failed, a retry may work: {0}")]
    Io(Fault),
    /// A name or key is too long, and would be again. Nothing was changed; shorten it.
    #[error(
        "the {what} has {bytes} bytes, the limit is {limit_bytes}; nothing was changed: shorten it"
    )]
    TooLong {
        /// What is too long: `name of a projection` or `key of a row`.
        what: &'static str,
        /// Its length.
        bytes: usize,
        /// The longest allowed.
        limit_bytes: usize,
    },
    /// The store is closed.
    #[error("the store is closed")]
    Closed,
}

/// Why a store did not open. Nothing was changed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process (or another handle in this one) has it open for writing.
    #[error(
        "{} is already open for writing by another process or handle; close that one first",
        .directory.display()
    )]
    Locked {
        /// The store's directory.
        directory: PathBuf,
    },
    /// There is no journal, and none was to be created.
    #[error(
        "there is no journal in {}, nothing was created; check the path, or open it for writing to create one",
        .directory.display()
    )]
    NoJournal {
        /// Where it was looked for.
        directory: PathBuf,
    },
    /// A part that was durable is damaged or missing. It is never cut off silently.
    #[error("the journal is damaged: {0}; restore that file from a copy, nothing was changed")]
    Corrupt(Damage),
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
    /// What lies beside the journal follows events that the journal does not have: its newest files are missing, or an older
    /// copy of it was put back. Put the newer files back. If the journal as it is shall count, move `index` elsewhere (or
    /// delete it: all of it can be made anew) and open again.
    #[error(
        "{damage}; put the newer files back, or, if the journal as it is shall count, move {} elsewhere and open again; \
         nothing was changed",
        .index.display()
    )]
    OlderThanIndex {
        /// The end of the journal, and who knows of more.
        damage: Damage,
        /// The directory of the index.
        index: PathBuf,
    },
    /// An option does not fit.
    #[error("the options do not fit: {0}")]
    Options(String),
    /// The file system refused.
    #[error("{0}")]
    Io(Fault),
}

/// Why a backup or a restore was not made, or not finished. The source is never changed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CopyError {
    /// The store that is copied is damaged, missing or cannot be read. What was copied before it stays unfinished.
    #[error("the store to be copied cannot be read: {0}")]
    Source(OpenError),
    /// The copy would go to where its source is. Nothing was changed; choose another directory.
    #[error("{} is the store to be copied itself; choose another directory", .directory.display())]
    Itself {
        /// The directory.
        directory: PathBuf,
    },
    /// The directory that the copy goes to is open as a store, or another copy goes there. Nothing was changed.
    #[error(
        "{} is in use by another process or handle, nothing was changed; wait until it is done or close it",
        .directory.display()
    )]
    InUse {
        /// The directory.
        directory: PathBuf,
    },
    /// The directory holds something else. Nothing was changed; choose a new or empty one, or move aside what is there.
    #[error(
        "{} holds {found:?}, nothing was changed; choose a new or empty directory, or move it aside",
        .directory.display()
    )]
    NotEmpty {
        /// The directory.
        directory: PathBuf,
        /// What lies there.
        found: String,
    },
    /// The directory holds a backup of another store. Nothing was changed; choose another directory.
    #[error("{} holds a backup of another store, nothing was changed; choose another directory", .directory.display())]
    OtherStore {
        /// The directory.
        directory: PathBuf,
    },
    /// The directory holds events that the store to be backed up does not have: a later state, or one that went on
    /// differently. Nothing of them was changed; keep it, and back up to another directory.
    #[error(
        "{} holds events from position {position} on that are not in the store to be backed up; \
         they were left as they are: keep them, and back up to another directory",
        .directory.display()
    )]
    OtherHistory {
        /// The directory.
        directory: PathBuf,
        /// The first position of the segment in which the two differ.
        position: Position,
    },
    /// The earlier backup is itself damaged beyond its frames. Nothing was changed; move it aside and make a new one.
    #[error(
        "the earlier backup cannot be brought up to date: {0}; move it aside and make a new one"
    )]
    Target(OpenError),
    /// The store ends before the position that was asked for. No copy was made; ask for the head, or use another source.
    #[error(
        "the store ends at position {head}, before position {asked}; no copy was made: \
         restore up to the head, or from a later backup"
    )]
    BeyondHead {
        /// The position asked for.
        asked: Position,
        /// The last position there is.
        head: Position,
    },
    /// The directory that the copy goes to cannot be written. Make room or repair it, and run it again.
    #[error("{0}; repair that and run it again")]
    Io(Fault),
    /// Whoever watched the progress stopped it. A backup that is run again goes on where it was.
    #[error("it was stopped before it was done; run it again")]
    Stopped,
}
