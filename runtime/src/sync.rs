//! The primitives whose interleavings are checked: the standard library's, or shuttle's under `cfg(shuttle)`
//! (see `interleavings`).

#[cfg(not(shuttle))]
pub(crate) use std::sync::{Mutex, MutexGuard, atomic};

#[cfg(shuttle)]
pub(crate) use shuttle::sync::{Mutex, MutexGuard, atomic};
