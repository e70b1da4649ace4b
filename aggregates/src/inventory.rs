//! The inventory: one aggregate per stock item.
//!
//! | file | idea |
//! |---|---|
//! | `quantity.rs` | a counted quantity, checked |
//! | `reservation.rs` | the name of a reservation |
//! | `events.rs` | what is recorded |
//! | `item.rs` | the state, and what each event does to it |
//! | `commands.rs` | what can be asked, and the rules |
//! | `samples.rs` | an event of each type and shape, for fingerprints of the state and golden files |
//! | `idempotent.rs` | the commands' names, under which a retry takes effect once |
//! | `rejections.rs` | how the rules say no |
//! | `stock.rs` | the read model row: the stock level of an item |

mod commands;
mod events;
mod idempotent;
mod item;
mod quantity;
mod rejections;
mod reservation;
mod samples;
mod stock;

#[cfg(test)]
mod contract;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

pub use commands::{Adjust, Expire, Receive, Release, Reserve, Ship};
pub use events::{AdjustmentReason, InventoryEvent};
pub use item::{InventoryItem, OPEN_RESERVATIONS_MAX};
pub use quantity::Quantity;
pub use rejections::{
    AdjustRejection, ExpireRejection, ReceiveRejection, ReleaseRejection, ReserveRejection,
    ShipRejection,
};
pub use reservation::ReservationId;
pub use stock::{StockLevel, StockLevels};
