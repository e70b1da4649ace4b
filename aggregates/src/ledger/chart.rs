use std::fmt;

use foldhouse::{Command, CommandContext, Decided, Decision, IdempotentCommand};
use serde::{Deserialize, Serialize};

use super::account::GlAccount;
use super::events::GlEvent;
use super::names::AccountId;
use super::rejections::OpenRejection;
use super::terms::{OverdraftPolicy, Side};
use crate::currency::Currency;
use crate::memo::Memo;
use crate::money::Money;

/// What an account stands for: the five types of account that every chart has.
///
/// The variant names are persisted: they never change and never change their meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum AccountKind {
    /// What is owned or owed by others: cash, receivables, stock.
    Asset,
    /// What is owed to others: payables, loans, customers' deposits.
    Liability,
    /// What belongs to the owners: capital, retained earnings.
    Equity,
    /// What was earned.
    Income,
    /// What it cost.
    Expense,
}

impl AccountKind {
    /// The side on which such an account grows: debit for assets and expenses, credit for the rest.
    #[must_use]
    pub const fn normal_side(self) -> Side {
        match self {
            Self::Asset | Self::Expense => Side::Debit,
            Self::Liability | Self::Equity | Self::Income => Side::Credit,
        }
    }

    /// Whether it belongs to the income statement, and is carried forward at the end of the year. The others stand in
    /// the balance sheet.
    #[must_use]
    pub const fn is_of_income_statement(self) -> bool {
        matches!(self, Self::Income | Self::Expense)
    }
}

impl fmt::Display for AccountKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Asset => "asset",
            Self::Liability => "liability",
            Self::Equity => "equity",
            Self::Income => "income",
            Self::Expense => "expense",
        })
    }
}

/// The place of an account in the chart of accounts. Persisted with its field names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChartPlace {
    /// What it stands for.
    pub kind: AccountKind,
    /// Its name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Memo>,
    /// The account that it is summed up under.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<AccountId>,
    /// Whether it only sums up the accounts below it and takes no postings itself.
    #[serde(default)]
    pub control: bool,
    /// The highest balance on the normal side, in minor units: the credit limit of a customer's account, say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub balance_max: Option<i64>,
}

/// Opens an account with a place in the chart of accounts. It takes the lines of journal entries and nothing else, so
/// that every posting to it has its other side.
///
/// Without further words it may go to either side without limit, as accounts do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AddAccount {
    currency: Currency,
    kind: AccountKind,
    normal_side: Side,
    name: Option<String>,
    parent: Option<AccountId>,
    control: bool,
    overdraft: OverdraftPolicy,
    balance_max: Option<i64>,
}

impl AddAccount {
    /// An account of that kind, which grows on the kind's normal side.
    #[must_use]
    pub fn new(currency: Currency, kind: AccountKind) -> Self {
        Self {
            currency,
            kind,
            normal_side: kind.normal_side(),
            name: None,
            parent: None,
            control: false,
            overdraft: OverdraftPolicy::Unlimited,
            balance_max: None,
        }
    }

    /// With this name; at most [`MEMO_CHARS_MAX`](crate::MEMO_CHARS_MAX) characters.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Summed up under this account.
    #[must_use]
    pub fn parent(mut self, parent: impl Into<AccountId>) -> Self {
        self.parent = Some(parent.into());
        self
    }

    /// A control account: it sums up the accounts below it, and nothing is posted to it directly.
    #[must_use]
    pub fn control(mut self) -> Self {
        self.control = true;
        self
    }

    /// A contra account: it grows on the other side than its kind, as accumulated depreciation does among the assets.
    #[must_use]
    pub fn contra(mut self) -> Self {
        self.normal_side = self.kind.normal_side().opposite();
        self
    }

    /// It may never have more on that side than on the other: cash may not go credit, a customer's deposit not debit
    /// (TigerBeetle's `credits_must_not_exceed_debits` and `debits_must_not_exceed_credits`).
    #[must_use]
    pub fn may_not_go(mut self, side: Side) -> Self {
        if side == self.normal_side {
            self.balance_max = Some(0);
        } else {
            self.overdraft = OverdraftPolicy::Forbidden;
        }
        self
    }

    /// How far its balance may go below zero.
    #[must_use]
    pub fn overdraft(mut self, policy: OverdraftPolicy) -> Self {
        self.overdraft = policy;
        self
    }

    /// The highest balance that it may have on its normal side, in minor units: a credit limit. What is held for it
    /// counts.
    #[must_use]
    pub fn balance_max(mut self, minor_units: i64) -> Self {
        self.balance_max = Some(minor_units);
        self
    }

    /// The account that it is to be summed up under.
    pub(super) fn parent_id(&self) -> Option<&AccountId> {
        self.parent.as_ref()
    }

    pub(super) fn kind(&self) -> AccountKind {
        self.kind
    }
}

impl Command for AddAccount {
    type Aggregate = GlAccount;
    type Reply = ();
    type Rejection = OpenRejection;

    fn decide(&self, account: &GlAccount, _: &CommandContext) -> Decided<Self> {
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
        if let Some(minor_units) = self.balance_max
            && minor_units < 0
        {
            return Err(OpenRejection::NegativeBalanceMax {
                limit: Money::new(minor_units, self.currency),
            });
        }
        let opened = GlEvent::Opened {
            currency: self.currency,
            normal_side: self.normal_side,
            overdraft: self.overdraft,
        };
        let charted = GlEvent::Charted(Box::new(ChartPlace {
            kind: self.kind,
            name: self.name.as_deref().map(Memo::new).transpose()?,
            parent: self.parent.clone(),
            control: self.control,
            balance_max: self.balance_max,
        }));
        Ok(Decision::events([opened, charted], ()))
    }
}

impl IdempotentCommand for AddAccount {
    const NAME: &'static str = "add-account";
}

/// Why an account cannot be summed up under another one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParentRejection {
    /// There is no such account, or it has no place in the chart, or it was closed.
    #[error("the parent account {parent} is not an open account of the chart; add it first")]
    NotInChart {
        /// The parent.
        parent: AccountId,
    },
    /// It is of another kind, so the sum would mean nothing.
    #[error(
        "the parent account {parent} is of kind {parent_kind}, not {kind}; take one of the same kind"
    )]
    OtherKind {
        /// The parent.
        parent: AccountId,
        /// Its kind.
        parent_kind: AccountKind,
        /// The account's kind.
        kind: AccountKind,
    },
}

/// Whether an account of that kind can stand below `parent`.
pub(super) fn check_parent(
    parent: &AccountId,
    kind: AccountKind,
    account: &GlAccount,
) -> Result<(), ParentRejection> {
    match account.place() {
        Some(place) if account.is_open() && place.kind == kind => Ok(()),
        Some(place) if account.is_open() => Err(ParentRejection::OtherKind {
            parent: parent.clone(),
            parent_kind: place.kind,
            kind,
        }),
        _ => Err(ParentRejection::NotInChart {
            parent: parent.clone(),
        }),
    }
}
