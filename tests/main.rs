//! What holds over all crates together: the conformance of both stores, and crashes of real processes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod conformance;
mod crash;
mod domains;
mod durable_writes;
mod format;
mod format_reader;
mod readme;
