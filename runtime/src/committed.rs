use foldhouse_store::{Position, Version};
use uuid::Uuid;

/// The answer to a command that took effect, given when its events are durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed<Reply> {
    /// The command's own reply.
    pub reply: Reply,
    /// The position of the command's last event; a projection that has reached it shows the command's effect. For a
    /// command that recorded nothing, a position at or behind everything that its decision rested on.
    pub position: Position,
    /// The aggregate's version behind the command.
    pub version: Version,
    /// The command's id, as given or made.
    pub command_id: Uuid,
}
