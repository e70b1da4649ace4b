use std::collections::VecDeque;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::ProcessManager;
use super::reactions::Outgoing;
use crate::aggregate::Aggregate;

/// One instance of a process: an aggregate, whose state is the user's, how far it was told, and what is still to be sent.
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub(super) struct Instance<P: ProcessManager> {
    pub(super) state: P::State,
    /// The position of the last event that it was told of. Events come in order, so it was told of all before it.
    pub(super) told: u64,
    pub(super) outbox: VecDeque<Outgoing>,
}

/// What is recorded of an instance. The persisted contract: names and meanings never change.
#[allow(
    clippy::enum_variant_names,
    reason = "they are event types, beside those of all aggregates"
)]
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum InstanceEvent<E> {
    /// It was told of an event.
    ProcessTold { position: u64, event: Uuid },
    /// It was told what a command came to.
    ProcessSettled {
        command_id: Uuid,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rejected: Option<Arc<str>>,
    },
    /// It was told of a timeout.
    ProcessTimedOut { name: Arc<str> },
    /// It could not deal with a timeout, which is told again.
    ProcessFailed { timeout: Arc<str>, error: String },
    /// Its state changed.
    ProcessChanged(E),
    /// It wants a command sent.
    ProcessIssued(Outgoing),
}

/// The event type of [`InstanceEvent::ProcessIssued`].
pub(super) const ISSUED: &str = "ProcessIssued";

impl<P: ProcessManager> Default for Instance<P> {
    fn default() -> Self {
        Self {
            state: P::State::default(),
            told: 0,
            outbox: VecDeque::new(),
        }
    }
}

impl<P: ProcessManager> Clone for Instance<P> {
    fn clone(&self) -> Self {
        Self {
            state: self.state.clone(),
            told: self.told,
            outbox: self.outbox.clone(),
        }
    }
}

impl<P: ProcessManager> Aggregate for Instance<P> {
    const TYPE: &'static str = P::NAME;
    const STATE_SCHEMA: u32 = P::STATE_SCHEMA;
    type Event = InstanceEvent<P::Event>;

    fn apply(&mut self, event: &Self::Event) {
        match event {
            InstanceEvent::ProcessTold { position, .. } => self.told = self.told.max(*position),
            InstanceEvent::ProcessSettled { command_id, .. } => {
                self.outbox.retain(|outgoing| outgoing.id != *command_id);
            }
            InstanceEvent::ProcessTimedOut { .. } | InstanceEvent::ProcessFailed { .. } => {}
            InstanceEvent::ProcessChanged(event) => P::apply(&mut self.state, event),
            InstanceEvent::ProcessIssued(outgoing) => self.outbox.push_back(outgoing.clone()),
        }
    }
}
