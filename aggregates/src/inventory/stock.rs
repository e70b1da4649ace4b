use foldhouse::{Projection, ProjectionError, RecordedEvent, StreamId, Table, decode_event};
use serde::{Deserialize, Serialize};

use super::events::InventoryEvent;
use super::item::InventoryItem;
use super::quantity::Quantity;

/// The read model of the stock on hand: a row for each item of every tenant, by the item's stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StockLevels;

impl Projection for StockLevels {
    const NAME: &'static str = "stock-levels";
    type Key = StreamId;
    type Row = StockLevel;

    fn apply(
        &self,
        event: &RecordedEvent,
        table: &mut Table<StreamId, StockLevel>,
    ) -> Result<(), ProjectionError> {
        if let Some(decoded) = decode_event::<InventoryItem>(event) {
            let decoded = decoded?;
            table.update(&event.stream, |level| level.apply(&decoded));
        }
        Ok(())
    }
}

/// The stock of an item: the reply to what moves it, and the row of the stock read model.
///
/// Persisted with its field names; a change of its shape needs a new version of the read model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StockLevel {
    /// What is on the shelf, promised or not.
    pub on_hand: Quantity,
    /// What of it is promised.
    pub reserved: Quantity,
}

impl StockLevel {
    /// These figures.
    #[must_use]
    pub const fn new(on_hand: Quantity, reserved: Quantity) -> Self {
        Self { on_hand, reserved }
    }

    /// What can still be promised: on hand less reserved.
    #[must_use]
    pub fn available(&self) -> Quantity {
        self.on_hand.saturating_sub(self.reserved)
    }

    /// Takes one more event of the item in. The row before the first event is the default, all zero.
    pub fn apply(&mut self, event: &InventoryEvent) {
        match event {
            InventoryEvent::Received { quantity, .. }
            | InventoryEvent::Returned { quantity, .. }
            | InventoryEvent::TransferReceived { quantity, .. } => {
                self.on_hand = self.on_hand.saturating_add(*quantity);
            }
            InventoryEvent::Reserved { quantity, .. }
            | InventoryEvent::BackorderFilled { quantity, .. } => {
                self.reserved = self.reserved.saturating_add(*quantity);
            }
            InventoryEvent::Released { quantity, .. }
            | InventoryEvent::Expired { quantity, .. } => {
                self.reserved = self.reserved.saturating_sub(*quantity);
            }
            InventoryEvent::Shipped { quantity, .. } => {
                self.reserved = self.reserved.saturating_sub(*quantity);
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
            InventoryEvent::Confirmed { released, .. } => {
                self.reserved = self.reserved.saturating_sub(*released);
            }
            InventoryEvent::ExpirySet { .. }
            | InventoryEvent::Allocated { .. }
            | InventoryEvent::Picked { .. }
            | InventoryEvent::TermsSet { .. }
            | InventoryEvent::SupplyExpected { .. }
            | InventoryEvent::SupplyEnded { .. }
            | InventoryEvent::TransferArrived { .. }
            | InventoryEvent::TransferLost { .. }
            | InventoryEvent::Revalued { .. } => {}
        }
    }
}
