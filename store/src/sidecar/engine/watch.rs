//! A thread that watches over calls into sled which do not come back.
//!
//! sled writes and shortens its file on a pool of seven threads (its counting of idle ones goes below zero, so that there
//! are never more). When a file that was shortened grows again, a writer waits, with a lock held, for the shortening to
//! be done; if all seven threads wait for that lock meanwhile, nobody is left to do it, and every call hangs for ever.
//! `budget` keeps it far from that. A call can also hang because a write failed beside it and nobody is woken.
//!
//! Neither can be helped from outside. After a while the index is given up, so that nobody else waits for it.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

/// How often it looks.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Counts the calls that are under way.
#[derive(Debug, Default)]
pub(super) struct Calls {
    under_way: AtomicUsize,
    done: AtomicU64,
    ended: Mutex<bool>,
    wake: Condvar,
}

/// A call under way, until it is dropped.
#[derive(Debug)]
pub(super) struct Call(Arc<Calls>);

impl Calls {
    pub(super) fn begin(self: &Arc<Self>) -> Call {
        self.under_way.fetch_add(1, Ordering::Relaxed);
        Call(Arc::clone(self))
    }

    /// Waits a while; false if there is nothing to watch any more.
    fn wait(&self) -> bool {
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        let (ended, _) = self
            .wake
            .wait_timeout_while(ended, LOOK_EVERY, |ended| !*ended)
            .unwrap_or_else(PoisonError::into_inner);
        !*ended
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.0.done.fetch_add(1, Ordering::Relaxed);
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The thread; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Watch {
    calls: Arc<Calls>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// `give_up` is called once, when no call has come back for as long as `patience`.
    pub(super) fn start(
        calls: Arc<Calls>,
        patience: Duration,
        give_up: impl FnOnce() + Send + 'static,
    ) -> std::io::Result<Self> {
        let watched = Arc::clone(&calls);
        let thread = Builder::new()
            .name("foldhouse-index-watch".to_owned())
            .spawn(move || watch(&watched, patience, give_up))?;
        Ok(Self {
            calls,
            thread: Some(thread),
        })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        *self
            .calls
            .ended
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = true;
        self.calls.wake.notify_all();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that watches over the index panicked");
        }
    }
}

fn watch(calls: &Calls, patience: Duration, give_up: impl FnOnce()) {
    let mut give_up = Some(give_up);
    let mut done_before = 0;
    let mut stuck = Duration::ZERO;
    while calls.wait() {
        let done = calls.done.load(Ordering::Relaxed);
        if calls.under_way.load(Ordering::Relaxed) == 0 || done != done_before {
            done_before = done;
            stuck = Duration::ZERO;
            continue;
        }
        stuck += LOOK_EVERY;
        if stuck >= patience
            && let Some(give_up) = give_up.take()
        {
            give_up();
        }
    }
}
