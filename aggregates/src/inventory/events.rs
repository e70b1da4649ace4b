use std::fmt;

use foldhouse::Timestamp;
use serde::{Deserialize, Serialize};

use super::goods::{Goods, LotQuantity};
use super::names::{LocationId, SupplyId, TransferId};
use super::quantity::Quantity;
use super::reservation::ReservationId;
use super::terms::ItemTerms;
use crate::ledger::BookDate;
use crate::memo::Memo;
use crate::money::Money;

/// What happens to an [`InventoryItem`](crate::InventoryItem).
///
/// This is the persisted contract. Variant names (the event types in the journal) and field names never change, and
/// never change their meaning; a new field is optional with a default.
///
/// A release and a shipment repeat the quantity, so that a stock level follows from the events alone, without a list
/// of reservations beside it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum InventoryEvent {
    /// It was said how the item is kept.
    TermsSet {
        /// How, as a whole.
        terms: Box<ItemTerms>,
    },
    /// Goods came in.
    Received {
        /// How many.
        quantity: Quantity,
        /// Which expected supply it was, or is a part of.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        supply: Option<SupplyId>,
        /// Which lots, and at what value.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        goods: Option<Box<Goods>>,
    },
    /// Goods on hand were promised to somebody.
    Reserved {
        /// The name of the promise.
        reservation: ReservationId,
        /// How many.
        quantity: Quantity,
        /// How many more the reservation waits for.
        #[serde(default, skip_serializing_if = "is_none")]
        backordered: Quantity,
        /// Who waits goes before those of a lower priority.
        #[serde(default, skip_serializing_if = "is_ordinary")]
        priority: u8,
    },
    /// A promise got an end: it stands behind its reservation, in the same append.
    ExpirySet {
        /// Which promise.
        reservation: ReservationId,
        /// From when on it no longer holds.
        expires_at: Timestamp,
    },
    /// A promise came to its end before anybody shipped or released it; the goods are available again.
    Expired {
        /// Which promise.
        reservation: ReservationId,
        /// How many.
        quantity: Quantity,
        /// How many more the reservation waited for.
        #[serde(default, skip_serializing_if = "is_none")]
        backordered: Quantity,
    },
    /// A promise was taken back; the goods are available again.
    Released {
        /// Which promise.
        reservation: ReservationId,
        /// How many.
        quantity: Quantity,
        /// How many more the reservation waited for.
        #[serde(default, skip_serializing_if = "is_none")]
        backordered: Quantity,
    },
    /// Goods came that a reservation waited for: they are promised to it now.
    BackorderFilled {
        /// Which promise.
        reservation: ReservationId,
        /// How many.
        quantity: Quantity,
    },
    /// A promise became firm, in whole or in part: it does not end by itself any more, and what was not confirmed is
    /// available again.
    Confirmed {
        /// Which promise.
        reservation: ReservationId,
        /// How many it holds from now on.
        quantity: Quantity,
        /// How many it holds no longer.
        #[serde(default, skip_serializing_if = "is_none")]
        released: Quantity,
    },
    /// It was decided which lots go to a promise.
    Allocated {
        /// Which promise.
        reservation: ReservationId,
        /// Its lots, instead of those it had.
        lots: Vec<LotQuantity>,
    },
    /// Promised goods were taken from the shelf, to be packed. They are on hand until they are shipped.
    Picked {
        /// Which promise.
        reservation: ReservationId,
        /// How many.
        quantity: Quantity,
        /// Which lots.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        lots: Vec<LotQuantity>,
    },
    /// Promised goods left.
    Shipped {
        /// Which promise.
        reservation: ReservationId,
        /// How many.
        quantity: Quantity,
        /// Which lots, and at what value.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        goods: Option<Box<Goods>>,
    },
    /// Goods that had left came back.
    Returned {
        /// How many.
        quantity: Quantity,
        /// With which promise they had left, if that is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reservation: Option<ReservationId>,
        /// In words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<Memo>,
        /// Which lots, and at what value.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        goods: Option<Box<Goods>>,
    },
    /// Goods are to come from a supplier.
    SupplyExpected {
        /// What is to come; a second time it replaces the first.
        supply: SupplyId,
        /// How many.
        quantity: Quantity,
        /// When.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        due_on: Option<BookDate>,
    },
    /// The rest of what was to come from a supplier will not come.
    SupplyEnded {
        /// Which supply.
        supply: SupplyId,
        /// How many were still to come.
        quantity: Quantity,
    },
    /// Goods left for another location: they are in transit, and this item's until they arrive.
    TransferDispatched {
        /// The transfer.
        transfer: TransferId,
        /// Where they go.
        to: LocationId,
        /// How many.
        quantity: Quantity,
        /// Which lots, and at what value.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        goods: Option<Box<Goods>>,
    },
    /// Goods in transit arrived: they are no longer this item's. It stands in the append of their receipt over there.
    TransferArrived {
        /// The transfer.
        transfer: TransferId,
        /// Where they were to go.
        to: LocationId,
        /// How many.
        quantity: Quantity,
        /// Which lots, and at what value.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        goods: Option<Box<Goods>>,
    },
    /// Goods came in from another location.
    TransferReceived {
        /// The transfer.
        transfer: TransferId,
        /// Where they come from.
        from: LocationId,
        /// How many.
        quantity: Quantity,
        /// Which lots, and at what value.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        goods: Option<Box<Goods>>,
    },
    /// Goods in transit will not arrive: they were lost on the way.
    TransferLost {
        /// The transfer.
        transfer: TransferId,
        /// Where they were to go.
        to: LocationId,
        /// How many.
        quantity: Quantity,
        /// In words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<Memo>,
        /// Which lots, and at what value.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        goods: Option<Box<Goods>>,
    },
    /// The shelf was counted, and the book brought to it. A count that agrees is recorded, too.
    Counted {
        /// How many there were.
        counted: Quantity,
        /// How many more (or fewer, below zero) than the book said.
        variance: i64,
        /// In words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<Memo>,
        /// Which lots, and at what value.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        goods: Option<Box<Goods>>,
    },
    /// The book was brought to what is really on the shelf.
    Adjusted {
        /// How many more (or fewer, below zero) there are than the book said; not zero.
        delta: i64,
        /// Why.
        reason: AdjustmentReason,
        /// In words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<Memo>,
        /// Which lots, and at what value.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        goods: Option<Box<Goods>>,
    },
    /// A movement that was recorded late changed what goods have cost that left since. It stands behind the movement, in the
    /// same append.
    Revalued {
        /// How much more (or less, below zero) they have cost; the stock is worth as much less.
        issued: Money,
        /// How many movements were worked out anew.
        movements: u32,
    },
}

impl InventoryEvent {
    /// So many came in, and nothing more is known of them.
    #[must_use]
    pub const fn received(quantity: Quantity) -> Self {
        Self::Received {
            quantity,
            supply: None,
            goods: None,
        }
    }
}

impl InventoryEvent {
    /// How many more (or fewer, below zero) are on hand because of it, and what is known of them; `None` if nothing moves
    /// on or off hand.
    pub(super) fn moved(&self) -> Option<(i128, Option<&Goods>)> {
        Some(match self {
            Self::Received {
                quantity, goods, ..
            }
            | Self::Returned {
                quantity, goods, ..
            }
            | Self::TransferReceived {
                quantity, goods, ..
            } => (quantity.get().into(), goods.as_deref()),
            Self::Shipped {
                quantity, goods, ..
            }
            | Self::TransferDispatched {
                quantity, goods, ..
            } => {
                let left = i128::from(quantity.get()).saturating_neg();
                (left, goods.as_deref())
            }
            Self::Adjusted { delta, goods, .. }
            | Self::Counted {
                variance: delta,
                goods,
                ..
            } => ((*delta).into(), goods.as_deref()),
            _ => return None,
        })
    }
}

// Not written where there is nothing to say.
fn is_none(quantity: &Quantity) -> bool {
    quantity.is_zero()
}

fn is_ordinary(priority: &u8) -> bool {
    *priority == 0
}

/// Why the book and the shelf differ.
///
/// The variant names are persisted: they never change and never change their meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum AdjustmentReason {
    /// Somebody counted.
    CycleCount,
    /// Goods broke.
    Damaged,
    /// Goods are past their date.
    Expired,
    /// Goods are gone.
    Lost,
    /// Lost goods turned up.
    Found,
    /// Something else; the note says what.
    Other,
}

impl fmt::Display for AdjustmentReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::CycleCount => "cycle count",
            Self::Damaged => "damaged",
            Self::Expired => "expired",
            Self::Lost => "lost",
            Self::Found => "found",
            Self::Other => "other",
        })
    }
}
