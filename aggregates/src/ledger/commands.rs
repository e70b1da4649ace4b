use foldhouse::{Command, CommandContext, Decision};
use serde::{Deserialize, Serialize};

use super::account::GlAccount;
use super::events::GlEvent;
use super::limits::{check_amount, check_limits};
use super::rejections::{CloseRejection, OpenRejection, PostingRejection};
use super::terms::{OverdraftPolicy, Side};
use crate::currency::Currency;
use crate::memo::Memo;
use crate::money::Money;
use crate::total::Total;

/// Opens an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenAccount {
    /// The only currency that it will take.
    pub currency: Currency,
    /// The side on which its balance counts as positive: debit for assets and expenses, credit for the rest.
    pub normal_side: Side,
    /// How far that balance may go below zero.
    pub overdraft: OverdraftPolicy,
}

impl OpenAccount {
    /// An account that cannot be overdrawn.
    #[must_use]
    pub fn new(currency: Currency, normal_side: Side) -> Self {
        Self {
            currency,
            normal_side,
            overdraft: OverdraftPolicy::Forbidden,
        }
    }

    /// With this overdraft policy.
    #[must_use]
    pub fn overdraft(mut self, policy: OverdraftPolicy) -> Self {
        self.overdraft = policy;
        self
    }
}

impl Command for OpenAccount {
    type Aggregate = GlAccount;
    type Reply = ();
    type Rejection = OpenRejection;

    fn decide(
        &self,
        account: &GlAccount,
        _: &CommandContext,
    ) -> Result<Decision<GlEvent, ()>, OpenRejection> {
        // Also with the very same terms: a retry is recognised by its command id, so this is somebody else's account.
        if account.is_open() {
            return Err(OpenRejection::AlreadyOpen);
        }
        if account.is_closed() {
            return Err(OpenRejection::Closed);
        }
        if let OverdraftPolicy::Limit { minor_units } = self.overdraft
            && minor_units < 0
        {
            return Err(OpenRejection::NegativeOverdraftLimit {
                limit: Money::new(minor_units, self.currency),
            });
        }
        let opened = GlEvent::Opened {
            currency: self.currency,
            normal_side: self.normal_side,
            overdraft: self.overdraft,
        };
        Ok(Decision::event(opened, ()))
    }
}

/// What a posting led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Posting {
    /// The balance after it, signed on the account's normal side.
    pub balance: Money,
    /// Its number among the account's postings, from 1.
    pub number: u64,
}

/// Posts an amount on the debit side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Debit {
    /// How much; positive, in the account's currency.
    pub amount: Money,
    /// What for; at most [`MEMO_CHARS_MAX`](crate::MEMO_CHARS_MAX) characters.
    pub memo: Option<String>,
}

impl Debit {
    /// A debit without a memo.
    #[must_use]
    pub fn new(amount: Money) -> Self {
        Self { amount, memo: None }
    }

    /// With this memo.
    #[must_use]
    pub fn memo(mut self, text: impl Into<String>) -> Self {
        self.memo = Some(text.into());
        self
    }
}

impl Command for Debit {
    type Aggregate = GlAccount;
    type Reply = Posting;
    type Rejection = PostingRejection;

    fn decide(
        &self,
        account: &GlAccount,
        _: &CommandContext,
    ) -> Result<Decision<GlEvent, Posting>, PostingRejection> {
        let (posting, memo) = post(account, Side::Debit, self.amount, self.memo.as_deref())?;
        let debited = GlEvent::Debited {
            minor_units: self.amount.minor_units(),
            memo,
        };
        Ok(Decision::event(debited, posting))
    }
}

/// Posts an amount on the credit side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credit {
    /// How much; positive, in the account's currency.
    pub amount: Money,
    /// What for; at most [`MEMO_CHARS_MAX`](crate::MEMO_CHARS_MAX) characters.
    pub memo: Option<String>,
}

impl Credit {
    /// A credit without a memo.
    #[must_use]
    pub fn new(amount: Money) -> Self {
        Self { amount, memo: None }
    }

    /// With this memo.
    #[must_use]
    pub fn memo(mut self, text: impl Into<String>) -> Self {
        self.memo = Some(text.into());
        self
    }
}

impl Command for Credit {
    type Aggregate = GlAccount;
    type Reply = Posting;
    type Rejection = PostingRejection;

    fn decide(
        &self,
        account: &GlAccount,
        _: &CommandContext,
    ) -> Result<Decision<GlEvent, Posting>, PostingRejection> {
        let (posting, memo) = post(account, Side::Credit, self.amount, self.memo.as_deref())?;
        let credited = GlEvent::Credited {
            minor_units: self.amount.minor_units(),
            memo,
        };
        Ok(Decision::event(credited, posting))
    }
}

/// The rules of a posting, the same for both sides.
fn post(
    account: &GlAccount,
    side: Side,
    amount: Money,
    memo: Option<&str>,
) -> Result<(Posting, Option<Memo>), PostingRejection> {
    check_amount(account, amount)?;
    if account.place().is_some() {
        return Err(PostingRejection::OnlyByEntry);
    }
    let memo = memo.map(Memo::new).transpose()?;
    check_limits(account, side, amount)?;
    let balance = balance_after(account, side, amount)?;
    let number = account.postings().saturating_add(1);
    Ok((Posting { balance, number }, memo))
}

/// The balance that the posting leads to; with its limits checked it fits.
fn balance_after(
    account: &GlAccount,
    side: Side,
    amount: Money,
) -> Result<Money, PostingRejection> {
    let terms = account.terms().ok_or(PostingRejection::NotOpen)?;
    let before = account.balance_on(terms.normal_side);
    let minor_units = i128::from(amount.minor_units());
    let after = if side == terms.normal_side {
        before.saturating_add(minor_units)
    } else {
        before.saturating_sub(minor_units)
    };
    let balance = Total::new(after, terms.currency);
    balance
        .to_money()
        .map_err(|_| PostingRejection::Overflow { balance })
}

/// What an account had seen when it was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClosedAccount {
    /// What was ever posted on each side; both sides are the same, or it could not be closed.
    pub turnover: Total,
    /// How many postings there were.
    pub postings: u64,
}

/// Closes an account whose balance is zero, for good.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CloseAccount;

impl Command for CloseAccount {
    type Aggregate = GlAccount;
    type Reply = ClosedAccount;
    type Rejection = CloseRejection;

    fn decide(
        &self,
        account: &GlAccount,
        _: &CommandContext,
    ) -> Result<Decision<GlEvent, ClosedAccount>, CloseRejection> {
        let terms = account.terms().ok_or(CloseRejection::NotOpen)?;
        if account.is_closed() {
            return Err(CloseRejection::AlreadyClosed);
        }
        let held = account
            .pending_on(Side::Debit)
            .saturating_add(account.pending_on(Side::Credit));
        if held != 0 {
            return Err(CloseRejection::Held {
                held: Total::new(held, terms.currency),
            });
        }
        let balance = Total::new(account.balance_on(terms.normal_side), terms.currency);
        if !balance.is_zero() {
            return Err(CloseRejection::BalanceNotZero { balance });
        }
        let closed = ClosedAccount {
            turnover: account.debits().ok_or(CloseRejection::NotOpen)?,
            postings: account.postings(),
        };
        Ok(Decision::event(GlEvent::Closed {}, closed))
    }
}
