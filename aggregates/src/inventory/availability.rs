use std::collections::BTreeMap;

use foldhouse::{Projection, ProjectionError, RecordedEvent, Table, decode_event};
use serde::{Deserialize, Serialize};

use super::events::InventoryEvent;
use super::item::InventoryItem;
use super::names::{LocationId, SupplyId, TransferId};
use super::place::ItemPlace;
use super::quantity::Quantity;
use super::stock::StockLevel;
use super::terms::ItemTerms;
use crate::ledger::BookDate;

/// The read model of what can be promised: a row for each product at each location, by [`ItemPlace`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Availability;

/// What can be promised of an item. Persisted with its field names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Available {
    /// What is on hand, and what of it is promised.
    pub stock: StockLevel,
    /// How many are waited for.
    pub backordered: Quantity,
    /// What is to come from suppliers.
    pub supplies: BTreeMap<SupplyId, Incoming>,
    /// What is in transit to here, by where it comes from.
    pub transfers: BTreeMap<(LocationId, TransferId), Incoming>,
    /// How it is kept.
    pub terms: ItemTerms,
}

/// Goods that are to come. Persisted with its field names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incoming {
    /// How many.
    pub quantity: Quantity,
    /// When, if that is known.
    pub due_on: Option<BookDate>,
}

impl Available {
    /// What is on hand and promised to nobody.
    #[must_use]
    pub fn available(&self) -> Quantity {
        self.stock.available()
    }

    /// What is to come: from suppliers and from other locations.
    #[must_use]
    pub fn incoming(&self) -> Quantity {
        self.incoming_if(|_| true)
    }

    /// Available to promise: what is on hand or to come, less what is promised and waited for. With a day, of what is to
    /// come only what is due by then: what is in transit, and supplies without a day, are not.
    #[must_use]
    pub fn available_to_promise(&self, by: Option<BookDate>) -> Quantity {
        let incoming = match by {
            None => self.incoming(),
            Some(by) => self.incoming_if(|incoming| incoming.due_on.is_some_and(|due| due <= by)),
        };
        let there = self.stock.on_hand.saturating_add(incoming);
        let promised = self.stock.reserved.saturating_add(self.backordered);
        there.saturating_sub(promised)
    }

    /// Whether it is time to order: no more than the reorder point is available.
    #[must_use]
    pub fn is_at_reorder_point(&self) -> bool {
        let point = self.terms.reorder_point;
        point.is_some_and(|point| self.available() <= point)
    }

    fn incoming_if(&self, counts: impl Fn(&Incoming) -> bool) -> Quantity {
        let incoming = self.supplies.values().chain(self.transfers.values());
        incoming
            .filter(|incoming| counts(incoming))
            .fold(Quantity::ZERO, |sum, incoming| {
                sum.saturating_add(incoming.quantity)
            })
    }

    fn apply(&mut self, event: &InventoryEvent) {
        self.stock.apply(event);
        match event {
            InventoryEvent::TermsSet { terms } => self.terms = **terms,
            InventoryEvent::Reserved { backordered, .. } => {
                self.backordered = self.backordered.saturating_add(*backordered);
            }
            InventoryEvent::Released { backordered, .. }
            | InventoryEvent::Expired { backordered, .. } => {
                self.backordered = self.backordered.saturating_sub(*backordered);
            }
            InventoryEvent::BackorderFilled { quantity, .. } => {
                self.backordered = self.backordered.saturating_sub(*quantity);
            }
            InventoryEvent::SupplyExpected {
                supply,
                quantity,
                due_on,
            } => {
                let incoming = Incoming {
                    quantity: *quantity,
                    due_on: *due_on,
                };
                self.supplies.insert(supply.clone(), incoming);
            }
            InventoryEvent::SupplyEnded { supply, .. } => {
                self.supplies.remove(supply);
            }
            InventoryEvent::Received {
                quantity,
                supply: Some(supply),
                ..
            } => reduce(&mut self.supplies, supply, *quantity),
            _ => {}
        }
    }
}

fn reduce<K: Ord>(incoming: &mut BTreeMap<K, Incoming>, key: &K, by: Quantity) {
    if let Some(row) = incoming.get_mut(key) {
        row.quantity = row.quantity.saturating_sub(by);
        if row.quantity.is_zero() {
            incoming.remove(key);
        }
    }
}

impl Projection for Availability {
    const NAME: &'static str = "stock-availability";
    type Key = ItemPlace;
    type Row = Available;

    fn apply(
        &self,
        event: &RecordedEvent,
        table: &mut Table<ItemPlace, Available>,
    ) -> Result<(), ProjectionError> {
        let Some(decoded) = decode_event::<InventoryItem>(event) else {
            return Ok(());
        };
        let decoded = decoded?;
        let item = ItemPlace::of(&event.stream);
        match &decoded {
            InventoryEvent::TransferDispatched {
                transfer,
                to,
                quantity,
                ..
            } => {
                let incoming = Incoming {
                    quantity: *quantity,
                    due_on: None,
                };
                let key = (item.location.clone(), transfer.clone());
                table.update(&item.at(to), |row| row.transfers.insert(key, incoming));
            }
            InventoryEvent::TransferArrived {
                transfer,
                to,
                quantity,
                ..
            }
            | InventoryEvent::TransferLost {
                transfer,
                to,
                quantity,
                ..
            } => {
                let key = (item.location.clone(), transfer.clone());
                table.update(&item.at(to), |row| {
                    reduce(&mut row.transfers, &key, *quantity);
                });
            }
            _ => {}
        }
        table.update(&item, |row| row.apply(&decoded));
        Ok(())
    }
}
