//! While a follower is paused or parked.

use super::Follower;
use crate::projection::control::{AnyProjection, Orders, Until};
use crate::projection::incident::IncidentKind;
use crate::projection::model::Model;
use crate::projection::progress::{ParkedEvent, State};

impl<M: Model> Follower<M> {
    pub(super) async fn pause(&mut self, model: &mut M) {
        let resumes = self.orders.borrow().resumes;
        tracing::info!(projection = self.control.name, "a projection pauses");
        self.keep_while_resting(model).await;
        self.control.set_state(State::Paused);
        self.rest(model, |orders| {
            // One that was resumed and paused again meanwhile has to say so again.
            !orders.paused || orders.resumes != resumes || orders.until != Until::Forever
        })
        .await;
        self.control.set(|progress| {
            if progress.state == State::Paused {
                progress.state = State::CatchingUp;
            }
        });
    }

    /// Waits until it is told to try again, or to end.
    pub(super) async fn park(&mut self, model: &mut M, parked: ParkedEvent) {
        let resumes = self.orders.borrow().resumes;
        tracing::error!(projection = self.control.name, %parked, "a projection is parked");
        self.keep_while_resting(model).await;
        self.alert(IncidentKind::Parked(parked.clone()));
        self.control.set_state(State::Parked(parked));
        self.rest(model, |orders| {
            orders.resumes != resumes || orders.until != Until::Forever
        })
        .await;
        if self.orders.borrow().until == Until::Forever {
            self.control.set_state(State::CatchingUp);
        } else {
            // Parked it stays, visibly, while it ends.
            self.control.stop();
        }
    }

    async fn keep_while_resting(&mut self, model: &mut M) {
        if let Err(error) = model.finish(self.control.position()).await {
            tracing::warn!(
                projection = self.control.name,
                error,
                "a projection that rests could not keep its rows"
            );
        }
    }

    /// Waits for the orders, and does tasks meanwhile; one that gives it another model or position ends the rest.
    async fn rest(&mut self, model: &mut M, is_told: impl Fn(&Orders) -> bool + Send + Sync) {
        let mut is_store_gone = false;
        loop {
            self.peek().await;
            // The senders are in `control`, which this actor holds, so they cannot close.
            let task = tokio::select! {
                biased;
                _ = self.orders.wait_for(&is_told) => return,
                task = self.to_do.recv() => task,
                moved = self.head.changed(), if !is_store_gone => {
                    is_store_gone = moved.is_err();
                    None
                }
            };
            if let Some(task) = task
                && self.do_task(model, task).await
                && !self.orders.borrow().paused
            {
                return;
            }
            // It lags more and more, which is what somebody is to see.
            self.measure_lag();
        }
    }

    /// Looks how old the first event is that is not shown.
    async fn peek(&mut self) {
        let position = self.control.position();
        let beat = &self.control.beat;
        if self.shared.store.head() > position
            && beat.next_recorded_at().is_none()
            && let Ok(page) = self.shared.store.read_all(position, 1).await
        {
            let first = page.events.first();
            self.control
                .beat
                .next_is(first.map(|event| event.recorded_at));
        }
    }
}
