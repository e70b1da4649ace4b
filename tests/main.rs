//! What holds over all crates together: the conformance of both stores, and crashes of real processes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod bounds;
mod conformance;
mod consistency;
mod crash;
mod domains;
mod durable_writes;
mod event_subscriptions;
mod format;
mod format_reader;
mod index_damage;
mod killed;
mod once;
mod order_process;
#[cfg(target_os = "linux")]
mod overload;
mod past;
#[cfg(target_os = "linux")]
mod power;
mod plain_text;
mod processes;
mod projection_cost;
mod projections;
mod read_only;
mod readme;
#[allow(dead_code, reason = "some of it only the child needs")]
mod script;
mod snapshots;
mod stock_month;
mod syscalls;
mod timers;
