use foldhouse::{Command, CommandContext, Decision};
use serde::{Deserialize, Serialize};

use crate::inventory::events::InventoryEvent;
use crate::inventory::goods::LotQuantity;
use crate::inventory::item::InventoryItem;
use crate::inventory::movement::{Cost, GoodsRejection, Outcome, goods_in};
use crate::inventory::names::SupplyId;
use crate::inventory::quantity::Quantity;
use crate::inventory::reservation::ReservationId;
use crate::inventory::stock::StockLevel;
use crate::memo::{Memo, MemoTooLong};
use crate::money::Money;

/// Takes goods in. Who waits for them gets them first. The reply is the stock after it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receive {
    /// How many; not zero.
    pub quantity: Quantity,
    /// What they have cost in all: where the item's costs are kept, and only there.
    // New fields are not written where nothing is said: the fingerprints of commands from before them stay the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Money>,
    /// Which lots, or serial numbers: where the item's are tracked, and only there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lots: Vec<LotQuantity>,
    /// The expected supply that they are, or are a part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supply: Option<SupplyId>,
}

impl Receive {
    /// Takes that many in.
    #[must_use]
    pub fn new(quantity: Quantity) -> Self {
        Self {
            quantity,
            cost: None,
            lots: Vec::new(),
            supply: None,
        }
    }

    /// They have cost this in all.
    #[must_use]
    pub fn cost(mut self, cost: Money) -> Self {
        self.cost = Some(cost);
        self
    }

    /// They are of these lots.
    #[must_use]
    pub fn lots(mut self, lots: impl IntoIterator<Item = LotQuantity>) -> Self {
        self.lots = lots.into_iter().collect();
        self
    }

    /// They are this supply, or a part of it.
    #[must_use]
    pub fn supply(mut self, supply: impl Into<SupplyId>) -> Self {
        self.supply = Some(supply.into());
        self
    }
}

/// Why goods are not received.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiveRejection {
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
    /// No such supply is expected.
    #[error("supply {supply} is not expected: it never was, or it came or was ended already")]
    UnknownSupply {
        /// The supply that was named.
        supply: SupplyId,
    },
    /// Their lots or costs do not fit.
    #[error(transparent)]
    Goods(#[from] GoodsRejection),
}

impl Command for Receive {
    type Aggregate = InventoryItem;
    type Reply = StockLevel;
    type Rejection = ReceiveRejection;

    fn decide(
        &self,
        item: &InventoryItem,
        context: &CommandContext,
    ) -> Result<Decision<InventoryEvent, StockLevel>, ReceiveRejection> {
        let quantity = self.quantity;
        if quantity.is_zero() {
            return Err(ReceiveRejection::ZeroQuantity);
        }
        if item.on_hand().checked_add(quantity).is_none() {
            return Err(ReceiveRejection::Overflow {
                on_hand: item.on_hand(),
                received: quantity,
            });
        }
        if let Some(supply) = &self.supply
            && item.supplies().all(|(expected, _)| expected != supply)
        {
            let supply = supply.clone();
            return Err(ReceiveRejection::UnknownSupply { supply });
        }
        let moved = goods_in(item, quantity, Cost::Given(self.cost), &self.lots, context)?;
        let received = InventoryEvent::Received {
            quantity,
            supply: self.supply.clone(),
            goods: moved.goods,
        };
        let outcome = Outcome::new(item).and(received).and(moved.revalued);
        let Outcome { events, level } = outcome.fill(item, None);
        Ok(Decision::events(events, level))
    }
}

/// Takes goods back that had left. Who waits for them gets them first. The reply is the stock after it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Return {
    /// How many; not zero.
    pub quantity: Quantity,
    /// With which promise they had left, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reservation: Option<ReservationId>,
    /// What they are worth in all, where the item's costs are kept: what they had cost when they left, say. If nothing is
    /// said they are worth what those on hand have cost on average.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Money>,
    /// Which lots, or serial numbers, where the item's are tracked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lots: Vec<LotQuantity>,
    /// In words; at most [`MEMO_CHARS_MAX`](crate::MEMO_CHARS_MAX) characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl Return {
    /// Takes that many back.
    #[must_use]
    pub fn new(quantity: Quantity) -> Self {
        Self {
            quantity,
            reservation: None,
            cost: None,
            lots: Vec::new(),
            note: None,
        }
    }

    /// They had left with this promise.
    #[must_use]
    pub fn of(mut self, reservation: ReservationId) -> Self {
        self.reservation = Some(reservation);
        self
    }

    /// They are worth this in all.
    #[must_use]
    pub fn cost(mut self, cost: Money) -> Self {
        self.cost = Some(cost);
        self
    }

    /// They are of these lots.
    #[must_use]
    pub fn lots(mut self, lots: impl IntoIterator<Item = LotQuantity>) -> Self {
        self.lots = lots.into_iter().collect();
        self
    }

    /// With this note.
    #[must_use]
    pub fn note(mut self, text: impl Into<String>) -> Self {
        self.note = Some(text.into());
        self
    }
}

/// Why goods are not taken back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReturnRejection {
    /// Nothing came back.
    #[error("a return of 0 changes nothing; give at least 1")]
    ZeroQuantity,
    /// The stock would exceed what can be counted.
    #[error(
        "{returned} returned on top of {on_hand} on hand exceed {}; count in a larger unit",
        Quantity::MAX
    )]
    Overflow {
        /// What is on hand.
        on_hand: Quantity,
        /// What came back.
        returned: Quantity,
    },
    /// The note is too long.
    #[error(transparent)]
    NoteTooLong(#[from] MemoTooLong),
    /// Their lots or costs do not fit.
    #[error(transparent)]
    Goods(#[from] GoodsRejection),
}

impl Command for Return {
    type Aggregate = InventoryItem;
    type Reply = StockLevel;
    type Rejection = ReturnRejection;

    fn decide(
        &self,
        item: &InventoryItem,
        context: &CommandContext,
    ) -> Result<Decision<InventoryEvent, StockLevel>, ReturnRejection> {
        let quantity = self.quantity;
        if quantity.is_zero() {
            return Err(ReturnRejection::ZeroQuantity);
        }
        if item.on_hand().checked_add(quantity).is_none() {
            return Err(ReturnRejection::Overflow {
                on_hand: item.on_hand(),
                returned: quantity,
            });
        }
        let note = self.note.as_deref().map(Memo::new).transpose()?;
        let cost = Cost::OrAverage(self.cost);
        let moved = goods_in(item, quantity, cost, &self.lots, context)?;
        let returned = InventoryEvent::Returned {
            quantity,
            reservation: self.reservation,
            note,
            goods: moved.goods,
        };
        let outcome = Outcome::new(item).and(returned).and(moved.revalued);
        let Outcome { events, level } = outcome.fill(item, None);
        Ok(Decision::events(events, level))
    }
}
