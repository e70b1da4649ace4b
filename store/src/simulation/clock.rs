use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use crate::clock::{Clock, Timestamp};
use crate::simulation::Random;

/// 2026-01-01T00:00:00Z, where every simulation begins.
const EPOCH_MICROS: i64 = 1_767_225_600_000_000;

/// A clock that tells tokio's time, which a simulation pauses, and gives ids that follow from a seed.
///
/// It outlives the tokio runtimes of a simulation: the time of the next one goes on where that of the last one ended.
#[derive(Debug)]
pub struct SimulatedClock {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    before: Duration,
    started: Option<Instant>,
    behind: Duration,
    ids: Random,
}

impl SimulatedClock {
    /// A clock that stands at the beginning.
    #[must_use]
    pub fn new(ids: Random) -> Self {
        let state = State {
            before: Duration::ZERO,
            started: None,
            behind: Duration::ZERO,
            ids,
        };
        Self {
            state: Mutex::new(state),
        }
    }

    /// Goes with the time of the current tokio runtime from here on.
    pub fn start(&self) {
        self.state().started = Some(Instant::now());
    }

    /// Stands still, until it is started in the next tokio runtime.
    pub fn stop(&self) {
        let mut state = self.state();
        state.before = state.elapsed();
        state.started = None;
    }

    /// How much time has gone by since the beginning.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.state().elapsed()
    }

    /// Tells from here on a time that is so much earlier: as when it is set back to the right time.
    pub fn step_back(&self, by: Duration) {
        self.state().behind += by;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn elapsed(&self) -> Duration {
        self.before
            + self
                .started
                .map_or(Duration::ZERO, |started| started.elapsed())
    }

    fn now(&self) -> Timestamp {
        let micros = |time: Duration| i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
        Timestamp::from_unix_micros(
            EPOCH_MICROS.saturating_add(micros(self.elapsed()) - micros(self.behind)),
        )
    }
}

impl Clock for SimulatedClock {
    fn now(&self) -> Timestamp {
        self.state().now()
    }

    fn new_id(&self) -> Uuid {
        let mut state = self.state();
        let millis = u64::try_from(state.now().unix_micros() / 1_000).unwrap_or_default();
        state.ids.id(millis)
    }
}
