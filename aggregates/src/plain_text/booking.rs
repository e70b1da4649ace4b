//! From what a journal says to what it posts: amounts that were left out are inferred, transactions are balanced,
//! assertions are checked.

mod balancing;
mod beancount;
mod lots;
mod ordered;
mod pads;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use chrono::NaiveDate;
use uuid::Uuid;

use super::amount::Amount;
use super::dialect::Dialect;
use super::journal::Journal;
use super::problem::JournalError;
use crate::decimal::{Decimal, DecimalError};

/// What a journal posts.
#[derive(Clone, Debug, Default)]
pub struct Booked {
    /// Its transactions, in the order in which they stand in the journal; what pads insert stands where the pad does.
    pub transactions: Vec<BookedTransaction>,
    /// How many balance assertions were checked, and hold.
    pub assertions: u64,
}

/// What a transaction posts, completely.
#[derive(Clone, Debug)]
pub struct BookedTransaction {
    /// Which of the journal's entries it comes from.
    pub entry: usize,
    /// Its day.
    pub date: NaiveDate,
    /// What it was.
    pub description: Arc<str>,
    /// What it posts; one without an amount of its own may be several here, one for each commodity.
    pub postings: Vec<BookedPosting>,
}

/// What goes to one account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BookedPosting {
    /// The account.
    pub account: Arc<str>,
    /// How much; what it takes is positive.
    pub amount: Amount,
    /// Which of its transaction's postings it comes from.
    pub posting: usize,
}

/// Infers and checks everything: what the journal posts.
///
/// The rules are those of the journal's own program: which amounts are inferred, how far a transaction may be off, in
/// which order assertions are checked.
///
/// # Errors
/// All that does not hold, [`JOURNAL_ERRORS_MAX`](super::JOURNAL_ERRORS_MAX) at most.
pub fn book(journal: &Journal) -> Result<Booked, Vec<JournalError>> {
    match journal.dialect {
        Dialect::Hledger | Dialect::Ledger => ordered::book(journal),
        Dialect::Beancount => beancount::book(journal),
    }
}

impl Booked {
    /// What every account has in the end: by account and commodity, without what is zero.
    ///
    /// # Errors
    /// [`DecimalError::Overflow`].
    pub fn balances(&self) -> Result<BTreeMap<(Arc<str>, Arc<str>), Decimal>, DecimalError> {
        let mut balances: HashMap<(&Arc<str>, &Arc<str>), Decimal> = HashMap::new();
        for posting in self.transactions.iter().flat_map(|it| &it.postings) {
            let key = (&posting.account, &posting.amount.commodity);
            let balance = balances.entry(key).or_default();
            *balance = balance.checked_add(posting.amount.quantity)?;
        }
        let not_zero = balances
            .into_iter()
            .filter(|(_, balance)| !balance.is_zero());
        Ok(not_zero
            .map(|((account, commodity), balance)| {
                ((Arc::clone(account), Arc::clone(commodity)), balance)
            })
            .collect())
    }

    /// An id for each transaction, from what it says: the same for the same transaction whenever it is read, also when
    /// others are written before or behind it. Those that say the very same are told apart by counting them.
    #[must_use]
    pub fn ids(&self) -> Vec<Uuid> {
        let mut seen: HashMap<[u8; 32], u64> = HashMap::new();
        let ids = self.transactions.iter().map(|transaction| {
            let content = transaction.content();
            let count = seen.entry(content).or_default();
            *count = count.saturating_add(1);
            let mut hasher =
                blake3::Hasher::new_derive_key("foldhouse 2026 id of a plain-text transaction");
            hasher.update(&content);
            hasher.update(&count.to_le_bytes());
            let mut bytes = [0; 16];
            hasher.finalize_xof().fill(&mut bytes);
            uuid::Builder::from_custom_bytes(bytes).into_uuid()
        });
        ids.collect()
    }
}

impl BookedTransaction {
    /// A hash of what it says.
    fn content(&self) -> [u8; 32] {
        let mut hasher =
            blake3::Hasher::new_derive_key("foldhouse 2026 content of a plain-text transaction");
        let mut add = |text: &str| {
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        };
        add(&self.date.to_string());
        add(&self.description);
        for posting in &self.postings {
            add(&posting.account);
            add(&posting.amount.commodity);
            add(&posting.amount.quantity.normalized().to_string());
        }
        hasher.finalize().into()
    }
}
