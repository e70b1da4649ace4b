use foldhouse::{Command, CommandContext, Decision};
use serde::{Deserialize, Serialize};

use crate::inventory::events::InventoryEvent;
use crate::inventory::goods::{Goods, LotQuantity};
use crate::inventory::item::InventoryItem;
use crate::inventory::kept::{SUPPLIES_MAX, Transit};
use crate::inventory::movement::{Cost, GoodsRejection, Leaving, Outcome, goods_in, goods_out};
use crate::inventory::names::{LocationId, TransferId};
use crate::inventory::quantity::Quantity;
use crate::inventory::stock::StockLevel;
use crate::memo::{Memo, MemoTooLong};
use crate::money::Money;

/// Sends goods off to another location. They are in transit, and this item's, until they arrive
/// ([`Warehouse::receive_transfer`](crate::Warehouse::receive_transfer)) or are lost. The reply is the stock after it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DispatchTransfer {
    /// The caller's id of it, fresh.
    pub transfer: TransferId,
    /// Where they go.
    pub to: LocationId,
    /// How many; not zero, and no more than is available.
    pub quantity: Quantity,
    /// Which lots, where the item's are tracked; those that expire first if nothing is said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lots: Vec<LotQuantity>,
}

impl DispatchTransfer {
    /// Sends so many off to this location.
    #[must_use]
    pub fn new(
        transfer: impl Into<TransferId>,
        to: impl Into<LocationId>,
        quantity: Quantity,
    ) -> Self {
        Self {
            transfer: transfer.into(),
            to: to.into(),
            quantity,
            lots: Vec::new(),
        }
    }

    /// Of these lots.
    #[must_use]
    pub fn lots(mut self, lots: impl IntoIterator<Item = LotQuantity>) -> Self {
        self.lots = lots.into_iter().collect();
        self
    }
}

/// Why goods are not sent off to another location.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DispatchRejection {
    /// Nothing is to go.
    #[error("a transfer of 0 moves nothing; give at least 1")]
    ZeroQuantity,
    /// More is to go than nobody else was promised.
    #[error("{requested} are to go, but only {available} are available; send fewer")]
    Insufficient {
        /// How many are to go.
        requested: Quantity,
        /// What is available.
        available: Quantity,
    },
    /// Its id is taken.
    #[error("transfer {transfer} is in transit already; use a fresh id")]
    InTransit {
        /// The transfer.
        transfer: TransferId,
    },
    /// Too many are on the way.
    #[error("{SUPPLIES_MAX} transfers are in transit from here, the limit; let some arrive first")]
    TooMany,
    /// The lots or costs do not fit.
    #[error(transparent)]
    Goods(#[from] GoodsRejection),
}

impl Command for DispatchTransfer {
    type Aggregate = InventoryItem;
    type Reply = StockLevel;
    type Rejection = DispatchRejection;

    fn decide(
        &self,
        item: &InventoryItem,
        context: &CommandContext,
    ) -> Result<Decision<InventoryEvent, StockLevel>, DispatchRejection> {
        let (quantity, available) = (self.quantity, item.available());
        if quantity.is_zero() {
            return Err(DispatchRejection::ZeroQuantity);
        }
        if quantity > available {
            return Err(DispatchRejection::Insufficient {
                requested: quantity,
                available,
            });
        }
        if item.transit(&self.transfer).is_some() {
            let transfer = self.transfer.clone();
            return Err(DispatchRejection::InTransit { transfer });
        }
        if item.in_transit().count() >= SUPPLIES_MAX {
            return Err(DispatchRejection::TooMany);
        }
        let leaving = match self.lots.as_slice() {
            [] => Leaving::Next(None),
            lots => Leaving::Named(lots),
        };
        let moved = goods_out(item, quantity, leaving, context)?;
        let dispatched = InventoryEvent::TransferDispatched {
            transfer: self.transfer.clone(),
            to: self.to.clone(),
            quantity,
            goods: moved.goods,
        };
        let outcome = Outcome::new(item).and(dispatched).and(moved.revalued);
        Ok(Decision::events(outcome.events, outcome.level))
    }
}

/// Why a transfer does not come to its end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TransferRejection {
    /// No such transfer is on the way.
    #[error(
        "transfer {transfer} is not in transit from here: it never was, or it has arrived or was lost"
    )]
    NotInTransit {
        /// The transfer.
        transfer: TransferId,
    },
    /// Nothing is to arrive.
    #[error("0 of transfer {transfer} change nothing; give at least 1")]
    ZeroQuantity {
        /// The transfer.
        transfer: TransferId,
    },
    /// Not so many are on the way.
    #[error("{in_transit} of transfer {transfer} are in transit; {requested} cannot arrive")]
    TooMany {
        /// The transfer.
        transfer: TransferId,
        /// How many are on the way.
        in_transit: Quantity,
        /// How many were to arrive, or to be lost.
        requested: Quantity,
    },
    /// Something else is on the way than is to arrive: it changed since it was looked up.
    #[error("transfer {transfer} changed since it was looked up; look it up again")]
    Changed {
        /// The transfer.
        transfer: TransferId,
    },
    /// The note is too long.
    #[error(transparent)]
    NoteTooLong(#[from] MemoTooLong),
}

/// What is in transit, if it is enough.
fn in_transit<'a>(
    item: &'a InventoryItem,
    transfer: &TransferId,
    quantity: Quantity,
) -> Result<&'a Transit, TransferRejection> {
    let transit = item.transit(transfer);
    let transit = transit.ok_or_else(|| TransferRejection::NotInTransit {
        transfer: transfer.clone(),
    })?;
    if quantity.is_zero() {
        let transfer = transfer.clone();
        return Err(TransferRejection::ZeroQuantity { transfer });
    }
    if quantity > transit.quantity {
        return Err(TransferRejection::TooMany {
            transfer: transfer.clone(),
            in_transit: transit.quantity,
            requested: quantity,
        });
    }
    Ok(transit)
}

/// Lets goods arrive over there, in whole or in part: they are no longer this item's. It goes with [`ReceiveTransfer`] of the
/// item over there, in one transaction; [`Warehouse::receive_transfer`](crate::Warehouse::receive_transfer) does both.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArriveTransfer {
    /// The transfer.
    pub transfer: TransferId,
    /// How many arrive.
    pub quantity: Quantity,
    /// What is received over there: [`Transit::part`] of what is in transit.
    pub goods: Goods,
}

impl Command for ArriveTransfer {
    type Aggregate = InventoryItem;
    type Reply = ();
    type Rejection = TransferRejection;

    fn decide(
        &self,
        item: &InventoryItem,
        _: &CommandContext,
    ) -> Result<Decision<InventoryEvent, ()>, TransferRejection> {
        let transit = in_transit(item, &self.transfer, self.quantity)?;
        let goods = transit.part(self.quantity);
        let transfer = self.transfer.clone();
        if goods != self.goods {
            return Err(TransferRejection::Changed { transfer });
        }
        let arrived = InventoryEvent::TransferArrived {
            transfer,
            to: transit.to.clone(),
            quantity: self.quantity,
            goods: boxed(goods),
        };
        Ok(Decision::event(arrived, ()))
    }
}

fn boxed(goods: Goods) -> Option<Box<Goods>> {
    (goods != Goods::default()).then(|| Box::new(goods))
}

/// Writes goods off that were lost on the way. The reply is how many are still in transit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoseTransfer {
    /// The transfer.
    pub transfer: TransferId,
    /// How many were lost.
    pub quantity: Quantity,
    /// In words; at most [`MEMO_CHARS_MAX`](crate::MEMO_CHARS_MAX) characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl LoseTransfer {
    /// So many of this transfer were lost.
    #[must_use]
    pub fn new(transfer: impl Into<TransferId>, quantity: Quantity) -> Self {
        Self {
            transfer: transfer.into(),
            quantity,
            note: None,
        }
    }

    /// With this note.
    #[must_use]
    pub fn note(mut self, text: impl Into<String>) -> Self {
        self.note = Some(text.into());
        self
    }
}

impl Command for LoseTransfer {
    type Aggregate = InventoryItem;
    type Reply = Quantity;
    type Rejection = TransferRejection;

    fn decide(
        &self,
        item: &InventoryItem,
        _: &CommandContext,
    ) -> Result<Decision<InventoryEvent, Quantity>, TransferRejection> {
        let note = self.note.as_deref().map(Memo::new).transpose()?;
        let transit = in_transit(item, &self.transfer, self.quantity)?;
        let lost = InventoryEvent::TransferLost {
            transfer: self.transfer.clone(),
            to: transit.to.clone(),
            quantity: self.quantity,
            note,
            goods: boxed(transit.part(self.quantity)),
        };
        let left = transit.quantity.saturating_sub(self.quantity);
        Ok(Decision::event(lost, left))
    }
}

/// Takes goods in that come from another location. Who waits for them gets them first. The reply is the stock after it.
///
/// It goes with [`ArriveTransfer`] of the item that they come from, in one transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiveTransfer {
    /// The transfer.
    pub transfer: TransferId,
    /// Where they come from.
    pub from: LocationId,
    /// How many; not zero.
    pub quantity: Quantity,
    /// What they have cost, where costs are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Money>,
    /// Which lots, where they are tracked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lots: Vec<LotQuantity>,
}

/// Why goods from another location are not taken in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiveTransferRejection {
    /// Nothing came.
    #[error("a receipt of 0 changes nothing; give at least 1")]
    ZeroQuantity,
    /// The stock would exceed what can be counted.
    #[error(
        "{received} received on top of {on_hand} on hand exceed {}; count in a larger unit",
        Quantity::MAX
    )]
    Overflow {
        /// What is on hand.
        on_hand: Quantity,
        /// What came.
        received: Quantity,
    },
    /// Their lots or costs do not fit: this item is kept in another way than the one that they come from.
    #[error("what left there cannot be kept here: {0}")]
    Goods(#[from] GoodsRejection),
}

impl Command for ReceiveTransfer {
    type Aggregate = InventoryItem;
    type Reply = StockLevel;
    type Rejection = ReceiveTransferRejection;

    fn decide(
        &self,
        item: &InventoryItem,
        context: &CommandContext,
    ) -> Result<Decision<InventoryEvent, StockLevel>, ReceiveTransferRejection> {
        let quantity = self.quantity;
        if quantity.is_zero() {
            return Err(ReceiveTransferRejection::ZeroQuantity);
        }
        if item.on_hand().checked_add(quantity).is_none() {
            return Err(ReceiveTransferRejection::Overflow {
                on_hand: item.on_hand(),
                received: quantity,
            });
        }
        let moved = goods_in(item, quantity, Cost::Given(self.cost), &self.lots, context)?;
        let received = InventoryEvent::TransferReceived {
            transfer: self.transfer.clone(),
            from: self.from.clone(),
            quantity,
            goods: moved.goods,
        };
        let outcome = Outcome::new(item).and(received).and(moved.revalued);
        let Outcome { events, level } = outcome.fill(item, None);
        Ok(Decision::events(events, level))
    }
}
