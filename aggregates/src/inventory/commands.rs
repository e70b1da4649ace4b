use foldhouse::{Command, CommandContext, Decision, Timestamp};
use serde::{Deserialize, Serialize};

use super::events::{AdjustmentReason, InventoryEvent};
use super::item::{InventoryItem, OPEN_RESERVATIONS_MAX};
use super::quantity::Quantity;
use super::rejections::{
    AdjustRejection, ExpireRejection, ReceiveRejection, ReleaseRejection, ReserveRejection,
    ShipRejection,
};
use super::reservation::ReservationId;
use super::stock::StockLevel;
use crate::memo::Memo;

/// Takes goods in. The reply is the stock after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receive {
    /// How many; not zero.
    pub quantity: Quantity,
}

impl Receive {
    /// Takes that many in.
    #[must_use]
    pub fn new(quantity: Quantity) -> Self {
        Self { quantity }
    }
}

impl Command for Receive {
    type Aggregate = InventoryItem;
    type Reply = StockLevel;
    type Rejection = ReceiveRejection;

    fn decide(
        &self,
        item: &InventoryItem,
        _: &CommandContext,
    ) -> Result<Decision<InventoryEvent, StockLevel>, ReceiveRejection> {
        if self.quantity.is_zero() {
            return Err(ReceiveRejection::ZeroQuantity);
        }
        let on_hand =
            item.on_hand()
                .checked_add(self.quantity)
                .ok_or(ReceiveRejection::Overflow {
                    on_hand: item.on_hand(),
                    received: self.quantity,
                })?;
        let received = InventoryEvent::Received {
            quantity: self.quantity,
            supply: None,
            goods: None,
        };
        let level = StockLevel::new(on_hand, item.reserved());
        Ok(Decision::event(received, level))
    }
}

/// Promises goods that are available. The reply is the name of the reservation, which [`Ship`] and [`Release`] take.
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
        let available = item.available();
        if self.quantity > available {
            return Err(ReserveRejection::Insufficient {
                requested: self.quantity,
                available,
            });
        }
        if item.reservations().len() >= OPEN_RESERVATIONS_MAX {
            return Err(ReserveRejection::TooManyReservations);
        }
        let reservation = ReservationId::from_uuid(context.derive_id(self.line));
        if item.reservation(reservation).is_some() {
            return Err(ReserveRejection::AlreadyReserved { reservation });
        }
        let reserved = InventoryEvent::Reserved {
            reservation,
            quantity: self.quantity,
            backordered: Quantity::ZERO,
            priority: 0,
        };
        let Some(expires_at) = self.expires_at else {
            return Ok(Decision::event(reserved, reservation));
        };
        let limited = InventoryEvent::ExpirySet {
            reservation,
            expires_at,
        };
        let decision = Decision::events([reserved, limited], reservation);
        let expire = Expire::new(reservation);
        Ok(decision.schedule(expiry_timer(reservation), expires_at, expire))
    }
}

/// The name of the timer that ends a reservation. Persisted with it.
fn expiry_timer(reservation: ReservationId) -> String {
    format!("expiry of {reservation}")
}

/// The same decision, and the timer that would end the reservation, if it has one, does not fire any more.
fn without_expiry<R>(
    decision: Decision<InventoryEvent, R>,
    item: &InventoryItem,
    reservation: ReservationId,
) -> Decision<InventoryEvent, R> {
    match item.expires_at(reservation) {
        Some(_) => decision.cancel(expiry_timer(reservation)),
        None => decision,
    }
}

/// Ends a promise whose time has come; its goods are available again. The reply is the stock after it. A timer sends it,
/// for a reservation that was made with an end ([`Reserve::until`]).
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
            backordered: Quantity::ZERO,
        };
        let level = StockLevel::new(item.on_hand(), item.reserved().saturating_sub(quantity));
        Ok(Decision::event(expired, level))
    }
}

/// Takes a promise back; its goods are available again. The reply is the stock after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// Which promise, as a whole.
    pub reservation: ReservationId,
}

impl Release {
    /// Takes this promise back.
    #[must_use]
    pub fn new(reservation: ReservationId) -> Self {
        Self { reservation }
    }
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
        let quantity = item
            .reservation(reservation)
            .ok_or(ReleaseRejection::UnknownReservation { reservation })?;
        let released = InventoryEvent::Released {
            reservation,
            quantity,
            backordered: Quantity::ZERO,
        };
        let level = StockLevel::new(item.on_hand(), item.reserved().saturating_sub(quantity));
        let decision = Decision::event(released, level);
        Ok(without_expiry(decision, item, reservation))
    }
}

/// Sends promised goods off. The reply is the stock after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ship {
    /// Which promise, as a whole.
    pub reservation: ReservationId,
}

impl Ship {
    /// Sends the goods of this promise off.
    #[must_use]
    pub fn new(reservation: ReservationId) -> Self {
        Self { reservation }
    }
}

impl Command for Ship {
    type Aggregate = InventoryItem;
    type Reply = StockLevel;
    type Rejection = ShipRejection;

    fn decide(
        &self,
        item: &InventoryItem,
        _: &CommandContext,
    ) -> Result<Decision<InventoryEvent, StockLevel>, ShipRejection> {
        let reservation = self.reservation;
        let quantity = item
            .reservation(reservation)
            .ok_or(ShipRejection::UnknownReservation { reservation })?;
        let on_hand = item
            .on_hand()
            .checked_sub(quantity)
            .ok_or(ShipRejection::NotOnHand {
                reserved: quantity,
                on_hand: item.on_hand(),
            })?;
        let shipped = InventoryEvent::Shipped {
            reservation,
            quantity,
            goods: None,
        };
        let level = StockLevel::new(on_hand, item.reserved().saturating_sub(quantity));
        let decision = Decision::event(shipped, level);
        Ok(without_expiry(decision, item, reservation))
    }
}

/// Brings the book to what is really on the shelf. The reply is the stock after it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adjust {
    /// How many more (or fewer, below zero) there are than the book says; not zero.
    pub delta: i64,
    /// Why.
    pub reason: AdjustmentReason,
    /// In words; at most [`MEMO_CHARS_MAX`](crate::MEMO_CHARS_MAX) characters.
    pub note: Option<String>,
}

impl Adjust {
    /// An adjustment without a note.
    #[must_use]
    pub fn new(delta: i64, reason: AdjustmentReason) -> Self {
        Self {
            delta,
            reason,
            note: None,
        }
    }

    /// With this note.
    #[must_use]
    pub fn note(mut self, text: impl Into<String>) -> Self {
        self.note = Some(text.into());
        self
    }
}

impl Command for Adjust {
    type Aggregate = InventoryItem;
    type Reply = StockLevel;
    type Rejection = AdjustRejection;

    fn decide(
        &self,
        item: &InventoryItem,
        _: &CommandContext,
    ) -> Result<Decision<InventoryEvent, StockLevel>, AdjustRejection> {
        let (on_hand, reserved, delta) = (item.on_hand(), item.reserved(), self.delta);
        if delta == 0 {
            return Err(AdjustRejection::ZeroQuantity);
        }
        let note = self.note.as_deref().map(Memo::new).transpose()?;
        let change = Quantity::new(delta.unsigned_abs());
        let after = if delta > 0 {
            let overflow = AdjustRejection::Overflow { on_hand, delta };
            on_hand.checked_add(change).ok_or(overflow)?
        } else {
            let below_zero = AdjustRejection::BelowZero { on_hand, delta };
            let after = on_hand.checked_sub(change).ok_or(below_zero)?;
            if after < reserved {
                return Err(AdjustRejection::BelowReserved {
                    on_hand,
                    reserved,
                    delta,
                });
            }
            after
        };
        let adjusted = InventoryEvent::Adjusted {
            delta,
            reason: self.reason,
            note,
            goods: None,
        };
        Ok(Decision::event(adjusted, StockLevel::new(after, reserved)))
    }
}
