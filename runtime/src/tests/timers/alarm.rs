//! The aggregate that the tests of timers work with.

use foldhouse_store::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Aggregate, Command, CommandContext, Decided, Decision, IdempotentCommand, Never};

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Alarm {
    pub(super) rung: Vec<Rung>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Rung {
    pub(super) what: String,
    at: Timestamp,
}

impl Rung {
    pub(super) fn new(what: &str, at: Timestamp) -> Self {
        let what = what.to_owned();
        Self { what, at }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum AlarmEvent {
    Armed,
    Disarmed,
    Rang(Rung),
}

impl Aggregate for Alarm {
    const TYPE: &'static str = "alarm";
    type Event = AlarmEvent;

    fn apply(&mut self, event: &AlarmEvent) {
        if let AlarmEvent::Rang(rung) = event {
            self.rung.push(rung.clone());
        }
    }
}

/// Schedules a ring under its own name.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Arm {
    name: String,
    at: Timestamp,
}

impl Arm {
    pub(super) fn new(name: &str, at: Timestamp) -> Self {
        let name = name.to_owned();
        Self { name, at }
    }
}

impl IdempotentCommand for Arm {
    const NAME: &'static str = "arm";
}

impl Command for Arm {
    type Aggregate = Alarm;
    type Reply = ();
    type Rejection = Never;

    fn decide(&self, _: &Alarm, _: &CommandContext) -> Decided<Self> {
        let (name, at) = (self.name.as_str(), self.at);
        let armed = Decision::event(AlarmEvent::Armed, ());
        Ok(match name {
            "boom" => armed.schedule(name, at, Boom),
            "silent" => Decision::nothing(()).schedule(name, at, Ring::new(name)),
            "huge" => armed.schedule(name, at, Ring::new(&"x".repeat(70_000))),
            "many" => (0..2_000).fold(armed, |decision, number| {
                decision.schedule(number.to_string(), at, Ring::new(name))
            }),
            _ => armed.schedule(name, at, Ring::new(name)),
        })
    }
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct Disarm(pub(super) String);

impl IdempotentCommand for Disarm {
    const NAME: &'static str = "disarm";
}

impl Command for Disarm {
    type Aggregate = Alarm;
    type Reply = ();
    type Rejection = Never;

    fn decide(&self, _: &Alarm, _: &CommandContext) -> Decided<Self> {
        Ok(Decision::event(AlarmEvent::Disarmed, ()).cancel(self.0.as_str()))
    }
}

/// Rings; `snooze` once more a second later, `forbidden` never, and `nothing` without an event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Ring {
    what: String,
}

impl Ring {
    pub(super) fn new(what: &str) -> Self {
        let what = what.to_owned();
        Self { what }
    }
}

#[derive(Debug, PartialEq, thiserror::Error)]
#[error("it is forbidden")]
pub(super) struct Forbidden;

impl IdempotentCommand for Ring {
    const NAME: &'static str = "ring";
}

impl Command for Ring {
    type Aggregate = Alarm;
    type Reply = ();
    type Rejection = Forbidden;

    fn decide(&self, _: &Alarm, context: &CommandContext) -> Decided<Self> {
        let rang = AlarmEvent::Rang(Rung::new(&self.what, context.now));
        let rang = Decision::event(rang, ());
        match self.what.as_str() {
            "forbidden" => Err(Forbidden),
            "nothing" => Ok(Decision::nothing(())),
            "snooze" => {
                let next = Timestamp::from_unix_micros(context.now.unix_micros() + 1_000_000);
                Ok(rang.schedule("snooze", next, self.clone()))
            }
            _ => Ok(rang),
        }
    }
}

/// Panics.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Boom;

impl IdempotentCommand for Boom {
    const NAME: &'static str = "boom";
}

impl Command for Boom {
    type Aggregate = Alarm;
    type Reply = ();
    type Rejection = Never;

    fn decide(&self, _: &Alarm, _: &CommandContext) -> Decided<Self> {
        panic!("boom was told to panic")
    }
}
