use serde::{Deserialize, Serialize};

use super::quantity::Quantity;
use crate::currency::Currency;

/// How an item is kept. One that was never told is counted only: no lots, no costs, never oversold.
///
/// Persisted with its field and variant names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemTerms {
    /// How its value is kept; `None` if it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub costing: Option<CostTerms>,
    /// Whether its lots or serial numbers are.
    #[serde(default)]
    pub tracking: Tracking,
    /// Whether more may be promised than is on hand.
    #[serde(default)]
    pub oversell: Oversell,
    /// Whether a movement may be recorded that happened before others that are recorded already.
    #[serde(default)]
    pub back_dating: BackDating,
    /// When it is time to order: as soon as no more than this is available.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reorder_point: Option<Quantity>,
}

/// How an item's value is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CostTerms {
    /// What goods that leave have cost.
    pub method: CostMethod,
    /// In which currency.
    pub currency: Currency,
}

/// What goods that leave have cost. Persisted by the variants' names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum CostMethod {
    /// What the oldest on hand did: first in, first out.
    Fifo,
    /// What all on hand did on average, at the moment they leave.
    MovingAverage,
}

/// What is known of the pieces of an item. Persisted by the variants' names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Tracking {
    /// How many there are.
    #[default]
    Counted,
    /// Of which lot each is; what expires first leaves first (FEFO).
    Lots,
    /// Which serial number each has: lots of one piece.
    Serials,
}

/// Whether more may be promised than is on hand. Nothing that is not on hand is ever shipped. Persisted by the variants'
/// names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Oversell {
    /// No.
    #[default]
    Refuse,
    /// So many more.
    UpTo(Quantity),
}

/// Whether a movement may be recorded that happened before others that are recorded already. Persisted by the variants'
/// names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum BackDating {
    /// No: movements are recorded in their order.
    #[default]
    Refuse,
    /// If so many movements at most are later than it: what they cost is worked out anew, and the difference recorded.
    ///
    /// The bound keeps one late document from repricing a year (ERPNext's repost queues: erpnext#53773).
    Revalue {
        /// How many; at most [`REVALUED_MOVEMENTS_MAX`](crate::REVALUED_MOVEMENTS_MAX).
        movements_max: u32,
    },
}
