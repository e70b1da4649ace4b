use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use foldhouse_store::{
    AppendError, Appended, ExpectedVersion, Fault, OnSettled, Position, Store, StreamId,
};
use tokio::sync::oneshot;
use uuid::Uuid;

use super::error::TransactionError;
use super::participant::Participant;
use crate::admission::RuntimePlace;
use crate::command_error::not_recorded;
use crate::once::Claim;
use crate::refusal::{NotRecorded, panic_message};
use crate::shared::Shared;
use crate::work::BUILT_ON_VOID;

/// Where and under which id a transaction came to stand.
#[derive(Clone, Copy, Debug)]
pub(super) struct Placed {
    pub(super) position: Position,
    pub(super) command_id: Uuid,
}

/// The way back to the caller, with the transaction's place in the runtime.
pub(super) struct Answer {
    pub(super) place: RuntimePlace,
    /// Of a transaction that takes effect once.
    pub(super) claim: Option<Claim>,
    pub(super) sender: oneshot::Sender<Result<Placed, TransactionError>>,
}

impl Answer {
    pub(super) fn shared(&self) -> &Arc<Shared> {
        self.place.shared()
    }

    pub(super) fn store(&self) -> &Arc<dyn Store> {
        &self.shared().store
    }

    pub(super) fn send(self, outcome: Result<Placed, TransactionError>) {
        let Self {
            place,
            claim,
            sender,
        } = self;
        // Before the answer, or who has it could still find the limit reached, or its id taken.
        drop(place);
        drop(claim);
        // A caller that has gone wants no answer.
        let _ = sender.send(outcome);
    }
}

/// The answer to a decided transaction, held back until the store has settled what it rests on.
pub(super) struct Settlement {
    stakes: Vec<Box<dyn Participant>>,
    command_id: Uuid,
    /// Whether it waits for events of its own, and not only for those before it.
    records: bool,
    outcome: Result<(), TransactionError>,
    /// Taken when it is settled.
    answer: Option<Answer>,
}

impl Settlement {
    pub(super) fn of_record(
        stakes: Vec<Box<dyn Participant>>,
        answer: Answer,
        command_id: Uuid,
    ) -> Self {
        Self {
            stakes,
            command_id,
            records: true,
            outcome: Ok(()),
            answer: Some(answer),
        }
    }

    pub(super) fn of_check(
        stakes: Vec<Box<dyn Participant>>,
        answer: Answer,
        command_id: Uuid,
        outcome: Result<(), TransactionError>,
    ) -> Self {
        Self {
            stakes,
            command_id,
            records: false,
            outcome,
            answer: Some(answer),
        }
    }

    /// What to call when the append is settled.
    pub(super) fn on_settled(mut self) -> OnSettled {
        Box::new(move |outcome| self.settle_quietly(outcome))
    }

    /// The store's thread must not feel a panic of the domain's: a rejection that nobody waits for is dropped here.
    fn settle_quietly(&mut self, outcome: Result<Appended, AppendError>) {
        // Unwind safe: whatever is left is dropped with it.
        let settling = AssertUnwindSafe(|| self.settle(outcome));
        if let Err(panic) = catch_unwind(settling) {
            tracing::error!(
                message = panic_message(panic),
                "dropping the answer of a transaction panicked"
            );
            // They may hold states, which are the domain's too.
            let _ = catch_unwind(AssertUnwindSafe(|| self.stakes.clear()));
        }
    }

    /// Everything is durable already: there is nothing to wait for.
    pub(super) fn confirm_at(mut self, position: Position) {
        if let Some(answer) = self.answer.take() {
            let decided = self.take_decided();
            self.give(answer, decided, position);
        }
    }

    fn settle(&mut self, outcome: Result<Appended, AppendError>) {
        let Some(answer) = self.answer.take() else {
            return;
        };
        let decided = self.take_decided();
        match outcome {
            Ok(_) if self.is_voided() => self.fail_on_void(answer),
            Ok(appended) => {
                for stake in &self.stakes {
                    stake.set_durable(self.records);
                }
                self.give(answer, decided, appended.position);
            }
            Err(error) => self.fail(answer, error),
        }
    }

    fn is_voided(&self) -> bool {
        let records = self.records;
        self.stakes.iter().any(|stake| stake.is_voided(records))
    }

    /// What was decided is dropped where it is settled, not with what is left of this on the store's thread.
    fn take_decided(&mut self) -> Result<(), TransactionError> {
        std::mem::replace(&mut self.outcome, Ok(()))
    }

    fn give(&mut self, answer: Answer, decided: Result<(), TransactionError>, position: Position) {
        let placed = Placed {
            position,
            command_id: self.command_id,
        };
        self.end(answer, decided.map(|()| placed), self.records);
    }

    /// Another writer's events have taken the versions of those that this was built on, so the store could not tell.
    /// What was only asked is void like the rest; what was recorded cannot be taken back.
    fn fail_on_void(&mut self, answer: Answer) {
        let error = if self.records {
            tracing::error!(command_id = %self.command_id, BUILT_ON_VOID);
            TransactionError::Unknown {
                command_id: self.command_id,
                fault: Fault::new(BUILT_ON_VOID),
            }
        } else {
            TransactionError::NotRecorded {
                reason: NotRecorded::Voided,
            }
        };
        self.end(answer, Err(error), false);
    }

    fn fail(&mut self, answer: Answer, error: AppendError) {
        // Before the answer: who has it must not reach a state that rests on what failed.
        let conflict = match &error {
            AppendError::Conflict { stream, actual, .. } => Some((stream, *actual)),
            _ => None,
        };
        let mut was_void = false;
        for stake in &self.stakes {
            was_void |= stake.void(self.records, conflict);
        }
        let error = match error {
            // The store found another version because what this was built on is not there: known already, or to be seen
            // from a version that went back, while the news of the failure is still on its way.
            AppendError::Conflict {
                expected: ExpectedVersion::Exact(expected),
                actual,
                ..
            } if was_void || actual < expected => TransactionError::NotRecorded {
                reason: NotRecorded::Voided,
            },
            error if self.records => {
                let first = self.first_stream();
                TransactionError::from_append(error, first, self.command_id)
            }
            _ if was_void => TransactionError::NotRecorded {
                reason: NotRecorded::Voided,
            },
            error => TransactionError::NotRecorded {
                reason: not_recorded(error),
            },
        };
        self.end(answer, Err(error), false);
    }

    fn first_stream(&self) -> Option<StreamId> {
        self.stakes.first().map(|stake| stake.stream().clone())
    }

    fn end(&mut self, answer: Answer, outcome: Result<Placed, TransactionError>, recorded: bool) {
        for stake in &mut self.stakes {
            stake.give_back_place();
        }
        answer.send(outcome);
        for mut stake in self.stakes.drain(..) {
            stake.finish(recorded);
        }
    }
}

impl Drop for Settlement {
    fn drop(&mut self) {
        if self.answer.is_some() {
            let fault = Fault::new("the store dropped the append unanswered");
            self.settle_quietly(Err(AppendError::Unknown(fault)));
        }
    }
}
