use foldhouse_store::{StreamId, Timestamp, Version};

use super::as_of::Pinned;
use super::error::BackDatedEvent;
use super::marks::Mark;

/// Which events are folded, and in which order: most streams are in order all along, so that is a number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sequence {
    /// The events up to this version come first, as they were recorded.
    pub(super) in_order: Version,
    /// Those behind them, in the order in which they count.
    pub(super) reordered: Vec<Version>,
}

impl Sequence {
    /// All events up to a version, as they were recorded.
    pub(super) fn recorded(to: Version) -> Self {
        Self {
            in_order: to,
            reordered: Vec::new(),
        }
    }

    /// The events that count by a time, in the order in which they count; those that count at the same time as they were
    /// recorded.
    pub(super) fn effective(marks: &[Mark], by: Timestamp) -> Self {
        let leading = leading_in_order(marks, by);
        let behind = marks.get(leading..).unwrap_or_default();
        let counting = behind.iter().enumerate();
        let counting = counting.filter(|(_, mark)| mark.effective_at <= by);
        let mut reordered: Vec<_> = counting
            .map(|(index, mark)| (mark.effective_at, version_at(leading + index)))
            .collect();
        // Whoever counts later than one behind it is not at its place.
        let earliest = reordered
            .iter()
            .map(|(effective_at, _)| *effective_at)
            .min();
        let kept = earliest.map_or(leading, |earliest| {
            let leading = marks.get(..leading).unwrap_or_default();
            leading.partition_point(|mark| mark.effective_at <= earliest)
        });
        let displaced = marks.get(kept..leading).unwrap_or_default();
        let displaced = displaced.iter().enumerate();
        reordered
            .extend(displaced.map(|(index, mark)| (mark.effective_at, version_at(kept + index))));
        reordered.sort_unstable();
        Self {
            in_order: Version::new(kept as u64),
            reordered: reordered.into_iter().map(|(_, version)| version).collect(),
        }
    }

    /// The events that count by a time, for whom the order makes no difference: as many as possible as they were recorded.
    pub(super) fn any_order(marks: &[Mark], by: Timestamp) -> Self {
        let counts = |mark: &&Mark| mark.effective_at <= by;
        let leading = marks.iter().take_while(counts).count();
        let behind = (leading..).zip(marks.get(leading..).unwrap_or_default());
        let counting = behind.filter(|(_, mark)| counts(mark));
        Self {
            in_order: Version::new(leading as u64),
            reordered: counting.map(|(index, _)| version_at(index)).collect(),
        }
    }

    pub(super) fn len(&self) -> u64 {
        self.in_order.get() + self.reordered.len() as u64
    }

    /// The place of the first event that does not count at another moment; the end if all of them do.
    pub(super) fn first_not_in(&self, marks: &[Mark], moment: Pinned) -> u64 {
        let counts = |version: Version| {
            let index = usize::try_from(version.get()).unwrap_or(usize::MAX);
            let mark = marks.get(index.saturating_sub(1));
            mark.is_some_and(|mark| moment.counts(version, mark.effective_at))
        };
        let mut in_order = (1..=self.in_order.get()).map(Version::new);
        if let Some(version) = in_order.find(|version| !counts(*version)) {
            return version.get() - 1;
        }
        let behind = self.reordered.iter();
        let counting = behind.take_while(|version| counts(**version)).count();
        self.in_order.get() + counting as u64
    }
}

/// How many of the first events count, each no earlier than the one before it.
fn leading_in_order(marks: &[Mark], by: Timestamp) -> usize {
    let mut latest = Timestamp::from_unix_micros(i64::MIN);
    let in_order = marks.iter().take_while(|mark| {
        let follows = latest <= mark.effective_at && mark.effective_at <= by;
        latest = mark.effective_at;
        follows
    });
    in_order.count()
}

fn version_at(index: usize) -> Version {
    Version::new(index as u64).next()
}

/// The first event that counts by a time although one that was recorded before it counts later, if there is one.
pub(super) fn back_dated(
    stream: &StreamId,
    aggregate: &'static str,
    marks: &[Mark],
    by: Timestamp,
) -> Option<BackDatedEvent> {
    let mut latest: Option<(Version, Timestamp)> = None;
    for (index, mark) in marks.iter().enumerate() {
        let version = version_at(index);
        match latest {
            Some((earlier, earlier_effective_at))
                if mark.effective_at <= by && mark.effective_at < earlier_effective_at =>
            {
                return Some(BackDatedEvent {
                    stream: stream.clone(),
                    aggregate,
                    version,
                    effective_at: mark.effective_at,
                    earlier,
                    earlier_effective_at,
                });
            }
            Some((_, before)) if mark.effective_at <= before => {}
            _ => latest = Some((version, mark.effective_at)),
        }
    }
    None
}
