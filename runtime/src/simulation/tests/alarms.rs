//! Timers under power cuts, restarts and a clock that goes back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use serde::{Deserialize, Serialize};

use crate::simulation::{Caller, Process, Random, Scenario, Simulation, World};
use crate::*;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Alarm {
    /// How often each was set, called off and heard, and for when it was set last.
    bells: BTreeMap<u64, Bell>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Bell {
    due: Option<Timestamp>,
    set: u32,
    rung: u32,
    rung_late: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum AlarmEvent {
    Set { bell: u64, due: Timestamp },
    CalledOff { bell: u64 },
    Rang { bell: u64, at: Timestamp },
}

impl Aggregate for Alarm {
    const TYPE: &'static str = "alarm";
    type Event = AlarmEvent;

    fn apply(&mut self, event: &AlarmEvent) {
        let (AlarmEvent::Set { bell, .. }
        | AlarmEvent::CalledOff { bell }
        | AlarmEvent::Rang { bell, .. }) = event;
        let bell = self.bells.entry(*bell).or_default();
        match event {
            AlarmEvent::Set { due, .. } => {
                bell.set += 1;
                bell.due = Some(*due);
            }
            AlarmEvent::CalledOff { .. } => bell.due = None,
            AlarmEvent::Rang { at, .. } => {
                bell.rung += 1;
                // Once for each time that it was set, and never before that.
                bell.rung_late |= bell.due.take().is_none_or(|due| *at < due);
            }
        }
    }
}

struct Set {
    bell: u64,
    after: std::time::Duration,
}

impl Command for Set {
    type Aggregate = Alarm;
    type Reply = ();
    type Rejection = Never;
    fn decide(&self, _: &Alarm, context: &CommandContext) -> Decided<Self> {
        let after = i64::try_from(self.after.as_micros()).unwrap();
        let due = Timestamp::from_unix_micros(context.now.unix_micros() + after);
        let bell = self.bell;
        let set = Decision::event(AlarmEvent::Set { bell, due }, ());
        Ok(set.schedule(bell.to_string(), due, Ring { bell }))
    }
}

struct CallOff(u64);

impl Command for CallOff {
    type Aggregate = Alarm;
    type Reply = ();
    type Rejection = Never;
    fn decide(&self, _: &Alarm, _: &CommandContext) -> Decided<Self> {
        let called_off = Decision::event(AlarmEvent::CalledOff { bell: self.0 }, ());
        Ok(called_off.cancel(self.0.to_string()))
    }
}

#[derive(Serialize, Deserialize)]
struct Ring {
    bell: u64,
}

#[derive(Debug, thiserror::Error)]
#[error("not today")]
struct NotToday;

impl Command for Ring {
    type Aggregate = Alarm;
    type Reply = ();
    type Rejection = NotToday;
    fn decide(&self, _: &Alarm, context: &CommandContext) -> Decided<Self> {
        let (bell, at) = (self.bell, context.now);
        match bell {
            0 => Err(NotToday),
            _ => Ok(Decision::event(AlarmEvent::Rang { bell, at }, ())),
        }
    }
}

impl IdempotentCommand for Ring {
    const NAME: &'static str = "ring";
}

/// With how many bells were ever heard in one world: that timers do fire.
#[derive(Clone, Default)]
struct Alarms(Arc<AtomicU32>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Operation {
    Set {
        alarm: u64,
        bell: u64,
        after_ms: u64,
    },
    CallOff {
        alarm: u64,
        bell: u64,
    },
    Wait {
        ms: u64,
    },
}

impl Scenario for Alarms {
    type Operation = Operation;

    fn operation(&self, random: &mut Random) -> Operation {
        let (alarm, bell) = (random.number(0..=1), random.number(0..=3));
        match random.number(0..=9) {
            0..=5 => Operation::Set {
                alarm,
                bell,
                after_ms: random.number(0..=400),
            },
            6 => Operation::CallOff { alarm, bell },
            _ => Operation::Wait {
                ms: random.number(1..=300),
            },
        }
    }

    async fn perform(&self, operation: Operation, caller: &Caller) {
        let alarm = |id: u64| caller.aggregate::<Alarm>("home", &id.to_string()).unwrap();
        match operation {
            Operation::Set {
                alarm: id,
                bell,
                after_ms,
            } => {
                let after = std::time::Duration::from_millis(after_ms);
                let _ = caller.send(&alarm(id), Set { bell, after }).await;
            }
            Operation::CallOff { alarm: id, bell } => {
                let _ = caller.send(&alarm(id), CallOff(bell)).await;
            }
            Operation::Wait { ms } => {
                tokio::time::sleep(std::time::Duration::from_millis(ms)).await;
            }
        }
    }

    async fn start(&self, _: &Process) {}

    fn check(&self, world: &World<'_>) -> Result<(), String> {
        for (stream, alarm) in world.states::<Alarm>()? {
            let heard = alarm.bells.values().map(|bell| bell.rung).sum();
            self.0.fetch_max(heard, Ordering::Relaxed);
            for (number, bell) in &alarm.bells {
                if bell.rung_late || bell.rung > bell.set || (*number == 0 && bell.rung > 0) {
                    return Err(format!("bell {number} of {stream}: {bell:?}"));
                }
            }
        }
        Ok(())
    }
}

#[test]
fn timers_fire_once_and_never_early_through_every_fault() {
    let alarms = Alarms::default();
    let simulation = || {
        Simulation::new(alarms.clone())
            .runtime(|builder| builder.timed_command::<Ring>())
            .seeds(0..60)
    };
    let report = simulation().run().unwrap();
    assert_eq!(report, simulation().run().unwrap());
    assert!(report.power_cuts >= 20, "{report:?}");
    assert!(report.failed_writes >= 3, "{report:?}");
    assert!(alarms.0.load(Ordering::Relaxed) >= 3);
}

#[test]
fn a_timer_survives_a_crash_at_each_change_of_the_disk() {
    let report = Simulation::new(Alarms::default())
        .runtime(|builder| builder.timed_command::<Ring>())
        .operations(10)
        .crash_at_every_change(3)
        .unwrap();
    assert!(report.power_cuts > 30, "{report:?}");
}
