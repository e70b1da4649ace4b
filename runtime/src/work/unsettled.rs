use std::panic::{AssertUnwindSafe, catch_unwind};

use foldhouse_store::{AppendError, Appended, Fault, OnSettled, StreamId, Version};

use crate::admission::Permit;
use crate::aggregate::Aggregate;
use crate::cell::Cell;
use crate::command_error::not_recorded;
use crate::refusal::NotRecorded;
use crate::refusal::panic_message;
use crate::snapshots::SnapshotJob;

/// What is told of an append that succeeded although it was built on one that had failed.
pub(crate) const BUILT_ON_VOID: &str =
    "it is recorded, but was decided on events that are not: another writer took their versions";

/// An append that did not succeed.
pub(crate) struct FailedAppend {
    pub(super) error: AppendError,
    pub(super) stream: StreamId,
    /// An append that this one was built on had failed already.
    pub(super) was_void: bool,
}

impl FailedAppend {
    /// What the failure means where nothing was to be recorded.
    pub(crate) fn reason(self) -> NotRecorded {
        if self.was_void {
            return NotRecorded::Voided;
        }
        not_recorded(self.error)
    }
}

/// An answer that is held back until the store has settled what it rests on.
struct Unsettled<A, F>
where
    A: Aggregate,
    F: FnOnce(Result<Appended, FailedAppend>),
{
    epoch: u64,
    version: Version,
    /// Whether it waits for events of its own, and not only for those before it.
    records: bool,
    /// Boxed, because few have one and it holds a whole state.
    snapshot: Option<Box<SnapshotJob<A>>>,
    /// Taken when it is settled.
    answer: Option<(Permit<A>, F)>,
}

/// What to call when the append that brings `cell` to its version is settled.
pub(crate) fn on_settled<A, F>(
    cell: &Cell<A>,
    permit: Permit<A>,
    records: bool,
    snapshot: Option<Box<SnapshotJob<A>>>,
    answer: F,
) -> OnSettled
where
    A: Aggregate,
    F: FnOnce(Result<Appended, FailedAppend>) + Send + 'static,
{
    let mut unsettled = Unsettled {
        epoch: cell.epoch(),
        version: cell.version(),
        records,
        snapshot,
        answer: Some((permit, answer)),
    };
    Box::new(move |outcome| unsettled.settle_quietly(outcome))
}

impl<A, F> Unsettled<A, F>
where
    A: Aggregate,
    F: FnOnce(Result<Appended, FailedAppend>),
{
    /// The store's thread must not feel a panic of the domain's: a reply that nobody waits for is dropped here.
    fn settle_quietly(&mut self, outcome: Result<Appended, AppendError>) {
        // Unwind safe: whatever is left is dropped with it.
        let settling = AssertUnwindSafe(|| self.settle(outcome));
        let settled = catch_unwind(settling);
        // It holds a state, which is the domain's too.
        let snapshot = self.snapshot.take();
        let dropped = catch_unwind(AssertUnwindSafe(|| drop(snapshot)));
        if let Err(panic) = settled.and(dropped) {
            tracing::error!(
                message = panic_message(panic),
                "dropping an answer panicked"
            );
        }
    }

    fn settle(&mut self, outcome: Result<Appended, AppendError>) {
        let Some((permit, answer)) = self.answer.take() else {
            return;
        };
        match outcome {
            // Another writer's events have taken the versions of those that this was built on, so the store could not
            // tell. What was only asked is void like the rest; what was recorded cannot be taken back.
            Ok(appended) if permit.slot().is_voided_at(self.epoch, self.version) => {
                let stream = permit.slot().stream.clone();
                drop(permit);
                let error = AppendError::Unknown(Fault::new(BUILT_ON_VOID));
                if appended.event_count > 0 {
                    tracing::error!(%stream, version = %self.version, BUILT_ON_VOID);
                }
                answer(Err(FailedAppend {
                    error,
                    stream,
                    was_void: true,
                }));
            }
            Ok(appended) => {
                permit.slot().set_durable(self.version);
                // Before the answer, or who has it could still find the limit reached.
                drop(permit);
                answer(Ok(appended));
                if let Some(snapshot) = self.snapshot.take() {
                    snapshot.start();
                }
            }
            Err(error) => {
                let slot = permit.slot().clone();
                // Before the answer: who has it must not reach a state that rests on what failed.
                let gone_from = match &error {
                    _ if self.records => Some(self.version),
                    // Another writer went on behind what this was decided on: that is there, and may be durable before it
                    // is told so.
                    AppendError::Conflict { actual, .. } if *actual >= self.version => {
                        Some(self.version.next())
                    }
                    AppendError::Conflict { .. } => Some(self.version),
                    // A check that finds no room, say, tells nothing of what stands before it and behind it.
                    _ => None,
                };
                let was_void = !slot.void(self.epoch, gone_from);
                drop(permit);
                answer(Err(FailedAppend {
                    error,
                    stream: slot.stream.clone(),
                    was_void,
                }));
                slot.nudge();
            }
        }
    }
}

impl<A, F> Drop for Unsettled<A, F>
where
    A: Aggregate,
    F: FnOnce(Result<Appended, FailedAppend>),
{
    fn drop(&mut self) {
        if self.answer.is_some() {
            let fault = Fault::new("the store dropped the append unanswered");
            self.settle_quietly(Err(AppendError::Unknown(fault)));
        }
    }
}
