//! Lots and costs.

use super::*;
use crate::currency::Currency;
use crate::ledger::BookDate;
use crate::money::Money;

fn euro(cents: i64) -> Money {
    Money::new(cents, Currency::EUR)
}

fn at(day: i64) -> Timestamp {
    Timestamp::from_unix_micros(day * 86_400_000_000)
}

/// The last day of use, counted as [`at`] does.
fn last(day: i64) -> BookDate {
    BookDate::of(at(day))
}

fn lot(name: &str, count: u64) -> LotQuantity {
    LotQuantity::new(name, units(count))
}

fn kept(terms: ItemTerms) -> InventoryEvent {
    InventoryEvent::TermsSet {
        terms: Box::new(terms),
    }
}

fn fifo() -> ItemTerms {
    ItemTerms::new().costing(CostMethod::Fifo, Currency::EUR)
}

fn goods(lots: Vec<LotQuantity>, value: Option<i64>, moved: Option<i64>) -> Option<Box<Goods>> {
    Some(Box::new(Goods {
        lots,
        value: value.map(euro),
        moved_at: moved.map(at),
    }))
}

fn bought(count: u64, cents: i64, day: i64) -> InventoryEvent {
    InventoryEvent::Received {
        quantity: units(count),
        supply: None,
        goods: goods(Vec::new(), Some(cents), Some(day)),
    }
}

fn sold(number: u128, count: u64, cents: i64, day: i64) -> InventoryEvent {
    InventoryEvent::Shipped {
        reservation: order(number),
        quantity: units(count),
        goods: goods(Vec::new(), Some(cents), Some(day)),
    }
}

fn stored(lots: Vec<LotQuantity>) -> InventoryEvent {
    let count = lots.iter().map(|lot| lot.quantity.get()).sum();
    InventoryEvent::Received {
        quantity: units(count),
        supply: None,
        goods: goods(lots, None, None),
    }
}

fn sent(number: u128, lots: Vec<LotQuantity>) -> InventoryEvent {
    let count = lots.iter().map(|lot| lot.quantity.get()).sum();
    InventoryEvent::Shipped {
        reservation: order(number),
        quantity: units(count),
        goods: goods(lots, None, None),
    }
}

// Costs

#[test]
fn what_leaves_has_cost_what_the_oldest_did() {
    let history = [
        kept(fifo()),
        bought(3, 1_000, 1),
        bought(2, 500, 2),
        reserved(1, 4),
    ];
    item(history.clone())
        .at(at(3))
        .when(Ship::new(order(1)))
        .then([sold(1, 4, 1_250, 3)])
        .then_state(|item| item.value() == Some(euro(250)));
    let average = ItemTerms::new().costing(CostMethod::MovingAverage, Currency::EUR);
    let mut history = history.to_vec();
    history[0] = kept(average);
    item(history)
        .at(at(3))
        .when(Ship::new(order(1)))
        .then([sold(1, 4, 1_200, 3)])
        .then_state(|item| item.value() == Some(euro(300)));
}

#[test]
fn a_receipt_says_what_it_has_cost_where_costs_are_kept_and_only_there() {
    let receive = Receive::new(units(2));
    item([kept(fifo())])
        .when(receive.clone())
        .then_rejected(&ReceiveRejection::Goods(GoodsRejection::CostMissing {
            quantity: units(2),
        }));
    item([])
        .when(receive.clone().cost(euro(1)))
        .then_rejected(&ReceiveRejection::Goods(GoodsRejection::CostNotKept));
    item([kept(fifo())])
        .when(receive.clone().cost(euro(-1)))
        .then_rejected(&ReceiveRejection::Goods(GoodsRejection::CostNegative {
            cost: euro(-1),
        }));
    item([kept(fifo())])
        .when(receive.cost(Money::new(1, Currency::CZK)))
        .then_rejected(&ReceiveRejection::Goods(GoodsRejection::OtherCurrency {
            kept: Currency::EUR,
            given: Currency::CZK,
        }));
}

#[test]
fn what_comes_back_or_turns_up_is_worth_the_average_unless_somebody_knows_better() {
    let history = [kept(fifo()), bought(3, 1_000, 1), bought(1, 500, 2)];
    item(history.clone())
        .at(at(3))
        .when(Return::new(units(2)))
        .then_state(|item| item.value() == Some(euro(2_250)));
    item(history.clone())
        .at(at(3))
        .when(Return::new(units(2)).cost(euro(666)).of(order(1)))
        .then([InventoryEvent::Returned {
            quantity: units(2),
            reservation: Some(order(1)),
            note: None,
            goods: goods(Vec::new(), Some(666), Some(3)),
        }]);
    item(history)
        .at(at(3))
        .when(Adjust::new(-3, AdjustmentReason::Lost))
        .then_state(|item| item.value() == Some(euro(500)));
    item([kept(fifo())])
        .when(Adjust::new(1, AdjustmentReason::Found))
        .then_rejected(&AdjustRejection::Goods(GoodsRejection::CostMissing {
            quantity: units(1),
        }));
}

#[test]
fn a_late_movement_is_refused_unless_the_terms_allow_for_it() {
    let history = [kept(fifo()), bought(5, 500, 10)];
    let late = || Receive::new(units(1)).cost(euro(1));
    let when = CommandMetaAt::new(9);
    item(history.clone())
        .meta(when.0.clone())
        .when(late())
        .then_rejected(&ReceiveRejection::Goods(GoodsRejection::TooLate {
            at: at(9),
            last: at(10),
            later_max: 0,
        }));
    // Whoever does not say when is never late, whatever the clock does.
    item(history)
        .at(at(9))
        .when(late())
        .then([bought(1, 1, 10)]);
}

#[test]
fn a_late_receipt_revalues_what_left_after_it() {
    let history = [
        kept(fifo().revalue(3)),
        bought(5, 500, 10),
        reserved(1, 2),
        sold(1, 2, 200, 11),
    ];
    item(history.clone())
        .meta(CommandMetaAt::new(9).0)
        .when(Receive::new(units(1)).cost(euro(30)))
        .then([
            bought(1, 30, 9),
            InventoryEvent::Revalued {
                issued: euro(-70),
                movements: 2,
            },
        ])
        .then_state(|item| item.value() == Some(euro(400)));
    let many = [history.to_vec(), vec![bought(1, 1, 12), bought(1, 1, 13)]].concat();
    item(many)
        .meta(CommandMetaAt::new(9).0)
        .when(Receive::new(units(1)).cost(euro(30)))
        .then_rejected(&ReceiveRejection::Goods(GoodsRejection::TooLate {
            at: at(9),
            last: at(13),
            later_max: 3,
        }));
    // What was not there then cannot have left then.
    item([history.to_vec(), vec![reserved(2, 1)]].concat())
        .meta(CommandMetaAt::new(9).0)
        .when(Ship::new(order(2)))
        .then_rejected(&ShipRejection::Goods(GoodsRejection::NotOnHandThen {
            at: at(9),
            quantity: units(1),
        }));
}

/// What a caller says of a movement of that day.
struct CommandMetaAt(foldhouse::CommandMeta);

impl CommandMetaAt {
    fn new(day: i64) -> Self {
        Self(foldhouse::CommandMeta::new().effective_at(at(day)))
    }
}

// Lots

fn lots() -> ItemTerms {
    ItemTerms::new().tracking(Tracking::Lots)
}

#[test]
fn what_expires_first_leaves_first_and_what_has_expired_does_not() {
    let (early, late) = (
        lot("early", 3).expires_on(last(20)),
        lot("late", 3).expires_on(last(30)),
    );
    let history = [
        kept(lots()),
        stored(vec![late.clone(), lot("never", 3)]),
        stored(vec![early.clone()]),
        reserved(1, 4),
    ];
    let part = |of: &LotQuantity, count| LotQuantity {
        quantity: units(count),
        ..of.clone()
    };
    item(history.clone())
        .at(at(20))
        .when(Ship::new(order(1)))
        .then([sent(1, vec![early.clone(), part(&late, 1)])]);
    item(history.clone())
        .at(at(21))
        .when(Ship::new(order(1)))
        .then([sent(1, vec![late.clone(), lot("never", 1)])]);
    item(history.clone())
        .at(at(31))
        .when(Ship::new(order(1)))
        .then_rejected(&ShipRejection::Goods(GoodsRejection::Expired {
            wanted: units(4),
            usable: units(3),
        }));
    // A stocktake takes away what expires first, expired or not.
    item(history)
        .at(at(31))
        .when(Adjust::new(-3, AdjustmentReason::Expired))
        .then_state(|item| item.lots().all(|lot| lot.lot.as_str() != "early"));
}

#[test]
fn what_is_allocated_to_one_does_not_go_to_another() {
    let history = [
        kept(lots()),
        stored(vec![lot("a", 3), lot("b", 3)]),
        reserved(1, 2),
        reserved(2, 2),
    ];
    let allocated = |lots: Vec<LotQuantity>| InventoryEvent::Allocated {
        reservation: order(1),
        lots,
    };
    item(history.clone())
        .when(Allocate::new(order(1)).lots([lot("a", 2)]))
        .then([allocated(vec![lot("a", 2)])]);
    let history = [history.to_vec(), vec![allocated(vec![lot("a", 2)])]].concat();
    item(history.clone())
        .when(Ship::new(order(2)))
        .then([sent(2, vec![lot("a", 1), lot("b", 1)])]);
    item(history.clone())
        .when(Allocate::new(order(2)).lots([lot("a", 2)]))
        .then_rejected(&AllocateRejection::Goods(GoodsRejection::NotInLot {
            lot: "a".into(),
            wanted: units(2),
            free: units(1),
        }));
    item(history)
        .when(Ship::new(order(1)))
        .then([sent(1, vec![lot("a", 2)])])
        .then_state(|item| item.allocated(order(1)).is_empty());
    item([received(5), reserved(1, 2)])
        .when(Allocate::new(order(1)))
        .then_rejected(&AllocateRejection::Goods(GoodsRejection::LotsNotTracked));
}

#[test]
fn lots_are_named_in_full_and_agree_with_what_is_there() {
    let history = [kept(lots()), stored(vec![lot("a", 3).expires_on(last(9))])];
    let refused = |lots: Vec<LotQuantity>, rejection: GoodsRejection| {
        item(history.clone())
            .when(Receive::new(units(4)).lots(lots))
            .then_rejected(&ReceiveRejection::Goods(rejection));
    };
    let differ = |count| GoodsRejection::LotsDiffer {
        quantity: units(4),
        lots: units(count),
    };
    refused(vec![], differ(0));
    refused(vec![lot("b", 3)], differ(3));
    let a = || "a".into();
    refused(
        vec![lot("b", 2), lot("b", 2)],
        GoodsRejection::LotTwice { lot: "b".into() },
    );
    refused(vec![lot("a", 4)], GoodsRejection::OtherExpiry { lot: a() });
    item([kept(ItemTerms::new().tracking(Tracking::Serials))])
        .when(Receive::new(units(2)).lots([lot("a", 2)]))
        .then_rejected(&ReceiveRejection::Goods(GoodsRejection::NotSingle {
            lot: a(),
            quantity: units(2),
        }));
    item([
        kept(ItemTerms::new().tracking(Tracking::Serials)),
        stored(vec![lot("a", 1)]),
    ])
    .when(Return::new(units(1)).lots([lot("a", 1)]))
    .then_rejected(&ReturnRejection::Goods(GoodsRejection::SerialOnHand {
        lot: a(),
    }));
}

// Terms

#[test]
fn how_costs_and_lots_are_kept_changes_only_while_nothing_is_there() {
    item([received(1)])
        .when(SetTerms::new(fifo()))
        .then_rejected(&TermsRejection::StockOnHand {
            on_hand: units(1),
            in_transit: units(0),
        });
    item([received(1)])
        .when(SetTerms::new(ItemTerms::new().reorder_point(units(1))))
        .then_state(InventoryItem::is_at_reorder_point);
    item([kept(fifo())]).when(SetTerms::new(fifo())).then([]);
    item([])
        .when(SetTerms::new(fifo().revalue(REVALUED_MOVEMENTS_MAX + 1)))
        .then_rejected(&TermsRejection::TooManyRevalued {
            movements_max: REVALUED_MOVEMENTS_MAX + 1,
        });
}
