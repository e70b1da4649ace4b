use std::collections::VecDeque;
use std::future::poll_fn;
use std::marker::PhantomData;
use std::sync::Arc;

use foldhouse_store::StreamId;
use ractor::{Actor, ActorProcessingErr, ActorRef};

use crate::aggregate::Aggregate;
use crate::cell::Cell;
use crate::hydrate::Hydrated;
use crate::slot::{Slot, Turn};
use crate::work::Work;

/// Lets an actor work until its end. The one message that it ever gets from ractor: its commands come from its slot's
/// mailbox, and a round through ractor's four ports for each of them would take more than deciding it.
pub(crate) struct Run;

/// The actor of one aggregate. It never waits for the disk: it only waits for work, and while the store's queue is full.
pub(crate) struct AggregateActor<A>(PhantomData<fn() -> A>);

impl<A> AggregateActor<A> {
    pub(crate) fn new() -> Self {
        Self(PhantomData)
    }
}

/// One life of an aggregate's actor, from hydrating to its end.
pub(crate) struct Incarnation<A: Aggregate> {
    cell: Cell<A>,
    /// What it took from the mailbox and has not come to.
    batch: VecDeque<Box<dyn Work<A>>>,
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
    pub(crate) fn new(slot: Arc<Slot<A>>, epoch: u64, hydrated: Hydrated<A>) -> Self {
        Self {
            cell: Cell::new(slot, epoch, hydrated),
            batch: VecDeque::new(),
        }
    }

    /// Handles what comes until it is to end.
    async fn run(&mut self) -> Result<(), Ended> {
        let slot = Arc::clone(self.cell.slot());
        let epoch = self.cell.epoch();
        let mut worked = 0;
        loop {
            match poll_fn(|context| slot.poll_turn(context, epoch, &mut self.batch)).await {
                Turn::One(work) if self.cell.store().is_ready() => {
                    work.run(&mut self.cell)?;
                    worked += 1;
                    if self.cell.is_held() {
                        self.cell.until_released().await?;
                    }
                }
                Turn::One(work) => self.batch.push_back(work),
                Turn::Several => {}
                Turn::Voided => return self.cell.check_void(),
                Turn::End => return Ok(()),
            }
            while !self.batch.is_empty() {
                if !self.cell.store().is_ready() {
                    self.cell.store().ready().await;
                }
                // Before the work is taken: what this actor does not come to is left for the next one.
                self.cell.check_void()?;
                let Some(work) = self.batch.pop_front() else {
                    break;
                };
                work.run(&mut self.cell)?;
                worked += 1;
                if self.cell.is_held() {
                    self.cell.until_released().await?;
                }
                if worked >= WORK_AT_A_TIME_MAX {
                    worked = 0;
                    tokio::task::yield_now().await;
                }
            }
            if worked >= WORK_AT_A_TIME_MAX {
                worked = 0;
                tokio::task::yield_now().await;
            }
        }
    }
}

impl<A: Aggregate> Drop for Incarnation<A> {
    fn drop(&mut self) {
        let unhandled = std::mem::take(&mut self.batch);
        self.cell.slot().ended(self.cell.epoch(), unhandled);
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
            incarnation.run().await?;
        }
        // The end is told here: ractor would hand the state to the supervisor's mailbox first.
        *state = None;
        myself.stop(None);
        Ok(())
    }
}
