mod style;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::currency::{Currency, UnknownCurrency};
use crate::total::Total;

pub use self::style::MoneyStyle;

/// The longest piece of a text that an error repeats, in characters.
const ERROR_TEXT_CHARS_MAX: usize = 64;

/// An amount of money, exact: a whole number of the currency's minor units.
///
/// There are no operators, because every operation can fail: amounts of two currencies have no sum, and 64 bits have
/// an end.
///
/// ```
/// use foldhouse_aggregates::{Currency, Money};
///
/// let price: Money = "1234.5 CZK".parse()?;
/// assert_eq!(price, Money::new(123_450, Currency::CZK));
/// assert_eq!(price.to_string(), "1234.50 CZK");
///
/// let thirds = price.allocate(&[1, 1, 1])?;
/// assert_eq!(thirds.iter().map(Money::to_string).collect::<Vec<_>>(), ["411.50 CZK"; 3]);
/// # Ok::<(), foldhouse_aggregates::MoneyError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Money {
    minor_units: i64,
    currency: Currency,
}

/// Why there is no such amount of money.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MoneyError {
    /// Two currencies met. Convert one amount first.
    #[error("{left} and {right} do not add up: convert one into the other's currency first")]
    CurrencyMismatch {
        /// The amount that was there.
        left: Total,
        /// The amount that came to it.
        right: Total,
    },
    /// The result does not fit.
    #[error("the amount of {currency} exceeds the largest that can be counted exactly; split it")]
    Overflow {
        /// The currency of the amount.
        currency: Currency,
    },
    /// An allocation has no ratio above zero.
    #[error("{amount} cannot be allocated: no ratio is above zero")]
    NoShares {
        /// What was to be allocated.
        amount: Money,
    },
    /// The text is not a number, one space and a currency code.
    #[error("{text:?} is not an amount of money; write it like `-1234.50 CZK`")]
    NotAnAmount {
        /// The text as given, cut off at 64 characters.
        text: String,
    },
    /// The text has the form of an amount, but its currency is not known.
    #[error(transparent)]
    UnknownCurrency(#[from] UnknownCurrency),
    /// The text has more decimals than the currency. Nothing is rounded.
    #[error(
        "the amount has {decimals} decimals, but {currency} has {}: round it first",
        .currency.exponent()
    )]
    TooManyDecimals {
        /// How many the text has.
        decimals: usize,
        /// The currency.
        currency: Currency,
    },
}

impl Money {
    /// That many minor units (hellers, cents, yen) of the currency.
    #[must_use]
    pub const fn new(minor_units: i64, currency: Currency) -> Self {
        Self {
            minor_units,
            currency,
        }
    }

    /// Nothing, in that currency.
    #[must_use]
    pub const fn zero(currency: Currency) -> Self {
        Self::new(0, currency)
    }

    /// The amount in minor units.
    #[must_use]
    pub const fn minor_units(self) -> i64 {
        self.minor_units
    }

    /// The currency.
    #[must_use]
    pub const fn currency(self) -> Currency {
        self.currency
    }

    /// Whether it is neither positive nor negative.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.minor_units == 0
    }

    /// Whether it is more than nothing.
    #[must_use]
    pub const fn is_positive(self) -> bool {
        self.minor_units > 0
    }

    /// Whether it is less than nothing.
    #[must_use]
    pub const fn is_negative(self) -> bool {
        self.minor_units < 0
    }

    /// The sum.
    ///
    /// # Errors
    /// [`MoneyError::CurrencyMismatch`] or [`MoneyError::Overflow`].
    pub fn checked_add(self, other: Self) -> Result<Self, MoneyError> {
        self.combine(other, i64::checked_add)
    }

    /// The difference.
    ///
    /// # Errors
    /// [`MoneyError::CurrencyMismatch`] or [`MoneyError::Overflow`].
    pub fn checked_sub(self, other: Self) -> Result<Self, MoneyError> {
        self.combine(other, i64::checked_sub)
    }

    /// The same amount with the other sign.
    ///
    /// # Errors
    /// [`MoneyError::Overflow`] for the lowest amount, whose opposite does not fit.
    pub fn checked_neg(self) -> Result<Self, MoneyError> {
        let minor_units = self.minor_units.checked_neg();
        minor_units
            .map(|minor_units| Self::new(minor_units, self.currency))
            .ok_or(self.overflow())
    }

    /// Splits the amount by ratios without losing or making a minor unit: each share is the exact one rounded down
    /// or up to a whole minor unit, and the shares add up to the amount.
    ///
    /// What rounding down leaves over goes, one minor unit each, to the shares that lost the most, the earlier first
    /// where they lost the same. A ratio of 0 gets nothing. A negative amount is split as its opposite is.
    ///
    /// # Errors
    /// [`MoneyError::NoShares`] if no ratio is above zero.
    pub fn allocate(&self, ratios: &[u32]) -> Result<Vec<Self>, MoneyError> {
        let whole: u128 = ratios.iter().copied().map(u128::from).sum();
        if whole == 0 {
            return Err(MoneyError::NoShares { amount: *self });
        }
        let size = u128::from(self.minor_units.unsigned_abs());
        let mut left_over = size;
        let mut shares = Vec::with_capacity(ratios.len());
        for (index, ratio) in ratios.iter().copied().map(u128::from).enumerate() {
            // 63 bits times 32 bits always fit; the checks are there for the reader and the compiler.
            let parts = size.checked_mul(ratio).ok_or(self.overflow())?;
            let share = parts.checked_div(whole).ok_or(self.overflow())?;
            let lost = parts.checked_rem(whole).ok_or(self.overflow())?;
            left_over = left_over.checked_sub(share).ok_or(self.overflow())?;
            shares.push((index, share, lost));
        }
        // Less is left over than there are shares that lost something, so one minor unit each is enough.
        shares.sort_by_key(|(_, _, lost)| std::cmp::Reverse(*lost));
        for (_, share, _) in &mut shares {
            let Some(rest) = left_over.checked_sub(1) else {
                break;
            };
            left_over = rest;
            *share = share.checked_add(1).ok_or(self.overflow())?;
        }
        shares.sort_by_key(|(index, _, _)| *index);
        shares
            .into_iter()
            .map(|(_, share, _)| self.with_own_sign(share))
            .collect()
    }

    fn with_own_sign(self, size: u128) -> Result<Self, MoneyError> {
        let size = i128::try_from(size).ok();
        let signed = if self.is_negative() {
            size.and_then(i128::checked_neg)
        } else {
            size
        };
        signed
            .and_then(|signed| i64::try_from(signed).ok())
            .map(|minor_units| Self::new(minor_units, self.currency))
            .ok_or(self.overflow())
    }

    fn combine(
        self,
        other: Self,
        operation: impl FnOnce(i64, i64) -> Option<i64>,
    ) -> Result<Self, MoneyError> {
        if self.currency != other.currency {
            return Err(MoneyError::CurrencyMismatch {
                left: self.into(),
                right: other.into(),
            });
        }
        operation(self.minor_units, other.minor_units)
            .map(|minor_units| Self::new(minor_units, self.currency))
            .ok_or(self.overflow())
    }

    const fn overflow(self) -> MoneyError {
        MoneyError::Overflow {
            currency: self.currency,
        }
    }
}

impl fmt::Display for Money {
    /// All decimals of the currency, a point before them, no grouping: `-1234.50 CZK`. A width pads; numbers stand
    /// to the right unless told otherwise.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Total::from(*self).fmt(f)
    }
}

impl FromStr for Money {
    type Err = MoneyError;

    /// Reads what `Display` writes; decimals may be left out, never added.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let not_an_amount = || MoneyError::NotAnAmount {
            text: text.chars().take(ERROR_TEXT_CHARS_MAX).collect(),
        };
        let (number, code) = text.split_once(' ').ok_or_else(not_an_amount)?;
        let (negative, unsigned) = match number.strip_prefix('-') {
            Some(unsigned) => (true, unsigned),
            None => (false, number),
        };
        let (whole, decimals) = match unsigned.split_once('.') {
            Some((_, "")) => return Err(not_an_amount()),
            Some(parts) => parts,
            None => (unsigned, ""),
        };
        let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !all_digits(whole) || !all_digits(decimals) {
            return Err(not_an_amount());
        }
        let currency: Currency = code.parse()?;
        let padding = usize::from(currency.exponent())
            .checked_sub(decimals.len())
            .ok_or(MoneyError::TooManyDecimals {
                decimals: decimals.len(),
                currency,
            })?;
        let zeros = std::iter::repeat_n('0', padding);
        // Counts downwards, because the lowest amount has no positive opposite.
        let mut minor_units: i64 = 0;
        for digit in whole.chars().chain(decimals.chars()).chain(zeros) {
            let digit = digit.to_digit(10).map(i64::from);
            minor_units = minor_units
                .checked_mul(10)
                .zip(digit)
                .and_then(|(tens, digit)| tens.checked_sub(digit))
                .ok_or(MoneyError::Overflow { currency })?;
        }
        let amount = Self::new(minor_units, currency);
        if negative {
            Ok(amount)
        } else {
            amount.checked_neg()
        }
    }
}

#[cfg(test)]
mod tests;
