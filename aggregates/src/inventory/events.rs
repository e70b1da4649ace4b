use std::fmt;

use foldhouse::Timestamp;
use serde::{Deserialize, Serialize};

use super::quantity::Quantity;
use super::reservation::ReservationId;
use crate::memo::Memo;

/// What happens to an [`InventoryItem`](crate::InventoryItem).
///
/// This is the persisted contract. Variant names (the event types in the journal) and field names never change, and
/// never change their meaning; a new field is optional with a default.
///
/// A release and a shipment repeat the quantity, so that a stock level follows from the events alone, without a list
/// of reservations beside it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum InventoryEvent {
    /// Goods came in.
    Received {
        /// How many.
        quantity: Quantity,
    },
    /// Goods on hand were promised to somebody.
    Reserved {
        /// The name of the promise.
        reservation: ReservationId,
        /// How many.
        quantity: Quantity,
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
    },
    /// A promise was taken back; the goods are available again.
    Released {
        /// Which promise.
        reservation: ReservationId,
        /// How many.
        quantity: Quantity,
    },
    /// Promised goods left.
    Shipped {
        /// Which promise.
        reservation: ReservationId,
        /// How many.
        quantity: Quantity,
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
    },
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
