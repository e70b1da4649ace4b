use std::sync::Arc;

use super::reader::Reader;
use crate::decimal::Decimal;
use crate::plain_text::amount::Amount;
use crate::plain_text::arithmetic;
use crate::plain_text::cursor::Cursor;
use crate::plain_text::dialect::Dialect;
use crate::plain_text::numeral::numeral;
use crate::plain_text::problem::JournalError;

/// A string in quotes, if one stands here.
pub(super) fn string(cursor: &mut Cursor<'_>) -> Result<Option<String>, JournalError> {
    let start = cursor.clone();
    if !cursor.eat('"') {
        return Ok(None);
    }
    let mut text = String::new();
    loop {
        match cursor.peek() {
            None => return Err(start.expected("a string that ends in a quote")),
            Some('"') => {
                cursor.skip(1);
                return Ok(Some(text));
            }
            Some('\\') => {
                cursor.skip(1);
                let Some(escaped) = cursor.peek() else {
                    continue;
                };
                cursor.skip(escaped.len_utf8());
                text.push(match escaped {
                    'n' => '\n',
                    't' => '\t',
                    other => other,
                });
            }
            Some(next) => {
                cursor.skip(next.len_utf8());
                text.push(next);
            }
        }
    }
}

/// A string in quotes, which must stand here.
pub(super) fn needed_string(cursor: &mut Cursor<'_>) -> Result<String, JournalError> {
    cursor.skip_spaces();
    match string(cursor)? {
        Some(text) => Ok(text),
        None => Err(cursor.expected("a string in quotes")),
    }
}

/// A comment, or nothing.
pub(super) fn end_of_line(cursor: &mut Cursor<'_>) -> Result<(), JournalError> {
    cursor.skip_spaces();
    if cursor.is_at_end() || cursor.peek() == Some(';') {
        Ok(())
    } else {
        Err(cursor.expected("a comment or the end of the line"))
    }
}

/// Whether a number or an expression begins here.
pub(super) fn begins_number(cursor: &Cursor<'_>) -> bool {
    cursor
        .peek()
        .is_some_and(|next| next.is_ascii_digit() || matches!(next, '-' | '+' | '(' | '.'))
}

impl Reader<'_> {
    /// A number, or a sum of some.
    pub(super) fn number(&mut self, cursor: &mut Cursor<'_>) -> Result<Decimal, JournalError> {
        let mut atom = |cursor: &mut Cursor<'_>| {
            let start = cursor.clone();
            let number = numeral(cursor, Dialect::Beancount)?;
            // Commas only group digits.
            let quantity = number
                .value(Dialect::Beancount, Some('.'))
                .map_err(|problem| start.problem(problem))?;
            Ok(Amount::new(quantity, ""))
        };
        arithmetic::expression(cursor, &mut atom).map(|amount| amount.quantity)
    }

    /// A number and a commodity.
    pub(super) fn amount(&mut self, cursor: &mut Cursor<'_>) -> Result<Amount, JournalError> {
        if !begins_number(cursor) {
            return Err(cursor.unsupported("an amount without its number"));
        }
        let quantity = self.number(cursor)?;
        cursor.skip_spaces();
        let commodity = self.commodity(cursor)?;
        Ok(Amount {
            quantity,
            commodity,
        })
    }

    /// `EUR`, `AAPL`, `VBMPX.A`.
    pub(super) fn commodity(&mut self, cursor: &mut Cursor<'_>) -> Result<Arc<str>, JournalError> {
        let start = cursor.clone();
        let name = cursor.take_while(|next| {
            next.is_ascii_uppercase()
                || next.is_ascii_digit()
                || matches!(next, '\'' | '.' | '_' | '-' | '/')
        });
        let is_name = name.starts_with(|next: char| next.is_ascii_uppercase() || next == '/')
            && name.ends_with(|next: char| next.is_ascii_uppercase() || next.is_ascii_digit());
        if is_name {
            Ok(self.name(name))
        } else {
            Err(start.expected("a commodity in capital letters"))
        }
    }

    /// `Assets:Bank:Current`.
    pub(super) fn account(&mut self, cursor: &mut Cursor<'_>) -> Result<Arc<str>, JournalError> {
        let start = cursor.clone();
        let name = cursor.take_while(|next| {
            next.is_alphanumeric() || matches!(next, ':' | '-') || !next.is_ascii()
        });
        let mut parts = name.split(':');
        let root = parts.next().unwrap_or_default();
        let is_part = |part: &str| {
            part.starts_with(|next: char| {
                next.is_uppercase() || next.is_ascii_digit() || !next.is_ascii()
            })
        };
        if self.roots.iter().any(|known| known == root) && name.contains(':') && parts.all(is_part)
        {
            Ok(self.name(name))
        } else {
            Err(start.expected("an account below Assets, Liabilities, Equity, Income or Expenses"))
        }
    }
}
