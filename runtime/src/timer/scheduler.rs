use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use foldhouse_store::{Position, ReadError, StreamId, Timestamp, Version};
use tokio::task::{Id, JoinSet};
use tokio::time::Instant;

use super::entry::{Entry, Place};
use super::fire::{Order, Outcome};
use super::index::Index;
use super::record::TIMERS_STREAM;
use crate::shared::Shared;

/// So many timers are tried at a time, each of another aggregate.
const IN_FLIGHT_MAX: usize = 256;
/// So many of the index's front are looked at, beyond those.
const AHEAD: usize = 64;
/// So many more, if none of those can be tried now.
const FAR_AHEAD: usize = 1_024;
/// The clock is looked at this often while a timer is pending: it may be set, and need not be tokio's.
const LOOK_AT_CLOCK_EVERY: Duration = Duration::from_secs(1);
/// How long a timer that failed waits before it is tried again; doubled for each failure in a row,
const RETRY_AFTER: Duration = Duration::from_millis(250);
/// up to this.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);
/// After so many failures in a row of the index itself it is made anew.
const INDEX_FAILURES_MAX: u32 = 5;

/// Fires timers when they are due, until the runtime closes.
pub(crate) async fn run(shared: Arc<Shared>) {
    let mut scheduler = Scheduler {
        in_flight: JoinSet::new(),
        fired: BTreeMap::new(),
        numbers: HashSet::new(),
        busy: HashSet::new(),
        set_aside: BTreeMap::new(),
        index_failures: 0,
        shared,
    };
    scheduler.run().await;
    let rounds = &scheduler.shared.timers.rounds;
    rounds.send_modify(|rounds| rounds.has_ended = true);
}

struct Scheduler {
    shared: Arc<Shared>,
    in_flight: JoinSet<Outcome>,
    /// What is in flight, by its task.
    fired: BTreeMap<Id, Entry>,
    /// The numbers of those in flight.
    numbers: HashSet<Version>,
    /// The aggregates with a timer in flight: one after the other keeps them in order.
    busy: HashSet<StreamId>,
    /// Timers that the index shows and that have gone: it will show that soon.
    set_aside: BTreeMap<Version, Instant>,
    index_failures: u32,
}

/// What a look at the index came to.
struct Looked {
    /// When to look again, if nothing happens before.
    again_in: Option<Duration>,
    /// Whether something is due and not in flight.
    has_due: bool,
}

impl Scheduler {
    async fn run(&mut self) {
        if !self.is_needed().await {
            let shared = Arc::clone(&self.shared);
            tokio::select! {
                biased;
                () = shared.until_closing() => return,
                () = shared.timers.wake.notified() => {}
            }
        }
        while !self.shared.is_closing() {
            let shared = Arc::clone(&self.shared);
            let rounds = &shared.timers.rounds;
            rounds.send_modify(|rounds| rounds.begun += 1);
            let again_in = match self.look().await {
                Ok(looked) => {
                    self.index_failures = 0;
                    if self.in_flight.is_empty() && !looked.has_due {
                        rounds.send_modify(|rounds| rounds.idle = rounds.begun);
                    }
                    looked.again_in
                }
                Err(ReadError::Closed) => return,
                Err(error) => {
                    // Who waits for the timers that are due is not held up by a store that fails.
                    rounds.send_modify(|rounds| rounds.idle = rounds.begun);
                    Some(self.index_failed(&error).await)
                }
            };
            self.wait(again_in).await;
        }
    }

    /// Whether there is anything to do, or may be soon. Without timers the task costs one look.
    async fn is_needed(&self) -> bool {
        let commands = &self.shared.options.timed_commands;
        let recorded = self.shared.store.stream_version(&TIMERS_STREAM).await;
        // One that cannot be read now may have some.
        !commands.is_empty() || recorded.map_or(true, |version| version > Version::EMPTY)
    }

    /// Waits until there is a reason to look.
    async fn wait(&mut self, again_in: Option<Duration>) {
        let shared = Arc::clone(&self.shared);
        let in_flight = !self.in_flight.is_empty();
        tokio::select! {
            biased;
            () = shared.until_closing() => {}
            Some(ended) = self.in_flight.join_next_with_id(), if in_flight => {
                self.ended(ended).await;
                // Those that ended meanwhile, too: one look is enough for all.
                while let Some(ended) = self.in_flight.try_join_next_with_id() {
                    self.ended(ended).await;
                }
            }
            () = shared.timers.wake.notified() => {}
            () = sleep(again_in) => {}
        }
    }

    /// Brings the index up to date, and lets those fire that are due.
    async fn look(&mut self) -> Result<Looked, ReadError> {
        let shared = Arc::clone(&self.shared);
        // Before the look: what it shows is not older than this.
        let as_of = shared.store.head();
        let mut index = shared.timers.index.lock().await;
        index.catch_up(as_of).await?;
        shared.meters.pending_timers(index.pending());
        let mut looked = Looked {
            again_in: None,
            has_due: false,
        };
        if index.pending() == 0 {
            return Ok(looked);
        }
        let now = shared.options.clock.now();
        self.set_aside.retain(|_, until| *until > Instant::now());
        let near = self.in_flight.len() + self.set_aside.len() + AHEAD;
        let (mut after, before) = (None, self.in_flight.len());
        for limit in [near, FAR_AHEAD] {
            let front = index.front(after, limit);
            let is_full = front.len() == limit;
            for place in front {
                if place.try_at > now {
                    looked.again_in = Some(until(place.try_at, now).min(LOOK_AT_CLOCK_EVERY));
                    return Ok(looked);
                }
                after = Some(place);
                if self.numbers.contains(&place.number) {
                    continue;
                }
                looked.has_due = true;
                let has_room = self.in_flight.len() < IN_FLIGHT_MAX;
                if has_room && !self.set_aside.contains_key(&place.number) {
                    self.start(&mut index, place, as_of).await?;
                }
            }
            // One aggregate with many timers that are due must not hide those of others.
            if !is_full || self.in_flight.len() > before {
                break;
            }
        }
        // Whatever is in flight wakes this again when it ends.
        let pause = match self.in_flight.is_empty() {
            true => RETRY_AFTER,
            false => LOOK_AT_CLOCK_EVERY,
        };
        looked.again_in = Some(pause);
        Ok(looked)
    }

    /// Lets the timer at this place fire, unless one of its aggregate is in flight.
    async fn start(
        &mut self,
        index: &mut Index,
        place: Place,
        as_of: Position,
    ) -> Result<(), ReadError> {
        let entry = index.entry(place).await?;
        if self.busy.contains(&entry.stream) {
            return Ok(());
        }
        let (shared, of) = (&self.shared, entry.stream.aggregate_type());
        let kind = shared.options.timed_commands.find(of, &entry.command);
        let kind = kind
            .cloned()
            .or_else(|| shared.timers.find(of, &entry.command));
        let firing = match (kind, index.scheduled_by(entry.number).await?) {
            (None, _) => Err(format!(
                "{} sends no command {:?}: register it with RuntimeBuilder::timed_command",
                entry.stream.aggregate_type(),
                entry.command
            )),
            (_, None) => Err("what scheduled it is not there".to_owned()),
            (Some(kind), Some(scheduled_by)) => {
                let order = Order {
                    scheduled_by,
                    as_of,
                };
                Ok(kind.fire(Arc::clone(&self.shared), order))
            }
        };
        let task = match firing {
            Ok(firing) => self.in_flight.spawn(firing),
            Err(error) => self.in_flight.spawn(async move { Outcome::Failed(error) }),
        };
        self.busy.insert(entry.stream.clone());
        self.numbers.insert(entry.number);
        self.fired.insert(task.id(), entry);
        Ok(())
    }

    async fn ended(&mut self, ended: Result<(Id, Outcome), tokio::task::JoinError>) {
        let (id, outcome) = match ended {
            Ok(ended) => ended,
            Err(error) => (error.id(), Outcome::Failed(error.to_string())),
        };
        let Some(entry) = self.fired.remove(&id) else {
            return;
        };
        self.busy.remove(&entry.stream);
        self.numbers.remove(&entry.number);
        let meters = &self.shared.meters;
        match outcome {
            Outcome::Done(at) => meters.timer_fired(entry.due, at),
            Outcome::Rejected(why) => {
                let (stream, name) = (&entry.stream, &entry.name);
                tracing::info!(%stream, timer = %name, why, "the command of a timer was rejected");
                meters.timers_rejected.increment(1);
            }
            Outcome::Gone => {
                let until = Instant::now() + RETRY_AFTER;
                self.set_aside.insert(entry.number, until);
            }
            Outcome::Stale => {}
            Outcome::Failed(_) if self.shared.is_closing() => {}
            Outcome::Failed(error) => self.put_off(&entry, error).await,
        }
    }

    /// Tries a timer again later, visibly.
    async fn put_off(&mut self, entry: &Entry, error: String) {
        self.shared.meters.timer_failures.increment(1);
        let failures = entry.failures.saturating_add(1);
        let pause = RETRY_AFTER
            .saturating_mul(1 << entry.failures.min(16))
            .min(RETRY_AFTER_MAX);
        let (stream, name) = (&entry.stream, &entry.name);
        tracing::warn!(
            %stream, timer = %name, due = %entry.due, failures, error, pause_ms = pause.as_millis(),
            "a timer could not fire; it will be tried again"
        );
        let later = Entry {
            try_at: later(self.shared.options.clock.now(), pause),
            failures,
            error: Some(error.into()),
            ..entry.clone()
        };
        let mut index = self.shared.timers.index.lock().await;
        index.put_off(entry, &later);
    }

    /// The index cannot be read or written. It is only derived: when that goes on, it is made anew.
    async fn index_failed(&mut self, error: &ReadError) -> Duration {
        self.index_failures = self.index_failures.saturating_add(1);
        self.shared.meters.timer_failures.increment(1);
        tracing::error!(%error, failures = self.index_failures, "pending timers cannot be looked up; none fires");
        if self.index_failures >= INDEX_FAILURES_MAX {
            self.index_failures = 0;
            let mut index = self.shared.timers.index.lock().await;
            if let Err(error) = index.reset().await {
                tracing::error!(%error, "the index of pending timers cannot be made anew");
            }
        }
        LOOK_AT_CLOCK_EVERY
    }
}

fn until(at: Timestamp, now: Timestamp) -> Duration {
    let micros = at.unix_micros().saturating_sub(now.unix_micros());
    Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}

fn later(now: Timestamp, by: Duration) -> Timestamp {
    let micros = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
    Timestamp::from_unix_micros(now.unix_micros().saturating_add(micros))
}

async fn sleep(duration: Option<Duration>) {
    match duration {
        Some(duration) => tokio::time::sleep(duration).await,
        None => std::future::pending().await,
    }
}
