use std::fmt;
use std::sync::Arc;

use chrono::NaiveDate;

use super::location::Location;
use crate::decimal::{Decimal, DecimalError};

/// So much of a commodity: a currency, a share, hours.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount {
    /// How much, with the decimals it was written with.
    pub quantity: Decimal,
    /// Of what; empty for a bare number.
    pub commodity: Arc<str>,
}

impl Amount {
    /// So much of that.
    #[must_use]
    pub fn new(quantity: Decimal, commodity: impl Into<Arc<str>>) -> Self {
        Self {
            quantity,
            commodity: commodity.into(),
        }
    }

    /// So many times as much.
    pub(super) fn times(&self, factor: Decimal) -> Result<Self, DecimalError> {
        Ok(Self {
            quantity: self.quantity.checked_mul(factor)?,
            commodity: Arc::clone(&self.commodity),
        })
    }
}

impl fmt::Display for Amount {
    /// The quantity, and the commodity behind it if it has one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            quantity,
            commodity,
        } = self;
        if commodity.is_empty() {
            write!(f, "{quantity}")
        } else {
            write!(f, "{quantity} {commodity}")
        }
    }
}

/// What a posting's amount was exchanged for: `@` or `@@`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cost {
    /// For each unit.
    PerUnit(Amount),
    /// For all of it; its sign is the posting's.
    Total(Amount),
}

/// The lot that a posting adds to or takes from: `{}`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lot {
    /// What one unit cost.
    pub per_unit: Option<Amount>,
    /// What all of it cost; beancount adds both.
    pub total: Option<Amount>,
    /// When it was acquired.
    pub date: Option<NaiveDate>,
    /// A name for it.
    pub label: Option<String>,
}

/// What an account should have after a posting: `=` and its kin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assertion {
    /// Where it stands.
    pub at: Location,
    /// How much it should have.
    pub amount: Amount,
    /// `==`: and no other commodity.
    pub sole: bool,
    /// `=*`: with its sub-accounts.
    pub inclusive: bool,
}
