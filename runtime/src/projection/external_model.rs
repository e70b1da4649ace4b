//! An external model as its follower sees it.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

use foldhouse_store::{Position, RecordedEvent, Timestamp};

use super::apply::Selection;
use super::beat::{Beat, Pace};
use super::dead_letter::DeadLetter;
use super::error::ProjectionError;
use super::external::ExternalModel;
use super::model::{Applied, Failed, Model};
use super::policy::FailurePolicy;
use crate::refusal::panic_message;

/// Over events that are passed over, the checkpoint alone is moved every so many of them.
const COMMIT_EVERY_EVENTS: u64 = 10_000;

/// What an external projection's follower keeps up to date.
pub(super) struct External<E> {
    model: E,
    selection: Selection,
    policy: FailurePolicy,
    /// The checkpoint that is in the database.
    kept: Position,
}

impl<E: ExternalModel> External<E> {
    /// Asks the model how far it goes.
    pub(super) async fn open(mut model: E) -> Result<Self, String> {
        let kept = guarded(model.checkpoint()).await?;
        Ok(Self {
            selection: Selection::of(model.filter()),
            policy: model.failure_policy(),
            model,
            kept,
        })
    }

    pub(super) fn kept(&self) -> Position {
        self.kept
    }

    /// One transaction. An error counts only if the checkpoint is not there: the database may have committed and the
    /// answer been lost.
    async fn commit(&mut self, events: &[&RecordedEvent], up_to: Position) -> Result<(), String> {
        let outcome = guarded(self.model.apply(events, up_to)).await;
        self.settle(outcome, up_to).await
    }

    async fn settle(&mut self, outcome: Result<(), String>, up_to: Position) -> Result<(), String> {
        if let Err(error) = outcome
            && guarded(self.model.checkpoint()).await.ok() != Some(up_to)
        {
            return Err(error);
        }
        self.kept = up_to;
        Ok(())
    }

    async fn apply_one_by_one(
        &mut self,
        events: &[RecordedEvent],
        pace: &mut Pace<'_>,
    ) -> Result<(), (usize, String)> {
        for (index, event) in events.iter().enumerate() {
            if self.selection.takes(event) {
                let committed = self.commit(&[event], event.position).await;
                committed.map_err(|error| (index, error))?;
            }
            pace.event();
        }
        Ok(())
    }
}

impl<E: ExternalModel> Model for External<E> {
    const BLOCKS: bool = true;

    fn policy(&self) -> &FailurePolicy {
        &self.policy
    }

    async fn apply(&mut self, events: &[RecordedEvent], beat: &Beat) -> Applied {
        let mut pace = Pace::new(beat);
        let place = |event: &RecordedEvent| -> (Position, Timestamp) {
            (event.position, event.recorded_at)
        };
        let wanted: Vec<_> = events
            .iter()
            .filter(|event| self.selection.takes(event))
            .collect();
        let shown = events.last().map(place);
        let (Some((up_to, _)), false) = (shown, wanted.is_empty()) else {
            return Applied {
                shown,
                failed: None,
            };
        };
        if self.commit(&wanted, up_to).await.is_ok() {
            return Applied {
                shown,
                failed: None,
            };
        }
        match self.apply_one_by_one(events, &mut pace).await {
            Ok(()) => Applied {
                shown,
                failed: None,
            },
            Err((index, error)) => {
                let last_good = index.checked_sub(1).and_then(|last| events.get(last));
                Applied {
                    shown: last_good.map(place),
                    failed: Some(Failed {
                        index,
                        error,
                        is_events_fault: true,
                    }),
                }
            }
        }
    }

    async fn keep(&mut self, position: Position, _at_head: bool) -> Result<(), String> {
        if position.get().saturating_sub(self.kept.get()) < COMMIT_EVERY_EVENTS {
            return Ok(());
        }
        self.commit(&[], position).await
    }

    async fn finish(&mut self, position: Position) -> Result<(), String> {
        if position == self.kept {
            return Ok(());
        }
        self.commit(&[], position).await
    }

    async fn until_kept(&mut self) {
        std::future::pending().await
    }

    async fn reset(&mut self) -> Result<(), String> {
        guarded(self.model.reset()).await?;
        self.kept = Position::BEFORE_FIRST;
        Ok(())
    }

    async fn set_aside(&mut self, letter: DeadLetter) -> Result<(), String> {
        let up_to = letter.position;
        let outcome = guarded(self.model.set_aside(&letter, up_to)).await;
        self.settle(outcome, up_to).await
    }

    fn dead_letters(&self) -> Vec<Position> {
        // They are in its user's database.
        Vec::new()
    }

    fn may_have_set_aside(&self, _position: Position) -> bool {
        true
    }

    async fn apply_dead_letter(&mut self, event: &RecordedEvent) -> Result<(), String> {
        guarded(self.model.apply_set_aside(event)).await
    }

    fn discard(&mut self, _position: Position) -> bool {
        false
    }

    async fn take_rebuilt(&mut self, _position: Position) -> Result<Position, String> {
        Err("a model in a database of its user's is rebuilt there".to_owned())
    }
}

/// Waits for what the model's own code does; a panic there is an error.
async fn guarded<T>(work: impl Future<Output = Result<T, ProjectionError>>) -> Result<T, String> {
    let mut work = pin!(work);
    std::future::poll_fn(|context| {
        // Unwind safe: a future that has panicked is not polled again, and the model is its user's.
        let polled = catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context)));
        match polled {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(outcome)) => Poll::Ready(outcome.map_err(|error| error.to_string())),
            Err(panic) => Poll::Ready(Err(format!("it panicked: {}", panic_message(panic)))),
        }
    })
    .await
}
