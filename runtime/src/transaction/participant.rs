use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use foldhouse_store::{BoxFuture, ExpectedVersion, StreamAppend, StreamId, Verdict, Version};
use smallvec::SmallVec;
use tokio::sync::oneshot;

use super::baton::{Baton, Part};
use super::error::TransactionError;
use super::hold::{Ahead, Hold};
use super::stake::StakeOf;
use crate::actor::Ended;
use crate::admission::{NotAdmitted, Patience, Place};
use crate::aggregate::Aggregate;
use crate::cell::{Cell, Encoded};
use crate::command::CommandContext;
use crate::refusal::{PanickedIn, Refusal, panic_message};
use crate::shared::Shared;
use crate::slot::Slot;
use crate::work::Work;

/// The events of one step.
pub(super) type EventsOf<A> = SmallVec<[<A as Aggregate>::Event; 1]>;
/// Why the domain says no to a step.
pub(super) type Rejection = Arc<dyn std::error::Error + Send + Sync>;

/// One step, which decides on the state that it is shown.
pub(super) trait Decide<A: Aggregate>: Send {
    fn decide(
        self: Box<Self>,
        state: &A,
        context: &CommandContext,
    ) -> Result<EventsOf<A>, Rejection>;
}

/// The steps as they were given.
#[derive(Default)]
pub struct Plan {
    enlisted: Vec<Box<dyn Participant>>,
}

impl Plan {
    /// Adds the next step, for the aggregate of `slot`.
    pub(super) fn add<A: Aggregate>(&mut self, slot: &Arc<Slot<A>>, step: Box<dyn Decide<A>>) {
        let index = self.enlisted.len();
        self.enlisted.push(Box::new(Enlisted {
            slot: Arc::clone(slot),
            place: None,
            steps: SmallVec::from_iter([(index, step)]),
        }));
    }

    /// The aggregates in the order of their stream ids, each with its steps in the order in which they were given.
    pub(super) fn participants(self) -> Vec<Box<dyn Participant>> {
        let mut sorted = self.enlisted;
        sorted.sort_by(|one, other| one.stream().cmp(other.stream()));
        let mut participants: Vec<Box<dyn Participant>> = Vec::with_capacity(sorted.len());
        for next in sorted {
            match participants.last_mut() {
                Some(last) if last.is_same_aggregate(&*next) => last.absorb(next),
                _ => participants.push(next),
            }
        }
        participants
    }
}

impl dyn Participant {
    /// Another runtime may have an aggregate of the same stream.
    fn is_same_aggregate(&self, other: &dyn Participant) -> bool {
        self.stream() == other.stream() && Arc::ptr_eq(self.shared(), other.shared())
    }
}

impl std::fmt::Debug for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plan")
            .field("steps", &self.enlisted.len())
            .finish()
    }
}

/// One aggregate of a transaction, with all its steps.
pub(super) trait Participant: Send + Any {
    fn stream(&self) -> &StreamId;
    fn shared(&self) -> &Arc<Shared>;
    /// Takes over the steps of another one of the same aggregate.
    fn absorb(&mut self, other: Box<dyn Participant>);
    /// Takes a place if there is one at once.
    fn try_admit(&mut self) -> bool;
    /// Takes a place, as the caller chose.
    fn admit(&mut self, patience: Patience) -> BoxFuture<'_, Result<(), NotAdmitted>>;
    /// Sees to it that the actor is there by the time that it is asked: the others wait for it.
    fn warm(&self);
    /// Queues the transaction at the aggregate's actor.
    fn hand_over(self: Box<Self>, baton: Box<Baton>);
}

/// The steps of one aggregate, each with its number in the whole transaction.
type StepsOf<A> = SmallVec<[(usize, Box<dyn Decide<A>>); 1]>;

struct Enlisted<A: Aggregate> {
    slot: Arc<Slot<A>>,
    place: Option<Place<A>>,
    steps: StepsOf<A>,
}

impl<A: Aggregate> Participant for Enlisted<A> {
    fn stream(&self) -> &StreamId {
        &self.slot.stream
    }

    fn shared(&self) -> &Arc<Shared> {
        &self.slot.shared
    }

    fn absorb(&mut self, other: Box<dyn Participant>) {
        let other: Box<dyn Any> = other;
        // In one runtime a stream has one slot, and so one type.
        if let Ok(other) = other.downcast::<Self>() {
            self.steps.extend(other.steps);
        }
    }

    fn try_admit(&mut self) -> bool {
        self.place = Place::try_take(&self.slot);
        self.place.is_some()
    }

    fn admit(&mut self, patience: Patience) -> BoxFuture<'_, Result<(), NotAdmitted>> {
        Box::pin(async move {
            self.place = Some(Place::take(&self.slot, patience).await?);
            Ok(())
        })
    }

    fn warm(&self) {
        self.slot.warm();
    }

    fn hand_over(self: Box<Self>, baton: Box<Baton>) {
        let slot = Arc::clone(&self.slot);
        slot.push(Box::new(TransactionWork {
            enlisted: *self,
            baton,
        }));
    }
}

/// A transaction at one of its participants.
struct TransactionWork<A: Aggregate> {
    enlisted: Enlisted<A>,
    baton: Box<Baton>,
}

impl<A: Aggregate> Work<A> for TransactionWork<A> {
    fn run(self: Box<Self>, cell: &mut Cell<A>) -> Result<(), Ended> {
        if self.baton.is_expired() {
            self.refuse(Refusal::Expired);
            return Ok(());
        }
        let Self {
            enlisted,
            mut baton,
        } = *self;
        let Enlisted { slot, place, steps } = enlisted;
        let first_step = steps.first().map_or(0, |(index, _)| *index);
        let stake = StakeOf {
            slot,
            place,
            epoch: cell.epoch(),
            before: cell.version(),
            was_durable: cell.is_durable(),
            after: cell.version(),
            snapshot: None,
        };
        let context = baton.context(cell);
        match decide(cell.state(), steps, &context) {
            Ok(decided) => agree(cell, baton, first_step, stake, decided, context),
            Err(Failed::Rejected(step, rejection)) => {
                let stream = stake.slot.stream.clone();
                let rejected = TransactionError::rejected(step, stream, rejection);
                let part = part(cell, first_step, Encoded::new());
                match baton.reject(cell.store(), part, Box::new(stake), rejected) {
                    Verdict::Taken => Ok(()),
                    Verdict::Refused => Err(Ended::Voided(cell.slot().stream.clone())),
                }
            }
            Err(Failed::Panicked(step, message)) => {
                drop(stake);
                Err(panicked(cell, baton, step, message))
            }
        }
    }

    fn refuse(self: Box<Self>, refusal: Refusal) {
        let Self { enlisted, baton } = *self;
        let error = TransactionError::refused(&enlisted.slot.stream, refusal);
        drop(enlisted);
        baton.abort(error);
    }
}

/// What the steps of one participant lead to.
struct Decided<A: Aggregate> {
    events: EventsOf<A>,
    /// The state with the events applied; none if there are none.
    state: Option<A>,
}

enum Failed {
    Rejected(usize, Rejection),
    Panicked(PanickedIn, String),
}

/// Decides the steps one behind the other, each on what the ones before it left. The state itself is not touched: the
/// transaction may come to nothing yet.
fn decide<A: Aggregate>(
    state: &A,
    steps: StepsOf<A>,
    context: &CommandContext,
) -> Result<Decided<A>, Failed> {
    let mut decided = Decided {
        events: EventsOf::<A>::new(),
        state: None,
    };
    for (index, step) in steps {
        let current = decided.state.as_ref().unwrap_or(state);
        // Unwind safe: what a panic leaves half done is thrown away.
        let events = catch_unwind(AssertUnwindSafe(|| step.decide(current, context)))
            .map_err(|panic| Failed::Panicked(PanickedIn::Decide, panic_message(panic)))?
            .map_err(|rejection| Failed::Rejected(index, rejection))?;
        if events.is_empty() {
            continue;
        }
        let ahead = decided.state.take();
        let applied = catch_unwind(AssertUnwindSafe(|| {
            let mut ahead = ahead.unwrap_or_else(|| state.clone());
            for event in &events {
                ahead.apply(event);
            }
            ahead
        }));
        let applied =
            applied.map_err(|panic| Failed::Panicked(PanickedIn::Apply, panic_message(panic)))?;
        decided.state = Some(applied);
        decided.events.extend(events);
    }
    Ok(decided)
}

/// Hands on that this participant agrees, and lets its actor wait for the outcome.
fn agree<A: Aggregate>(
    cell: &mut Cell<A>,
    mut baton: Box<Baton>,
    first_step: usize,
    mut stake: StakeOf<A>,
    decided: Decided<A>,
    mut context: CommandContext,
) -> Result<(), Ended> {
    let Decided { events, state } = decided;
    let mut encoded = Encoded::new();
    let counted = baton.add_events(events.len());
    let encoding = match counted {
        Ok(()) => cell.encode(&events, &mut context, &mut encoded),
        Err(too_many) => Ok(Err(too_many.into())),
    };
    match encoding {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            let stream = stake.slot.stream.clone();
            drop(stake);
            baton.abort(TransactionError::InvalidEvents { stream, error });
            return Ok(());
        }
        Err(message) => {
            drop(stake);
            return Err(panicked(cell, baton, PanickedIn::Encode, message));
        }
    }
    let count = events.len() as u64;
    stake.after = Version::new(stake.before.get().saturating_add(count));
    if let Some(state) = &state {
        stake.snapshot = cell.snapshot_ahead(state, stake.after, &encoded);
    }
    let (release, released) = oneshot::channel();
    let after = state.map(|state| Ahead {
        state,
        version: stake.after,
        has_snapshot: stake.snapshot.is_some(),
    });
    let part = part(cell, first_step, encoded);
    cell.hold(Hold { after, released });
    baton.agree(cell.store(), part, Box::new(stake), release);
    Ok(())
}

/// This aggregate's part of the append.
fn part<A: Aggregate>(cell: &Cell<A>, first_step: usize, events: Encoded) -> Part {
    Part {
        first_step,
        append: StreamAppend {
            stream: cell.slot().stream.clone(),
            expected: ExpectedVersion::Exact(cell.version()),
            events,
        },
    }
}

fn panicked<A: Aggregate>(
    cell: &Cell<A>,
    baton: Box<Baton>,
    panicked_in: PanickedIn,
    message: String,
) -> Ended {
    baton.abort(TransactionError::Panicked {
        stream: cell.slot().stream.clone(),
        panicked_in,
        message: message.clone(),
    });
    cell.panicked(panicked_in, message)
}
