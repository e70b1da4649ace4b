use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use foldhouse_store::{StreamId, Timestamp};
use metrics::Gauge;
use tokio::time::Instant;

use crate::meters::few;
use crate::parked::ParkedAggregate;

/// How often and how fast an aggregate that fails is given another actor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RestartLimits {
    /// How many restarts it gets within `window`; one more failure, and it is parked.
    pub(crate) restarts_max: usize,
    pub(crate) window: Duration,
    /// The longest that a restart is put off.
    pub(crate) backoff_max: Duration,
}

/// The aggregates that have failed lately. It has a say only when an aggregate fails or is to come to memory, and is not looked into
/// while it is empty.
///
/// What is known of a failure outlives the aggregate's slot: a caller that asks for a new handle each time must not get
/// a new chance each time.
pub(crate) struct Restarts {
    limits: RestartLimits,
    /// How many have an entry, to be read without the lock.
    troubled: AtomicUsize,
    table: Mutex<HashMap<StreamId, Trouble>>,
    /// Shows how many are parked.
    parked: Gauge,
}

/// What is known of one aggregate that has failed.
struct Trouble {
    /// When, within the window; the latest one last.
    failures: VecDeque<Instant>,
    parked: Option<Arc<ParkedAggregate>>,
}

/// Whether an aggregate may come to memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Leave {
    Now,
    At(Instant),
    No(Arc<ParkedAggregate>),
}

/// How many aggregates' failures are kept in mind. Beyond that the one that failed longest ago gets a fresh start.
const TROUBLED_MAX: usize = 10_000;

/// The second restart in a row is put off this long, each further one twice as long as the one before.
const BACKOFF_FIRST: Duration = Duration::from_millis(10);

const REASON_BYTES_MAX: usize = 1_024;

impl Restarts {
    pub(crate) fn new(limits: RestartLimits, parked: Gauge) -> Self {
        Self {
            limits,
            troubled: AtomicUsize::new(0),
            table: Mutex::default(),
            parked,
        }
    }

    /// An actor of this aggregate failed, or could not be brought to life, by the aggregate's own fault. Parks it if that
    /// was once too often.
    pub(crate) fn failed(&self, stream: &StreamId, reason: &str, now: Timestamp) {
        let at = Instant::now();
        let mut table = self.table();
        if !table.contains_key(stream) && table.len() >= TROUBLED_MAX {
            make_room(&mut table, at, self.limits.window);
        }
        let trouble = table.entry(stream.clone()).or_insert_with(|| Trouble {
            failures: VecDeque::new(),
            parked: None,
        });
        trouble.expire(at, self.limits.window);
        trouble.failures.push_back(at);
        let failures = trouble.failures.len();
        let is_too_often = failures > self.limits.restarts_max;
        let parks = is_too_often && trouble.parked.is_none();
        if parks {
            trouble.parked = Some(Arc::new(ParkedAggregate {
                stream: stream.clone(),
                reason: cut(reason).into(),
                failures,
                since: now,
            }));
        }
        self.troubled.store(table.len(), Ordering::Release);
        if parks {
            self.show(&table);
        }
        drop(table);
        if parks {
            tracing::error!(%stream, failures, reason, "an aggregate is parked: it failed too often");
        }
    }

    /// Whether this aggregate may come to memory now.
    pub(crate) fn leave(&self, stream: &StreamId) -> Leave {
        if self.troubled.load(Ordering::Acquire) == 0 {
            return Leave::Now;
        }
        let now = Instant::now();
        let mut table = self.table();
        let Some(trouble) = table.get_mut(stream) else {
            return Leave::Now;
        };
        if let Some(parked) = &trouble.parked {
            return Leave::No(Arc::clone(parked));
        }
        trouble.expire(now, self.limits.window);
        let Some(last) = trouble.failures.back() else {
            table.remove(stream);
            self.troubled.store(table.len(), Ordering::Release);
            return Leave::Now;
        };
        match *last + backoff(trouble.failures.len(), self.limits.backoff_max) {
            at if at > now => Leave::At(at),
            _ => Leave::Now,
        }
    }

    /// Forgets its failures. True if it was parked.
    pub(crate) fn revive(&self, stream: &StreamId) -> bool {
        let mut table = self.table();
        let trouble = table.remove(stream);
        self.troubled.store(table.len(), Ordering::Release);
        let was_parked = trouble.is_some_and(|trouble| trouble.parked.is_some());
        if was_parked {
            self.show(&table);
        }
        drop(table);
        if was_parked {
            tracing::info!(%stream, "a parked aggregate is revived");
        }
        was_parked
    }

    fn show(&self, table: &HashMap<StreamId, Trouble>) {
        let parked = table.values().filter(|trouble| trouble.parked.is_some());
        self.parked.set(few(parked.count()));
    }

    /// Those that are parked, the longest parked first.
    pub(crate) fn parked(&self) -> Vec<ParkedAggregate> {
        let table = self.table();
        let parked = table.values().filter_map(|trouble| trouble.parked.as_ref());
        let mut parked: Vec<_> = parked.map(|parked| (**parked).clone()).collect();
        drop(table);
        parked.sort_by(|one, other| (one.since, &one.stream).cmp(&(other.since, &other.stream)));
        parked
    }

    fn table(&self) -> MutexGuard<'_, HashMap<StreamId, Trouble>> {
        // Nothing panics while it holds the lock; a poisoned one is whole.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Trouble {
    fn expire(&mut self, now: Instant, window: Duration) {
        while let Some(first) = self.failures.front()
            && now.duration_since(*first) > window
        {
            self.failures.pop_front();
        }
    }
}

/// Forgets those that have been well for a while, or else the one that failed longest ago, a parked one last.
fn make_room(table: &mut HashMap<StreamId, Trouble>, now: Instant, window: Duration) {
    table.retain(|_, trouble| {
        let last = trouble.failures.back();
        trouble.parked.is_some() || last.is_some_and(|last| now.duration_since(*last) <= window)
    });
    if table.len() < TROUBLED_MAX {
        return;
    }
    let oldest = table
        .iter()
        .min_by_key(|(_, trouble)| (trouble.parked.is_some(), trouble.failures.back().copied()))
        .map(|(stream, _)| stream.clone());
    if let Some(stream) = oldest {
        table.remove(&stream);
        tracing::warn!(%stream, "more than {TROUBLED_MAX} aggregates fail; the failures of one are forgotten");
    }
}

/// How long after its latest failure an aggregate may start again.
fn backoff(failures: usize, max: Duration) -> Duration {
    // The first restart comes at once.
    let Some(doublings) = failures.checked_sub(2) else {
        return Duration::ZERO;
    };
    let factor = u32::try_from(doublings)
        .ok()
        .and_then(|doublings| 1_u32.checked_shl(doublings))
        .unwrap_or(u32::MAX);
    BACKOFF_FIRST.saturating_mul(factor).min(max)
}

fn cut(reason: &str) -> &str {
    let mut end = REASON_BYTES_MAX.min(reason.len());
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    reason.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests;
