//! The rules of journal entries and of holds.

use foldhouse::Timestamp;
use foldhouse::testing::given;

use super::super::*;
use crate::currency::Currency::{CZK, EUR};
use crate::money::Money;

fn day(text: &str) -> BookDate {
    text.parse().unwrap()
}

fn czk(minor_units: i64) -> Money {
    Money::new(minor_units, CZK)
}

fn sale() -> Entry {
    Entry::new("s1", day("2026-01-31"))
        .debit("cash", czk(121))
        .credit("sales", czk(100))
        .credit("vat", czk(21))
}

fn recorded(entry: Entry) -> EntryEvent {
    EntryEvent::Posted {
        entry: Box::new(entry),
    }
}

fn record(entry: Entry) -> RecordEntry {
    RecordEntry {
        entry: Box::new(entry),
    }
}

fn mark(mark: EntryMark) -> MarkEntry {
    MarkEntry {
        entry: "s1".into(),
        by: "r1".into(),
        date: day("2026-02-01"),
        mark,
    }
}

#[test]
fn an_entry_that_balances_is_recorded_as_it_is() {
    given::<JournalEntry>([])
        .when(record(sale()))
        .then([recorded(sale())]);
}

#[test]
fn an_entry_has_two_lines_at_least_and_positive_amounts() {
    let alone = Entry::new("s1", day("2026-01-31")).debit("cash", czk(1));
    given::<JournalEntry>([])
        .when(record(alone))
        .then_rejected(&EntryFault::LineCount { lines: 1 }.into());
    let negative = sale().credit("sales", czk(-5)).debit("cash", czk(-5));
    given::<JournalEntry>([])
        .when(record(negative))
        .then_rejected(
            &EntryFault::NotPositive {
                line: 4,
                account: "sales".into(),
                amount: czk(-5),
            }
            .into(),
        );
}

#[test]
fn an_entry_balances_in_each_currency_for_itself() {
    let mixed = Entry::new("x", day("2026-01-31"))
        .debit("eur", Money::new(100, EUR))
        .credit("czk", czk(100));
    let unbalanced = EntryFault::Unbalanced {
        currency: CZK,
        debits: 0,
        credits: 100,
    };
    assert_eq!(mixed.check(), Err(unbalanced));

    let exchanged = Entry::new("x", day("2026-01-31"))
        .credit("eur", Money::new(100, EUR))
        .debit("czk", czk(2_513))
        .exchange(
            Money::new(100, EUR),
            "conversion:EUR",
            czk(2_513),
            "conversion:EUR:CZK",
        );
    assert_eq!(exchanged.check(), Ok(()));
}

#[test]
fn texts_and_lists_of_an_entry_are_bounded() {
    let long = "x".repeat(ENTRY_TEXT_BYTES_MAX + 1);
    let fault = |part| EntryFault::TextTooLong {
        part,
        bytes: ENTRY_TEXT_BYTES_MAX + 1,
    };
    let entries = [
        (sale().describe(&long), "description"),
        (sale().reference(&long), "reference"),
        (sale().tag(&long, ""), "tag name"),
        (sale().tag("t", &long), "tag value"),
        (sale().override_soft_close(&long), "reason for the override"),
    ];
    for (entry, part) in entries {
        assert_eq!(entry.check(), Err(fault(part)));
    }
    let many = (0..=ENTRY_REFERENCES_MAX).fold(sale(), |entry, n| entry.reference(n.to_string()));
    let part = "references";
    let count = ENTRY_REFERENCES_MAX + 1;
    assert_eq!(many.check(), Err(EntryFault::TooMany { part, count }));
    let lines = (0..=ENTRY_LINES_MAX).fold(Entry::new("x", day("2026-01-31")), |entry, _| {
        entry.debit("cash", czk(1))
    });
    let lines_max = EntryFault::LineCount {
        lines: ENTRY_LINES_MAX + 1,
    };
    assert_eq!(lines.check(), Err(lines_max));
}

#[test]
fn an_entry_is_posted_once() {
    given::<JournalEntry>([recorded(sale())])
        .when(record(sale()))
        .then_rejected(&EntryRejection::AlreadyPosted { entry: "s1".into() });
}

#[test]
fn an_entry_is_reversed_once_and_points_at_what_reversed_it() {
    let reversed = EntryEvent::Reversed {
        by: "r1".into(),
        date: day("2026-02-01"),
    };
    given::<JournalEntry>([recorded(sale())])
        .when(mark(EntryMark::Reversed))
        .then([reversed.clone()])
        .then_state(|entry| entry.reversed_by() == Some(&"r1".into()));
    given::<JournalEntry>([recorded(sale()), reversed])
        .when(mark(EntryMark::Reversed))
        .then_rejected(&EntryRejection::AlreadyReversed {
            entry: "s1".into(),
            by: "r1".into(),
        });
    given::<JournalEntry>([])
        .when(mark(EntryMark::Reversed))
        .then_rejected(&EntryRejection::NotPosted { entry: "s1".into() });
}

#[test]
fn an_entry_is_corrected_once() {
    let corrected = EntryEvent::Corrected { by: "c1".into() };
    given::<JournalEntry>([recorded(sale()), corrected])
        .when(mark(EntryMark::Corrected))
        .then_rejected(&EntryRejection::AlreadyCorrected {
            entry: "s1".into(),
            by: "c1".into(),
        });
}

const NOON: Timestamp = Timestamp::from_unix_micros(1_000);

fn authorisation() -> Hold {
    Hold::new("h1", day("2026-01-31"))
        .transfer("shop", "card", czk(500))
        .expires_at(NOON)
}

fn placed() -> HoldEvent {
    HoldEvent::Placed {
        hold: Box::new(authorisation()),
    }
}

fn end(end: HoldEnd) -> EndHold {
    EndHold {
        hold: "h1".into(),
        end,
    }
}

fn posting() -> HoldEnd {
    HoldEnd::Posted { entry: "e1".into() }
}

#[test]
fn a_hold_balances_and_is_placed_once_before_it_expires() {
    let place = || PlaceHold {
        hold: Box::new(authorisation()),
    };
    given::<GlHold>([]).when(place()).then([placed()]);
    given::<GlHold>([placed()])
        .when(place())
        .then_rejected(&HoldRejection::AlreadyPlaced { hold: "h1".into() });
    given::<GlHold>([])
        .at(NOON)
        .when(place())
        .then_rejected(&HoldRejection::Expired {
            hold: "h1".into(),
            at: NOON,
        });
    let lame = Hold::new("h1", day("2026-01-31")).line(EntryLine::debit("card", czk(5)));
    given::<GlHold>([])
        .when(PlaceHold {
            hold: Box::new(lame),
        })
        .then_rejected(&EntryFault::LineCount { lines: 1 }.into());
}

#[test]
fn a_hold_is_posted_or_voided_or_expired_and_then_it_has_ended() {
    let ways = [
        (posting(), 0),
        (HoldEnd::Voided, 0),
        (HoldEnd::Voided, 1_000),
        (HoldEnd::Expired, 1_000),
    ];
    for (way, micros) in ways {
        let ended = HoldEvent::Ended { end: way.clone() };
        given::<GlHold>([placed()])
            .at(Timestamp::from_unix_micros(micros))
            .when(end(way.clone()))
            .then([ended.clone()]);
        for (second, micros) in [
            (posting(), 0),
            (HoldEnd::Voided, 0),
            (HoldEnd::Expired, 1_000),
        ] {
            given::<GlHold>([placed(), ended.clone()])
                .at(Timestamp::from_unix_micros(micros))
                .when(end(second))
                .then_rejected(&HoldRejection::Ended {
                    hold: "h1".into(),
                    end: way.clone(),
                });
        }
    }
}

#[test]
fn a_hold_expires_at_its_time_and_not_before_and_is_not_posted_afterwards() {
    given::<GlHold>([placed()])
        .at(Timestamp::from_unix_micros(999))
        .when(end(HoldEnd::Expired))
        .then_rejected(&HoldRejection::NotDue { hold: "h1".into() });
    given::<GlHold>([placed()])
        .at(NOON)
        .when(end(posting()))
        .then_rejected(&HoldRejection::Expired {
            hold: "h1".into(),
            at: NOON,
        });
}

#[test]
fn a_timer_says_when_the_time_of_a_hold_is_over_and_then_it_can_only_expire() {
    let due = || HoldDue { hold: "h1".into() };
    given::<GlHold>([])
        .when(PlaceHold {
            hold: Box::new(authorisation()),
        })
        .then_scheduled("expiry", NOON, &due());
    given::<GlHold>([placed()])
        .at(Timestamp::from_unix_micros(999))
        .when(due())
        .then_rejected(&HoldRejection::NotDue { hold: "h1".into() });
    given::<GlHold>([placed()])
        .at(NOON)
        .when(due())
        .then([HoldEvent::FellDue {}]);
    // Also if the clock was set back since.
    given::<GlHold>([placed(), HoldEvent::FellDue {}])
        .when(end(posting()))
        .then_rejected(&HoldRejection::Expired {
            hold: "h1".into(),
            at: NOON,
        });
    given::<GlHold>([placed(), HoldEvent::FellDue {}])
        .when(end(HoldEnd::Expired))
        .then([HoldEvent::Ended {
            end: HoldEnd::Expired,
        }])
        .then_no_timers();
    given::<GlHold>([placed()])
        .when(end(HoldEnd::Voided))
        .then_cancelled("expiry");
}

#[test]
fn the_events_of_entries_and_holds_are_read_back_as_they_were_written() {
    let full = sale()
        .describe("sold")
        .reference("4711")
        .tag("project", "north")
        .override_soft_close("late invoice");
    for entry in [sale(), full] {
        let event = recorded(entry);
        let bytes = rmp_serde::to_vec_named(&event).unwrap();
        assert_eq!(rmp_serde::from_slice::<EntryEvent>(&bytes).unwrap(), event);
    }
    let bytes = rmp_serde::to_vec_named(&placed()).unwrap();
    assert_eq!(
        rmp_serde::from_slice::<HoldEvent>(&bytes).unwrap(),
        placed()
    );
    // The least that was ever recorded of an entry.
    let least = b"\x81\xa6Posted\x81\xa5entry\x83\xa2id\xa2s1\xa4date\xaa2026-01-31\xa5lines\x90";
    let EntryEvent::Posted { entry } = rmp_serde::from_slice(least).unwrap() else {
        panic!("another event");
    };
    assert_eq!(*entry, Entry::new("s1", day("2026-01-31")));
}
