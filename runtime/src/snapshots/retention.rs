use std::collections::BTreeSet;
use std::num::NonZeroU16;
use std::time::Duration;

use foldhouse_store::{SnapshotInfo, Version};

/// Which snapshots of an aggregate stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Retention {
    /// So many of the highest versions.
    pub(super) newest: u16,
    /// And the newest of each period, for so many periods.
    pub(super) spaced: Option<(Duration, u16)>,
    /// Whether the times of the events are kept beside them.
    pub(super) times: bool,
}

impl Retention {
    /// How many the store is to keep by itself: no fewer than stay, and the one that is saved.
    pub(super) fn most(&self) -> NonZeroU16 {
        let spaced = self
            .spaced
            .map_or(0, |(_, periods)| periods.saturating_add(1));
        NonZeroU16::new(self.newest.saturating_add(spaced)).unwrap_or(NonZeroU16::MIN)
    }

    /// Whether the number alone does not say which ones stay.
    pub(super) fn is_spaced(&self) -> bool {
        self.spaced.is_some()
    }

    /// Those of `kept`, the highest version first, that are too many.
    pub(super) fn surplus(&self, kept: &[SnapshotInfo]) -> Vec<Version> {
        let mut periods_with_one = BTreeSet::new();
        let mut surplus = Vec::new();
        for (index, snapshot) in kept.iter().enumerate() {
            let first_of_period = self.spaced.is_some_and(|(period, periods)| {
                let period = i64::try_from(period.as_micros()).unwrap_or(i64::MAX).max(1);
                let number = snapshot.taken_at.unix_micros().div_euclid(period);
                periods_with_one.len() < usize::from(periods) && periods_with_one.insert(number)
            });
            if index >= usize::from(self.newest) && !first_of_period {
                surplus.push(snapshot.version);
            }
        }
        surplus
    }
}

#[cfg(test)]
mod tests {
    use foldhouse_store::Timestamp;

    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    /// Snapshots of versions 1 and so on, taken at these hours; the newest first.
    fn taken_at(hours: &[i64]) -> Vec<SnapshotInfo> {
        let snapshots = (1..).zip(hours).map(|(version, hour)| SnapshotInfo {
            version: Version::new(version),
            taken_at: Timestamp::from_unix_micros(hour * 3_600_000_000),
            state_schema: 1,
            bytes: 1,
        });
        let mut snapshots: Vec<_> = snapshots.collect();
        snapshots.reverse();
        snapshots
    }

    fn left(retention: &Retention, hours: &[i64]) -> Vec<u64> {
        let kept = taken_at(hours);
        let surplus = retention.surplus(&kept);
        let versions = kept.iter().map(|snapshot| snapshot.version);
        let mut left: Vec<_> = versions
            .filter(|version| !surplus.contains(version))
            .map(Version::get)
            .collect();
        left.reverse();
        left
    }

    #[test]
    fn the_newest_stay_and_one_of_each_day_behind_them() {
        let retention = Retention {
            newest: 2,
            spaced: Some((DAY, 3)),
            times: false,
        };
        // Days 0, 0, 0, 1, 3, 3, 9, 9, 9.
        let hours = [1, 2, 3, 25, 73, 74, 217, 218, 219];
        assert_eq!(left(&retention, &hours), [4, 6, 8, 9]);
        // Before 1970, too.
        assert_eq!(left(&retention, &[-25, -24, -1, 0, 1]), [1, 3, 4, 5]);
        assert_eq!(left(&retention, &[]), []);
    }

    #[test]
    fn a_save_after_the_other_leaves_what_one_look_at_all_of_them_would() {
        let retention = Retention {
            newest: 3,
            spaced: Some((DAY, 4)),
            times: false,
        };
        let hours: Vec<i64> = (0..200).map(|number| number * 7).collect();
        let all = taken_at(&hours);
        let mut kept: Vec<SnapshotInfo> = Vec::new();
        for snapshot in all.iter().rev() {
            kept.insert(0, *snapshot);
            kept.truncate(usize::from(retention.most().get()));
            let surplus = retention.surplus(&kept);
            kept.retain(|snapshot| !surplus.contains(&snapshot.version));
            assert!(kept.len() <= 7);
        }
        let surplus = retention.surplus(&all);
        let at_once: Vec<_> = all
            .into_iter()
            .filter(|snapshot| !surplus.contains(&snapshot.version))
            .collect();
        assert_eq!(kept, at_once);
    }
}
