//! The inventory: one aggregate per stock item.
//!
//! | file | idea |
//! |---|---|
//! | `quantity.rs` | a counted quantity, checked |
//! | `reservation.rs` | the name of a reservation |
//! | `names.rs` | products, locations, lots, and what a caller names |
//! | `terms.rs` | how an item is kept: costs, lots, policies |
//! | `goods.rs` | the lots and the value of what moved |
//! | `events.rs` | what is recorded |
//! | `costs.rs` | what goods have cost: by layers or on average, also when a movement comes late |
//! | `lots.rs` | the lots on hand, and who has which |
//! | `kept.rs` | what else is known of an item: who waits, what is picked, expected and in transit |
//! | `item.rs` | the state, and what each event does to it |
//! | `movement.rs` | the lots and the value of goods that are to move, or why they do not |
//! | `commands.rs` | what can be asked, and the rules, each with its rejections |
//! | `samples.rs` | events of each type and shape, for fingerprints of the state and golden files |
//! | `idempotent.rs` | the commands' names, under which a retry takes effect once |
//! | `place.rs` | a product at a location, which an item's stream is named by |
//! | `warehouse.rs` | what a caller holds: orders and transfers, each one transaction over several items |
//! | `stock.rs` | the read model row: the stock level of an item |
//! | `availability.rs` | the read model of what can be promised, with what is to come |
//! | `stock_movements.rs`, `valuation.rs` | the read models of every movement, and of what the stock is worth |
//! | `open_reservations.rs` | the read model of the promises that are open |
//!
//! # Whose conventions these are
//! - Saleor and Medusa: reservations apart from what is on hand, all of a basket or none, in part or as a backorder; with an
//!   end, extended, confirmed.
//! - ERPNext: receipts and deliveries with their value, stock reconciliation with its variance, lots and serial numbers. A
//!   back-dated movement is refused, or revalues a bounded number of later ones, in its own append (not by a queue that
//!   reposts for hours: erpnext#53773).
//! - Accounting: first in, first out by layers, and the moving average; what leaves takes its part of the value to the cent.

mod availability;
mod commands;
mod costs;
mod events;
mod goods;
mod idempotent;
mod item;
mod kept;
mod lots;
mod movement;
mod names;
mod open_reservations;
mod place;
mod quantity;
mod reservation;
mod samples;
mod stock;
mod stock_movements;
mod terms;
mod valuation;
mod warehouse;

#[cfg(test)]
mod contract;
#[cfg(test)]
mod costs_tests;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

pub use availability::{Availability, Available, Incoming};
pub use commands::{
    Adjust, AdjustRejection, Allocate, AllocateRejection, ArriveTransfer, Confirm,
    ConfirmRejection, Count, CountRejection, DispatchRejection, DispatchTransfer, EndSupply,
    ExpectSupply, Expire, ExpireRejection, Extend, ExtendRejection, LoseTransfer, PartlyReserved,
    Pick, PickRejection, Receive, ReceiveRejection, ReceiveTransfer, ReceiveTransferRejection,
    Release, ReleaseRejection, Reserve, ReserveInPart, ReserveInPartRejection, ReserveRejection,
    Return, ReturnRejection, SetTerms, Ship, ShipRejection, SupplyRejection, TermsRejection,
    TransferRejection,
};
pub use costs::COST_LAYERS_MAX;
pub use events::{AdjustmentReason, InventoryEvent};
pub use goods::{Goods, LOTS_PER_MOVEMENT_MAX, LotQuantity};
pub use item::{InventoryItem, OPEN_RESERVATIONS_MAX};
pub use kept::{BACKORDERS_MAX, SUPPLIES_MAX, Supply, Transit};
pub use lots::LOTS_ON_HAND_MAX;
pub use movement::GoodsRejection;
pub use names::{LocationId, LotId, ProductId, SupplyId, TransferId};
pub use open_reservations::{OpenReservation, OpenReservations, ReservationKey};
pub use place::ItemPlace;
pub use quantity::Quantity;
pub use reservation::ReservationId;
pub use stock::{StockLevel, StockLevels};
pub use stock_movements::{MovementKey, StockMovement, StockMovements, stock_card};
pub use terms::{
    BackDating, CostMethod, CostTerms, ItemTerms, Oversell, REVALUED_MOVEMENTS_MAX, Tracking,
};
pub use valuation::{StockValuation, StockValue, ValuationKey};
pub use warehouse::{OrderLine, Warehouse, WarehouseError};
