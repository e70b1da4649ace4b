//! Signs of life, left where others can see them while the projection itself is busy, or hangs.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use foldhouse_store::{Position, Timestamp};
use tokio::time::Instant;

/// The clock is looked at no more rarely than every so many events,
const EVENTS_PER_LOOK_MAX: u32 = 256;
/// and for every event while one takes so long.
const SLOW: Duration = Duration::from_millis(1);

const UNKNOWN: i64 = i64::MIN;

/// What a projection leaves behind while it works.
#[derive(Debug)]
pub(super) struct Beat {
    started: Instant,
    /// When it last got anywhere, or had nothing to do; in microseconds since it was started.
    moved_at_micros: AtomicU64,
    /// When the first event was recorded that is not shown, in microseconds.
    next_recorded_at: AtomicI64,
    /// Whether it waits for events, and whether it is within an `apply`.
    waits: AtomicBool,
    applies: AtomicBool,
    /// Since when an event is seen from outside that it has not woken for.
    unnoticed: Mutex<Option<(Position, Instant)>>,
}

impl Beat {
    pub(super) fn new() -> Self {
        Self {
            started: Instant::now(),
            moved_at_micros: AtomicU64::new(0),
            next_recorded_at: AtomicI64::new(UNKNOWN),
            waits: AtomicBool::new(false),
            applies: AtomicBool::new(false),
            unnoticed: Mutex::default(),
        }
    }

    /// It has nothing to do, and waits for events.
    pub(super) fn waits(&self) {
        self.waits.store(true, Ordering::Relaxed);
    }

    /// It waits no more.
    pub(super) fn wakes(&self) {
        self.moved();
        self.waits.store(false, Ordering::Relaxed);
    }

    pub(super) fn is_applying(&self) -> bool {
        self.applies.load(Ordering::Relaxed)
    }

    /// It got somewhere, or begins to.
    pub(super) fn moved(&self) {
        self.moved_at(Instant::now());
    }

    fn moved_at(&self, now: Instant) {
        let micros = now.saturating_duration_since(self.started).as_micros();
        let micros = u64::try_from(micros).unwrap_or(u64::MAX);
        self.moved_at_micros.store(micros, Ordering::Relaxed);
    }

    /// The first event that is not shown was recorded then.
    pub(super) fn next_is(&self, recorded_at: Option<Timestamp>) {
        let micros = recorded_at.map_or(UNKNOWN, Timestamp::unix_micros);
        self.next_recorded_at.store(micros, Ordering::Relaxed);
    }

    pub(super) fn next_recorded_at(&self) -> Option<Timestamp> {
        let micros = self.next_recorded_at.load(Ordering::Relaxed);
        (micros != UNKNOWN).then(|| Timestamp::from_unix_micros(micros))
    }

    /// For how long it has not moved from `position`. If it waits for events there, the time is counted from the moment
    /// at which somebody first saw that it does not wake for what is there.
    pub(super) fn still_for(&self, position: Position) -> Duration {
        let waits_at = self.waits.load(Ordering::Relaxed).then_some(position);
        let now = Instant::now();
        let micros = self.moved_at_micros.load(Ordering::Relaxed);
        let moved_at = self.started + Duration::from_micros(micros);
        let mut unnoticed = self
            .unnoticed
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let since = match (waits_at, *unnoticed) {
            (None, _) => {
                *unnoticed = None;
                moved_at
            }
            (Some(at), Some((seen_at, since))) if at == seen_at => since,
            (Some(at), _) => {
                *unnoticed = Some((at, now));
                now
            }
        };
        now.saturating_duration_since(since)
    }
}

/// Counts events while they are applied, and looks at the clock as often as their pace demands.
pub(super) struct Pace<'a> {
    beat: &'a Beat,
    events_per_look: u32,
    events: u32,
    looked_at: Instant,
}

impl<'a> Pace<'a> {
    pub(super) fn new(beat: &'a Beat) -> Self {
        let looked_at = Instant::now();
        beat.moved_at(looked_at);
        beat.applies.store(true, Ordering::Relaxed);
        Self {
            beat,
            events_per_look: 1,
            events: 0,
            looked_at,
        }
    }

    /// One more event was applied.
    #[inline]
    pub(super) fn event(&mut self) {
        self.events += 1;
        if self.events >= self.events_per_look {
            self.look();
        }
    }

    #[cold]
    fn look(&mut self) {
        let now = Instant::now();
        let took = now.saturating_duration_since(self.looked_at);
        self.beat.moved_at(now);
        self.looked_at = now;
        self.events = 0;
        self.events_per_look = match took < SLOW {
            true => (self.events_per_look * 4).min(EVENTS_PER_LOOK_MAX),
            false => 1,
        };
    }
}

impl Drop for Pace<'_> {
    fn drop(&mut self) {
        self.beat.moved();
        self.beat.applies.store(false, Ordering::Relaxed);
    }
}
