use std::sync::Arc;

use bytes::Bytes;
use foldhouse_store::{RecordedEvent, StreamId};
use uuid::Uuid;

use super::error::ProcessError;
use crate::command::Command;
use crate::event_codec::decode_value;
use crate::timer::TimedCommand;

/// What an instance is told.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Input<'i> {
    /// An event that concerns it.
    Event(&'i RecordedEvent),
    /// What a command came to that it has sent.
    Settled(&'i Settled),
    /// The name of a timeout of its own that is due.
    Timeout(&'i str),
}

/// What a command of an instance came to: it took effect, or was rejected. Anything else is not told: it is sent again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    pub(super) step: Arc<str>,
    pub(super) stream: StreamId,
    pub(super) command: Arc<str>,
    pub(super) command_id: Uuid,
    pub(super) outcome: Result<Bytes, Arc<str>>,
}

impl Settled {
    /// What the instance called the command when it sent it.
    #[must_use]
    pub fn step(&self) -> &str {
        &self.step
    }

    /// Whom it was sent to.
    #[must_use]
    pub fn stream(&self) -> &StreamId {
        &self.stream
    }

    /// The command's name.
    #[must_use]
    pub fn command(&self) -> &str {
        &self.command
    }

    /// The id that it was sent under.
    #[must_use]
    pub fn command_id(&self) -> Uuid {
        self.command_id
    }

    /// Why the domain said no, if it did.
    #[must_use]
    pub fn rejection(&self) -> Option<&str> {
        self.outcome.as_ref().err().map(|why| &**why)
    }

    /// The reply to a command of this type.
    ///
    /// # Errors
    /// It was rejected, or is of another type.
    pub fn reply<C: TimedCommand>(&self) -> Result<<C as Command>::Reply, ProcessError> {
        match &self.outcome {
            Ok(reply) if *self.command == *C::NAME => decode_value(reply)
                .map_err(|error| ProcessError::new(format!("the reply to {}: {error}", C::NAME))),
            Ok(_) => Err(ProcessError::new(format!(
                "{} is the outcome of {}, and not of {}",
                self.step,
                self.command,
                C::NAME
            ))),
            Err(why) => Err(ProcessError::new(format!("it was rejected: {why}"))),
        }
    }
}
