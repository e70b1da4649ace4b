use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use foldhouse_store::{CommandStamp, Position, RecordedEvent, Timestamp, Version};
use tokio::sync::oneshot;
use uuid::Uuid;

use super::change::TimedCommand;
use super::known::Judged;
use super::record::{ChangedTimers, Fired, Scheduled, TimerEvent, TimerRecords};
use crate::actor::Ended;
use crate::admission::{Patience, Permit, admit};
use crate::aggregate::Aggregate;
use crate::cell::{Cell, Encoded};
use crate::command::{CommandContext, CommandMeta, Decision, EventOf};
use crate::command_error::{CommandError, InvalidEvents};
use crate::deadline::{Deadline, Expiry};
use crate::directory::Directory;
use crate::event_codec::decode_value;
use crate::once::{Fingerprint, encode_reply, stored_reply};
use crate::options::WhenFull;
use crate::refusal::{NotRecorded, PanickedIn, Refusal, panic_message};
use crate::shared::Shared;
use crate::work::{Work, on_settled};

/// How long a timer's command waits for its turn before it is tried again later.
const PATIENCE: Duration = Duration::from_secs(10);

/// A timer that is due.
#[derive(Clone, Debug)]
pub(super) struct Order {
    /// What scheduled it.
    pub(super) scheduled_by: RecordedEvent,
    /// Up to where was read that it is pending.
    pub(super) as_of: Position,
}

/// What became of a timer that was to fire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Its command took effect, at this time.
    Done(Timestamp),
    /// The domain said no, and it will not be asked again.
    Rejected(String),
    /// It was cancelled, replaced or fired meanwhile.
    Gone,
    /// It has to be looked up anew.
    Stale,
    /// It is to be tried again.
    Failed(String),
}

/// The id of the command that a timer sends. It follows from the timer's own, so that whoever knows one knows the other.
fn command_id(timer: Uuid) -> Uuid {
    CommandContext::new(Timestamp::default(), timer).derive_id(0)
}

/// Lets a timer's command be decided on its aggregate's turn, and waits until what became of it is durable.
pub(super) async fn fire<C: TimedCommand>(shared: Arc<Shared>, order: Order) -> Outcome {
    try_fire::<C>(&shared, order)
        .await
        .unwrap_or_else(Outcome::Failed)
}

async fn try_fire<C: TimedCommand>(shared: &Arc<Shared>, order: Order) -> Result<Outcome, String> {
    let Order {
        scheduled_by,
        as_of,
    } = order;
    let scheduled = match TimerEvent::read(&scheduled_by) {
        Ok(TimerEvent::TimerScheduled(scheduled)) => scheduled,
        Ok(_) => return Err("the index names another event for it".to_owned()),
        Err(error) => return Err(error.to_string()),
    };
    let command = decode_value::<C>(&scheduled.content)
        .map_err(|error| format!("its command {} cannot be read: {error}", C::NAME))?;
    let fingerprint = fingerprint(&scheduled, &command).map_err(|error| error.to_string())?;
    let slot = Directory::slot::<C::Aggregate>(shared, scheduled.stream.clone())
        .map_err(|_| format!("two Rust types are called {}", C::Aggregate::TYPE))?;
    let patience = Patience {
        when_full: Some(WhenFull::Wait),
        until: Expiry::of(Some(Deadline::Within(PATIENCE))),
    };
    let permit = admit(&slot, patience).await.map_err(|reason| {
        let refusal = Refusal::not_admitted(reason, shared.is_closing());
        refused(&slot.stream, refusal)
    })?;
    let (answer, answered) = oneshot::channel();
    slot.handle(FireWork {
        command,
        fingerprint,
        timer: Timer {
            id: scheduled_by.id,
            scheduled,
            correlation_id: scheduled_by.correlation_id,
            user: scheduled_by.user,
            as_of,
        },
        until: patience.until,
        permit,
        answer,
    });
    answered
        .await
        .unwrap_or_else(|_| Err(NotRecorded::ActorEnded.to_string()))
}

fn fingerprint<C: TimedCommand>(
    scheduled: &Scheduled,
    command: &C,
) -> Result<[u8; 16], InvalidEvents> {
    let mut fingerprint = Fingerprint::of_command();
    fingerprint.add_address(&scheduled.stream, C::NAME);
    fingerprint.add_content(command)?;
    Ok(fingerprint.finish())
}

fn refused(stream: &foldhouse_store::StreamId, refusal: Refusal) -> String {
    CommandError::<std::convert::Infallible>::refused(stream, refusal).to_string()
}

struct Timer {
    id: Uuid,
    scheduled: Scheduled,
    correlation_id: Option<Uuid>,
    user: Option<Arc<str>>,
    as_of: Position,
}

type Answer = oneshot::Sender<Result<Outcome, String>>;

/// A timer's command on its way to its aggregate.
struct FireWork<C: TimedCommand> {
    command: C,
    fingerprint: [u8; 16],
    timer: Timer,
    until: Expiry,
    permit: Permit<C::Aggregate>,
    answer: Answer,
}

impl<C: TimedCommand> Work<C::Aggregate> for FireWork<C> {
    fn run(self, cell: &mut Cell<C::Aggregate>) -> Result<(), Ended> {
        if self.until.has_passed() {
            Box::new(self).refuse(Refusal::Expired);
            return Ok(());
        }
        let (name, id) = (&self.timer.scheduled.name, self.timer.id);
        match cell.timers().judge(name, id, self.timer.as_of) {
            Judged::Pending => self.decide(cell),
            Judged::Gone => {
                self.answer(Ok(Outcome::Gone));
                Ok(())
            }
            Judged::Stale => {
                self.answer(Ok(Outcome::Stale));
                Ok(())
            }
        }
    }

    fn run_boxed(self: Box<Self>, cell: &mut Cell<C::Aggregate>) -> Result<(), Ended> {
        (*self).run(cell)
    }

    fn name(&self) -> &'static str {
        std::any::type_name::<C>()
    }

    fn refuse(self: Box<Self>, refusal: Refusal) {
        let error = refused(&self.timer.scheduled.stream, refusal);
        self.answer(Err(error));
    }
}

/// What a decision comes to, ready for the store.
struct Ready<C: TimedCommand> {
    events: smallvec::SmallVec<[EventOf<C>; 1]>,
    encoded: Encoded,
    stamp: Option<Box<CommandStamp>>,
    records: TimerRecords,
    changes: ChangedTimers,
    outcome: Outcome,
}

/// Why nothing is ready.
enum NotReady {
    Invalid(InvalidEvents),
    Panicked(PanickedIn, String),
}

impl From<InvalidEvents> for NotReady {
    fn from(error: InvalidEvents) -> Self {
        Self::Invalid(error)
    }
}

impl<C: TimedCommand> FireWork<C> {
    fn decide(self, cell: &mut Cell<C::Aggregate>) -> Result<(), Ended> {
        let Ready {
            events,
            encoded,
            stamp,
            records,
            changes,
            outcome,
        } = match self.prepare(cell) {
            Ok(ready) => ready,
            Err(NotReady::Invalid(error)) => {
                self.answer(Err(error.to_string()));
                return Ok(());
            }
            Err(NotReady::Panicked(step, message)) => {
                self.answer(Err(format!("{step} panicked: {message}")));
                return Err(cell.panicked(step, message));
            }
        };
        cell.note_timers(changes);
        if let Err(message) = cell.apply(&events) {
            self.answer(Err(format!("{} panicked: {message}", PanickedIn::Apply)));
            return Err(cell.panicked(PanickedIn::Apply, message));
        }
        let snapshot = cell.snapshot_if_due(&encoded);
        let Self { permit, answer, .. } = self;
        let settled = on_settled(cell, permit, !events.is_empty(), snapshot, move |settled| {
            let outcome = match settled {
                Ok(_) => Ok(outcome),
                Err(failed) => Err(failed.reason().to_string()),
            };
            // The scheduler has gone with the runtime.
            let _ = answer.send(outcome);
        });
        cell.submit(encoded, stamp, Some(records.into_part()), settled)
    }

    /// Decides, and writes down what it comes to. Does not touch the state.
    fn prepare(&self, cell: &mut Cell<C::Aggregate>) -> Result<Ready<C>, NotReady> {
        let Timer { id, scheduled, .. } = &self.timer;
        let mut context = cell.context(Some(command_id(*id)), Some(Box::new(self.meta())));
        // The clock may have been set back since it was looked at; the domain must not see a timer before its time.
        context.now = context.now.max(scheduled.at);
        // Unwind safe: `decide` has the state by shared reference, and the actor ends on a panic.
        let decided = AssertUnwindSafe(|| self.command.decide(cell.state(), &context));
        let decided = catch_unwind(decided)
            .map_err(|panic| NotReady::Panicked(PanickedIn::Decide, panic_message(panic)))?;
        let mut fired = Fired {
            stream: scheduled.stream.clone(),
            name: Arc::clone(&scheduled.name),
            timer: *id,
            rejected: None,
        };
        let mut changes = vec![(Arc::clone(&scheduled.name), None)];
        let mut records = TimerRecords::default();
        let Decision {
            events,
            reply,
            timers,
        } = match decided {
            Ok(decision) => decision,
            Err(rejection) => {
                let why = rejection.to_string();
                fired.rejected = Some(why.clone());
                records.fired(fired, &context)?;
                return Ok(Ready {
                    events: smallvec::SmallVec::new(),
                    encoded: Encoded::new(),
                    stamp: None,
                    records,
                    changes,
                    outcome: Outcome::Rejected(why),
                });
            }
        };
        // First of all: the decision may schedule another one of this name.
        records.fired(fired, &context)?;
        if let Some(timers) = timers {
            changes.extend(records.add(&timers, &scheduled.stream, events.len(), &context)?);
        }
        let mut encoded = Encoded::new();
        cell.encode(&events, &mut context, &mut encoded)
            .map_err(|message| NotReady::Panicked(PanickedIn::Encode, message))??;
        let after = Version::new(cell.version().get().saturating_add(events.len() as u64));
        let stamp = Box::new(CommandStamp {
            id: context.command_id,
            fingerprint: self.fingerprint,
            reply: stored_reply(after, &encode_reply(&reply)?)?,
        });
        Ok(Ready {
            events,
            encoded,
            stamp: Some(stamp),
            records,
            changes,
            outcome: Outcome::Done(context.now),
        })
    }

    /// What the timer's command was caused by, and who asked for it.
    fn meta(&self) -> CommandMeta {
        CommandMeta {
            correlation_id: self.timer.correlation_id,
            causation_id: Some(self.timer.id),
            user: self.timer.user.clone(),
            ..CommandMeta::default()
        }
    }

    fn answer(self, outcome: Result<Outcome, String>) {
        let Self { permit, answer, .. } = self;
        drop(permit);
        // The scheduler has gone with the runtime.
        let _ = answer.send(outcome);
    }
}
