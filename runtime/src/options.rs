mod lifecycle;
mod snapshots;

use std::sync::Arc;
use std::time::Duration;

use foldhouse_store::{Clock, Store, SystemClock};

pub(crate) use self::lifecycle::Lifecycle;
use crate::event_query::{CursorKeys, Cursors};
use crate::projection::{Alerts, ProjectionIncident};
use crate::runtime::{Runtime, StartError};
use crate::snapshots::SnapshotPolicies;
use crate::timer::{TimedCommand, TimedCommands};

/// What a caller gets when a limit on commands in flight is reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhenFull {
    /// It waits for its turn, in the order of arrival.
    #[default]
    Wait,
    /// It gets [`CommandError::Overloaded`](crate::CommandError::Overloaded) at once.
    Refuse,
}

/// The highest limit on commands in flight that makes sense: what waits is in memory.
const COMMANDS_IN_FLIGHT_LIMIT: usize = u32::MAX as usize;

/// Sets up a [`Runtime`].
#[must_use]
pub struct RuntimeBuilder {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) options: Options,
}

#[derive(Clone)]
pub(crate) struct Options {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) commands_in_flight_max: usize,
    pub(crate) commands_in_flight_per_aggregate_max: usize,
    pub(crate) snapshots: SnapshotPolicies,
    pub(crate) when_full: WhenFull,
    pub(crate) lifecycle: Lifecycle,
    pub(crate) alerts: Alerts,
    pub(crate) cursors: Cursors,
    pub(crate) timed_commands: TimedCommands,
    /// Whether it is thrown away: what is tried out must not show among what is measured, and its timers do not fire.
    pub(crate) is_scratch: bool,
}

impl Options {
    /// Makes handles of what is measured; they lead nowhere if nothing is.
    pub(crate) fn meters<M>(&self, register: impl FnOnce() -> M) -> M {
        if self.is_scratch {
            metrics::with_local_recorder(&metrics::NoopRecorder, register)
        } else {
            register()
        }
    }
}

impl RuntimeBuilder {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            options: Options {
                clock: Arc::new(SystemClock),
                commands_in_flight_max: 16_384,
                commands_in_flight_per_aggregate_max: 8_192,
                snapshots: SnapshotPolicies::default(),
                when_full: WhenFull::Wait,
                lifecycle: Lifecycle::default(),
                alerts: Alerts::default(),
                cursors: Cursors::default(),
                timed_commands: TimedCommands::default(),
                is_scratch: false,
            },
        }
    }

    /// Where time and fresh command ids come from; the machine's clock if nothing is said.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.options.clock = Arc::new(clock);
        self
    }

    /// The most commands and queries in flight (accepted, not answered) in the whole runtime; 16,384 if nothing is said.
    pub fn commands_in_flight_max(mut self, commands: usize) -> Self {
        self.options.commands_in_flight_max = commands;
        self
    }

    /// The most commands and queries in flight at one aggregate; 8,192 if nothing is said.
    pub fn commands_in_flight_per_aggregate_max(mut self, commands: usize) -> Self {
        self.options.commands_in_flight_per_aggregate_max = commands;
        self
    }

    /// What callers get when a limit is reached, unless they choose for themselves
    /// ([`CommandOptions::when_full`](crate::CommandOptions::when_full)); they wait if nothing is said.
    pub fn when_full(mut self, when_full: WhenFull) -> Self {
        self.options.when_full = when_full;
        self
    }

    /// Whom to tell when a projection fails: it parks, sets an event aside, or is seen to stall. Called once for each
    /// incident, however often the event was tried before, on a thread that may wait; a panic in it is logged and harms
    /// nothing. Said twice, the later counts.
    ///
    /// Stalls are seen on a tokio runtime of several threads only: with one, whoever looks hangs, too.
    pub fn on_projection_failed(
        mut self,
        tell: impl Fn(&ProjectionIncident) + Send + Sync + 'static,
    ) -> Self {
        self.options.alerts = Alerts::to(tell);
        self
    }

    /// What the cursors of event queries are signed with. If nothing is said, a key is made up at the start: its cursors
    /// serve this runtime alone, and no longer than it lives.
    pub fn cursor_keys(mut self, keys: CursorKeys) -> Self {
        self.options.cursors.given = Some(keys);
        self
    }

    /// How long the cursors of event queries are good for; an hour if nothing is said.
    pub fn cursors_expire_after(mut self, after: Duration) -> Self {
        self.options.cursors.expire_after = after;
        self
    }

    /// Lets timers send this command ([`Decision::schedule`](crate::Decision::schedule)). Name all that were ever
    /// scheduled and may be pending: a timer whose command is not known stays pending, is listed with its error
    /// ([`Runtime::timers`](crate::Runtime::timers)), logged and counted, and is tried again.
    pub fn timed_command<C: TimedCommand>(mut self) -> Self {
        self.options.timed_commands.add::<C>();
        self
    }

    /// Starts the runtime on the current tokio runtime.
    ///
    /// # Errors
    /// [`StartError`]: an option does not fit.
    pub async fn start(self) -> Result<Runtime, StartError> {
        let options = &self.options;
        for (option, value) in [
            ("commands_in_flight_max", options.commands_in_flight_max),
            (
                "commands_in_flight_per_aggregate_max",
                options.commands_in_flight_per_aggregate_max,
            ),
        ] {
            let limit = COMMANDS_IN_FLIGHT_LIMIT;
            if value == 0 || value > limit {
                return Err(StartError::Option {
                    option,
                    value: value as u64,
                    limit: limit as u64,
                });
            }
        }
        options.snapshots.check()?;
        options.lifecycle.check()?;
        Runtime::start(self.store, self.options).await
    }
}

impl std::fmt::Debug for RuntimeBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RuntimeBuilder").finish_non_exhaustive()
    }
}
