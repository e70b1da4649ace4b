//! What the runtime measures, by the `metrics` facade: all names, units and meanings in one table.
//!
//! The handles are made once, when the runtime starts, and never looked up again. Without a recorder each costs a check
//! that it leads nowhere; what would cost more (a look at the clock) is done for a sample only.

use std::time::Instant;

use foldhouse_store::{Clock, Position, Timestamp, meters};

use crate::command_error::CommandError;
use crate::process::ProcessStatus;
use crate::transaction::TransactionError;

/// One of so many decisions of an aggregate is timed: two looks at the clock take as long as many a decision.
const DECISIONS_PER_SAMPLE: u8 = 64;

meters! {
    /// The handles of one runtime.
    struct Meters;
    /// What a runtime measures, through the `metrics` facade. Install a recorder before the runtime is started: a handle
    /// that was made without one leads nowhere. The journal has a table of its own, [`journal_metrics`](crate::journal_metrics).
    pub mod runtime_metrics;

    commands: Counter, "foldhouse_commands_total", Count,
        "Commands that were answered, however: those whose caller has gone are not counted";
    transactions: Counter, "foldhouse_transactions_total", Count,
        "Transactions that were answered, dry runs too";
    rejections: Counter, "foldhouse_rejections_total", Count,
        "Commands and transactions that a rule of the domain forbade";
    conflicts: Counter, "foldhouse_conflicts_total", Count,
        "Commands and transactions that found another writer's events";
    overloads: Counter, "foldhouse_overloads_total", Count,
        "Commands and transactions that were refused because a limit on what is in flight was reached";
    expirations: Counter, "foldhouse_expirations_total", Count,
        "Commands and transactions that were not decided because their deadline had passed";
    failures: Counter, "foldhouse_failures_total", Count,
        "Commands and transactions that failed in any other way";
    decide_seconds: Histogram, "foldhouse_decide_seconds", Seconds,
        "How long a command, or an aggregate's part in a transaction, took to decide: one of 64 of each aggregate is timed";
    mailbox_depth: Histogram, "foldhouse_mailbox_depth", Count,
        "How much an actor found queued when it looked; what an idle aggregate is asked is decided without being queued";
    permits_in_use: Gauge, "foldhouse_permits_in_use", Count,
        "Commands, queries and transactions in flight: what is bounded by commands_in_flight_max";
    live_aggregates: Gauge, "foldhouse_live_aggregates", Count,
        "Aggregates that are in memory, or are being hydrated";
    live_actors: Gauge, "foldhouse_live_actors", Count,
        "Actors: an aggregate at rest needs none";
    hydrations: Counter, "foldhouse_hydrations_total", Count,
        "Aggregates that were brought back from the store";
    hydrate_seconds: Histogram, "foldhouse_hydrate_seconds", Seconds,
        "How long that took";
    snapshot_hits: Counter, "foldhouse_snapshot_hits_total", Count,
        "Hydrations that started from a snapshot";
    snapshots_saved: Counter, "foldhouse_snapshots_saved_total", Count,
        "Snapshots that were saved";
    actor_failures: Counter, "foldhouse_actor_failures_total", Count,
        "Actors that ended before their time: on a panic of the domain's, or an append that failed";
    restarts: Counter, "foldhouse_restarts_total", Count,
        "Actors that were started again because work was waiting";
    parked_aggregates: Gauge, "foldhouse_parked_aggregates", Count,
        "Aggregates that have failed too often and wait until they are revived";
    stuck_commands: Gauge, "foldhouse_stuck_commands", Count,
        "Commands and queries that have held their thread for longer than stuck_after";
    timers_pending: Gauge, "foldhouse_timers_pending", Count,
        "Timers that have not fired yet";
    timers_fired: Counter, "foldhouse_timers_fired_total", Count,
        "Timers whose command took effect";
    timers_rejected: Counter, "foldhouse_timers_rejected_total", Count,
        "Timers whose command a rule of the domain forbade";
    timers_late_seconds: Histogram, "foldhouse_timers_late_seconds", Seconds,
        "How long after its time a timer's command was decided";
    timer_failures: Counter, "foldhouse_timer_failures_total", Count,
        "Times that a timer could not fire, or timers could not be looked up; that is tried again";
}

meters! {
    /// The handles of one projection.
    struct ProjectionMeters;
    /// What a runtime measures of each projection, under the label `projection` with its name.
    pub mod projection_metrics;

    lag_events: Gauge, "foldhouse_projection_lag_events", Count,
        "How many events are in the store that its rows do not show";
    lag_seconds: Gauge, "foldhouse_projection_lag_seconds", Seconds,
        "How long ago the last event was recorded that its rows show; 0 when they show all";
    failures: Counter, "foldhouse_projection_failures_total", Count,
        "Times that it could not read, apply or keep something; it tries again, and parks in the end";
}

meters! {
    /// The handles of one process.
    struct ProcessMeters;
    /// What a runtime measures of each process, under the label `process` with its name.
    pub mod process_metrics;

    lag_events: Gauge, "foldhouse_process_lag_events", Count,
        "How many events are in the store that it has not read";
    open_instances: Gauge, "foldhouse_process_open_instances", Count,
        "Instances with commands that are not settled";
    stuck_instances: Gauge, "foldhouse_process_stuck_instances", Count,
        "Instances whose next command failed and is sent again";
    parked_instances: Gauge, "foldhouse_process_parked_instances", Count,
        "Instances that could not deal with an event and wait before it";
}

impl ProcessMeters {
    #[allow(clippy::cast_precision_loss, reason = "gauges for people to read")]
    pub(crate) fn show(&self, status: &ProcessStatus) {
        let lag = status.head.get().saturating_sub(status.position.get());
        self.lag_events.set(lag as f64);
        self.open_instances.set(status.open as f64);
        self.stuck_instances.set(status.stuck as f64);
        self.parked_instances.set(status.parked as f64);
    }
}

/// A number of few things, as a gauge shows it.
pub(crate) fn few(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::INFINITY, f64::from)
}

impl Meters {
    /// A command was answered.
    pub(crate) fn command<T, R: std::error::Error>(&self, outcome: &Result<T, CommandError<R>>) {
        self.commands.increment(1);
        let Err(error) = outcome else {
            return;
        };
        match error {
            CommandError::Rejected(_) => self.rejections.increment(1),
            CommandError::Conflict { .. } => self.conflicts.increment(1),
            CommandError::Overloaded { .. } => self.overloads.increment(1),
            CommandError::Expired { .. } => self.expirations.increment(1),
            _ => self.failures.increment(1),
        }
    }

    /// A transaction was answered.
    pub(crate) fn transaction<T>(&self, outcome: &Result<T, TransactionError>) {
        self.transactions.increment(1);
        let Err(error) = outcome else {
            return;
        };
        match error {
            TransactionError::Rejected { .. } => self.rejections.increment(1),
            TransactionError::Conflict { .. } => self.conflicts.increment(1),
            TransactionError::Overloaded { .. } => self.overloads.increment(1),
            TransactionError::Expired { .. } => self.expirations.increment(1),
            _ => self.failures.increment(1),
        }
    }

    /// A decision was made, and timed if it was in the sample.
    pub(crate) fn decided(&self, started: Option<Instant>) {
        if let Some(started) = started {
            self.decide_seconds.record(started.elapsed());
        }
    }

    /// An actor looked into its mailbox.
    pub(crate) fn found_queued(&self, depth: usize) {
        // Bounded by the permits, whose limit fits 32 bits.
        let depth = u32::try_from(depth).unwrap_or(u32::MAX);
        self.mailbox_depth.record(depth);
    }

    /// So many timers have not fired yet.
    #[allow(clippy::cast_precision_loss, reason = "a gauge for people to read")]
    pub(crate) fn pending_timers(&self, pending: u64) {
        self.timers_pending.set(pending as f64);
    }

    /// A timer that was due then has fired.
    #[allow(clippy::cast_precision_loss, reason = "a time for people to read")]
    pub(crate) fn timer_fired(&self, due: Timestamp, at: Timestamp) {
        self.timers_fired.increment(1);
        let late_micros = at.unix_micros().saturating_sub(due.unix_micros()).max(0);
        self.timers_late_seconds.record(late_micros as f64 / 1e6);
    }

    /// An aggregate was hydrated.
    pub(crate) fn hydrated(&self, started: Instant, from_snapshot: bool) {
        self.hydrations.increment(1);
        self.hydrate_seconds.record(started.elapsed());
        self.snapshot_hits.increment(from_snapshot.into());
    }
}

impl ProjectionMeters {
    /// The rows show everything up to `position`, which was recorded then, and the store goes up to `head`.
    #[allow(clippy::cast_precision_loss, reason = "gauges for people to read")]
    pub(crate) fn lag(
        &self,
        position: Position,
        head: Position,
        last_recorded_at: Option<Timestamp>,
        clock: &dyn Clock,
    ) {
        let events = head.get().saturating_sub(position.get());
        self.lag_events.set(events as f64);
        match last_recorded_at {
            _ if events == 0 => self.lag_seconds.set(0.0),
            Some(recorded_at) => {
                let now = clock.now().unix_micros();
                let micros = now.saturating_sub(recorded_at.unix_micros()).max(0);
                self.lag_seconds.set(micros as f64 / 1e6);
            }
            None => {}
        }
    }

    /// The same, as it is seen from outside.
    #[allow(clippy::cast_precision_loss, reason = "gauges for people to read")]
    pub(crate) fn lags(&self, events: u64, lag: std::time::Duration) {
        self.lag_events.set(events as f64);
        self.lag_seconds.set(lag.as_secs_f64());
    }
}

/// Chooses which of an aggregate's decisions are timed: the first, and then one of so many.
#[derive(Debug, Default)]
pub(crate) struct Sampling(u8);

impl Sampling {
    /// When the next decision starts, if it is in the sample.
    pub(crate) fn start(&mut self) -> Option<Instant> {
        let is_in_sample = self.0 == 0;
        self.0 = self.0.wrapping_add(1) % DECISIONS_PER_SAMPLE;
        is_in_sample.then(Instant::now)
    }
}
