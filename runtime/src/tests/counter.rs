//! The aggregate that the tests work with: it counts up to 1,000,000 and panics when told to.

use serde::{Deserialize, Serialize};

use crate::{Aggregate, Command, CommandContext, Decision, EventOf, IdempotentCommand, Never};

pub(super) const LIMIT: u64 = 1_000_000;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Counter {
    pub(super) count: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum CounterEvent {
    Added { by: u64 },
    Broken,
    Unwritable(Unwritable),
}

/// Panics when it is written or read.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Unwritable;

impl Serialize for Unwritable {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        panic!("serialize was told to panic")
    }
}

impl<'de> Deserialize<'de> for Unwritable {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        panic!("deserialize was told to panic")
    }
}

impl Aggregate for Counter {
    const TYPE: &'static str = "counter";
    type Event = CounterEvent;

    fn apply(&mut self, event: &CounterEvent) {
        match event {
            CounterEvent::Added { by } => self.count += by,
            CounterEvent::Broken => panic!("apply was told to panic"),
            CounterEvent::Unwritable(_) => {}
        }
    }
}

/// Adds, and replies with the new count.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Add(pub(super) u64);

#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{count} is all it can count")]
pub(super) struct Full {
    pub(super) count: u64,
}

impl Command for Add {
    type Aggregate = Counter;
    type Reply = u64;
    type Rejection = Full;

    fn decide(
        &self,
        state: &Counter,
        _context: &CommandContext,
    ) -> Result<Decision<EventOf<Self>, u64>, Full> {
        let Self(by) = *self;
        match state.count + by {
            _ if by == 0 => Ok(Decision::nothing(state.count)),
            count if count > LIMIT => Err(Full { count: state.count }),
            count => Ok(Decision::event(CounterEvent::Added { by }, count)),
        }
    }
}

impl IdempotentCommand for Add {
    const NAME: &'static str = "add";
}

/// Adds 1 this often, as events of one command.
pub(super) struct AddOneByOne(pub(super) usize);

impl Command for AddOneByOne {
    type Aggregate = Counter;
    type Reply = ();
    type Rejection = Never;

    fn decide(
        &self,
        _state: &Counter,
        _context: &CommandContext,
    ) -> Result<Decision<EventOf<Self>, ()>, Never> {
        let events = std::iter::repeat_n(CounterEvent::Added { by: 1 }, self.0);
        Ok(Decision::events(events, ()))
    }
}

/// Panics in `decide`, while its event is written, or in `apply`.
pub(super) enum Panic {
    InDecide,
    WhileEncoding,
    InApply,
}

impl Command for Panic {
    type Aggregate = Counter;
    type Reply = ();
    type Rejection = Never;

    fn decide(
        &self,
        _state: &Counter,
        _context: &CommandContext,
    ) -> Result<Decision<EventOf<Self>, ()>, Never> {
        match self {
            Self::InDecide => panic!("decide was told to panic"),
            Self::WhileEncoding => Ok(Decision::event(CounterEvent::Unwritable(Unwritable), ())),
            Self::InApply => Ok(Decision::event(CounterEvent::Broken, ())),
        }
    }
}
