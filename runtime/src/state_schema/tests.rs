use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

use super::*;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Event {
    Added(u64),
}

/// An aggregate in builds that differ in its state, in what `apply` makes of an event, and in its samples.
macro_rules! build {
    ($name:ident, $state:ty, $apply:expr, $samples:expr) => {
        #[derive(Clone, Default, Serialize, Deserialize)]
        struct $name {
            state: $state,
        }

        impl Aggregate for $name {
            const TYPE: &'static str = "sum";
            type Event = Event;

            fn apply(&mut self, event: &Event) {
                let apply: fn(&mut $state, &Event) = $apply;
                apply(&mut self.state, event);
            }

            fn samples() -> Vec<Event> {
                $samples
            }
        }
    };
}

fn some() -> Vec<Event> {
    (1..20).map(Event::Added).collect()
}

build!(First, u64, |sum, Event::Added(by)| *sum += by, some());
build!(
    Same,
    u64,
    |sum, Event::Added(by)| *sum = sum.wrapping_add(*by),
    some()
);
build!(
    OtherRule,
    u64,
    |sum, Event::Added(by)| *sum += by * 2,
    some()
);
build!(
    OtherShape,
    (u64, u64),
    |sum, Event::Added(by)| sum.0 += by,
    some()
);
build!(
    Unsampled,
    u64,
    |sum, Event::Added(by)| *sum += by,
    Vec::new()
);
build!(Panics, u64, |_, _| panic!("told to"), some());
build!(PanicsInSamples, u64, |_, _| {}, panic!("told to"));
build!(
    InHashMap,
    HashMap<u64, u64>,
    |counts, Event::Added(by)| *counts.entry(*by).or_default() += 1,
    some()
);
build!(
    InHashSet,
    HashSet<u64>,
    |seen, Event::Added(by)| {
        seen.insert(*by);
    },
    some()
);

#[test]
fn a_fingerprint_follows_what_apply_makes_of_the_samples_and_nothing_else() {
    let first = state_schema::<First>();
    assert!(first & IS_FINGERPRINT != 0);
    assert_eq!(state_schema::<First>(), first);
    assert_eq!(state_schema::<Same>(), first);
    assert_ne!(state_schema::<OtherRule>(), first);
    assert_ne!(state_schema::<OtherShape>(), first);
}

#[test]
fn without_samples_snapshots_carry_the_state_schema_alone() {
    assert_eq!(state_schema::<Unsampled>(), 1);
}

#[test]
fn a_fingerprint_that_cannot_be_told_leaves_the_state_schema_and_panics_nowhere() {
    assert_eq!(state_schema::<Panics>(), 1);
    assert_eq!(state_schema::<PanicsInSamples>(), 1);
    // The same elements in another order each time: no snapshot would ever be used again.
    assert_eq!(state_schema::<InHashSet>(), 1);
}

#[test]
fn a_state_with_a_hash_map_has_one_fingerprint() {
    let fingerprint = super::fingerprint::<InHashMap>;
    let first = fingerprint().unwrap();
    assert!(first.is_some());
    for _ in 0..50 {
        assert_eq!(fingerprint().unwrap(), first);
    }
}
