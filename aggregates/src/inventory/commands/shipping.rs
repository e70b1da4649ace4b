use foldhouse::{Command, CommandContext, Decision};
use serde::{Deserialize, Serialize};

use super::releasing::without_expiry;
use crate::inventory::events::InventoryEvent;
use crate::inventory::item::InventoryItem;
use crate::inventory::movement::{GoodsRejection, Leaving, Outcome, goods_out};
use crate::inventory::quantity::Quantity;
use crate::inventory::reservation::ReservationId;
use crate::inventory::stock::StockLevel;

/// Sends promised goods off, in whole or in part: the lots that are set apart for the promise, then what expires first. The
/// reply is the stock after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ship {
    /// Which promise.
    pub reservation: ReservationId,
    /// How many of it; all that it holds if nothing is said. What it waits for, it goes on waiting for.
    // Not written where it is not said: the fingerprints of commands from before there was such stay the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantity: Option<Quantity>,
}

impl Ship {
    /// Sends the goods of this promise off.
    #[must_use]
    pub fn new(reservation: ReservationId) -> Self {
        Self {
            reservation,
            quantity: None,
        }
    }

    /// Only so many of them.
    #[must_use]
    pub fn part(mut self, quantity: Quantity) -> Self {
        self.quantity = Some(quantity);
        self
    }
}

/// Why a reservation is not shipped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ShipRejection {
    /// No such reservation is open.
    #[error(
        "reservation {reservation} is not open: it was never made, or already released or shipped"
    )]
    UnknownReservation {
        /// The reservation that was named.
        reservation: ReservationId,
    },
    /// Less is on hand than was promised: the terms let it be oversold, or the history was written elsewhere.
    #[error(
        "{reserved} reserved, but only {on_hand} on hand; receive first, or adjust the stock to what was counted"
    )]
    NotOnHand {
        /// What the reservation holds, or the part of it that was to be shipped.
        reserved: Quantity,
        /// What is on hand that nobody else has picked.
        on_hand: Quantity,
    },
    /// It does not hold so many.
    #[error("reservation {reservation} holds {held}; {requested} cannot be shipped")]
    NotHeld {
        /// The reservation that was named.
        reservation: ReservationId,
        /// How many it holds.
        held: Quantity,
        /// How many were to be shipped.
        requested: Quantity,
    },
    /// The lots or costs do not fit.
    #[error(transparent)]
    Goods(#[from] GoodsRejection),
}

impl Command for Ship {
    type Aggregate = InventoryItem;
    type Reply = StockLevel;
    type Rejection = ShipRejection;

    fn decide(
        &self,
        item: &InventoryItem,
        context: &CommandContext,
    ) -> Result<Decision<InventoryEvent, StockLevel>, ShipRejection> {
        let reservation = self.reservation;
        let held = item
            .reservation(reservation)
            .ok_or(ShipRejection::UnknownReservation { reservation })?;
        let quantity = self.quantity.unwrap_or(held);
        if quantity.is_zero() || quantity > held {
            return Err(ShipRejection::NotHeld {
                reservation,
                held,
                requested: quantity,
            });
        }
        let picked = item.picked_in_all();
        let picked = picked.saturating_sub(item.picked(reservation));
        let on_hand = item.on_hand().saturating_sub(picked);
        if quantity > on_hand {
            return Err(ShipRejection::NotOnHand {
                reserved: quantity,
                on_hand,
            });
        }
        let leaving = Leaving::Next(Some(reservation));
        let moved = goods_out(item, quantity, leaving, context)?;
        let shipped = InventoryEvent::Shipped {
            reservation,
            quantity,
            goods: moved.goods,
        };
        let outcome = Outcome::new(item).and(shipped).and(moved.revalued);
        let decision = Decision::events(outcome.events, outcome.level);
        let is_over = quantity == held && item.waits_for(reservation).is_zero();
        match is_over {
            true => Ok(without_expiry(decision, item, reservation)),
            false => Ok(decision),
        }
    }
}
