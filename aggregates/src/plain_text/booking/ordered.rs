//! hledger and Ledger: what an account has at a moment matters for assertions, and for amounts that follow from them.
//! hledger looks at the days, Ledger at the order in the file.

use std::sync::Arc;

use chrono::NaiveDate;

use super::balancing::Rules;
use super::{Booked, BookedPosting, BookedTransaction};
use crate::decimal::Decimal;
use crate::plain_text::amount::{Amount, Assertion};
use crate::plain_text::dialect::Dialect;
use crate::plain_text::journal::{EntryKind, Journal, Posting, PostingKind, Transaction};
use crate::plain_text::problem::{JournalError, Problem};
use crate::plain_text::reading::JOURNAL_ERRORS_MAX;
use crate::plain_text::sums::{Running, Sum};

pub(super) fn book(journal: &Journal) -> Result<Booked, Vec<JournalError>> {
    let rules = Rules {
        dialect: journal.dialect,
        decimals: &journal.decimals,
    };
    let transactions: Vec<(usize, &Transaction)> = journal
        .entries
        .iter()
        .enumerate()
        .filter_map(|(index, entry)| match &entry.kind {
            EntryKind::Transaction(transaction) => Some((index, &**transaction)),
            _ => None,
        })
        .collect();
    let mut booking = Booking {
        rules,
        running: Running::default(),
        real: Running::default(),
        assertions: 0,
    };
    let mut booked = vec![None; transactions.len()];
    let mut errors = Vec::new();
    for moment in moments(journal.dialect, &transactions) {
        if errors.len() >= JOURNAL_ERRORS_MAX {
            break;
        }
        let (Some((_, transaction)), Some(place)) = (
            transactions.get(moment.transaction),
            booked.get_mut(moment.transaction),
        ) else {
            continue;
        };
        let done = match moment.posting {
            None => booking.whole(transaction, place),
            Some(posting) => booking.single(transaction, posting, place),
        };
        if let Err(error) = done {
            errors.push(error);
        }
    }
    if !errors.is_empty() {
        errors.sort_by(|left, right| left.location.cmp(&right.location));
        errors.dedup();
        return Err(errors);
    }
    let transactions = transactions.into_iter().zip(booked);
    Ok(Booked {
        transactions: transactions
            .map(|((entry, transaction), postings)| BookedTransaction {
                entry,
                date: transaction.date,
                description: transaction.description.as_str().into(),
                postings: postings.unwrap_or_default(),
            })
            .collect(),
        assertions: booking.assertions,
    })
}

/// When something is posted: a whole transaction, or one of its postings on a day of its own.
#[derive(Clone, Copy, Debug)]
struct Moment {
    date: NaiveDate,
    transaction: usize,
    posting: Option<usize>,
}

fn moments(dialect: Dialect, transactions: &[(usize, &Transaction)]) -> Vec<Moment> {
    let mut moments = Vec::with_capacity(transactions.len());
    for (number, (_, transaction)) in transactions.iter().enumerate() {
        let date = transaction.date;
        let moment = |date, posting| Moment {
            date,
            transaction: number,
            posting,
        };
        let has_own_date = transaction.postings.iter().any(|it| it.date.is_some());
        let assigns = transaction.postings.iter().any(is_assignment);
        if dialect == Dialect::Hledger && has_own_date && !assigns {
            for (index, posting) in transaction.postings.iter().enumerate() {
                moments.push(moment(posting.date.unwrap_or(date), Some(index)));
            }
        } else {
            moments.push(moment(date, None));
        }
    }
    if dialect == Dialect::Hledger {
        moments.sort_by_key(|moment| moment.date);
    }
    moments
}

fn is_assignment(posting: &Posting) -> bool {
    posting.amount.is_none() && posting.assertion.is_some()
}

struct Booking<'j> {
    rules: Rules<'j>,
    running: Running,
    /// Without virtual postings, which Ledger leaves out of the balances of others.
    real: Running,
    assertions: u64,
}

type Place = Option<Vec<BookedPosting>>;

impl Booking<'_> {
    /// Posts all of a transaction, inferring on the way.
    fn whole(&mut self, transaction: &Transaction, place: &mut Place) -> Result<(), JournalError> {
        let mut booked = Vec::with_capacity(transaction.postings.len());
        // hledger infers first where nothing depends on what accounts have.
        let inferred_first = self.rules.dialect == Dialect::Hledger
            && !transaction.postings.iter().any(is_assignment);
        if inferred_first {
            let postings = self.balanced(transaction)?;
            for index in 0..transaction.postings.len() {
                self.post(transaction, index, &postings)?;
            }
            *place = Some(postings);
            return Ok(());
        }
        for (index, posting) in transaction.postings.iter().enumerate() {
            let amounts = match (&posting.amount, &posting.assertion) {
                (Some(amount), _) => vec![amount.clone()],
                (None, Some(assertion)) => self.assigned(posting, assertion)?,
                (None, None) => continue,
            };
            let first = booked.len();
            booked.extend(amounts.into_iter().map(|amount| BookedPosting {
                account: Arc::clone(&posting.account),
                amount,
                posting: index,
            }));
            let new = booked.get(first..).unwrap_or_default().to_vec();
            self.post(transaction, index, &new)?;
        }
        let inferred = self.rules.complete(transaction, &booked)?;
        for posting in &inferred {
            self.add(transaction, posting)?;
        }
        booked.extend(inferred);
        booked.sort_by_key(|posting| posting.posting);
        *place = Some(booked);
        Ok(())
    }

    /// Posts one posting of a transaction on its own day.
    fn single(
        &mut self,
        transaction: &Transaction,
        index: usize,
        place: &mut Place,
    ) -> Result<(), JournalError> {
        let postings = match place.take() {
            Some(postings) => postings,
            None => self.balanced(transaction)?,
        };
        let posted = self.post(transaction, index, &postings);
        *place = Some(postings);
        posted
    }

    /// A transaction of which no amount hangs on what accounts have.
    fn balanced(&self, transaction: &Transaction) -> Result<Vec<BookedPosting>, JournalError> {
        let mut booked: Vec<BookedPosting> = transaction
            .postings
            .iter()
            .enumerate()
            .filter_map(|(index, posting)| {
                Some(BookedPosting {
                    account: Arc::clone(&posting.account),
                    amount: posting.amount.clone()?,
                    posting: index,
                })
            })
            .collect();
        let inferred = self.rules.complete(transaction, &booked)?;
        if !inferred.is_empty() {
            booked.extend(inferred);
            booked.sort_by_key(|posting| posting.posting);
        }
        Ok(booked)
    }

    /// Adds what a posting posts, and checks what its account should have then.
    fn post(
        &mut self,
        transaction: &Transaction,
        index: usize,
        booked: &[BookedPosting],
    ) -> Result<(), JournalError> {
        for booked in booked.iter().filter(|booked| booked.posting == index) {
            self.add(transaction, booked)?;
        }
        let posting = transaction.postings.get(index);
        if let Some((posting, assertion)) =
            posting.and_then(|posting| Some((posting, posting.assertion.as_ref()?)))
        {
            self.check(posting, assertion)?;
            self.assertions = self.assertions.saturating_add(1);
        }
        Ok(())
    }

    fn add(
        &mut self,
        transaction: &Transaction,
        booked: &BookedPosting,
    ) -> Result<(), JournalError> {
        let overflow = |error| Problem::Number(error).at(&transaction.at);
        self.running
            .add(&booked.account, &booked.amount)
            .map_err(overflow)?;
        let posting = transaction.postings.get(booked.posting);
        if self.rules.dialect == Dialect::Ledger
            && posting.is_some_and(|posting| posting.kind == PostingKind::Real)
        {
            self.real
                .add(&booked.account, &booked.amount)
                .map_err(overflow)?;
        }
        Ok(())
    }

    fn balances_for(&self, posting: &Posting) -> &Running {
        if self.rules.dialect == Dialect::Ledger && posting.kind == PostingKind::Real {
            &self.real
        } else {
            &self.running
        }
    }

    /// What has to be posted so that the account has what is said.
    fn assigned(
        &self,
        posting: &Posting,
        assertion: &Assertion,
    ) -> Result<Vec<Amount>, JournalError> {
        let amount = &assertion.amount;
        let overflow = |error| Problem::Number(error).at(&assertion.at);
        let has = self.balances_for(posting);
        if assertion.sole || self.is_all_commodities(amount) {
            let mut missing = Sum::default();
            for amount in has
                .of(&posting.account, assertion.inclusive)
                .and_then(|sum| sum.negated())
                .map_err(overflow)?
            {
                missing.add(&amount).map_err(overflow)?;
            }
            missing.add(amount).map_err(overflow)?;
            return Ok(missing.amounts().to_vec());
        }
        let has = has
            .of_commodity(&posting.account, &amount.commodity, assertion.inclusive)
            .map_err(overflow)?;
        let quantity = amount.quantity.checked_sub(has).map_err(overflow)?;
        let commodity = Arc::clone(&amount.commodity);
        Ok(vec![Amount {
            quantity,
            commodity,
        }])
    }

    /// A bare zero means in Ledger that there is nothing of anything.
    fn is_all_commodities(&self, amount: &Amount) -> bool {
        self.rules.dialect == Dialect::Ledger
            && amount.commodity.is_empty()
            && amount.quantity.is_zero()
    }

    fn check(&self, posting: &Posting, assertion: &Assertion) -> Result<(), JournalError> {
        let asserted = &assertion.amount;
        let overflow = |error| Problem::Number(error).at(&assertion.at);
        let has = self.balances_for(posting);
        let account = || posting.account.to_string();
        let quantity = has
            .of_commodity(&posting.account, &asserted.commodity, assertion.inclusive)
            .map_err(overflow)?;
        let off = asserted.quantity.checked_sub(quantity).map_err(overflow)?;
        if !self.looks_zero(off, &asserted.commodity) {
            let actual = Amount::new(quantity.normalized(), Arc::clone(&asserted.commodity));
            let failed = Problem::AssertionFailed {
                account: account(),
                asserted: asserted.clone(),
                actual,
            };
            return Err(failed.at(&assertion.at));
        }
        if !(assertion.sole || self.is_all_commodities(asserted)) {
            return Ok(());
        }
        let all = has
            .of(&posting.account, assertion.inclusive)
            .map_err(overflow)?;
        let is_other = |amount: &&Amount| {
            amount.commodity != asserted.commodity
                && !self.looks_zero(amount.quantity, &amount.commodity)
        };
        let others: Vec<Amount> = all.amounts().iter().filter(is_other).cloned().collect();
        if others.is_empty() {
            return Ok(());
        }
        let failed = Problem::AssertionNotSole {
            account: account(),
            asserted: asserted.clone(),
            others,
        };
        Err(failed.at(&assertion.at))
    }

    /// hledger compares exactly, Ledger with the decimals that the commodity has.
    fn looks_zero(&self, quantity: Decimal, commodity: &str) -> bool {
        match self.rules.decimals.get(commodity) {
            Some(decimals) if self.rules.dialect == Dialect::Ledger => {
                quantity.rounded_half_up(*decimals).is_zero()
            }
            _ => quantity.is_zero(),
        }
    }
}
