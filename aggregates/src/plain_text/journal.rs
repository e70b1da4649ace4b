use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::NaiveDate;

use super::amount::{Amount, Assertion, Cost, Lot};
use super::dialect::Dialect;
use super::location::Location;
use crate::decimal::Decimal;

/// A journal as it was read: what its files say, in their order, before anything is inferred or checked.
#[derive(Clone, Debug)]
pub struct Journal {
    /// The format it was written in.
    pub dialect: Dialect,
    /// Its entries.
    pub entries: Vec<Entry>,
    /// How many decimals amounts of a commodity have: as declared, or the most that were written.
    pub decimals: BTreeMap<Arc<str>, u8>,
    /// Settings of a beancount file that balances depend on.
    pub tolerances: Tolerances,
    /// What was read and, as the format has it, does not count: periodic transactions, say.
    pub notes: Vec<Note>,
    /// The files that were read, in the order of their first lines.
    pub files: Vec<Arc<str>>,
}

/// Something that the reader of a journal should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Where.
    pub location: Location,
    /// What.
    pub text: String,
}

/// How far a beancount transaction may be off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tolerances {
    /// Where nothing is inferred; under `*` for all other commodities.
    pub default: BTreeMap<String, Decimal>,
    /// What part of the last digit.
    pub multiplier: Decimal,
    /// Whether costs count, too.
    pub from_cost: bool,
}

impl Default for Tolerances {
    fn default() -> Self {
        Self {
            default: BTreeMap::new(),
            // Half of the last digit.
            multiplier: Decimal::new(5, 1).unwrap_or(Decimal::ZERO),
            from_cost: false,
        }
    }
}

/// One entry.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Where it starts.
    pub at: Location,
    /// What it is.
    pub kind: EntryKind,
}

/// What an entry is.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum EntryKind {
    /// A transaction.
    Transaction(Box<Transaction>),
    /// The price of a commodity on a day.
    Price(Price),
    /// An account is declared, or opened.
    Open(Open),
    /// An account takes no more postings from that day on.
    Close {
        /// The day.
        date: NaiveDate,
        /// The account.
        account: Arc<str>,
    },
    /// A commodity is declared.
    Commodity {
        /// The day, in beancount.
        date: Option<NaiveDate>,
        /// Which.
        commodity: Arc<str>,
    },
    /// What an account has at the beginning of a day, its sub-accounts included (beancount).
    Balance(Balance),
    /// What is missing at the next balance comes from another account (beancount).
    Pad {
        /// The day.
        date: NaiveDate,
        /// The account that is filled up.
        account: Arc<str>,
        /// Where it comes from.
        source: Arc<str>,
    },
    /// Something that balances do not depend on, as it was written: a note, an event, a document.
    Other {
        /// Its text.
        text: String,
    },
}

/// The price of a commodity on a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Price {
    /// The day.
    pub date: NaiveDate,
    /// Of one unit of what.
    pub commodity: Arc<str>,
    /// How much.
    pub amount: Amount,
}

/// An account is declared, or opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Open {
    /// The day, in beancount.
    pub date: Option<NaiveDate>,
    /// Which.
    pub account: Arc<str>,
    /// The only commodities that it takes; all if there are none.
    pub commodities: Vec<Arc<str>>,
    /// How its lots are found, in beancount.
    pub booking: Option<LotOrder>,
}

/// How the lot is found that a posting takes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LotOrder {
    /// It must be clear from what the posting says.
    #[default]
    Strict,
    /// The oldest first.
    Fifo,
    /// The newest first.
    Lifo,
    /// Lots are not matched.
    None,
}

/// What an account has at the beginning of a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Balance {
    /// The day.
    pub date: NaiveDate,
    /// The account.
    pub account: Arc<str>,
    /// How much.
    pub amount: Amount,
    /// How far it may be off, where that is said.
    pub tolerance: Option<Decimal>,
}

/// A transaction.
#[derive(Clone, Debug)]
pub struct Transaction {
    /// Where it starts.
    pub at: Location,
    /// Its day.
    pub date: NaiveDate,
    /// Another day for it: `2026-01-31=2026-02-02`.
    pub secondary_date: Option<NaiveDate>,
    /// Whether it has cleared.
    pub status: Status,
    /// Its code or number, `(INV-17)`.
    pub code: Option<String>,
    /// Whom it was with; beancount keeps that apart from the description.
    pub payee: Option<String>,
    /// What it was.
    pub description: String,
    /// Its tags and metadata.
    pub tags: Vec<Tag>,
    /// Links to other entries (beancount).
    pub links: Vec<String>,
    /// Its comments, a line each.
    pub comment: String,
    /// What it posts.
    pub postings: Vec<Posting>,
}

/// A tag, or a piece of metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    /// Its name.
    pub name: String,
    /// Its value, as text; empty for a tag without one.
    pub value: String,
}

/// Whether something has cleared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Status {
    /// Nothing is said.
    #[default]
    Unmarked,
    /// `!`
    Pending,
    /// `*`
    Cleared,
    /// Another flag of beancount's.
    Flag(char),
}

/// A line of a transaction.
#[derive(Clone, Debug)]
pub struct Posting {
    /// Where its account stands.
    pub at: Location,
    /// Its account, aliases and prefixes applied.
    pub account: Arc<str>,
    /// Whether it must balance.
    pub kind: PostingKind,
    /// Whether it has cleared.
    pub status: Status,
    /// Its own day, where it is not the transaction's.
    pub date: Option<NaiveDate>,
    /// How much; inferred if it is left out.
    pub amount: Option<Amount>,
    /// Its lot.
    pub lot: Option<Lot>,
    /// What it was exchanged for.
    pub cost: Option<Cost>,
    /// What the account should have after it.
    pub assertion: Option<Assertion>,
    /// Its comments, a line each.
    pub comment: String,
}

/// Whether a posting must balance with others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PostingKind {
    /// It must, as bookkeeping has it.
    #[default]
    Real,
    /// `(account)`: it need not.
    Virtual,
    /// `[account]`: it must, with others of its kind.
    BalancedVirtual,
}
