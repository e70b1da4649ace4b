use serde::{Deserialize, Serialize};

use super::chart::ChartPlace;
use super::names::{EntryId, HoldId};
use super::terms::{OverdraftPolicy, Side};
use crate::currency::Currency;
use crate::memo::Memo;

/// What happens to a [`GlAccount`](crate::GlAccount).
///
/// This is the persisted contract. Variant names (the event types in the journal) and field names never change, and
/// never change their meaning; a new field is optional with a default. The balance is absent on purpose: it follows
/// from the postings before it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum GlEvent {
    /// The account exists from now on.
    Opened {
        /// The only currency that it takes.
        currency: Currency,
        /// The side on which its balance counts as positive.
        normal_side: Side,
        /// How far that balance may go below zero.
        overdraft: OverdraftPolicy,
    },
    /// An amount was posted on the debit side.
    Debited {
        /// The amount in minor units of the account's currency; positive.
        minor_units: i64,
        /// What for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        memo: Option<Memo>,
    },
    /// An amount was posted on the credit side.
    Credited {
        /// The amount in minor units of the account's currency; positive.
        minor_units: i64,
        /// What for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        memo: Option<Memo>,
    },
    /// The account takes no more postings.
    // Braces, so that it is a map on disk like the others and can still get fields.
    Closed {},
    /// It has a place in the chart of accounts; recorded together with its opening.
    Charted(Box<ChartPlace>),
    /// A line of a journal entry was posted.
    LinePosted {
        /// The entry.
        entry: EntryId,
        /// On which side.
        side: Side,
        /// The amount in minor units of the account's currency; positive.
        minor_units: i64,
    },
    /// An amount is held: it counts against the limits, and is not posted yet.
    LineHeld {
        /// The hold.
        hold: HoldId,
        /// On which side.
        side: Side,
        /// The amount in minor units of the account's currency; positive.
        minor_units: i64,
    },
    /// What a hold held is held no more: the hold was posted, voided or has expired.
    LineReleased {
        /// The hold.
        hold: HoldId,
        /// On which side.
        side: Side,
        /// The amount in minor units of the account's currency; positive.
        minor_units: i64,
    },
}
