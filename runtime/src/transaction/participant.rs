use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use foldhouse_store::{BoxFuture, ExpectedVersion, StreamAppend, Version};
use smallvec::SmallVec;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::error::TransactionError;
use super::loan::LoanWork;
use super::stake::Stake;
use crate::actor::Ended;
use crate::admission::{NotAdmitted, Patience, Place};
use crate::aggregate::Aggregate;
use crate::cell::{Cell, Encoded};
use crate::command::{CommandContext, CommandMeta};
use crate::refusal::{NotRecorded, PanickedIn, Refusal, panic_message};
use crate::shared::Shared;
use crate::slot::{Borrowed, Held, Slot};
use crate::timer::{ChangedTimers, TimerChanges, TimerRecords};

/// The events of one step.
pub(super) type EventsOf<A> = SmallVec<[<A as Aggregate>::Event; 1]>;
/// Why the domain says no to a step.
pub(super) type Rejection = Arc<dyn std::error::Error + Send + Sync>;

/// One step, which decides on the state that it is shown.
pub(super) trait Decide<A: Aggregate>: Send {
    /// What it is, to be told if it does not return.
    fn name(&self) -> &'static str;

    fn decide(
        self: Box<Self>,
        state: &A,
        context: &CommandContext,
    ) -> Result<Planned<A>, Rejection>;
}

/// What one step comes to: events, and changes of the aggregate's timers.
pub(super) struct Planned<A: Aggregate> {
    pub(super) events: EventsOf<A>,
    pub(super) timers: Option<Box<TimerChanges>>,
}

/// The steps of one aggregate, each with its number in the whole transaction.
type StepsOf<A> = SmallVec<[(usize, Box<dyn Decide<A>>); 1]>;

/// One aggregate of a transaction with all its steps, from the taking of its place to the answer.
pub(super) trait Participant: Stake + Any {
    fn shared(&self) -> &Arc<Shared>;
    /// The number of its first step in the whole transaction.
    fn first_step(&self) -> usize;
    /// Takes over the steps of another one of the same aggregate.
    fn absorb(&mut self, other: Box<dyn Participant>);
    /// Takes a place if there is one at once.
    fn try_admit(&mut self) -> bool;
    /// Takes a place, as the caller chose.
    fn admit(&mut self, patience: Patience) -> BoxFuture<'_, Result<(), NotAdmitted>>;

    /// Borrows the aggregate if it is idle.
    fn try_borrow(&mut self) -> bool;
    /// Sees to it that the actor is there by the time that it is asked: the others wait for it.
    fn warm(&self);
    /// Waits until the actor may start, if it has failed lately.
    fn until_backed_off(&mut self) -> BoxFuture<'_, ()>;
    /// Borrows the aggregate on its turn.
    fn borrow(&mut self) -> BoxFuture<'_, Result<(), Refusal>>;
    /// Gives it back as it is.
    fn give_back(&mut self);
    /// Gives it back for its actor to end: it has applied what will not be recorded.
    fn end_void(&mut self);

    /// What all steps may know: one time and one command id. `None` without the aggregate.
    fn context(
        &mut self,
        id: Option<Uuid>,
        meta: Option<Box<CommandMeta>>,
    ) -> Option<CommandContext>;
    /// Decides the steps one behind the other, each on what the ones before it left; tells how many events there are. The
    /// state itself is not touched: the transaction may come to nothing yet.
    fn decide(&mut self, context: &CommandContext) -> Result<usize, Failed>;
    /// Whether its steps change timers.
    fn has_timers(&self) -> bool;
    /// Writes the events down, and what its steps change about timers behind that of the others.
    fn encode(
        &mut self,
        context: &CommandContext,
        timers: &mut TimerRecords,
    ) -> Result<(), TransactionError>;
    /// Applies the events to the state.
    fn apply(&mut self) -> Result<(), TransactionError>;
    /// This aggregate's part of the append.
    fn part(&mut self) -> StreamAppend;
    /// Only keeps the aggregate from others.
    fn hold(&mut self) -> Option<Held>;
}

/// Why a participant does not agree.
pub(super) enum Failed {
    Rejected(TransactionError),
    /// It panicked, and its actor ends.
    Void(TransactionError),
}

impl dyn Participant {
    /// Another runtime may have an aggregate of the same stream.
    pub(super) fn is_same_aggregate(&self, other: &dyn Participant) -> bool {
        self.stream() == other.stream() && Arc::ptr_eq(self.shared(), other.shared())
    }
}

pub(super) struct Enlisted<A: Aggregate> {
    pub(super) slot: Arc<Slot<A>>,
    pub(super) place: Option<Place<A>>,
    first_step: usize,
    steps: StepsOf<A>,
    borrowed: Option<Borrowed<A>>,
    events: EventsOf<A>,
    timers: Option<Box<TimerChanges>>,
    changed_timers: ChangedTimers,
    /// The state with all events but the last step's applied, where a step had to see those of another.
    ahead: Option<A>,
    encoded: Encoded,
    pub(super) epoch: u64,
    /// The version that its decision rests on.
    pub(super) before: Version,
    /// Whether that was durable when it decided.
    pub(super) was_durable: bool,
    /// The version with the transaction's events.
    pub(super) after: Version,
    pub(super) snapshot: Option<Box<crate::snapshots::SnapshotJob<A>>>,
}

impl<A: Aggregate> Enlisted<A> {
    pub(super) fn new(slot: &Arc<Slot<A>>, index: usize, step: Box<dyn Decide<A>>) -> Self {
        Self {
            slot: Arc::clone(slot),
            place: None,
            first_step: index,
            steps: SmallVec::from_iter([(index, step)]),
            borrowed: None,
            events: EventsOf::<A>::new(),
            timers: None,
            changed_timers: ChangedTimers::new(),
            ahead: None,
            encoded: Encoded::new(),
            epoch: 0,
            before: Version::EMPTY,
            was_durable: false,
            after: Version::EMPTY,
            snapshot: None,
        }
    }

    fn borrowed(&mut self, mut borrowed: Borrowed<A>) {
        if let Some(cell) = borrowed.cell() {
            self.epoch = cell.epoch();
            self.before = cell.version();
            self.after = cell.version();
            self.was_durable = cell.is_durable();
        }
        self.borrowed = Some(borrowed);
    }

    /// Ends the actor, after a panic of the domain's.
    fn panicked(&mut self, panicked_in: PanickedIn, message: String) -> TransactionError {
        let stream = self.slot.stream.clone();
        if let Some(borrowed) = self.borrowed.take() {
            borrowed.end(Ended::Panicked {
                stream: stream.clone(),
                step: panicked_in,
                message: message.clone(),
            });
        }
        TransactionError::Panicked {
            stream,
            panicked_in,
            message,
        }
    }

    fn decide_steps(&mut self, context: &CommandContext) -> Result<(), Undecided> {
        let Some(cell) = self.borrowed.as_mut().and_then(Borrowed::cell) else {
            return Ok(());
        };
        let steps = std::mem::take(&mut self.steps);
        let mut applied = 0;
        for (index, step) in steps {
            let _deciding = self.slot.deciding(step.name());
            // Only a step that follows another one pays for a state of its own.
            if applied < self.events.len() {
                let ahead = catch_unwind(AssertUnwindSafe(|| {
                    let mut ahead = self.ahead.take().unwrap_or_else(|| cell.state().clone());
                    self.events
                        .iter()
                        .skip(applied)
                        .for_each(|event| ahead.apply(event));
                    ahead
                }));
                let ahead = ahead.map_err(|panic| {
                    Undecided::Panicked(PanickedIn::Apply, panic_message(panic))
                })?;
                self.ahead = Some(ahead);
                applied = self.events.len();
            }
            let current = self.ahead.as_ref().unwrap_or_else(|| cell.state());
            // Unwind safe: what a panic leaves half done is thrown away.
            let planned = catch_unwind(AssertUnwindSafe(|| step.decide(current, context)))
                .map_err(|panic| Undecided::Panicked(PanickedIn::Decide, panic_message(panic)))?
                .map_err(|rejection| Undecided::Rejected(index, rejection))?;
            self.events.extend(planned.events);
            if let Some(timers) = planned.timers {
                self.timers.get_or_insert_default().extend(*timers);
            }
        }
        Ok(())
    }
}

/// What is told if the events of the steps cannot be written or applied: they are not told apart any more.
const IN_TRANSACTION: &str = "the events of a transaction";

enum Undecided {
    Rejected(usize, Rejection),
    Panicked(PanickedIn, String),
}

impl<A: Aggregate> Participant for Enlisted<A> {
    fn shared(&self) -> &Arc<Shared> {
        &self.slot.shared
    }

    fn first_step(&self) -> usize {
        self.first_step
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

    fn try_borrow(&mut self) -> bool {
        match self.slot.borrow() {
            Some(borrowed) => {
                self.borrowed(borrowed);
                true
            }
            None => false,
        }
    }

    fn warm(&self) {
        self.slot.warm();
    }

    fn until_backed_off(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            // One that is parked says so when it is asked.
            self.slot.until_backed_off().await;
        })
    }

    fn borrow(&mut self) -> BoxFuture<'_, Result<(), Refusal>> {
        Box::pin(async move {
            // One that rests needs no actor to lend it. While the store is full, who waits for it is the actor.
            if self.slot.shared.store.is_ready() && self.try_borrow() {
                return Ok(());
            }
            let (borrower, lent) = oneshot::channel();
            let work = LoanWork::new(self.place.take(), borrower);
            self.slot.push(Box::new(work));
            let lent = lent.await;
            let lent = lent.unwrap_or(Err(Refusal::NotRecorded(NotRecorded::ActorEnded)));
            let (borrowed, place) = lent?;
            self.place = place;
            self.borrowed(borrowed);
            Ok(())
        })
    }

    fn give_back(&mut self) {
        self.borrowed = None;
    }

    fn end_void(&mut self) {
        if let Some(borrowed) = self.borrowed.take() {
            borrowed.end(Ended::Voided(self.slot.stream.clone()));
        }
    }

    fn context(
        &mut self,
        id: Option<Uuid>,
        meta: Option<Box<CommandMeta>>,
    ) -> Option<CommandContext> {
        let cell = self.borrowed.as_mut().and_then(Borrowed::cell)?;
        Some(cell.context(id, meta))
    }

    fn decide(&mut self, context: &CommandContext) -> Result<usize, Failed> {
        let cell = self.borrowed.as_mut().and_then(Borrowed::cell);
        let started = cell.and_then(Cell::decide_timer);
        let decided = self.decide_steps(context);
        self.slot.shared.meters.decided(started);
        match decided {
            Ok(()) => Ok(self.events.len()),
            Err(Undecided::Rejected(step, rejection)) => {
                let stream = self.slot.stream.clone();
                Err(Failed::Rejected(TransactionError::rejected(
                    step, stream, rejection,
                )))
            }
            Err(Undecided::Panicked(step, message)) => {
                Err(Failed::Void(self.panicked(step, message)))
            }
        }
    }

    fn has_timers(&self) -> bool {
        self.timers.is_some()
    }

    fn encode(
        &mut self,
        context: &CommandContext,
        timers: &mut TimerRecords,
    ) -> Result<(), TransactionError> {
        let Some(cell) = self.borrowed.as_mut().and_then(Borrowed::cell) else {
            return Ok(());
        };
        let invalid = |error| TransactionError::InvalidEvents {
            stream: self.slot.stream.clone(),
            error,
        };
        if let Some(changes) = self.timers.take() {
            self.changed_timers = timers
                .add(&changes, &self.slot.stream, self.events.len(), context)
                .map_err(invalid)?;
        }
        let mut context = context.clone();
        let _deciding = self.slot.deciding(IN_TRANSACTION);
        match cell.encode(&self.events, &mut context, &mut self.encoded) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(TransactionError::InvalidEvents {
                stream: self.slot.stream.clone(),
                error,
            }),
            Err(message) => Err(self.panicked(PanickedIn::Encode, message)),
        }
    }

    fn apply(&mut self) -> Result<(), TransactionError> {
        let Some(cell) = self.borrowed.as_mut().and_then(Borrowed::cell) else {
            return Ok(());
        };
        if !self.changed_timers.is_empty() {
            cell.note_timers(std::mem::take(&mut self.changed_timers));
        }
        let deciding = self.slot.deciding(IN_TRANSACTION);
        let applied = cell.apply(&self.events);
        drop(deciding);
        if let Err(message) = applied {
            return Err(self.panicked(PanickedIn::Apply, message));
        }
        self.after = cell.version();
        self.snapshot = cell.snapshot_if_due(&self.encoded);
        Ok(())
    }

    fn part(&mut self) -> StreamAppend {
        StreamAppend {
            stream: self.slot.stream.clone(),
            expected: ExpectedVersion::Exact(self.before),
            events: std::mem::take(&mut self.encoded),
        }
    }

    fn hold(&mut self) -> Option<Held> {
        // The domain's own, which the store's thread is to be spared.
        self.events.clear();
        self.ahead = None;
        self.borrowed.take().map(Borrowed::hold)
    }
}
