use std::sync::Arc;

use super::RuntimeBuilder;
use crate::aggregate::Aggregate;
use crate::snapshots::SnapshotPolicy;

impl RuntimeBuilder {
    /// When snapshots are taken, and which of them stay; [`SnapshotPolicy::new`] if nothing is said.
    pub fn snapshots(mut self, policy: SnapshotPolicy) -> Self {
        self.options.snapshots.of_all = Arc::new(policy);
        self
    }

    /// The same for one aggregate type, in place of the runtime's policy.
    pub fn snapshots_of<A: Aggregate>(mut self, policy: SnapshotPolicy) -> Self {
        let by_type = &mut self.options.snapshots.by_type;
        by_type.insert(A::TYPE, Arc::new(policy));
        self
    }

    /// After how many events an aggregate's state is kept as a snapshot; 1,000 if nothing is said, `u64::MAX` for
    /// never. A snapshot clones the state on the aggregate's own turn; encoding and saving it happen beside. A part of
    /// the runtime's [`SnapshotPolicy`].
    pub fn snapshot_every_events(self, events: u64) -> Self {
        self.change_policy(|policy| policy.every_events(events))
    }

    /// How many events behind its latest snapshot an aggregate must be for a new one to be taken when it is passivated,
    /// so that it is soon back; 100 if nothing is said, `u64::MAX` for never. If 16 others are just being saved it goes
    /// without. A part of the runtime's [`SnapshotPolicy`].
    pub fn snapshot_on_passivation_after_events(self, events: u64) -> Self {
        self.change_policy(|policy| policy.on_passivation_after_events(events))
    }

    fn change_policy(mut self, change: impl FnOnce(SnapshotPolicy) -> SnapshotPolicy) -> Self {
        let of_all = &mut self.options.snapshots.of_all;
        *of_all = Arc::new(change((**of_all).clone()));
        self
    }
}
