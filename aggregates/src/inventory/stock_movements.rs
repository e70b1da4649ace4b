use foldhouse::{Projection, ProjectionError, RecordedEvent, Table, Timestamp, decode_event};
use serde::{Deserialize, Serialize};

use super::events::InventoryEvent;
use super::goods::LotQuantity;
use super::item::InventoryItem;
use super::place::ItemPlace;
use crate::money::Money;

/// The read model of every movement of goods: the stock card of each item, in the order in which it was recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StockMovements;

/// Where a movement stands: those of one item one after the other. Persisted with its field names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct MovementKey {
    /// The item.
    pub item: ItemPlace,
    /// The position of its event.
    pub position: u64,
}

/// A movement of goods. Persisted with its names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StockMovement {
    /// The type of its event: `Received`, `Shipped`.
    pub kind: Box<str>,
    /// How many more (or fewer, below zero) are on hand because of it.
    pub quantity: i128,
    /// How much more (or less) those on hand have cost because of it, where costs are kept.
    pub value: Option<Money>,
    /// Which lots, where they are tracked.
    pub lots: Vec<LotQuantity>,
    /// When it was.
    pub moved_at: Timestamp,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// Who recorded it, if that was said.
    pub user: Option<Box<str>>,
    /// What it belongs to: the reservation, the supply or the transfer.
    pub reference: Option<Box<str>>,
}

/// What a movement belongs to.
fn reference(event: &InventoryEvent) -> Option<String> {
    match event {
        InventoryEvent::Received { supply, .. } => supply.as_ref().map(ToString::to_string),
        InventoryEvent::Returned { reservation, .. } => {
            reservation.as_ref().map(ToString::to_string)
        }
        InventoryEvent::Shipped { reservation, .. } => Some(reservation.to_string()),
        InventoryEvent::TransferReceived { transfer, .. }
        | InventoryEvent::TransferDispatched { transfer, .. } => Some(transfer.to_string()),
        _ => None,
    }
}

impl Projection for StockMovements {
    const NAME: &'static str = "stock-movements";
    type Key = MovementKey;
    type Row = StockMovement;

    fn apply(
        &self,
        event: &RecordedEvent,
        table: &mut Table<MovementKey, StockMovement>,
    ) -> Result<(), ProjectionError> {
        let Some(decoded) = decode_event::<InventoryItem>(event) else {
            return Ok(());
        };
        let decoded = decoded?;
        let (quantity, goods) = match (&decoded, decoded.moved()) {
            (_, Some(moved)) => moved,
            // No goods move, but their value does.
            (InventoryEvent::Revalued { .. }, None) => (0, None),
            _ => return Ok(()),
        };
        let value = match &decoded {
            InventoryEvent::Revalued { issued, .. } => Some(negated(*issued)),
            _ => goods
                .and_then(|goods| goods.value)
                .map(|value| if quantity < 0 { negated(value) } else { value }),
        };
        let moved_at = goods.and_then(|goods| goods.moved_at);
        let row = StockMovement {
            kind: event.event_type.as_ref().into(),
            quantity,
            value,
            lots: goods.map_or_else(Vec::new, |goods| goods.lots.clone()),
            moved_at: moved_at.unwrap_or(event.effective_at),
            recorded_at: event.recorded_at,
            user: event.user.as_deref().map(Into::into),
            reference: reference(&decoded).map(Into::into),
        };
        let key = MovementKey {
            item: ItemPlace::of(&event.stream),
            position: event.position.get(),
        };
        table.insert(key, row);
        Ok(())
    }
}

fn negated(value: Money) -> Money {
    Money::new(value.minor_units().saturating_neg(), value.currency())
}

/// The stock card of an item: its movements in the order in which they were recorded, each with what is on hand after it.
pub fn stock_card<'t>(
    table: &'t Table<MovementKey, StockMovement>,
    item: &'t ItemPlace,
) -> impl Iterator<Item = (&'t StockMovement, i128)> {
    let first = MovementKey {
        item: item.clone(),
        position: 0,
    };
    let rows = table.range(first..);
    let rows = rows.take_while(move |(key, _)| key.item == *item);
    rows.scan(0i128, |on_hand, (_, row)| {
        *on_hand = on_hand.saturating_add(row.quantity);
        Some((row, *on_hand))
    })
}
