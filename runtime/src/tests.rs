//! The runtime as its users see it, over stores that do as the test says.

mod admission;
mod batches;
mod borrowing;
mod commands;
mod concurrency;
mod counter;
mod crew;
mod deadlines;
mod drops;
mod event_queries;
mod event_subscriptions;
mod durability;
mod failures;
mod hazards;
pub(crate) mod held_store;
mod lifecycle;
mod manual_clock;
mod passivation;
mod meters;
mod once;
mod once_stress;
mod once_transactions;
mod processes;
mod projection_control;
mod projection_external;
mod projection_partitions;
mod projection_parts;
mod projection_rebuild;
mod projections;
mod restarts;
mod snapshot_policies;
mod snapshots;
pub(crate) mod stress;
mod temporal;
mod subscriptions;
mod timers;
mod transaction_hazards;
mod transaction_durability;
mod transactions;
mod upcasting;
mod watchdog;
mod what_if;

use std::sync::Arc;
use std::time::Duration;

use crate::{AggregateRef, Runtime, RuntimeBuilder, Store};
use counter::Counter;

/// Long enough that only a hang reaches it.
const PATIENCE: Duration = Duration::from_secs(30);

async fn start(store: &Arc<impl Store>) -> Runtime {
    start_with(store, |builder| builder).await
}

async fn start_with(
    store: &Arc<impl Store>,
    set_up: impl FnOnce(RuntimeBuilder) -> RuntimeBuilder,
) -> Runtime {
    let store: Arc<dyn Store> = store.clone();
    set_up(Runtime::builder(store)).start().await.unwrap()
}

fn counter(runtime: &Runtime) -> AggregateRef<Counter> {
    runtime.aggregate("acme", "1").unwrap()
}

/// Waits for a condition, and fails where it is not met for longer than a hang takes.
async fn until(condition: impl Fn() -> bool) {
    let waiting = std::time::Instant::now();
    while !condition() {
        assert!(waiting.elapsed() < PATIENCE, "it does not come to this");
        tokio::task::yield_now().await;
    }
}

/// Lets every other task of a current-thread runtime run until it waits.
async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}
