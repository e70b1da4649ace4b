use foldhouse::Timestamp;
use serde::{Deserialize, Serialize};

use super::names::LotId;
use super::quantity::Quantity;
use crate::ledger::BookDate;
use crate::money::Money;

/// The most lots (or serial numbers) that one movement may name.
pub const LOTS_PER_MOVEMENT_MAX: usize = 256;

/// What is known of goods that moved, beyond how many they are: recorded with a movement where the item tracks lots or
/// costs ([`ItemTerms`](crate::ItemTerms)), and decided when it moved, so that every reader finds the same lots and the same
/// value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Goods {
    /// Which lots, and how many of each; they sum up to the movement's quantity. Empty where lots are not tracked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lots: Vec<LotQuantity>,
    /// What the stock's value changes by, without a sign: a receipt adds it, a shipment takes it. `None` where costs are not
    /// kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Money>,
    /// When it moved: where costs are kept, movements count in this order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved_at: Option<Timestamp>,
}

/// So many of a lot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LotQuantity {
    /// The lot, or the serial number.
    pub lot: LotId,
    /// How many; 1 of a serial number.
    pub quantity: Quantity,
    /// The last day on which it may be used, if it perishes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_on: Option<BookDate>,
}

impl LotQuantity {
    /// So many of a lot that does not perish, or whose date is known.
    #[must_use]
    pub fn new(lot: impl Into<LotId>, quantity: Quantity) -> Self {
        Self {
            lot: lot.into(),
            quantity,
            expires_on: None,
        }
    }

    /// That may be used up to this day.
    #[must_use]
    pub fn expires_on(mut self, last: BookDate) -> Self {
        self.expires_on = Some(last);
        self
    }
}
