use std::sync::Arc;

use foldhouse_store::{Clock, NewEvent, Timestamp, Version};

use super::policy::SnapshotPolicy;
use crate::hydrate::Hydrated;

/// How far an aggregate is from its last snapshot.
#[derive(Debug)]
pub(crate) struct Cadence {
    policy: Arc<SnapshotPolicy>,
    /// The version of the last one.
    version: Version,
    /// What the events behind it take; counted only where the policy asks for it.
    bytes: u64,
    /// When it was taken, or when the first event behind none was recorded.
    since: Option<Timestamp>,
}

impl Cadence {
    pub(crate) fn new<A>(policy: &Arc<SnapshotPolicy>, hydrated: &Hydrated<A>) -> Self {
        Self {
            policy: Arc::clone(policy),
            version: hydrated.snapshot_version,
            bytes: hydrated.bytes_behind_snapshot,
            since: hydrated.since,
        }
    }

    /// Whether a snapshot is due after these events, which bring the aggregate to `version`.
    pub(crate) fn is_due(
        &mut self,
        version: Version,
        events: &[NewEvent],
        clock: &dyn Clock,
    ) -> bool {
        let policy = &*self.policy;
        if self.events_behind(version) >= policy.every_events {
            return true;
        }
        if policy.every_bytes < u64::MAX {
            let bytes = events.iter().map(|event| event.payload.bytes.len() as u64);
            self.bytes = self.bytes.saturating_add(bytes.sum());
            if self.bytes >= policy.every_bytes {
                return true;
            }
        }
        let Some(every) = policy.every else {
            return false;
        };
        let now = clock.now();
        let since = *self.since.get_or_insert(now);
        let passed = now.unix_micros().saturating_sub(since.unix_micros());
        u128::try_from(passed).is_ok_and(|passed| passed >= every.as_micros())
    }

    /// Whether one is due because the aggregate leaves memory.
    pub(crate) fn is_due_on_passivation(&self, version: Version) -> bool {
        self.events_behind(version) >= self.policy.on_passivation_after_events
    }

    /// One was taken of this version.
    pub(crate) fn taken(&mut self, version: Version, clock: &dyn Clock) {
        self.version = version;
        self.bytes = 0;
        if self.policy.every.is_some() {
            self.since = Some(clock.now());
        }
    }

    fn events_behind(&self, version: Version) -> u64 {
        version.get().saturating_sub(self.version.get())
    }
}
