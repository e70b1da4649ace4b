use std::collections::{BTreeMap, BTreeSet};

use foldhouse_store::{StreamId, Timestamp, Version};

use super::entry::{NameKey, Place};

/// One change of what is pending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A timer is pending; one of its name is replaced.
    Add {
        key: NameKey,
        due: Timestamp,
        number: Version,
        id_half: u64,
    },
    /// What is pending under a name is not any more.
    Remove { key: NameKey },
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    place: Place,
    /// When it is due; it may be tried later.
    due: Timestamp,
    id_half: u64,
}

/// All pending timers, at under 100 bytes each: by name, and in the order in which they are tried. What else is known of one
/// stands in the event that scheduled it.
#[derive(Debug, Default)]
pub(super) struct Pending {
    by_name: BTreeMap<NameKey, Slot>,
    by_time: BTreeSet<Place>,
}

impl Pending {
    pub(super) fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Takes a step. Gives the number of the timer that is not pending any more because of it.
    pub(super) fn take(&mut self, step: Step) -> Option<Version> {
        let (key, added) = match step {
            Step::Remove { key } => (key, None),
            Step::Add {
                key,
                due,
                number,
                id_half,
            } => {
                let try_at = due;
                let place = Place { try_at, number };
                (
                    key,
                    Some(Slot {
                        place,
                        due,
                        id_half,
                    }),
                )
            }
        };
        let gone = match added {
            Some(slot) => {
                self.by_time.insert(slot.place);
                self.by_name.insert(key, slot)
            }
            None => self.by_name.remove(&key),
        };
        let gone = gone?;
        if added.is_none_or(|added| added.place != gone.place) {
            self.by_time.remove(&gone.place);
        }
        Some(gone.place.number)
    }

    /// What leads here from nothing.
    pub(super) fn steps(&self) -> Vec<Step> {
        let slots = self.by_name.iter();
        slots
            .map(|(key, slot)| Step::Add {
                key: *key,
                due: slot.due,
                number: slot.place.number,
                id_half: slot.id_half,
            })
            .collect()
    }

    /// Whether something is pending under this name: a timer with this half of an id, if that is asked for.
    pub(super) fn has(&self, key: NameKey, id_half: Option<u64>) -> bool {
        let slot = self.by_name.get(&key);
        slot.is_some_and(|slot| id_half.is_none_or(|id_half| id_half == slot.id_half))
    }

    /// Whether what this step added is still pending.
    pub(super) fn shows(&self, step: Step) -> bool {
        let Step::Add { key, number, .. } = step else {
            return false;
        };
        let slot = self.by_name.get(&key);
        slot.is_some_and(|slot| slot.place.number == number)
    }

    /// Moves a timer to another time, if it is still where it was.
    pub(super) fn put_off(&mut self, key: NameKey, from: Place, try_at: Timestamp) -> bool {
        let slot = self.by_name.get_mut(&key);
        let Some(slot) = slot.filter(|slot| slot.place == from) else {
            return false;
        };
        slot.place.try_at = try_at;
        self.by_time.remove(&from);
        self.by_time.insert(slot.place);
        true
    }

    /// The first places behind `after`, up to `limit`, in the order in which they are tried.
    pub(super) fn front(&self, after: Option<Place>, limit: usize) -> Vec<Place> {
        use std::ops::Bound;
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let places = self.by_time.range((from, Bound::Unbounded));
        places.take(limit).copied().collect()
    }

    /// The places of one aggregate's timers, in the order in which they are tried, up to `limit`.
    pub(super) fn of(&self, stream: &StreamId, limit: usize) -> Vec<Place> {
        let slots = self.by_name.range(NameKey::all_of(stream));
        let mut places: Vec<_> = slots.map(|(_, slot)| slot.place).collect();
        places.sort_unstable();
        places.truncate(limit);
        places
    }
}
