//! Commands to several aggregates that take effect together or not at all.
//!
//! # How
//! A transaction borrows its aggregates: if all of them are idle, at once; else one behind the other in the order of
//! their stream ids, each on its turn in its mailbox. When it has them all it decides, each step on the state of its
//! aggregate with the events of this transaction's earlier steps applied. If everyone agrees, ONE append goes to the
//! store, with the events of all and with the version of each participant as a condition; one frame is atomic on disk,
//! so there is no two-phase commit. The aggregates go back as soon as the append is queued: order, not durability, is
//! what they have to wait for.
//!
//! # Why it cannot deadlock
//! A transaction waits for a participant only while it has participants with smaller stream ids, and never the other way
//! round, so no circle of transactions can wait for each other. The same order is kept when places are taken (the limits
//! on what is in flight), and the runtime's one place is taken last. Who has borrowed an aggregate waits for nothing but
//! its other aggregates, and never on the caller's task, which may not be polled for long.
//!
//! - `steps`: what a caller writes down, with typed replies
//! - `plan`: the steps, sorted by aggregate
//! - `participant`: the steps of one aggregate, decided on its state
//! - `loan`: a transaction's turn in a mailbox
//! - `coordinator`: the transaction itself, which borrows, decides and gives back
//! - `stake`: what a participant has at stake in the append
//! - `once`: a transaction that takes effect once, by its `idempotent_steps` and its `seal`
//! - `settlement`: the answer, held back until the append is durable

mod coordinator;
mod error;
mod idempotent_steps;
mod loan;
mod once;
mod participant;
mod plan;
mod seal;
mod settlement;
mod stake;
mod steps;

use std::sync::Arc;

use foldhouse_store::{APPEND_STREAMS_MAX, Position, StreamId};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use uuid::Uuid;

pub(crate) use self::coordinator::Purpose;
pub use self::error::TransactionError;
pub use self::idempotent_steps::IdempotentSteps;
pub(crate) use self::loan::Borrower;
pub(crate) use self::once::run_once;
pub use self::steps::{Condition, Step, Steps};

use self::coordinator::{Coordinator, Terms};
use self::participant::Participant;
use self::plan::Plan;
use self::settlement::{Answer, Placed};
use crate::admission::{NotAdmitted, Patience, RuntimePlace};
use crate::command_options::CommandOptions;
use crate::refusal::{NotRecorded, Refusal};
use crate::shared::Shared;

/// The most aggregates that one transaction may touch.
pub const TRANSACTION_AGGREGATES_MAX: usize = APPEND_STREAMS_MAX;

/// The answer to a transaction that took effect, given when its events are durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transacted<Replies> {
    /// The reply of each step, in the shape in which the steps were given.
    pub replies: Replies,
    /// The position of the transaction's last event; for one that recorded nothing, a position at or behind everything
    /// that its decisions rested on.
    pub position: Position,
    /// The id that stands for all its commands, as given or made. The ids of the events follow from it
    /// ([`event_id`](crate::event_id)), counted up within each stream.
    pub command_id: Uuid,
}

/// Runs the steps; see [`Runtime::transact`](crate::Runtime::transact).
pub(crate) async fn run<S: Steps>(
    shared: &Arc<Shared>,
    steps: S,
    options: CommandOptions,
    purpose: Purpose,
) -> Result<Transacted<S::Replies>, TransactionError> {
    let outcome = match start(shared, steps, options, purpose).await {
        Ok(started) => started.finish().await,
        Err(refused) => Err(refused),
    };
    shared.meters.transaction(&outcome);
    outcome
}

/// Runs several, each for itself; see [`Runtime::transact_each`](crate::Runtime::transact_each).
pub(crate) async fn run_each<S: Steps>(
    shared: &Arc<Shared>,
    transactions: impl IntoIterator<Item = (S, CommandOptions)>,
) -> Vec<Result<Transacted<S::Replies>, TransactionError>> {
    let transactions = transactions.into_iter();
    let mut started = Vec::with_capacity(transactions.size_hint().0);
    for (steps, options) in transactions {
        let mut next = start(shared, steps, options, Purpose::Record).await;
        // The order is kept: one that waits for its turn is decided before the next one is looked at.
        if let Ok(Some(gathering)) = next.as_mut().map(|next| next.gathering.take()) {
            // If it was cancelled its answer says so.
            let _ = gathering.await;
        }
        started.push(next);
    }
    let mut outcomes = Vec::with_capacity(started.len());
    for started in started {
        let outcome = match started {
            Ok(started) => started.finish().await,
            Err(refused) => Err(refused),
        };
        shared.meters.transaction(&outcome);
        outcomes.push(outcome);
    }
    outcomes
}

/// A transaction that was decided, or waits for its aggregates.
struct Started<S: Steps> {
    pending: S::Pending,
    /// Ends when it is decided; none if it is already.
    gathering: Option<JoinHandle<()>>,
    answered: oneshot::Receiver<Result<Placed, TransactionError>>,
}

/// Takes the transaction's places, and decides it or lets it wait for its turn.
async fn start<S: Steps>(
    shared: &Arc<Shared>,
    steps: S,
    options: CommandOptions,
    purpose: Purpose,
) -> Result<Started<S>, TransactionError> {
    let mut plan = Plan::default();
    let pending = steps.enlist(&mut plan);
    let patience = options.patience();
    let (participants, place) = enter(shared, plan, patience).await?;
    let terms = Terms {
        options,
        until: patience.until,
        purpose,
        seal: None,
    };
    let (sender, answered) = oneshot::channel();
    let answer = Answer {
        place,
        claim: None,
        sender,
    };
    let gathering = begin(shared, Coordinator::new(participants, terms, answer));
    Ok(Started {
        pending,
        gathering,
        answered,
    })
}

/// Decides the transaction, or lets it wait for its turn.
fn begin(shared: &Shared, coordinator: Coordinator) -> Option<JoinHandle<()>> {
    let waiting = coordinator.try_now();
    waiting.map(|waiting| shared.tokio.spawn(waiting.gather()))
}

/// Checks what is to be done, and takes all the places for it.
async fn enter(
    shared: &Arc<Shared>,
    plan: Plan,
    patience: Patience,
) -> Result<(Vec<Box<dyn Participant>>, RuntimePlace), TransactionError> {
    let mut participants = plan.participants();
    check(shared, &participants)?;
    let place = admit(shared, &mut participants, patience).await?;
    Ok((participants, place))
}

impl<S: Steps> Started<S> {
    async fn finish(self) -> Result<Transacted<S::Replies>, TransactionError> {
        let placed = self.answered.await;
        let placed = placed.unwrap_or(Err(TransactionError::NotRecorded {
            reason: NotRecorded::ActorEnded,
        }))?;
        match S::collect(self.pending) {
            Some(replies) => Ok(Transacted {
                replies,
                position: placed.position,
                command_id: placed.command_id,
            }),
            // Every step replies before its participant agrees.
            None => Err(TransactionError::reply_missing(placed.command_id)),
        }
    }
}

fn check(
    shared: &Arc<Shared>,
    participants: &[Box<dyn Participant>],
) -> Result<(), TransactionError> {
    if participants.is_empty() {
        return Err(TransactionError::Empty);
    }
    if participants.len() > TRANSACTION_AGGREGATES_MAX {
        return Err(TransactionError::TooManyAggregates(participants.len()));
    }
    let foreign = participants
        .iter()
        .find(|participant| !Arc::ptr_eq(participant.shared(), shared));
    match foreign {
        Some(foreign) => Err(TransactionError::OtherRuntime {
            stream: foreign.stream().clone(),
        }),
        None => Ok(()),
    }
}

/// Takes a place at each participant, in their order, and then one in the runtime for all.
async fn admit(
    shared: &Arc<Shared>,
    participants: &mut [Box<dyn Participant>],
    patience: Patience,
) -> Result<RuntimePlace, TransactionError> {
    let refused = |reason: NotAdmitted, stream: &StreamId| {
        let refusal = Refusal::not_admitted(reason, shared.is_closing());
        TransactionError::refused(stream, refusal)
    };
    let mut first = None;
    for participant in participants {
        let stream = participant.stream().clone();
        if !participant.try_admit() {
            participant
                .admit(patience)
                .await
                .map_err(|reason| refused(reason, &stream))?;
        }
        first.get_or_insert(stream);
    }
    RuntimePlace::take(shared, patience)
        .await
        .map_err(|reason| first.map_or(TransactionError::Empty, |stream| refused(reason, &stream)))
}
