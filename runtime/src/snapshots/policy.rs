use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::retention::Retention;
use crate::runtime::StartError;

/// When snapshots of aggregates are taken, and which of them stay. For the whole runtime
/// ([`RuntimeBuilder::snapshots`](crate::RuntimeBuilder::snapshots)) or for one aggregate type
/// ([`RuntimeBuilder::snapshots_of`](crate::RuntimeBuilder::snapshots_of)).
///
/// A snapshot is taken with the first event after which *any* of the bounds is reached: so many events, so many bytes of
/// them, or so much time since the last one. It costs a clone of the state on the aggregate's own turn; encoding and
/// saving it happen beside, and no command waits for that. However busy an aggregate is, no more than 16 a second are taken
/// of it for the number or the bytes of its events: then the next one comes later. Snapshots never change a result: without them, or if any is
/// lost, hydrating takes longer.
///
/// Hydrating needs the newest one only. Older ones let questions about the past begin nearer to their answer.
///
/// ```
/// use std::time::Duration;
/// use foldhouse::SnapshotPolicy;
///
/// let day = Duration::from_secs(24 * 60 * 60);
/// // Every 500 events or 256 KiB of them; the last four, and one of each of the last 90 days that had any.
/// let policy = SnapshotPolicy::new()
///     .every_events(500)
///     .every_bytes(256 * 1024)
///     .keep_newest(4)
///     .keep_one_per(day, 90);
/// # let _ = policy;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct SnapshotPolicy {
    pub(super) every_events: u64,
    /// `u64::MAX` for never.
    pub(super) every_bytes: u64,
    pub(super) every: Option<Duration>,
    pub(super) on_passivation_after_events: u64,
    pub(crate) retention: Retention,
}

impl SnapshotPolicy {
    /// Every 1,000 events; when an aggregate leaves memory that is 100 events or more behind its last one; the newest is
    /// kept.
    pub const fn new() -> Self {
        Self {
            every_events: 1_000,
            every_bytes: u64::MAX,
            every: None,
            on_passivation_after_events: 100,
            retention: Retention {
                newest: 1,
                spaced: None,
                times: false,
            },
        }
    }

    /// None, unless one is asked for ([`AggregateRef::take_snapshot`](crate::AggregateRef::take_snapshot)).
    pub const fn never() -> Self {
        Self {
            every_events: u64::MAX,
            on_passivation_after_events: u64::MAX,
            ..Self::new()
        }
    }

    /// After so many events since the last one; `u64::MAX` for never by their number.
    pub const fn every_events(mut self, events: u64) -> Self {
        self.every_events = events;
        self
    }

    /// After so many bytes of events (their payloads, as they are recorded) since the last one: where events differ much
    /// in size, this is what hydrating has to read.
    pub const fn every_bytes(mut self, bytes: u64) -> Self {
        self.every_bytes = bytes;
        self
    }

    /// With the first event so long after the last one was taken, or after the first event where there is none. An
    /// aggregate to which nothing happens gets none.
    pub const fn every(mut self, time: Duration) -> Self {
        self.every = Some(time);
        self
    }

    /// When the aggregate leaves memory, if it is so many events or more behind its last one, all its events are durable
    /// and fewer than 16 others are just being saved; `u64::MAX` for never.
    pub const fn on_passivation_after_events(mut self, events: u64) -> Self {
        self.on_passivation_after_events = events;
        self
    }

    /// Keeps so many of the highest versions of each aggregate, 1 at least.
    pub const fn keep_newest(mut self, snapshots: u16) -> Self {
        self.retention.newest = snapshots;
        self
    }

    /// Keeps also the newest one of each period (of each day, say, by UTC), for the last so many periods that have any.
    /// It is looked after when a snapshot is saved, and costs a look at the list then.
    pub const fn keep_one_per(mut self, period: Duration, periods: u16) -> Self {
        self.retention.spaced = Some((period, periods));
        self
    }

    /// Keeps also when each event was recorded and counts, so that even the first question by effective time
    /// ([`AsOf::Effective`](crate::AsOf::Effective)) need not read all events: 24 bytes of each, written beside with the
    /// snapshots, which takes one more reading of the events since the last one. For aggregates whose past is asked about
    /// by effective time.
    pub const fn keep_times(mut self) -> Self {
        self.retention.times = true;
        self
    }

    pub(crate) fn check(&self) -> Result<(), StartError> {
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let (period, periods) = self.retention.spaced.map_or((1, 1), |(period, periods)| {
            (micros(period), u64::from(periods))
        });
        for (option, value) in [
            ("snapshot_every_events", self.every_events),
            ("SnapshotPolicy::every_bytes", self.every_bytes),
            ("SnapshotPolicy::every (us)", self.every.map_or(1, micros)),
            (
                "snapshot_on_passivation_after_events",
                self.on_passivation_after_events,
            ),
            (
                "SnapshotPolicy::keep_newest",
                u64::from(self.retention.newest),
            ),
            ("SnapshotPolicy::keep_one_per, period (us)", period),
            ("SnapshotPolicy::keep_one_per, periods", periods),
        ] {
            if value == 0 {
                return Err(StartError::Option {
                    option,
                    value,
                    limit: u64::MAX,
                });
            }
        }
        Ok(())
    }
}

impl Default for SnapshotPolicy {
    fn default() -> Self {
        Self::new()
    }
}

/// The policies of a runtime.
#[derive(Clone, Debug, Default)]
pub(crate) struct SnapshotPolicies {
    pub(crate) of_all: Arc<SnapshotPolicy>,
    pub(crate) by_type: BTreeMap<&'static str, Arc<SnapshotPolicy>>,
}

impl SnapshotPolicies {
    pub(crate) fn of(&self, aggregate_type: &str) -> &Arc<SnapshotPolicy> {
        self.by_type.get(aggregate_type).unwrap_or(&self.of_all)
    }

    pub(crate) fn check(&self) -> Result<(), StartError> {
        let mut all = std::iter::once(&self.of_all).chain(self.by_type.values());
        all.try_for_each(|policy| policy.check())
    }
}
