use serde::{Deserialize, Serialize};

use crate::currency::Currency;
use crate::money::Money;

/// What was changed into what: the exact rate is the fraction of both amounts (hledger's and beancount's total price,
/// `@@`), so 24.135 CZK for one EUR is `1000.00 EUR` for `24135.00 CZK`, and a third is no trouble either.
///
/// Persisted with its field names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exchange {
    /// What was given.
    pub given: Money,
    /// What was got for it.
    pub got: Money,
}

impl Exchange {
    /// So much was got for what was given.
    #[must_use]
    pub const fn new(given: Money, got: Money) -> Self {
        Self { given, got }
    }

    /// What an amount is worth at this rate, to the nearest minor unit, half of one to the even (the banker's
    /// rounding, which favours neither side).
    ///
    /// `None` if the amount is in another currency than what was given, if nothing or less was given, or if the
    /// result does not fit.
    ///
    /// ```
    /// use foldhouse_aggregates::{Exchange, Money};
    ///
    /// let rate = Exchange::new("1000 EUR".parse()?, "24135 CZK".parse()?);
    /// assert_eq!(rate.convert("3.00 EUR".parse()?), Some("72.40 CZK".parse()?)); // 72.405
    /// assert_eq!(rate.convert("-1.00 EUR".parse()?), Some("-24.14 CZK".parse()?)); // -24.135
    /// # Ok::<(), foldhouse_aggregates::MoneyError>(())
    /// ```
    #[must_use]
    pub fn convert(&self, amount: Money) -> Option<Money> {
        if amount.currency() != self.given.currency() {
            return None;
        }
        let minor_units = self.convert_minor(amount.minor_units().into())?;
        let minor_units = i64::try_from(minor_units).ok()?;
        Some(Money::new(minor_units, self.got.currency()))
    }

    /// From which currency into which.
    #[must_use]
    pub const fn currencies(&self) -> (Currency, Currency) {
        (self.given.currency(), self.got.currency())
    }

    /// The same on minor units.
    pub(super) fn convert_minor(&self, minor_units: i128) -> Option<i128> {
        let whole = i128::from(self.given.minor_units());
        if whole <= 0 {
            return None;
        }
        let parts = minor_units.checked_mul(self.got.minor_units().into())?;
        let (down, rest) = (parts.div_euclid(whole), parts.rem_euclid(whole));
        let up = match rest.checked_mul(2)?.cmp(&whole) {
            std::cmp::Ordering::Less => 0,
            std::cmp::Ordering::Equal => down.rem_euclid(2),
            std::cmp::Ordering::Greater => 1,
        };
        down.checked_add(up)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::currency::Currency::{CZK, EUR, JPY};

    fn at(given: i64, got: i64) -> Exchange {
        Exchange::new(Money::new(given, EUR), Money::new(got, CZK))
    }

    #[test]
    fn half_a_minor_unit_goes_to_the_even_one_on_both_sides_of_zero() {
        let cases = [(1, 0), (3, 2), (5, 2), (7, 4), (-1, 0), (-3, -2), (-5, -2)];
        for (given, got) in cases {
            let converted = at(2, 1).convert(Money::new(given, EUR));
            assert_eq!(converted, Some(Money::new(got, CZK)), "{given} / 2");
        }
        assert_eq!(
            at(3, 1).convert(Money::new(2, EUR)),
            Some(Money::new(1, CZK))
        );
        assert_eq!(
            at(3, 1).convert(Money::new(1, EUR)),
            Some(Money::new(0, CZK))
        );
    }

    #[test]
    fn what_has_no_rate_or_does_not_fit_is_told() {
        assert_eq!(at(1, 2).convert(Money::new(1, JPY)), None);
        assert_eq!(at(0, 2).convert(Money::new(1, EUR)), None);
        assert_eq!(at(-1, 2).convert(Money::new(1, EUR)), None);
        assert_eq!(at(1, 2).convert(Money::new(i64::MAX, EUR)), None);
    }
}
