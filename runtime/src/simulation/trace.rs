use std::collections::VecDeque;
use std::fmt::{self, Arguments, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foldhouse_store::simulation::SimulatedClock;

/// How many of the last steps are kept to be shown.
const STEPS_KEPT: usize = 60;

/// What identifies a run: the BLAKE3 hash of all its steps, with their times.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TraceHash([u8; 32]);

impl TraceHash {
    pub(super) fn of_all(hasher: &blake3::Hasher) -> Self {
        Self(*hasher.finalize().as_bytes())
    }

    pub(super) fn add_to(self, hasher: &mut blake3::Hasher) {
        hasher.update(&self.0);
    }
}

impl fmt::Display for TraceHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for TraceHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The steps of one run.
#[derive(Debug)]
pub(super) struct Trace {
    clock: Arc<SimulatedClock>,
    steps: Mutex<Steps>,
}

#[derive(Debug, Default)]
struct Steps {
    hasher: blake3::Hasher,
    count: u64,
    last: VecDeque<String>,
}

impl Trace {
    pub(super) fn new(clock: Arc<SimulatedClock>) -> Self {
        Self {
            clock,
            steps: Mutex::default(),
        }
    }

    /// Notes a step; gives back its number, from 1.
    pub(super) fn note(&self, what: Arguments<'_>) -> u64 {
        let at_ms = self.clock.elapsed().as_millis();
        let mut steps = self.steps();
        let mut line = match steps.last.len() {
            STEPS_KEPT => steps.last.pop_front().unwrap_or_default(),
            _ => String::new(),
        };
        line.clear();
        // Writing to a string does not fail.
        let _ = write!(line, "{at_ms:>6} ms {what}");
        steps.hasher.update(line.as_bytes());
        steps.hasher.update(b"\n");
        steps.last.push_back(line);
        steps.count += 1;
        steps.count
    }

    pub(super) fn count(&self) -> u64 {
        self.steps().count
    }

    pub(super) fn hash(&self) -> TraceHash {
        TraceHash::of_all(&self.steps().hasher)
    }

    pub(super) fn last(&self) -> Vec<String> {
        self.steps().last.iter().cloned().collect()
    }

    fn steps(&self) -> MutexGuard<'_, Steps> {
        self.steps.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
