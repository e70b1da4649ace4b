use foldhouse::{Projection, ProjectionError, RecordedEvent, Table, Timestamp, decode_event};
use serde::{Deserialize, Serialize};

use super::events::InventoryEvent;
use super::item::InventoryItem;
use super::place::ItemPlace;
use super::quantity::Quantity;
use super::reservation::ReservationId;

/// The read model of the promises that are open: by item, and by reservation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenReservations;

/// Which promise. Persisted with its field names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ReservationKey {
    /// The item.
    pub item: ItemPlace,
    /// The promise.
    pub reservation: ReservationId,
}

/// A promise that is open. Persisted with its field names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenReservation {
    /// How many it holds.
    pub held: Quantity,
    /// How many more it waits for.
    pub waits_for: Quantity,
    /// How many of those that it holds are picked.
    pub picked: Quantity,
    /// Who waits at a higher priority goes first.
    pub priority: u8,
    /// From when on it no longer holds, if it ends by itself.
    pub expires_at: Option<Timestamp>,
    /// When it was made.
    pub made_at: Timestamp,
    /// Who made it, if that was said.
    pub user: Option<Box<str>>,
}

impl OpenReservation {
    fn is_over(&self) -> bool {
        self.held.is_zero() && self.waits_for.is_zero()
    }

    fn apply(&mut self, event: &InventoryEvent) {
        match event {
            InventoryEvent::BackorderFilled { quantity, .. } => {
                self.held = self.held.saturating_add(*quantity);
                self.waits_for = self.waits_for.saturating_sub(*quantity);
            }
            InventoryEvent::ExpirySet { expires_at, .. } => self.expires_at = Some(*expires_at),
            InventoryEvent::Released {
                quantity,
                backordered,
                ..
            }
            | InventoryEvent::Expired {
                quantity,
                backordered,
                ..
            } => {
                self.held = self.held.saturating_sub(*quantity);
                self.waits_for = self.waits_for.saturating_sub(*backordered);
            }
            InventoryEvent::Confirmed { released, .. } => {
                self.held = self.held.saturating_sub(*released);
                self.expires_at = None;
            }
            InventoryEvent::Picked { quantity, .. } => {
                self.picked = self.picked.saturating_add(*quantity);
                self.expires_at = None;
            }
            InventoryEvent::Shipped { quantity, .. } => {
                self.held = self.held.saturating_sub(*quantity);
                self.picked = self.picked.saturating_sub(*quantity);
            }
            _ => {}
        }
    }
}

/// The promise that an event is about, if it is about one that is open.
fn reservation_of(event: &InventoryEvent) -> Option<ReservationId> {
    match event {
        InventoryEvent::Reserved { reservation, .. }
        | InventoryEvent::ExpirySet { reservation, .. }
        | InventoryEvent::Expired { reservation, .. }
        | InventoryEvent::Released { reservation, .. }
        | InventoryEvent::BackorderFilled { reservation, .. }
        | InventoryEvent::Confirmed { reservation, .. }
        | InventoryEvent::Picked { reservation, .. }
        | InventoryEvent::Shipped { reservation, .. } => Some(*reservation),
        _ => None,
    }
}

impl Projection for OpenReservations {
    const NAME: &'static str = "stock-reservations";
    type Key = ReservationKey;
    type Row = OpenReservation;

    fn apply(
        &self,
        event: &RecordedEvent,
        table: &mut Table<ReservationKey, OpenReservation>,
    ) -> Result<(), ProjectionError> {
        let Some(decoded) = decode_event::<InventoryItem>(event) else {
            return Ok(());
        };
        let decoded = decoded?;
        let Some(reservation) = reservation_of(&decoded) else {
            return Ok(());
        };
        let key = ReservationKey {
            item: ItemPlace::of(&event.stream),
            reservation,
        };
        if let InventoryEvent::Reserved {
            quantity,
            backordered,
            priority,
            ..
        } = decoded
        {
            let made = OpenReservation {
                held: quantity,
                waits_for: backordered,
                priority,
                made_at: event.effective_at,
                user: event.user.as_deref().map(Into::into),
                ..OpenReservation::default()
            };
            table.insert(key, made);
        } else {
            let is_over = table.change(&key, |row| {
                row.apply(&decoded);
                row.is_over()
            });
            if is_over == Some(true) {
                table.remove(&key);
            }
        }
        Ok(())
    }
}
