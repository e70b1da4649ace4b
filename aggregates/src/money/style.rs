use super::{Money, MoneyError};
use crate::currency::Currency;
use crate::decimal::Decimal;

/// How amounts of money are written for people: `1,234.50 CZK`, `CZK 1.234,50`, `1 234,50 CZK`.
///
/// The plain form of [`Money`]'s `Display` is for files and programs.
///
/// ```
/// use foldhouse_aggregates::{Money, MoneyStyle};
///
/// let amount: Money = "-1234567.5 CZK".parse()?;
/// let czech = MoneyStyle::new(',').grouped_by(' ');
/// assert_eq!(czech.write(amount), "-1 234 567,50 CZK");
/// assert_eq!(czech.read("-1 234 567,50 CZK")?, amount);
/// assert_eq!(MoneyStyle::new('.').grouped_by(',').code_first().write(amount), "CZK -1,234,567.50");
/// # Ok::<(), foldhouse_aggregates::MoneyError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MoneyStyle {
    decimal_mark: char,
    group_mark: Option<char>,
    code_first: bool,
}

impl MoneyStyle {
    /// This mark before the decimals, digits not grouped, the currency's code behind the number.
    #[must_use]
    pub const fn new(decimal_mark: char) -> Self {
        Self {
            decimal_mark,
            group_mark: None,
            code_first: false,
        }
    }

    /// Digits in groups of three, with this mark between them.
    #[must_use]
    pub const fn grouped_by(mut self, mark: char) -> Self {
        self.group_mark = Some(mark);
        self
    }

    /// The currency's code before the number.
    #[must_use]
    pub const fn code_first(mut self) -> Self {
        self.code_first = true;
        self
    }

    /// The amount, with all decimals of its currency.
    #[must_use]
    pub fn write(self, amount: Money) -> String {
        let plain = amount.to_string();
        let (number, code) = plain.split_once(' ').unwrap_or((&plain, ""));
        let (sign, unsigned) = match number.strip_prefix('-') {
            Some(unsigned) => ("-", unsigned),
            None => ("", number),
        };
        let (whole, decimals) = unsigned.split_once('.').unwrap_or((unsigned, ""));
        let mut written = sign.to_owned();
        for (index, digit) in whole.chars().enumerate() {
            let behind = whole.len().saturating_sub(index);
            if let Some(mark) = self.group_mark
                && index > 0
                && behind.checked_rem(3) == Some(0)
            {
                written.push(mark);
            }
            written.push(digit);
        }
        if !decimals.is_empty() {
            written.push(self.decimal_mark);
            written.push_str(decimals);
        }
        if self.code_first {
            format!("{code} {written}")
        } else {
            format!("{written} {code}")
        }
    }

    /// Reads what it writes. Groups may be left out; where there are any, they are of three digits.
    ///
    /// # Errors
    /// [`MoneyError`]: nothing is rounded, and nothing is guessed.
    pub fn read(self, text: &str) -> Result<Money, MoneyError> {
        let not_an_amount = || MoneyError::NotAnAmount {
            text: text.chars().take(super::ERROR_TEXT_CHARS_MAX).collect(),
        };
        let parts = if self.code_first {
            text.split_once(' ').map(|(code, number)| (number, code))
        } else {
            text.rsplit_once(' ')
        };
        let (number, code) = parts.ok_or_else(not_an_amount)?;
        let (whole, decimals) = match number.split_once(self.decimal_mark) {
            Some((whole, decimals)) => (whole, Some(decimals)),
            None => (number, None),
        };
        let whole = match self.group_mark {
            Some(mark) if whole.contains(mark) => {
                let mut groups = whole.trim_start_matches('-').split(mark);
                let first = groups.next().map_or(0, str::len);
                if !(1..=3).contains(&first) || groups.any(|group| group.len() != 3) {
                    return Err(not_an_amount());
                }
                whole.replace(mark, "")
            }
            _ => whole.to_owned(),
        };
        let plain = match decimals {
            Some(decimals) => format!("{whole}.{decimals} {code}"),
            None => format!("{whole} {code}"),
        };
        plain.parse().map_err(|error| match error {
            // In the words that were given.
            MoneyError::NotAnAmount { .. } => not_an_amount(),
            other => other,
        })
    }
}

impl Money {
    /// A decimal number as an amount of a currency.
    ///
    /// # Errors
    /// [`MoneyError::TooManyDecimals`] if it has more decimals than the currency, zeros at the end left out;
    /// [`MoneyError::Overflow`].
    pub fn from_decimal(number: Decimal, currency: Currency) -> Result<Self, MoneyError> {
        let number = number.normalized();
        let overflow = MoneyError::Overflow { currency };
        if number.decimals() > currency.exponent() {
            return Err(MoneyError::TooManyDecimals {
                decimals: number.decimals().into(),
                currency,
            });
        }
        let whole = number.with_decimals(currency.exponent());
        let minor_units = whole
            .ok()
            .and_then(|whole| i64::try_from(whole.mantissa()).ok());
        minor_units
            .map(|minor_units| Self::new(minor_units, currency))
            .ok_or(overflow)
    }

    /// The amount as a decimal number, with all decimals of its currency.
    #[must_use]
    pub fn to_decimal(self) -> Decimal {
        // No currency has as many decimals as do not fit.
        Decimal::new(self.minor_units().into(), self.currency().exponent()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn styles() -> [MoneyStyle; 4] {
        [
            MoneyStyle::new('.'),
            MoneyStyle::new('.').grouped_by(',').code_first(),
            MoneyStyle::new(',').grouped_by('.'),
            MoneyStyle::new(',').grouped_by('\u{a0}'),
        ]
    }

    #[test]
    fn amounts_are_written_as_people_write_them() {
        let amount = Money::new(-123_456_789, Currency::EUR);
        let written = styles().map(|style| style.write(amount));
        assert_eq!(
            written,
            [
                "-1234567.89 EUR",
                "EUR -1,234,567.89",
                "-1.234.567,89 EUR",
                "-1\u{a0}234\u{a0}567,89 EUR"
            ]
        );
        let yen = MoneyStyle::new('.').grouped_by(',');
        assert_eq!(yen.write(Money::new(1_000, Currency::JPY)), "1,000 JPY");
        assert_eq!(yen.write(Money::new(999, Currency::JPY)), "999 JPY");
    }

    #[test]
    fn groups_of_another_length_are_refused() {
        let style = MoneyStyle::new('.').grouped_by(',');
        for text in [
            "1,23 EUR",
            "1,2345.00 EUR",
            ",123 EUR",
            "12,34,567 EUR",
            "1234,567 EUR",
        ] {
            assert!(style.read(text).is_err(), "{text}");
        }
        assert_eq!(
            style.read("1234 EUR").unwrap(),
            Money::new(123_400, Currency::EUR)
        );
    }

    #[test]
    fn decimals_that_the_currency_does_not_have_are_not_rounded_away() {
        let of = |text: &str, currency| Money::from_decimal(text.parse().unwrap(), currency);
        assert_eq!(
            of("1.50", Currency::EUR),
            Ok(Money::new(150, Currency::EUR))
        );
        assert_eq!(
            of("1.500", Currency::EUR),
            Ok(Money::new(150, Currency::EUR))
        );
        assert!(matches!(
            of("1.505", Currency::EUR),
            Err(MoneyError::TooManyDecimals { .. })
        ));
        assert!(matches!(
            of("92233720368547758.08", Currency::EUR),
            Err(MoneyError::Overflow { .. })
        ));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            minor_units in any::<i64>(),
            currency in proptest::sample::select(Currency::all()),
        ) {
            let amount = Money::new(minor_units, currency);
            for style in styles() {
                prop_assert_eq!(style.read(&style.write(amount)), Ok(amount));
            }
            prop_assert_eq!(Money::from_decimal(amount.to_decimal(), currency), Ok(amount));
        }

        #[test]
        fn reading_any_text_never_panics(text in "[-0-9., ]{0,20}( [A-Z]{0,4})?") {
            for style in styles() {
                if let Ok(amount) = style.read(&text) {
                    prop_assert_eq!(style.read(&style.write(amount)), Ok(amount));
                }
            }
        }
    }
}
