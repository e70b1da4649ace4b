use uuid::Uuid;

use crate::admission::Patience;
use crate::command::CommandMeta;
use crate::deadline::{Deadline, Expiry};
use crate::options::WhenFull;

/// How one command is to be carried out; see [`AggregateRef::execute`](crate::AggregateRef::execute).
///
/// ```
/// # use std::time::Duration;
/// # use foldhouse::{CommandOptions, WhenFull};
/// let impatient = CommandOptions::new().when_full(WhenFull::Refuse).deadline(Duration::from_millis(200));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct CommandOptions {
    pub(crate) command_id: Option<Uuid>,
    pub(crate) meta: Option<Box<CommandMeta>>,
    pub(crate) when_full: Option<WhenFull>,
    pub(crate) deadline: Option<Deadline>,
}

impl CommandOptions {
    /// A fresh command id, no facts, the runtime's own choice when it is full, and no deadline.
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

    /// Until when the command may be decided: a tokio `Instant`, or a `Duration` from when it is sent. One that still
    /// waits then, for a place or for its turn, gets [`CommandError::Expired`](crate::CommandError::Expired) and has
    /// recorded nothing. Once it is decided it is answered whatever the deadline.
    pub fn deadline(mut self, deadline: impl Into<Deadline>) -> Self {
        self.deadline = Some(deadline.into());
        self
    }

    /// As of now: a deadline that counts from when the command is sent begins.
    pub(crate) fn patience(&self) -> Patience {
        Patience {
            when_full: self.when_full,
            until: Expiry::of(self.deadline),
        }
    }
}

impl From<CommandMeta> for CommandOptions {
    fn from(meta: CommandMeta) -> Self {
        Self::new().meta(meta)
    }
}

/// How one query is to be carried out; see [`AggregateRef::query_with`](crate::AggregateRef::query_with).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct QueryOptions {
    when_full: Option<WhenFull>,
    deadline: Option<Deadline>,
}

impl QueryOptions {
    /// The runtime's own choice when it is full, and no deadline.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether to wait when a limit is reached.
    pub fn when_full(mut self, when_full: WhenFull) -> Self {
        self.when_full = Some(when_full);
        self
    }

    /// Until when the query may be run: a tokio `Instant`, or a `Duration` from when it is sent. One that still waits
    /// then, for a place or for its turn, gets [`QueryError::Expired`](crate::QueryError::Expired).
    pub fn deadline(mut self, deadline: impl Into<Deadline>) -> Self {
        self.deadline = Some(deadline.into());
        self
    }

    /// As of now: a deadline that counts from when the query is sent begins.
    pub(crate) fn patience(self) -> Patience {
        Patience {
            when_full: self.when_full,
            until: Expiry::of(self.deadline),
        }
    }
}
