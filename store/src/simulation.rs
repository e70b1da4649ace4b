//! A store on a simulated disk, in virtual time: for simulations of whatever is built on a store.
//!
//! The module `simulation` of the crate `foldhouse` (feature `simulation`) is built on this, and is what most will want.
//!
//! - [`SimulatedStore`] runs the journal's own code: its queue, its committer, its frames and its recovery. There are no
//!   threads: one task, [`SimulatedStore::run`], does what the committing thread does, and waits in virtual time where
//!   that waits for the disk.
//! - [`SimulatedDisk`] is a disk in memory that outlives its stores. It fails when it is told to: a power cut in the
//!   middle of any change, torn writes, writes that fail, no room for a segment.
//! - [`SimulatedClock`] tells tokio's (paused) time, and gives ids that follow from a seed.
//! - [`Random`] is where every choice comes from.
//!
//! Not simulated is sled. All segments stay in the index in memory, and snapshots and read models are kept in tables
//! that lose the last changes in a power cut, as sled's may.

mod beside;
mod clock;
mod disk;
mod files;
mod random;
mod store;
#[cfg(test)]
mod tests;

pub use clock::SimulatedClock;
pub use disk::{DiskFault, Left, Narrator, SimulatedDisk};
pub use random::Random;
pub use store::{AppendObserver, SimulatedStore};
