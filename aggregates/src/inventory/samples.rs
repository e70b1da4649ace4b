use foldhouse::Timestamp;
use uuid::Uuid;

use super::events::{AdjustmentReason, InventoryEvent};
use super::goods::{Goods, LotQuantity};
use super::quantity::Quantity;
use super::reservation::ReservationId;
use super::terms::{CostMethod, ItemTerms, Tracking};
use crate::currency::Currency;
use crate::ledger::BookDate;
use crate::memo::Memo;
use crate::money::Money;

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
    let counted = vec![
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
    ];
    counted.into_iter().chain(with_terms()).collect()
}

/// The same of an item whose lots and costs are kept.
fn with_terms() -> Vec<InventoryEvent> {
    let [first, second] = [11, 12].map(|number| ReservationId::from_uuid(Uuid::from_u128(number)));
    let day = |text: &str| text.parse::<BookDate>().ok();
    let at = |micros: i64| {
        let begin = 1_767_000_000_000_000i64;
        Some(Timestamp::from_unix_micros(begin.saturating_add(micros)))
    };
    let lot = |name: &str, quantity, last: &str| LotQuantity {
        lot: name.into(),
        quantity: Quantity::new(quantity),
        expires_on: day(last),
    };
    let goods = |lots: &[LotQuantity], value, moved_at| {
        Some(Box::new(Goods {
            lots: lots.to_vec(),
            value: Some(Money::new(value, Currency::EUR)),
            moved_at: at(moved_at),
        }))
    };
    let terms = ItemTerms::new()
        .costing(CostMethod::Fifo, Currency::EUR)
        .tracking(Tracking::Lots)
        .oversell_up_to(Quantity::new(5))
        .revalue(10)
        .reorder_point(Quantity::new(3));
    let few = Quantity::new;
    vec![
        InventoryEvent::Adjusted {
            delta: -874,
            reason: AdjustmentReason::CycleCount,
            note: None,
            goods: None,
        },
        InventoryEvent::TermsSet {
            terms: Box::new(terms),
        },
        InventoryEvent::SupplyExpected {
            supply: "po-1/1".into(),
            quantity: few(20),
            due_on: day("2026-03-01"),
        },
        InventoryEvent::Received {
            quantity: few(12),
            supply: Some("po-1/1".into()),
            goods: goods(
                &[lot("a", 8, "2026-06-30"), lot("b", 4, "2026-05-31")],
                1_201,
                10,
            ),
        },
        InventoryEvent::SupplyEnded {
            supply: "po-1/1".into(),
            quantity: few(8),
        },
        InventoryEvent::Reserved {
            reservation: first,
            quantity: few(10),
            backordered: few(3),
            priority: 2,
        },
        InventoryEvent::Allocated {
            reservation: first,
            lots: vec![lot("a", 8, "2026-06-30"), lot("b", 2, "2026-05-31")],
        },
        InventoryEvent::Picked {
            reservation: first,
            quantity: few(4),
            lots: vec![lot("a", 8, "2026-06-30"), lot("b", 2, "2026-05-31")],
        },
        InventoryEvent::Shipped {
            reservation: first,
            quantity: few(6),
            goods: goods(&[lot("a", 6, "2026-06-30")], 601, 20),
        },
        InventoryEvent::Confirmed {
            reservation: first,
            quantity: few(3),
            released: few(1),
        },
        InventoryEvent::BackorderFilled {
            reservation: first,
            quantity: few(2),
        },
        InventoryEvent::Released {
            reservation: first,
            quantity: few(5),
            backordered: few(1),
        },
        InventoryEvent::Received {
            quantity: few(10),
            supply: None,
            goods: goods(&[lot("c", 10, "2026-07-31")], 500, 15),
        },
        InventoryEvent::Revalued {
            issued: Money::new(-7, Currency::EUR),
            movements: 1,
        },
        InventoryEvent::Reserved {
            reservation: second,
            quantity: few(0),
            backordered: few(1),
            priority: 0,
        },
        InventoryEvent::Expired {
            reservation: second,
            quantity: few(0),
            backordered: few(1),
        },
        InventoryEvent::Returned {
            quantity: few(1),
            reservation: Some(first),
            note: Memo::new("unopened").ok(),
            goods: goods(&[lot("a", 1, "2026-06-30")], 100, 30),
        },
        InventoryEvent::TransferDispatched {
            transfer: "t-1".into(),
            to: "north".into(),
            quantity: few(5),
            goods: goods(
                &[lot("b", 4, "2026-05-31"), lot("a", 1, "2026-06-30")],
                400,
                40,
            ),
        },
        InventoryEvent::TransferArrived {
            transfer: "t-1".into(),
            to: "north".into(),
            quantity: few(3),
            goods: goods(&[lot("b", 3, "2026-05-31")], 240, 50),
        },
        InventoryEvent::TransferLost {
            transfer: "t-1".into(),
            to: "north".into(),
            quantity: few(1),
            note: Memo::new("fell off").ok(),
            goods: goods(&[lot("b", 1, "2026-05-31")], 80, 60),
        },
        InventoryEvent::TransferReceived {
            transfer: "t-2".into(),
            from: "south".into(),
            quantity: few(2),
            goods: goods(&[lot("d", 2, "2026-08-31")], 150, 70),
        },
        InventoryEvent::Counted {
            counted: few(20),
            variance: 6,
            note: Memo::new("year's end").ok(),
            goods: goods(&[lot("d", 6, "2026-08-31")], 450, 80),
        },
        InventoryEvent::Adjusted {
            delta: -2,
            reason: AdjustmentReason::Expired,
            note: None,
            goods: goods(&[lot("a", 2, "2026-06-30")], 150, 90),
        },
    ]
}
