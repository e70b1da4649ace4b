use foldhouse::{Projection, ProjectionError, RecordedEvent, Table, decode_event};
use serde::{Deserialize, Serialize};

use super::events::InventoryEvent;
use super::goods::Goods;
use super::item::InventoryItem;
use super::place::ItemPlace;
use crate::currency::Currency;

/// The read model of what the stock is worth: a row for each item, and one for all of a tenant in a currency. What is in
/// transit counts for the item that it left.
///
/// The row of all equals the ledger's stock account, once the ledger has caught up to the same position
/// ([`StockPosting`](crate::StockPosting)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StockValuation;

/// What a row of [`StockValuation`] is about. Persisted with its names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ValuationKey {
    /// All items of a tenant that are kept in a currency, by its code.
    All {
        /// The tenant.
        tenant: Box<str>,
        /// The currency's code.
        currency: Box<str>,
    },
    /// One item.
    Item(ItemPlace),
}

/// What goods are worth. Persisted with its field names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StockValue {
    /// How many are on hand.
    pub on_hand: i128,
    /// How many are in transit.
    pub in_transit: i128,
    /// What those on hand have cost, in minor units.
    pub on_hand_minor_units: i128,
    /// What those in transit have cost, in minor units.
    pub in_transit_minor_units: i128,
}

impl StockValue {
    /// What all have cost, in minor units.
    #[must_use]
    pub fn minor_units(&self) -> i128 {
        self.on_hand_minor_units
            .saturating_add(self.in_transit_minor_units)
    }

    fn add(&mut self, change: &Self) {
        self.on_hand = self.on_hand.saturating_add(change.on_hand);
        self.in_transit = self.in_transit.saturating_add(change.in_transit);
        self.on_hand_minor_units = self
            .on_hand_minor_units
            .saturating_add(change.on_hand_minor_units);
        self.in_transit_minor_units = self
            .in_transit_minor_units
            .saturating_add(change.in_transit_minor_units);
    }
}

/// So many goods, which may have a value, and its currency; below zero they are taken away.
fn worth(quantity: i128, goods: Option<&Goods>) -> (StockValue, Option<Currency>) {
    let value = goods.and_then(|goods| goods.value);
    let minor_units = value.map_or(0, |value| i128::from(value.minor_units()));
    let worth = StockValue {
        on_hand: quantity,
        on_hand_minor_units: quantity.signum().saturating_mul(minor_units),
        ..StockValue::default()
    };
    (worth, value.map(|value| value.currency()))
}

/// The same, in transit.
fn in_transit(quantity: i128, goods: Option<&Goods>) -> (StockValue, Option<Currency>) {
    let (on_hand, currency) = worth(quantity, goods);
    let in_transit = StockValue {
        in_transit: on_hand.on_hand,
        in_transit_minor_units: on_hand.on_hand_minor_units,
        ..StockValue::default()
    };
    (in_transit, currency)
}

/// What an event changes, and the currency of its value, if it has one.
fn change(event: &InventoryEvent) -> Option<(StockValue, Option<Currency>)> {
    match event {
        InventoryEvent::TransferArrived {
            quantity, goods, ..
        }
        | InventoryEvent::TransferLost {
            quantity, goods, ..
        } => {
            let gone = i128::from(quantity.get()).saturating_neg();
            Some(in_transit(gone, goods.as_deref()))
        }
        InventoryEvent::Revalued { issued, .. } => {
            let change = StockValue {
                on_hand_minor_units: i128::from(issued.minor_units()).saturating_neg(),
                ..StockValue::default()
            };
            Some((change, Some(issued.currency())))
        }
        _ => {
            let (quantity, goods) = event.moved()?;
            let (mut change, currency) = worth(quantity, goods);
            if matches!(event, InventoryEvent::TransferDispatched { .. }) {
                change.add(&in_transit(quantity.saturating_neg(), goods).0);
            }
            Some((change, currency))
        }
    }
}

impl Projection for StockValuation {
    const NAME: &'static str = "stock-valuation";
    type Key = ValuationKey;
    type Row = StockValue;

    fn apply(
        &self,
        event: &RecordedEvent,
        table: &mut Table<ValuationKey, StockValue>,
    ) -> Result<(), ProjectionError> {
        let Some(decoded) = decode_event::<InventoryItem>(event) else {
            return Ok(());
        };
        let Some((change, currency)) = change(&decoded?) else {
            return Ok(());
        };
        let item = ItemPlace::of(&event.stream);
        if let Some(currency) = currency {
            let all = ValuationKey::All {
                tenant: item.tenant.clone(),
                currency: currency.code().into(),
            };
            table.update(&all, |row| row.add(&change));
        }
        table.update(&ValuationKey::Item(item), |row| row.add(&change));
        Ok(())
    }
}
