use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::date::BookDate;
use super::exchange::Exchange;
use super::names::{AccountId, EntryId, HoldId};
use super::terms::Side;
use crate::currency::Currency;
use crate::money::Money;

/// The most lines of an entry or hold; the replies of all of them must fit what the store remembers for a retry.
pub const ENTRY_LINES_MAX: usize = 180;
/// The most references of an entry, and the most tags.
pub const ENTRY_REFERENCES_MAX: usize = 16;
/// The longest description, reference, tag name or tag value, in bytes.
pub const ENTRY_TEXT_BYTES_MAX: usize = 500;

/// One line of an entry: an amount on one side of one account. Persisted with its field names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryLine {
    /// The account.
    pub account: AccountId,
    /// On which side.
    pub side: Side,
    /// How much; positive, in the account's currency.
    pub amount: Money,
}

impl EntryLine {
    /// A debit of that account.
    #[must_use]
    pub fn debit(account: impl Into<AccountId>, amount: Money) -> Self {
        Self {
            account: account.into(),
            side: Side::Debit,
            amount,
        }
    }

    /// A credit of that account.
    #[must_use]
    pub fn credit(account: impl Into<AccountId>, amount: Money) -> Self {
        Self {
            account: account.into(),
            side: Side::Credit,
            amount,
        }
    }

    /// The same amount on the other side.
    #[must_use]
    pub fn reversed(&self) -> Self {
        Self {
            side: self.side.opposite(),
            ..self.clone()
        }
    }
}

/// What kind of entry it is, and which one it points at.
///
/// Variant and field names are persisted: they never change and never change their meaning.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum EntryKind {
    /// What happened in the business.
    #[default]
    Ordinary,
    /// Takes back another entry, line by line.
    Reversal {
        /// The entry that it takes back.
        of: EntryId,
    },
    /// Stands in the place of another entry, which was reversed.
    Correction {
        /// The entry that it corrects.
        of: EntryId,
    },
    /// Posts a hold, in full or in part.
    HoldPosting {
        /// The hold.
        hold: HoldId,
    },
    /// Carries income and expenses forward into retained earnings. The income statement passes over it.
    Closing,
    /// Values what is held in a foreign currency at a day's rate.
    Revaluation {
        /// The rate.
        rate: Exchange,
    },
    /// Transfers what is available, up to an amount.
    UpTo {
        /// The most that was to be transferred.
        amount: Money,
    },
}

/// A journal entry: what is posted together, on one day, for one reason.
///
/// ```
/// use foldhouse_aggregates::{Entry, Money};
///
/// let price: Money = "1210.00 CZK".parse()?;
/// let entry = Entry::new("INV-2026-7", "2026-01-31".parse()?)
///     .describe("Invoice 7")
///     .debit("311", price)
///     .credit("602", "1000.00 CZK".parse()?)
///     .credit("343", "210.00 CZK".parse()?)
///     .reference("order 4711")
///     .tag("project", "north");
/// assert_eq!(entry.check(), Ok(()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Persisted with its field names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The caller's id of it.
    pub id: EntryId,
    /// The day on which it counts.
    pub date: BookDate,
    /// What for.
    #[serde(default)]
    pub description: String,
    /// Its lines, in the caller's order.
    pub lines: Vec<EntryLine>,
    /// The documents that it rests on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<String>,
    /// Further facts, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// What kind of entry it is.
    #[serde(default)]
    pub kind: EntryKind,
    /// What was exchanged by it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exchanges: Vec<Exchange>,
    /// Why it may go into a soft-closed period; without it, it may not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub soft_close_override: Option<String>,
}

/// Why an entry cannot be posted whatever the accounts have: it is wrong in itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EntryFault {
    /// An entry has two sides.
    #[error("the entry has {lines} lines; it takes 2 to {ENTRY_LINES_MAX}")]
    LineCount {
        /// How many it has.
        lines: usize,
    },
    /// Its kind is one that only the ledger gives, with what belongs to it.
    #[error(
        "an entry of this kind is made by the ledger itself; reverse, correct or post the hold instead"
    )]
    NotOrdinary,
    /// A line's amount is zero or negative.
    #[error(
        "line {line} ({account}) has {amount}; give a positive amount, on the other side to take back"
    )]
    NotPositive {
        /// Which line, from 1.
        line: usize,
        /// Its account.
        account: AccountId,
        /// Its amount.
        amount: Money,
    },
    /// Debits and credits of a currency differ.
    #[error(
        "the entry does not balance in {}: debits of {debits} and credits of {credits} minor units; \
         add what is missing, or exchange it", .currency.code()
    )]
    Unbalanced {
        /// The currency.
        currency: Currency,
        /// The sum of the debits, in minor units.
        debits: i128,
        /// The sum of the credits, in minor units.
        credits: i128,
    },
    /// A text is too long.
    #[error("the {part} has {bytes} bytes; the limit is {ENTRY_TEXT_BYTES_MAX}: shorten it")]
    TextTooLong {
        /// Which text.
        part: &'static str,
        /// Its length.
        bytes: usize,
    },
    /// It has too many references or tags.
    #[error("the entry has {count} {part}; the limit is {ENTRY_REFERENCES_MAX}")]
    TooMany {
        /// Which part: `references` or `tags`.
        part: &'static str,
        /// How many.
        count: usize,
    },
}

impl Entry {
    /// An entry without lines.
    #[must_use]
    pub fn new(id: impl Into<EntryId>, date: BookDate) -> Self {
        Self {
            id: id.into(),
            date,
            description: String::new(),
            lines: Vec::new(),
            references: Vec::new(),
            tags: BTreeMap::new(),
            kind: EntryKind::Ordinary,
            exchanges: Vec::new(),
            soft_close_override: None,
        }
    }

    /// With this description.
    #[must_use]
    pub fn describe(mut self, text: impl Into<String>) -> Self {
        self.description = text.into();
        self
    }

    /// With one more line: a debit.
    #[must_use]
    pub fn debit(self, account: impl Into<AccountId>, amount: Money) -> Self {
        self.line(EntryLine::debit(account, amount))
    }

    /// With one more line: a credit.
    #[must_use]
    pub fn credit(self, account: impl Into<AccountId>, amount: Money) -> Self {
        self.line(EntryLine::credit(account, amount))
    }

    /// With one more line.
    #[must_use]
    pub fn line(mut self, line: EntryLine) -> Self {
        self.lines.push(line);
        self
    }

    /// Resting on this document.
    #[must_use]
    pub fn reference(mut self, text: impl Into<String>) -> Self {
        self.references.push(text.into());
        self
    }

    /// With this fact.
    #[must_use]
    pub fn tag(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.tags.insert(name.into(), value.into());
        self
    }

    /// Also into a soft-closed period, for this reason; it is recorded.
    #[must_use]
    pub fn override_soft_close(mut self, reason: impl Into<String>) -> Self {
        self.soft_close_override = Some(reason.into());
        self
    }

    /// With two more lines that exchange `given` into `got` over a pair of conversion accounts, one in each currency
    /// (the trading accounts of Peter Selinger's tutorial). What is given is debited to its conversion account, what
    /// is got is credited to the other one; the caller's own lines take and bring the money.
    #[must_use]
    pub fn exchange(
        mut self,
        given: Money,
        given_account: impl Into<AccountId>,
        got: Money,
        got_account: impl Into<AccountId>,
    ) -> Self {
        self.exchanges.push(Exchange { given, got });
        self.debit(given_account, given).credit(got_account, got)
    }

    /// Whether it is right in itself: it has lines, positive amounts, and balances in each currency.
    ///
    /// # Errors
    /// [`EntryFault`] names the first thing that is wrong.
    pub fn check(&self) -> Result<(), EntryFault> {
        check_lines(&self.lines)?;
        let texts = [("description", self.description.as_str())].into_iter();
        let overridden = self.soft_close_override.as_deref();
        let texts = texts
            .chain(overridden.map(|text| ("reason for the override", text)))
            .chain(
                self.references
                    .iter()
                    .map(|text| ("reference", text.as_str())),
            )
            .chain(self.tags.keys().map(|text| ("tag name", text.as_str())))
            .chain(self.tags.values().map(|text| ("tag value", text.as_str())));
        for (part, text) in texts {
            check_text(part, text)?;
        }
        for (part, count) in [
            ("references", self.references.len()),
            ("tags", self.tags.len()),
        ] {
            if count > ENTRY_REFERENCES_MAX {
                return Err(EntryFault::TooMany { part, count });
            }
        }
        Ok(())
    }
}

pub(super) fn check_text(part: &'static str, text: &str) -> Result<(), EntryFault> {
    let bytes = text.len();
    if bytes > ENTRY_TEXT_BYTES_MAX {
        return Err(EntryFault::TextTooLong { part, bytes });
    }
    Ok(())
}

/// Whether lines are positive and balance in each currency.
pub(super) fn check_lines(lines: &[EntryLine]) -> Result<(), EntryFault> {
    if !(2..=ENTRY_LINES_MAX).contains(&lines.len()) {
        return Err(EntryFault::LineCount { lines: lines.len() });
    }
    let mut sums: BTreeMap<Currency, (i128, i128)> = BTreeMap::new();
    for (line, number) in lines.iter().zip(1..) {
        if !line.amount.is_positive() {
            return Err(EntryFault::NotPositive {
                line: number,
                account: line.account.clone(),
                amount: line.amount,
            });
        }
        let (debits, credits) = sums.entry(line.amount.currency()).or_default();
        let sum = match line.side {
            Side::Debit => debits,
            Side::Credit => credits,
        };
        // As many lines as there may be do not fill 128 bits.
        *sum = sum.saturating_add(line.amount.minor_units().into());
    }
    let unbalanced = sums
        .into_iter()
        .find(|(_, (debits, credits))| debits != credits);
    match unbalanced {
        Some((currency, (debits, credits))) => Err(EntryFault::Unbalanced {
            currency,
            debits,
            credits,
        }),
        None => Ok(()),
    }
}
