use foldhouse::Timestamp;
use uuid::Uuid;

use super::events::{AdjustmentReason, InventoryEvent};
use super::quantity::Quantity;
use super::reservation::ReservationId;
use crate::memo::Memo;

/// Events of every type and in every shape, in an order in which they could happen.
///
/// Snapshots carry a fingerprint of what the item makes of them, and `tests/golden` holds them as they are recorded: an
/// event or an event's field that is new gets a sample here.
pub(super) fn samples() -> Vec<InventoryEvent> {
    let [first, second, third, fourth] =
        [1, 2, 3, 4].map(|number| ReservationId::from_uuid(Uuid::from_u128(number)));
    let reserved = |reservation, quantity| InventoryEvent::Reserved {
        reservation,
        quantity: Quantity::new(quantity),
        backordered: Quantity::ZERO,
        priority: 0,
    };
    let adjusted = |delta, reason| InventoryEvent::Adjusted {
        delta,
        reason,
        note: None,
        goods: None,
    };
    vec![
        InventoryEvent::Received {
            quantity: Quantity::new(1_000),
            supply: None,
            goods: None,
        },
        reserved(first, 30),
        reserved(second, 7),
        reserved(third, 1),
        InventoryEvent::Released {
            reservation: first,
            quantity: Quantity::new(30),
            backordered: Quantity::ZERO,
        },
        InventoryEvent::Shipped {
            reservation: second,
            quantity: Quantity::new(7),
            goods: None,
        },
        adjusted(-2, AdjustmentReason::CycleCount),
        adjusted(-3, AdjustmentReason::Damaged),
        adjusted(-5, AdjustmentReason::Expired),
        adjusted(-70, AdjustmentReason::Lost),
        adjusted(11, AdjustmentReason::Found),
        InventoryEvent::Adjusted {
            delta: 13,
            reason: AdjustmentReason::Other,
            note: Memo::new("moved from the other shelf").ok(),
            goods: None,
        },
        reserved(fourth, 2),
        InventoryEvent::ExpirySet {
            reservation: fourth,
            expires_at: Timestamp::from_unix_micros(1_767_323_045_000_006),
        },
        InventoryEvent::Expired {
            reservation: fourth,
            quantity: Quantity::new(2),
            backordered: Quantity::ZERO,
        },
    ]
}
