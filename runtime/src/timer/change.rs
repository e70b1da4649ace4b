use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;
use foldhouse_store::{StreamId, Timestamp};
use serde::de::DeserializeOwned;

use crate::command_error::InvalidEvents;
use crate::event_codec::check_value;
use crate::idempotent_command::IdempotentCommand;
use crate::refusal::panic_message;

/// The longest name of a timer, in bytes.
pub const TIMER_NAME_BYTES_MAX: usize = 127;
/// The most that a timer's command may take as MessagePack, in bytes.
pub const TIMER_COMMAND_BYTES_MAX: usize = 64 * 1024;
/// The most timers that one decision may schedule and cancel.
pub const TIMERS_PER_DECISION_MAX: usize = 1_024;

/// A command that a timer can send: one that takes effect once, and can be read back from the journal. It is implemented
/// for all that are.
///
/// Register it where the runtime is set up ([`RuntimeBuilder::timed_command`](crate::RuntimeBuilder::timed_command)), and
/// keep it readable for as long as timers with it are pending: a new field takes `#[serde(default)]`, the name stays.
pub trait TimedCommand: IdempotentCommand + DeserializeOwned {}

impl<C: IdempotentCommand + DeserializeOwned> TimedCommand for C {}

/// What a decision changes about one of its aggregate's timers; see
/// [`Decision::schedule`](crate::Decision::schedule).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TimerChange {
    /// A command is sent at a time. A pending timer of this name is replaced.
    Schedule {
        /// The timer's name, one of the aggregate's own.
        name: Arc<str>,
        /// When it is due.
        at: Timestamp,
        /// The command's [`IdempotentCommand::NAME`].
        command: &'static str,
        /// The command as MessagePack, or why it cannot be written.
        content: Result<Bytes, String>,
    },
    /// The pending timer of this name, if there is one, will not fire.
    Cancel {
        /// The timer's name.
        name: Arc<str>,
    },
}

/// What one decision changes, in order.
pub(crate) type TimerChanges = Vec<TimerChange>;

impl TimerChange {
    pub(crate) fn schedule<C: TimedCommand>(name: Arc<str>, at: Timestamp, command: &C) -> Self {
        // Unwind safe: what is half written is thrown away.
        let written = catch_unwind(AssertUnwindSafe(|| {
            rmp_serde::to_vec_named(command).map_err(|error| error.to_string())
        }));
        let content = written.unwrap_or_else(|panic| Err(panic_message(panic)));
        Self::Schedule {
            name,
            at,
            command: C::NAME,
            content: content.map(Bytes::from),
        }
    }

    /// The timer's name.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        match self {
            Self::Schedule { name, .. } | Self::Cancel { name } => name,
        }
    }

    /// Whether it can be recorded. Asked before anything is applied.
    fn check(&self, stream: &StreamId) -> Result<(), InvalidEvents> {
        let name = self.name();
        if name.is_empty() || name.len() > TIMER_NAME_BYTES_MAX || name.contains(char::is_control) {
            return Err(InvalidEvents::TimerName {
                stream: stream.clone(),
                bytes: name.len(),
            });
        }
        let Self::Schedule {
            command, content, ..
        } = self
        else {
            return Ok(());
        };
        let content = content
            .as_ref()
            .map_err(|error| unwritable(error.clone()))?;
        if content.len() > TIMER_COMMAND_BYTES_MAX {
            return Err(unwritable(format!(
                "{command} takes {} bytes; the limit is {TIMER_COMMAND_BYTES_MAX}",
                content.len()
            )));
        }
        check_value(content).map_err(unwritable)
    }
}

/// Whether changes can be recorded with so many events.
pub(super) fn check(
    changes: &[TimerChange],
    stream: &StreamId,
    event_count: usize,
) -> Result<(), InvalidEvents> {
    if event_count == 0 {
        return Err(InvalidEvents::TimersWithoutEvents {
            stream: stream.clone(),
        });
    }
    if changes.len() > TIMERS_PER_DECISION_MAX {
        return Err(InvalidEvents::TooManyTimers {
            stream: stream.clone(),
            changes: changes.len(),
        });
    }
    changes.iter().try_for_each(|change| change.check(stream))
}

fn unwritable(error: String) -> InvalidEvents {
    InvalidEvents::Unwritable {
        what: "command of a timer",
        error,
    }
}
