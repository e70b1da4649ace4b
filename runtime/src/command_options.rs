use uuid::Uuid;

use crate::command::CommandMeta;
use crate::options::WhenFull;

/// How one command is to be carried out; see [`AggregateRef::execute`](crate::AggregateRef::execute).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct CommandOptions {
    pub(crate) command_id: Option<Uuid>,
    pub(crate) meta: Option<Box<CommandMeta>>,
    pub(crate) when_full: Option<WhenFull>,
}

impl CommandOptions {
    /// A fresh command id, no facts, and the runtime's own choice when it is full.
    pub fn new() -> Self {
        Self::default()
    }

    /// The command's id, unique among all commands. The ids of its events follow from it
    /// ([`event_id`](crate::event_id)).
    pub fn command_id(mut self, id: Uuid) -> Self {
        self.command_id = Some(id);
        self
    }

    /// What to record with the command's events.
    pub fn meta(mut self, meta: CommandMeta) -> Self {
        self.meta = Some(Box::new(meta));
        self
    }

    /// Whether to wait when a limit is reached.
    pub fn when_full(mut self, when_full: WhenFull) -> Self {
        self.when_full = Some(when_full);
        self
    }
}

impl From<CommandMeta> for CommandOptions {
    fn from(meta: CommandMeta) -> Self {
        Self::new().meta(meta)
    }
}
