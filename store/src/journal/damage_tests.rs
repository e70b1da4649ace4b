//! Every damage that a journal can come to, on real files: noticed by whoever opens, reads or verifies it, with its place,
//! or harmless. The campaign, all bits and all bytes, takes minutes:
//!
//! ```text
//! cargo test --release -p foldhouse-store --lib damage_tests -- --include-ignored --nocapture
//! ```

mod cases;
mod flips;
mod repairs;
mod support;
mod truncations;
mod verifying;
