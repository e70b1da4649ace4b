//! Promises that hold longer, become firm, and are picked.

use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_unix_micros(second * 1_000_000)
}

fn until(number: u128, second: i64) -> InventoryEvent {
    InventoryEvent::ExpirySet {
        reservation: order(number),
        expires_at: at(second),
    }
}

fn confirmed(number: u128, held: u64, released: u64) -> InventoryEvent {
    InventoryEvent::Confirmed {
        reservation: order(number),
        quantity: units(held),
        released: units(released),
    }
}

fn picked(number: u128, count: u64) -> InventoryEvent {
    InventoryEvent::Picked {
        reservation: order(number),
        quantity: units(count),
        lots: Vec::new(),
    }
}

#[test]
fn a_promise_with_an_end_is_extended() {
    let name = format!("expiry of {}", order(1));
    item([received(9), reserved(1, 4), until(1, 10)])
        .when(Extend::new(order(1), at(20)))
        .then([until(1, 20)])
        .then_reply(&at(20))
        .then_scheduled(&name, at(20), &Expire::new(order(1)));
    item([received(9), reserved(1, 4)])
        .when(Extend::new(order(1), at(20)))
        .then_rejected(&ExtendRejection::NoEnd {
            reservation: order(1),
        });
    item([]).when(Extend::new(order(1), at(20))).then_rejected(
        &ExtendRejection::UnknownReservation {
            reservation: order(1),
        },
    );
}

#[test]
fn a_confirmed_promise_does_not_end_by_itself() {
    let history = [received(9), reserved(1, 4), until(1, 10)];
    item(history.clone())
        .when(Confirm::new(order(1)))
        .then([confirmed(1, 4, 0)])
        .then_state(|item| item.expires_at(order(1)).is_none());
    let firm = [history.to_vec(), vec![confirmed(1, 4, 0)]].concat();
    item(firm.clone()).when(Confirm::new(order(1))).then([]);
    item(firm)
        .at(at(11))
        .when(Expire::new(order(1)))
        .then_rejected(&ExpireRejection::NotDue {
            reservation: order(1),
            now: at(11),
        });
}

#[test]
fn what_is_not_confirmed_is_available_again() {
    item([received(9), reserved(1, 4), until(1, 10)])
        .when(Confirm::new(order(1)).part(units(3)))
        .then([confirmed(1, 3, 1)])
        .then_reply(&level(9, 3));
    item([received(9), reserved(1, 4)])
        .when(Confirm::new(order(1)).part(units(5)))
        .then_rejected(&ConfirmRejection::NotHeld {
            reservation: order(1),
            held: units(4),
            picked: units(0),
            requested: units(5),
        });
    item([received(9), reserved(1, 4)])
        .when(Confirm::new(order(1)).part(units(0)))
        .then_rejected(&ConfirmRejection::ZeroQuantity);
}

#[test]
fn picked_goods_are_on_hand_until_they_are_shipped() {
    item([received(9), reserved(1, 4), until(1, 10)])
        .when(Pick::new(order(1)).part(units(3)))
        .then([picked(1, 3)])
        .then_state(|item| {
            item.level() == level(9, 4)
                && item.picked(order(1)) == units(3)
                && item.expires_at(order(1)).is_none()
        });
    let history = [received(9), reserved(1, 4), picked(1, 3)];
    item(history.clone())
        .when(Pick::new(order(1)).part(units(2)))
        .then_rejected(&PickRejection::NotHeld {
            reservation: order(1),
            held: units(4),
            picked: units(3),
            requested: units(2),
        });
    item(history.clone())
        .when(Ship::new(order(1)).part(units(2)))
        .then([shipped(1, 2)])
        .then_state(|item| item.picked(order(1)) == units(1));
    // What is packed is not given back to the shelf by a release.
    item(history)
        .when(Release::new(order(1)))
        .then_rejected(&ReleaseRejection::NotHeld {
            reservation: order(1),
            held: units(4),
            picked: units(3),
            requested: units(4),
        });
}

#[test]
fn goods_that_somebody_has_picked_are_not_shipped_to_another() {
    let terms = Box::new(ItemTerms::new().oversell_up_to(units(5)));
    let history = [
        InventoryEvent::TermsSet { terms },
        received(5),
        reserved(1, 5),
        reserved(2, 5),
        picked(1, 4),
    ];
    item(history.clone())
        .when(Ship::new(order(2)))
        .then_rejected(&ShipRejection::NotOnHand {
            reserved: units(5),
            on_hand: units(1),
        });
    item(history)
        .when(Pick::new(order(2)))
        .then_rejected(&PickRejection::NotOnHand {
            requested: units(5),
            on_hand: units(1),
        });
}
