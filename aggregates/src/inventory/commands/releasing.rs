use foldhouse::{Command, CommandContext, Decision, Timestamp};
use serde::{Deserialize, Serialize};

use crate::inventory::events::InventoryEvent;
use crate::inventory::item::InventoryItem;
use crate::inventory::movement::Outcome;
use crate::inventory::quantity::Quantity;
use crate::inventory::reservation::ReservationId;
use crate::inventory::stock::StockLevel;

/// The name of the timer that ends a reservation. Persisted with it.
pub(super) fn expiry_timer(reservation: ReservationId) -> String {
    format!("expiry of {reservation}")
}

/// The same decision, and the timer that would end the reservation, if it has one, does not fire any more.
pub(super) fn without_expiry<R>(
    decision: Decision<InventoryEvent, R>,
    item: &InventoryItem,
    reservation: ReservationId,
) -> Decision<InventoryEvent, R> {
    match item.expires_at(reservation) {
        Some(_) => decision.cancel(expiry_timer(reservation)),
        None => decision,
    }
}

/// Ends a promise whose time has come; its goods are available again, and go to those who wait. The reply is the stock after
/// it. A timer sends it, for a reservation that was made with an end ([`Reserve::until`](crate::Reserve::until)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expire {
    /// Which promise, as a whole.
    pub reservation: ReservationId,
}

impl Expire {
    /// Ends this promise.
    #[must_use]
    pub fn new(reservation: ReservationId) -> Self {
        Self { reservation }
    }
}

/// Why a reservation does not expire.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExpireRejection {
    /// No such reservation is open.
    #[error(
        "reservation {reservation} is not open: it was never made, or already released or shipped"
    )]
    UnknownReservation {
        /// The reservation that was named.
        reservation: ReservationId,
    },
    /// Its time has not come, or it has none.
    #[error("reservation {reservation} does not end by itself, or not by {now}; release it")]
    NotDue {
        /// The reservation that was named.
        reservation: ReservationId,
        /// What time it was.
        now: Timestamp,
    },
}

impl Command for Expire {
    type Aggregate = InventoryItem;
    type Reply = StockLevel;
    type Rejection = ExpireRejection;

    fn decide(
        &self,
        item: &InventoryItem,
        context: &CommandContext,
    ) -> Result<Decision<InventoryEvent, StockLevel>, ExpireRejection> {
        let reservation = self.reservation;
        let quantity = item
            .reservation(reservation)
            .ok_or(ExpireRejection::UnknownReservation { reservation })?;
        let now = context.now;
        if item.expires_at(reservation).is_none_or(|at| at > now) {
            return Err(ExpireRejection::NotDue { reservation, now });
        }
        let expired = InventoryEvent::Expired {
            reservation,
            quantity,
            backordered: item.waits_for(reservation),
        };
        let outcome = Outcome::new(item).and(expired);
        let Outcome { events, level } = outcome.fill(item, Some(reservation));
        Ok(Decision::events(events, level))
    }
}

/// Takes a promise back, in whole or in part; its goods are available again, and go to those who wait. The reply is the stock
/// after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// Which promise.
    pub reservation: ReservationId,
    /// How many of it; all, and what it waits for, if nothing is said. A part is taken first of what it waits for.
    // Not written where it is not said: the fingerprints of commands from before there was such stay the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantity: Option<Quantity>,
}

impl Release {
    /// Takes this promise back.
    #[must_use]
    pub fn new(reservation: ReservationId) -> Self {
        Self {
            reservation,
            quantity: None,
        }
    }

    /// Only so many: first of what it waits for, then of what it holds.
    #[must_use]
    pub fn part(mut self, quantity: Quantity) -> Self {
        self.quantity = Some(quantity);
        self
    }
}

/// Why a reservation is not released.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReleaseRejection {
    /// No such reservation is open.
    #[error(
        "reservation {reservation} is not open: it was never made, or already released or shipped"
    )]
    UnknownReservation {
        /// The reservation that was named.
        reservation: ReservationId,
    },
    /// Nothing is asked for.
    #[error("a release of 0 changes nothing; give at least 1")]
    ZeroQuantity,
    /// It does not hold so many that are still on the shelf.
    #[error(
        "reservation {reservation} holds {held}, of which {picked} are picked; {requested} cannot be released: \
         ship what is picked, or return it"
    )]
    NotHeld {
        /// The reservation that was named.
        reservation: ReservationId,
        /// How many it holds.
        held: Quantity,
        /// How many of these were taken from the shelf.
        picked: Quantity,
        /// How many were to be released.
        requested: Quantity,
    },
}

impl Command for Release {
    type Aggregate = InventoryItem;
    type Reply = StockLevel;
    type Rejection = ReleaseRejection;

    fn decide(
        &self,
        item: &InventoryItem,
        _: &CommandContext,
    ) -> Result<Decision<InventoryEvent, StockLevel>, ReleaseRejection> {
        let reservation = self.reservation;
        let held = item
            .reservation(reservation)
            .ok_or(ReleaseRejection::UnknownReservation { reservation })?;
        if self.quantity.is_some_and(Quantity::is_zero) {
            return Err(ReleaseRejection::ZeroQuantity);
        }
        let waits = item.waits_for(reservation);
        let backordered = self.quantity.map_or(waits, |part| part.min(waits));
        let requested = match self.quantity {
            Some(part) => part.saturating_sub(backordered),
            None => held,
        };
        let picked = item.picked(reservation);
        if requested > held.saturating_sub(picked) {
            return Err(ReleaseRejection::NotHeld {
                reservation,
                held,
                picked,
                requested,
            });
        }
        let released = InventoryEvent::Released {
            reservation,
            quantity: requested,
            backordered,
        };
        let outcome = Outcome::new(item).and(released);
        let Outcome { events, level } = outcome.fill(item, Some(reservation));
        let decision = Decision::events(events, level);
        match requested == held && backordered == waits {
            true => Ok(without_expiry(decision, item, reservation)),
            false => Ok(decision),
        }
    }
}
