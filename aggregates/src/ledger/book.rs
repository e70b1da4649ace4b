use foldhouse::{Aggregate, Command, CommandContext, Decided, Decision, IdempotentCommand};
use serde::{Deserialize, Serialize};

use super::date::BookDate;
use super::names::EntryId;
use super::period::{FiscalPeriod, FiscalPeriods, PeriodRejection, PeriodStatus};
use super::record_samples::book_samples;
use crate::currency::Currency;

/// The book of a tenant: it numbers the entries without a gap and knows the fiscal periods.
///
/// Its rules:
/// - It is opened once, with the currency in which it reports.
/// - Every entry gets the next number. Number and entry are recorded together or not at all, so none is missing.
/// - Once it has fiscal periods, an entry counts in one of them, and only if that takes postings.
///
/// Every entry passes it, so its state is small: how many entries there are, and a few bytes for each period.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GlBook {
    currency: Option<Currency>,
    entries: u64,
    periods: FiscalPeriods,
}

/// What happens to a [`GlBook`]. This is the persisted contract: names never change, and never their meaning.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BookEvent {
    /// The book exists from now on.
    Opened {
        /// The currency in which it reports.
        currency: Currency,
    },
    /// An entry got its number.
    EntryNumbered {
        /// The number, from 1.
        number: u64,
        /// The entry.
        entry: EntryId,
        /// The day on which it counts.
        date: BookDate,
        /// Why it may go into a soft-closed period, where it did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        soft_close_override: Option<String>,
    },
    /// A fiscal period was added.
    PeriodAdded {
        /// Its first day.
        first: BookDate,
        /// Its last day.
        last: BookDate,
    },
    /// A period takes postings differently from now on.
    PeriodStatusChanged {
        /// The period's first day.
        first: BookDate,
        /// How it takes postings.
        status: PeriodStatus,
    },
}

/// Why the book says no.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BookRejection {
    /// There is no book yet.
    #[error("the tenant's book is not open; open it first")]
    NotOpen,
    /// It exists.
    #[error("the tenant's book is already open; go on with it")]
    AlreadyOpen,
    /// The fiscal periods forbid it.
    #[error(transparent)]
    Period(#[from] PeriodRejection),
}

impl Aggregate for GlBook {
    const TYPE: &'static str = "gl-book";

    type Event = BookEvent;

    fn apply(&mut self, event: &BookEvent) {
        match event {
            BookEvent::Opened { currency } => self.currency = Some(*currency),
            BookEvent::EntryNumbered { number, date, .. } => {
                self.entries = *number;
                self.periods.count(*date);
            }
            BookEvent::PeriodAdded { first, last } => self.periods.add(*first, *last),
            BookEvent::PeriodStatusChanged { first, status } => {
                self.periods.set_status(*first, *status);
            }
        }
    }

    fn samples() -> Vec<BookEvent> {
        book_samples()
    }
}

impl GlBook {
    /// The currency in which it reports; `None` before it is opened.
    #[must_use]
    pub fn currency(&self) -> Option<Currency> {
        self.currency
    }

    /// How many entries it has; the number of the last one.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// Its fiscal periods, in order.
    #[must_use]
    pub fn periods(&self) -> &[FiscalPeriod] {
        self.periods.all()
    }

    fn check_open(&self) -> Result<(), BookRejection> {
        self.currency.map(|_| ()).ok_or(BookRejection::NotOpen)
    }
}

/// Opens the book of a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct OpenBook {
    /// The currency in which it reports.
    pub currency: Currency,
}

impl Command for OpenBook {
    type Aggregate = GlBook;
    type Reply = ();
    type Rejection = BookRejection;

    fn decide(&self, book: &GlBook, _: &CommandContext) -> Decided<Self> {
        if book.currency.is_some() {
            return Err(BookRejection::AlreadyOpen);
        }
        let currency = self.currency;
        Ok(Decision::event(BookEvent::Opened { currency }, ()))
    }
}

impl IdempotentCommand for OpenBook {
    const NAME: &'static str = "open-book";
}

/// Gives an entry its number, if its day takes postings; a step of posting it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NumberEntry {
    /// The entry.
    pub entry: EntryId,
    /// The day on which it counts.
    pub date: BookDate,
    /// Why it may go into a soft-closed period.
    pub soft_close_override: Option<String>,
}

impl Command for NumberEntry {
    type Aggregate = GlBook;
    /// The number.
    type Reply = u64;
    type Rejection = BookRejection;

    fn decide(&self, book: &GlBook, _: &CommandContext) -> Decided<Self> {
        book.check_open()?;
        let overridden = self.soft_close_override.is_some();
        book.periods.check_posting(self.date, overridden)?;
        let number = book.entries.saturating_add(1);
        let numbered = BookEvent::EntryNumbered {
            number,
            entry: self.entry.clone(),
            date: self.date,
            soft_close_override: self.soft_close_override.clone(),
        };
        Ok(Decision::event(numbered, number))
    }
}

impl IdempotentCommand for NumberEntry {
    const NAME: &'static str = "number-entry";
}

/// Adds the fiscal period that follows the last one; the first one may begin on any day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct AddPeriod {
    /// Its first day.
    pub first: BookDate,
    /// Its last day.
    pub last: BookDate,
}

impl Command for AddPeriod {
    type Aggregate = GlBook;
    type Reply = ();
    type Rejection = BookRejection;

    fn decide(&self, book: &GlBook, _: &CommandContext) -> Decided<Self> {
        book.check_open()?;
        book.periods.check_addition(self.first, self.last)?;
        let added = BookEvent::PeriodAdded {
            first: self.first,
            last: self.last,
        };
        Ok(Decision::event(added, ()))
    }
}

impl IdempotentCommand for AddPeriod {
    const NAME: &'static str = "add-period";
}

/// Closes a period, softly or for good, or opens a softly closed one again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ChangePeriod {
    /// The period's first day.
    pub first: BookDate,
    /// How it shall take postings.
    pub status: PeriodStatus,
}

impl Command for ChangePeriod {
    type Aggregate = GlBook;
    type Reply = ();
    type Rejection = BookRejection;

    fn decide(&self, book: &GlBook, _: &CommandContext) -> Decided<Self> {
        book.check_open()?;
        book.periods.check_change(self.first, self.status)?;
        let changed = BookEvent::PeriodStatusChanged {
            first: self.first,
            status: self.status,
        };
        Ok(Decision::event(changed, ()))
    }
}

impl IdempotentCommand for ChangePeriod {
    const NAME: &'static str = "change-period";
}
