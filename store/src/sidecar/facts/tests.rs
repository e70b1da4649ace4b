use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use uuid::Uuid;

use super::super::tests::{Segment, open, stream, version};
use super::*;
use crate::look_up::facts::EventFacts;
use crate::look_up::{EventKind, LookUpBy};
use crate::position::Position;

const EVENT_BYTES: u32 = 137;

/// What is known of one event.
#[derive(Clone, Debug)]
struct Event {
    tenant: String,
    aggregate_type: String,
    event_type: String,
    correlation: Option<u128>,
}

fn event(tenant: &str, aggregate_type: &str, event_type: &str, correlation: Option<u128>) -> Event {
    Event {
        tenant: tenant.to_owned(),
        aggregate_type: aggregate_type.to_owned(),
        event_type: event_type.to_owned(),
        correlation,
    }
}

fn place(number: usize) -> EventPlace {
    let number = u32::try_from(number).unwrap();
    EventPlace {
        position_in_segment: number,
        offset: 64 + number * EVENT_BYTES,
    }
}

/// An indexed segment with these events, and its facts.
fn indexed(sidecar: &Sidecar, number: u64, events: &[Event]) -> (SegmentMark, SegmentFacts) {
    let first_position = 1 + number * 1_000_000;
    let streams = [(stream("1"), version(first_position), events.len())];
    let segment = Segment::with_events_of(EVENT_BYTES, number, first_position, &streams);
    segment.index(sidecar).unwrap();
    let mut facts = SegmentFacts::new(Position::new(first_position));
    for (number, event) in events.iter().enumerate() {
        let event = EventFacts {
            tenant: &event.tenant,
            aggregate_type: &event.aggregate_type,
            event_type: &event.event_type,
            correlation_id: event.correlation.map(Uuid::from_u128),
        };
        facts.take_event(&event, place(number));
    }
    (segment.mark, facts)
}

fn by_kind(tenant: Option<&str>, aggregate_type: Option<&str>, event_types: &[&str]) -> LookUpBy {
    LookUpBy::Kind(EventKind {
        tenant: tenant.map(Arc::from),
        aggregate_type: aggregate_type.map(Arc::from),
        event_types: event_types.iter().copied().map(Arc::from).collect(),
    })
}

fn matches(event: &Event, by: &LookUpBy) -> bool {
    match by {
        LookUpBy::Kind(kind) => {
            kind.matches(&event.tenant, &event.aggregate_type, &event.event_type)
        }
        LookUpBy::Correlation(id) => event.correlation.map(Uuid::from_u128) == Some(*id),
        _ => true,
    }
}

/// The places that a look-up gives are those of the events that match; true if it gives places at all.
fn assert_true(sidecar: &Sidecar, number: u64, events: &[Event], by: &LookUpBy) -> bool {
    let Candidates::Places(places) = sidecar.candidates(number, by).unwrap() else {
        return false;
    };
    let expected: Vec<EventPlace> = (0..events.len())
        .filter(|at| matches(&events[*at], by))
        .map(place)
        .collect();
    assert_eq!(places, expected, "{by:?}");
    true
}

/// Events of many kinds, and one kind that more than an eighth of them have.
fn variety(count: usize) -> Vec<Event> {
    (0..count)
        .map(|number| match number % 4 {
            0 => event("acme", "account", "Common", Some(number as u128 / 8)),
            _ => event(
                &format!("tenant-{}", number % 53),
                ["account", "item"][number % 2],
                &format!("Kind{}", number % 17),
                (number % 3 != 0).then_some(number as u128 * 7),
            ),
        })
        .collect()
}

#[test]
fn events_are_found_by_kind_and_by_correlation_as_they_were_put_and_after_opening_again() {
    let directory = tempfile::tempdir().unwrap();
    let events = variety(40_000);
    let sidecar = open(directory.path());
    let (mark, facts) = indexed(&sidecar, 3, &events);
    assert_eq!(sidecar.segments_without_facts().unwrap(), [3]);
    sidecar.put_facts(&mark, &facts).unwrap();
    sidecar.close().unwrap();
    let sidecar = open(directory.path());
    assert!(sidecar.segments_without_facts().unwrap().is_empty());
    for number in (0..40_000).step_by(411) {
        if let Some(id) = events[number].correlation {
            let by = LookUpBy::Correlation(Uuid::from_u128(id));
            assert!(assert_true(&sidecar, 3, &events, &by));
        }
        let Event {
            tenant,
            aggregate_type,
            event_type,
            ..
        } = &events[number];
        let is_common = event_type == "Common";
        for by in [
            by_kind(Some(tenant), Some(aggregate_type), &[event_type]),
            by_kind(Some(tenant), None, &[event_type, "Unknown"]),
            by_kind(None, None, &[event_type]),
        ] {
            let has_places = assert_true(&sidecar, 3, &events, &by);
            assert_eq!(has_places, !is_common, "{by:?}");
        }
    }
    for by in [
        by_kind(Some("tenant-7"), None, &[]),
        by_kind(Some("tenant-7"), Some("item"), &[]),
        by_kind(Some("tenant"), None, &[]),
        by_kind(Some("tenant-999"), None, &[]),
        by_kind(Some("aaa"), None, &[]),
        by_kind(None, Some("nothing"), &[]),
        by_kind(None, None, &["Unknown"]),
        LookUpBy::Correlation(Uuid::from_u128(u128::MAX)),
    ] {
        assert!(assert_true(&sidecar, 3, &events, &by), "{by:?}");
    }
    let everything = [by_kind(None, None, &[]), by_kind(None, Some("item"), &[])];
    for by in everything {
        assert_eq!(
            sidecar.candidates(3, &by).unwrap(),
            Candidates::Anywhere,
            "there are too many for a list"
        );
    }
}

/// All values of the table, by key.
fn values(sidecar: &Sidecar) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut entries = sidecar
        .engine
        .range(Table::Facts, &[], &[u8::MAX; 14])
        .unwrap();
    let mut values = BTreeMap::new();
    while let Some((key, value)) = entries.forward().unwrap() {
        values.insert(key.to_vec(), value.to_vec());
    }
    values
}

#[test]
fn a_piece_that_is_missing_altered_or_anothers_never_leaves_an_event_out() {
    let directory = tempfile::tempdir().unwrap();
    let events = variety(9_000);
    let sidecar = open(directory.path());
    let (mark, facts) = indexed(&sidecar, 3, &events);
    sidecar.put_facts(&mark, &facts).unwrap();
    let (other, other_facts) = indexed(&sidecar, 4, &events[..8_000]);
    sidecar.put_facts(&other, &other_facts).unwrap();
    let whole = values(&sidecar);
    let own: Vec<&Vec<u8>> = whole.keys().filter(|key| key[7] == 3).collect();
    assert!(own.len() > 20, "{}", own.len());
    let look_ups: Vec<LookUpBy> = (1..9_000)
        .step_by(700)
        .map(|number| match &events[number] {
            Event {
                correlation: Some(id),
                ..
            } => LookUpBy::Correlation(Uuid::from_u128(*id)),
            event => by_kind(Some(&event.tenant), None, &[&event.event_type]),
        })
        .collect();
    let mut noticed = 0;
    for key in &own {
        for harm in 0..3 {
            let value = &whole[*key];
            let put = |value: &[u8]| sidecar.engine.put(Table::Facts, key, value).unwrap();
            match harm {
                0 => sidecar.engine.remove(Table::Facts, key).unwrap(),
                1 => put(&value[..value.len() / 2]),
                // Its own checksum holds: it is a piece of another segment.
                _ => {
                    let mut others = (*key).clone();
                    others[7] = 4;
                    let Some(other) = whole.get(&others) else {
                        continue;
                    };
                    let mut other = other[..other.len() - 4].to_vec();
                    seal(key, &mut other);
                    put(&other);
                }
            }
            for by in &look_ups {
                noticed += usize::from(!assert_true(&sidecar, 3, &events, by));
            }
            let is_to_be_made_anew = !sidecar.segments_without_facts().unwrap().is_empty();
            put(value);
            if is_to_be_made_anew {
                sidecar.put_facts(&mark, &facts).unwrap();
            }
        }
    }
    assert!(noticed > 20, "{noticed}");
    assert!(!sidecar.is_condemned(), "the rest of the index is whole");
}

#[test]
fn facts_of_another_history_do_not_count_and_go_when_it_is_forgotten() {
    let directory = tempfile::tempdir().unwrap();
    let events = variety(2_000);
    let sidecar = open(directory.path());
    let (mark, facts) = indexed(&sidecar, 0, &events);
    sidecar.put_facts(&mark, &facts).unwrap();
    let (second, second_facts) = indexed(&sidecar, 1, &events);
    sidecar.put_facts(&second, &second_facts).unwrap();
    let by = by_kind(Some("tenant-7"), None, &[]);
    assert!(assert_true(&sidecar, 1, &events, &by));
    sidecar.forget_segments_from(1).unwrap();
    assert!(values(&sidecar).keys().all(|key| key[7] == 0));
    assert_eq!(sidecar.candidates(1, &by).unwrap(), Candidates::Anywhere);
    assert!(assert_true(&sidecar, 0, &events, &by));
    // The number is given anew, and what an earlier one had left does not count for it.
    let (mut third, mut third_facts) = indexed(&sidecar, 1, &events[..1_500]);
    third.last_frame_hash = [1; 32];
    third_facts.first_position = mark.first_position;
    assert!(sidecar.put_facts(&third, &third_facts).is_err());
    assert_eq!(sidecar.segments_without_facts().unwrap(), [1]);
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof!["[ab]{1,3}", "[a-c]{60}"]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn whatever_the_events_are_just_those_that_match_are_found(
        events in prop::collection::vec(
            (name(), name(), "[ab\0]{1,3}", prop::option::of(0_u128..40)),
            1..300,
        ),
    ) {
        let directory = tempfile::tempdir().unwrap();
        let sidecar = open(directory.path());
        let events: Vec<Event> = events
            .iter()
            .map(|(tenant, aggregate_type, event_type, id)| {
                event(tenant, aggregate_type, event_type, *id)
            })
            .collect();
        let (mark, facts) = indexed(&sidecar, 0, &events);
        sidecar.put_facts(&mark, &facts).unwrap();
        for id in 0..41 {
            let by = LookUpBy::Correlation(Uuid::from_u128(id));
            prop_assert!(assert_true(&sidecar, 0, &events, &by));
        }
        for Event { tenant, aggregate_type, event_type, .. } in &events {
            for by in [
                by_kind(Some(tenant), Some(aggregate_type), &[event_type]),
                by_kind(Some(tenant), Some(aggregate_type), &[]),
                by_kind(Some(tenant), None, &[]),
                by_kind(None, Some(aggregate_type), &[event_type, "a"]),
            ] {
                assert_true(&sidecar, 0, &events, &by);
            }
        }
    }
}
