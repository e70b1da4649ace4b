use foldhouse::{Command, CommandContext, Decision, Timestamp};
use serde::{Deserialize, Serialize};

use super::releasing::{Expire, expiry_timer, without_expiry};
use crate::inventory::events::InventoryEvent;
use crate::inventory::item::InventoryItem;
use crate::inventory::movement::Outcome;
use crate::inventory::quantity::Quantity;
use crate::inventory::reservation::ReservationId;
use crate::inventory::stock::StockLevel;

/// Makes a promise firm, in whole or in part: it does not end by itself any more. What is not confirmed is available again,
/// and goes to those who wait; what the promise waits for, it goes on waiting for. The reply is the stock after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirm {
    /// Which promise.
    pub reservation: ReservationId,
    /// How many of what it holds; all if nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantity: Option<Quantity>,
}

impl Confirm {
    /// Makes all of this promise firm.
    #[must_use]
    pub fn new(reservation: ReservationId) -> Self {
        Self {
            reservation,
            quantity: None,
        }
    }

    /// Only so many of it.
    #[must_use]
    pub fn part(mut self, quantity: Quantity) -> Self {
        self.quantity = Some(quantity);
        self
    }
}

/// Why a reservation is not confirmed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfirmRejection {
    /// No such reservation is open.
    #[error(
        "reservation {reservation} is not open: it was never made, or it expired, or was released or shipped; make a new one"
    )]
    UnknownReservation {
        /// The reservation that was named.
        reservation: ReservationId,
    },
    /// Nothing is asked for.
    #[error("a confirmation of 0 is a release; give at least 1, or release it")]
    ZeroQuantity,
    /// It does not hold so many, or more were picked already.
    #[error(
        "reservation {reservation} holds {held}, of which {picked} are picked; {requested} cannot be confirmed"
    )]
    NotHeld {
        /// The reservation that was named.
        reservation: ReservationId,
        /// How many it holds.
        held: Quantity,
        /// How many of these were taken from the shelf.
        picked: Quantity,
        /// How many were to be confirmed.
        requested: Quantity,
    },
    /// A part is confirmed while the rest of it waits.
    #[error(
        "reservation {reservation} waits for {waits} more; a part cannot be confirmed while it does: release those first"
    )]
    Waits {
        /// The reservation that was named.
        reservation: ReservationId,
        /// How many it waits for.
        waits: Quantity,
    },
}

impl Command for Confirm {
    type Aggregate = InventoryItem;
    type Reply = StockLevel;
    type Rejection = ConfirmRejection;

    fn decide(
        &self,
        item: &InventoryItem,
        _: &CommandContext,
    ) -> Result<Decision<InventoryEvent, StockLevel>, ConfirmRejection> {
        let reservation = self.reservation;
        let held = item
            .reservation(reservation)
            .ok_or(ConfirmRejection::UnknownReservation { reservation })?;
        let requested = self.quantity.unwrap_or(held);
        let (picked, waits) = (item.picked(reservation), item.waits_for(reservation));
        if self.quantity.is_some_and(Quantity::is_zero) {
            return Err(ConfirmRejection::ZeroQuantity);
        }
        if requested > held || requested < picked {
            return Err(ConfirmRejection::NotHeld {
                reservation,
                held,
                picked,
                requested,
            });
        }
        if requested < held && !waits.is_zero() {
            return Err(ConfirmRejection::Waits { reservation, waits });
        }
        if requested == held && item.expires_at(reservation).is_none() {
            return Ok(Decision::nothing(item.level()));
        }
        let confirmed = InventoryEvent::Confirmed {
            reservation,
            quantity: requested,
            released: held.saturating_sub(requested),
        };
        let outcome = Outcome::new(item).and(confirmed);
        let Outcome { events, level } = outcome.fill(item, None);
        let decision = Decision::events(events, level);
        Ok(without_expiry(decision, item, reservation))
    }
}

/// Lets a promise hold until another time, earlier or later. The reply is that time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extend {
    /// Which promise.
    pub reservation: ReservationId,
    /// From when on it no longer holds.
    pub expires_at: Timestamp,
}

impl Extend {
    /// Lets this promise hold until that time.
    #[must_use]
    pub fn new(reservation: ReservationId, expires_at: Timestamp) -> Self {
        Self {
            reservation,
            expires_at,
        }
    }
}

/// Why a reservation is not extended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExtendRejection {
    /// No such reservation is open.
    #[error(
        "reservation {reservation} is not open: it was never made, or it expired, or was released or shipped; make a new one"
    )]
    UnknownReservation {
        /// The reservation that was named.
        reservation: ReservationId,
    },
    /// It does not end by itself: it was made without an end, or confirmed, or picked.
    #[error("reservation {reservation} does not end by itself; there is nothing to extend")]
    NoEnd {
        /// The reservation that was named.
        reservation: ReservationId,
    },
}

impl Command for Extend {
    type Aggregate = InventoryItem;
    type Reply = Timestamp;
    type Rejection = ExtendRejection;

    fn decide(
        &self,
        item: &InventoryItem,
        _: &CommandContext,
    ) -> Result<Decision<InventoryEvent, Timestamp>, ExtendRejection> {
        let Self {
            reservation,
            expires_at,
        } = *self;
        if item.reservation(reservation).is_none() {
            return Err(ExtendRejection::UnknownReservation { reservation });
        }
        let ends = item
            .expires_at(reservation)
            .ok_or(ExtendRejection::NoEnd { reservation })?;
        if ends == expires_at {
            return Ok(Decision::nothing(expires_at));
        }
        let limited = InventoryEvent::ExpirySet {
            reservation,
            expires_at,
        };
        let decision = Decision::event(limited, expires_at);
        let expire = Expire::new(reservation);
        Ok(decision.schedule(expiry_timer(reservation), expires_at, expire))
    }
}
