use std::collections::VecDeque;
use std::future::poll_fn;
use std::marker::PhantomData;
use std::sync::Arc;

use foldhouse_store::StreamId;
use ractor::{Actor, ActorProcessingErr, ActorRef};

use crate::aggregate::Aggregate;
use crate::cell::Cell;
use crate::crew::Post;
use crate::slot::{Slot, Turn};
use crate::work::Work;

/// Lets an actor work until its end. The one message that it ever gets from ractor: its commands come from its slot's
/// mailbox, and a round through ractor's four ports for each of them would take more than deciding it.
#[cfg_attr(
    shuttle,
    allow(dead_code, reason = "there incarnations live without ractor")
)]
pub(crate) struct Run;

/// The actor of one aggregate. It never waits for the disk: it only waits for work, and while the store's queue is full.
#[cfg_attr(
    shuttle,
    allow(dead_code, reason = "there incarnations live without ractor")
)]
pub(crate) struct AggregateActor<A>(PhantomData<fn() -> A>);

#[cfg(not(shuttle))]
impl<A> AggregateActor<A> {
    pub(crate) fn new() -> Self {
        Self(PhantomData)
    }
}

/// One life of an aggregate's actor, until it leaves the aggregate at rest or brings its life to an end.
pub(crate) struct Incarnation<A: Aggregate> {
    slot: Arc<Slot<A>>,
    epoch: u64,
    /// The aggregate, between two turns. While the actor sleeps it rests in the slot.
    cell: Option<Box<Cell<A>>>,
    /// What it took from the mailbox and has not come to.
    batch: VecDeque<Box<dyn Work<A>>>,
    /// How far it came.
    stage: Stage,
    post: Option<Post>,
}

/// How far an incarnation came.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// It never ran.
    Called,
    Begun,
    /// The aggregate and its mailbox are not its any more.
    Left,
}

/// Why an actor ended before its time; its supervisor logs it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Ended {
    #[error("an append of {0} failed, so the state in memory is void")]
    Voided(StreamId),
    #[error("{step} of {stream} panicked: {message}")]
    Panicked {
        stream: StreamId,
        step: crate::refusal::PanickedIn,
        message: String,
    },
}

/// After how much work in one go an actor lets others on its thread have theirs.
const WORK_AT_A_TIME_MAX: usize = 256;

impl<A: Aggregate> Incarnation<A> {
    pub(crate) fn new(slot: Arc<Slot<A>>, epoch: u64, post: Option<Post>) -> Self {
        Self {
            slot,
            epoch,
            cell: None,
            batch: VecDeque::new(),
            stage: Stage::Called,
            post,
        }
    }

    /// Lives until it is to end.
    pub(crate) async fn live(&mut self) -> Result<(), Ended> {
        self.stage = Stage::Begun;
        let outcome = self.run().await;
        if let Err(ended) = &outcome {
            self.slot.shared.meters.actor_failures.increment(1);
            self.slot.count_if_failure(ended);
        }
        outcome
    }

    /// Handles what comes until it is to end.
    async fn run(&mut self) -> Result<(), Ended> {
        let mut worked = 0;
        loop {
            let turn = self.next_turn().await;
            self.measure(&turn);
            let cell = match turn {
                Turn::One(mut cell, work) if cell.store().is_ready() => {
                    self.decide(&mut cell, work)?;
                    worked += 1;
                    self.lend_if_asked(cell)
                }
                Turn::One(cell, work) => {
                    self.batch.push_back(work);
                    Some(cell)
                }
                Turn::Several(cell) => Some(cell),
                Turn::End(Ok(())) => {
                    if let Some(cell) = self.cell.take() {
                        cell.passivate();
                    }
                    return Ok(());
                }
                Turn::End(ended) => return ended,
                Turn::Leave => {
                    self.stage = Stage::Left;
                    return Ok(());
                }
            };
            self.cell = match cell {
                Some(cell) => self.work_off(cell, &mut worked).await?,
                None => None,
            };
            breathe(&mut worked).await;
        }
    }

    fn measure(&self, turn: &Turn<A>) {
        let depth = match turn {
            Turn::One(..) => 1,
            Turn::Several(_) => self.batch.len(),
            Turn::End(_) | Turn::Leave => return,
        };
        self.slot.shared.meters.found_queued(depth);
    }

    async fn next_turn(&mut self) -> Turn<A> {
        let Self {
            slot,
            epoch,
            cell,
            batch,
            post,
            stage: _,
        } = self;
        poll_fn(|context| slot.poll_turn(context, *epoch, cell, batch, post)).await
    }

    /// Handles what is in the batch. Gives the aggregate back, unless it was lent.
    async fn work_off(
        &mut self,
        mut cell: Box<Cell<A>>,
        worked: &mut usize,
    ) -> Result<Option<Box<Cell<A>>>, Ended> {
        while !self.batch.is_empty() {
            if !cell.store().is_ready() {
                cell.store().ready().await;
            }
            // Before the work is taken: what this actor does not come to is left for the next one.
            cell.check_void()?;
            let Some(work) = self.batch.pop_front() else {
                break;
            };
            self.decide(&mut cell, work)?;
            *worked += 1;
            match self.lend_if_asked(cell) {
                Some(back) => cell = back,
                None => return Ok(None),
            }
            breathe(worked).await;
        }
        Ok(Some(cell))
    }

    fn decide(&self, cell: &mut Cell<A>, work: Box<dyn Work<A>>) -> Result<(), Ended> {
        let _deciding = self.slot.deciding(work.name());
        work.run_boxed(cell)
    }

    /// Lends the aggregate to the transaction whose turn it is, if it is one's.
    fn lend_if_asked(&mut self, mut cell: Box<Cell<A>>) -> Option<Box<Cell<A>>> {
        let Some(borrower) = cell.borrower() else {
            return Some(cell);
        };
        borrower.lend(self.slot.lend(cell, &mut self.batch));
        None
    }
}

/// Lets others on this thread have their turn after so much work in one go.
async fn breathe(worked: &mut usize) {
    if *worked >= WORK_AT_A_TIME_MAX {
        *worked = 0;
        tokio::task::yield_now().await;
    }
}

impl<A: Aggregate> Drop for Incarnation<A> {
    fn drop(&mut self) {
        let has_run = match self.stage {
            Stage::Called => false,
            Stage::Begun => true,
            Stage::Left => return,
        };
        let unhandled = std::mem::take(&mut self.batch);
        self.slot.ended(self.epoch, unhandled, has_run);
    }
}

impl<A: Aggregate> Actor for AggregateActor<A> {
    type Msg = Run;
    type State = Option<Incarnation<A>>;
    type Arguments = Incarnation<A>;

    async fn pre_start(
        &self,
        _myself: ActorRef<Run>,
        incarnation: Incarnation<A>,
    ) -> Result<Self::State, ActorProcessingErr> {
        Ok(Some(incarnation))
    }

    async fn handle(
        &self,
        myself: ActorRef<Run>,
        Run: Run,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        if let Some(incarnation) = state {
            incarnation.live().await?;
        }
        // The end is told here: ractor would hand the state to the supervisor's mailbox first.
        *state = None;
        myself.stop(None);
        Ok(())
    }
}
