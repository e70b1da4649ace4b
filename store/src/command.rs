use bytes::Bytes;
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::event::Codec;
use crate::position::Position;

/// The most that the reply of a command may take, in bytes.
pub const COMMAND_REPLY_BYTES_MAX: usize = 64 * 1024;

/// How many of the newest command ids a store remembers if it is not told otherwise, at least.
pub(crate) const COMMANDS_REMEMBERED: usize = 1 << 20;

/// What is recorded with an append so that its command takes effect once, however often it is sent.
///
/// A second append with the same id is refused as [`AppendError::Duplicate`](crate::AppendError::Duplicate); its sender
/// asks [`EventStore::command`](crate::EventStore::command) for what the first one came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandStamp {
    /// The id of the command: the same for every retry of it, and for nothing else.
    pub id: Uuid,
    /// What the command asks for, in 16 bytes (a hash of it). The store keeps it and compares nothing: who is told of a
    /// duplicate compares it with its own, to tell a retry from another command that came under the same id.
    pub fingerprint: [u8; 16],
    /// The answer that a retry is to get, too; at most [`COMMAND_REPLY_BYTES_MAX`] bytes.
    pub reply: CommandReply,
}

/// The answer to a command: bytes, and how to read them.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct CommandReply {
    /// How to read [`CommandReply::bytes`].
    pub codec: Codec,
    /// The bytes themselves; a clone shares them.
    pub bytes: Bytes,
}

/// What a command came to that was recorded before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedCommand {
    /// Its id.
    pub id: Uuid,
    /// What it asked for. If yours differs, another command was recorded under this id: yours was not, and never will be
    /// under this id.
    pub fingerprint: [u8; 16],
    /// The answer that its first sender got.
    pub reply: CommandReply,
    /// The position of its last event; without events, that of the last event before it.
    pub position: Position,
    /// How many events it recorded; they have the positions up to and including [`RecordedCommand::position`].
    pub event_count: u32,
    /// When the store took it; `None` where that is not known (a command without events).
    pub recorded_at: Option<Timestamp>,
}
