//! The rule book of a stock item. Each test is a rule, each block a case of it.

mod backorders;
mod goods;
mod holding;
mod movements;

use std::collections::BTreeMap;

use foldhouse::testing::{Given, given};
use foldhouse::{Aggregate, CommandContext, Timestamp};
use uuid::Uuid;

use super::*;
use crate::memo::{MEMO_CHARS_MAX, Memo, MemoTooLong};

fn units(count: u64) -> Quantity {
    Quantity::new(count)
}

fn level(on_hand: u64, reserved: u64) -> StockLevel {
    StockLevel::new(units(on_hand), units(reserved))
}

fn order(number: u128) -> ReservationId {
    ReservationId::from_uuid(Uuid::from_u128(number))
}

fn received(count: u64) -> InventoryEvent {
    InventoryEvent::Received {
        quantity: units(count),
        supply: None,
        goods: None,
    }
}

fn reserved(number: u128, count: u64) -> InventoryEvent {
    InventoryEvent::Reserved {
        reservation: order(number),
        quantity: units(count),
        backordered: Quantity::ZERO,
        priority: 0,
    }
}

fn released(number: u128, count: u64) -> InventoryEvent {
    InventoryEvent::Released {
        reservation: order(number),
        quantity: units(count),
        backordered: Quantity::ZERO,
    }
}

fn shipped(number: u128, count: u64) -> InventoryEvent {
    InventoryEvent::Shipped {
        reservation: order(number),
        quantity: units(count),
        goods: None,
    }
}

fn adjusted(delta: i64, reason: AdjustmentReason) -> InventoryEvent {
    InventoryEvent::Adjusted {
        delta,
        reason,
        note: None,
        goods: None,
    }
}

fn item(events: impl IntoIterator<Item = InventoryEvent>) -> Given<InventoryItem> {
    given(events)
}

/// The reservation that a command of this id makes.
fn made_by(command_id: Uuid) -> ReservationId {
    let context = CommandContext::new(Timestamp::from_unix_micros(0), command_id);
    ReservationId::from_uuid(context.derive_id(0))
}

// Receiving

#[test]
fn an_item_without_a_history_is_out_of_stock() {
    let given = item([]);
    assert_eq!(given.state().level(), level(0, 0));
    assert_eq!(given.state().available(), Quantity::ZERO);
}

#[test]
fn what_is_received_is_on_hand_and_available() {
    item([received(5)])
        .when(Receive::new(units(7)))
        .then([received(7)])
        .then_reply(&level(12, 0))
        .then_state(|item| item.level() == level(12, 0) && item.available() == units(12));
}

#[test]
fn receiving_nothing_is_refused() {
    item([])
        .when(Receive::new(Quantity::ZERO))
        .then_rejected(&ReceiveRejection::ZeroQuantity);
}

#[test]
fn a_stock_beyond_what_can_be_counted_is_not_received() {
    item([received(u64::MAX - 1)])
        .when(Receive::new(units(1)))
        .then_reply(&level(u64::MAX, 0));
    let rejection = ReceiveRejection::Overflow {
        on_hand: units(u64::MAX),
        received: units(1),
    };
    assert_eq!(
        rejection.to_string(),
        "1 received on top of 18446744073709551615 on hand exceed 18446744073709551615; \
         count in a larger unit"
    );
    item([received(u64::MAX)])
        .when(Receive::new(units(1)))
        .then_rejected(&rejection);
}

// Reserving

#[test]
fn what_is_reserved_stays_on_hand_but_is_no_longer_available() {
    let command_id = Uuid::from_u128(77);
    let reservation = made_by(command_id);
    item([received(10), reserved(1, 3)])
        .command_id(command_id)
        .when(Reserve::new(units(4)))
        .then([InventoryEvent::Reserved {
            reservation,
            quantity: units(4),
            backordered: Quantity::ZERO,
            priority: 0,
        }])
        .then_reply(&reservation)
        .then_state(|item| {
            item.level() == level(10, 7)
                && item.available() == units(3)
                && item.reservation(reservation) == Some(units(4))
                && item.reservation(order(1)) == Some(units(3))
        });
}

#[test]
fn everything_that_is_available_can_be_reserved_and_not_one_more() {
    item([received(10), reserved(1, 3)])
        .when(Reserve::new(units(7)))
        .then_state(|item| item.available().is_zero());
    let rejection = ReserveRejection::Insufficient {
        requested: units(8),
        available: units(7),
    };
    assert_eq!(
        rejection.to_string(),
        "8 requested, but only 7 available; reserve less or receive first"
    );
    item([received(10), reserved(1, 3)])
        .when(Reserve::new(units(8)))
        .then_rejected(&rejection);
}

#[test]
fn reserving_nothing_is_refused() {
    item([received(1)])
        .when(Reserve::new(Quantity::ZERO))
        .then_rejected(&ReserveRejection::ZeroQuantity);
}

#[test]
fn one_command_makes_one_reservation() {
    let command_id = Uuid::from_u128(77);
    let reservation = made_by(command_id);
    let made = InventoryEvent::Reserved {
        reservation,
        quantity: units(1),
        backordered: Quantity::ZERO,
        priority: 0,
    };
    item([received(10), made])
        .command_id(command_id)
        .when(Reserve::new(units(1)))
        .then_rejected(&ReserveRejection::AlreadyReserved { reservation });
}

#[test]
fn the_lines_of_one_command_make_a_reservation_each() {
    let command_id = Uuid::from_u128(77);
    let context = CommandContext::new(Timestamp::from_unix_micros(0), command_id);
    let line = |line, quantity| InventoryEvent::Reserved {
        reservation: ReservationId::from_uuid(context.derive_id(line)),
        quantity: units(quantity),
        backordered: Quantity::ZERO,
        priority: 0,
    };
    item([received(10), line(0, 6)])
        .command_id(command_id)
        .when(Reserve::new(units(4)).line(1))
        .then([line(1, 4)]);
    item([received(10), line(0, 6)])
        .command_id(command_id)
        .when(Reserve::new(units(5)).line(1))
        .then_rejected(&ReserveRejection::Insufficient {
            requested: units(5),
            available: units(4),
        });
}

#[test]
fn the_open_reservations_of_an_item_are_limited() {
    let open = |count: usize| {
        let stock = received(u64::MAX);
        let orders = (1..=count as u128).map(|number| reserved(number, 1));
        item([stock].into_iter().chain(orders))
    };
    open(OPEN_RESERVATIONS_MAX - 1)
        .when(Reserve::new(units(1)))
        .then_state(|item| item.reservations().len() == OPEN_RESERVATIONS_MAX);
    open(OPEN_RESERVATIONS_MAX)
        .when(Reserve::new(units(1)))
        .then_rejected(&ReserveRejection::TooManyReservations);
    assert_eq!(
        ReserveRejection::TooManyReservations.to_string(),
        "100000 reservations are open, the limit; ship or release some first"
    );
}

// Releasing

#[test]
fn what_is_released_is_available_again() {
    item([received(10), reserved(1, 3), reserved(2, 4)])
        .when(Release::new(order(1)))
        .then([released(1, 3)])
        .then_reply(&level(10, 4))
        .then_state(|item| item.available() == units(6) && item.reservation(order(1)).is_none());
}

#[test]
fn a_reservation_that_is_not_open_is_not_released() {
    let unknown = ReleaseRejection::UnknownReservation {
        reservation: order(1),
    };
    for history in [
        vec![received(10)],
        vec![received(10), reserved(1, 3), released(1, 3)],
        vec![received(10), reserved(1, 3), shipped(1, 3)],
    ] {
        item(history)
            .when(Release::new(order(1)))
            .then_rejected(&unknown);
    }
    assert_eq!(
        unknown.to_string(),
        "reservation 00000000-0000-0000-0000-000000000001 is not open: \
         it was never made, or already released or shipped"
    );
}

// Shipping

#[test]
fn what_is_shipped_is_neither_on_hand_nor_reserved() {
    item([received(10), reserved(1, 3), reserved(2, 4)])
        .when(Ship::new(order(2)))
        .then([shipped(2, 4)])
        .then_reply(&level(6, 3))
        .then_state(|item| item.available() == units(3) && item.reservation(order(2)).is_none());
}

#[test]
fn a_reservation_that_is_not_open_is_not_shipped() {
    let unknown = ShipRejection::UnknownReservation {
        reservation: order(1),
    };
    for history in [
        vec![received(10)],
        vec![received(10), reserved(1, 3), released(1, 3)],
        vec![received(10), reserved(1, 3), shipped(1, 3)],
    ] {
        item(history)
            .when(Ship::new(order(1)))
            .then_rejected(&unknown);
    }
}

#[test]
fn more_than_is_on_hand_is_not_shipped_even_if_a_foreign_history_reserved_it() {
    item([received(2), reserved(1, 3)])
        .when(Ship::new(order(1)))
        .then_rejected(&ShipRejection::NotOnHand {
            reserved: units(3),
            on_hand: units(2),
        });
}

// Adjusting

#[test]
fn an_adjustment_brings_the_book_to_the_count() {
    item([received(10), reserved(1, 3)])
        .when(Adjust::new(5, AdjustmentReason::Found))
        .then([adjusted(5, AdjustmentReason::Found)])
        .then_reply(&level(15, 3));
    item([received(10), reserved(1, 3)])
        .when(Adjust::new(-5, AdjustmentReason::Damaged))
        .then([adjusted(-5, AdjustmentReason::Damaged)])
        .then_reply(&level(5, 3));
}

#[test]
fn an_adjustment_by_nothing_is_refused() {
    item([received(10)])
        .when(Adjust::new(0, AdjustmentReason::CycleCount))
        .then_rejected(&AdjustRejection::ZeroQuantity);
}

#[test]
fn an_adjustment_takes_no_more_than_is_on_hand() {
    item([received(10)])
        .when(Adjust::new(-10, AdjustmentReason::Lost))
        .then_reply(&level(0, 0));
    for delta in [-11, i64::MIN] {
        item([received(10)])
            .when(Adjust::new(delta, AdjustmentReason::Lost))
            .then_rejected(&AdjustRejection::BelowZero {
                on_hand: units(10),
                delta,
            });
    }
}

#[test]
fn an_adjustment_leaves_what_is_reserved() {
    item([received(10), reserved(1, 3)])
        .when(Adjust::new(-7, AdjustmentReason::Expired))
        .then_reply(&level(3, 3));
    let rejection = AdjustRejection::BelowReserved {
        on_hand: units(10),
        reserved: units(3),
        delta: -8,
    };
    assert_eq!(
        rejection.to_string(),
        "an adjustment by -8 of the 10 on hand would not leave the 3 reserved; \
         release reservations first"
    );
    item([received(10), reserved(1, 3)])
        .when(Adjust::new(-8, AdjustmentReason::Expired))
        .then_rejected(&rejection);
}

#[test]
fn an_adjustment_to_more_than_can_be_counted_is_refused() {
    item([received(u64::MAX)])
        .when(Adjust::new(1, AdjustmentReason::Found))
        .then_rejected(&AdjustRejection::Overflow {
            on_hand: units(u64::MAX),
            delta: 1,
        });
}

#[test]
fn a_note_is_recorded_with_the_adjustment_and_refused_if_it_is_too_long() {
    item([received(10)])
        .when(Adjust::new(-1, AdjustmentReason::Other).note("sample for the customer"))
        .then([InventoryEvent::Adjusted {
            delta: -1,
            reason: AdjustmentReason::Other,
            note: Some(Memo::new("sample for the customer").unwrap()),
            goods: None,
        }]);
    item([received(10)])
        .when(Adjust::new(-1, AdjustmentReason::Other).note("x".repeat(MEMO_CHARS_MAX + 1)))
        .then_rejected(&AdjustRejection::NoteTooLong(MemoTooLong { chars: 141 }));
}

// Histories that no command leads to

#[test]
fn a_foreign_history_never_makes_the_available_stock_negative_or_panics() {
    let oversold = item([reserved(1, 3), received(2)]);
    assert_eq!(oversold.state().available(), Quantity::ZERO);

    let mut strange = InventoryItem::default();
    for event in [
        shipped(9, 1),
        released(9, 1),
        adjusted(i64::MIN, AdjustmentReason::Lost),
        received(u64::MAX),
        received(u64::MAX),
        adjusted(i64::MAX, AdjustmentReason::Found),
        reserved(1, u64::MAX),
        reserved(1, u64::MAX),
        reserved(2, u64::MAX),
    ] {
        strange.apply(&event);
    }
    assert_eq!(strange.available(), Quantity::ZERO);
}

#[test]
fn what_is_reserved_is_the_sum_of_the_open_reservations_in_any_history() {
    let given = item([received(10), reserved(1, 2), reserved(2, 3), released(1, 4)]);
    assert_eq!(given.state().level(), level(10, 3));
    assert_eq!(
        given.state().reservations().collect::<Vec<_>>(),
        [(order(2), units(3))]
    );
}

#[test]
fn a_part_of_a_reservation_that_a_later_version_ships_leaves_the_rest_open() {
    let given = item([received(10), reserved(1, 5), shipped(1, 2)]);
    assert_eq!(given.state().level(), level(8, 3));
    assert_eq!(given.state().reservation(order(1)), Some(units(3)));
}

// Reservations that end

fn at(micros: i64) -> Timestamp {
    Timestamp::from_unix_micros(micros)
}

fn limited(number: u128, expires_at: i64) -> InventoryEvent {
    InventoryEvent::ExpirySet {
        reservation: order(number),
        expires_at: at(expires_at),
    }
}

fn expired(number: u128, count: u64) -> InventoryEvent {
    InventoryEvent::Expired {
        reservation: order(number),
        quantity: units(count),
        backordered: Quantity::ZERO,
    }
}

#[test]
fn a_reservation_with_an_end_is_taken_back_by_a_timer_then() {
    let command_id = Uuid::from_u128(77);
    let reservation = made_by(command_id);
    item([received(10)])
        .command_id(command_id)
        .when(Reserve::new(units(4)).until(at(9)))
        .then_scheduled(
            &format!("expiry of {reservation}"),
            at(9),
            &Expire::new(reservation),
        )
        .then_state(|item| {
            item.available() == units(6) && item.expires_at(reservation) == Some(at(9))
        });
    item([received(10), reserved(1, 4), limited(1, 9)])
        .at(at(9))
        .when(Expire::new(order(1)))
        .then([expired(1, 4)])
        .then_reply(&level(10, 0))
        .then_no_timers()
        .then_state(|item| item.available() == units(10) && item.reservations().len() == 0);
}

#[test]
fn what_is_shipped_or_released_does_not_expire_and_what_has_no_end_has_no_timer() {
    let timer = format!("expiry of {}", order(1));
    let open = [received(10), reserved(1, 4), limited(1, 9)];
    item(open.clone())
        .when(Ship::new(order(1)))
        .then([shipped(1, 4)])
        .then_cancelled(&timer)
        .then_state(|item| item.expires_at(order(1)).is_none());
    item(open.clone())
        .when(Release::new(order(1)))
        .then([released(1, 4)])
        .then_cancelled(&timer);
    let endless = [received(10), reserved(1, 4)];
    item(endless.clone())
        .when(Ship::new(order(1)))
        .then_no_timers();
    item(endless.clone())
        .when(Release::new(order(1)))
        .then_no_timers();
    item(endless.clone())
        .when(Reserve::new(units(1)))
        .then_no_timers();
    for (history, now) in [(endless.to_vec(), at(99)), (open.to_vec(), at(8))] {
        item(history)
            .at(now)
            .when(Expire::new(order(1)))
            .then_rejected(&ExpireRejection::NotDue {
                reservation: order(1),
                now,
            });
    }
    item([received(10), reserved(1, 4), limited(1, 9), shipped(1, 4)])
        .at(at(9))
        .when(Expire::new(order(1)))
        .then_rejected(&ExpireRejection::UnknownReservation {
            reservation: order(1),
        });
}

#[test]
fn a_snapshot_from_before_there_were_ends_and_terms_is_read() {
    #[derive(serde::Serialize)]
    struct Before {
        on_hand: Quantity,
        reserved: Quantity,
        reservations: BTreeMap<ReservationId, Quantity>,
    }
    let item = item([received(10), reserved(1, 4)]).state().clone();
    let before = Before {
        on_hand: units(10),
        reserved: units(4),
        reservations: BTreeMap::from([(order(1), units(4))]),
    };
    let bytes = rmp_serde::to_vec_named(&before).unwrap();
    assert_eq!(
        rmp_serde::from_slice::<InventoryItem>(&bytes).unwrap(),
        item
    );
}
