use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use foldhouse::{Aggregate, Timestamp};
use serde::{Deserialize, Serialize};

use super::events::InventoryEvent;
use super::quantity::Quantity;
use super::reservation::ReservationId;
use super::samples::samples;
use super::stock::StockLevel;

/// The most reservations that one item may have open at a time. They are the part of the state that grows: about 2.5 MB
/// in a snapshot at the limit.
pub const OPEN_RESERVATIONS_MAX: usize = 100_000;

/// A stock item: what is on hand, and what of it is promised.
///
/// Its rules:
/// - Never oversold: what is reserved never exceeds what is on hand. A reservation takes only what is available, and
///   an adjustment cannot take away what is promised.
/// - A reservation is shipped, released or expires as a whole, once.
/// - Nothing moves a quantity of zero, and no quantity exceeds 64 bits.
/// - At most [`OPEN_RESERVATIONS_MAX`] reservations are open.
///
/// An item needs no opening: one without a history is out of stock.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InventoryItem {
    on_hand: Quantity,
    // Always the sum over `reservations`, kept so that no decision walks them.
    reserved: Quantity,
    reservations: BTreeMap<ReservationId, Quantity>,
    /// Those that end by themselves. Snapshots from before there were such have none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    expiries: BTreeMap<ReservationId, Timestamp>,
}

impl Aggregate for InventoryItem {
    const TYPE: &'static str = "inventory-item";

    type Event = InventoryEvent;

    // Saturates because any history must be accepted; no history that was decided here comes to it.
    fn apply(&mut self, event: &InventoryEvent) {
        match event {
            InventoryEvent::Received { quantity, .. }
            | InventoryEvent::Returned { quantity, .. }
            | InventoryEvent::TransferReceived { quantity, .. } => {
                self.on_hand = self.on_hand.saturating_add(*quantity);
            }
            InventoryEvent::Reserved {
                reservation,
                quantity,
                ..
            } => self.promise(*reservation, *quantity),
            InventoryEvent::ExpirySet {
                reservation,
                expires_at,
            } => {
                if self.reservations.contains_key(reservation) {
                    self.expiries.insert(*reservation, *expires_at);
                }
            }
            InventoryEvent::Released {
                reservation,
                quantity,
                ..
            }
            | InventoryEvent::Expired {
                reservation,
                quantity,
                ..
            } => self.settle(*reservation, *quantity),
            InventoryEvent::Shipped {
                reservation,
                quantity,
                ..
            } => {
                self.settle(*reservation, *quantity);
                self.on_hand = self.on_hand.saturating_sub(*quantity);
            }
            InventoryEvent::Adjusted { delta, .. }
            | InventoryEvent::Counted {
                variance: delta, ..
            } => {
                self.on_hand = self.on_hand.saturating_adjust(*delta);
            }
            InventoryEvent::TransferDispatched { quantity, .. } => {
                self.on_hand = self.on_hand.saturating_sub(*quantity);
            }
            InventoryEvent::BackorderFilled {
                reservation,
                quantity,
            } => self.promise(*reservation, *quantity),
            InventoryEvent::Confirmed { .. }
            | InventoryEvent::Allocated { .. }
            | InventoryEvent::Picked { .. }
            | InventoryEvent::TermsSet { .. }
            | InventoryEvent::SupplyExpected { .. }
            | InventoryEvent::SupplyEnded { .. }
            | InventoryEvent::TransferExpected { .. }
            | InventoryEvent::TransferLost { .. }
            | InventoryEvent::Revalued { .. } => {}
        }
    }

    fn samples() -> Vec<InventoryEvent> {
        samples()
    }
}

impl InventoryItem {
    /// What is on the shelf, promised or not.
    #[must_use]
    pub fn on_hand(&self) -> Quantity {
        self.on_hand
    }

    /// What of it is promised.
    #[must_use]
    pub fn reserved(&self) -> Quantity {
        self.reserved
    }

    /// What of it can still be promised.
    #[must_use]
    pub fn available(&self) -> Quantity {
        self.level().available()
    }

    /// Both figures at once.
    #[must_use]
    pub fn level(&self) -> StockLevel {
        StockLevel {
            on_hand: self.on_hand,
            reserved: self.reserved,
        }
    }

    /// How many an open reservation holds; `None` if there is no such reservation open.
    #[must_use]
    pub fn reservation(&self, reservation: ReservationId) -> Option<Quantity> {
        self.reservations.get(&reservation).copied()
    }

    /// When an open reservation ends by itself; `None` if it does not, or is not open.
    #[must_use]
    pub fn expires_at(&self, reservation: ReservationId) -> Option<Timestamp> {
        self.expiries.get(&reservation).copied()
    }

    /// The open reservations, in the order of their ids.
    pub fn reservations(&self) -> impl ExactSizeIterator<Item = (ReservationId, Quantity)> + '_ {
        self.reservations.iter().map(|(id, held)| (*id, *held))
    }

    fn promise(&mut self, reservation: ReservationId, quantity: Quantity) {
        let held = self.reservations.entry(reservation).or_default();
        *held = held.saturating_add(quantity);
        self.reserved = self.reserved.saturating_add(quantity);
    }

    fn settle(&mut self, reservation: ReservationId, quantity: Quantity) {
        let Entry::Occupied(mut held) = self.reservations.entry(reservation) else {
            return;
        };
        let settled = quantity.min(*held.get());
        self.reserved = self.reserved.saturating_sub(settled);
        let left = held.get().saturating_sub(settled);
        if left.is_zero() {
            held.remove();
            self.expiries.remove(&reservation);
        } else {
            held.insert(left);
        }
    }
}
