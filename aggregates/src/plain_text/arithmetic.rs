//! Sums and products in place of an amount: `(3 * 4.50 EUR)`.

use std::sync::Arc;

use super::amount::Amount;
use super::cursor::Cursor;
use super::problem::JournalError;
use crate::decimal::{Decimal, DecimalError};

/// How deep parentheses stand within each other at most.
const DEPTH_MAX: u8 = 32;
/// The decimals of a quotient that has no end.
const QUOTIENT_DECIMALS: u8 = 20;

/// Reads what a sum is made of.
pub(super) type Atom<'a, 't> = dyn FnMut(&mut Cursor<'t>) -> Result<Amount, JournalError> + 'a;

/// Reads an expression up to where no operator follows.
pub(super) fn expression<'t>(
    cursor: &mut Cursor<'t>,
    atom: &mut Atom<'_, 't>,
) -> Result<Amount, JournalError> {
    sum(cursor, atom, 0)
}

fn sum<'t>(
    cursor: &mut Cursor<'t>,
    atom: &mut Atom<'_, 't>,
    depth: u8,
) -> Result<Amount, JournalError> {
    let mut left = product(cursor, atom, depth)?;
    loop {
        cursor.skip_spaces();
        let minus = match cursor.peek() {
            Some('+') => false,
            Some('-') => true,
            _ => return Ok(left),
        };
        let operator = cursor.clone();
        cursor.skip(1);
        let right = product(cursor, atom, depth)?;
        let commodity = match (left.commodity.is_empty(), right.commodity.is_empty()) {
            (_, true) => Arc::clone(&left.commodity),
            (true, false) => Arc::clone(&right.commodity),
            (false, false) if left.commodity == right.commodity => Arc::clone(&left.commodity),
            (false, false) => return Err(operator.expected("amounts of one commodity")),
        };
        let sum = if minus {
            left.quantity.checked_sub(right.quantity)
        } else {
            left.quantity.checked_add(right.quantity)
        };
        left = Amount {
            quantity: sum.map_err(|error| operator.problem(error.into()))?,
            commodity,
        };
    }
}

fn product<'t>(
    cursor: &mut Cursor<'t>,
    atom: &mut Atom<'_, 't>,
    depth: u8,
) -> Result<Amount, JournalError> {
    let mut left = factor(cursor, atom, depth)?;
    loop {
        cursor.skip_spaces();
        let divides = match cursor.peek() {
            Some('*') => false,
            Some('/') => true,
            _ => return Ok(left),
        };
        let operator = cursor.clone();
        cursor.skip(1);
        let right = factor(cursor, atom, depth)?;
        let commodity = match (left.commodity.is_empty(), right.commodity.is_empty()) {
            (_, true) => Arc::clone(&left.commodity),
            (true, false) if !divides => Arc::clone(&right.commodity),
            _ => return Err(operator.expected("a number without a commodity behind it")),
        };
        let result = if divides {
            quotient(left.quantity, right.quantity)
        } else {
            left.quantity.checked_mul(right.quantity)
        };
        left = Amount {
            quantity: result.map_err(|error| operator.problem(error.into()))?,
            commodity,
        };
    }
}

fn quotient(left: Decimal, right: Decimal) -> Result<Decimal, DecimalError> {
    left.checked_div(right, QUOTIENT_DECIMALS)
}

fn factor<'t>(
    cursor: &mut Cursor<'t>,
    atom: &mut Atom<'_, 't>,
    depth: u8,
) -> Result<Amount, JournalError> {
    cursor.skip_spaces();
    if depth >= DEPTH_MAX {
        return Err(cursor.unsupported("an expression this deep"));
    }
    let deeper = depth.saturating_add(1);
    if cursor.eat('-') {
        let inner = factor(cursor, atom, deeper)?;
        let negated = inner.quantity.checked_neg();
        return Ok(Amount {
            quantity: negated.map_err(|error| cursor.problem(error.into()))?,
            ..inner
        });
    }
    if cursor.eat('+') {
        return factor(cursor, atom, deeper);
    }
    if cursor.eat('(') {
        let inner = sum(cursor, atom, deeper)?;
        cursor.skip_spaces();
        if !cursor.eat(')') {
            return Err(cursor.expected("`)`"));
        }
        return Ok(inner);
    }
    atom(cursor)
}
