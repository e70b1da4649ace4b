use std::panic::{AssertUnwindSafe, catch_unwind};

use foldhouse_store::RecordedEvent;
use smallvec::{SmallVec, smallvec};

use super::{Declared, Fields, OldEvent, Rules, Step, Upcast};
use crate::aggregate::Aggregate;
use crate::event_codec::{EventCodecError, check_known, decode_content, encode, plain_payload};
use crate::refusal::panic_message;

/// The most steps (upcasters and renamings) that one recorded event may take.
pub const UPCAST_STEPS_MAX: usize = 1_000;
/// The most events that one recorded event may become.
pub const UPCAST_EVENTS_MAX: usize = 1_000;

/// Reads a recorded event as the events of today, each handed to `each` in order.
#[inline]
pub(crate) fn read<A: Aggregate>(
    event: &RecordedEvent,
    each: impl FnMut(A::Event),
) -> Result<(), EventCodecError> {
    match &A::upcasters().declared {
        None => read_plain::<A>(event, each),
        Some(declared) => read_declared::<A>(declared, event, each),
    }
}

/// Reads an event of whose type nothing is declared.
#[inline]
fn read_plain<A: Aggregate>(
    event: &RecordedEvent,
    mut each: impl FnMut(A::Event),
) -> Result<(), EventCodecError> {
    let decoded: A::Event = decode_content(&event.event_type, plain_payload(event)?)
        .map_err(|error| if_newer::<A>(event, error))?;
    let known = A::event_schema(&decoded);
    check_known(&event.event_type, event.schema_version, known)?;
    each(decoded);
    Ok(())
}

/// Why an event cannot be read of whose type nothing is declared: that it is newer says more than what does not fit.
/// Which version is known only an event tells, so the aggregate's samples are asked.
#[cold]
fn if_newer<A: Aggregate>(event: &RecordedEvent, error: EventCodecError) -> EventCodecError {
    // Every build knows the first version.
    if event.schema_version <= 1 || !matches!(error, EventCodecError::Payload { .. }) {
        return error;
    }
    let mut scratch = Vec::new();
    let samples = A::samples();
    let of_its_type = samples.iter().find(|sample| {
        encode(*sample, &mut scratch).is_ok_and(|event_type| *event_type == *event.event_type)
    });
    let Some(known) = of_its_type.map(A::event_schema) else {
        return error;
    };
    let newer = check_known(&event.event_type, event.schema_version, known);
    newer.err().unwrap_or(error)
}

fn read_declared<A: Aggregate>(
    declared: &Declared<A::Event>,
    event: &RecordedEvent,
    mut each: impl FnMut(A::Event),
) -> Result<(), EventCodecError> {
    declared.check()?;
    let Some(rules) = declared.types.get(&*event.event_type) else {
        return read_plain::<A>(event, each);
    };
    if rules.skips_all {
        return Ok(());
    }
    let payload = plain_payload(event)?;
    if rules.renamed_to.is_none() && rules.current() == Some(event.schema_version) {
        each(decode_content(&event.event_type, payload)?);
        return Ok(());
    }
    Upcasting::<A>::new(declared, event).run(each)
}

/// The steps that a recorded event takes, by the types and versions that they start from.
pub(crate) fn steps_taken<A: Aggregate>(event: &RecordedEvent) -> Vec<(String, u16)> {
    let Some(declared) = &A::upcasters().declared else {
        return Vec::new();
    };
    let mut upcasting = Upcasting::<A>::new(declared, event);
    // Those before an error count, too.
    let _ = upcasting.run(|_| {});
    upcasting.taken
}

/// A recorded event on its way.
struct Upcasting<'a, A: Aggregate> {
    declared: &'a Declared<A::Event>,
    recorded: &'a RecordedEvent,
    /// What it has become so far, the next one last.
    to_come: SmallVec<[OldEvent; 2]>,
    /// The steps that it took.
    taken: Vec<(String, u16)>,
    steps: usize,
    events: usize,
}

impl<'a, A: Aggregate> Upcasting<'a, A> {
    fn new(declared: &'a Declared<A::Event>, recorded: &'a RecordedEvent) -> Self {
        let first = OldEvent {
            event_type: recorded.event_type.to_string().into(),
            schema_version: recorded.schema_version,
            fields: Fields::recorded(recorded.payload.bytes.clone()),
        };
        Self {
            declared,
            recorded,
            to_come: smallvec![first],
            taken: Vec::new(),
            steps: 0,
            events: 0,
        }
    }

    fn run(&mut self, mut each: impl FnMut(A::Event)) -> Result<(), EventCodecError> {
        while let Some(mut old) = self.to_come.pop() {
            let Some(rules) = self.declared.types.get(&*old.event_type) else {
                each(self.of_today(old, None)?);
                continue;
            };
            if rules.skips_all {
                continue;
            }
            if let Some(new) = rules.renamed_to {
                self.count_step()?;
                old.event_type = new.into();
                self.to_come.push(old);
                continue;
            }
            match next_step(rules, old.schema_version) {
                Some((from, step)) => {
                    self.count_step()?;
                    for event in self.take_step(
                        step,
                        OldEvent {
                            schema_version: from,
                            ..old
                        },
                    )? {
                        self.count_event()?;
                        each(event);
                    }
                }
                None if rules.skips_newer && is_newer(rules, &old) => {}
                None => each(self.of_today(old, Some(rules))?),
            }
        }
        Ok(())
    }

    /// Gives the events of today that it leads to; what has to go further is put in front of what is to come.
    fn take_step(
        &mut self,
        step: &Step<A::Event>,
        old: OldEvent,
    ) -> Result<SmallVec<[A::Event; 1]>, EventCodecError> {
        let (event_type, schema_version) = (old.event_type.to_string(), old.schema_version);
        self.taken.push((event_type.clone(), schema_version));
        // Unwind safe: nothing is left of an upcaster that panics but its message.
        let upcast = catch_unwind(AssertUnwindSafe(|| step(old)));
        let what = match upcast {
            Ok(Ok(Upcast::Today(events))) => return Ok(events),
            Ok(Ok(Upcast::Old(events))) => {
                if self.to_come.len() + events.len() > UPCAST_EVENTS_MAX {
                    return Err(self.endless());
                }
                self.to_come.extend(events.into_iter().rev());
                return Ok(SmallVec::new());
            }
            Ok(Err(error)) => error.to_string(),
            Err(panic) => format!("it panicked: {}", panic_message(panic)),
        };
        Err(EventCodecError::Upcast {
            event_type,
            schema_version,
            what,
        })
    }

    /// An event that has no further step.
    fn of_today(
        &mut self,
        old: OldEvent,
        rules: Option<&Rules<A::Event>>,
    ) -> Result<A::Event, EventCodecError> {
        self.count_event()?;
        let current = rules.and_then(Rules::current);
        if let Some(known) = current {
            check_known(&old.event_type, old.schema_version, known)?;
        }
        let payload = old
            .fields
            .into_payload()
            .map_err(|error| EventCodecError::Payload {
                event_type: old.event_type.to_string(),
                what: error.to_string(),
            })?;
        let decoded: A::Event = decode_content(&old.event_type, &payload)?;
        if current.is_none() {
            let known = A::event_schema(&decoded);
            check_known(&old.event_type, old.schema_version, known)?;
        }
        Ok(decoded)
    }

    fn count_step(&mut self) -> Result<(), EventCodecError> {
        self.steps += 1;
        if self.steps > UPCAST_STEPS_MAX {
            return Err(self.endless());
        }
        Ok(())
    }

    fn count_event(&mut self) -> Result<(), EventCodecError> {
        self.events += 1;
        if self.events > UPCAST_EVENTS_MAX {
            return Err(self.endless());
        }
        Ok(())
    }

    fn endless(&self) -> EventCodecError {
        EventCodecError::UpcastWithoutEnd {
            event_type: self.recorded.event_type.to_string(),
            schema_version: self.recorded.schema_version,
        }
    }
}

/// The step from this version, or from the next higher one that has any: versions in between needed none.
fn next_step<E>(rules: &Rules<E>, version: u16) -> Option<(u16, &Step<E>)> {
    let (from, step) = rules.steps.range(version..).next()?;
    Some((*from, step))
}

fn is_newer<E>(rules: &Rules<E>, old: &OldEvent) -> bool {
    rules
        .current()
        .is_some_and(|known| old.schema_version > known)
}
