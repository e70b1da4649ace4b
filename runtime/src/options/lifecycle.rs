use std::time::Duration;

use super::RuntimeBuilder;
use crate::residency::ResidencyLimits;
use crate::restarts::RestartLimits;
use crate::runtime::StartError;

/// How long aggregates stay in memory, and what is done about those that fail or hang.
#[derive(Clone, Debug)]
pub(crate) struct Lifecycle {
    pub(crate) residency: ResidencyLimits,
    pub(crate) idle_actors_max: usize,
    pub(crate) restarts: RestartLimits,
    /// `None` for never.
    pub(crate) stuck_after: Option<Duration>,
}

impl Default for Lifecycle {
    fn default() -> Self {
        Self {
            residency: ResidencyLimits {
                aggregates_max: 1_000_000,
                bytes_max: None,
                idle_max: None,
            },
            idle_actors_max: 1_024,
            restarts: RestartLimits {
                restarts_max: 20,
                window: Duration::from_secs(60),
                backoff_max: Duration::from_secs(1),
            },
            stuck_after: Some(Duration::from_secs(10)),
        }
    }
}

impl RuntimeBuilder {
    /// Passivates an aggregate that has had nothing to do for this long, give or take a quarter of it: its state leaves
    /// memory, and its actor ends if it has one, until the next command or query. Never, if nothing is said.
    pub fn passivate_after(mut self, idle: Duration) -> Self {
        self.options.lifecycle.residency.idle_max = Some(idle);
        self
    }

    /// The most aggregates that have a state in memory; 1,000,000 if nothing is said. For one more, one is
    /// passivated: of a sample, the one that was used least often lately, and longest ago.
    ///
    /// An aggregate that works, or has work waiting, is not passivated. If there is none to go, there are more than this
    /// until some come to rest; never more than this and the commands in flight together.
    pub fn live_aggregates_max(mut self, aggregates: usize) -> Self {
        self.options.lifecycle.residency.aggregates_max = aggregates;
        self
    }

    /// The most bytes that the aggregates in memory take together, as their
    /// [`resident_bytes`](crate::Aggregate::resident_bytes) or the size of their latest snapshots tell, with 2.5 KiB for each
    /// on top. What is beyond is passivated, as for [`RuntimeBuilder::live_aggregates_max`]. Unbounded, if nothing is said.
    pub fn resident_bytes_max(mut self, bytes: usize) -> Self {
        self.options.lifecycle.residency.bytes_max = Some(bytes);
        self
    }

    /// The most actors that stay while there is nothing for them to do; 1,024 if nothing is said. Each takes some 5 KB.
    ///
    /// An aggregate at rest needs none: a command that finds it idle is decided where it is sent. Where several want it at
    /// once, or its store is busy, its actor works off its mailbox, and to start one takes about as long as a few commands.
    /// So those that had work lately stay. Raise it where more aggregates than this are contended all the time.
    pub fn idle_actors_max(mut self, actors: usize) -> Self {
        self.options.lifecycle.idle_actors_max = actors;
        self
    }

    /// How often within `window` an aggregate whose actor failed by its own fault (a panic, a stream that cannot be read)
    /// gets another one; 20 times in a minute if nothing is said. One failure more, and it is parked: see
    /// [`ParkedAggregate`](crate::ParkedAggregate).
    pub fn restarts_max(mut self, restarts: usize, window: Duration) -> Self {
        self.options.lifecycle.restarts.restarts_max = restarts;
        self.options.lifecycle.restarts.window = window;
        self
    }

    /// The longest that a restart is put off; a second if nothing is said. The first one comes at once, the second after
    /// 10 ms, each further one twice as late. What is sent meanwhile waits.
    pub fn restart_backoff_max(mut self, backoff: Duration) -> Self {
        self.options.lifecycle.restarts.backoff_max = backoff;
        self
    }

    /// After how long a `decide`, `apply` or query that does not return is reported
    /// ([`Runtime::stuck`](crate::Runtime::stuck), and an error in the log); 10 s if nothing is said. The time is the
    /// machine's: a thread of its own looks, because one that is stuck may be the only one of its tokio runtime.
    pub fn stuck_after(mut self, stuck: Duration) -> Self {
        self.options.lifecycle.stuck_after = Some(stuck);
        self
    }

    /// Nobody looks for what is stuck, and a shutdown that is stuck itself has no help to end in time.
    pub fn without_watchdog(mut self) -> Self {
        self.options.lifecycle.stuck_after = None;
        self
    }
}

/// The most failures that are remembered of one aggregate.
const RESTARTS_LIMIT: usize = 10_000;

impl Lifecycle {
    pub(super) fn check(&self) -> Result<(), StartError> {
        let residency = &self.residency;
        at_least_one("live_aggregates_max", residency.aggregates_max)?;
        at_least_one("resident_bytes_max", residency.bytes_max.unwrap_or(1))?;
        for (option, duration) in [
            ("passivate_after (ms)", residency.idle_max),
            ("stuck_after (ms)", self.stuck_after),
            ("restarts_max, window (ms)", Some(self.restarts.window)),
        ] {
            let ms = duration.map_or(1, |duration| duration.as_millis());
            at_least_one(option, usize::try_from(ms).unwrap_or(usize::MAX))?;
        }
        if self.restarts.restarts_max > RESTARTS_LIMIT {
            return Err(StartError::Option {
                option: "restarts_max",
                value: self.restarts.restarts_max as u64,
                limit: RESTARTS_LIMIT as u64,
            });
        }
        Ok(())
    }
}

fn at_least_one(option: &'static str, value: usize) -> Result<(), StartError> {
    if value > 0 {
        return Ok(());
    }
    Err(StartError::Option {
        option,
        value: 0,
        limit: u64::MAX,
    })
}
