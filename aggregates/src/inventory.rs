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
//! | `item.rs` | the state, and what each event does to it |
//! | `commands.rs` | what can be asked, and the rules |
//! | `samples.rs` | an event of each type and shape, for fingerprints of the state and golden files |
//! | `idempotent.rs` | the commands' names, under which a retry takes effect once |
//! | `rejections.rs` | how the rules say no |
//! | `stock.rs` | the read model row: the stock level of an item |

mod commands;
mod events;
mod goods;
mod idempotent;
mod item;
mod names;
mod quantity;
mod rejections;
mod reservation;
mod samples;
mod stock;
mod terms;

#[cfg(test)]
mod contract;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

pub use commands::{Adjust, Expire, Receive, Release, Reserve, Ship};
pub use events::{AdjustmentReason, InventoryEvent};
pub use goods::{Goods, LOTS_PER_MOVEMENT_MAX, LotQuantity};
pub use item::{InventoryItem, OPEN_RESERVATIONS_MAX};
pub use names::{LocationId, LotId, ProductId, SupplyId, TransferId};
pub use quantity::Quantity;
pub use rejections::{
    AdjustRejection, ExpireRejection, ReceiveRejection, ReleaseRejection, ReserveRejection,
    ShipRejection,
};
pub use reservation::ReservationId;
pub use stock::{StockLevel, StockLevels};
pub use terms::{BackDating, CostMethod, CostTerms, ItemTerms, Oversell, Tracking};
