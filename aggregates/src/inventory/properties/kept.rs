//! What holds after any sequence of commands to an item whose lots and costs are kept, whatever its terms.

use super::*;
use crate::currency::Currency;
use crate::money::Money;

#[derive(Clone, Debug)]
enum Asked {
    Receive(u64, i64, u8),
    Reserve(u64, bool, u8),
    Confirm(usize, u64),
    Release(usize, Option<u64>),
    Allocate(usize),
    Pick(usize, Option<u64>),
    Ship(usize, Option<u64>),
    Return(u64, i64, u8),
    Adjust(i64, u8),
    Count(u64, u8),
    Dispatch(u8, u64),
    Lose(u8, u64),
}

fn any_terms() -> impl Strategy<Value = ItemTerms> {
    let costing = prop_oneof![
        Just(None),
        Just(Some(CostMethod::Fifo)),
        Just(Some(CostMethod::MovingAverage))
    ];
    let tracking = prop_oneof![Just(Tracking::Counted), Just(Tracking::Lots)];
    (costing, tracking, 0u64..20, 0u32..8).prop_map(|(method, tracking, oversold, later)| {
        let terms = ItemTerms::new().tracking(tracking);
        let terms = match method {
            Some(method) => terms.costing(method, Currency::EUR).revalue(later),
            None => terms,
        };
        match oversold {
            0..10 => terms,
            more => terms.oversell_up_to(Quantity::new(more)),
        }
    })
}

fn any_asked() -> impl Strategy<Value = Vec<(Asked, i64)>> {
    let which = || 0usize..12;
    let part = || prop::option::of(0u64..15);
    let asked = prop_oneof![
        6 => (0u64..40, 0i64..9_000, 0u8..5).prop_map(|(q, cost, lot)| Asked::Receive(q, cost, lot)),
        6 => (0u64..40, any::<bool>(), 0u8..4).prop_map(|(q, waits, priority)| Asked::Reserve(q, waits, priority)),
        2 => (which(), 0u64..20).prop_map(|(of, q)| Asked::Confirm(of, q)),
        2 => (which(), part()).prop_map(|(of, q)| Asked::Release(of, q)),
        2 => which().prop_map(Asked::Allocate),
        2 => (which(), part()).prop_map(|(of, q)| Asked::Pick(of, q)),
        5 => (which(), part()).prop_map(|(of, q)| Asked::Ship(of, q)),
        1 => (0u64..5, 0i64..900, 0u8..5).prop_map(|(q, cost, lot)| Asked::Return(q, cost, lot)),
        2 => (-20i64..20, 0u8..5).prop_map(|(delta, lot)| Asked::Adjust(delta, lot)),
        1 => (0u64..60, 0u8..5).prop_map(|(counted, lot)| Asked::Count(counted, lot)),
        2 => (0u8..3, 0u64..20).prop_map(|(transfer, q)| Asked::Dispatch(transfer, q)),
        1 => (0u8..3, 0u64..10).prop_map(|(transfer, q)| Asked::Lose(transfer, q)),
    ];
    // Most happen when they are recorded; some earlier.
    let late = prop_oneof![4 => Just(0i64), 1 => 1i64..6];
    prop::collection::vec((asked, late), 0..90)
}

struct Kept {
    item: InventoryItem,
    history: Vec<InventoryEvent>,
    made: Vec<ReservationId>,
    commands: i64,
}

impl Kept {
    fn with(terms: ItemTerms) -> Self {
        let mut kept = Self {
            item: InventoryItem::default(),
            history: Vec::new(),
            made: Vec::new(),
            commands: 0,
        };
        kept.run(&SetTerms::new(terms), 0);
        kept
    }

    fn run<C: Command<Aggregate = InventoryItem>>(
        &mut self,
        command: &C,
        late: i64,
    ) -> Option<C::Reply> {
        self.commands += 1;
        let id = Uuid::from_u128(self.commands.unsigned_abs().into());
        let now = Timestamp::from_unix_micros(self.commands);
        let mut context = CommandContext::new(now, id);
        if late > 0 {
            context.meta.effective_at = Some(Timestamp::from_unix_micros(self.commands - late));
        }
        let decision = command.decide(&self.item, &context).ok()?;
        for event in &decision.events {
            self.item.apply(event);
        }
        self.history.extend(decision.events);
        Some(decision.reply)
    }

    fn lots(&self, lot: u8, quantity: u64) -> Vec<LotQuantity> {
        if self.item.terms().tracking == Tracking::Counted || quantity == 0 {
            return Vec::new();
        }
        let day = format!("2026-0{}-01", lot + 1).parse().unwrap();
        let lot = LotQuantity::new(format!("lot {lot}"), Quantity::new(quantity));
        vec![lot.expires_on(day)]
    }

    fn ask(&mut self, asked: &Asked, late: i64) -> bool {
        let quantity = Quantity::new;
        let named = |made: &[ReservationId], index: usize| {
            let nobody = ReservationId::from_uuid(Uuid::nil());
            made.get(index % made.len().max(1))
                .copied()
                .unwrap_or(nobody)
        };
        let cost = |cost: i64| Money::new(cost, Currency::EUR);
        let is_costed = self.item.terms().costing.is_some();
        match *asked {
            Asked::Receive(count, value, lot) => {
                let mut receive = Receive::new(quantity(count)).lots(self.lots(lot, count));
                receive.cost = is_costed.then(|| cost(value));
                self.run(&receive, late).is_some()
            }
            Asked::Reserve(count, waits, priority) => {
                let mut reserve = ReserveInPart::new(quantity(count)).priority(priority);
                reserve.waits = waits;
                let Some(reply) = self.run(&reserve, late) else {
                    return false;
                };
                assert!(waits || reply.backordered.is_zero());
                self.made.push(reply.reservation);
                true
            }
            Asked::Confirm(of, count) => {
                let confirm = Confirm::new(named(&self.made, of)).part(quantity(count));
                self.run(&confirm, late).is_some()
            }
            Asked::Release(of, part) => {
                let mut release = Release::new(named(&self.made, of));
                release.quantity = part.map(quantity);
                self.run(&release, late).is_some()
            }
            Asked::Allocate(of) => self
                .run(&Allocate::new(named(&self.made, of)), late)
                .is_some(),
            Asked::Pick(of, part) => {
                let mut pick = Pick::new(named(&self.made, of));
                pick.quantity = part.map(quantity);
                self.run(&pick, late).is_some()
            }
            Asked::Ship(of, part) => {
                let mut ship = Ship::new(named(&self.made, of));
                ship.quantity = part.map(quantity);
                self.run(&ship, late).is_some()
            }
            Asked::Return(count, value, lot) => {
                let mut back = Return::new(quantity(count)).lots(self.lots(lot, count));
                back.cost = (is_costed && value > 450).then(|| cost(value));
                self.run(&back, late).is_some()
            }
            Asked::Adjust(delta, lot) => {
                let lots = if delta > 0 {
                    self.lots(lot, delta.unsigned_abs())
                } else {
                    Vec::new()
                };
                let adjust = Adjust::new(delta, AdjustmentReason::CycleCount).lots(lots);
                self.run(&adjust, late).is_some()
            }
            Asked::Count(counted, lot) => {
                let more = counted.saturating_sub(self.item.on_hand().get());
                let count = Count::new(quantity(counted)).lots(self.lots(lot, more));
                self.run(&count, late).is_some()
            }
            Asked::Dispatch(transfer, count) => {
                let id = format!("t {transfer}");
                let dispatch = DispatchTransfer::new(id, "north", quantity(count));
                self.run(&dispatch, late).is_some()
            }
            Asked::Lose(transfer, count) => {
                let lose = LoseTransfer::new(format!("t {transfer}"), quantity(count));
                self.run(&lose, late).is_some()
            }
        }
    }

    /// The value of the stock, by what the events alone say.
    fn recounted_value(&self) -> i64 {
        let value = |goods: &Option<Box<Goods>>| {
            let goods = goods.as_deref();
            goods
                .and_then(|goods| goods.value)
                .map_or(0, |value| value.minor_units())
        };
        self.history.iter().fold(0, |sum, event| match event {
            InventoryEvent::Received { goods, .. } | InventoryEvent::Returned { goods, .. } => {
                sum + value(goods)
            }
            InventoryEvent::Shipped { goods, .. }
            | InventoryEvent::TransferDispatched { goods, .. } => sum - value(goods),
            InventoryEvent::Adjusted { delta, goods, .. }
            | InventoryEvent::Counted {
                variance: delta,
                goods,
                ..
            } => sum + delta.signum() * value(goods),
            InventoryEvent::Revalued { issued, .. } => sum - issued.minor_units(),
            _ => sum,
        })
    }

    fn check(&self) {
        let item = &self.item;
        let count = |quantity: Quantity| i128::from(quantity.get());
        let held: i128 = item.reservations().map(|(_, held)| count(held)).sum();
        assert_eq!(count(item.reserved()), held);
        let Oversell::UpTo(oversold) = item.terms().oversell else {
            assert!(item.on_hand() >= item.reserved());
            return self.check_goods();
        };
        assert!(count(item.on_hand()) + count(oversold) >= held);
        self.check_goods();
    }

    fn check_goods(&self) {
        let item = &self.item;
        assert!(item.backordered().is_zero() || item.available().is_zero());
        let picked: u64 = item
            .reservations()
            .map(|(id, _)| item.picked(id).get())
            .sum();
        assert_eq!(item.picked_in_all().get(), picked);
        assert!(item.picked_in_all() <= item.on_hand());
        for (id, held) in item.reservations() {
            assert!(item.picked(id) <= held);
            assert!(!held.is_zero() || !item.waits_for(id).is_zero());
        }
        if let Some(value) = item.value() {
            assert_eq!(value.minor_units(), self.recounted_value());
            assert!(value.minor_units() >= 0);
            if item.on_hand().is_zero() {
                assert_eq!(value.minor_units(), 0);
            }
        }
        let lots: Vec<_> = item.lots().collect();
        if item.terms().tracking != Tracking::Counted {
            let there: u64 = lots.iter().map(|lot| lot.quantity.get()).sum();
            assert_eq!(there, item.on_hand().get());
        }
        for lot in &lots {
            let allocated = item
                .reservations()
                .flat_map(|(id, _)| item.allocated(id).iter());
            let allocated = allocated.filter(|other| other.lot == lot.lot);
            let allocated: u64 = allocated.map(|lot| lot.quantity.get()).sum();
            assert!(allocated <= lot.quantity.get());
            let free = item.kept().unwrap().lots.free(&lot.lot, None);
            assert_eq!(free.get(), lot.quantity.get() - allocated);
        }
    }
}

proptest! {
    #[test]
    fn whatever_is_asked_the_figures_add_up(terms in any_terms(), asked in any_asked()) {
        let mut kept = Kept::with(terms);
        for (asked, late) in &asked {
            let (before, events) = (kept.item.clone(), kept.history.len());
            if !kept.ask(asked, *late) {
                prop_assert_eq!(kept.history.len(), events);
                prop_assert_eq!(&kept.item, &before);
            }
            kept.check();
        }
        let mut row = StockLevel::default();
        kept.history.iter().for_each(|event| row.apply(event));
        prop_assert_eq!(row, kept.item.level());
    }

    #[test]
    fn replaying_what_is_recorded_and_going_on_from_a_snapshot_give_the_same_item(
        terms in any_terms(),
        asked in any_asked(),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut kept = Kept::with(terms);
        for (asked, late) in &asked {
            kept.ask(asked, *late);
        }
        let written: Vec<_> = kept.history.iter().map(|event| rmp_serde::to_vec_named(event).unwrap()).collect();
        let (head, tail) = written.split_at(cut.index(written.len() + 1));
        let mut item = InventoryItem::default();
        for bytes in head {
            item.apply(&rmp_serde::from_slice(bytes).unwrap());
        }
        let snapshot = rmp_serde::to_vec_named(&item).unwrap();
        let mut item: InventoryItem = rmp_serde::from_slice(&snapshot).unwrap();
        for bytes in tail {
            item.apply(&rmp_serde::from_slice(bytes).unwrap());
        }
        prop_assert_eq!(&item, &kept.item);
    }
}
