//! Interleavings of what many threads share, tried by shuttle: it runs them one step at a time, in an order of its own,
//! and gives the seed of the order that failed. In a build of its own, since the primitives are other ones:
//!
//! ```text
//! RUSTFLAGS="--cfg shuttle" cargo test -p foldhouse --lib --target-dir target/shuttle interleavings
//! ```

mod gate;
mod slot;
