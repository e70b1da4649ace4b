use foldhouse_aggregates::Quantity;
use uuid::Uuid;

use super::*;
use crate::basket::Gathering;

/// Two baskets: one of two products, of which one stands on two lines, and one of a single product.
fn baskets() -> Baskets {
    let mut gathering = Gathering::default();
    for (basket, product, quantity) in [
        ("1", "beer", 2),
        ("1", "crisps", 1),
        ("1", "beer", 3),
        ("2", "beer", 4),
    ] {
        gathering.add(basket.to_owned(), product.to_owned(), quantity);
    }
    gathering.finish()
}

fn received(product: &str, count: u64) -> (&str, Option<&'static str>, InventoryEvent) {
    let quantity = Quantity::new(count);
    (
        product,
        None,
        InventoryEvent::Received {
            quantity,
            supply: None,
            goods: None,
        },
    )
}

fn name(number: u128) -> ReservationId {
    ReservationId::from_uuid(Uuid::from_u128(number))
}

type Event<'a> = (&'a str, Option<&'a str>, InventoryEvent);

fn reserved<'a>(basket: &'a str, product: &'a str, count: u64, number: u128) -> Event<'a> {
    let event = InventoryEvent::Reserved {
        reservation: name(number),
        quantity: Quantity::new(count),
        backordered: Quantity::ZERO,
        priority: 0,
    };
    (product, Some(basket), event)
}

fn shipped<'a>(basket: &'a str, product: &'a str, count: u64, number: u128) -> Event<'a> {
    let event = InventoryEvent::Shipped {
        reservation: name(number),
        quantity: Quantity::new(count),
        goods: None,
    };
    (product, Some(basket), event)
}

/// A sound history: both baskets reserved and shipped.
fn sound() -> Vec<Event<'static>> {
    vec![
        received("beer", 9),
        received("crisps", 1),
        reserved("1", "beer", 2, 1),
        reserved("1", "beer", 3, 3),
        reserved("1", "crisps", 1, 2),
        reserved("2", "beer", 4, 4),
        shipped("1", "beer", 2, 1),
        shipped("1", "beer", 3, 3),
        shipped("1", "crisps", 1, 2),
        shipped("2", "beer", 4, 4),
    ]
}

/// What the check finds: how often oversold, how many baskets in part.
fn found(history: &[Event<'_>], told: [bool; 2]) -> (u64, u64) {
    let mut check = Check::new();
    for (position, (product, basket, event)) in (1..).zip(history) {
        let seen = Seen {
            position,
            product: (*product).to_owned(),
            basket: basket.map(str::to_owned),
            event: event.clone(),
        };
        check.take(&seen).unwrap();
    }
    check.compare(&baskets(), |number| told[number]);
    (check.oversold.count(), check.partial.count())
}

#[test]
fn a_sound_history_passes() {
    assert_eq!(found(&sound(), [true, true]), (0, 0));
}

#[test]
fn a_basket_that_was_refused_is_absent() {
    let history: Vec<_> = sound()
        .into_iter()
        .filter(|(_, basket, _)| *basket != Some("2"))
        .collect();
    assert_eq!(found(&history, [true, false]), (0, 0));
    assert_eq!(found(&history, [true, true]), (0, 1));
    assert_eq!(found(&sound(), [true, false]), (0, 1));
}

#[test]
fn an_oversell_is_found_also_if_it_is_made_good_later() {
    let mut history = sound();
    history[0] = received("beer", 8);
    history.insert(6, received("beer", 1));
    assert_eq!(found(&history, [true, true]), (1, 0));
}

#[test]
fn goods_that_leave_twice_are_found() {
    let mut history = sound();
    history.push(shipped("2", "beer", 4, 4));
    assert_eq!(found(&history, [true, true]), (1, 1));
}

#[test]
fn a_basket_in_part_is_found() {
    // Each: what is missing from the sound history.
    for missing in [2, 3, 4, 6, 7, 8, 9] {
        let mut history = sound();
        history.remove(missing);
        let (_, partial) = found(&history, [true, true]);
        assert_eq!(partial, 1, "without event {missing}");
    }
}

#[test]
fn a_basket_that_was_not_reserved_or_shipped_in_one_go_is_found() {
    for (from, to) in [(4, 5), (8, 9)] {
        let mut history = sound();
        history.swap(from, to);
        assert_eq!(
            found(&history, [true, true]),
            (0, 1),
            "{from} and {to} swapped"
        );
    }
}

#[test]
fn a_shipment_of_anothers_reservation_is_found() {
    let mut history = sound();
    history[8] = shipped("1", "crisps", 1, 9);
    assert_eq!(found(&history, [true, true]), (0, 1));
}

#[test]
fn a_basket_that_nobody_asked_for_is_found() {
    let mut history = sound();
    history.push(received("beer", 1));
    history.push(reserved("3", "beer", 1, 5));
    assert_eq!(found(&history, [true, true]), (0, 1));
}

#[test]
fn a_gap_in_the_positions_ends_the_check() {
    let mut check = Check::new();
    let (product, _, event) = received("beer", 1);
    let seen = Seen {
        position: 2,
        product: product.to_owned(),
        basket: None,
        event,
    };
    let refused = check.take(&seen).unwrap_err();
    assert!(refused.to_string().contains("from position 0 to 2"));
}
