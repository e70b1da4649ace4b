//! Which lot of several a posting takes from.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::NaiveDate;

use crate::decimal::{Decimal, DecimalError};
use crate::plain_text::amount::{Amount, Lot};
use crate::plain_text::journal::{LotOrder, Posting};
use crate::plain_text::problem::Problem;

/// The decimals of what one unit cost, where it is a part of a total that does not come out even.
const UNIT_COST_DECIMALS: u8 = 18;

/// What was bought together, and is still there.
#[derive(Clone, Debug)]
struct Held {
    commodity: Arc<str>,
    quantity: Decimal,
    unit_cost: Amount,
    date: NaiveDate,
    label: Option<String>,
}

/// The lots of all accounts.
#[derive(Clone, Debug, Default)]
pub(super) struct Lots(HashMap<Arc<str>, Vec<Held>>);

impl Lots {
    /// Adds to, or takes from, the lots of an account, and gives what it counts for: the cost.
    pub(super) fn take(
        &mut self,
        posting: &Posting,
        amount: &Amount,
        lot: &Lot,
        order: LotOrder,
        date: NaiveDate,
    ) -> Result<Amount, Problem> {
        let held = self.0.entry(Arc::clone(&posting.account)).or_default();
        let is_reduction = |held: &Held| {
            held.commodity == amount.commodity
                && held.quantity.is_negative() != amount.quantity.is_negative()
        };
        let refused = |why| Problem::Lots {
            account: posting.account.to_string(),
            amount: amount.clone(),
            why,
        };
        if order == LotOrder::None || amount.quantity.is_zero() || !held.iter().any(is_reduction) {
            let (unit_cost, weight) = cost(amount, lot)?
                .ok_or_else(|| refused("has no cost, and there is no lot that it could be from"))?;
            held.push(Held {
                commodity: Arc::clone(&amount.commodity),
                quantity: amount.quantity,
                unit_cost,
                date: lot.date.unwrap_or(date),
                label: lot.label.clone(),
            });
            return Ok(weight);
        }
        let wanted = cost(amount, lot)?.map(|(unit_cost, _)| unit_cost);
        let mut matching: Vec<usize> = Vec::new();
        for (index, held) in held.iter().enumerate() {
            let matches = held.commodity == amount.commodity
                && wanted
                    .as_ref()
                    .is_none_or(|wanted| *wanted == held.unit_cost)
                && lot.date.is_none_or(|date| date == held.date)
                && (lot.label.is_none() || lot.label == held.label);
            if matches {
                matching.push(index);
            }
        }
        merge_same(held, &mut matching)?;
        let reduced = match order {
            LotOrder::Fifo | LotOrder::Lifo => {
                matching.sort_by_key(|index| held.get(*index).map(|held| held.date));
                if order == LotOrder::Lifo {
                    matching.reverse();
                }
                matching
            }
            _ => strict(held, &matching, amount)?.ok_or_else(|| match matching.len() {
                0 => refused("matches none of its lots"),
                _ => refused("does not tell which one of several lots it is from"),
            })?,
        };
        let weight = reduce(held, &reduced, amount.quantity)?;
        held.retain(|held| !held.quantity.is_zero());
        weight.ok_or_else(|| refused("is more than its lots have"))
    }
}

/// What one unit cost and what all of it counts for, if the lot says so.
fn cost(amount: &Amount, lot: &Lot) -> Result<Option<(Amount, Amount)>, DecimalError> {
    let Some(total) = &lot.total else {
        return lot
            .per_unit
            .as_ref()
            .map(|per_unit| Ok((per_unit.clone(), per_unit.times(amount.quantity)?)))
            .transpose();
    };
    let size = amount.quantity.checked_abs()?;
    let mut all = total.quantity;
    if let Some(per_unit) = &lot.per_unit {
        all = all.checked_add(per_unit.quantity.checked_mul(size)?)?;
    }
    let unit_cost = all.checked_div(size, UNIT_COST_DECIMALS)?;
    let weight = if amount.quantity.is_negative() {
        all.checked_neg()?
    } else {
        all
    };
    let of = |quantity| Amount::new(quantity, Arc::clone(&total.commodity));
    Ok(Some((of(unit_cost), of(weight))))
}

/// Lots that cannot be told apart are one: the first of them gets it all.
fn merge_same(held: &mut [Held], matching: &mut Vec<usize>) -> Result<(), DecimalError> {
    let mut kept: Vec<usize> = Vec::new();
    for index in std::mem::take(matching) {
        let Some(this) = held.get(index).cloned() else {
            continue;
        };
        let is_same = |other: &Held| {
            other.unit_cost == this.unit_cost
                && other.date == this.date
                && other.label == this.label
        };
        let same = kept
            .iter()
            .copied()
            .find(|other| held.get(*other).is_some_and(is_same));
        match same.and_then(|same| held.get_mut(same)) {
            Some(same) => {
                same.quantity = same.quantity.checked_add(this.quantity)?;
                if let Some(this) = held.get_mut(index) {
                    this.quantity = Decimal::ZERO;
                }
            }
            None => kept.push(index),
        }
    }
    *matching = kept;
    Ok(())
}

/// The one lot that matches, or all of them if they are taken whole.
fn strict(
    held: &[Held],
    matching: &[usize],
    amount: &Amount,
) -> Result<Option<Vec<usize>>, DecimalError> {
    if let [only] = matching {
        return Ok(Some(vec![*only]));
    }
    let mut all = Decimal::ZERO;
    for held in matching.iter().filter_map(|index| held.get(*index)) {
        all = all.checked_add(held.quantity)?;
    }
    let is_all = !matching.is_empty() && all.checked_add(amount.quantity)?.is_zero();
    Ok(is_all.then(|| matching.to_vec()))
}

/// Takes from these lots, one after the other; none if they do not have as much.
fn reduce(
    held: &mut [Held],
    lots: &[usize],
    quantity: Decimal,
) -> Result<Option<Amount>, DecimalError> {
    let mut left = quantity;
    let mut weight: Option<Amount> = None;
    for index in lots {
        let Some(held) = held.get_mut(*index).filter(|_| !left.is_zero()) else {
            continue;
        };
        let after = held.quantity.checked_add(left)?;
        let flips = after.is_negative() != held.quantity.is_negative() && !after.is_zero();
        let taken = if flips {
            held.quantity.checked_neg()?
        } else {
            left
        };
        held.quantity = held.quantity.checked_add(taken)?;
        left = left.checked_sub(taken)?;
        let part = held.unit_cost.times(taken)?;
        weight = Some(match weight {
            Some(weight) => Amount {
                quantity: weight.quantity.checked_add(part.quantity)?,
                ..weight
            },
            None => part,
        });
    }
    Ok(weight.filter(|_| left.is_zero()))
}
