use foldhouse::Timestamp;

use super::book::BookEvent;
use super::date::BookDate;
use super::entry::{Entry, EntryKind};
use super::exchange::Exchange;
use super::hold::{Hold, HoldEnd, HoldEvent};
use super::journal_entry::EntryEvent;
use super::period::PeriodStatus;
use super::recurring::{Every, Recurrence, RecurringEvent};
use crate::currency::Currency;
use crate::money::Money;

/// The first instant of 2026-01-31.
const SAMPLE_TIME: Timestamp = Timestamp::from_unix_micros(1_769_817_600_000_000);

/// Events of the book, of every type and in every shape; see `samples.rs`.
pub(super) fn book_samples() -> Vec<BookEvent> {
    let date = BookDate::of(SAMPLE_TIME);
    let numbered = |number, soft_close_override| BookEvent::EntryNumbered {
        number,
        entry: "entry-1".into(),
        date,
        soft_close_override,
    };
    let changed = |status| BookEvent::PeriodStatusChanged {
        first: date,
        status,
    };
    vec![
        BookEvent::Opened {
            currency: Currency::CZK,
        },
        BookEvent::PeriodAdded {
            first: date,
            last: date,
        },
        numbered(1, None),
        changed(PeriodStatus::SoftClosed),
        numbered(2, Some("late invoice".to_owned())),
        changed(PeriodStatus::Open),
        changed(PeriodStatus::HardClosed),
    ]
}

/// Events of journal entries; see `samples.rs`.
pub(super) fn entry_samples() -> Vec<EntryEvent> {
    let czk = Money::new(250_000, Currency::CZK);
    let eur = Money::new(10_000, Currency::EUR);
    let date = BookDate::of(SAMPLE_TIME);
    let plain = || {
        Entry::new("entry-1", date)
            .debit("bank", czk)
            .credit("sales", czk)
    };
    let full = plain()
        .describe("Invoice 7")
        .reference("order 4711")
        .tag("project", "north")
        .override_soft_close("late invoice")
        .exchange(czk, "conversion:cost", eur, "conversion:EUR");
    let of_kind = |kind| {
        let mut entry = plain();
        entry.kind = kind;
        entry
    };
    let kinds = [
        EntryKind::Reversal {
            of: "entry-0".into(),
        },
        EntryKind::Correction {
            of: "entry-0".into(),
        },
        EntryKind::HoldPosting {
            hold: "hold-1".into(),
        },
        EntryKind::Closing,
        EntryKind::Revaluation {
            rate: Exchange::new(eur, czk),
        },
        EntryKind::UpTo { amount: czk },
    ];
    let entries = [plain(), full].into_iter().chain(kinds.map(of_kind));
    let mut events: Vec<_> = entries
        .map(|entry| EntryEvent::Posted {
            entry: Box::new(entry),
        })
        .collect();
    events.push(EntryEvent::Reversed {
        by: "entry-2".into(),
        date,
    });
    events.push(EntryEvent::Corrected {
        by: "entry-3".into(),
    });
    events
}

/// Events of holds; see `samples.rs`.
pub(super) fn hold_samples() -> Vec<HoldEvent> {
    let czk = Money::new(250_000, Currency::CZK);
    let plain = || Hold::new("hold-1", BookDate::of(SAMPLE_TIME)).transfer("shop", "card", czk);
    let full = plain().describe("Room 7").expires_at(SAMPLE_TIME);
    let ends = [
        HoldEnd::Posted {
            entry: "entry-1".into(),
        },
        HoldEnd::Voided,
        HoldEnd::Expired,
    ];
    let placed = [plain(), full].map(|hold| HoldEvent::Placed {
        hold: Box::new(hold),
    });
    let ended = ends.map(|end| HoldEvent::Ended { end });
    let events = placed.into_iter().chain(ended);
    events.chain([HoldEvent::FellDue {}]).collect()
}

/// Events of recurring entries; see `samples.rs`.
pub(super) fn recurring_samples() -> Vec<RecurringEvent> {
    let date = BookDate::of(SAMPLE_TIME);
    let rent = Money::new(250_000, Currency::CZK);
    let started = |every, last| RecurringEvent::Started {
        entry: Box::new(
            Entry::new("rent", date)
                .debit("rent", rent)
                .credit("bank", rent),
        ),
        recurrence: Recurrence {
            first: date,
            every,
            last,
        },
    };
    vec![
        started(Every::Months(1), None),
        RecurringEvent::FellDue { number: 0, date },
        RecurringEvent::Stopped {},
        started(Every::Days(14), Some(date)),
    ]
}
