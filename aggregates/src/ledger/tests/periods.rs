//! The rules of the book: entry numbers and fiscal periods.

use foldhouse::testing::given;

use super::super::*;
use crate::currency::Currency::CZK;

fn day(text: &str) -> BookDate {
    text.parse().unwrap()
}

fn opened() -> BookEvent {
    BookEvent::Opened { currency: CZK }
}

fn january() -> BookEvent {
    BookEvent::PeriodAdded {
        first: day("2026-01-01"),
        last: day("2026-01-31"),
    }
}

fn february() -> BookEvent {
    BookEvent::PeriodAdded {
        first: day("2026-02-01"),
        last: day("2026-02-28"),
    }
}

fn status(first: &str, status: PeriodStatus) -> BookEvent {
    BookEvent::PeriodStatusChanged {
        first: day(first),
        status,
    }
}

fn change(first: &str, status: PeriodStatus) -> ChangePeriod {
    ChangePeriod {
        first: day(first),
        status,
    }
}

fn number(date: &str) -> NumberEntry {
    NumberEntry {
        entry: "e".into(),
        date: day(date),
        soft_close_override: None,
    }
}

fn numbered(number: u64, date: &str) -> BookEvent {
    BookEvent::EntryNumbered {
        number,
        entry: "e".into(),
        date: day(date),
        soft_close_override: None,
    }
}

fn closed(date: &str, status: PeriodStatus) -> BookRejection {
    PeriodRejection::Closed {
        date: day(date),
        first: day("2026-01-01"),
        last: day("2026-01-31"),
        status,
    }
    .into()
}

#[test]
fn a_book_is_opened_once_and_numbers_nothing_before() {
    given::<GlBook>([])
        .when(OpenBook { currency: CZK })
        .then([opened()]);
    given::<GlBook>([opened()])
        .when(OpenBook { currency: CZK })
        .then_rejected(&BookRejection::AlreadyOpen);
    given::<GlBook>([])
        .when(number("2026-01-31"))
        .then_rejected(&BookRejection::NotOpen);
}

#[test]
fn entries_are_numbered_from_one_without_a_gap() {
    given::<GlBook>([opened()])
        .when(number("2026-01-31"))
        .then([numbered(1, "2026-01-31")])
        .then_reply(&1);
    given::<GlBook>([opened(), numbered(1, "2026-01-31")])
        .when(number("2026-01-05"))
        .then_reply(&2);
}

#[test]
fn a_book_without_periods_takes_every_day_and_one_with_periods_only_theirs() {
    given::<GlBook>([opened()])
        .when(number("1999-12-31"))
        .then_reply(&1);
    for date in ["2025-12-31", "2026-02-01"] {
        given::<GlBook>([opened(), january()])
            .when(number(date))
            .then_rejected(&PeriodRejection::NoPeriod { date: day(date) }.into());
    }
    for date in ["2026-01-01", "2026-01-31"] {
        given::<GlBook>([opened(), january()])
            .when(number(date))
            .then_reply(&1);
    }
}

#[test]
fn a_period_follows_the_last_one_on_the_next_day() {
    let add = |first, last| AddPeriod {
        first: day(first),
        last: day(last),
    };
    given::<GlBook>([opened(), january()])
        .when(add("2026-02-01", "2026-02-28"))
        .then([february()]);
    for first in ["2026-01-31", "2026-02-02"] {
        let not_next = PeriodRejection::NotNext {
            first: day(first),
            last: day("2026-01-31"),
        };
        given::<GlBook>([opened(), january()])
            .when(add(first, "2026-02-28"))
            .then_rejected(&not_next.into());
    }
    let backwards = PeriodRejection::Backwards {
        first: day("2026-02-01"),
        last: day("2026-01-31"),
    };
    given::<GlBook>([opened()])
        .when(add("2026-02-01", "2026-01-31"))
        .then_rejected(&backwards.into());
}

#[test]
fn a_soft_closed_period_takes_postings_only_with_an_override_that_is_recorded() {
    let history = [
        opened(),
        january(),
        status("2026-01-01", PeriodStatus::SoftClosed),
    ];
    given::<GlBook>(history.clone())
        .when(number("2026-01-31"))
        .then_rejected(&closed("2026-01-31", PeriodStatus::SoftClosed));
    given::<GlBook>(history)
        .when(NumberEntry {
            soft_close_override: Some("late invoice".into()),
            ..number("2026-01-31")
        })
        .then([BookEvent::EntryNumbered {
            number: 1,
            entry: "e".into(),
            date: day("2026-01-31"),
            soft_close_override: Some("late invoice".into()),
        }]);
}

#[test]
fn a_hard_closed_period_takes_nothing_with_or_without_an_override() {
    let history = [
        opened(),
        january(),
        status("2026-01-01", PeriodStatus::HardClosed),
    ];
    for soft_close_override in [None, Some("please".to_owned())] {
        given::<GlBook>(history.clone())
            .when(NumberEntry {
                soft_close_override,
                ..number("2026-01-31")
            })
            .then_rejected(&closed("2026-01-31", PeriodStatus::HardClosed));
    }
}

#[test]
fn a_soft_closed_period_is_opened_again_and_a_hard_closed_one_never() {
    let soft = status("2026-01-01", PeriodStatus::SoftClosed);
    let reopened = status("2026-01-01", PeriodStatus::Open);
    given::<GlBook>([opened(), january(), soft])
        .when(change("2026-01-01", PeriodStatus::Open))
        .then([reopened]);
    let hard = status("2026-01-01", PeriodStatus::HardClosed);
    for to in [PeriodStatus::Open, PeriodStatus::SoftClosed] {
        let for_good = PeriodRejection::ClosedForGood {
            first: day("2026-01-01"),
        };
        given::<GlBook>([opened(), january(), hard.clone()])
            .when(change("2026-01-01", to))
            .then_rejected(&for_good.into());
    }
}

#[test]
fn periods_are_closed_for_good_in_their_order() {
    given::<GlBook>([opened(), january(), february()])
        .when(change("2026-02-01", PeriodStatus::HardClosed))
        .then_rejected(
            &PeriodRejection::EarlierNotClosed {
                earlier: day("2026-01-01"),
                status: PeriodStatus::Open,
            }
            .into(),
        );
    given::<GlBook>([opened(), january(), february()])
        .when(change("2026-02-01", PeriodStatus::SoftClosed))
        .then([status("2026-02-01", PeriodStatus::SoftClosed)]);
}

#[test]
fn a_period_is_named_by_its_first_day_and_changes_to_something_else() {
    let unknown = PeriodRejection::Unknown {
        first: day("2026-01-02"),
    };
    given::<GlBook>([opened(), january()])
        .when(change("2026-01-02", PeriodStatus::SoftClosed))
        .then_rejected(&unknown.into());
    let already = PeriodRejection::Already {
        first: day("2026-01-01"),
        status: PeriodStatus::Open,
    };
    given::<GlBook>([opened(), january()])
        .when(change("2026-01-01", PeriodStatus::Open))
        .then_rejected(&already.into());
}

#[test]
fn a_period_counts_its_entries() {
    let history = [
        opened(),
        january(),
        february(),
        numbered(1, "2026-01-31"),
        numbered(2, "2026-01-01"),
        numbered(3, "2026-02-28"),
    ];
    let given = given::<GlBook>(history);
    let counts: Vec<_> = given.state().periods().iter().map(|p| p.entries).collect();
    assert_eq!(counts, [2, 1]);
    assert_eq!(given.state().entries(), 3);
}
