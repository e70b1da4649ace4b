use foldhouse::{Command, CommandContext, Decided, Decision, IdempotentCommand};
use serde::{Deserialize, Serialize};

use super::account::GlAccount;
use super::balances::AccountBalance;
use super::events::GlEvent;
use super::limits::{check_amount, check_limits};
use super::names::{EntryId, HoldId};
use super::rejections::PostingRejection;
use super::terms::Side;
use crate::money::Money;
use crate::total::Total;

/// What a line does to its account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LineAction {
    /// Posts the amount, as a line of this entry.
    Post(EntryId),
    /// Holds the amount, as a line of this hold.
    Hold(HoldId),
    /// Gives back what this hold holds: the first step of posting, voiding or expiring it.
    Release(HoldId),
}

/// The part of a journal entry or hold that concerns one account; [`Ledger`](crate::Ledger) sends all of them together.
///
/// Sent alone it would leave half an entry: that is what the ledger is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AccountLine {
    /// What it does.
    pub action: LineAction,
    /// On which side.
    pub side: Side,
    /// How much; positive, in the account's currency.
    pub amount: Money,
}

impl Command for AccountLine {
    type Aggregate = GlAccount;
    /// What the account has after it.
    type Reply = AccountBalance;
    type Rejection = PostingRejection;

    fn decide(&self, account: &GlAccount, _: &CommandContext) -> Decided<Self> {
        check_amount(account, self.amount)?;
        if account.place().is_some_and(|place| place.control) {
            return Err(PostingRejection::ControlAccount);
        }
        let (side, minor_units) = (self.side, self.amount.minor_units());
        let event = match self.action.clone() {
            LineAction::Post(entry) => {
                check_limits(account, side, self.amount)?;
                GlEvent::LinePosted {
                    entry,
                    side,
                    minor_units,
                }
            }
            LineAction::Hold(hold) => {
                check_limits(account, side, self.amount)?;
                GlEvent::LineHeld {
                    hold,
                    side,
                    minor_units,
                }
            }
            LineAction::Release(hold) => {
                self.check_held(account)?;
                GlEvent::LineReleased {
                    hold,
                    side,
                    minor_units,
                }
            }
        };
        let mut balance = AccountBalance::of(account).ok_or(PostingRejection::NotOpen)?;
        balance.apply(&event);
        Ok(Decision::event(event, balance))
    }
}

impl AccountLine {
    fn check_held(&self, account: &GlAccount) -> Result<(), PostingRejection> {
        let pending = account.pending_on(self.side);
        if pending < self.amount.minor_units().into() {
            return Err(PostingRejection::NotHeld {
                amount: self.amount,
                held: Total::new(pending, self.amount.currency()),
            });
        }
        Ok(())
    }
}

impl IdempotentCommand for AccountLine {
    const NAME: &'static str = "account-line";
}
