use std::sync::Mutex;
use std::time::Duration;

use uuid::Uuid;

use super::super::{CursorKeys, EventCondition};
use super::*;

/// A clock that shows what it is set to.
#[derive(Debug, Default)]
struct SetClock(Mutex<i64>);

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_micros(*self.0.lock().unwrap())
    }

    fn new_id(&self) -> Uuid {
        let mut micros = self.0.lock().unwrap();
        *micros += 1;
        Uuid::from_u128(micros.unsigned_abs().into())
    }
}

fn key(secret: u8) -> CursorKey {
    CursorKey::from_bytes([secret; 32])
}

fn cursors(keys: CursorKeys) -> Cursors {
    Cursors {
        given: Some(keys),
        expire_after: Duration::from_secs(60),
        ..Cursors::default()
    }
}

fn query() -> EventQuery {
    EventQuery::of_tenant("acme").filter(EventCondition::user("eve"))
}

fn places() -> [Place; 2] {
    let (from, to) = (Position::new(7), Position::new(u64::MAX));
    let behind = Some((Timestamp::from_unix_micros(-5), Position::new(3)));
    [
        Place {
            from,
            to,
            behind: None,
        },
        Place { from, to, behind },
    ]
}

#[test]
fn a_cursor_gives_back_the_place_that_it_was_made_of() {
    let (cursors, clock) = (cursors(CursorKeys::new(key(1))), SetClock::default());
    for place in places() {
        let cursor = cursors.write(&query(), place, &clock);
        let text = cursor.to_string();
        assert!(
            text.len() < TEXT_BYTES_MAX && !text.contains(['+', '/', '=', '%']),
            "{text}"
        );
        let again = cursors.read(&query(), &text.into(), &clock);
        assert_eq!(again.unwrap(), place);
        let with_other_limits = query().limit(3).examine_at_most(9);
        assert_eq!(
            cursors.read(&with_other_limits, &cursor, &clock).unwrap(),
            place
        );
    }
}

#[test]
fn a_cursor_that_was_altered_anywhere_is_invalid() {
    let (cursors, clock) = (cursors(CursorKeys::new(key(1))), SetClock::default());
    for place in places() {
        let cursor = cursors.write(&query(), place, &clock);
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(cursor.as_str()).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut altered = bytes.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            let altered: EventCursor = BASE64_URL_SAFE_NO_PAD.encode(altered).into();
            let error = cursors.read(&query(), &altered, &clock).unwrap_err();
            assert_eq!(error, EventQueryError::CursorInvalid, "bit {bit}");
        }
        for len in 0..cursor.as_str().len() {
            let cut: EventCursor = cursor.as_str()[..len].into();
            let error = cursors.read(&query(), &cut, &clock).unwrap_err();
            assert_eq!(error, EventQueryError::CursorInvalid, "cut at {len}");
        }
    }
    for text in ["", "page 2", "AAAA", "\u{1f600}", &"A".repeat(100_000)] {
        let error = cursors.read(&query(), &text.into(), &clock).unwrap_err();
        assert_eq!(error, EventQueryError::CursorInvalid);
    }
}

#[test]
fn a_cursor_serves_its_own_query_and_tenant_alone() {
    let (cursors, clock) = (cursors(CursorKeys::new(key(1))), SetClock::default());
    let cursor = cursors.write(&query(), places()[0], &clock);
    let filter = || EventCondition::user("eve");
    for other in [
        EventQuery::of_tenant("acme"),
        EventQuery::of_tenant("acme").filter(!filter()),
        EventQuery::of_tenant("acme").filter(EventCondition::user("mallory")),
        EventQuery::of_tenant("acme").filter(EventCondition::event_type("eve")),
        query().filter(EventCondition::event_type("Debited")),
        query().order(EventOrder::NewestFirst),
        query().order(EventOrder::EarliestEffective),
    ] {
        let error = cursors.read(&other, &cursor, &clock).unwrap_err();
        assert_eq!(error, EventQueryError::CursorOfAnotherQuery, "{other:?}");
    }
    for other in [
        EventQuery::of_tenant("globex").filter(filter()),
        EventQuery::of_tenant("").filter(filter()),
        EventQuery::over_all_tenants().filter(filter()),
    ] {
        let error = cursors.read(&other, &cursor, &clock).unwrap_err();
        assert_eq!(error, EventQueryError::CursorOfAnotherTenant, "{other:?}");
    }
    let of_operator = EventQuery::over_all_tenants().filter(filter());
    let cursor = cursors.write(&of_operator, places()[0], &clock);
    let error = cursors.read(&query(), &cursor, &clock).unwrap_err();
    assert_eq!(error, EventQueryError::CursorOfAnotherTenant);
}

#[test]
fn filters_that_say_something_else_have_another_fingerprint() {
    let name = EventCondition::user;
    let filters = [
        name("a").and(name("b")),
        name("b").and(name("a")),
        name("a").or(name("b")),
        name("ab"),
        !(name("a").and(name("b"))),
        name("a").and(name("b").or(name("c"))),
        name("a").and(name("b")).or(name("c")),
        name("a").and(name("b")).and(name("c")),
        EventCondition::metadata("a", "b"),
        EventCondition::metadata("ab", ""),
        EventCondition::metadata("", "ab"),
        EventCondition::event_types(["a", "b"]),
        EventCondition::event_types(["ab"]),
        EventCondition::event_types(Vec::<&str>::new()),
    ];
    let fingerprint = |filter: &EventCondition| {
        let query = EventQuery::of_tenant("acme").filter(filter.clone());
        Binding::of(&query).query
    };
    for (at, one) in filters.iter().enumerate() {
        for other in &filters[at + 1..] {
            assert_ne!(fingerprint(one), fingerprint(other), "{one:?}, {other:?}");
        }
    }
}

#[test]
fn a_cursor_is_good_until_it_expires_and_says_when_that_was() {
    let (cursors, clock) = (cursors(CursorKeys::new(key(1))), SetClock::default());
    let cursor = cursors.write(&query(), places()[0], &clock);
    *clock.0.lock().unwrap() = 59_999_999;
    assert!(cursors.read(&query(), &cursor, &clock).is_ok());
    *clock.0.lock().unwrap() = 60_000_000;
    let at = Timestamp::from_unix_micros(60_000_000);
    let error = cursors.read(&query(), &cursor, &clock).unwrap_err();
    assert_eq!(error, EventQueryError::CursorExpired { at });
}

#[test]
fn keys_are_rotated_without_breaking_the_cursors_of_the_one_before() {
    let clock = SetClock::default();
    let old = cursors(CursorKeys::new(key(1)));
    let both = cursors(CursorKeys::new(key(2)).also_accept(key(1)));
    let new = cursors(CursorKeys::new(key(2)));
    let signed_by = |cursors: &Cursors| cursors.write(&query(), places()[0], &clock);
    let (by_old, by_both) = (signed_by(&old), signed_by(&both));
    let accepts = |cursors: &Cursors, cursor| cursors.read(&query(), cursor, &clock).is_ok();
    assert!(accepts(&old, &by_old) && accepts(&both, &by_old) && accepts(&both, &by_both));
    assert!(accepts(&new, &by_both), "the newest one signs");
    assert!(!accepts(&new, &by_old) && !accepts(&old, &by_both));
}

#[test]
fn without_keys_one_is_made_up_that_serves_its_own_runtime() {
    let clock = SetClock::default();
    let (one, other) = (Cursors::default(), Cursors::default());
    let cursor = one.write(&query(), places()[0], &clock);
    assert!(one.read(&query(), &cursor, &clock).is_ok());
    assert!(other.read(&query(), &cursor, &clock).is_err());
    assert_eq!(format!("{:?}", key(7)), "CursorKey { .. }");
}
