use std::collections::BTreeMap;
use std::sync::Arc;

use crate::decimal::{DECIMALS_MAX, Decimal, DecimalError};

/// Units of measure, and how many of one make another.
///
/// Factors are fractions of whole numbers, so a conversion is exact or refused: 2 lb are 907.18474 g, and a gram is no
/// number of pounds that has an end.
///
/// ```
/// use foldhouse_aggregates::{Decimal, UnitError, Units};
///
/// let mut units = Units::standard();
/// units.define("box", Decimal::whole(12), "piece")?;
/// units.define("pallet", Decimal::whole(40), "box")?;
///
/// assert_eq!(units.convert(Decimal::whole(3), "pallet", "piece")?, Decimal::whole(1_440));
/// assert_eq!(units.convert(Decimal::whole(2), "lb", "g")?.to_string(), "907.18474");
/// assert!(matches!(
///     units.convert(Decimal::whole(1), "piece", "box"),
///     Err(UnitError::Inexact { .. })
/// ));
/// # Ok::<(), UnitError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Units(BTreeMap<Arc<str>, Unit>);

#[derive(Clone, Debug)]
struct Unit {
    /// The unit that it is counted in, in the end; its own name if it is one of those.
    base: Arc<str>,
    /// How many of those one is.
    factor: Fraction,
}

/// Why a quantity cannot be converted, or a unit not defined.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UnitError {
    /// No unit has that name.
    #[error("no unit is named {name:?}; define it first")]
    Unknown {
        /// The name.
        name: String,
    },
    /// The unit is there already. What it means never changes.
    #[error("the unit {name:?} is defined already")]
    AlreadyDefined {
        /// The name.
        name: String,
    },
    /// A unit has to be a part or a multiple above nothing.
    #[error("one {name} cannot be {factor} of another unit: give a factor above zero")]
    Factor {
        /// The name.
        name: String,
        /// The factor.
        factor: Decimal,
    },
    /// The two measure different things.
    #[error(
        "{from} is measured in {from_base} and {to} in {to_base}: one does not convert into the other"
    )]
    DifferentKinds {
        /// The unit given.
        from: String,
        /// What it is counted in.
        from_base: String,
        /// The unit wanted.
        to: String,
        /// What that is counted in.
        to_base: String,
    },
    /// The result has no end as a decimal, or is no whole number where one is asked for.
    #[error("{quantity} {from} is no exact quantity of {to}; keep it in {from}, or round it first")]
    Inexact {
        /// The quantity.
        quantity: Decimal,
        /// The unit given.
        from: String,
        /// The unit wanted.
        to: String,
    },
    /// The result has too many digits.
    #[error(transparent)]
    Number(#[from] DecimalError),
}

/// A fraction in lowest terms; both are above zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Fraction {
    numerator: i128,
    denominator: i128,
}

impl Fraction {
    const ONE: Self = Self {
        numerator: 1,
        denominator: 1,
    };

    fn new(numerator: i128, denominator: i128) -> Result<Self, DecimalError> {
        let divisor = common_divisor(numerator, denominator);
        let divided = |number: i128| {
            number
                .checked_div(divisor)
                .ok_or(DecimalError::DivisionByZero)
        };
        Ok(Self {
            numerator: divided(numerator)?,
            denominator: divided(denominator)?,
        })
    }

    fn of(number: Decimal) -> Result<Self, DecimalError> {
        let power = 10_i128.checked_pow(number.decimals().into());
        Self::new(number.mantissa(), power.ok_or(DecimalError::Overflow)?)
    }

    fn inverse(self) -> Self {
        Self {
            numerator: self.denominator,
            denominator: self.numerator,
        }
    }

    fn times(self, other: Self) -> Result<Self, DecimalError> {
        // Crosswise in lowest terms first, so that little overflows.
        let left = Self::new(self.numerator, other.denominator)?;
        let right = Self::new(other.numerator, self.denominator)?;
        let product = |one: i128, other: i128| one.checked_mul(other).ok_or(DecimalError::Overflow);
        Ok(Self {
            numerator: product(left.numerator, right.numerator)?,
            denominator: product(right.denominator, left.denominator)?,
        })
    }

    /// As a decimal number, if it has an end.
    fn to_decimal(self) -> Result<Option<Decimal>, DecimalError> {
        let mut numerator = self.numerator;
        for decimals in 0..=DECIMALS_MAX {
            if numerator.checked_rem(self.denominator) == Some(0) {
                let mantissa = numerator.checked_div(self.denominator);
                return Decimal::new(mantissa.ok_or(DecimalError::DivisionByZero)?, decimals)
                    .map(Some);
            }
            let Some(tenfold) = numerator.checked_mul(10) else {
                break;
            };
            numerator = tenfold;
        }
        let mut rest = self.denominator;
        for prime in [2, 5] {
            while rest.checked_rem(prime) == Some(0) {
                rest = rest
                    .checked_div(prime)
                    .ok_or(DecimalError::DivisionByZero)?;
            }
        }
        if rest == 1 {
            // It has an end, too far behind the point.
            return Err(DecimalError::Overflow);
        }
        Ok(None)
    }
}

fn common_divisor(left: i128, right: i128) -> i128 {
    let (mut left, mut right) = (left, right);
    while right != 0 {
        (left, right) = (right, left.checked_rem(right).unwrap_or(0));
    }
    match left.checked_abs() {
        Some(0) | None => 1,
        Some(divisor) => divisor,
    }
}

/// Each by its definition, exact in its base.
const STANDARD: [(&str, &str, &str); 25] = [
    ("mg", "0.001", "g"),
    ("kg", "1000", "g"),
    ("t", "1000", "kg"),
    ("lb", "453.59237", "g"),
    ("oz", "28.349523125", "g"),
    ("mm", "0.001", "m"),
    ("cm", "0.01", "m"),
    ("km", "1000", "m"),
    ("in", "2.54", "cm"),
    ("ft", "12", "in"),
    ("yd", "3", "ft"),
    ("mi", "1760", "yd"),
    ("ml", "0.001", "l"),
    ("cl", "0.01", "l"),
    ("hl", "100", "l"),
    ("m3", "1000", "l"),
    ("gal", "3.785411784", "l"),
    ("min", "60", "s"),
    ("h", "60", "min"),
    ("d", "24", "h"),
    ("pair", "2", "piece"),
    ("dozen", "12", "piece"),
    ("gross", "144", "piece"),
    ("ha", "10000", "m2"),
    ("a", "100", "m2"),
];

impl Units {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Mass (g, kg, t, lb, oz...), length (m, in, ft...), area, volume (l, m3, US gal...), time (s, h, d) and counts
    /// (piece, dozen...), each by its definition.
    #[must_use]
    pub fn standard() -> Self {
        let mut units = Self::new();
        for base in ["g", "m", "m2", "l", "s", "piece"] {
            // Each name is there once; a test sees to it.
            let _ = units.define_base(base);
        }
        for (name, factor, of) in STANDARD {
            if let Ok(factor) = factor.parse() {
                let _ = units.define(name, factor, of);
            }
        }
        units
    }

    /// A unit of a kind of its own.
    ///
    /// # Errors
    /// [`UnitError::AlreadyDefined`].
    pub fn define_base(&mut self, name: &str) -> Result<(), UnitError> {
        let base: Arc<str> = name.into();
        let factor = Fraction::ONE;
        self.add(name, Unit { base, factor })
    }

    /// One `name` is so many of a unit that is there.
    ///
    /// # Errors
    /// [`UnitError`] if the name is taken, the other is not known, or the factor is not above zero.
    pub fn define(&mut self, name: &str, factor: Decimal, of: &str) -> Result<(), UnitError> {
        if factor.is_zero() || factor.is_negative() {
            return Err(UnitError::Factor {
                name: name.to_owned(),
                factor,
            });
        }
        let of = self.unit(of)?;
        let base = Arc::clone(&of.base);
        let factor = Fraction::of(factor)?.times(of.factor)?;
        self.add(name, Unit { base, factor })
    }

    fn add(&mut self, name: &str, unit: Unit) -> Result<(), UnitError> {
        if self.0.contains_key(name) {
            return Err(UnitError::AlreadyDefined {
                name: name.to_owned(),
            });
        }
        self.0.insert(name.into(), unit);
        Ok(())
    }

    fn unit(&self, name: &str) -> Result<&Unit, UnitError> {
        self.0.get(name).ok_or_else(|| UnitError::Unknown {
            name: name.chars().take(64).collect(),
        })
    }

    /// The names of all units, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(|name| &**name)
    }

    /// The same quantity in another unit, exactly.
    ///
    /// # Errors
    /// [`UnitError::Inexact`] if it has no end as a decimal, and the others.
    pub fn convert(&self, quantity: Decimal, from: &str, to: &str) -> Result<Decimal, UnitError> {
        let (from_unit, to_unit) = (self.unit(from)?, self.unit(to)?);
        if from_unit.base != to_unit.base {
            return Err(UnitError::DifferentKinds {
                from: from.to_owned(),
                from_base: from_unit.base.to_string(),
                to: to.to_owned(),
                to_base: to_unit.base.to_string(),
            });
        }
        let factor = from_unit.factor.times(to_unit.factor.inverse())?;
        let converted = Fraction::of(quantity)?.times(factor)?.to_decimal()?;
        converted.ok_or_else(|| UnitError::Inexact {
            quantity,
            from: from.to_owned(),
            to: to.to_owned(),
        })
    }

    /// The same for what is counted in whole units, as stock is.
    ///
    /// # Errors
    /// [`UnitError::Inexact`] if the result is not whole, and the others.
    pub fn convert_whole(&self, quantity: i64, from: &str, to: &str) -> Result<i64, UnitError> {
        let quantity = Decimal::whole(quantity.into());
        let converted = self.convert(quantity, from, to)?.normalized();
        if converted.decimals() > 0 {
            return Err(UnitError::Inexact {
                quantity,
                from: from.to_owned(),
                to: to.to_owned(),
            });
        }
        i64::try_from(converted.mantissa()).map_err(|_| DecimalError::Overflow.into())
    }
}

#[cfg(test)]
mod tests;
