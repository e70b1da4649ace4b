use foldhouse::{Command, CommandContext, Decision};
use serde::{Deserialize, Serialize};

use super::releasing::without_expiry;
use crate::inventory::events::InventoryEvent;
use crate::inventory::goods::LotQuantity;
use crate::inventory::item::InventoryItem;
use crate::inventory::movement::{GoodsRejection, Leaving, check_named, lots_out, sum};
use crate::inventory::quantity::Quantity;
use crate::inventory::reservation::ReservationId;
use crate::inventory::terms::Tracking;

/// Sets lots (or serial numbers) apart for a promise, instead of those that it had: these, or what expires first. Nobody else
/// gets them. The reply is the lots.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allocate {
    /// Which promise.
    pub reservation: ReservationId,
    /// Which lots, for all that it holds; what expires first if nothing is said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lots: Vec<LotQuantity>,
}

impl Allocate {
    /// Sets apart for this promise what expires first.
    #[must_use]
    pub fn new(reservation: ReservationId) -> Self {
        Self {
            reservation,
            lots: Vec::new(),
        }
    }

    /// These lots.
    #[must_use]
    pub fn lots(mut self, lots: impl IntoIterator<Item = LotQuantity>) -> Self {
        self.lots = lots.into_iter().collect();
        self
    }
}

/// Why nothing is set apart.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AllocateRejection {
    /// No such reservation is open.
    #[error(
        "reservation {reservation} is not open: it was never made, or already released or shipped"
    )]
    UnknownReservation {
        /// The reservation that was named.
        reservation: ReservationId,
    },
    /// Lots of it were taken from the shelf already.
    #[error("{picked} of reservation {reservation} are picked; ship them, and allocate the rest")]
    Picked {
        /// The reservation that was named.
        reservation: ReservationId,
        /// How many.
        picked: Quantity,
    },
    /// The lots do not fit.
    #[error(transparent)]
    Goods(#[from] GoodsRejection),
}

impl Command for Allocate {
    type Aggregate = InventoryItem;
    type Reply = Vec<LotQuantity>;
    type Rejection = AllocateRejection;

    fn decide(
        &self,
        item: &InventoryItem,
        context: &CommandContext,
    ) -> Result<Decision<InventoryEvent, Vec<LotQuantity>>, AllocateRejection> {
        let reservation = self.reservation;
        let held = item
            .reservation(reservation)
            .ok_or(AllocateRejection::UnknownReservation { reservation })?;
        let tracked = item.kept();
        let tracked = tracked.filter(|kept| kept.terms.tracking != Tracking::Counted);
        let kept = tracked.ok_or(GoodsRejection::LotsNotTracked)?;
        let picked = item.picked(reservation);
        if !picked.is_zero() {
            return Err(AllocateRejection::Picked {
                reservation,
                picked,
            });
        }
        let lots = match self.lots.as_slice() {
            [] => {
                let next = Leaving::Next(Some(reservation));
                lots_out(kept, held, next, context)?
            }
            named => {
                check_named(kept, held, named, Some(reservation))?;
                named.to_vec()
            }
        };
        if lots == item.allocated(reservation) {
            return Ok(Decision::nothing(lots));
        }
        let allocated = InventoryEvent::Allocated {
            reservation,
            lots: lots.clone(),
        };
        Ok(Decision::event(allocated, lots))
    }
}

/// Takes promised goods from the shelf, to be packed: in whole or in part. They are on hand until they are shipped, and the
/// promise does not end by itself any more. The reply is the lots that are set apart for it, where lots are tracked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pick {
    /// Which promise.
    pub reservation: ReservationId,
    /// How many; all that it holds and that are not picked yet if nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantity: Option<Quantity>,
}

impl Pick {
    /// Takes all of this promise from the shelf.
    #[must_use]
    pub fn new(reservation: ReservationId) -> Self {
        Self {
            reservation,
            quantity: None,
        }
    }

    /// Only so many of it.
    #[must_use]
    pub fn part(mut self, quantity: Quantity) -> Self {
        self.quantity = Some(quantity);
        self
    }
}

/// Why goods are not picked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PickRejection {
    /// No such reservation is open.
    #[error(
        "reservation {reservation} is not open: it was never made, or already released or shipped"
    )]
    UnknownReservation {
        /// The reservation that was named.
        reservation: ReservationId,
    },
    /// It does not hold so many more.
    #[error(
        "reservation {reservation} holds {held}, of which {picked} are picked; {requested} more cannot be"
    )]
    NotHeld {
        /// The reservation that was named.
        reservation: ReservationId,
        /// How many it holds.
        held: Quantity,
        /// How many of these are picked.
        picked: Quantity,
        /// How many were to be picked.
        requested: Quantity,
    },
    /// More were promised than are there.
    #[error("{requested} are to be picked, but only {on_hand} are on hand; receive first")]
    NotOnHand {
        /// How many were to be picked.
        requested: Quantity,
        /// What is on hand that nobody has picked.
        on_hand: Quantity,
    },
    /// The lots do not fit.
    #[error(transparent)]
    Goods(#[from] GoodsRejection),
}

impl Command for Pick {
    type Aggregate = InventoryItem;
    type Reply = Vec<LotQuantity>;
    type Rejection = PickRejection;

    fn decide(
        &self,
        item: &InventoryItem,
        context: &CommandContext,
    ) -> Result<Decision<InventoryEvent, Vec<LotQuantity>>, PickRejection> {
        let reservation = self.reservation;
        let held = item
            .reservation(reservation)
            .ok_or(PickRejection::UnknownReservation { reservation })?;
        let picked = item.picked(reservation);
        let left = held.saturating_sub(picked);
        let requested = self.quantity.unwrap_or(left);
        if requested.is_zero() || requested > left {
            return Err(PickRejection::NotHeld {
                reservation,
                held,
                picked,
                requested,
            });
        }
        let on_hand = item.on_hand().saturating_sub(item.picked_in_all());
        if requested > on_hand {
            return Err(PickRejection::NotOnHand { requested, on_hand });
        }
        let lots = self.lots(item, picked.saturating_add(requested), context)?;
        let event = InventoryEvent::Picked {
            reservation,
            quantity: requested,
            lots: lots.clone(),
        };
        let decision = Decision::event(event, lots);
        Ok(without_expiry(decision, item, reservation))
    }
}

impl Pick {
    /// What is set apart for the promise from now on: at least for so many.
    fn lots(
        &self,
        item: &InventoryItem,
        quantity: Quantity,
        context: &CommandContext,
    ) -> Result<Vec<LotQuantity>, GoodsRejection> {
        let Some(kept) = item.kept() else {
            return Ok(Vec::new());
        };
        let allocated = item.allocated(self.reservation);
        if sum(allocated) >= quantity {
            return Ok(allocated.to_vec());
        }
        let next = Leaving::Next(Some(self.reservation));
        lots_out(kept, quantity, next, context)
    }
}
