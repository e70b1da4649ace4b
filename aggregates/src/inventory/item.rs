use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use foldhouse::{Aggregate, Timestamp};
use serde::{Deserialize, Serialize};

use super::costs::Flow;
use super::events::InventoryEvent;
use super::goods::{Goods, LotQuantity};
use super::kept::{Kept, Supply, Transit};
use super::names::{SupplyId, TransferId};
use super::quantity::Quantity;
use super::reservation::ReservationId;
use super::samples::samples;
use super::stock::StockLevel;
use super::terms::ItemTerms;
use crate::money::Money;

/// The most reservations that one item may have open at a time. They are the part of the state that grows: about 2.5 MB
/// in a snapshot at the limit.
pub const OPEN_RESERVATIONS_MAX: usize = 100_000;

/// A stock item: what is on hand, what of it is promised and to whom, and, where its [`ItemTerms`] say so, of which lots it
/// is and what it has cost.
///
/// Its rules:
/// - Never oversold: what is reserved never exceeds what is on hand by more than the terms allow, which is nothing unless
///   they say so. What leaves is on hand.
/// - A reservation is shipped, released or expires, each piece of it once.
/// - Who waits for goods gets what comes in, by priority and then in the order of asking, before anybody else can have it.
/// - Nothing moves a quantity of zero, and no quantity exceeds 64 bits.
/// - The value of what came equals the value of what left and what stayed, to the minor unit.
/// - At most [`OPEN_RESERVATIONS_MAX`] reservations are open.
///
/// An item needs no opening: one without a history is out of stock.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InventoryItem {
    on_hand: Quantity,
    // Always the sum over `reservations`, kept so that no decision walks them.
    reserved: Quantity,
    reservations: BTreeMap<ReservationId, Quantity>,
    /// Those that end by themselves. Snapshots from before there were such have none.
    #[serde(default)]
    expiries: BTreeMap<ReservationId, Timestamp>,
    /// In a box: most items are counted and nothing more.
    #[serde(default)]
    kept: Option<Box<Kept>>,
}

impl Aggregate for InventoryItem {
    const TYPE: &'static str = "inventory-item";

    type Event = InventoryEvent;

    // Saturates because any history must be accepted; no history that was decided here comes to it.
    fn apply(&mut self, event: &InventoryEvent) {
        match event {
            InventoryEvent::TermsSet { terms } => self.kept_mut().set_terms(**terms),
            InventoryEvent::Received {
                quantity,
                supply,
                goods,
            } => {
                self.move_in(*quantity, goods.as_deref());
                if let Some(supply) = supply {
                    self.came(supply, *quantity);
                }
            }
            InventoryEvent::Returned {
                quantity, goods, ..
            }
            | InventoryEvent::TransferReceived {
                quantity, goods, ..
            } => self.move_in(*quantity, goods.as_deref()),
            InventoryEvent::Adjusted { delta, goods, .. }
            | InventoryEvent::Counted {
                variance: delta,
                goods,
                ..
            } => self.adjust(*delta, goods.as_deref()),
            InventoryEvent::Shipped {
                reservation,
                quantity,
                goods,
            } => {
                self.move_out(*quantity, goods.as_deref(), Some(*reservation));
                if let Some(kept) = self.kept.as_deref_mut() {
                    kept.unpick(*reservation, *quantity);
                }
                self.settle(*reservation, *quantity);
            }
            InventoryEvent::TransferDispatched {
                transfer,
                to,
                quantity,
                goods,
            } => {
                self.move_out(*quantity, goods.as_deref(), None);
                let transit = Transit {
                    to: to.clone(),
                    quantity: *quantity,
                    goods: goods.as_deref().cloned().unwrap_or_default(),
                };
                let in_transit = &mut self.kept_mut().in_transit;
                in_transit.insert(transfer.clone(), transit);
            }
            InventoryEvent::TransferArrived {
                transfer, quantity, ..
            }
            | InventoryEvent::TransferLost {
                transfer, quantity, ..
            } => self.arrived(transfer, *quantity),
            InventoryEvent::SupplyExpected {
                supply,
                quantity,
                due_on,
            } => {
                let expected = Supply {
                    quantity: *quantity,
                    due_on: *due_on,
                };
                let supplies = &mut self.kept_mut().supplies;
                supplies.insert(supply.clone(), expected);
            }
            InventoryEvent::SupplyEnded { supply, .. } => {
                self.kept_mut().supplies.remove(supply);
            }
            // What the movement in front of it has done already.
            InventoryEvent::Revalued { .. } => {}
            _ => self.apply_to_reservation(event),
        }
    }

    fn samples() -> Vec<InventoryEvent> {
        samples()
    }
}

impl InventoryItem {
    fn apply_to_reservation(&mut self, event: &InventoryEvent) {
        match event {
            InventoryEvent::Reserved {
                reservation,
                quantity,
                backordered,
                priority,
            } => {
                self.promise(*reservation, *quantity);
                if !backordered.is_zero() {
                    let backorders = &mut self.kept_mut().backorders;
                    backorders.add(*reservation, *backordered, *priority);
                }
            }
            InventoryEvent::BackorderFilled {
                reservation,
                quantity,
            } => {
                self.promise(*reservation, *quantity);
                self.kept_mut().backorders.reduce(*reservation, *quantity);
            }
            InventoryEvent::ExpirySet {
                reservation,
                expires_at,
            } if self.reservations.contains_key(reservation) => {
                self.expiries.insert(*reservation, *expires_at);
            }
            InventoryEvent::Released {
                reservation,
                quantity,
                backordered,
            }
            | InventoryEvent::Expired {
                reservation,
                quantity,
                backordered,
            } => {
                if !backordered.is_zero() {
                    let backorders = &mut self.kept_mut().backorders;
                    backorders.reduce(*reservation, *backordered);
                }
                self.settle(*reservation, *quantity);
            }
            InventoryEvent::Confirmed {
                reservation,
                released,
                ..
            } => {
                self.expiries.remove(reservation);
                self.settle(*reservation, *released);
            }
            InventoryEvent::Allocated { reservation, lots } => {
                self.kept_mut().lots.allocate(*reservation, lots);
            }
            InventoryEvent::Picked {
                reservation,
                quantity,
                lots,
            } => {
                self.expiries.remove(reservation);
                let kept = self.kept_mut();
                kept.pick(*reservation, *quantity);
                if !lots.is_empty() {
                    kept.lots.allocate(*reservation, lots);
                }
            }
            _ => {}
        }
    }

    /// What is on the shelf, promised or not.
    #[must_use]
    pub fn on_hand(&self) -> Quantity {
        self.on_hand
    }

    /// What of it is promised.
    #[must_use]
    pub fn reserved(&self) -> Quantity {
        self.reserved
    }

    /// What of it can still be promised. Without what the terms allow to be oversold.
    #[must_use]
    pub fn available(&self) -> Quantity {
        self.level().available()
    }

    /// Both figures at once.
    #[must_use]
    pub fn level(&self) -> StockLevel {
        StockLevel {
            on_hand: self.on_hand,
            reserved: self.reserved,
        }
    }

    /// How many an open reservation holds; `None` if there is no such reservation open.
    #[must_use]
    pub fn reservation(&self, reservation: ReservationId) -> Option<Quantity> {
        self.reservations.get(&reservation).copied()
    }

    /// When an open reservation ends by itself; `None` if it does not, or is not open.
    #[must_use]
    pub fn expires_at(&self, reservation: ReservationId) -> Option<Timestamp> {
        self.expiries.get(&reservation).copied()
    }

    /// The open reservations, in the order of their ids.
    pub fn reservations(&self) -> impl ExactSizeIterator<Item = (ReservationId, Quantity)> + '_ {
        self.reservations.iter().map(|(id, held)| (*id, *held))
    }

    /// How it is kept.
    #[must_use]
    pub fn terms(&self) -> ItemTerms {
        self.kept()
            .map_or_else(ItemTerms::default, |kept| kept.terms)
    }

    /// How many more an open reservation waits for.
    #[must_use]
    pub fn waits_for(&self, reservation: ReservationId) -> Quantity {
        let kept = self.kept();
        kept.map_or(Quantity::ZERO, |kept| kept.backorders.of(reservation))
    }

    /// How many are waited for by all.
    #[must_use]
    pub fn backordered(&self) -> Quantity {
        let kept = self.kept();
        kept.map_or(Quantity::ZERO, |kept| kept.backorders.total())
    }

    /// How many of an open reservation were taken from the shelf, to be packed.
    #[must_use]
    pub fn picked(&self, reservation: ReservationId) -> Quantity {
        let kept = self.kept();
        kept.map_or(Quantity::ZERO, |kept| kept.picked(reservation))
    }

    /// How many of what is on hand were taken from the shelf, for all reservations.
    #[must_use]
    pub fn picked_in_all(&self) -> Quantity {
        self.kept().map_or(Quantity::ZERO, Kept::picked_in_all)
    }

    /// What the goods on hand have cost; `None` where costs are not kept.
    #[must_use]
    pub fn value(&self) -> Option<Money> {
        let kept = self.kept()?;
        let currency = kept.terms.costing?.currency;
        Some(Money::new(kept.costs.now.value(), currency))
    }

    /// The lots on hand, in the order in which they leave: what expires first leaves first.
    pub fn lots(&self) -> impl Iterator<Item = LotQuantity> + '_ {
        self.kept().into_iter().flat_map(|kept| kept.lots.iter())
    }

    /// The lots that are set apart for a reservation.
    #[must_use]
    pub fn allocated(&self, reservation: ReservationId) -> &[LotQuantity] {
        self.kept().map_or(&[], |kept| kept.lots.of(reservation))
    }

    /// What is to come from suppliers.
    pub fn supplies(&self) -> impl Iterator<Item = (&SupplyId, Supply)> + '_ {
        let supplies = self.kept().into_iter().flat_map(|kept| &kept.supplies);
        supplies.map(|(id, supply)| (id, *supply))
    }

    /// What left for other locations and has not arrived there.
    pub fn in_transit(&self) -> impl Iterator<Item = (&TransferId, &Transit)> + '_ {
        self.kept().into_iter().flat_map(|kept| &kept.in_transit)
    }

    /// One of these transfers.
    #[must_use]
    pub fn transit(&self, transfer: &TransferId) -> Option<&Transit> {
        self.kept()?.in_transit.get(transfer)
    }

    /// Whether it is time to order: no more than the reorder point is available.
    #[must_use]
    pub fn is_at_reorder_point(&self) -> bool {
        let point = self.kept().and_then(|kept| kept.terms.reorder_point);
        point.is_some_and(|point| self.available() <= point)
    }

    pub(super) fn kept(&self) -> Option<&Kept> {
        self.kept.as_deref()
    }

    fn kept_mut(&mut self) -> &mut Kept {
        self.kept.get_or_insert_default()
    }

    fn move_in(&mut self, quantity: Quantity, goods: Option<&Goods>) {
        self.on_hand = self.on_hand.saturating_add(quantity);
        let Some(goods) = goods else { return };
        let kept = self.kept_mut();
        kept.lots.receive(&goods.lots);
        if let Some(value) = goods.value {
            kept.move_value(Flow::In(quantity, value.minor_units()), goods);
        }
    }

    fn move_out(
        &mut self,
        quantity: Quantity,
        goods: Option<&Goods>,
        reservation: Option<ReservationId>,
    ) {
        self.on_hand = self.on_hand.saturating_sub(quantity);
        let Some(goods) = goods else { return };
        let kept = self.kept_mut();
        kept.lots.issue(&goods.lots, reservation);
        if goods.value.is_some() {
            kept.move_value(Flow::Out(quantity), goods);
        }
    }

    fn adjust(&mut self, delta: i64, goods: Option<&Goods>) {
        let quantity = Quantity::new(delta.unsigned_abs());
        match delta {
            ..0 => self.move_out(quantity, goods, None),
            0 => {}
            1.. => self.move_in(quantity, goods),
        }
    }

    fn came(&mut self, supply: &SupplyId, quantity: Quantity) {
        let supplies = &mut self.kept_mut().supplies;
        if let Some(expected) = supplies.get_mut(supply) {
            expected.quantity = expected.quantity.saturating_sub(quantity);
            if expected.quantity.is_zero() {
                supplies.remove(supply);
            }
        }
    }

    fn arrived(&mut self, transfer: &TransferId, quantity: Quantity) {
        let in_transit = &mut self.kept_mut().in_transit;
        if let Some(transit) = in_transit.get_mut(transfer) {
            *transit = transit.without(quantity);
            if transit.quantity.is_zero() {
                in_transit.remove(transfer);
            }
        }
    }

    fn promise(&mut self, reservation: ReservationId, quantity: Quantity) {
        let held = self.reservations.entry(reservation).or_default();
        *held = held.saturating_add(quantity);
        self.reserved = self.reserved.saturating_add(quantity);
    }

    fn settle(&mut self, reservation: ReservationId, quantity: Quantity) {
        let waits = self.waits_for(reservation);
        let Entry::Occupied(mut held) = self.reservations.entry(reservation) else {
            return;
        };
        let settled = quantity.min(*held.get());
        self.reserved = self.reserved.saturating_sub(settled);
        let left = held.get().saturating_sub(settled);
        if !left.is_zero() || !waits.is_zero() {
            held.insert(left);
            return;
        }
        held.remove();
        self.expiries.remove(&reservation);
        if let Some(kept) = self.kept.as_deref_mut() {
            kept.unpick(reservation, Quantity::MAX);
            kept.lots.give_back(reservation);
        }
    }
}

impl Kept {
    fn set_terms(&mut self, terms: ItemTerms) {
        if terms.costing != self.terms.costing {
            self.costs.begin_anew();
        }
        self.terms = terms;
    }

    fn move_value(&mut self, flow: Flow, goods: &Goods) {
        let Some(costing) = self.terms.costing else {
            return;
        };
        let at = goods.moved_at.unwrap_or_default();
        let later_max = self.terms.later_max();
        self.costs.take(costing.method, at, flow, later_max);
    }
}
