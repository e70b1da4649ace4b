use foldhouse_store::{CommandStamp, Version};
use uuid::Uuid;

use super::claims::Claim;
use super::reply::{encode_reply, stored_reply};
use crate::command::Command;
use crate::command_error::InvalidEvents;
use crate::idempotent_command::IdempotentCommand;

/// What is kept of a command besides its events. Without anything kept it costs nothing.
pub(crate) trait Keeping<C: Command>: Send + 'static {
    /// Whether the command is recorded although it has no events.
    const ALWAYS_RECORDS: bool;

    /// The command's id, where it is given.
    fn command_id(&self) -> Option<Uuid>;

    /// What goes into the append that brings the stream to `version`.
    fn stamp(
        &self,
        reply: &C::Reply,
        version: Version,
    ) -> Result<Option<Box<CommandStamp>>, InvalidEvents>;
}

/// Nothing is kept: sent again, the command takes effect again. Holds the id that the caller gave, if it did.
pub(crate) struct Forgotten(pub(crate) Option<Uuid>);

impl<C: Command> Keeping<C> for Forgotten {
    const ALWAYS_RECORDS: bool = false;

    fn command_id(&self) -> Option<Uuid> {
        self.0
    }

    fn stamp(&self, _: &C::Reply, _: Version) -> Result<Option<Box<CommandStamp>>, InvalidEvents> {
        Ok(None)
    }
}

/// Id, fingerprint and reply are kept, and the id is claimed until the command is settled.
pub(crate) struct Kept {
    pub(crate) claim: Claim,
    pub(crate) fingerprint: [u8; 16],
}

impl<C: IdempotentCommand> Keeping<C> for Kept {
    const ALWAYS_RECORDS: bool = true;

    fn command_id(&self) -> Option<Uuid> {
        Some(self.claim.id())
    }

    fn stamp(
        &self,
        reply: &C::Reply,
        version: Version,
    ) -> Result<Option<Box<CommandStamp>>, InvalidEvents> {
        Ok(Some(Box::new(CommandStamp {
            id: self.claim.id(),
            fingerprint: self.fingerprint,
            reply: stored_reply(version, &encode_reply(reply)?)?,
        })))
    }
}
