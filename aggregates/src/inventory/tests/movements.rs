//! Supplies, transfers and counts.

use super::*;
use crate::currency::Currency;
use crate::money::Money;

fn euro(cents: i64) -> Money {
    Money::new(cents, Currency::EUR)
}

fn expected(count: u64) -> InventoryEvent {
    InventoryEvent::SupplyExpected {
        supply: "po-1".into(),
        quantity: units(count),
        due_on: None,
    }
}

fn delivered(count: u64) -> InventoryEvent {
    InventoryEvent::Received {
        quantity: units(count),
        supply: Some("po-1".into()),
        goods: None,
    }
}

#[test]
fn a_supply_is_incoming_until_it_is_received_or_ended() {
    item([])
        .when(ExpectSupply::new("po-1", units(5)))
        .then([expected(5)]);
    item([expected(5)])
        .when(Receive::new(units(3)).supply("po-1"))
        .then([delivered(3)])
        .then_state(|item| {
            item.supplies()
                .all(|(_, supply)| supply.quantity == units(2))
        });
    item([expected(5), delivered(3)])
        .when(EndSupply::new("po-1"))
        .then([InventoryEvent::SupplyEnded {
            supply: "po-1".into(),
            quantity: units(2),
        }])
        .then_reply(&units(2))
        .then_state(|item| item.supplies().count() == 0);
    // More than was expected may come.
    item([expected(5)])
        .when(Receive::new(units(6)).supply("po-1"))
        .then([delivered(6)]);
    item([expected(5), delivered(5)])
        .when(Receive::new(units(1)).supply("po-1"))
        .then_rejected(&ReceiveRejection::UnknownSupply {
            supply: "po-1".into(),
        });
}

fn dispatched(count: u64) -> InventoryEvent {
    InventoryEvent::TransferDispatched {
        transfer: "t".into(),
        to: "north".into(),
        quantity: units(count),
        goods: None,
    }
}

#[test]
fn what_is_sent_off_is_in_transit_until_it_arrives_or_is_lost() {
    item([received(5), reserved(1, 2)])
        .when(DispatchTransfer::new("t", "north", units(3)))
        .then([dispatched(3)])
        .then_reply(&level(2, 2));
    item([received(5), reserved(1, 2)])
        .when(DispatchTransfer::new("t", "north", units(4)))
        .then_rejected(&DispatchRejection::Insufficient {
            requested: units(4),
            available: units(3),
        });
    let history = [received(5), dispatched(3)];
    item(history.clone())
        .when(DispatchTransfer::new("t", "north", units(1)))
        .then_rejected(&DispatchRejection::InTransit {
            transfer: "t".into(),
        });
    item(history.clone())
        .when(LoseTransfer::new("t", units(1)).note("fell off"))
        .then_reply(&units(2));
    item(history.clone())
        .when(LoseTransfer::new("t", units(4)))
        .then_rejected(&TransferRejection::TooMany {
            transfer: "t".into(),
            in_transit: units(3),
            requested: units(4),
        });
    let arrive = |count| ArriveTransfer {
        transfer: "t".into(),
        quantity: units(count),
        goods: Goods::default(),
    };
    item(history)
        .when(arrive(3))
        .then_state(|item| item.in_transit().count() == 0);
    item([received(5)])
        .when(arrive(3))
        .then_rejected(&TransferRejection::NotInTransit {
            transfer: "t".into(),
        });
}

#[test]
fn a_part_that_arrives_takes_its_part_of_the_lots_and_the_value() {
    let transit = Transit {
        to: "north".into(),
        quantity: units(3),
        goods: Goods {
            lots: vec![
                LotQuantity::new("a", units(1)),
                LotQuantity::new("b", units(2)),
            ],
            value: Some(euro(100)),
            moved_at: None,
        },
    };
    let part = transit.part(units(2));
    assert_eq!(part.value, Some(euro(66)));
    assert_eq!(
        part.lots,
        [
            LotQuantity::new("a", units(1)),
            LotQuantity::new("b", units(1))
        ]
    );
    let rest = transit.without(units(2));
    assert_eq!(rest.part(units(1)), rest.goods);
    assert_eq!(rest.goods.value, Some(euro(34)));
    assert_eq!(rest.goods.lots, [LotQuantity::new("b", units(1))]);
}

#[test]
fn a_count_is_recorded_with_its_variance_also_if_there_is_none() {
    let counted = |count, variance| InventoryEvent::Counted {
        counted: units(count),
        variance,
        note: None,
        goods: None,
    };
    item([received(5)])
        .when(Count::new(units(5)))
        .then([counted(5, 0)])
        .then_reply(&0);
    item([received(5)])
        .when(Count::new(units(3)))
        .then([counted(3, -2)])
        .then_reply(&-2);
    item([received(5), reserved(1, 4)])
        .when(Count::new(units(3)))
        .then_rejected(&CountRejection::Adjust {
            counted: units(3),
            rejection: AdjustRejection::BelowReserved {
                on_hand: units(5),
                reserved: units(4),
                delta: -2,
            },
        });
}

#[test]
fn goods_from_another_location_are_taken_in_at_what_they_have_cost() {
    let terms = ItemTerms::new().costing(CostMethod::Fifo, Currency::EUR);
    let terms = Box::new(terms);
    let receive = ReceiveTransfer {
        transfer: "t".into(),
        from: "south".into(),
        quantity: units(2),
        cost: Some(euro(66)),
        lots: Vec::new(),
    };
    item([InventoryEvent::TermsSet { terms }])
        .when(receive.clone())
        .then_state(|item| item.value() == receive.cost && item.on_hand() == units(2));
    item([])
        .when(receive)
        .then_rejected(&ReceiveTransferRejection::Goods(
            GoodsRejection::CostNotKept,
        ));
}
