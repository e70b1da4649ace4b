//! The lines of a transaction with costs such that it balances exactly, whatever a program tolerates.

use std::sync::Arc;

use crate::decimal::{Decimal, DecimalError};
use crate::plain_text::amount::{Amount, Cost};
use crate::plain_text::booking::{BookedPosting, BookedTransaction};
use crate::plain_text::journal::{Posting, PostingKind, Transaction};
use crate::plain_text::location::Location;
use crate::plain_text::problem::{JournalError, Problem};
use crate::plain_text::sums::Sum;

/// The decimals of a part of a rate that does not come out even.
const PART_DECIMALS: u8 = 12;

/// A line as it is written.
#[derive(Clone, Debug)]
pub(super) struct Line<'b> {
    pub(super) booked: &'b BookedPosting,
    /// What the journal says about it.
    pub(super) source: Option<&'b Posting>,
    pub(super) cost: Option<Cost>,
}

/// The lines of a transaction. With `implied`, an exchange may stand there without its rate.
pub(super) fn lines<'b>(
    transaction: &'b BookedTransaction,
    source: Option<&'b Transaction>,
    at: &Location,
    implied: bool,
) -> Result<Vec<Line<'b>>, JournalError> {
    let overflow = |error: DecimalError| Problem::from(error).at(at);
    let mut lines = Vec::with_capacity(transaction.postings.len());
    for booked in &transaction.postings {
        let posting = source
            .filter(|_| !booked.is_generated)
            .and_then(|source| source.postings.get(booked.posting));
        let cost = cost_of(booked, posting).map_err(overflow)?;
        lines.push(Line {
            booked,
            source: posting,
            cost,
        });
    }
    for kind in [PostingKind::Real, PostingKind::BalancedVirtual] {
        even_out(&mut lines, kind, implied, at)?;
    }
    Ok(lines)
}

/// The cost as it was written, where that is what counts; else all that it counts for.
fn cost_of(booked: &BookedPosting, source: Option<&Posting>) -> Result<Option<Cost>, DecimalError> {
    let BookedPosting { amount, weight, .. } = booked;
    if amount == weight {
        return Ok(None);
    }
    if let Some(Cost::PerUnit(price)) = source.and_then(|posting| posting.cost.as_ref())
        && price.times(amount.quantity)? == *weight
    {
        return Ok(Some(Cost::PerUnit(price.clone())));
    }
    Ok(Some(Cost::Total(size(weight)?)))
}

fn size(amount: &Amount) -> Result<Amount, DecimalError> {
    Ok(Amount {
        quantity: amount.quantity.checked_abs()?,
        commodity: Arc::clone(&amount.commodity),
    })
}

/// Puts what is left over into a cost.
fn even_out(
    lines: &mut [Line<'_>],
    kind: PostingKind,
    implied: bool,
    at: &Location,
) -> Result<(), JournalError> {
    let overflow = |error: DecimalError| Problem::from(error).at(at);
    let mut sum = Sum::default();
    let of_kind = |line: &Line<'_>| line.booked.kind == kind;
    for line in lines.iter().filter(|line| of_kind(line)) {
        sum.add(&line.booked.weight).map_err(overflow)?;
    }
    let left: Vec<Amount> = sum
        .amounts()
        .iter()
        .filter(|amount| !amount.quantity.is_zero())
        .cloned()
        .collect();
    let has_cost = lines
        .iter()
        .any(|line| of_kind(line) && line.cost.is_some());
    match left.as_slice() {
        [] => return Ok(()),
        [_, _] if implied && !has_cost => return Ok(()),
        [one, other] if !has_cost => {
            return spread(lines, kind, one, other).map_err(overflow);
        }
        _ => {}
    }
    for left in &left {
        let adjusted = lines.iter_mut().find(|line| {
            of_kind(line) && line.cost.is_some() && line.booked.weight.commodity == left.commodity
        });
        let Some(line) = adjusted else {
            let problem = Problem::Unbalanced {
                residual: vec![left.clone()],
            };
            return Err(problem.at(at));
        };
        let weight = &line.booked.weight;
        let quantity = weight
            .quantity
            .checked_sub(left.quantity)
            .map_err(overflow)?;
        let weight = Amount::new(quantity, Arc::clone(&weight.commodity));
        line.cost = Some(Cost::Total(size(&weight).map_err(overflow)?));
    }
    Ok(())
}

/// An exchange of `one` for `other` gets its rate: what was given for all, in parts.
fn spread(
    lines: &mut [Line<'_>],
    kind: PostingKind,
    one: &Amount,
    other: &Amount,
) -> Result<(), DecimalError> {
    let mut left = other.quantity.checked_neg()?;
    let meant = |line: &&mut Line<'_>| {
        line.booked.kind == kind
            && line.booked.amount.commodity == one.commodity
            && !line.booked.amount.quantity.is_zero()
    };
    let mut meant: Vec<&mut Line<'_>> = lines.iter_mut().filter(meant).collect();
    let last = meant.len().saturating_sub(1);
    for (index, line) in meant.iter_mut().enumerate() {
        let part = if index == last {
            left
        } else {
            let share = line.booked.amount.quantity.checked_mul(other.quantity)?;
            share
                .checked_div(one.quantity, PART_DECIMALS)?
                .checked_neg()?
        };
        left = left.checked_sub(part)?;
        let total = Amount::new(part, Arc::clone(&other.commodity));
        line.cost = Some(Cost::Total(size(&total)?));
    }
    let _ = Decimal::ZERO;
    Ok(())
}
