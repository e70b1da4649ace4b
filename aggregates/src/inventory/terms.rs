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

/// The most movements that one late movement may revalue.
pub const REVALUED_MOVEMENTS_MAX: u32 = 1_000;

/// Whether a movement may be recorded that happened before others that are recorded already. It matters where costs are
/// kept: they follow from the order. Persisted by the variants' names.
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

impl ItemTerms {
    /// Counted only: no lots, no costs, never oversold.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Its value is kept, by this method in this currency.
    #[must_use]
    pub fn costing(mut self, method: CostMethod, currency: Currency) -> Self {
        self.costing = Some(CostTerms { method, currency });
        self
    }

    /// Its lots or serial numbers are known.
    #[must_use]
    pub fn tracking(mut self, tracking: Tracking) -> Self {
        self.tracking = tracking;
        self
    }

    /// So many more may be promised than are on hand.
    #[must_use]
    pub fn oversell_up_to(mut self, quantity: Quantity) -> Self {
        self.oversell = Oversell::UpTo(quantity);
        self
    }

    /// A movement may be recorded late if at most so many are later than it.
    #[must_use]
    pub fn revalue(mut self, movements_max: u32) -> Self {
        self.back_dating = BackDating::Revalue { movements_max };
        self
    }

    /// It is time to order as soon as no more than this is available.
    #[must_use]
    pub fn reorder_point(mut self, quantity: Quantity) -> Self {
        self.reorder_point = Some(quantity);
        self
    }

    /// How many more may be promised than are on hand.
    pub(super) fn oversell_max(&self) -> Quantity {
        match self.oversell {
            Oversell::Refuse => Quantity::ZERO,
            Oversell::UpTo(quantity) => quantity,
        }
    }

    /// How many movements may be later than one that is recorded now.
    pub(super) fn later_max(&self) -> usize {
        match self.back_dating {
            BackDating::Refuse => 0,
            BackDating::Revalue { movements_max } => {
                movements_max.min(REVALUED_MOVEMENTS_MAX) as usize
            }
        }
    }
}
