use std::sync::Arc;

use super::reader::Reader;
use crate::decimal::Decimal;
use crate::plain_text::amount::{Amount, Assertion, Cost, Lot};
use crate::plain_text::arithmetic;
use crate::plain_text::cursor::Cursor;
use crate::plain_text::dates;
use crate::plain_text::dialect::Dialect;
use crate::plain_text::numeral::{Numeral, numeral};
use crate::plain_text::problem::JournalError;

/// An amount and how it was written.
#[derive(Clone, Debug)]
pub(super) struct Written {
    pub(super) amount: Amount,
    /// Whether it has a commodity of its own.
    pub(super) has_commodity: bool,
}

/// What stands behind a posting's account.
#[derive(Clone, Debug, Default)]
pub(super) struct Figures {
    pub(super) amount: Option<Amount>,
    pub(super) lot: Option<Lot>,
    pub(super) cost: Option<Cost>,
    pub(super) assertion: Option<Assertion>,
}

fn is_commodity_char(next: char, dialect: Dialect) -> bool {
    if next.is_whitespace() || next.is_ascii_digit() {
        return false;
    }
    match dialect {
        Dialect::Hledger => !"-+.@*;\"{}=(),[]".contains(next),
        _ => !".,;:?!-+*/^&|=<>{}[]()@\"~#%'\\".contains(next) || next == '%',
    }
}

impl Reader<'_> {
    /// All that stands behind a posting's account, up to a comment or the end.
    pub(super) fn figures(&mut self, cursor: &mut Cursor<'_>) -> Result<Figures, JournalError> {
        let mut figures = Figures::default();
        cursor.skip_spaces();
        if cursor.is_at_end() || cursor.peek() == Some(';') {
            return Ok(figures);
        }
        if cursor.peek() != Some('=') {
            let amount = self.value(cursor)?;
            self.see_decimals(&amount);
            figures.amount = Some(amount);
        }
        loop {
            cursor.skip_spaces();
            match cursor.peek() {
                None | Some(';') => return Ok(figures),
                Some('{') => self.lot_cost(cursor, figures.lot.get_or_insert_default())?,
                Some('[') => {
                    cursor.skip(1);
                    let date = dates::date(cursor, self.scope.default_year)?;
                    if !cursor.eat(']') {
                        return Err(cursor.expected("`]`"));
                    }
                    figures.lot.get_or_insert_default().date = Some(date);
                }
                Some('(') if cursor.rest().starts_with("(@") => {
                    figures.cost = Some(self.cost(cursor)?);
                }
                Some('(') if !cursor.rest().starts_with("((") => {
                    cursor.skip(1);
                    let label = cursor.take_until(')')?;
                    figures.lot.get_or_insert_default().label = Some(label.to_owned());
                }
                Some('@') => figures.cost = Some(self.cost(cursor)?),
                Some('=') => figures.assertion = Some(self.assertion(cursor)?),
                _ => {
                    return Err(
                        cursor.expected("a cost, a balance assertion, a comment or nothing")
                    );
                }
            }
        }
    }

    /// An amount, or in Ledger an expression in parentheses.
    pub(super) fn value(&mut self, cursor: &mut Cursor<'_>) -> Result<Amount, JournalError> {
        if self.dialect() == Dialect::Ledger && cursor.peek() == Some('(') {
            // What it is made of has no default commodity: factors have none.
            let start = cursor.clone();
            let mut atom = |cursor: &mut Cursor<'_>| self.written(cursor).map(|it| it.amount);
            cursor.skip(1);
            let amount = arithmetic::expression(cursor, &mut atom)?;
            cursor.skip_spaces();
            if !cursor.eat(')') {
                return Err(start.unsupported("an expression with more than numbers in it"));
            }
            return Ok(amount);
        }
        self.amount(cursor)
    }

    /// An amount; one without a commodity is of the default one.
    pub(super) fn amount(&mut self, cursor: &mut Cursor<'_>) -> Result<Amount, JournalError> {
        let written = self.written(cursor)?;
        match &self.scope.default_commodity {
            Some((commodity, _))
                if !written.has_commodity && self.dialect() == Dialect::Hledger =>
            {
                Ok(Amount {
                    commodity: Arc::clone(commodity),
                    ..written.amount
                })
            }
            _ => Ok(written.amount),
        }
    }

    /// An amount as it stands there: the sign before or behind a commodity on the left, or a commodity on the right.
    pub(super) fn written(&mut self, cursor: &mut Cursor<'_>) -> Result<Written, JournalError> {
        let start = cursor.clone();
        let mut negative = sign(cursor);
        let left = self.commodity(cursor)?;
        if left.is_some() {
            cursor.skip_spaces();
            negative ^= sign(cursor);
        }
        let number = numeral(cursor, self.dialect()).map_err(|error| {
            if left.is_some() {
                error
            } else {
                start.expected("an amount")
            }
        })?;
        let right = match left {
            Some(_) => None,
            None => {
                let behind = cursor.clone();
                cursor.skip_spaces();
                let right = self.commodity(cursor)?;
                if right.is_none() {
                    *cursor = behind;
                }
                right
            }
        };
        let commodity = left.or(right);
        let has_commodity = commodity.is_some();
        let commodity = commodity.unwrap_or_default();
        let quantity = self.quantity(&start, number, &commodity, negative)?;
        Ok(Written {
            amount: Amount {
                quantity,
                commodity,
            },
            has_commodity,
        })
    }

    fn quantity(
        &self,
        start: &Cursor<'_>,
        number: Numeral<'_>,
        commodity: &str,
        negative: bool,
    ) -> Result<Decimal, JournalError> {
        let mark = self.decimal_mark_of(commodity);
        let size = number
            .value(self.dialect(), mark)
            .map_err(|problem| start.problem(problem))?;
        if negative {
            size.checked_neg()
                .map_err(|error| start.problem(error.into()))
        } else {
            Ok(size)
        }
    }

    /// A commodity's symbol or quoted name, if one stands here.
    pub(super) fn commodity(
        &mut self,
        cursor: &mut Cursor<'_>,
    ) -> Result<Option<Arc<str>>, JournalError> {
        if cursor.eat('"') {
            let name = cursor.take_until('"')?;
            return Ok(Some(self.commodity_named(name)));
        }
        let dialect = self.dialect();
        let symbol = cursor.take_while(|next| is_commodity_char(next, dialect));
        Ok((!symbol.is_empty()).then(|| self.commodity_named(symbol)))
    }

    /// `@`, `@@`, and with parentheses around.
    fn cost(&mut self, cursor: &mut Cursor<'_>) -> Result<Cost, JournalError> {
        let in_parentheses = cursor.eat('(');
        cursor.eat('@');
        let total = cursor.eat('@');
        if in_parentheses && !cursor.eat(')') {
            return Err(cursor.expected("`)`"));
        }
        cursor.skip_spaces();
        // Ledger's fixed price; what it fixes is the market value, not the cost.
        if cursor.eat('=') {
            cursor.skip_spaces();
        }
        let amount = self.value(cursor)?;
        Ok(if total {
            Cost::Total(amount)
        } else {
            Cost::PerUnit(amount)
        })
    }

    /// `{10 EUR}`, `{=10 EUR}`, `{{100 EUR}}`.
    fn lot_cost(&mut self, cursor: &mut Cursor<'_>, lot: &mut Lot) -> Result<(), JournalError> {
        cursor.eat('{');
        let total = cursor.eat('{');
        cursor.skip_spaces();
        cursor.eat('=');
        cursor.skip_spaces();
        let amount = self.value(cursor)?;
        cursor.skip_spaces();
        if !cursor.eat_text(if total { "}}" } else { "}" }) {
            return Err(cursor.expected("`}`"));
        }
        if total {
            lot.total = Some(amount);
        } else {
            lot.per_unit = Some(amount);
        }
        Ok(())
    }

    /// `=`, `==`, `=*`, `==*`.
    fn assertion(&mut self, cursor: &mut Cursor<'_>) -> Result<Assertion, JournalError> {
        let at = cursor.location();
        cursor.eat('=');
        let sole = cursor.eat('=');
        let inclusive = cursor.eat('*');
        cursor.skip_spaces();
        let amount = self.value(cursor)?;
        cursor.skip_spaces();
        // Its cost and its lot are not compared.
        loop {
            match cursor.peek() {
                Some('@') => drop(self.cost(cursor)?),
                Some('{') => self.lot_cost(cursor, &mut Lot::default())?,
                _ => break,
            }
            cursor.skip_spaces();
        }
        Ok(Assertion {
            at,
            amount,
            sole,
            inclusive,
        })
    }
}

fn sign(cursor: &mut Cursor<'_>) -> bool {
    let negative = cursor.eat('-');
    if negative || cursor.eat('+') {
        cursor.skip_spaces();
    }
    negative
}
