use foldhouse_store::{Position, RecordedCommand, Timestamp, Version};
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::committed::Committed;
use crate::once::{Fingerprint, read_reply, recall};
use crate::refusal::NotRecorded;
use crate::shared::Shared;

/// What a command or transaction that was to take effect once came to; see [`Runtime::outcome`](crate::Runtime::outcome).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    recorded: RecordedCommand,
}

/// Why it cannot be told what was recorded under a command id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OutcomeError {
    /// Another command was recorded under this id: for another aggregate, of another kind, or with another content. Yours
    /// was not recorded and never will be under this id; give it one of its own.
    #[error(
        "another command was recorded under the id {command_id}; this one was not: give it an id of its own"
    )]
    OtherCommand {
        /// The id.
        command_id: Uuid,
    },
    /// It was recorded, but its reply cannot be read. Keep the reply's type readable, or take the effect from the state.
    #[error("command {command_id} was recorded before, but its reply cannot be read: {error}")]
    UnreadableReply {
        /// The id.
        command_id: Uuid,
        /// What does not fit.
        error: String,
    },
    /// The store could not be asked. Ask again.
    #[error("whether command {command_id} was recorded cannot be told yet, ask again: {reason}")]
    Unavailable {
        /// The id.
        command_id: Uuid,
        /// Why.
        reason: NotRecorded,
    },
}

impl Outcome {
    pub(crate) fn new(recorded: RecordedCommand) -> Self {
        Self { recorded }
    }

    /// The id that it was recorded under.
    #[must_use]
    pub fn command_id(&self) -> Uuid {
        self.recorded.id
    }

    /// The position of its last event; without events, that of the last event before it.
    #[must_use]
    pub fn position(&self) -> Position {
        self.recorded.position
    }

    /// How many events it recorded, up to [`Outcome::position`].
    #[must_use]
    pub fn event_count(&self) -> u32 {
        self.recorded.event_count
    }

    /// When it was recorded; `None` where that is not known (a command without events).
    #[must_use]
    pub fn recorded_at(&self) -> Option<Timestamp> {
        self.recorded.recorded_at
    }

    /// The reply that its sender got: a command's `Reply`, or a transaction's `Replies`. What type that is only the caller
    /// knows.
    ///
    /// # Errors
    /// [`OutcomeError::UnreadableReply`]: it is not of this type.
    pub fn reply<R: DeserializeOwned>(&self) -> Result<R, OutcomeError> {
        self.version_and_reply().map(|(_version, reply)| reply)
    }

    /// As the answer to a command with this fingerprint.
    pub(crate) fn answers<R: DeserializeOwned>(
        &self,
        fingerprint: [u8; 16],
    ) -> Result<Committed<R>, OutcomeError> {
        self.committed(self.recorded.fingerprint == fingerprint)
    }

    /// As the answer to a command of this kind and address, whatever it says.
    pub(crate) fn answers_kind<R: DeserializeOwned>(
        &self,
        kind: &Fingerprint,
    ) -> Result<Committed<R>, OutcomeError> {
        self.committed(kind.is_of_this_kind(&self.recorded.fingerprint))
    }

    fn committed<R: DeserializeOwned>(&self, is_same: bool) -> Result<Committed<R>, OutcomeError> {
        let command_id = self.command_id();
        if !is_same {
            return Err(OutcomeError::OtherCommand { command_id });
        }
        let (version, reply) = self.version_and_reply()?;
        Ok(Committed {
            reply,
            position: self.position(),
            version,
            command_id,
        })
    }

    fn version_and_reply<R: DeserializeOwned>(&self) -> Result<(Version, R), OutcomeError> {
        read_reply(&self.recorded.reply).map_err(|error| OutcomeError::UnreadableReply {
            command_id: self.command_id(),
            error,
        })
    }
}

/// What was recorded under an id, once nothing with it is on its way any more.
pub(crate) async fn settled_outcome(
    shared: &Shared,
    id: Uuid,
) -> Result<Option<Outcome>, OutcomeError> {
    while let Some(on_its_way) = shared.claims.on_its_way(id) {
        on_its_way.settled().await;
    }
    recall(&*shared.store, id).await
}
