use serde::{Deserialize, Serialize};

use super::names::LotId;
use super::quantity::Quantity;
use crate::ledger::BookDate;

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
    /// What the stock's value changes by, in minor units of the item's currency, without a sign: a receipt adds it, a
    /// shipment takes it. `None` where costs are not kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_minor_units: Option<i64>,
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
