//! Which segments may hold a command.

use std::collections::BTreeMap;

use uuid::Uuid;
use xorf::{BinaryFuse8, Filter as _};

/// Tells of almost every id that a segment does not hold that it does not, and of none that it does.
pub(super) struct Filter {
    count: usize,
    /// `None` where none could be made: then every id may be there.
    keys: Option<BinaryFuse8>,
}

impl Filter {
    pub(super) fn new(ids: &[Uuid]) -> Self {
        let mut keys: Vec<u64> = ids.iter().copied().map(key_of).collect();
        // The filter cannot be made with a key twice.
        keys.sort_unstable();
        keys.dedup();
        Self {
            count: ids.len(),
            keys: BinaryFuse8::try_from(&keys).ok(),
        }
    }

    fn may_hold(&self, key: u64) -> bool {
        self.count > 0 && self.keys.as_ref().is_none_or(|keys| keys.contains(&key))
    }
}

fn key_of(id: Uuid) -> u64 {
    let (high, low) = id.as_u64_pair();
    // Ids that differ in either half only must not get the same key.
    high.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ low
}

/// The filters of the newest segments.
#[derive(Default)]
pub(in crate::sidecar) struct RememberedCommands {
    count_min: usize,
    segments: BTreeMap<u64, Filter>,
}

impl RememberedCommands {
    pub(super) fn new(count_min: usize) -> Self {
        Self {
            count_min,
            segments: BTreeMap::new(),
        }
    }

    pub(super) fn insert(&mut self, segment: u64, filter: Filter) {
        if filter.count > 0 {
            self.segments.insert(segment, filter);
        }
    }

    /// Whether as many are remembered as were asked for.
    pub(super) fn is_enough(&self) -> bool {
        let counts = self.segments.values().map(|filter| filter.count);
        counts.fold(0, usize::saturating_add) >= self.count_min
    }

    /// Forgets the oldest segments as far as there are enough commands without them.
    pub(super) fn forget_oldest(&mut self) {
        let mut count = 0_usize;
        let mut oldest = None;
        for (segment, filter) in self.segments.iter().rev() {
            if count >= self.count_min {
                break;
            }
            count = count.saturating_add(filter.count);
            oldest = Some(*segment);
        }
        self.segments = match oldest {
            Some(oldest) => self.segments.split_off(&oldest),
            None => BTreeMap::new(),
        };
    }

    pub(super) fn forget_from(&mut self, segment: u64) {
        self.segments.split_off(&segment);
    }

    /// The segments that may hold a command, the newest first.
    pub(super) fn may_hold(&self, id: Uuid) -> impl Iterator<Item = u64> {
        let key = key_of(id);
        let newest_first = self.segments.iter().rev();
        newest_first
            .filter(move |(_, filter)| filter.may_hold(key))
            .map(|(segment, _)| *segment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(numbers: std::ops::Range<u128>) -> Vec<Uuid> {
        numbers.map(Uuid::from_u128).collect()
    }

    #[test]
    fn a_filter_knows_all_its_ids_and_few_others() {
        let filter = Filter::new(&ids(1..20_001));
        assert!(
            ids(1..20_001)
                .into_iter()
                .all(|id| filter.may_hold(key_of(id)))
        );
        let others = ids(1_000_000..1_100_000).into_iter();
        let taken = others.filter(|id| filter.may_hold(key_of(*id))).count();
        assert!(taken < 1_000, "{taken} of 100,000");
        assert!(!Filter::new(&[]).may_hold(7));
    }

    #[test]
    fn ids_with_one_key_make_no_difference() {
        let low = 0x9e37_79b9_7f4a_7c15_u128;
        let pair = [Uuid::from_u128(0), Uuid::from_u128((1 << 64) | low)];
        assert_eq!(key_of(pair[0]), key_of(pair[1]));
        let filter = Filter::new(&pair);
        assert!(pair.iter().all(|id| filter.may_hold(key_of(*id))));
    }

    #[test]
    fn whole_segments_are_forgotten_and_never_more_than_may_be() {
        let mut remembered = RememberedCommands::new(150);
        for segment in 0..5 {
            let first = u128::from(segment) * 100;
            remembered.insert(segment, Filter::new(&ids(first..first + 100)));
            remembered.forget_oldest();
        }
        let held: Vec<u64> = remembered.segments.keys().copied().collect();
        assert_eq!(held, [3, 4]);
        assert!(remembered.is_enough());
        remembered.forget_from(4);
        assert!(!remembered.is_enough());
        remembered.count_min = 0;
        remembered.forget_oldest();
        assert!(remembered.segments.is_empty());
    }
}
