use std::fmt;

use serde::{Deserialize, Serialize};

use crate::currency::Currency;
use crate::money::{Money, MoneyError};

/// A sum of many amounts, in 128 bits: the turnover of an account or of a whole ledger may exceed what one
/// [`Money`] holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Total {
    minor_units: i128,
    currency: Currency,
}

impl Total {
    /// That many minor units of the currency.
    #[must_use]
    pub const fn new(minor_units: i128, currency: Currency) -> Self {
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

    /// The sum in minor units.
    #[must_use]
    pub const fn minor_units(self) -> i128 {
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

    /// The sum of both.
    ///
    /// # Errors
    /// [`MoneyError::CurrencyMismatch`] or [`MoneyError::Overflow`].
    pub fn checked_add(self, other: Self) -> Result<Self, MoneyError> {
        self.combine(other, i128::checked_add)
    }

    /// The difference.
    ///
    /// # Errors
    /// [`MoneyError::CurrencyMismatch`] or [`MoneyError::Overflow`].
    pub fn checked_sub(self, other: Self) -> Result<Self, MoneyError> {
        self.combine(other, i128::checked_sub)
    }

    fn combine(
        self,
        other: Self,
        operation: impl FnOnce(i128, i128) -> Option<i128>,
    ) -> Result<Self, MoneyError> {
        if self.currency != other.currency {
            return Err(MoneyError::CurrencyMismatch {
                left: self,
                right: other,
            });
        }
        operation(self.minor_units, other.minor_units)
            .map(|minor_units| Self::new(minor_units, self.currency))
            .ok_or(MoneyError::Overflow {
                currency: self.currency,
            })
    }

    /// The same as one amount.
    ///
    /// # Errors
    /// [`MoneyError::Overflow`] if it does not fit.
    pub fn to_money(self) -> Result<Money, MoneyError> {
        match i64::try_from(self.minor_units) {
            Ok(minor_units) => Ok(Money::new(minor_units, self.currency)),
            Err(_) => Err(MoneyError::Overflow {
                currency: self.currency,
            }),
        }
    }
}

impl From<Money> for Total {
    fn from(amount: Money) -> Self {
        Self::new(amount.minor_units().into(), amount.currency())
    }
}

impl fmt::Display for Total {
    /// As [`Money`] is written.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = usize::from(self.currency.exponent());
        let sign = if self.minor_units < 0 { "-" } else { "" };
        // One digit before the point, at least: 5 hellers are 0.05 CZK.
        let width = decimals.saturating_add(1);
        let digits = format!("{:0width$}", self.minor_units.unsigned_abs());
        let text = match digits.split_at_checked(digits.len().saturating_sub(decimals)) {
            Some((whole, decimals)) if !decimals.is_empty() => {
                format!("{sign}{whole}.{decimals} {}", self.currency)
            }
            _ => format!("{sign}{digits} {}", self.currency),
        };
        // Not `Formatter::pad`: that takes a precision as a length and would cut figures off.
        let width = f.width().unwrap_or_default();
        match f.align() {
            Some(fmt::Alignment::Left) => write!(f, "{text:<width$}"),
            Some(fmt::Alignment::Center) => write!(f, "{text:^width$}"),
            Some(fmt::Alignment::Right) | None => write!(f, "{text:>width$}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::currency::Currency::{CZK, EUR};

    #[test]
    fn totals_of_two_currencies_do_not_add_up() {
        let (left, right) = (Total::new(1, CZK), Total::new(2, EUR));
        let mismatch = MoneyError::CurrencyMismatch { left, right };
        assert_eq!(left.checked_add(right), Err(mismatch.clone()));
        assert_eq!(left.checked_sub(right), Err(mismatch));
    }

    #[test]
    fn a_total_goes_to_the_ends_of_128_bits_and_no_further() {
        let (least, most) = (Total::new(i128::MIN, CZK), Total::new(i128::MAX, CZK));
        let overflow = Err(MoneyError::Overflow { currency: CZK });
        assert_eq!(most.checked_add(Total::new(1, CZK)), overflow);
        assert_eq!(least.checked_sub(Total::new(1, CZK)), overflow);
        assert_eq!(most.checked_add(least), Ok(Total::new(-1, CZK)));
        assert_eq!(
            least.to_string(),
            "-1701411834604692317316873037158841057.28 CZK"
        );
    }
}
