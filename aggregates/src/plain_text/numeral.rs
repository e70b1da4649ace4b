//! Numbers as people write them: `1,234.50`, `1.234,50`, `1 234,50`, `.5`, `1E3`.

use super::cursor::Cursor;
use super::dialect::Dialect;
use super::problem::{JournalError, Problem};
use crate::decimal::{Decimal, DecimalError};

/// A number as written; which of its marks is the decimal one may be seen only when its commodity is known.
#[derive(Clone, Copy, Debug)]
pub(super) struct Numeral<'t> {
    text: &'t str,
    exponent: i8,
}

fn is_group_space(space: char) -> bool {
    matches!(space, ' ' | '\u{a0}' | '\u{202f}' | '\u{2009}')
}

/// Reads a number without a sign.
pub(super) fn numeral<'t>(
    cursor: &mut Cursor<'t>,
    dialect: Dialect,
) -> Result<Numeral<'t>, JournalError> {
    let rest = cursor.rest();
    let is_digit_at = |at: usize| {
        rest.get(at..)
            .and_then(|rest| rest.chars().next())
            .is_some_and(|next| next.is_ascii_digit())
    };
    let mut end = 0;
    let mut after_digit = false;
    for (at, next) in rest.char_indices() {
        let behind = at.saturating_add(next.len_utf8());
        let belongs = match next {
            '0'..='9' | '.' | ',' => true,
            '\'' => dialect == Dialect::Ledger && after_digit && is_digit_at(behind),
            space if is_group_space(space) => {
                dialect == Dialect::Hledger && after_digit && is_digit_at(behind)
            }
            _ => false,
        };
        if !belongs {
            break;
        }
        after_digit = next.is_ascii_digit();
        end = behind;
    }
    // A comma behind the number is the sentence's, except where it is a decimal mark: `1,` has no digit behind.
    let text = rest.get(..end).unwrap_or_default();
    if !text.contains(|digit: char| digit.is_ascii_digit()) {
        return Err(cursor.expected("a number"));
    }
    cursor.skip(end);
    let exponent = match dialect {
        Dialect::Hledger => exponent(cursor)?,
        _ => 0,
    };
    Ok(Numeral { text, exponent })
}

fn exponent(cursor: &mut Cursor<'_>) -> Result<i8, JournalError> {
    let rest = cursor.rest();
    let Some(behind) = rest.strip_prefix(['e', 'E']) else {
        return Ok(0);
    };
    let unsigned = behind.strip_prefix(['-', '+']).unwrap_or(behind);
    let end = unsigned
        .find(|next: char| !next.is_ascii_digit())
        .unwrap_or(unsigned.len());
    let letter_follows = unsigned
        .get(end..)
        .is_some_and(|rest| rest.starts_with(char::is_alphabetic));
    if end == 0 || letter_follows {
        return Ok(0);
    }
    let bytes = rest
        .len()
        .saturating_sub(unsigned.len())
        .saturating_add(end);
    let digits = rest.get(1..bytes).unwrap_or_default();
    let exponent = digits
        .parse()
        .map_err(|_| cursor.problem(DecimalError::Overflow.into()))?;
    cursor.skip(bytes);
    Ok(exponent)
}

impl Numeral<'_> {
    /// The value. `decimal_mark` is what the journal says about it, if anything.
    pub(super) fn value(
        self,
        dialect: Dialect,
        decimal_mark: Option<char>,
    ) -> Result<Decimal, Problem> {
        let mark = self.decimal_mark(dialect, decimal_mark)?;
        let mut mantissa: i128 = 0;
        let mut decimals: u8 = 0;
        let mut behind = false;
        for (at, next) in self.text.char_indices() {
            if Some(at) == mark {
                behind = true;
            }
            let Some(digit) = next.to_digit(10) else {
                continue;
            };
            mantissa = mantissa
                .checked_mul(10)
                .and_then(|tens| tens.checked_add(digit.into()))
                .ok_or(DecimalError::Overflow)?;
            decimals = decimals.saturating_add(u8::from(behind));
        }
        shifted(mantissa, decimals, self.exponent).map_err(Problem::from)
    }

    /// Where its decimal mark stands, if it has one.
    fn decimal_mark(self, dialect: Dialect, told: Option<char>) -> Result<Option<usize>, Problem> {
        let marks = || {
            self.text
                .char_indices()
                .filter(|(_, next)| matches!(next, '.' | ','))
        };
        let Some((last, mark)) = marks().last() else {
            return Ok(None);
        };
        let same = marks().filter(|(_, next)| *next == mark).count();
        let has_both = marks().count() != same;
        let digits_behind = self.text.len().saturating_sub(last).saturating_sub(1);
        if let Some(told) = told {
            return Ok(match same {
                1 => (mark == told).then_some(last),
                _ if mark == told => return Err(self.ambiguous()),
                _ => None,
            });
        }
        match (same, has_both) {
            (1, true) => Ok(Some(last)),
            // Commas group thousands in Ledger, unless what is behind is no thousand.
            (1, false) if dialect == Dialect::Ledger && mark == ',' && digits_behind == 3 => {
                Ok(None)
            }
            (1, false) => Ok(Some(last)),
            (_, false) => Ok(None),
            (_, true) => Err(self.ambiguous()),
        }
    }

    fn ambiguous(self) -> Problem {
        let text = self.text.chars().take(40).collect();
        Problem::Number(DecimalError::NotANumber { text })
    }
}

fn shifted(mantissa: i128, decimals: u8, exponent: i8) -> Result<Decimal, DecimalError> {
    let decimals = i16::from(decimals).saturating_sub(exponent.into());
    match u8::try_from(decimals) {
        Ok(decimals) => Decimal::new(mantissa, decimals),
        Err(_) => {
            let power = 10_i128.checked_pow(decimals.unsigned_abs().into());
            let mantissa = power.and_then(|power| mantissa.checked_mul(power));
            Ok(Decimal::whole(mantissa.ok_or(DecimalError::Overflow)?))
        }
    }
}
