//! Promises in part, and who waits for goods.

use super::*;

fn waits(number: u128, held: u64, waits: u64, priority: u8) -> InventoryEvent {
    InventoryEvent::Reserved {
        reservation: order(number),
        quantity: units(held),
        backordered: units(waits),
        priority,
    }
}

fn filled(number: u128, count: u64) -> InventoryEvent {
    InventoryEvent::BackorderFilled {
        reservation: order(number),
        quantity: units(count),
    }
}

#[test]
fn a_reservation_in_part_takes_what_is_there_and_lets_the_rest_go() {
    item([received(3)])
        .when(ReserveInPart::new(units(5)))
        .then_state(|item| item.level() == level(3, 3) && item.backordered().is_zero());
    item([])
        .when(ReserveInPart::new(units(5)))
        .then_rejected(&ReserveInPartRejection::Reserve(
            ReserveRejection::Insufficient {
                requested: units(5),
                available: units(0),
            },
        ));
}

#[test]
fn a_reservation_may_wait_for_what_is_not_there() {
    item([received(3)])
        .when(ReserveInPart::new(units(5)).or_wait().priority(7))
        .then_state(|item| {
            let (reservation, held) = item.reservations().next().unwrap();
            held == units(3) && item.waits_for(reservation) == units(2)
        });
}

#[test]
fn who_waits_gets_what_comes_in_by_priority_and_then_by_who_came_first() {
    let history = [waits(1, 0, 4, 0), waits(2, 0, 4, 5), waits(3, 0, 4, 5)];
    item(history)
        .when(Receive::new(units(9)))
        .then([received(9), filled(2, 4), filled(3, 4), filled(1, 1)])
        .then_reply(&level(9, 9));
}

#[test]
fn nobody_goes_before_those_who_wait() {
    item([waits(1, 0, 4, 0)])
        .when(Reserve::new(units(1)))
        .then_rejected(&ReserveRejection::Insufficient {
            requested: units(1),
            available: units(0),
        });
}

#[test]
fn what_is_released_expires_or_is_counted_goes_to_those_who_wait() {
    let history = [received(5), reserved(1, 5), waits(2, 0, 3, 0)];
    item(history.clone())
        .when(Release::new(order(1)))
        .then([released(1, 5), filled(2, 3)])
        .then_reply(&level(5, 3));
    item(history)
        .when(Count::new(units(7)))
        .then([
            InventoryEvent::Counted {
                counted: units(7),
                variance: 2,
                note: None,
                goods: None,
            },
            filled(2, 2),
        ])
        .then_reply(&2);
}

#[test]
fn a_release_in_part_takes_first_what_is_waited_for() {
    item([received(5), waits(1, 5, 3, 0)])
        .when(Release::new(order(1)).part(units(4)))
        .then([InventoryEvent::Released {
            reservation: order(1),
            quantity: units(1),
            backordered: units(3),
        }])
        .then_reply(&level(5, 4));
    item([received(5), waits(1, 5, 3, 0)])
        .when(Release::new(order(1)).part(units(9)))
        .then_rejected(&ReleaseRejection::NotHeld {
            reservation: order(1),
            held: units(5),
            picked: units(0),
            requested: units(6),
        });
}

#[test]
fn what_was_shipped_of_a_promise_leaves_it_waiting_for_the_rest() {
    item([received(5), waits(1, 5, 3, 0)])
        .when(Ship::new(order(1)))
        .then([shipped(1, 5)])
        .then_state(|item| {
            item.reservation(order(1)) == Some(units(0)) && item.waits_for(order(1)) == units(3)
        });
}

#[test]
fn only_so_many_may_wait() {
    let history = (0..BACKORDERS_MAX as u128).map(|number| waits(number, 0, 1, 0));
    let full = item(history.collect::<Vec<_>>());
    full.when(ReserveInPart::new(units(1)).or_wait())
        .then_rejected(&ReserveInPartRejection::TooManyBackorders);
}

#[test]
fn the_terms_say_how_many_may_be_oversold() {
    let terms = Box::new(ItemTerms::new().oversell_up_to(units(2)));
    let history = [InventoryEvent::TermsSet { terms }, received(3)];
    item(history.clone())
        .when(Reserve::new(units(6)))
        .then_rejected(&ReserveRejection::Insufficient {
            requested: units(6),
            available: units(5),
        });
    let oversold = [history.to_vec(), vec![reserved(1, 5)]].concat();
    // Nothing leaves that is not there.
    item(oversold.clone())
        .when(Ship::new(order(1)))
        .then_rejected(&ShipRejection::NotOnHand {
            reserved: units(5),
            on_hand: units(3),
        });
    item(oversold)
        .when(Ship::new(order(1)).part(units(3)))
        .then([shipped(1, 3)])
        .then_reply(&level(0, 2));
}
