//! The commands of an instance: each tells it an input.

use std::marker::PhantomData;
use std::sync::Arc;

use bytes::Bytes;
use foldhouse_store::{RecordedEvent, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::ProcessManager;
use super::error::ProcessError;
use super::input::{Input, Settled};
use super::instance::{Instance, InstanceEvent};
use super::reactions::{COMMANDS_PER_REACTION_MAX, OUTBOX_COMMANDS_MAX, Reactions};
use crate::command::{Command, CommandContext, Decided, Decision, Never};
use crate::idempotent_command::IdempotentCommand;

/// A timeout that could not be dealt with is told again after this.
const TIMEOUT_AGAIN_MICROS: i64 = 60_000_000;

/// The id of the command that tells an instance of what has this id. All that it records, and the ids of the commands that
/// it sends, follow from it.
pub(super) fn telling_id(name: &str, input: Uuid) -> Uuid {
    let mut hasher = blake3::Hasher::new_derive_key("foldhouse 2026 a process is told of an input");
    hasher.update(name.as_bytes());
    hasher.update(input.as_bytes());
    let mut bytes = [0; 16];
    hasher.finalize_xof().fill(&mut bytes);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

type Told<P> = Decision<InstanceEvent<<P as ProcessManager>::Event>, ()>;

/// What an input comes to: that it was told, and what the instance does about it.
fn told<P: ProcessManager>(
    instance: &Instance<P>,
    what: InstanceEvent<P::Event>,
    input: &Input<'_>,
    context: &CommandContext,
) -> Result<Told<P>, ProcessError> {
    let Reactions {
        events,
        commands,
        timers,
        error,
    } = P::react(&instance.state, input, context)?;
    if let Some(error) = error {
        return Err(error);
    }
    if commands.len() > COMMANDS_PER_REACTION_MAX
        || commands.len() + instance.outbox.len() > OUTBOX_COMMANDS_MAX
    {
        return Err(ProcessError::new(format!(
            "{} more commands, with {} waiting, are too many: {COMMANDS_PER_REACTION_MAX} may be sent about one input, \
             and {OUTBOX_COMMANDS_MAX} may wait",
            commands.len(),
            instance.outbox.len()
        )));
    }
    let issued = (0_u32..).zip(commands).map(|(index, mut outgoing)| {
        outgoing.id = context.derive_id(index);
        InstanceEvent::ProcessIssued(outgoing)
    });
    let changed = events.into_iter().map(InstanceEvent::ProcessChanged);
    let mut decision = Decision::events(std::iter::once(what).chain(changed).chain(issued), ());
    decision.timers = (!timers.is_empty()).then(|| Box::new(timers));
    Ok(decision)
}

/// Tells of an event.
pub(super) struct TellEvent<P> {
    pub(super) event: RecordedEvent,
    pub(super) process: PhantomData<fn() -> P>,
}

impl<P: ProcessManager> Command for TellEvent<P> {
    type Aggregate = Instance<P>;
    type Reply = ();
    type Rejection = ProcessError;

    fn decide(&self, instance: &Instance<P>, context: &CommandContext) -> Decided<Self> {
        let event = &self.event;
        if event.position.get() <= instance.told {
            return Ok(Decision::nothing(()));
        }
        let what = InstanceEvent::ProcessTold {
            position: event.position.get(),
            event: event.id,
        };
        told(instance, what, &Input::Event(event), context)
    }
}

/// Tells what a command came to.
pub(super) struct TellOutcome<P> {
    pub(super) command_id: Uuid,
    pub(super) outcome: Result<Bytes, Arc<str>>,
    pub(super) process: PhantomData<fn() -> P>,
}

impl<P: ProcessManager> Command for TellOutcome<P> {
    type Aggregate = Instance<P>;
    type Reply = ();
    type Rejection = ProcessError;

    fn decide(&self, instance: &Instance<P>, context: &CommandContext) -> Decided<Self> {
        let mut outbox = instance.outbox.iter();
        let Some(sent) = outbox.find(|outgoing| outgoing.id == self.command_id) else {
            // It was told of it before.
            return Ok(Decision::nothing(()));
        };
        let settled = Settled {
            step: Arc::clone(&sent.step),
            stream: sent.stream.clone(),
            command: Arc::clone(&sent.command),
            command_id: sent.id,
            outcome: self.outcome.clone(),
        };
        let what = InstanceEvent::ProcessSettled {
            command_id: sent.id,
            rejected: self.outcome.as_ref().err().cloned(),
        };
        told(instance, what, &Input::Settled(&settled), context)
    }
}

/// Tells of a timeout; a timer sends it.
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub(super) struct Timeout<P> {
    name: Arc<str>,
    #[serde(skip)]
    process: PhantomData<fn() -> P>,
}

impl<P> Timeout<P> {
    pub(super) fn new(name: &Arc<str>) -> Self {
        Self {
            name: Arc::clone(name),
            process: PhantomData,
        }
    }
}

impl<P: ProcessManager> IdempotentCommand for Timeout<P> {
    const NAME: &'static str = "timeout";
}

impl<P: ProcessManager> Command for Timeout<P> {
    type Aggregate = Instance<P>;
    type Reply = ();
    type Rejection = Never;

    /// A rejection would be an outcome; an instance that cannot deal with its timeout now is told again instead.
    fn decide(&self, instance: &Instance<P>, context: &CommandContext) -> Decided<Self> {
        let name = Arc::clone(&self.name);
        let what = InstanceEvent::ProcessTimedOut {
            name: Arc::clone(&name),
        };
        let told = told(instance, what, &Input::Timeout(&self.name), context);
        Ok(told.unwrap_or_else(|error| {
            tracing::error!(process = P::NAME, timeout = &*name, %error, "a timeout could not be dealt with");
            let again = context.now.unix_micros().saturating_add(TIMEOUT_AGAIN_MICROS);
            let failed = InstanceEvent::ProcessFailed {
                timeout: Arc::clone(&name),
                error: error.to_string(),
            };
            let again = Timestamp::from_unix_micros(again);
            Decision::event(failed, ()).schedule(Arc::clone(&name), again, Self::new(&name))
        }))
    }
}
