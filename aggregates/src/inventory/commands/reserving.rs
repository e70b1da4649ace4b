use foldhouse::{Command, CommandContext, Decision, Timestamp};
use serde::{Deserialize, Serialize};

use super::releasing::{Expire, expiry_timer};
use crate::inventory::events::InventoryEvent;
use crate::inventory::item::{InventoryItem, OPEN_RESERVATIONS_MAX};
use crate::inventory::kept::BACKORDERS_MAX;
use crate::inventory::quantity::Quantity;
use crate::inventory::reservation::ReservationId;

/// Promises goods that are available, all of them or none. The reply is the name of the reservation, which [`Ship`] and
/// [`Release`] take.
///
/// [`Ship`]: crate::Ship
/// [`Release`]: crate::Release
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reserve {
    /// How many; not zero.
    pub quantity: Quantity,
    /// Which reservation of its command it makes, from 0: several steps of one transaction may reserve the same item.
    pub line: u32,
    /// From when on the promise no longer holds, if it ends by itself; see [`Expire`].
    // Not written where it is not said: the fingerprints of commands from before there was such stay the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

impl Reserve {
    /// Promises that many.
    #[must_use]
    pub fn new(quantity: Quantity) -> Self {
        Self {
            quantity,
            line: 0,
            expires_at: None,
        }
    }

    /// As this line of a basket whose lines are reserved by one transaction; each line needs a number of its own.
    #[must_use]
    pub fn line(mut self, line: u32) -> Self {
        self.line = line;
        self
    }

    /// Until this time: unless it is shipped or released before, a timer takes the promise back. Register [`Expire`] with
    /// the runtime (`RuntimeBuilder::timed_command`).
    #[must_use]
    pub fn until(mut self, expires_at: Timestamp) -> Self {
        self.expires_at = Some(expires_at);
        self
    }
}

/// Why goods are not reserved.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReserveRejection {
    /// Nothing is asked for.
    #[error("a reservation of 0 holds nothing; give at least 1")]
    ZeroQuantity,
    /// More is asked for than can be promised.
    #[error("{requested} requested, but only {available} available; reserve less or receive first")]
    Insufficient {
        /// What is asked for.
        requested: Quantity,
        /// What can be promised, with what the terms allow beyond what is on hand.
        available: Quantity,
    },
    /// Too many reservations are open.
    #[error("{OPEN_RESERVATIONS_MAX} reservations are open, the limit; ship or release some first")]
    TooManyReservations,
    /// The same line of the same command made this reservation before.
    #[error(
        "reservation {reservation} is already open; use a fresh command id or line number for another one"
    )]
    AlreadyReserved {
        /// The reservation that is open.
        reservation: ReservationId,
    },
}

impl Command for Reserve {
    type Aggregate = InventoryItem;
    type Reply = ReservationId;
    type Rejection = ReserveRejection;

    fn decide(
        &self,
        item: &InventoryItem,
        context: &CommandContext,
    ) -> Result<Decision<InventoryEvent, ReservationId>, ReserveRejection> {
        if self.quantity.is_zero() {
            return Err(ReserveRejection::ZeroQuantity);
        }
        let available = promisable(item);
        if self.quantity > available {
            return Err(ReserveRejection::Insufficient {
                requested: self.quantity,
                available,
            });
        }
        let reservation = new_reservation(item, context, self.line)?;
        let reserved = InventoryEvent::Reserved {
            reservation,
            quantity: self.quantity,
            backordered: Quantity::ZERO,
            priority: 0,
        };
        Ok(until(self.expires_at, reserved, reservation, reservation))
    }
}

/// The decision for a promise that was made, with its end if it has one.
fn until<R>(
    expires_at: Option<Timestamp>,
    promised: InventoryEvent,
    reservation: ReservationId,
    reply: R,
) -> Decision<InventoryEvent, R> {
    let Some(expires_at) = expires_at else {
        return Decision::event(promised, reply);
    };
    let limited = InventoryEvent::ExpirySet {
        reservation,
        expires_at,
    };
    let decision = Decision::events([promised, limited], reply);
    let expire = Expire::new(reservation);
    decision.schedule(expiry_timer(reservation), expires_at, expire)
}

/// What can be promised: what is available, and what may be oversold.
fn promisable(item: &InventoryItem) -> Quantity {
    let Some(kept) = item.kept() else {
        return item.available();
    };
    // Who waits goes first, also for what may be oversold.
    if kept.backorders.len() > 0 {
        return Quantity::ZERO;
    }
    let may_be_promised = item.on_hand().saturating_add(kept.terms.oversell_max());
    may_be_promised.saturating_sub(item.reserved())
}

fn new_reservation(
    item: &InventoryItem,
    context: &CommandContext,
    line: u32,
) -> Result<ReservationId, ReserveRejection> {
    if item.reservations().len() >= OPEN_RESERVATIONS_MAX {
        return Err(ReserveRejection::TooManyReservations);
    }
    let reservation = ReservationId::from_uuid(context.derive_id(line));
    match item.reservation(reservation) {
        Some(_) => Err(ReserveRejection::AlreadyReserved { reservation }),
        None => Ok(reservation),
    }
}

/// Promises goods as far as they are available. The rest is let go, or waited for as a backorder. The reply says what came
/// of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReserveInPart {
    /// How many are wanted; not zero.
    pub quantity: Quantity,
    /// Which reservation of its command it makes, as in [`Reserve`].
    #[serde(default)]
    pub line: u32,
    /// Whether the rest is waited for. Without that at least one must be available.
    #[serde(default)]
    pub waits: bool,
    /// Who waits at a higher priority goes first.
    #[serde(default)]
    pub priority: u8,
    /// From when on the promise no longer holds, neither what is reserved nor what is waited for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

impl ReserveInPart {
    /// Promises up to that many.
    #[must_use]
    pub fn new(quantity: Quantity) -> Self {
        Self {
            quantity,
            line: 0,
            waits: false,
            priority: 0,
            expires_at: None,
        }
    }

    /// What is not available is waited for.
    #[must_use]
    pub fn or_wait(mut self) -> Self {
        self.waits = true;
        self
    }

    /// At this priority; the ordinary one is 0.
    #[must_use]
    pub fn priority(mut self, priority: u8) -> Self {
        self.priority = priority;
        self
    }

    /// As this line of its command; see [`Reserve::line`].
    #[must_use]
    pub fn line(mut self, line: u32) -> Self {
        self.line = line;
        self
    }

    /// Until this time; see [`Reserve::until`].
    #[must_use]
    pub fn until(mut self, expires_at: Timestamp) -> Self {
        self.expires_at = Some(expires_at);
        self
    }
}

/// What [`ReserveInPart`] came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartlyReserved {
    /// The name of the promise.
    pub reservation: ReservationId,
    /// How many it holds.
    pub reserved: Quantity,
    /// How many more it waits for.
    pub backordered: Quantity,
}

/// Why nothing is reserved, not even in part.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReserveInPartRejection {
    /// Nothing of it is available, or it cannot be reserved as a whole either.
    #[error(transparent)]
    Reserve(#[from] ReserveRejection),
    /// Too many wait.
    #[error(
        "{BACKORDERS_MAX} reservations wait for goods, the limit; receive or release some first"
    )]
    TooManyBackorders,
}

impl Command for ReserveInPart {
    type Aggregate = InventoryItem;
    type Reply = PartlyReserved;
    type Rejection = ReserveInPartRejection;

    fn decide(
        &self,
        item: &InventoryItem,
        context: &CommandContext,
    ) -> Result<Decision<InventoryEvent, PartlyReserved>, ReserveInPartRejection> {
        if self.quantity.is_zero() {
            return Err(ReserveRejection::ZeroQuantity.into());
        }
        let available = promisable(item);
        let reserved = self.quantity.min(available);
        if reserved.is_zero() && !self.waits {
            let requested = self.quantity;
            return Err(ReserveRejection::Insufficient {
                requested,
                available,
            }
            .into());
        }
        let backordered = match self.waits {
            true => self.quantity.saturating_sub(reserved),
            false => Quantity::ZERO,
        };
        let waiting = item.kept().map_or(0, |kept| kept.backorders.len());
        if !backordered.is_zero() && waiting >= BACKORDERS_MAX {
            return Err(ReserveInPartRejection::TooManyBackorders);
        }
        let reservation = new_reservation(item, context, self.line)?;
        let promised = InventoryEvent::Reserved {
            reservation,
            quantity: reserved,
            backordered,
            priority: if backordered.is_zero() {
                0
            } else {
                self.priority
            },
        };
        let reply = PartlyReserved {
            reservation,
            reserved,
            backordered,
        };
        Ok(until(self.expires_at, promised, reservation, reply))
    }
}
