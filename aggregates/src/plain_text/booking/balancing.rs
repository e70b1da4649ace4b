use std::collections::BTreeMap;
use std::sync::Arc;

use super::BookedPosting;
use crate::decimal::{Decimal, DecimalError};
use crate::plain_text::amount::{Amount, Cost};
use crate::plain_text::dialect::Dialect;
use crate::plain_text::journal::{Posting, PostingKind, Transaction};
use crate::plain_text::problem::{JournalError, Problem};
use crate::plain_text::sums::Sum;

/// How hledger and Ledger balance.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules<'j> {
    pub(super) dialect: Dialect,
    pub(super) decimals: &'j BTreeMap<Arc<str>, u8>,
}

impl Rules<'_> {
    /// Balances a transaction, of whose postings these are known already; what is inferred is added to them.
    pub(super) fn complete(
        self,
        transaction: &Transaction,
        known: &[BookedPosting],
    ) -> Result<Vec<BookedPosting>, JournalError> {
        let mut inferred = Vec::new();
        for kind in [PostingKind::Real, PostingKind::BalancedVirtual] {
            self.complete_kind(transaction, kind, known, &mut inferred)?;
        }
        Ok(inferred)
    }

    fn complete_kind(
        self,
        transaction: &Transaction,
        kind: PostingKind,
        known: &[BookedPosting],
        inferred: &mut Vec<BookedPosting>,
    ) -> Result<(), JournalError> {
        let at = |error: DecimalError| Problem::from(error).at(&transaction.at);
        let mut sum = Sum::default();
        for booked in known {
            if let Some(posting) = of_kind(transaction, booked.posting, kind) {
                let weight = self.weight(posting, &booked.amount);
                let weight = weight.map_err(|error| Problem::from(error).at(&posting.at))?;
                sum.add(&weight).map_err(at)?;
            }
        }
        let is_open = |(_, posting): &(usize, &Posting)| {
            posting.kind == kind && posting.amount.is_none() && posting.assertion.is_none()
        };
        let mut open = transaction.postings.iter().enumerate().filter(is_open);
        let Some((index, posting)) = open.next() else {
            return if self.is_balanced(transaction, kind, &sum) {
                Ok(())
            } else {
                Err(self.unbalanced(&sum).at(&transaction.at))
            };
        };
        if let Some((_, second)) = open.next() {
            return Err(Problem::SeveralElided.at(&second.at));
        }
        for amount in sum.negated().map_err(at)? {
            inferred.push(BookedPosting {
                account: Arc::clone(&posting.account),
                amount,
                posting: index,
            });
        }
        Ok(())
    }

    /// What a posting counts for when its transaction is balanced.
    fn weight(self, posting: &Posting, amount: &Amount) -> Result<Amount, DecimalError> {
        let total = |total: &Amount| {
            if amount.quantity.is_negative() {
                total.times(Decimal::whole(-1))
            } else {
                Ok(total.clone())
            }
        };
        // Ledger counts what is sold at what it was bought for; hledger passes over lots.
        if let Some(lot) = &posting.lot
            && self.dialect == Dialect::Ledger
        {
            if let Some(per_unit) = &lot.per_unit {
                return per_unit.times(amount.quantity);
            }
            if let Some(cost) = &lot.total {
                return total(cost);
            }
        }
        match &posting.cost {
            Some(Cost::PerUnit(cost)) => cost.times(amount.quantity),
            Some(Cost::Total(cost)) => total(cost),
            None => Ok(amount.clone()),
        }
    }

    fn is_balanced(self, transaction: &Transaction, kind: PostingKind, sum: &Sum) -> bool {
        let left: Vec<&Amount> = self.left_over(sum).collect();
        match left.as_slice() {
            [] => true,
            // An exchange whose rate is not written down.
            [one, other] => {
                let of_kind = transaction.postings.iter().filter(|it| it.kind == kind);
                let has_cost = of_kind.clone().any(|posting| posting.cost.is_some());
                !has_cost && one.quantity.is_negative() != other.quantity.is_negative()
            }
            _ => false,
        }
    }

    /// What does not look like zero with the decimals that the commodity has.
    fn left_over(self, sum: &Sum) -> impl Iterator<Item = &Amount> {
        sum.amounts().iter().filter(move |amount| {
            let rounded = match self.decimals.get(&amount.commodity) {
                Some(decimals) => amount.quantity.rounded(*decimals),
                None => amount.quantity,
            };
            !rounded.is_zero()
        })
    }

    fn unbalanced(self, sum: &Sum) -> Problem {
        let mut residual: Vec<Amount> = self.left_over(sum).cloned().collect();
        for amount in &mut residual {
            amount.quantity = amount.quantity.normalized();
        }
        Problem::Unbalanced { residual }
    }
}

fn of_kind(transaction: &Transaction, index: usize, kind: PostingKind) -> Option<&Posting> {
    let posting = transaction.postings.get(index)?;
    (posting.kind == kind).then_some(posting)
}
