use std::fmt;

use serde::{Deserialize, Serialize};

use super::date::BookDate;

/// The most fiscal periods of a book: a hundred years of months.
pub const FISCAL_PERIODS_MAX: usize = 1_200;

/// How a fiscal period takes postings. The variant names are persisted and never change their meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum PeriodStatus {
    /// Freely.
    Open,
    /// Only with an override, which is recorded. It can be opened again.
    SoftClosed,
    /// Not at all, for good.
    HardClosed,
}

impl fmt::Display for PeriodStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Open => "open",
            Self::SoftClosed => "soft-closed",
            Self::HardClosed => "hard-closed",
        })
    }
}

/// A fiscal period: days that are closed together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FiscalPeriod {
    /// Its first day.
    pub first: BookDate,
    /// Its last day.
    pub last: BookDate,
    /// How it takes postings.
    pub status: PeriodStatus,
    /// How many entries count in it.
    pub entries: u64,
}

/// Why a fiscal period forbids something.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PeriodRejection {
    /// The book has periods, and none has that day.
    #[error("no fiscal period has {date}; add one, or take another date")]
    NoPeriod {
        /// The day.
        date: BookDate,
    },
    /// The period takes no such postings.
    #[error("{date} is in the {status} period {first} to {last}; take another date{}", override_hint(*.status))]
    Closed {
        /// The day.
        date: BookDate,
        /// The period's first day.
        first: BookDate,
        /// Its last day.
        last: BookDate,
        /// How it takes postings.
        status: PeriodStatus,
    },
    /// It ends before it begins.
    #[error("the period {first} to {last} ends before it begins")]
    Backwards {
        /// The first day as given.
        first: BookDate,
        /// The last day as given.
        last: BookDate,
    },
    /// It leaves a gap behind the last one, or overlaps it.
    #[error(
        "the period begins on {first}, but the last one ends on {last}; begin on the day after"
    )]
    NotNext {
        /// The first day as given.
        first: BookDate,
        /// The last day of the last period.
        last: BookDate,
    },
    /// There are too many.
    #[error("the book has {FISCAL_PERIODS_MAX} fiscal periods, and takes no more")]
    TooMany,
    /// No period begins on that day.
    #[error("no fiscal period begins on {first}")]
    Unknown {
        /// The day.
        first: BookDate,
    },
    /// It is so already.
    #[error("the period that begins on {first} is already {status}")]
    Already {
        /// The period's first day.
        first: BookDate,
        /// How it takes postings.
        status: PeriodStatus,
    },
    /// It was closed for good.
    #[error(
        "the period that begins on {first} is closed for good; post the correction into an open one"
    )]
    ClosedForGood {
        /// The period's first day.
        first: BookDate,
    },
    /// It takes postings freely, so nothing can be carried forward from it yet.
    #[error("the period {first} to {last} is still open; close it softly first")]
    StillOpen {
        /// Its first day.
        first: BookDate,
        /// Its last day.
        last: BookDate,
    },
    /// An earlier one is not closed for good yet.
    #[error("the period that begins on {earlier} is still {status}; close it for good first")]
    EarlierNotClosed {
        /// The earlier period's first day.
        earlier: BookDate,
        /// How it takes postings.
        status: PeriodStatus,
    },
}

fn override_hint(status: PeriodStatus) -> &'static str {
    match status {
        PeriodStatus::SoftClosed => ", or override the soft close with a reason",
        PeriodStatus::Open | PeriodStatus::HardClosed => "",
    }
}

/// The fiscal periods of a book: without a gap, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FiscalPeriods {
    periods: Vec<FiscalPeriod>,
}

impl FiscalPeriods {
    pub(super) fn all(&self) -> &[FiscalPeriod] {
        &self.periods
    }

    /// The period that has the day.
    fn of(&self, date: BookDate) -> Option<&FiscalPeriod> {
        let behind = self.periods.partition_point(|period| period.first <= date);
        let period = self.periods.get(behind.checked_sub(1)?)?;
        (date <= period.last).then_some(period)
    }

    fn of_mut(&mut self, date: BookDate) -> Option<&mut FiscalPeriod> {
        let behind = self.periods.partition_point(|period| period.first <= date);
        let period = self.periods.get_mut(behind.checked_sub(1)?)?;
        (date <= period.last).then_some(period)
    }

    fn beginning(&self, first: BookDate) -> Result<&FiscalPeriod, PeriodRejection> {
        let period = self.of(first).filter(|period| period.first == first);
        period.ok_or(PeriodRejection::Unknown { first })
    }

    pub(super) fn add(&mut self, first: BookDate, last: BookDate) {
        self.periods.push(FiscalPeriod {
            first,
            last,
            status: PeriodStatus::Open,
            entries: 0,
        });
    }

    pub(super) fn set_status(&mut self, first: BookDate, status: PeriodStatus) {
        if let Some(period) = self.of_mut(first) {
            period.status = status;
        }
    }

    /// One more entry counts on that day.
    pub(super) fn count(&mut self, date: BookDate) {
        if let Some(period) = self.of_mut(date) {
            period.entries = period.entries.saturating_add(1);
        }
    }

    /// Whether an entry may count on that day. A book without periods takes every day.
    pub(super) fn check_posting(
        &self,
        date: BookDate,
        overridden: bool,
    ) -> Result<(), PeriodRejection> {
        if self.periods.is_empty() {
            return Ok(());
        }
        let period = self.of(date).ok_or(PeriodRejection::NoPeriod { date })?;
        match period.status {
            PeriodStatus::Open => Ok(()),
            PeriodStatus::SoftClosed if overridden => Ok(()),
            status => Err(PeriodRejection::Closed {
                date,
                first: period.first,
                last: period.last,
                status,
            }),
        }
    }

    pub(super) fn check_addition(
        &self,
        first: BookDate,
        last: BookDate,
    ) -> Result<(), PeriodRejection> {
        if last < first {
            return Err(PeriodRejection::Backwards { first, last });
        }
        if self.periods.len() >= FISCAL_PERIODS_MAX {
            return Err(PeriodRejection::TooMany);
        }
        match self.periods.last() {
            Some(before) if before.last.next() != first => Err(PeriodRejection::NotNext {
                first,
                last: before.last,
            }),
            _ => Ok(()),
        }
    }

    pub(super) fn check_change(
        &self,
        first: BookDate,
        status: PeriodStatus,
    ) -> Result<(), PeriodRejection> {
        let period = self.beginning(first)?;
        if period.status == PeriodStatus::HardClosed {
            return Err(PeriodRejection::ClosedForGood { first });
        }
        if period.status == status {
            return Err(PeriodRejection::Already { first, status });
        }
        if status != PeriodStatus::HardClosed {
            return Ok(());
        }
        // What is carried forward from a period rests on those before it.
        let mut earlier = self.periods.iter().take_while(|other| other.first < first);
        match earlier.find(|other| other.status != PeriodStatus::HardClosed) {
            Some(earlier) => Err(PeriodRejection::EarlierNotClosed {
                earlier: earlier.first,
                status: earlier.status,
            }),
            None => Ok(()),
        }
    }
}
