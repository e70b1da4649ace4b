use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::goods::LotQuantity;
use super::names::LotId;
use super::quantity::Quantity;
use super::reservation::ReservationId;
use crate::ledger::BookDate;

/// The most lots (or serial numbers) of one item on hand.
pub const LOTS_ON_HAND_MAX: usize = 10_000;

/// Where a lot stands in the order in which lots leave: what expires first leaves first (FEFO), what does not perish last.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Place {
    lasts: bool,
    expires_on: Option<BookDate>,
    lot: LotId,
}

impl Place {
    fn new(lot: LotId, expires_on: Option<BookDate>) -> Self {
        Self {
            lasts: expires_on.is_none(),
            expires_on,
            lot,
        }
    }
}

/// The lots on hand, and which of them are set apart for whom.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LotBook {
    on_hand: BTreeMap<Place, Quantity>,
    expiries: BTreeMap<LotId, Option<BookDate>>,
    /// By reservation: the lots that were allocated to it.
    allocated: BTreeMap<ReservationId, Vec<LotQuantity>>,
    /// By lot: how many of it are allocated.
    taken: BTreeMap<LotId, Quantity>,
}

impl LotBook {
    pub(super) fn len(&self) -> usize {
        self.expiries.len()
    }

    /// How many of a lot are on hand, and its date.
    pub(super) fn get(&self, lot: &LotId) -> Option<LotQuantity> {
        let expires_on = *self.expiries.get(lot)?;
        let quantity = *self.on_hand.get(&Place::new(lot.clone(), expires_on))?;
        Some(LotQuantity {
            lot: lot.clone(),
            quantity,
            expires_on,
        })
    }

    /// The lots on hand in the order in which they leave.
    pub(super) fn iter(&self) -> impl Iterator<Item = LotQuantity> + '_ {
        let lots = self.on_hand.iter();
        lots.map(|(place, quantity)| LotQuantity {
            lot: place.lot.clone(),
            quantity: *quantity,
            expires_on: place.expires_on,
        })
    }

    /// What is set apart for a reservation.
    pub(super) fn of(&self, reservation: ReservationId) -> &[LotQuantity] {
        let allocated = self.allocated.get(&reservation);
        allocated.map_or(&[], Vec::as_slice)
    }

    /// How many of a lot nobody has, besides this reservation.
    pub(super) fn free(&self, lot: &LotId, besides: Option<ReservationId>) -> Quantity {
        let on_hand = self.get(lot).map_or(Quantity::ZERO, |lot| lot.quantity);
        let taken = self.taken.get(lot).copied().unwrap_or_default();
        let own = besides.map_or(&[][..], |reservation| self.of(reservation));
        let own = own.iter().find(|own| own.lot == *lot);
        let own = own.map_or(Quantity::ZERO, |own| own.quantity);
        on_hand.saturating_sub(taken.saturating_sub(own))
    }

    /// The next so many to leave for a reservation (those that are set apart for it first), without those that have expired
    /// before a day. Fewer if there are not so many.
    pub(super) fn next(
        &self,
        quantity: Quantity,
        reservation: Option<ReservationId>,
        on: BookDate,
    ) -> Vec<LotQuantity> {
        let mut left = quantity;
        let mut lots: Vec<LotQuantity> = Vec::new();
        let mut take = |lot: LotQuantity, at_most: Quantity| {
            let taken = left.min(at_most);
            if taken.is_zero() {
                return;
            }
            left = left.saturating_sub(taken);
            match lots.iter_mut().find(|other| other.lot == lot.lot) {
                Some(other) => other.quantity = other.quantity.saturating_add(taken),
                None => lots.push(LotQuantity {
                    quantity: taken,
                    ..lot
                }),
            }
        };
        let own = reservation.map_or(&[][..], |reservation| self.of(reservation));
        for lot in own {
            let at_most = lot.quantity;
            take(lot.clone(), at_most);
        }
        for lot in self.iter() {
            if lot.expires_on.is_some_and(|last| last < on) {
                continue;
            }
            let free = self.free(&lot.lot, None);
            take(lot, free);
        }
        lots
    }

    pub(super) fn receive(&mut self, lots: &[LotQuantity]) {
        for lot in lots {
            let expires_on = *self
                .expiries
                .entry(lot.lot.clone())
                .or_insert(lot.expires_on);
            let place = Place::new(lot.lot.clone(), expires_on);
            let on_hand = self.on_hand.entry(place).or_default();
            *on_hand = on_hand.saturating_add(lot.quantity);
        }
    }

    /// Lots leave; those of a reservation are set apart for it no longer.
    pub(super) fn issue(&mut self, lots: &[LotQuantity], reservation: Option<ReservationId>) {
        for lot in lots {
            if let Some(reservation) = reservation {
                self.give_back_of(reservation, lot);
            }
            let Some(expires_on) = self.expiries.get(&lot.lot).copied() else {
                continue;
            };
            let place = Place::new(lot.lot.clone(), expires_on);
            let on_hand = self.on_hand.entry(place.clone()).or_default();
            *on_hand = on_hand.saturating_sub(lot.quantity);
            if on_hand.is_zero() {
                self.on_hand.remove(&place);
                self.expiries.remove(&lot.lot);
            }
        }
    }

    /// Sets lots apart for a reservation, instead of those that it had.
    pub(super) fn allocate(&mut self, reservation: ReservationId, lots: &[LotQuantity]) {
        self.give_back(reservation);
        for lot in lots {
            let taken = self.taken.entry(lot.lot.clone()).or_default();
            *taken = taken.saturating_add(lot.quantity);
        }
        if !lots.is_empty() {
            self.allocated.insert(reservation, lots.to_vec());
        }
    }

    /// Sets nothing apart for a reservation any more.
    pub(super) fn give_back(&mut self, reservation: ReservationId) {
        for lot in self.allocated.remove(&reservation).unwrap_or_default() {
            self.untake(&lot.lot, lot.quantity);
        }
    }

    fn give_back_of(&mut self, reservation: ReservationId, lot: &LotQuantity) {
        let Some(allocated) = self.allocated.get_mut(&reservation) else {
            return;
        };
        let Some(own) = allocated.iter_mut().find(|own| own.lot == lot.lot) else {
            return;
        };
        let given = own.quantity.min(lot.quantity);
        own.quantity = own.quantity.saturating_sub(given);
        allocated.retain(|own| !own.quantity.is_zero());
        if allocated.is_empty() {
            self.allocated.remove(&reservation);
        }
        self.untake(&lot.lot, given);
    }

    fn untake(&mut self, lot: &LotId, quantity: Quantity) {
        let Some(taken) = self.taken.get_mut(lot) else {
            return;
        };
        *taken = taken.saturating_sub(quantity);
        if taken.is_zero() {
            self.taken.remove(lot);
        }
    }
}
