use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use foldhouse_store::{Position, RecordedEvent, Timestamp};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::sync::watch;

use super::commit::Commits;
use super::live::{AnyProjection, Live, Orders, Until};
use super::progress::{ParkedEvent, State};
use super::reader::Reader;
use super::{Projection, ProjectionError, TableOf};
use crate::meters::ProjectionMeters;
use crate::refusal::panic_message;
use crate::shared::Shared;

/// How long a projection waits before it tries again what has failed; then it parks.
const RETRY_AFTER: [Duration; 3] = [
    Duration::from_millis(10),
    Duration::from_millis(100),
    Duration::from_secs(1),
];
/// The actor of one projection.
pub(super) struct ProjectionActor<P>(PhantomData<fn() -> P>);

impl<P> ProjectionActor<P> {
    pub(super) fn new() -> Self {
        Self(PhantomData)
    }
}

/// Lets it follow the journal until its end.
pub(super) struct Follow;

/// What the actor works with.
pub(super) struct Follower<P: Projection> {
    live: Arc<Live<P>>,
    shared: Arc<Shared>,
    reader: Reader,
    head: watch::Receiver<Position>,
    orders: watch::Receiver<Orders>,
    commits: Commits,
    meters: ProjectionMeters,
    /// When the last event was recorded that the rows show.
    last_recorded_at: Option<Timestamp>,
}

/// How a step ended well.
enum Stepped {
    More,
    AtHead,
}

impl<P: Projection> Follower<P> {
    pub(super) fn new(live: Arc<Live<P>>, shared: Arc<Shared>) -> Self {
        Self {
            reader: Reader::new(Arc::clone(&shared.store)),
            head: shared.store.watch_head(),
            orders: live.orders.subscribe(),
            commits: Commits::new(Arc::clone(&shared.store), live.position()),
            live,
            meters: shared
                .options
                .meters(|| ProjectionMeters::register(&[("projection", P::NAME)])),
            shared,
            last_recorded_at: None,
        }
    }

    async fn follow(&mut self) {
        let mut failures = 0;
        while !self.is_done() {
            match self.step().await {
                Ok(Stepped::More) => {
                    failures = 0;
                    // A long catch-up must not keep others from their turn.
                    tokio::task::yield_now().await;
                }
                Ok(Stepped::AtHead) => {
                    failures = 0;
                    // This step may have come to the end that was ordered before it: no further order follows then.
                    if !self.is_done() {
                        self.wait_at_head().await;
                    }
                }
                Err(parked) => {
                    tracing::warn!(projection = P::NAME, %parked, failures, "a projection failed");
                    self.meters.failures.increment(1);
                    match RETRY_AFTER.get(failures) {
                        Some(delay) => {
                            failures += 1;
                            self.wait(*delay).await;
                        }
                        None => {
                            failures = 0;
                            self.park(parked).await;
                        }
                    }
                }
            }
        }
        // Once more, as one that failed may have been on its way before the end was ordered.
        if self.commits.finish(&self.live).await.is_ok() {
            return;
        }
        if let Err(error) = self.commits.finish(&self.live).await {
            tracing::warn!(
                projection = P::NAME,
                error,
                "a projection ends, and reads its last events again next time"
            );
            let unkept = self.parked(&error);
            self.live.set(|progress| {
                // What parks it before has more to say.
                if !matches!(progress.state, State::Parked(_)) {
                    progress.state = State::Parked(unkept);
                }
            });
        }
    }

    fn is_done(&mut self) -> bool {
        match self.orders.borrow_and_update().until {
            Until::Forever => false,
            Until::Position(end) => self.live.position() >= end,
            Until::Now => true,
        }
    }

    /// Reads a page, applies it, and keeps the rows if it is time.
    async fn step(&mut self) -> Result<Stepped, ParkedEvent> {
        let position = self.live.position();
        let page = self
            .reader
            .page(position)
            .await
            .map_err(|error| self.parked(&error.to_string()))?;
        let at_head = page.next.is_none();
        self.apply(&page.events, at_head)?;
        let kept = self.commits.step(&self.live, at_head).await;
        kept.map_err(|error| self.parked(&error))?;
        Ok(if at_head {
            Stepped::AtHead
        } else {
            Stepped::More
        })
    }

    /// Applies the events up to the first that fails. Readers see the rows before all of them, or behind.
    fn apply(&mut self, events: &[RecordedEvent], at_head: bool) -> Result<(), ParkedEvent> {
        let mut table = self.live.write();
        let mut todo = events;
        let mut failed = None;
        while let Err((index, error)) = apply_all(&self.live.projection, todo, &mut table) {
            table.take_back();
            let (good, bad) = todo.split_at_checked(index).unwrap_or_default();
            failed = bad.first().map(|event| ParkedEvent::before(event, error));
            // Once more without the one that failed; they are pure, so this works out.
            todo = good;
        }
        table.end_step();
        drop(table);
        self.live.set(|progress| {
            if let Some(last) = todo.last() {
                progress.position = last.position;
            }
            progress.state = match at_head && failed.is_none() {
                true => State::Live,
                false => State::CatchingUp,
            };
        });
        if let Some(last) = todo.last() {
            self.last_recorded_at = Some(last.recorded_at);
        }
        self.measure_lag();
        failed.map_or(Ok(()), Err)
    }

    fn measure_lag(&self) {
        let (position, head) = (self.live.position(), self.shared.store.head());
        let clock = &*self.shared.options.clock;
        self.meters
            .lag(position, head, self.last_recorded_at, clock);
    }

    fn parked(&self, error: &str) -> ParkedEvent {
        ParkedEvent {
            error: error.into(),
            position: self.live.position(),
            event: None,
        }
    }

    /// Waits until there is more to read, or it is told something.
    async fn wait_at_head(&mut self) {
        let position = self.live.position();
        // In order, so that a run can be replayed; after each of them all are looked at again.
        let store_gone = tokio::select! {
            biased;
            moved = self.head.wait_for(|head| *head > position) => moved.is_err(),
            _ = self.orders.changed() => false,
            () = self.commits.until_ended() => false,
        };
        if store_gone {
            // Nothing more will come.
            let _ = self.orders.changed().await;
        }
    }

    async fn wait(&mut self, delay: Duration) {
        tokio::select! {
            biased;
            () = tokio::time::sleep(delay) => {}
            _ = self.orders.changed() => {}
        }
    }

    /// Waits until it is told to try again, or to end.
    async fn park(&mut self, parked: ParkedEvent) {
        let resumes = self.orders.borrow().resumes;
        tracing::error!(projection = P::NAME, %parked, "a projection is parked");
        if let Err(error) = self.commits.finish(&self.live).await {
            tracing::warn!(
                projection = P::NAME,
                error,
                "a parked projection could not keep its rows"
            );
        }
        self.live
            .set(|progress| progress.state = State::Parked(parked));
        loop {
            let (orders, head) = (&mut self.orders, &mut self.head);
            let is_told =
                |orders: &Orders| orders.resumes != resumes || orders.until != Until::Forever;
            // The orders' sender is in `live`, which this actor holds, so it cannot close.
            let moved = tokio::select! {
                _ = orders.wait_for(is_told) => break,
                moved = head.changed() => moved,
            };
            if moved.is_err() {
                // Nothing more will come.
                let _ = orders.wait_for(is_told).await;
                break;
            }
            // It lags more and more, which is what somebody is to see.
            self.measure_lag();
        }
        if self.orders.borrow().until == Until::Forever {
            self.live.set(|progress| progress.state = State::CatchingUp);
        } else {
            // Parked it stays, visibly, while it ends.
            self.live.stop();
        }
    }
}

/// Applies events in order; an error names the index of the event that failed.
fn apply_all<P: Projection>(
    projection: &P,
    events: &[RecordedEvent],
    table: &mut TableOf<P>,
) -> Result<(), (usize, ProjectionError)> {
    let mut at = 0;
    // Unwind safe: what a panic leaves in the table is taken back.
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        for event in events {
            projection.apply(event, table)?;
            if table.len() > P::ROWS_MAX {
                return Err(ProjectionError::new(format!(
                    "it makes more than {} rows; raise Projection::ROWS_MAX",
                    P::ROWS_MAX
                )));
            }
            at += 1;
        }
        Ok(())
    }));
    match outcome {
        Ok(outcome) => outcome.map_err(|error| (at, error)),
        Err(panic) => {
            let error = format!("apply panicked: {}", panic_message(panic));
            Err((at, ProjectionError::new(error)))
        }
    }
}

impl<P: Projection> Drop for Follower<P> {
    fn drop(&mut self) {
        self.live.set(|progress| progress.ended = true);
        self.shared.projection_ended(P::NAME);
    }
}

impl<P: Projection> Actor for ProjectionActor<P> {
    type Msg = Follow;
    type State = Option<Follower<P>>;
    type Arguments = Follower<P>;

    async fn pre_start(
        &self,
        _myself: ActorRef<Follow>,
        follower: Follower<P>,
    ) -> Result<Self::State, ActorProcessingErr> {
        Ok(Some(follower))
    }

    async fn handle(
        &self,
        myself: ActorRef<Follow>,
        Follow: Follow,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        if let Some(follower) = state {
            follower.follow().await;
        }
        *state = None;
        myself.stop(None);
        Ok(())
    }
}
