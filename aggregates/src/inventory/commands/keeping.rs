use foldhouse::{Command, CommandContext, Decision};
use serde::{Deserialize, Serialize};

use crate::inventory::events::InventoryEvent;
use crate::inventory::item::InventoryItem;
use crate::inventory::quantity::Quantity;
use crate::inventory::terms::{BackDating, ItemTerms, REVALUED_MOVEMENTS_MAX};

/// Says how an item is kept, as a whole: what is not in the new terms holds no longer. Terms that it has already change
/// nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetTerms {
    /// How.
    pub terms: ItemTerms,
}

impl SetTerms {
    /// The item is kept like this.
    #[must_use]
    pub fn new(terms: ItemTerms) -> Self {
        Self { terms }
    }
}

/// Why an item is not kept like this.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TermsRejection {
    /// What is there was received without them.
    #[error(
        "{on_hand} are on hand and {in_transit} in transit: how costs and lots are kept changes only while there are \
         none; move them to another item"
    )]
    StockOnHand {
        /// What is on hand.
        on_hand: Quantity,
        /// What is in transit from here.
        in_transit: Quantity,
    },
    /// A late movement would revalue too many.
    #[error(
        "{movements_max} movements may not be revalued by one; the limit is {REVALUED_MOVEMENTS_MAX}"
    )]
    TooManyRevalued {
        /// How many were asked for.
        movements_max: u32,
    },
}

impl Command for SetTerms {
    type Aggregate = InventoryItem;
    type Reply = ();
    type Rejection = TermsRejection;

    fn decide(
        &self,
        item: &InventoryItem,
        _: &CommandContext,
    ) -> Result<Decision<InventoryEvent, ()>, TermsRejection> {
        let (now, new) = (item.terms(), self.terms);
        if now == new {
            return Ok(Decision::nothing(()));
        }
        if let BackDating::Revalue { movements_max } = new.back_dating
            && movements_max > REVALUED_MOVEMENTS_MAX
        {
            return Err(TermsRejection::TooManyRevalued { movements_max });
        }
        let in_transit = item.in_transit().fold(Quantity::ZERO, |sum, (_, transit)| {
            sum.saturating_add(transit.quantity)
        });
        let is_empty = item.on_hand().is_zero() && in_transit.is_zero();
        if !is_empty && (now.costing != new.costing || now.tracking != new.tracking) {
            return Err(TermsRejection::StockOnHand {
                on_hand: item.on_hand(),
                in_transit,
            });
        }
        let terms = Box::new(new);
        Ok(Decision::event(InventoryEvent::TermsSet { terms }, ()))
    }
}
