use std::num::NonZeroU16;

use uuid::Uuid;

use crate::clock::Timestamp;
use crate::error::ReadError;
use crate::event::Payload;
use crate::event_store::BoxFuture;
use crate::position::Version;
use crate::stream_id::StreamId;

/// The state of one aggregate at one version, kept so that hydrating it need not start from the first event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The aggregate's stream.
    pub stream: StreamId,
    /// The version whose state this is.
    pub version: Version,
    /// The id of the event at that version: a snapshot of another history (a restored copy that went on differently)
    /// is recognised by it and not used.
    pub event_id: Uuid,
    /// When it was taken, on the clock of whoever took it, after its event had become durable.
    pub taken_at: Timestamp,
    /// The version of the state's own shape; a snapshot of another version is not used.
    pub state_schema: u32,
    /// The encoded state.
    pub payload: Payload,
}

/// What a store tells of a snapshot without reading its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotInfo {
    /// The version whose state it is.
    pub version: Version,
    /// When it was taken.
    pub taken_at: Timestamp,
    /// The version of the state's own shape.
    pub state_schema: u32,
    /// What the encoded state takes, in bytes.
    pub bytes: u64,
}

/// Which of a stream's snapshots are meant: those within all four bounds, each inclusive.
///
/// ```
/// use foldhouse_store::{SnapshotCriteria, Timestamp, Version};
///
/// let noon = Timestamp::from_unix_micros(1_767_268_800_000_000);
/// let until_noon = SnapshotCriteria { taken_to: noon, ..SnapshotCriteria::ALL };
/// assert!(until_noon.fit(Version::new(7), noon));
/// assert!(!SnapshotCriteria::up_to(Version::new(6)).fit(Version::new(7), noon));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotCriteria {
    /// The lowest version.
    pub from: Version,
    /// The highest version.
    pub to: Version,
    /// The earliest time of taking.
    pub taken_from: Timestamp,
    /// The latest time of taking.
    pub taken_to: Timestamp,
}

impl SnapshotCriteria {
    /// Every snapshot; the newest of all, where one is asked for.
    pub const ALL: Self = Self {
        from: Version::EMPTY,
        to: Version::new(u64::MAX),
        taken_from: Timestamp::from_unix_micros(i64::MIN),
        taken_to: Timestamp::from_unix_micros(i64::MAX),
    };

    /// The snapshot of this version, whenever it was taken.
    #[must_use]
    pub const fn of(version: Version) -> Self {
        Self {
            from: version,
            to: version,
            ..Self::ALL
        }
    }

    /// Those of this version and older ones, whenever they were taken.
    #[must_use]
    pub const fn up_to(version: Version) -> Self {
        Self {
            to: version,
            ..Self::ALL
        }
    }

    /// Those that were taken at this time or before, of whatever version.
    #[must_use]
    pub const fn taken_by(time: Timestamp) -> Self {
        Self {
            taken_to: time,
            ..Self::ALL
        }
    }

    /// Whether a snapshot of this version, taken at this time, is meant.
    #[must_use]
    pub fn fit(&self, version: Version, taken_at: Timestamp) -> bool {
        (self.from..=self.to).contains(&version)
            && (self.taken_from..=self.taken_to).contains(&taken_at)
    }
}

/// Keeps the newest snapshots of each stream, as many as whoever saves them asks for.
///
/// Snapshots are an economy, never a source: a store may lose any of them at any time, and gives back only what passes
/// its checksum. Deleting them all changes nothing but the time that hydrating takes.
pub trait SnapshotStore: Send + Sync + 'static {
    /// Keeps `snapshot`, in place of one of its stream with the same version (the state's shape may be another).
    /// Afterwards the stream has its `keep` snapshots of the highest versions and no others: older ones go, also
    /// `snapshot` itself if so many newer ones are there.
    ///
    /// Only events that are durable may have gone into it.
    ///
    /// # Errors
    /// It is larger than the store takes (keep less in the state, or take no snapshots of it), or the disk failed. The
    /// stream's older snapshots stay.
    fn save_snapshot(
        &self,
        snapshot: Snapshot,
        keep: NonZeroU16,
    ) -> BoxFuture<'_, Result<(), ReadError>>;

    /// The snapshot of the highest version among those that fit; `None` if there is none. A damaged one is passed over
    /// (which is logged).
    fn load_snapshot(
        &self,
        stream: &StreamId,
        criteria: SnapshotCriteria,
    ) -> BoxFuture<'_, Result<Option<Snapshot>, ReadError>>;

    /// What is kept of a stream, among those that fit, the newest first. The states are not read.
    fn snapshots(
        &self,
        stream: &StreamId,
        criteria: SnapshotCriteria,
    ) -> BoxFuture<'_, Result<Vec<SnapshotInfo>, ReadError>>;

    /// Forgets the snapshots of a stream that fit. If there are none, that is no error.
    fn delete_snapshots(
        &self,
        stream: &StreamId,
        criteria: SnapshotCriteria,
    ) -> BoxFuture<'_, Result<(), ReadError>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn criteria_bound_versions_and_times_and_both_ends_belong_to_them() {
        let version = Version::new;
        let time = Timestamp::from_unix_micros;
        let criteria = SnapshotCriteria {
            from: version(2),
            to: version(4),
            taken_from: time(20),
            taken_to: time(40),
        };
        for (number, at, fits) in [
            (1, 30, false),
            (2, 30, true),
            (4, 30, true),
            (5, 30, false),
            (3, 19, false),
            (3, 20, true),
            (3, 40, true),
            (3, 41, false),
        ] {
            assert_eq!(
                criteria.fit(version(number), time(at)),
                fits,
                "{number} {at}"
            );
        }
        for at in [i64::MIN, 0, i64::MAX] {
            assert!(SnapshotCriteria::ALL.fit(version(u64::MAX), time(at)));
            assert!(SnapshotCriteria::ALL.fit(Version::EMPTY, time(at)));
            assert!(SnapshotCriteria::of(version(3)).fit(version(3), time(at)));
        }
        assert!(!SnapshotCriteria::of(version(3)).fit(version(2), time(0)));
        assert!(!SnapshotCriteria::of(version(3)).fit(version(4), time(0)));
        assert!(!SnapshotCriteria::taken_by(time(3)).fit(version(1), time(4)));
    }
}
