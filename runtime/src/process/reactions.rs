use std::sync::Arc;

use bytes::Bytes;
use foldhouse_store::{StreamId, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::ProcessManager;
use super::error::ProcessError;
use super::tell::Timeout;
use crate::timer::{TIMER_COMMAND_BYTES_MAX, TimedCommand, TimerChange};

/// The most commands that an instance may send about one input.
pub const COMMANDS_PER_REACTION_MAX: usize = 256;
/// The most commands of one instance that may wait to be sent.
pub const OUTBOX_COMMANDS_MAX: usize = 4_096;
/// The longest name of a step, in bytes.
pub const STEP_NAME_BYTES_MAX: usize = 127;

/// What an instance does about an input: it changes its state by events of its own, sends commands, and sets timeouts.
///
/// All of it is recorded together, and then the commands are sent.
#[must_use = "nothing happens unless it is given back"]
pub struct Reactions<P: ProcessManager> {
    pub(super) events: Vec<P::Event>,
    pub(super) commands: Vec<Outgoing>,
    pub(super) timers: Vec<TimerChange>,
    pub(super) error: Option<ProcessError>,
}

/// A command on its way. Persisted in the instance's events and state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Outgoing {
    /// Given when it is recorded.
    pub(super) id: Uuid,
    pub(super) step: Arc<str>,
    pub(super) stream: StreamId,
    pub(super) command: Arc<str>,
    pub(super) content: Bytes,
}

impl<P: ProcessManager> Default for Reactions<P> {
    fn default() -> Self {
        Self {
            events: Vec::new(),
            commands: Vec::new(),
            timers: Vec::new(),
            error: None,
        }
    }
}

impl<P: ProcessManager> Reactions<P> {
    /// Nothing is to be done.
    pub fn none() -> Self {
        Self::default()
    }

    /// Changes the state by this event.
    pub fn event(mut self, event: P::Event) -> Self {
        self.events.push(event);
        self
    }

    /// Sends a command to the aggregate of `stream`, behind all that the instance has sent before. What it comes to is
    /// told as [`Input::Settled`](super::Input::Settled), under the name `step`. The command must be named in
    /// [`ProcessManager::commands`].
    pub fn send<C: TimedCommand>(
        mut self,
        step: impl Into<Arc<str>>,
        stream: StreamId,
        command: C,
    ) -> Self {
        let step = step.into();
        match outgoing(step, stream, &command) {
            Ok(outgoing) => self.commands.push(outgoing),
            Err(error) => self.error = Some(error),
        }
        self
    }

    /// Tells the instance at a time ([`Input::Timeout`](super::Input::Timeout)); a pending timeout of this name is
    /// replaced.
    pub fn timeout(mut self, name: impl Into<Arc<str>>, at: Timestamp) -> Self {
        let name = name.into();
        let timeout = Timeout::<P>::new(&name);
        self.timers.push(TimerChange::schedule(name, at, &timeout));
        self
    }

    /// The pending timeout of this name, if there is one, is not told.
    pub fn cancel_timeout(mut self, name: impl Into<Arc<str>>) -> Self {
        self.timers.push(TimerChange::Cancel { name: name.into() });
        self
    }
}

fn outgoing<C: TimedCommand>(
    step: Arc<str>,
    stream: StreamId,
    command: &C,
) -> Result<Outgoing, ProcessError> {
    if step.len() > STEP_NAME_BYTES_MAX {
        let bytes = step.len();
        return Err(ProcessError::new(format!(
            "the name of a step takes {bytes} bytes; the limit is {STEP_NAME_BYTES_MAX}"
        )));
    }
    let unwritable = |what: String| ProcessError::new(format!("the command {}: {what}", C::NAME));
    let content =
        rmp_serde::to_vec_named(command).map_err(|error| unwritable(error.to_string()))?;
    if content.len() > TIMER_COMMAND_BYTES_MAX {
        let bytes = content.len();
        return Err(unwritable(format!(
            "it takes {bytes} bytes; the limit is {TIMER_COMMAND_BYTES_MAX}"
        )));
    }
    Ok(Outgoing {
        id: Uuid::nil(),
        step,
        stream,
        command: C::NAME.into(),
        content: content.into(),
    })
}

impl<P: ProcessManager> std::fmt::Debug for Reactions<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reactions")
            .field("events", &self.events)
            .field("commands", &self.commands)
            .field("timers", &self.timers)
            .finish_non_exhaustive()
    }
}
