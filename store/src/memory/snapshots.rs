use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroU16;

use crate::position::Version;
use crate::snapshot::{Snapshot, SnapshotCriteria, SnapshotInfo};
use crate::stream_id::StreamId;

/// The snapshots of each stream by their versions.
#[derive(Clone, Debug, Default)]
pub(crate) struct Snapshots {
    streams: HashMap<StreamId, BTreeMap<Version, Snapshot>>,
}

impl Snapshots {
    pub(crate) fn save(&mut self, snapshot: Snapshot, keep: NonZeroU16) {
        let kept = self.streams.entry(snapshot.stream.clone()).or_default();
        kept.insert(snapshot.version, snapshot);
        while kept.len() > usize::from(keep.get()) {
            kept.pop_first();
        }
    }

    pub(crate) fn load(&self, stream: &StreamId, criteria: SnapshotCriteria) -> Option<Snapshot> {
        self.newest_first(stream, criteria).next().cloned()
    }

    pub(crate) fn list(&self, stream: &StreamId, criteria: SnapshotCriteria) -> Vec<SnapshotInfo> {
        self.newest_first(stream, criteria)
            .map(|snapshot| SnapshotInfo {
                version: snapshot.version,
                taken_at: snapshot.taken_at,
                state_schema: snapshot.state_schema,
                bytes: snapshot.payload.bytes.len() as u64,
            })
            .collect()
    }

    pub(crate) fn delete(&mut self, stream: &StreamId, criteria: SnapshotCriteria) {
        if let Some(kept) = self.streams.get_mut(stream) {
            kept.retain(|version, snapshot| !criteria.fit(*version, snapshot.taken_at));
            if kept.is_empty() {
                self.streams.remove(stream);
            }
        }
    }

    fn newest_first(
        &self,
        stream: &StreamId,
        criteria: SnapshotCriteria,
    ) -> impl Iterator<Item = &Snapshot> {
        self.streams
            .get(stream)
            .into_iter()
            .flat_map(|kept| kept.values().rev())
            .filter(move |snapshot| criteria.fit(snapshot.version, snapshot.taken_at))
    }
}
