//! What costs come to, against the plainest reckoning: each piece with its place in a list.

use foldhouse::Timestamp;
use proptest::prelude::*;

use super::costs::{CostBook, Costs, Flow, NoPlace};
use super::quantity::Quantity;
use super::terms::CostMethod;

fn at(second: i64) -> Timestamp {
    Timestamp::from_unix_micros(second)
}

fn few(count: u64) -> Quantity {
    Quantity::new(count)
}

#[test]
fn the_oldest_layer_leaves_first_and_a_part_takes_its_part_of_the_value() {
    let mut book = CostBook::default();
    book.receive(CostMethod::Fifo, few(3), 1_000);
    book.receive(CostMethod::Fifo, few(2), 500);
    assert_eq!(book.cost_of(few(1)), Some(333));
    assert_eq!(book.issue(few(1)), 333);
    // 667 are left for two: no cent is lost.
    assert_eq!(book.issue(few(1)), 334);
    assert_eq!(book.issue(few(2)), 333 + 250);
    assert_eq!(book.value(), 250);
    assert_eq!(book.cost_of(few(2)), None);
}

#[test]
fn the_average_moves_with_each_receipt() {
    let mut book = CostBook::default();
    book.receive(CostMethod::MovingAverage, few(10), 1_000);
    book.receive(CostMethod::MovingAverage, few(10), 2_000);
    assert_eq!(book.issue(few(5)), 750);
    book.receive(CostMethod::MovingAverage, few(5), 750);
    assert_eq!((book.cost_of(few(20)), book.value()), (Some(3_000), 3_000));
    assert_eq!(book.at_average(few(3)), Some(450));
    assert_eq!(CostBook::default().at_average(few(3)), None);
}

#[test]
fn a_late_receipt_changes_what_later_shipments_have_cost() {
    let mut costs = Costs::default();
    for (second, flow) in [
        (10, Flow::In(few(10), 1_000)),
        (20, Flow::Out(few(4))),
        (30, Flow::Out(few(4))),
    ] {
        let placed = costs.place(CostMethod::Fifo, at(second), flow, 5).unwrap();
        assert_eq!(placed.later, None);
        costs.take(CostMethod::Fifo, at(second), flow, 5);
    }
    // Two at 50 each were there before the shipments: they left first.
    let late = Flow::In(few(2), 100);
    let placed = costs.place(CostMethod::Fifo, at(5), late, 5).unwrap();
    assert_eq!((placed.cost, placed.later), (100, Some((-100, 3))));
    costs.take(CostMethod::Fifo, at(5), late, 5);
    assert_eq!(costs.now.value(), 1_000 + 100 - 400 - 400 + 100);
}

#[test]
fn a_movement_that_is_too_late_is_refused() {
    let mut costs = Costs::default();
    for second in [10, 20, 30] {
        costs.take(CostMethod::Fifo, at(second), Flow::In(few(1), 5), 2);
    }
    let place = |second, later_max| {
        let flow = Flow::In(few(1), 5);
        costs.place(CostMethod::Fifo, at(second), flow, later_max)
    };
    let too_late = Err(NoPlace::TooLate { at: at(30) });
    assert!(place(30, 0).is_ok());
    assert_eq!(place(29, 0), too_late);
    assert!(place(20, 2).is_ok());
    assert!(place(15, 2).is_ok());
    // Before what is no longer known one by one.
    assert_eq!(place(9, 5), too_late);
    assert_eq!(place(15, 1), too_late);
    let out = costs.place(CostMethod::Fifo, at(15), Flow::Out(few(2)), 2);
    assert_eq!(out, Err(NoPlace::NotOnHandThen));
}

#[test]
fn movements_that_were_not_kept_are_never_worked_out_anew() {
    let bought = |count, cents| Flow::In(few(count), cents);
    let mut costs = Costs::default();
    costs.take(CostMethod::Fifo, at(10), bought(2, 200), 5);
    // Nothing may be late for a while.
    costs.take(CostMethod::Fifo, at(20), Flow::Out(few(1)), 0);
    costs.take(CostMethod::Fifo, at(30), bought(1, 50), 5);
    let early = costs.place(CostMethod::Fifo, at(15), bought(1, 1), 5);
    assert_eq!(early, Err(NoPlace::TooLate { at: at(30) }));
    costs.take(CostMethod::Fifo, at(25), bought(1, 70), 5);
    assert_eq!(costs.now.value(), 100 + 70 + 50);
    // Nor what was before costs were kept in another way.
    costs.begin_anew();
    let early = costs.place(CostMethod::Fifo, at(28), bought(1, 1), 5);
    assert_eq!(early, Err(NoPlace::TooLate { at: at(30) }));
    costs.take(CostMethod::MovingAverage, at(31), bought(1, 9), 5);
    assert_eq!(costs.now.value(), 9);
}

fn any_flows() -> impl Strategy<Value = Vec<(i64, bool, u64, i64)>> {
    let flow = (0i64..60, any::<bool>(), 1u64..20, 0i64..5_000);
    prop::collection::vec(flow, 1..60)
}

proptest! {
    /// However late movements come, the costs are those of the same movements in the order of their times.
    #[test]
    fn late_movements_come_to_what_they_would_have_come_to_in_time(
        flows in any_flows(),
        is_fifo in any::<bool>(),
    ) {
        let method = if is_fifo { CostMethod::Fifo } else { CostMethod::MovingAverage };
        let (mut costs, mut taken, mut left) = (Costs::default(), Vec::new(), 0i64);
        let mut came = 0i64;
        for (second, is_in, count, value) in flows {
            let flow = if is_in { Flow::In(few(count), value) } else { Flow::Out(few(count)) };
            let before = costs.clone();
            let Ok(placed) = costs.place(method, at(second), flow, 1_000) else {
                prop_assert_eq!(&costs, &before);
                continue;
            };
            costs.take(method, at(second), flow, 1_000);
            if is_in { came += placed.cost } else { left += placed.cost }
            left += placed.later.map_or(0, |(changed, _)| changed);
            taken.push((second, flow));
            // What came is what left and what stayed.
            prop_assert_eq!(came, left + costs.now.value());
        }
        taken.sort_by_key(|(second, _)| *second);
        let mut in_time = CostBook::default();
        for (_, flow) in taken {
            match flow {
                Flow::In(quantity, value) => in_time.receive(method, quantity, value),
                Flow::Out(quantity) => {
                    prop_assert!(in_time.cost_of(quantity).is_some());
                    in_time.issue(quantity);
                }
            }
        }
        prop_assert_eq!(&costs.now, &in_time);
    }

    /// Pieces that cost the same are first in, first out as a list of them says.
    #[test]
    fn layers_are_a_queue_of_pieces(flows in any_flows()) {
        let (mut book, mut pieces) = (CostBook::default(), std::collections::VecDeque::new());
        for (_, is_in, count, each) in flows {
            if is_in {
                let whole = each * i64::try_from(count).unwrap();
                book.receive(CostMethod::Fifo, few(count), whole);
                pieces.extend((0..count).map(|_| each));
            } else if let Some(cost) = book.cost_of(few(count)) {
                let taken: i64 = pieces.drain(..usize::try_from(count).unwrap()).sum();
                prop_assert_eq!((cost, book.issue(few(count))), (taken, taken));
            } else {
                prop_assert!((pieces.len() as u64) < count);
            }
            prop_assert_eq!(book.value(), pieces.iter().sum::<i64>());
        }
    }
}
