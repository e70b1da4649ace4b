//! Sees what does not return.
//!
//! # How
//! A thread that decides shows at its `desk` for whom. The watchdog's own thread looks at all desks four times within the
//! limit, and reports one that shows the same turn for that long. It is a thread and no task: a `decide` that never
//! returns may hold the only thread of its tokio runtime, and with it everything that waits for a timer there. For the
//! same reason it gives a shutdown its deadline.
//!
//! Nothing is done about what is stuck: a thread cannot be stopped from outside. Its aggregate's commands wait, others go
//! on where there is another thread for them, and a shutdown says whom it could not wait for.

mod desk;

use std::collections::HashMap;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use foldhouse_store::StreamId;
use metrics::Gauge;
use tokio::sync::oneshot;

pub(crate) use self::desk::{Deciding, deciding};
use self::desk::{Desk, all_desks};
use crate::directory::Directory;
use crate::meters::few;

/// A `decide`, `apply` or query that has not returned for longer than
/// [`RuntimeBuilder::stuck_after`](crate::RuntimeBuilder::stuck_after).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StuckCommand {
    /// The stream of its aggregate.
    pub stream: StreamId,
    /// The type of the command or query.
    pub command: &'static str,
    /// For how long it was stuck when it was last looked at.
    pub stuck_for: Duration,
}

/// The runtime's end of the watchdog. Its thread ends when this is dropped.
pub(crate) struct Watchdog {
    incidents: Arc<Mutex<Vec<Incident>>>,
    alarms: mpsc::Sender<Alarm>,
}

/// Somebody to be told when it is time.
struct Alarm {
    at: Instant,
    _tell: oneshot::Sender<()>,
}

/// What is stuck, or was at the last look.
struct Incident {
    desk: &'static Desk,
    turn: u64,
    since: Instant,
    stuck: StuckCommand,
}

impl Watchdog {
    /// Starts the thread. `None` if the system has none to give, which is logged.
    /// `stuck` shows how many commands and queries are.
    pub(crate) fn start(
        directory: Arc<Directory>,
        stuck_after: Duration,
        stuck: Gauge,
    ) -> Option<Self> {
        let incidents = Arc::default();
        let (alarms, set) = mpsc::channel();
        let watch = Watch {
            directory,
            stuck_after,
            seen: HashMap::new(),
            incidents: Arc::clone(&incidents),
            stuck,
            alarms: Vec::new(),
        };
        // What is logged goes to whoever listens where the runtime was started.
        let listener = tracing::dispatcher::get_default(tracing::Dispatch::clone);
        let started = std::thread::Builder::new()
            .name("foldhouse-watchdog".to_owned())
            .spawn(move || tracing::dispatcher::with_default(&listener, || watch.run(&set)));
        if let Err(error) = started {
            tracing::warn!(%error, "there is no thread for the watchdog: what is stuck is not seen");
            return None;
        }
        Some(Self { incidents, alarms })
    }

    /// What is stuck, in the order in which it was found.
    pub(crate) fn stuck(&self) -> Vec<StuckCommand> {
        let incidents = lock(&self.incidents);
        let still = incidents.iter().filter(|incident| incident.is_on());
        still.map(|incident| incident.stuck.clone()).collect()
    }

    /// Waits so long by the machine's clock, whatever hangs in the tokio runtime.
    pub(crate) async fn alarm(&self, after: Duration) {
        let (tell, told) = oneshot::channel();
        let at = Instant::now().checked_add(after);
        let set = at.map(|at| self.alarms.send(Alarm { at, _tell: tell }));
        match set {
            // It is told by a drop.
            Some(Ok(())) => drop(told.await),
            _ => std::future::pending().await,
        }
    }
}

/// The watchdog's thread.
struct Watch {
    directory: Arc<Directory>,
    stuck_after: Duration,
    /// By the address of a desk: the turn that it showed, and since when.
    seen: HashMap<usize, Seen>,
    incidents: Arc<Mutex<Vec<Incident>>>,
    stuck: Gauge,
    alarms: Vec<Alarm>,
}

struct Seen {
    turn: u64,
    since: Instant,
    is_dealt_with: bool,
}

impl Watch {
    fn run(mut self, set: &mpsc::Receiver<Alarm>) {
        let every = (self.stuck_after / 4).max(Duration::from_millis(1));
        let mut look_at = Instant::now() + every;
        loop {
            let now = Instant::now();
            // Dropping an alarm tells whoever waits for it.
            self.alarms.retain(|alarm| alarm.at > now);
            if now >= look_at {
                self.look(now);
                look_at = now + every;
            }
            let next = self.alarms.iter().map(|alarm| alarm.at).min();
            let wait = next.map_or(look_at, |next| next.min(look_at));
            match set.recv_timeout(wait.saturating_duration_since(Instant::now())) {
                Ok(alarm) => self.alarms.push(alarm),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn look(&mut self, now: Instant) {
        for desk in all_desks() {
            let key = std::ptr::from_ref(desk) as usize;
            let Some(shown) = desk.look() else {
                self.seen.remove(&key);
                continue;
            };
            let seen = self.seen.entry(key).or_insert(Seen {
                turn: shown.turn,
                since: now,
                is_dealt_with: false,
            });
            if seen.turn != shown.turn {
                (seen.turn, seen.since, seen.is_dealt_with) = (shown.turn, now, false);
            }
            let stuck_for = now.duration_since(seen.since);
            if stuck_for < self.stuck_after || seen.is_dealt_with {
                continue;
            }
            seen.is_dealt_with = true;
            // Another runtime of this process may work there.
            let Some(stream) = self.directory.stream_at(shown.slot) else {
                continue;
            };
            let command = shown.command;
            tracing::error!(
                %stream, command, stuck_for_ms = stuck_for.as_millis(),
                "it does not return: an endless loop, or a call that blocks; the aggregate's commands wait for it"
            );
            lock(&self.incidents).push(Incident {
                desk,
                turn: shown.turn,
                since: seen.since,
                stuck: StuckCommand {
                    stream,
                    command,
                    stuck_for,
                },
            });
        }
        self.follow_up(now);
    }

    fn follow_up(&self, now: Instant) {
        let mut incidents = lock(&self.incidents);
        let mut over = Vec::new();
        incidents.retain_mut(|incident| {
            incident.stuck.stuck_for = now.duration_since(incident.since);
            if !incident.is_on() {
                over.push(incident.stuck.clone());
                return false;
            }
            true
        });
        self.stuck.set(few(incidents.len()));
        drop(incidents);
        for StuckCommand {
            stream,
            command,
            stuck_for,
        } in over
        {
            tracing::warn!(%stream, command, stuck_for_ms = stuck_for.as_millis(), "it has returned after all");
        }
    }
}

impl Incident {
    fn is_on(&self) -> bool {
        self.desk.turn() == self.turn
    }
}

fn lock(incidents: &Mutex<Vec<Incident>>) -> MutexGuard<'_, Vec<Incident>> {
    // Nothing panics while it holds the lock; a poisoned one is whole.
    incidents.lock().unwrap_or_else(PoisonError::into_inner)
}
