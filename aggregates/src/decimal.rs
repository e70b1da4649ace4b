use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The most decimals that a [`Decimal`] has.
pub const DECIMALS_MAX: u8 = 28;

/// The longest piece of a text that an error repeats, in characters.
const ERROR_TEXT_CHARS_MAX: usize = 64;

/// An exact decimal number: a whole number of 128 bits, and how many of its digits stand behind the point.
///
/// For quantities whose unit has no fixed number of decimals: shares, hours, crypto-currencies, the amounts of a
/// plain-text journal. What it was written with is kept (`1.50` has two decimals), but two numbers are equal if their
/// values are. Sums, differences and products are exact, or an error: nothing is rounded unless asked for.
///
/// ```
/// use foldhouse_aggregates::Decimal;
///
/// let price: Decimal = "12.50".parse()?;
/// let shares: Decimal = "0.125".parse()?;
/// let value = price.checked_mul(shares)?;
/// assert_eq!(value.to_string(), "1.56250");
/// assert_eq!(value.normalized().to_string(), "1.5625");
/// assert_eq!(value.rounded(2).to_string(), "1.56");
/// # Ok::<(), foldhouse_aggregates::DecimalError>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Decimal {
    mantissa: i128,
    decimals: u8,
}

/// Why there is no such number.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecimalError {
    /// The result has more digits than can be counted exactly.
    #[error(
        "the number has more than the 38 digits, {DECIMALS_MAX} of them decimals, that are counted exactly"
    )]
    Overflow,
    /// Division by zero.
    #[error("a division by zero")]
    DivisionByZero,
    /// The text is no number.
    #[error("{text:?} is not a number; write it like `-1234.50`")]
    NotANumber {
        /// The text as given, cut off at 64 characters.
        text: String,
    },
}

impl Decimal {
    /// Nothing.
    pub const ZERO: Self = Self {
        mantissa: 0,
        decimals: 0,
    };

    /// `mantissa` with so many of its digits behind the point: `new(1250, 2)` is 12.50.
    ///
    /// # Errors
    /// [`DecimalError::Overflow`] for more than [`DECIMALS_MAX`] decimals.
    pub const fn new(mantissa: i128, decimals: u8) -> Result<Self, DecimalError> {
        if decimals > DECIMALS_MAX {
            return Err(DecimalError::Overflow);
        }
        Ok(Self { mantissa, decimals })
    }

    /// A whole number.
    #[must_use]
    pub const fn whole(number: i128) -> Self {
        Self {
            mantissa: number,
            decimals: 0,
        }
    }

    /// All its digits as one whole number.
    #[must_use]
    pub const fn mantissa(self) -> i128 {
        self.mantissa
    }

    /// How many digits stand behind the point.
    #[must_use]
    pub const fn decimals(self) -> u8 {
        self.decimals
    }

    /// Whether it is neither positive nor negative.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.mantissa == 0
    }

    /// Whether it is less than nothing.
    #[must_use]
    pub const fn is_negative(self) -> bool {
        self.mantissa < 0
    }

    /// The same value without zeros at the end of its decimals.
    #[must_use]
    pub const fn normalized(self) -> Self {
        let Self {
            mut mantissa,
            mut decimals,
        } = self;
        while decimals > 0 && mantissa.wrapping_rem(10) == 0 {
            mantissa = mantissa.wrapping_div(10);
            decimals = decimals.saturating_sub(1);
        }
        Self { mantissa, decimals }
    }

    /// The sum.
    ///
    /// # Errors
    /// [`DecimalError::Overflow`].
    pub fn checked_add(self, other: Self) -> Result<Self, DecimalError> {
        let (left, right, decimals) = self.aligned(other)?;
        let mantissa = left.checked_add(right).ok_or(DecimalError::Overflow)?;
        Ok(Self { mantissa, decimals })
    }

    /// The difference.
    ///
    /// # Errors
    /// [`DecimalError::Overflow`].
    pub fn checked_sub(self, other: Self) -> Result<Self, DecimalError> {
        let (left, right, decimals) = self.aligned(other)?;
        let mantissa = left.checked_sub(right).ok_or(DecimalError::Overflow)?;
        Ok(Self { mantissa, decimals })
    }

    /// The same size with the other sign.
    ///
    /// # Errors
    /// [`DecimalError::Overflow`] for the lowest number, whose opposite does not fit.
    pub fn checked_neg(self) -> Result<Self, DecimalError> {
        let mantissa = self.mantissa.checked_neg().ok_or(DecimalError::Overflow)?;
        Ok(Self { mantissa, ..self })
    }

    /// The size, without a sign.
    ///
    /// # Errors
    /// [`DecimalError::Overflow`] as for [`Decimal::checked_neg`].
    pub fn checked_abs(self) -> Result<Self, DecimalError> {
        if self.is_negative() {
            self.checked_neg()
        } else {
            Ok(self)
        }
    }

    /// The product, with the decimals of both.
    ///
    /// # Errors
    /// [`DecimalError::Overflow`].
    pub fn checked_mul(self, other: Self) -> Result<Self, DecimalError> {
        match self.mul_exactly(other) {
            Err(DecimalError::Overflow) => self.normalized().mul_exactly(other.normalized()),
            product => product,
        }
    }

    fn mul_exactly(self, other: Self) -> Result<Self, DecimalError> {
        let mantissa = self.mantissa.checked_mul(other.mantissa);
        let decimals = self.decimals.saturating_add(other.decimals);
        Self::new(mantissa.ok_or(DecimalError::Overflow)?, decimals)
    }

    /// The quotient, exact where it has an end, else rounded half to even at so many decimals.
    ///
    /// # Errors
    /// [`DecimalError::DivisionByZero`]; [`DecimalError::Overflow`].
    pub fn checked_div(self, divisor: Self, decimals_max: u8) -> Result<Self, DecimalError> {
        if divisor.is_zero() {
            return Err(DecimalError::DivisionByZero);
        }
        let (mut left, right, _) = self.normalized().aligned(divisor.normalized())?;
        let mut decimals: u8 = 0;
        while decimals < decimals_max.min(DECIMALS_MAX)
            && left.checked_rem(right).is_some_and(|rest| rest != 0)
        {
            match left.checked_mul(10) {
                Some(tenfold) => left = tenfold,
                None => break,
            }
            decimals = decimals.saturating_add(1);
        }
        let mantissa = div_half_even(left, right).ok_or(DecimalError::Overflow)?;
        Self::new(mantissa, decimals)
    }

    /// At most so many decimals, rounded half to even.
    #[must_use]
    pub fn rounded(self, decimals: u8) -> Self {
        self.rounded_by(decimals, div_half_even)
    }

    /// At most so many decimals, rounded half away from zero.
    #[must_use]
    pub fn rounded_half_up(self, decimals: u8) -> Self {
        self.rounded_by(decimals, div_half_up)
    }

    fn rounded_by(self, decimals: u8, divide: fn(i128, i128) -> Option<i128>) -> Self {
        let dropped = self.decimals.saturating_sub(decimals);
        match power_of_ten(dropped).and_then(|power| divide(self.mantissa, power)) {
            Some(mantissa) if dropped > 0 => Self { mantissa, decimals },
            _ => self,
        }
    }

    /// The same value with at least so many decimals, filled up with zeros.
    ///
    /// # Errors
    /// [`DecimalError::Overflow`].
    pub fn with_decimals(self, decimals: u8) -> Result<Self, DecimalError> {
        let added = decimals.saturating_sub(self.decimals);
        let mantissa = power_of_ten(added).and_then(|power| self.mantissa.checked_mul(power));
        Self::new(
            mantissa.ok_or(DecimalError::Overflow)?,
            self.decimals.max(decimals),
        )
    }

    fn aligned(self, other: Self) -> Result<(i128, i128, u8), DecimalError> {
        if self.decimals == other.decimals {
            return Ok((self.mantissa, other.mantissa, self.decimals));
        }
        let align = |left: Self, right: Self| {
            let decimals = left.decimals.max(right.decimals);
            let left = left.with_decimals(decimals)?;
            let right = right.with_decimals(decimals)?;
            Ok((left.mantissa, right.mantissa, decimals))
        };
        // Zeros at the end may be what does not fit.
        align(self, other).or_else(|_: DecimalError| align(self.normalized(), other.normalized()))
    }
}

fn power_of_ten(exponent: u8) -> Option<i128> {
    10_i128.checked_pow(exponent.into())
}

fn div_half_even(left: i128, right: i128) -> Option<i128> {
    div_rounding(left, right, |whole| whole.wrapping_rem(2) != 0)
}

fn div_half_up(left: i128, right: i128) -> Option<i128> {
    div_rounding(left, right, |_| true)
}

fn div_rounding(left: i128, right: i128, half_goes_away: fn(i128) -> bool) -> Option<i128> {
    let whole = left.checked_div(right)?;
    let rest = left.checked_rem(right)?.unsigned_abs();
    // Half of the divisor without a remainder of its own: `rest` against what `rest` lacks to a whole.
    let away = match rest.cmp(&right.unsigned_abs().checked_sub(rest)?) {
        Ordering::Less => false,
        Ordering::Equal => half_goes_away(whole),
        Ordering::Greater => true,
    };
    if !away {
        return Some(whole);
    }
    if (left < 0) == (right < 0) {
        whole.checked_add(1)
    } else {
        whole.checked_sub(1)
    }
}

impl PartialEq for Decimal {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Decimal {}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Decimal {
    /// By value.
    fn cmp(&self, other: &Self) -> Ordering {
        match self.aligned(*other) {
            Ok((left, right, _)) => left.cmp(&right),
            // They differ by so much that their decimals do not matter: the whole parts decide.
            Err(_) => {
                let whole = |number: Self| {
                    power_of_ten(number.decimals)
                        .and_then(|power| number.mantissa.checked_div(power))
                };
                whole(*self).cmp(&whole(*other))
            }
        }
    }
}

impl Hash for Decimal {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self { mantissa, decimals } = self.normalized();
        (mantissa, decimals).hash(state);
    }
}

impl fmt::Display for Decimal {
    /// With all its decimals, a point before them, no grouping, no exponent. A width pads to the right.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = usize::from(self.decimals);
        let sign = if self.mantissa < 0 { "-" } else { "" };
        let width = decimals.saturating_add(1);
        let digits = format!("{:0width$}", self.mantissa.unsigned_abs());
        let text = match digits.split_at_checked(digits.len().saturating_sub(decimals)) {
            Some((whole, decimals)) if !decimals.is_empty() => format!("{sign}{whole}.{decimals}"),
            _ => format!("{sign}{digits}"),
        };
        let width = f.width().unwrap_or_default();
        write!(f, "{text:>width$}")
    }
}

impl FromStr for Decimal {
    type Err = DecimalError;

    /// Reads what `Display` writes; a `+` before it is allowed, too.
    fn from_str(text: &str) -> Result<Self, DecimalError> {
        let not_a_number = || DecimalError::NotANumber {
            text: text.chars().take(ERROR_TEXT_CHARS_MAX).collect(),
        };
        let (negative, unsigned) = match text.strip_prefix('-') {
            Some(unsigned) => (true, unsigned),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (whole, decimals) = unsigned.split_once('.').unwrap_or((unsigned, ""));
        if whole.is_empty() && decimals.is_empty() {
            return Err(not_a_number());
        }
        // Counts downwards, because the lowest number has no positive opposite.
        let mut mantissa: i128 = 0;
        for digit in whole.chars().chain(decimals.chars()) {
            let digit = digit.to_digit(10).ok_or_else(not_a_number)?;
            mantissa = mantissa
                .checked_mul(10)
                .and_then(|tens| tens.checked_sub(digit.into()))
                .ok_or(DecimalError::Overflow)?;
        }
        let decimals = u8::try_from(decimals.len()).map_err(|_| DecimalError::Overflow)?;
        let number = Self::new(mantissa, decimals)?;
        if negative {
            Ok(number)
        } else {
            number.checked_neg()
        }
    }
}

// As text, so that a journal can be read by whatever reads MessagePack or JSON, without a float in between.
impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Digits;

        impl serde::de::Visitor<'_> for Digits {
            type Value = Decimal;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a decimal number as text")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Decimal, E> {
                text.parse().map_err(E::custom)
            }
        }

        deserializer.deserialize_str(Digits)
    }
}

#[cfg(test)]
mod tests;
