use std::collections::BTreeMap;
use std::sync::Arc;

use foldhouse::{Aggregate, Command, CommandContext, Decided, Decision, IdempotentCommand};
use serde::{Deserialize, Serialize};

use super::amount::Amount;
use crate::decimal::Decimal;

/// The longest description that is recorded with a posting, in characters; the rest is in the file it came from.
const DESCRIPTION_CHARS_MAX: usize = 256;
/// The longest account name that is its own id, in bytes; longer ones are shortened.
const PLAIN_ID_BYTES_MAX: usize = 100;

/// An account of a plain-text journal: what it has of each commodity.
///
/// Unlike a [`GlAccount`](crate::GlAccount) it takes whatever commodities come, needs no opening, and has no side and no
/// limit, as in plain-text accounting. That a transaction balances is checked before it is posted, and it is posted to
/// all its accounts or to none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BookAccount {
    name: String,
    balances: BTreeMap<Arc<str>, Decimal>,
    postings: u64,
}

/// What happens to a [`BookAccount`].
///
/// This is the persisted contract: names never change, and never change their meaning.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BookEvent {
    /// Its first posting is about to come.
    Named {
        /// Its whole name.
        name: String,
    },
    /// Something was posted.
    Posted {
        /// How much, in the order of the transaction's postings.
        lines: Vec<BookLine>,
        /// What for.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        description: String,
    },
}

/// So much of a commodity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BookLine {
    /// How much; what the account takes is positive.
    pub quantity: Decimal,
    /// Of what; empty for a bare number.
    pub commodity: Arc<str>,
}

impl Aggregate for BookAccount {
    const TYPE: &'static str = "book-account";

    type Event = BookEvent;

    fn apply(&mut self, event: &BookEvent) {
        match event {
            BookEvent::Named { name } => self.name.clone_from(name),
            BookEvent::Posted { lines, .. } => {
                for line in lines {
                    let has = self.balance(&line.commodity);
                    // A sum that does not fit is refused before it is recorded.
                    let sum = has.checked_add(line.quantity).unwrap_or(has);
                    if sum.is_zero() {
                        self.balances.remove(&line.commodity);
                    } else {
                        self.balances.insert(Arc::clone(&line.commodity), sum);
                    }
                }
                self.postings = self.postings.saturating_add(1);
            }
        }
    }
}

impl BookAccount {
    /// Its whole name; empty before the first posting.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it has of a commodity.
    #[must_use]
    pub fn balance(&self, commodity: &str) -> Decimal {
        self.balances.get(commodity).copied().unwrap_or_default()
    }

    /// All that it has, by commodity; what is zero is left out.
    #[must_use]
    pub fn balances(&self) -> &BTreeMap<Arc<str>, Decimal> {
        &self.balances
    }

    /// How many transactions have posted to it.
    #[must_use]
    pub fn postings(&self) -> u64 {
        self.postings
    }
}

/// Posts one transaction's lines to an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PostToBook {
    /// The account's whole name.
    pub account: Arc<str>,
    /// How much.
    pub lines: Vec<BookLine>,
    /// What for; recorded up to 256 characters.
    pub description: Arc<str>,
}

impl PostToBook {
    /// These amounts.
    #[must_use]
    pub fn new(account: Arc<str>, amounts: impl IntoIterator<Item = Amount>) -> Self {
        let lines = amounts.into_iter().map(|amount| BookLine {
            quantity: amount.quantity,
            commodity: amount.commodity,
        });
        Self {
            account,
            lines: lines.collect(),
            description: "".into(),
        }
    }

    /// With what it was for.
    #[must_use]
    pub fn description(mut self, description: impl Into<Arc<str>>) -> Self {
        self.description = description.into();
        self
    }
}

/// What a posting led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BookPosting {
    /// Its number among the account's postings, from 1.
    pub number: u64,
}

/// Why a posting is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BookRejection {
    /// The account of this id has another name: the id was not made by [`book_account_id`].
    #[error("the account is {there:?}, not {wanted:?}: make its id by `book_account_id`")]
    OtherAccount {
        /// The name it has.
        there: String,
        /// The name in the command.
        wanted: String,
    },
    /// The balance would have more digits than are counted exactly.
    #[error(
        "the balance of {commodity:?} in {account} would have more digits than are counted exactly"
    )]
    Overflow {
        /// The account.
        account: String,
        /// The commodity.
        commodity: Arc<str>,
    },
}

impl Command for PostToBook {
    type Aggregate = BookAccount;
    type Reply = BookPosting;
    type Rejection = BookRejection;

    fn decide(&self, account: &BookAccount, _: &CommandContext) -> Decided<Self> {
        let is_new = account.postings == 0;
        if !is_new && *account.name != *self.account {
            return Err(BookRejection::OtherAccount {
                there: account.name.clone(),
                wanted: self.account.to_string(),
            });
        }
        let mut after: BTreeMap<&str, Decimal> = BTreeMap::new();
        for line in &self.lines {
            let has = after
                .get(&*line.commodity)
                .copied()
                .unwrap_or_else(|| account.balance(&line.commodity));
            let sum = has.checked_add(line.quantity);
            let sum = sum.map_err(|_| BookRejection::Overflow {
                account: self.account.to_string(),
                commodity: Arc::clone(&line.commodity),
            })?;
            after.insert(&line.commodity, sum);
        }
        let named = is_new.then(|| BookEvent::Named {
            name: self.account.to_string(),
        });
        let description = self.description.chars().take(DESCRIPTION_CHARS_MAX);
        let posted = BookEvent::Posted {
            lines: self.lines.clone(),
            description: description.collect(),
        };
        let number = account.postings.saturating_add(1);
        Ok(Decision::events(
            named.into_iter().chain([posted]),
            BookPosting { number },
        ))
    }
}

impl IdempotentCommand for PostToBook {
    // Stands in the fingerprints of recorded commands: never change it.
    const NAME: &'static str = "post-to-book";
}

/// The id of the aggregate that is the account of this name.
///
/// A plain name is its own id. One that is long, or has a character that a stream id does not take, becomes its readable
/// part with a hash of all of it behind a `#`. Two names never have one id.
#[must_use]
pub fn book_account_id(name: &str) -> String {
    let is_plain = |next: char| next != '/' && next != '#' && !next.is_control();
    if !name.is_empty() && name.len() <= PLAIN_ID_BYTES_MAX && name.chars().all(is_plain) {
        return name.to_owned();
    }
    let readable: String = name
        .chars()
        .map(|next| if is_plain(next) { next } else { '_' })
        .take(12)
        .collect();
    let hash = blake3::hash(name.as_bytes()).to_hex();
    format!("{readable}#{hash}")
}
