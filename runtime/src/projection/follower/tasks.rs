//! What a follower is told to do once, between two pages.

use foldhouse_store::Position;

use super::{Failures, Follower};
use crate::projection::control::{Letters, Task};
use crate::projection::error::ControlError;
use crate::projection::model::Model;
use crate::projection::progress::{ParkedEvent, State};

impl<M: Model> Follower<M> {
    /// Does what it is told; true if it is somewhere else then.
    pub(super) async fn do_task(&mut self, model: &mut M, task: Task) -> bool {
        let projection = self.control.name;
        let failed = |error| ControlError::Failed { projection, error };
        match task {
            Task::Reset(answer) => {
                let outcome = model.reset().await;
                let is_reset = outcome.is_ok();
                if is_reset {
                    self.go_on_from(Position::BEFORE_FIRST);
                }
                self.count(model);
                let _ = answer.send(outcome.map_err(failed));
                is_reset
            }
            Task::TakeRebuilt(answer) => {
                let outcome = model.take_rebuilt(self.control.position()).await;
                if let Ok(shown) = &outcome {
                    self.go_on_from(*shown);
                }
                self.count(model);
                let is_taken = outcome.is_ok();
                let _ = answer.send(outcome.map(drop).map_err(failed));
                is_taken
            }
            Task::Retry(letters, answer) => {
                let outcome = self.retry(model, letters).await;
                self.count(model);
                let _ = answer.send(outcome);
                false
            }
            Task::Discard(letters, answer) => {
                let outcome = self.discard(model, letters).await;
                self.count(model);
                let _ = answer.send(outcome);
                false
            }
        }
    }

    fn go_on_from(&mut self, position: Position) {
        self.failures = Failures::default();
        self.last_recorded_at = None;
        self.control.beat.next_is(None);
        self.control.beat.moved();
        self.control.set(|progress| {
            progress.position = position;
            progress.state = State::CatchingUp;
        });
    }

    fn letters(&self, model: &M, letters: Letters) -> Result<Vec<Position>, ControlError> {
        match letters {
            Letters::All => Ok(model.dead_letters()),
            Letters::At(position) if model.may_have_set_aside(position) => Ok(vec![position]),
            Letters::At(position) => Err(ControlError::NoDeadLetter {
                projection: self.control.name,
                position,
            }),
        }
    }

    /// Tries what is set aside again, in order; the first error is told, after all were tried.
    async fn retry(&mut self, model: &mut M, letters: Letters) -> Result<usize, ControlError> {
        let projection = self.control.name;
        let (mut applied, mut first_error) = (0, None);
        for position in self.letters(model, letters)? {
            let before = Position::new(position.get().saturating_sub(1));
            let page = self.shared.store.read_all(before, 1).await;
            let page = page.map_err(|error| ControlError::Failed {
                projection,
                error: error.to_string(),
            })?;
            let Some(event) = page.events.first() else {
                continue;
            };
            match model.apply_dead_letter(event).await {
                Ok(()) => applied += 1,
                Err(error) => {
                    first_error.get_or_insert(ControlError::StillFailing {
                        projection,
                        parked: ParkedEvent::before(event, error),
                    });
                }
            }
        }
        self.keep_letters(model).await?;
        first_error.map_or(Ok(applied), Err)
    }

    async fn discard(&mut self, model: &mut M, letters: Letters) -> Result<usize, ControlError> {
        let mut discarded = 0;
        for position in self.letters(model, letters)? {
            discarded += usize::from(model.discard(position));
        }
        self.keep_letters(model).await?;
        Ok(discarded)
    }

    async fn keep_letters(&mut self, model: &mut M) -> Result<(), ControlError> {
        let kept = model.finish(self.control.position()).await;
        kept.map_err(|error| ControlError::Failed {
            projection: self.control.name,
            error,
        })
    }
}
