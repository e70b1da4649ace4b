//! How far Beancount lets amounts be off.

use std::collections::HashMap;

use crate::decimal::{Decimal, DecimalError};
use crate::plain_text::amount::{Amount, Cost};
use crate::plain_text::journal::{Balance, Posting, Tolerances, Transaction};

/// How far a transaction may be off, by what its amounts are written with.
#[derive(Debug)]
pub(super) struct Inferred<'j> {
    by_commodity: HashMap<&'j str, Decimal>,
    default: Decimal,
}

impl<'j> Inferred<'j> {
    pub(super) fn of(
        transaction: &'j Transaction,
        settings: &'j Tolerances,
    ) -> Result<Self, DecimalError> {
        let mut by_commodity: HashMap<&str, Decimal> = settings
            .default
            .iter()
            .map(|(commodity, tolerance)| (commodity.as_str(), *tolerance))
            .collect();
        let mut by_cost: HashMap<&str, Decimal> = HashMap::new();
        for posting in &transaction.postings {
            let Some(amount) = &posting.amount else {
                continue;
            };
            let decimals = amount.quantity.decimals();
            if decimals == 0 {
                continue;
            }
            let tolerance = Decimal::new(1, decimals)?.checked_mul(settings.multiplier)?;
            let most = by_commodity.entry(&amount.commodity).or_insert(tolerance);
            *most = tolerance.max(*most);
            if settings.from_cost {
                for cost in costs(posting) {
                    let part = tolerance.checked_mul(cost.quantity)?;
                    let part = part.min(Decimal::new(5, 1)?);
                    let sum = by_cost.entry(&cost.commodity).or_default();
                    *sum = sum.checked_add(part)?;
                }
            }
        }
        for (commodity, tolerance) in by_cost {
            let most = by_commodity.entry(commodity).or_insert(tolerance);
            *most = tolerance.max(*most);
        }
        let default = by_commodity.remove("*").unwrap_or_default();
        Ok(Self {
            by_commodity,
            default,
        })
    }

    pub(super) fn allowed(&self, commodity: &str) -> Decimal {
        let known = self.by_commodity.get(commodity).copied();
        known.unwrap_or(self.default)
    }

    /// An inferred amount has no more decimals than the amounts beside it.
    pub(super) fn quantized(&self, amount: &Amount) -> Result<Decimal, DecimalError> {
        let tolerance = self.allowed(&amount.commodity);
        let step = tolerance.checked_mul(Decimal::whole(2))?.normalized();
        // Only a neat step is one that somebody meant.
        if step.is_zero() || step.mantissa().unsigned_abs() >= 100_000 {
            return Ok(amount.quantity);
        }
        Ok(amount.quantity.rounded(step.decimals()))
    }
}

fn costs(posting: &Posting) -> impl Iterator<Item = &Amount> {
    let lot = posting.lot.iter();
    let of_lot = lot.flat_map(|lot| lot.total.iter().chain(&lot.per_unit));
    let price = posting.cost.iter().map(|cost| match cost {
        Cost::PerUnit(amount) | Cost::Total(amount) => amount,
    });
    of_lot.chain(price)
}

/// How far a balance may be off.
pub(super) fn balance_tolerance(
    balance: &Balance,
    settings: &Tolerances,
) -> Result<Decimal, DecimalError> {
    if let Some(tolerance) = balance.tolerance {
        return Ok(tolerance);
    }
    match balance.amount.quantity.decimals() {
        0 => Ok(Decimal::ZERO),
        decimals => {
            let twice = settings.multiplier.checked_mul(Decimal::whole(2))?;
            Decimal::new(1, decimals)?.checked_mul(twice)
        }
    }
}
