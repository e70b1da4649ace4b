use std::fmt;

use serde::{Deserialize, Serialize};

/// A side of the ledger.
///
/// The variant names are persisted: they never change and never change their meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Side {
    /// The left side. Assets and expenses grow here.
    Debit,
    /// The right side. Liabilities, equity and income grow here.
    Credit,
}

impl Side {
    /// The other side.
    #[must_use]
    pub const fn opposite(self) -> Self {
        match self {
            Self::Debit => Self::Credit,
            Self::Credit => Self::Debit,
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Debit => "debit",
            Self::Credit => "credit",
        })
    }
}

/// How far the balance of an account, counted on its normal side, may go below zero.
///
/// The variant and field names are persisted: they never change and never change their meaning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum OverdraftPolicy {
    /// Not at all.
    #[default]
    Forbidden,
    /// Down to this limit.
    Limit {
        /// How far below zero, in minor units of the account's currency; not negative.
        minor_units: i64,
    },
    /// As far as 64 bits of minor units reach.
    Unlimited,
}

impl OverdraftPolicy {
    /// The lowest balance that it allows, in minor units.
    pub(super) fn floor(self) -> i64 {
        match self {
            Self::Forbidden => 0,
            // A negative limit is refused when the account is opened; in a foreign history it forbids.
            Self::Limit { minor_units } => minor_units.max(0).saturating_neg(),
            Self::Unlimited => i64::MIN,
        }
    }
}
