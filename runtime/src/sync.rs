//! The primitives whose interleavings are checked: the standard library's, or shuttle's under `cfg(shuttle)`
//! (see `interleavings`).

#[cfg(not(shuttle))]
pub(crate) use std::sync::{Mutex, MutexGuard, atomic};

/// Where another thread may come in between, that shuttle would not think of by itself.
#[cfg(not(shuttle))]
pub(crate) fn yield_point() {}

#[cfg(shuttle)]
pub(crate) use shuttle::sync::{Mutex, MutexGuard, atomic};
#[cfg(shuttle)]
pub(crate) use shuttle::thread::yield_now as yield_point;
