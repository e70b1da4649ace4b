use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::costs::Costs;
use super::goods::Goods;
use super::lots::LotBook;
use super::names::{LocationId, SupplyId, TransferId};
use super::quantity::Quantity;
use super::reservation::ReservationId;
use super::terms::ItemTerms;
use crate::ledger::BookDate;
use crate::money::Money;

/// The most reservations of one item that may wait for goods: what comes in is given to all of them at once.
pub const BACKORDERS_MAX: usize = 256;
/// The most supplies that one item may expect, and the most transfers that it may have on the way.
pub const SUPPLIES_MAX: usize = 256;

/// What is known of an item beyond how many there are and for whom. Most items have nothing of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept {
    pub(super) terms: ItemTerms,
    pub(super) costs: Costs,
    pub(super) lots: LotBook,
    pub(super) backorders: Backorders,
    /// How many of a reservation were taken from the shelf.
    picked: BTreeMap<ReservationId, Quantity>,
    // Always the sum over `picked`.
    picked_in_all: Quantity,
    pub(super) supplies: BTreeMap<SupplyId, Supply>,
    /// What left for other locations and has not arrived.
    pub(super) in_transit: BTreeMap<TransferId, Transit>,
}

impl Kept {
    pub(super) fn picked(&self, reservation: ReservationId) -> Quantity {
        self.picked.get(&reservation).copied().unwrap_or_default()
    }

    pub(super) fn picked_in_all(&self) -> Quantity {
        self.picked_in_all
    }

    pub(super) fn pick(&mut self, reservation: ReservationId, quantity: Quantity) {
        let picked = self.picked.entry(reservation).or_default();
        *picked = picked.saturating_add(quantity);
        self.picked_in_all = self.picked_in_all.saturating_add(quantity);
    }

    /// So many of what was picked are so no longer, as far as they were.
    pub(super) fn unpick(&mut self, reservation: ReservationId, quantity: Quantity) {
        let Some(picked) = self.picked.get_mut(&reservation) else {
            return;
        };
        let undone = quantity.min(*picked);
        *picked = picked.saturating_sub(undone);
        if picked.is_zero() {
            self.picked.remove(&reservation);
        }
        self.picked_in_all = self.picked_in_all.saturating_sub(undone);
    }
}

/// What is to come from a supplier. Persisted with its field names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Supply {
    /// How many are still to come.
    pub quantity: Quantity,
    /// When.
    pub due_on: Option<BookDate>,
}

/// What is on its way to another location. Persisted with its field names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transit {
    /// Where it goes.
    pub to: LocationId,
    /// How many.
    pub quantity: Quantity,
    /// Which lots, and what they have cost.
    pub goods: Goods,
}

impl Transit {
    /// So many of it: the first lots, and their part of the value.
    #[must_use]
    pub fn part(&self, quantity: Quantity) -> Goods {
        let mut left = quantity;
        let mut lots = Vec::new();
        for lot in &self.goods.lots {
            let taken = left.min(lot.quantity);
            left = left.saturating_sub(taken);
            if !taken.is_zero() {
                let mut lot = lot.clone();
                lot.quantity = taken;
                lots.push(lot);
            }
        }
        Goods {
            lots,
            value: self.goods.value.map(|value| {
                if quantity >= self.quantity {
                    return value;
                }
                let (whole, of) = (self.quantity.get(), quantity.get());
                let part = i128::from(value.minor_units()).saturating_mul(of.into());
                let part = part.checked_div(whole.into()).unwrap_or_default();
                // No more than the whole, which fits.
                let part = i64::try_from(part).unwrap_or(i64::MAX);
                Money::new(part, value.currency())
            }),
            moved_at: None,
        }
    }

    /// Without so many of it.
    pub(super) fn without(&self, quantity: Quantity) -> Self {
        let gone = self.part(quantity);
        let mut rest = self.clone();
        rest.quantity = rest.quantity.saturating_sub(quantity);
        if let (Some(value), Some(gone)) = (rest.goods.value.as_mut(), gone.value) {
            let left = value.minor_units().saturating_sub(gone.minor_units());
            *value = Money::new(left, value.currency());
        }
        for lot in gone.lots {
            for own in &mut rest.goods.lots {
                if own.lot == lot.lot {
                    own.quantity = own.quantity.saturating_sub(lot.quantity);
                }
            }
        }
        rest.goods.lots.retain(|lot| !lot.quantity.is_zero());
        rest
    }
}

/// Who waits for goods, in the order in which they get them: by priority, and then who came first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Backorders {
    waiting: BTreeMap<(Reverse<u8>, u64), (ReservationId, Quantity)>,
    next: u64,
}

impl Backorders {
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (ReservationId, Quantity)> + '_ {
        self.waiting.values().copied()
    }

    /// How many a reservation waits for.
    pub(super) fn of(&self, reservation: ReservationId) -> Quantity {
        let mut waiting = self.iter();
        let found = waiting.find(|(waits, _)| *waits == reservation);
        found.map_or(Quantity::ZERO, |(_, quantity)| quantity)
    }

    pub(super) fn total(&self) -> Quantity {
        let waiting = self.iter();
        waiting.fold(Quantity::ZERO, |sum, (_, quantity)| {
            sum.saturating_add(quantity)
        })
    }

    pub(super) fn add(&mut self, reservation: ReservationId, quantity: Quantity, priority: u8) {
        let place = (Reverse(priority), self.next);
        self.next = self.next.saturating_add(1);
        self.waiting.insert(place, (reservation, quantity));
    }

    /// A reservation waits for so many fewer.
    pub(super) fn reduce(&mut self, reservation: ReservationId, quantity: Quantity) {
        self.waiting.retain(|_, (waits, left)| {
            if *waits == reservation {
                *left = left.saturating_sub(quantity);
            }
            !left.is_zero()
        });
    }
}
