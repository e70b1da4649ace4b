//! The order in which hledger and Ledger see postings: by day, or as they stand in the files.

use chrono::NaiveDate;

use crate::plain_text::dialect::Dialect;
use crate::plain_text::journal::{Posting, Transaction};

/// When something is posted: a whole transaction, or one of its postings on a day of its own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    date: NaiveDate,
    pub(super) transaction: usize,
    pub(super) posting: Option<usize>,
}

pub(super) fn moments(dialect: Dialect, transactions: &[(usize, &Transaction)]) -> Vec<Moment> {
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

pub(super) fn is_assignment(posting: &Posting) -> bool {
    posting.amount.is_none() && posting.assertion.is_some()
}
