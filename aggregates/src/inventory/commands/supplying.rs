use foldhouse::{Command, CommandContext, Decision};
use serde::{Deserialize, Serialize};

use crate::inventory::events::InventoryEvent;
use crate::inventory::item::InventoryItem;
use crate::inventory::kept::SUPPLIES_MAX;
use crate::inventory::names::SupplyId;
use crate::inventory::quantity::Quantity;
use crate::ledger::BookDate;

/// Says what is to come from a supplier: it counts as incoming until it is received ([`Receive::supply`](crate::Receive)) or
/// ended. A second time under its id it replaces what was said before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExpectSupply {
    /// The caller's id of it: a purchase order's line, say.
    pub supply: SupplyId,
    /// How many are still to come; not zero.
    pub quantity: Quantity,
    /// When, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_on: Option<BookDate>,
}

impl ExpectSupply {
    /// So many are to come.
    #[must_use]
    pub fn new(supply: impl Into<SupplyId>, quantity: Quantity) -> Self {
        Self {
            supply: supply.into(),
            quantity,
            due_on: None,
        }
    }

    /// On this day.
    #[must_use]
    pub fn due_on(mut self, day: BookDate) -> Self {
        self.due_on = Some(day);
        self
    }
}

/// Ends a supply: the rest of it will not come. The reply is how many that were.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndSupply {
    /// Which supply.
    pub supply: SupplyId,
}

impl EndSupply {
    /// Ends this supply.
    #[must_use]
    pub fn new(supply: impl Into<SupplyId>) -> Self {
        Self {
            supply: supply.into(),
        }
    }
}

/// Why what is expected does not change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SupplyRejection {
    /// Nothing is to come.
    #[error("a supply of 0 brings nothing; give at least 1, or end it")]
    ZeroQuantity,
    /// Too many are expected.
    #[error("{SUPPLIES_MAX} supplies are expected, the limit; receive or end some first")]
    TooMany,
    /// No such supply is expected.
    #[error("supply {supply} is not expected: it never was, or it came or was ended already")]
    Unknown {
        /// The supply that was named.
        supply: SupplyId,
    },
}

impl Command for ExpectSupply {
    type Aggregate = InventoryItem;
    type Reply = ();
    type Rejection = SupplyRejection;

    fn decide(
        &self,
        item: &InventoryItem,
        _: &CommandContext,
    ) -> Result<Decision<InventoryEvent, ()>, SupplyRejection> {
        if self.quantity.is_zero() {
            return Err(SupplyRejection::ZeroQuantity);
        }
        let is_new = item.supplies().all(|(supply, _)| *supply != self.supply);
        if is_new && item.supplies().count() >= SUPPLIES_MAX {
            return Err(SupplyRejection::TooMany);
        }
        let expected = InventoryEvent::SupplyExpected {
            supply: self.supply.clone(),
            quantity: self.quantity,
            due_on: self.due_on,
        };
        Ok(Decision::event(expected, ()))
    }
}

impl Command for EndSupply {
    type Aggregate = InventoryItem;
    type Reply = Quantity;
    type Rejection = SupplyRejection;

    fn decide(
        &self,
        item: &InventoryItem,
        _: &CommandContext,
    ) -> Result<Decision<InventoryEvent, Quantity>, SupplyRejection> {
        let mut supplies = item.supplies();
        let found = supplies.find(|(supply, _)| **supply == self.supply);
        let Some((_, expected)) = found else {
            let supply = self.supply.clone();
            return Err(SupplyRejection::Unknown { supply });
        };
        let ended = InventoryEvent::SupplyEnded {
            supply: self.supply.clone(),
            quantity: expected.quantity,
        };
        Ok(Decision::event(ended, expected.quantity))
    }
}
