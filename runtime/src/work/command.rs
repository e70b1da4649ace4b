use std::panic::{AssertUnwindSafe, catch_unwind};

use foldhouse_store::{Appended, Position, Version};
use tokio::sync::oneshot;
use uuid::Uuid;

use super::Work;
use super::unsettled::{FailedAppend, on_settled};
use crate::actor::Ended;
use crate::admission::Permit;
use crate::cell::{Cell, Encoded};
use crate::command::{Command, CommandContext, CommandMeta, Decision};
use crate::command_error::{CommandError, not_recorded};
use crate::committed::Committed;
use crate::deadline::Expiry;
use crate::once::Keeping;
use crate::refusal::{PanickedIn, Refusal, panic_message};
use crate::timer::TimerRecords;

pub(crate) type CommandOutcome<C> =
    Result<Committed<<C as Command>::Reply>, CommandError<<C as Command>::Rejection>>;

/// A command on its way to its aggregate.
pub(crate) struct CommandWork<C: Command, K> {
    pub(crate) command: C,
    pub(crate) keeping: K,
    /// Boxed, because most commands come without and every move of the command moves it along.
    pub(crate) meta: Option<Box<CommandMeta>>,
    pub(crate) until: Expiry,
    pub(crate) permit: Permit<C::Aggregate>,
    pub(crate) answer: oneshot::Sender<CommandOutcome<C>>,
}

impl<C: Command, K: Keeping<C>> Work<C::Aggregate> for CommandWork<C, K> {
    fn run(self, cell: &mut Cell<C::Aggregate>) -> Result<(), Ended> {
        if self.until.has_passed() {
            Box::new(self).refuse(Refusal::Expired);
            return Ok(());
        }
        let Self {
            command,
            keeping,
            meta,
            until: _,
            permit,
            answer,
        } = self;
        let context = cell.context(keeping.command_id(), meta);
        let answer = Answer::<C, K> {
            sender: answer,
            command_id: context.command_id,
            keeping,
        };
        let started = cell.decide_timer();
        // Unwind safe: `decide` has the state by shared reference, and the actor ends on a panic.
        let decision = catch_unwind(AssertUnwindSafe(|| command.decide(cell.state(), &context)));
        cell.slot().shared.meters.decided(started);
        match decision {
            Ok(Ok(decision)) if is_empty(&decision) && !K::ALWAYS_RECORDS => {
                answer.confirm(cell, permit, Ok(decision.reply))
            }
            Ok(Ok(decision)) => answer.record(cell, permit, decision, context),
            Ok(Err(rejection)) => answer.confirm(cell, permit, Err(rejection)),
            Err(panic) => {
                let message = panic_message(panic);
                Err(answer.panicked(cell, permit, PanickedIn::Decide, message))
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
        let Self {
            keeping,
            permit,
            answer,
            ..
        } = *self;
        let error = CommandError::refused(&permit.slot().stream, refusal);
        drop(permit);
        drop(keeping);
        let _ = answer.send(Err(error));
    }
}

fn is_empty<Event, Reply>(decision: &Decision<Event, Reply>) -> bool {
    decision.events.is_empty() && decision.timers.is_none()
}

/// The way back to the caller of a command that is being decided.
struct Answer<C: Command, K> {
    sender: oneshot::Sender<CommandOutcome<C>>,
    command_id: Uuid,
    keeping: K,
}

impl<C: Command, K: Keeping<C>> Answer<C, K> {
    /// Encodes, applies and submits the events; the answer follows when they are durable.
    fn record(
        self,
        cell: &mut Cell<C::Aggregate>,
        permit: Permit<C::Aggregate>,
        decision: Decision<crate::command::EventOf<C>, C::Reply>,
        mut context: CommandContext,
    ) -> Result<(), Ended> {
        let Decision {
            events,
            reply,
            timers,
        } = decision;
        // All that can fail comes before the state is touched.
        let mut encoded = Encoded::new();
        let decided_at = cell.version();
        let after = Version::new(decided_at.get().saturating_add(events.len() as u64));
        let stamp = match cell.encode(&events, &mut context, &mut encoded) {
            Ok(encoded) => encoded.and_then(|()| {
                let timers = timers.map(|timers| {
                    let stream = &permit.slot().stream;
                    TimerRecords::of(&timers, stream, events.len(), &context)
                });
                Ok((self.keeping.stamp(&reply, after)?, timers.transpose()?))
            }),
            Err(message) => return Err(self.panicked(cell, permit, PanickedIn::Encode, message)),
        };
        let (stamp, timers) = match stamp {
            Ok(stamp) => stamp,
            Err(error) => {
                let stream = permit.slot().stream.clone();
                drop(permit);
                self.send(Err(CommandError::InvalidEvents { stream, error }));
                return Ok(());
            }
        };
        let timers = timers.map(|(records, changed)| {
            cell.note_timers(changed);
            records.into_part()
        });
        if let Err(message) = cell.apply(&events) {
            return Err(self.panicked(cell, permit, PanickedIn::Apply, message));
        }
        let version = cell.version();
        tracing::trace!(
            stream = %cell.slot().stream, command = std::any::type_name::<C>(), %version, "decided"
        );
        let snapshot = cell.snapshot_if_due(&encoded);
        let has_events = !events.is_empty();
        let settled = on_settled(
            cell,
            permit,
            has_events,
            snapshot,
            move |outcome| match outcome {
                Ok(appended) => self.committed(reply, appended.position, version),
                Err(failed) => self.failed(failed, decided_at),
            },
        );
        cell.submit(encoded, stamp, timers, settled)
    }

    /// Gives an answer for which nothing is recorded, once what it rests on is durable.
    fn confirm(
        self,
        cell: &Cell<C::Aggregate>,
        permit: Permit<C::Aggregate>,
        outcome: Result<C::Reply, C::Rejection>,
    ) -> Result<(), Ended> {
        let version = cell.version();
        tracing::trace!(
            stream = %cell.slot().stream, command = std::any::type_name::<C>(), %version,
            rejected = outcome.is_err(), "decided, nothing to record"
        );
        if cell.is_durable() {
            let position = cell.store().head();
            drop(permit);
            self.confirmed(outcome, position, version);
            return Ok(());
        }
        let settled = on_settled(cell, permit, false, None, move |settled| match settled {
            Ok(Appended { position, .. }) => self.confirmed(outcome, position, version),
            Err(failed) => {
                self.send(Err(CommandError::NotRecorded {
                    stream: failed.stream.clone(),
                    reason: failed.reason(),
                }));
            }
        });
        cell.submit_check(settled)
    }

    fn confirmed(
        self,
        outcome: Result<C::Reply, C::Rejection>,
        position: Position,
        version: Version,
    ) {
        match outcome {
            Ok(reply) => self.committed(reply, position, version),
            Err(rejection) => self.send(Err(CommandError::Rejected(rejection))),
        }
    }

    fn committed(self, reply: C::Reply, position: Position, version: Version) {
        let command_id = self.command_id;
        self.send(Ok(Committed {
            reply,
            position,
            version,
            command_id,
        }));
    }

    fn failed(self, failed: FailedAppend, decided_at: Version) {
        let FailedAppend {
            error,
            stream,
            was_void,
        } = failed;
        let error = match error {
            // The store found another version because what this command was built on is not there: known already, or to
            // be seen from a version that went back, while the news of the failure is still on its way.
            foldhouse_store::AppendError::Conflict { actual, .. }
                if was_void || actual < decided_at =>
            {
                CommandError::NotRecorded {
                    stream,
                    reason: not_recorded(error),
                }
            }
            error => CommandError::from_append(error, stream, self.command_id, decided_at),
        };
        self.send(Err(error));
    }

    fn panicked(
        self,
        cell: &Cell<C::Aggregate>,
        permit: Permit<C::Aggregate>,
        step: PanickedIn,
        message: String,
    ) -> Ended {
        drop(permit);
        self.send(Err(CommandError::Panicked {
            stream: cell.slot().stream.clone(),
            step,
            message: message.clone(),
        }));
        cell.panicked(step, message)
    }

    fn send(self, outcome: CommandOutcome<C>) {
        let Self {
            sender, keeping, ..
        } = self;
        // Before the answer, or a retry that follows it could still have to wait.
        drop(keeping);
        // A caller that has gone wants no answer.
        let _ = sender.send(outcome);
    }
}
