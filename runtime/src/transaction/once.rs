use std::sync::Arc;

use tokio::sync::oneshot;
use uuid::Uuid;

use super::coordinator::{Coordinator, Purpose, Terms};
use super::error::TransactionError;
use super::idempotent_steps::IdempotentSteps;
use super::plan::Plan;
use super::seal::{Description, KeptReplies, Seal};
use super::settlement::Answer;
use super::{Started, Transacted, begin, enter};
use crate::command_options::CommandOptions;
use crate::once::{First, NotFirst, first, recall};
use crate::outcome::Outcome;
use crate::refusal::{NotRecorded, Refusal};
use crate::shared::Shared;

/// Runs steps that take effect once; see [`Runtime::transact_once`](crate::Runtime::transact_once).
pub(crate) async fn run_once<S: IdempotentSteps>(
    shared: &Arc<Shared>,
    steps: S,
    id: Uuid,
    options: CommandOptions,
) -> Result<Transacted<S::Replies>, TransactionError> {
    let outcome = run_first(shared, steps, id, options).await;
    shared.meters.transaction(&outcome);
    outcome
}

async fn run_first<S: IdempotentSteps>(
    shared: &Arc<Shared>,
    steps: S,
    id: Uuid,
    options: CommandOptions,
) -> Result<Transacted<S::Replies>, TransactionError> {
    let description = Description::of(&steps).map_err(|(stream, error)| match stream {
        Some(stream) => TransactionError::InvalidEvents { stream, error },
        None => TransactionError::Empty,
    })?;
    let stream = description
        .first_stream()
        .cloned()
        .ok_or(TransactionError::Empty)?;
    let fingerprint = description.fingerprint();
    let failed = |error| TransactionError::from_outcome(stream.clone(), error);
    let answers = |recorded: Outcome| {
        let committed = recorded
            .answers::<S::Replies>(fingerprint)
            .map_err(failed)?;
        Ok(Transacted {
            replies: committed.reply,
            position: committed.position,
            command_id: committed.command_id,
        })
    };
    let mut plan = Plan::default();
    let mut replies = KeptReplies::new(&description);
    let pending = steps.enlist_once(&mut plan, &mut replies);
    let patience = options.patience();
    let (participants, place) = enter(shared, plan, patience).await?;
    let claim = match first(shared, id, patience.until).await {
        Ok(First::Is(claim)) => claim,
        Ok(First::Was(recorded)) => return answers(recorded),
        Err(NotFirst::Expired) => return Err(TransactionError::refused(&stream, Refusal::Expired)),
        Err(NotFirst::Unknown(error)) => return Err(failed(error)),
    };
    let terms = Terms {
        options,
        until: patience.until,
        purpose: Purpose::Record,
        seal: Some(Box::new(Seal::new(id, description, replies))),
    };
    let (sender, answered) = oneshot::channel();
    let answer = Answer {
        place,
        claim: Some(claim),
        sender,
    };
    let gathering = begin(shared, Coordinator::new(participants, terms, answer));
    let started = Started::<S> {
        pending,
        gathering,
        answered,
    };
    match started.finish().await {
        // By another runtime, between the look and the append.
        Err(TransactionError::NotRecorded {
            reason: reason @ NotRecorded::RecordedBefore,
        }) => match recall(&*shared.store, id).await.map_err(failed)? {
            Some(recorded) => answers(recorded),
            None => Err(TransactionError::NotRecorded { reason }),
        },
        outcome => outcome,
    }
}
