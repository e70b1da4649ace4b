//! What is on disk: these bytes were written once and must be read for ever. A test here that fails is a change of
//! the persisted contract; mend the code, not the bytes.

use foldhouse::{Aggregate, Timestamp};
use uuid::Uuid;

use super::*;
use crate::memo::Memo;

fn events_and_their_bytes() -> Vec<(InventoryEvent, &'static [u8])> {
    let reservation = ReservationId::from_uuid(Uuid::from_bytes(*b"0123456789abcdef"));
    let quantity = Quantity::new(3);
    vec![
        (
            InventoryEvent::Received {
                quantity,
                supply: None,
                goods: None,
            },
            b"\x81\xa8Received\x81\xa8quantity\x03",
        ),
        (
            InventoryEvent::Reserved {
                reservation,
                quantity,
                backordered: Quantity::ZERO,
                priority: 0,
            },
            b"\x81\xa8Reserved\x82\xabreservation\xc4\x100123456789abcdef\xa8quantity\x03",
        ),
        (
            InventoryEvent::Released {
                reservation,
                quantity,
                backordered: Quantity::ZERO,
            },
            b"\x81\xa8Released\x82\xabreservation\xc4\x100123456789abcdef\xa8quantity\x03",
        ),
        (
            InventoryEvent::ExpirySet {
                reservation,
                expires_at: Timestamp::from_unix_micros(7),
            },
            b"\x81\xa9ExpirySet\x82\xabreservation\xc4\x100123456789abcdef\xaaexpires_at\x07",
        ),
        (
            InventoryEvent::Expired {
                reservation,
                quantity,
                backordered: Quantity::ZERO,
            },
            b"\x81\xa7Expired\x82\xabreservation\xc4\x100123456789abcdef\xa8quantity\x03",
        ),
        (
            InventoryEvent::Shipped {
                reservation,
                quantity,
                goods: None,
            },
            b"\x81\xa7Shipped\x82\xabreservation\xc4\x100123456789abcdef\xa8quantity\x03",
        ),
        (
            InventoryEvent::Adjusted {
                delta: -1,
                reason: AdjustmentReason::Damaged,
                note: None,
                goods: None,
            },
            b"\x81\xa8Adjusted\x82\xa5delta\xff\xa6reason\xa7Damaged",
        ),
        (
            InventoryEvent::Adjusted {
                delta: 1,
                reason: AdjustmentReason::CycleCount,
                note: Some(Memo::new("twice").unwrap()),
                goods: None,
            },
            b"\x81\xa8Adjusted\x83\xa5delta\x01\xa6reason\xaaCycleCount\xa4note\xa5twice",
        ),
    ]
}

#[test]
fn every_event_is_written_as_these_bytes_and_read_from_them() {
    for (event, bytes) in events_and_their_bytes() {
        assert_eq!(rmp_serde::to_vec_named(&event).unwrap(), bytes, "{event:?}");
        assert_eq!(
            rmp_serde::from_slice::<InventoryEvent>(bytes).unwrap(),
            event
        );
    }
}

#[test]
fn every_reason_is_written_by_its_own_name() {
    for (reason, bytes) in [
        (AdjustmentReason::CycleCount, &b"\xaaCycleCount"[..]),
        (AdjustmentReason::Damaged, b"\xa7Damaged"),
        (AdjustmentReason::Expired, b"\xa7Expired"),
        (AdjustmentReason::Lost, b"\xa4Lost"),
        (AdjustmentReason::Found, b"\xa5Found"),
        (AdjustmentReason::Other, b"\xa5Other"),
    ] {
        assert_eq!(rmp_serde::to_vec_named(&reason).unwrap(), bytes);
        assert_eq!(
            rmp_serde::from_slice::<AdjustmentReason>(bytes).unwrap(),
            reason
        );
    }
}

#[test]
fn the_stream_type_of_an_item_never_changes() {
    assert_eq!(InventoryItem::TYPE, "inventory-item");
}

#[test]
fn a_row_survives_the_store() {
    let row = StockLevel::new(Quantity::MAX, Quantity::new(1));
    let named = rmp_serde::to_vec_named(&row).unwrap();
    assert_eq!(rmp_serde::from_slice::<StockLevel>(&named).unwrap(), row);
}
