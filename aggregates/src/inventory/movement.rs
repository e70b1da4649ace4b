use std::collections::BTreeSet;

use foldhouse::{CommandContext, Timestamp};

use super::costs::{COST_LAYERS_MAX, Flow, NoPlace};
use super::events::InventoryEvent;
use super::goods::{Goods, LOTS_PER_MOVEMENT_MAX, LotQuantity};
use super::item::InventoryItem;
use super::kept::Kept;
use super::lots::LOTS_ON_HAND_MAX;
use super::names::LotId;
use super::quantity::Quantity;
use super::reservation::ReservationId;
use super::stock::StockLevel;
use super::terms::{CostTerms, Tracking};
use crate::currency::Currency;
use crate::ledger::BookDate;
use crate::money::Money;

/// Why goods do not move, as far as their lots and their costs go.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GoodsRejection {
    /// It is not said what they have cost.
    #[error("the costs of this item are kept: say what the {quantity} have cost in all")]
    CostMissing {
        /// How many.
        quantity: Quantity,
    },
    /// It is said what they have cost, and that is not kept.
    #[error(
        "the costs of this item are not kept; set its terms before the first receipt, or give no cost"
    )]
    CostNotKept,
    /// They cannot have cost less than nothing.
    #[error("goods cannot have cost {cost}; give zero or more")]
    CostNegative {
        /// What was given.
        cost: Money,
    },
    /// Costs are kept in another currency.
    #[error("the costs of this item are kept in {}, not in {}; exchange it first", kept.code(), given.code())]
    OtherCurrency {
        /// The item's.
        kept: Currency,
        /// That of the cost.
        given: Currency,
    },
    /// The value of all on hand could not be counted.
    #[error("{cost} on top of the {value} on hand cannot be counted")]
    ValueOverflow {
        /// What came.
        cost: Money,
        /// What is there.
        value: Money,
    },
    /// Too many receipts at different costs are on hand.
    #[error(
        "{COST_LAYERS_MAX} layers of different cost are on hand, the limit; ship some first, or keep the average"
    )]
    TooManyLayers,
    /// Lots and quantity do not agree.
    #[error("the lots are {lots} in all, but {quantity} move; name the lot of each")]
    LotsDiffer {
        /// How many move.
        quantity: Quantity,
        /// How many the lots are.
        lots: Quantity,
    },
    /// Lots are named, and not tracked.
    #[error(
        "the lots of this item are not tracked; set its terms before the first receipt, or name none"
    )]
    LotsNotTracked,
    /// Too many lots move at once.
    #[error("{lots} lots move at once; the limit is {LOTS_PER_MOVEMENT_MAX}: move them in parts")]
    TooManyLots {
        /// How many.
        lots: usize,
    },
    /// Too many lots would be on hand.
    #[error("{LOTS_ON_HAND_MAX} lots are on hand, the limit; ship some first")]
    TooManyLotsOnHand,
    /// A lot is named twice.
    #[error("lot {lot} is named twice; name it once, with all of it")]
    LotTwice {
        /// Which.
        lot: LotId,
    },
    /// A serial number stands for one piece.
    #[error("serial number {lot} stands for one piece, not for {quantity}")]
    NotSingle {
        /// Which.
        lot: LotId,
        /// How many.
        quantity: Quantity,
    },
    /// The piece with this serial number is there already.
    #[error("serial number {lot} is on hand already")]
    SerialOnHand {
        /// Which.
        lot: LotId,
    },
    /// A lot expires on one day.
    #[error(
        "lot {lot} is on hand with another last day of use; give the same, or a lot of its own"
    )]
    OtherExpiry {
        /// Which.
        lot: LotId,
    },
    /// Not so many of a lot are there for this.
    #[error("{wanted} of lot {lot} are wanted, but only {free} are free; name another one")]
    NotInLot {
        /// Which.
        lot: LotId,
        /// How many are wanted.
        wanted: Quantity,
        /// How many there are that nobody else has.
        free: Quantity,
    },
    /// What is there must not be used any more.
    #[error(
        "only {usable} of the {wanted} wanted have not expired; name the lots to use them all the same, or adjust \
         the stock by what has expired"
    )]
    Expired {
        /// How many are wanted.
        wanted: Quantity,
        /// How many may be used.
        usable: Quantity,
    },
    /// It was before movements that are recorded already, and may not be, or not by so many.
    #[error(
        "a movement of {at} comes before that of {last}, which is recorded; at most {later_max} may be later: \
         record it as of now"
    )]
    TooLate {
        /// When it was.
        at: Timestamp,
        /// When the last one was.
        last: Timestamp,
        /// How many may be later.
        later_max: usize,
    },
    /// Not so many were there.
    #[error("at {at} there were not {quantity} on hand; record what came before it first")]
    NotOnHandThen {
        /// When.
        at: Timestamp,
        /// How many are to leave.
        quantity: Quantity,
    },
}

/// What is to be recorded of goods that move.
pub(super) struct Moved {
    pub(super) goods: Option<Box<Goods>>,
    /// Stands behind the movement, if it changes what others have cost.
    pub(super) revalued: Option<InventoryEvent>,
}

/// What goods that come in have cost.
#[derive(Clone, Copy)]
pub(super) enum Cost {
    /// This; it must be said where costs are kept.
    Given(Option<Money>),
    /// This, or if nothing is said as much as those on hand do on average.
    OrAverage(Option<Money>),
}

/// Which lots leave.
#[derive(Clone, Copy)]
pub(super) enum Leaving<'a> {
    /// These.
    Named(&'a [LotQuantity]),
    /// Those of a reservation, and the next ones that have not expired.
    Next(Option<ReservationId>),
    /// The next ones, expired or not.
    Any,
}

/// Goods come in.
pub(super) fn goods_in(
    item: &InventoryItem,
    quantity: Quantity,
    cost: Cost,
    lots: &[LotQuantity],
    context: &CommandContext,
) -> Result<Moved, GoodsRejection> {
    let nothing = Kept::default();
    let kept = item.kept().unwrap_or(&nothing);
    check_lots_in(kept, quantity, lots)?;
    let (Cost::Given(given) | Cost::OrAverage(given)) = cost;
    let Some(costing) = kept.terms.costing else {
        return match given {
            Some(_) => Err(GoodsRejection::CostNotKept),
            None => Ok(moved(lots.to_vec())),
        };
    };
    let average = || match cost {
        Cost::Given(_) => None,
        Cost::OrAverage(_) => kept.costs.now.at_average(quantity),
    };
    let value = match given {
        Some(cost) => checked_cost(costing, cost)?,
        None => average().ok_or(GoodsRejection::CostMissing { quantity })?,
    };
    let book = &kept.costs.now;
    if !book.can_take(value) {
        return Err(GoodsRejection::ValueOverflow {
            cost: Money::new(value, costing.currency),
            value: Money::new(book.value(), costing.currency),
        });
    }
    if !book.has_room() {
        return Err(GoodsRejection::TooManyLayers);
    }
    valued(
        kept,
        costing,
        Flow::In(quantity, value),
        lots.to_vec(),
        context,
    )
}

/// Goods leave that are on hand.
pub(super) fn goods_out(
    item: &InventoryItem,
    quantity: Quantity,
    leaving: Leaving<'_>,
    context: &CommandContext,
) -> Result<Moved, GoodsRejection> {
    let Some(kept) = item.kept() else {
        return match leaving {
            Leaving::Named([_, ..]) => Err(GoodsRejection::LotsNotTracked),
            _ => Ok(moved(Vec::new())),
        };
    };
    let lots = lots_out(kept, quantity, leaving, context)?;
    match kept.terms.costing {
        Some(costing) => valued(kept, costing, Flow::Out(quantity), lots, context),
        None => Ok(moved(lots)),
    }
}

/// Which lots leave, or are set apart.
pub(super) fn lots_out(
    kept: &Kept,
    quantity: Quantity,
    leaving: Leaving<'_>,
    context: &CommandContext,
) -> Result<Vec<LotQuantity>, GoodsRejection> {
    let (reservation, on) = match leaving {
        Leaving::Named(lots @ [_, ..]) => {
            check_named(kept, quantity, lots, None)?;
            return Ok(lots.to_vec());
        }
        Leaving::Named([]) | Leaving::Any => (None, BookDate::FIRST),
        Leaving::Next(reservation) => (reservation, BookDate::of(context.effective_at())),
    };
    if kept.terms.tracking == Tracking::Counted {
        return Ok(Vec::new());
    }
    let lots = kept.lots.next(quantity, reservation, on);
    let usable = sum(&lots);
    if usable < quantity {
        return Err(GoodsRejection::Expired {
            wanted: quantity,
            usable,
        });
    }
    match lots.len() {
        0..=LOTS_PER_MOVEMENT_MAX => Ok(lots),
        lots => Err(GoodsRejection::TooManyLots { lots }),
    }
}

/// Lots that somebody names, to take them or to set them apart.
pub(super) fn check_named(
    kept: &Kept,
    quantity: Quantity,
    lots: &[LotQuantity],
    reservation: Option<ReservationId>,
) -> Result<(), GoodsRejection> {
    check_list(kept, quantity, lots)?;
    for LotQuantity {
        lot,
        quantity: wanted,
        ..
    } in lots
    {
        let (wanted, free) = (*wanted, kept.lots.free(lot, reservation));
        if wanted > free {
            let lot = lot.clone();
            return Err(GoodsRejection::NotInLot { lot, wanted, free });
        }
    }
    Ok(())
}

fn check_lots_in(
    kept: &Kept,
    quantity: Quantity,
    lots: &[LotQuantity],
) -> Result<(), GoodsRejection> {
    if lots.is_empty() && kept.terms.tracking == Tracking::Counted {
        return Ok(());
    }
    check_list(kept, quantity, lots)?;
    for lot in lots {
        let there = kept.lots.get(&lot.lot);
        let Some(there) = there else { continue };
        if kept.terms.tracking == Tracking::Serials {
            return Err(GoodsRejection::SerialOnHand { lot: there.lot });
        }
        if there.expires_on != lot.expires_on {
            return Err(GoodsRejection::OtherExpiry { lot: there.lot });
        }
    }
    if kept.lots.len().saturating_add(lots.len()) > LOTS_ON_HAND_MAX {
        return Err(GoodsRejection::TooManyLotsOnHand);
    }
    Ok(())
}

fn check_list(kept: &Kept, quantity: Quantity, lots: &[LotQuantity]) -> Result<(), GoodsRejection> {
    if kept.terms.tracking == Tracking::Counted {
        return Err(GoodsRejection::LotsNotTracked);
    }
    if lots.len() > LOTS_PER_MOVEMENT_MAX {
        return Err(GoodsRejection::TooManyLots { lots: lots.len() });
    }
    let mut seen = BTreeSet::new();
    for LotQuantity { lot, quantity, .. } in lots {
        if !seen.insert(lot) {
            return Err(GoodsRejection::LotTwice { lot: lot.clone() });
        }
        let is_single = *quantity == Quantity::new(1);
        if kept.terms.tracking == Tracking::Serials && !is_single {
            return Err(GoodsRejection::NotSingle {
                lot: lot.clone(),
                quantity: *quantity,
            });
        }
    }
    let lots = sum(lots);
    if lots != quantity {
        return Err(GoodsRejection::LotsDiffer { quantity, lots });
    }
    Ok(())
}

/// How many lots are in all.
pub(super) fn sum(lots: &[LotQuantity]) -> Quantity {
    lots.iter()
        .fold(Quantity::ZERO, |sum, lot| sum.saturating_add(lot.quantity))
}

fn checked_cost(costing: CostTerms, cost: Money) -> Result<i64, GoodsRejection> {
    if cost.currency() != costing.currency {
        return Err(GoodsRejection::OtherCurrency {
            kept: costing.currency,
            given: cost.currency(),
        });
    }
    match cost.minor_units() {
        ..0 => Err(GoodsRejection::CostNegative { cost }),
        value => Ok(value),
    }
}

/// Finds the movement's place among the others, by its time.
fn valued(
    kept: &Kept,
    costing: CostTerms,
    flow: Flow,
    lots: Vec<LotQuantity>,
    context: &CommandContext,
) -> Result<Moved, GoodsRejection> {
    let at = context
        .meta
        .effective_at
        .unwrap_or_else(|| kept.costs.not_before_last(context.now));
    let later_max = kept.terms.later_max();
    let placed = kept.costs.place(costing.method, at, flow, later_max);
    let placed = placed.map_err(|no_place| match (no_place, flow) {
        (NoPlace::TooLate { at: last }, _) => GoodsRejection::TooLate {
            at,
            last,
            later_max,
        },
        (NoPlace::NotOnHandThen, Flow::In(quantity, _) | Flow::Out(quantity)) => {
            GoodsRejection::NotOnHandThen { at, quantity }
        }
    })?;
    let goods = Goods {
        lots,
        value: Some(Money::new(placed.cost, costing.currency)),
        moved_at: Some(at),
    };
    Ok(Moved {
        goods: Some(Box::new(goods)),
        revalued: placed
            .later
            .map(|(issued, movements)| InventoryEvent::Revalued {
                issued: Money::new(issued, costing.currency),
                movements,
            }),
    })
}

fn moved(lots: Vec<LotQuantity>) -> Moved {
    let goods = Goods {
        lots,
        ..Goods::default()
    };
    Moved {
        goods: (goods != Goods::default()).then(|| Box::new(goods)),
        revalued: None,
    }
}

/// The events of a decision in their order, and the stock after them.
pub(super) struct Outcome {
    pub(super) events: Vec<InventoryEvent>,
    pub(super) level: StockLevel,
}

impl Outcome {
    pub(super) fn new(item: &InventoryItem) -> Self {
        Self {
            events: Vec::new(),
            level: item.level(),
        }
    }

    pub(super) fn and(mut self, event: impl Into<Option<InventoryEvent>>) -> Self {
        if let Some(event) = event.into() {
            self.level.apply(&event);
            self.events.push(event);
        }
        self
    }

    /// Gives what became available to those who wait for it; `ended` waits no longer.
    pub(super) fn fill(mut self, item: &InventoryItem, ended: Option<ReservationId>) -> Self {
        let Some(kept) = item.kept() else { return self };
        for (reservation, waits) in kept.backorders.iter() {
            let quantity = waits.min(self.level.available());
            if quantity.is_zero() {
                break;
            }
            if Some(reservation) != ended {
                self = self.and(InventoryEvent::BackorderFilled {
                    reservation,
                    quantity,
                });
            }
        }
        self
    }
}
