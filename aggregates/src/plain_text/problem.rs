use std::fmt;

use chrono::NaiveDate;

use super::amount::Amount;
use super::dialect::Dialect;
use super::location::Location;
use crate::decimal::{Decimal, DecimalError};

/// What is wrong with a journal, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{location}: {problem}")]
pub struct JournalError {
    /// Where.
    pub location: Location,
    /// What.
    pub problem: Box<Problem>,
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The text has another form than the format has there.
    #[error("expected {expected}, found {found}")]
    Syntax {
        /// What belongs there.
        expected: String,
        /// What is there.
        found: Found,
    },
    /// A date that the format written does not know.
    #[error(
        "{dialect} has no year {year}: it takes {first} to {last}; leave it out, or write another format"
    )]
    NoSuchYear {
        /// The format.
        dialect: Dialect,
        /// The year.
        year: i32,
        /// The first one that it takes.
        first: i32,
        /// The last one that it takes.
        last: i32,
    },
    /// The format has it, and it is not supported here. Nothing is left out in silence, because it may change balances.
    #[error("{what} is not supported; take it out, or write it in another way")]
    Unsupported {
        /// What.
        what: String,
    },
    /// The postings of a transaction do not add up to nothing.
    #[error("the transaction does not balance: {} is left over", Listed(.residual))]
    Unbalanced {
        /// What is left over.
        residual: Vec<Amount>,
    },
    /// More than one posting leaves its amount out.
    #[error("more than one posting has no amount, and only one can be inferred")]
    SeveralElided,
    /// The balance of an account is not what the journal says.
    #[error("balance assertion failed: {account} should have {asserted}, and has {}", .asserted.so_many(*.actual))]
    AssertionFailed {
        /// The account.
        account: String,
        /// What the journal says.
        asserted: Amount,
        /// What the account has of that commodity.
        actual: Decimal,
    },
    /// An account has further commodities, where the journal says that it has one only.
    #[error("balance assertion failed: {account} should have {asserted} and nothing else, and has {} too", Listed(.others))]
    AssertionNotSole {
        /// The account.
        account: String,
        /// What the journal says.
        asserted: Amount,
        /// What the account has besides.
        others: Vec<Amount>,
    },
    /// A posting to an account that is not open on that day.
    #[error("{account} is not open on {date}")]
    NotOpen {
        /// The account.
        account: String,
        /// The day.
        date: NaiveDate,
    },
    /// An account that takes only some commodities got another one.
    #[error("{account} does not take {commodity:?}: it was opened for others")]
    CommodityNotAllowed {
        /// The account.
        account: String,
        /// The commodity.
        commodity: String,
    },
    /// An account is opened twice.
    #[error("{account} is opened a second time")]
    OpenedTwice {
        /// The account.
        account: String,
    },
    /// A reduction matches no lot, or does not tell which one of several.
    #[error("the reduction of {amount} in {account} {why}")]
    Lots {
        /// The account.
        account: String,
        /// What is to be taken away.
        amount: Amount,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A pad that no balance makes use of.
    #[error("the pad fills nothing: no balance of its account behind it lacks anything")]
    UnusedPad,
    /// A number that cannot be counted exactly.
    #[error(transparent)]
    Number(#[from] DecimalError),
    /// A file cannot be read.
    #[error("{path} cannot be read: {reason}")]
    Unreadable {
        /// The file.
        path: String,
        /// Why not.
        reason: String,
    },
    /// A file includes itself, maybe through others.
    #[error("{path} includes itself")]
    IncludeCycle {
        /// The file.
        path: String,
    },
    /// One of the bounds on what is read.
    #[error("more than {limit} {what}: split the journal")]
    TooMuch {
        /// What there is too much of.
        what: &'static str,
        /// How much is taken.
        limit: usize,
    },
}

/// What stands where something else was expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// The line ends there.
    End,
    /// This text, cut off at 40 characters.
    Text(String),
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::End => f.write_str("the end of the line"),
            Self::Text(text) => write!(f, "{text:?}"),
        }
    }
}

struct Listed<'a>(&'a [Amount]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, amount) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{amount}")?;
        }
        Ok(())
    }
}

impl Problem {
    /// Wrong there.
    pub(super) fn at(self, location: &Location) -> JournalError {
        JournalError {
            location: location.clone(),
            problem: Box::new(self),
        }
    }
}
