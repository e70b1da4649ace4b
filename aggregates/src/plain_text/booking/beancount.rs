//! Beancount: everything in the order of its day; lots are matched, pads filled, balances compared.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use chrono::NaiveDate;

use super::lots::Lots;
use super::pads::Pads;
use super::tolerances::{Inferred, balance_tolerance};
use super::{Booked, BookedPosting, BookedTransaction};
use crate::decimal::{Decimal, DecimalError};
use crate::plain_text::amount::{Amount, Cost};
use crate::plain_text::journal::{
    Balance, Entry, EntryKind, Journal, LotOrder, Open, Posting, PostingKind, Tolerances,
    Transaction,
};
use crate::plain_text::problem::{JournalError, Problem};
use crate::plain_text::reading::JOURNAL_ERRORS_MAX;
use crate::plain_text::sums::{Running, Sum};

pub(super) fn book(journal: &Journal) -> Result<Booked, Vec<JournalError>> {
    let order = order(&journal.entries);
    let mut booking = Booking {
        tolerances: &journal.tolerances,
        accounts: HashMap::new(),
        lots: Lots::default(),
        errors: Vec::new(),
    };
    let mut booked: BTreeMap<usize, BookedTransaction> = BTreeMap::new();
    for (index, entry) in &order {
        if let Some(transaction) = booking.entry(*index, entry) {
            booked.insert(*index, transaction);
        }
        if booking.errors.len() >= JOURNAL_ERRORS_MAX {
            return Err(booking.errors);
        }
    }
    // What balances lack would follow from what is missing there.
    if !booking.errors.is_empty() {
        return Err(booking.errors);
    }
    let mut errors = Vec::new();
    let mut pads = Pads::new(&journal.tolerances);
    for (index, entry) in &order {
        if let Err(error) = pads.entry(*index, entry, booked.get(index)) {
            errors.push(error);
        }
    }
    match pads.filled(&journal.entries) {
        Ok(filled) => booked.extend(filled),
        Err(unused) => errors.extend(unused),
    }
    let assertions = check_balances(&journal.tolerances, &order, &booked, &mut errors);
    if errors.is_empty() {
        return Ok(Booked {
            transactions: booked.into_values().collect(),
            assertions,
        });
    }
    errors.truncate(JOURNAL_ERRORS_MAX);
    Err(errors)
}

/// By day; what opens and what is balanced comes first on its day, and what closes last.
fn order(entries: &[Entry]) -> Vec<(usize, &Entry)> {
    let mut order: Vec<(NaiveDate, i8, u32, usize, &Entry)> = entries
        .iter()
        .enumerate()
        .filter_map(|(index, entry)| {
            let (date, rank) = match &entry.kind {
                EntryKind::Transaction(transaction) => (transaction.date, 0),
                EntryKind::Open(open) => (open.date?, -2),
                EntryKind::Balance(balance) => (balance.date, -1),
                EntryKind::Pad { date, .. } => (*date, 0),
                EntryKind::Close { date, .. } => (*date, 2),
                _ => return None,
            };
            Some((date, rank, entry.at.line, index, entry))
        })
        .collect();
    order.sort_by_key(|(date, rank, line, index, _)| (*date, *rank, *line, *index));
    order
        .into_iter()
        .map(|(_, _, _, index, entry)| (index, entry))
        .collect()
}

#[derive(Clone, Debug)]
struct OpenAccount<'j> {
    open: &'j Open,
    closed: bool,
}

struct Booking<'j> {
    tolerances: &'j Tolerances,
    accounts: HashMap<&'j str, OpenAccount<'j>>,
    lots: Lots,
    errors: Vec<JournalError>,
}

impl<'j> Booking<'j> {
    fn entry(&mut self, index: usize, entry: &'j Entry) -> Option<BookedTransaction> {
        let problem = match &entry.kind {
            EntryKind::Open(open) => self.open(open),
            EntryKind::Close { account, date } => self.close(account, *date),
            EntryKind::Balance(balance) => self.compared(balance),
            EntryKind::Pad {
                account,
                source,
                date,
            } => [account, source]
                .into_iter()
                .find_map(|account| self.not_open(account, *date)),
            EntryKind::Transaction(transaction) => {
                return match self.transaction(transaction) {
                    Ok(postings) => Some(BookedTransaction {
                        entry: index,
                        date: transaction.date,
                        description: describe(transaction),
                        postings,
                    }),
                    Err(error) => {
                        self.errors.push(error);
                        None
                    }
                };
            }
            _ => None,
        };
        if let Some(problem) = problem {
            self.errors.push(problem.at(&entry.at));
        }
        None
    }

    fn open(&mut self, open: &'j Open) -> Option<Problem> {
        let opened = OpenAccount {
            open,
            closed: false,
        };
        let before = self.accounts.insert(&open.account, opened);
        before.map(|_| Problem::OpenedTwice {
            account: open.account.to_string(),
        })
    }

    fn close(&mut self, account: &str, date: NaiveDate) -> Option<Problem> {
        match self.accounts.get_mut(account) {
            Some(open) if !open.closed => {
                open.closed = true;
                None
            }
            _ => Some(Problem::NotOpen {
                account: account.to_owned(),
                date,
            }),
        }
    }

    /// What is compared must have been opened, and may be closed.
    fn compared(&self, balance: &Balance) -> Option<Problem> {
        let Some(account) = self.accounts.get(&*balance.account) else {
            return self.not_open(&balance.account, balance.date);
        };
        let commodity = &balance.amount.commodity;
        let allowed = &account.open.commodities;
        (!allowed.is_empty() && !allowed.contains(commodity)).then(|| {
            Problem::CommodityNotAllowed {
                account: balance.account.to_string(),
                commodity: commodity.to_string(),
            }
        })
    }

    fn not_open(&self, account: &str, date: NaiveDate) -> Option<Problem> {
        let is_open = match self.accounts.get(account) {
            Some(open) => !open.closed,
            None => self.tolerances.opens_accounts,
        };
        (!is_open).then(|| Problem::NotOpen {
            account: account.to_owned(),
            date,
        })
    }

    fn transaction(
        &mut self,
        transaction: &Transaction,
    ) -> Result<Vec<BookedPosting>, JournalError> {
        let tolerances = Inferred::of(transaction, self.tolerances)
            .map_err(|error| Problem::from(error).at(&transaction.at))?;
        let mut sum = Sum::default();
        let mut booked = Vec::with_capacity(transaction.postings.len());
        let mut open = None;
        for (index, posting) in transaction.postings.iter().enumerate() {
            if let Some(problem) = self.not_open(&posting.account, transaction.date) {
                return Err(problem.at(&posting.at));
            }
            let Some(amount) = &posting.amount else {
                if open.replace((index, posting)).is_some() {
                    return Err(Problem::SeveralElided.at(&posting.at));
                }
                continue;
            };
            let weight = self
                .weight(posting, amount, transaction.date)
                .map_err(|problem| problem.at(&posting.at))?;
            let overflow = |error: DecimalError| Problem::from(error).at(&posting.at);
            sum.add(&weight).map_err(overflow)?;
            booked.push(self.booked(posting, amount.clone(), weight, index)?);
        }
        let overflow = |error: DecimalError| Problem::from(error).at(&transaction.at);
        match open {
            Some((index, posting)) => {
                for mut amount in sum.negated().map_err(overflow)? {
                    amount.quantity = tolerances.quantized(&amount).map_err(overflow)?;
                    booked.push(self.booked(posting, amount.clone(), amount, index)?);
                }
                booked.sort_by_key(|posting| posting.posting);
            }
            None => check_residual(&sum, &tolerances, transaction)?,
        }
        Ok(booked)
    }

    fn booked(
        &self,
        posting: &Posting,
        amount: Amount,
        weight: Amount,
        index: usize,
    ) -> Result<BookedPosting, JournalError> {
        if let Some(account) = self.accounts.get(&*posting.account) {
            let allowed = &account.open.commodities;
            if !allowed.is_empty() && !allowed.contains(&amount.commodity) {
                let problem = Problem::CommodityNotAllowed {
                    account: posting.account.to_string(),
                    commodity: amount.commodity.to_string(),
                };
                return Err(problem.at(&posting.at));
            }
        }
        Ok(BookedPosting {
            account: Arc::clone(&posting.account),
            amount,
            weight,
            kind: PostingKind::Real,
            posting: index,
            is_generated: false,
        })
    }

    /// What a posting counts for: its cost, or else its price.
    fn weight(
        &mut self,
        posting: &Posting,
        amount: &Amount,
        date: NaiveDate,
    ) -> Result<Amount, Problem> {
        if let Some(lot) = &posting.lot {
            let account = self.accounts.get(&*posting.account);
            let order = account.and_then(|account| account.open.booking);
            let order: LotOrder = order.unwrap_or_default();
            return self.lots.take(posting, amount, lot, order, date);
        }
        Ok(match &posting.cost {
            Some(Cost::PerUnit(price)) => price.times(amount.quantity)?,
            Some(Cost::Total(total)) if amount.quantity.is_negative() => {
                total.times(Decimal::whole(-1))?
            }
            Some(Cost::Total(total)) => total.clone(),
            None => amount.clone(),
        })
    }
}

fn describe(transaction: &Transaction) -> Arc<str> {
    match &transaction.payee {
        Some(payee) => format!("{payee} | {}", transaction.description).into(),
        None => transaction.description.as_str().into(),
    }
}

fn check_residual(
    sum: &Sum,
    tolerances: &Inferred<'_>,
    transaction: &Transaction,
) -> Result<(), JournalError> {
    let overflow = |error: DecimalError| Problem::from(error).at(&transaction.at);
    let mut residual = Vec::new();
    for amount in sum.amounts() {
        let size = amount.quantity.checked_abs().map_err(overflow)?;
        if size > tolerances.allowed(&amount.commodity) {
            let quantity = amount.quantity.normalized();
            residual.push(Amount::new(quantity, Arc::clone(&amount.commodity)));
        }
    }
    if residual.is_empty() {
        Ok(())
    } else {
        Err(Problem::Unbalanced { residual }.at(&transaction.at))
    }
}

fn check_balances(
    settings: &Tolerances,
    order: &[(usize, &Entry)],
    booked: &BTreeMap<usize, BookedTransaction>,
    errors: &mut Vec<JournalError>,
) -> u64 {
    let mut running = Running::default();
    let mut checked: u64 = 0;
    for (index, entry) in order {
        let done = match &entry.kind {
            EntryKind::Balance(balance) => {
                checked = checked.saturating_add(1);
                check_balance(balance, settings, &running)
            }
            _ => booked.get(index).map_or(Ok(()), |transaction| {
                let mut postings = transaction.postings.iter();
                postings
                    .try_for_each(|posting| running.add(&posting.account, &posting.amount))
                    .map_err(Problem::from)
            }),
        };
        if let Err(problem) = done {
            errors.push(problem.at(&entry.at));
        }
    }
    checked
}

fn check_balance(
    balance: &Balance,
    settings: &Tolerances,
    running: &Running,
) -> Result<(), Problem> {
    let commodity = &balance.amount.commodity;
    let actual = running.of_commodity(&balance.account, commodity, true)?;
    let off = balance.amount.quantity.checked_sub(actual)?.checked_abs()?;
    if off <= balance_tolerance(balance, settings)? {
        return Ok(());
    }
    Err(Problem::AssertionFailed {
        account: balance.account.to_string(),
        asserted: balance.amount.clone(),
        actual: actual.normalized(),
    })
}
