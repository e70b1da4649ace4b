use foldhouse::{Command, CommandContext, Decision};
use serde::{Deserialize, Serialize};

use crate::inventory::events::{AdjustmentReason, InventoryEvent};
use crate::inventory::goods::LotQuantity;
use crate::inventory::item::InventoryItem;
use crate::inventory::movement::{
    Cost, GoodsRejection, Leaving, Moved, Outcome, goods_in, goods_out,
};
use crate::inventory::quantity::Quantity;
use crate::inventory::stock::StockLevel;
use crate::memo::{Memo, MemoTooLong};
use crate::money::Money;

/// Brings the book to what is really on the shelf. The reply is the stock after it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adjust {
    /// How many more (or fewer, below zero) there are than the book says; not zero.
    pub delta: i64,
    /// Why.
    pub reason: AdjustmentReason,
    /// In words; at most [`MEMO_CHARS_MAX`](crate::MEMO_CHARS_MAX) characters.
    pub note: Option<String>,
    /// What those that are more are worth in all, where the item's costs are kept. If nothing is said they are worth what
    /// those on hand have cost on average. Those that are fewer take what they have cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Money>,
    /// Which lots, where the item's are tracked. Those that are fewer are the next to expire if nothing is said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lots: Vec<LotQuantity>,
}

impl Adjust {
    /// An adjustment without a note.
    #[must_use]
    pub fn new(delta: i64, reason: AdjustmentReason) -> Self {
        Self {
            delta,
            reason,
            note: None,
            cost: None,
            lots: Vec::new(),
        }
    }

    /// With this note.
    #[must_use]
    pub fn note(mut self, text: impl Into<String>) -> Self {
        self.note = Some(text.into());
        self
    }

    /// Those that are more are worth this in all.
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
}

/// Why the stock is not adjusted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AdjustRejection {
    /// Nothing would change.
    #[error(
        "an adjustment by 0 changes nothing; give the difference between the count and the book"
    )]
    ZeroQuantity,
    /// More would be taken away than is there.
    #[error("an adjustment by {delta} exceeds the {on_hand} on hand; count again")]
    BelowZero {
        /// What is on hand.
        on_hand: Quantity,
        /// The adjustment.
        delta: i64,
    },
    /// What is left would not cover what is promised.
    #[error(
        "an adjustment by {delta} of the {on_hand} on hand would not leave the {reserved} reserved; \
         release reservations first"
    )]
    BelowReserved {
        /// What is on hand.
        on_hand: Quantity,
        /// What is promised.
        reserved: Quantity,
        /// The adjustment.
        delta: i64,
    },
    /// The stock would exceed what can be counted.
    #[error(
        "an adjustment by {delta} of the {on_hand} on hand exceeds {}; count in a larger unit",
        Quantity::MAX
    )]
    Overflow {
        /// What is on hand.
        on_hand: Quantity,
        /// The adjustment.
        delta: i64,
    },
    /// The note is too long.
    #[error(transparent)]
    NoteTooLong(#[from] MemoTooLong),
    /// Their lots or costs do not fit.
    #[error(transparent)]
    Goods(#[from] GoodsRejection),
}

impl Command for Adjust {
    type Aggregate = InventoryItem;
    type Reply = StockLevel;
    type Rejection = AdjustRejection;

    fn decide(
        &self,
        item: &InventoryItem,
        context: &CommandContext,
    ) -> Result<Decision<InventoryEvent, StockLevel>, AdjustRejection> {
        if self.delta == 0 {
            return Err(AdjustRejection::ZeroQuantity);
        }
        let note = self.note.as_deref().map(Memo::new).transpose()?;
        let moved = differ(item, self.delta, self.cost, &self.lots, context)?;
        let adjusted = InventoryEvent::Adjusted {
            delta: self.delta,
            reason: self.reason,
            note,
            goods: moved.goods,
        };
        let outcome = Outcome::new(item).and(adjusted).and(moved.revalued);
        let Outcome { events, level } = outcome.fill(item, None);
        Ok(Decision::events(events, level))
    }
}

/// There are more, or fewer, than the book says.
fn differ(
    item: &InventoryItem,
    delta: i64,
    cost: Option<Money>,
    lots: &[LotQuantity],
    context: &CommandContext,
) -> Result<Moved, AdjustRejection> {
    let (on_hand, reserved) = (item.on_hand(), item.reserved());
    let change = Quantity::new(delta.unsigned_abs());
    if delta > 0 {
        let overflow = AdjustRejection::Overflow { on_hand, delta };
        on_hand.checked_add(change).ok_or(overflow)?;
        return Ok(goods_in(
            item,
            change,
            Cost::OrAverage(cost),
            lots,
            context,
        )?);
    }
    let below_zero = AdjustRejection::BelowZero { on_hand, delta };
    let after = on_hand.checked_sub(change).ok_or(below_zero)?;
    if after.saturating_add(item.terms().oversell_max()) < reserved || after < item.picked_in_all()
    {
        return Err(AdjustRejection::BelowReserved {
            on_hand,
            reserved,
            delta,
        });
    }
    let leaving = match lots {
        [] => Leaving::Any,
        lots => Leaving::Named(lots),
    };
    Ok(goods_out(item, change, leaving, context)?)
}

/// Records what was counted on the shelf, and brings the book to it. A count that agrees is recorded, too. The reply is how
/// many more (or fewer, below zero) there were than the book said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// How many there are.
    pub counted: Quantity,
    /// As [`Adjust::cost`], of those that are more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Money>,
    /// As [`Adjust::lots`], of the difference.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lots: Vec<LotQuantity>,
    /// In words; at most [`MEMO_CHARS_MAX`](crate::MEMO_CHARS_MAX) characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl Count {
    /// There are so many.
    #[must_use]
    pub fn new(counted: Quantity) -> Self {
        Self {
            counted,
            cost: None,
            lots: Vec::new(),
            note: None,
        }
    }

    /// Those that are more are worth this in all.
    #[must_use]
    pub fn cost(mut self, cost: Money) -> Self {
        self.cost = Some(cost);
        self
    }

    /// The difference is of these lots.
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

/// Why a count is not recorded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CountRejection {
    /// The difference cannot be booked.
    #[error("{counted} were counted: {rejection}")]
    Adjust {
        /// How many were counted.
        counted: Quantity,
        /// Why the stock is not brought to that.
        rejection: AdjustRejection,
    },
    /// The difference is more than an adjustment takes.
    #[error("{counted} were counted, but the book says {on_hand}; adjust the stock in parts first")]
    TooFar {
        /// How many were counted.
        counted: Quantity,
        /// What is on hand by the book.
        on_hand: Quantity,
    },
}

impl Command for Count {
    type Aggregate = InventoryItem;
    type Reply = i64;
    type Rejection = CountRejection;

    fn decide(
        &self,
        item: &InventoryItem,
        context: &CommandContext,
    ) -> Result<Decision<InventoryEvent, i64>, CountRejection> {
        let (counted, on_hand) = (self.counted, item.on_hand());
        let variance = i128::from(counted.get()).saturating_sub(on_hand.get().into());
        let variance =
            i64::try_from(variance).map_err(|_| CountRejection::TooFar { counted, on_hand })?;
        let of = |rejection| CountRejection::Adjust { counted, rejection };
        let note = self.note.as_deref().map(Memo::new).transpose();
        let note = note.map_err(|too_long| of(too_long.into()))?;
        let moved = match variance {
            0 => None,
            delta => Some(differ(item, delta, self.cost, &self.lots, context).map_err(of)?),
        };
        let (goods, revalued) = moved.map_or((None, None), |moved| (moved.goods, moved.revalued));
        let recorded = InventoryEvent::Counted {
            counted,
            variance,
            note,
            goods,
        };
        let outcome = Outcome::new(item).and(recorded).and(revalued);
        let outcome = outcome.fill(item, None);
        Ok(Decision::events(outcome.events, variance))
    }
}
