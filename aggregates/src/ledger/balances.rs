use foldhouse::{Projection, ProjectionError, RecordedEvent, StreamId, Table, decode_event};
use serde::{Deserialize, Serialize};

use super::account::GlAccount;
use super::events::GlEvent;
use super::terms::Side;
use crate::currency::Currency;
use crate::total::Total;

/// The read model of balances: a row for each account of every tenant, by the account's stream.
///
/// [`TrialBalance::of`](crate::TrialBalance::of) makes the trial balance of its rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Balances;

impl Projection for Balances {
    const NAME: &'static str = "gl-balances";
    // 2: with what is held.
    const MODEL_VERSION: u32 = 2;
    type Key = StreamId;
    type Row = AccountBalance;

    fn apply(
        &self,
        event: &RecordedEvent,
        table: &mut Table<StreamId, AccountBalance>,
    ) -> Result<(), ProjectionError> {
        let Some(decoded) = decode_event::<GlAccount>(event) else {
            return Ok(());
        };
        let decoded = decoded?;
        let changed = table.change(&event.stream, |row| row.apply(&decoded));
        if changed.is_none()
            && let Some(row) = AccountBalance::fold(None, &decoded)
        {
            table.insert(event.stream.clone(), row);
        }
        Ok(())
    }
}

/// The row of the balances read model: what one account has on each side, posted and pending.
///
/// Persisted with its field names; a change of its shape needs a new version of the read model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountBalance {
    /// The account's currency.
    pub currency: Currency,
    /// The side on which its balance counts as positive.
    pub normal_side: Side,
    /// What was ever posted on the debit side, in minor units.
    pub debits: i128,
    /// What was ever posted on the credit side, in minor units.
    pub credits: i128,
    /// Whether the account is closed.
    pub closed: bool,
    /// What is held on the debit side and not posted yet, in minor units.
    #[serde(default)]
    pub debits_pending: i128,
    /// What is held on the credit side and not posted yet, in minor units.
    #[serde(default)]
    pub credits_pending: i128,
}

impl AccountBalance {
    /// The row of an account that has just been opened.
    #[must_use]
    pub fn new(currency: Currency, normal_side: Side) -> Self {
        Self {
            currency,
            normal_side,
            debits: 0,
            credits: 0,
            closed: false,
            debits_pending: 0,
            credits_pending: 0,
        }
    }

    /// What the account has now; `None` before it is opened.
    #[must_use]
    pub fn of(account: &GlAccount) -> Option<Self> {
        Some(Self {
            currency: account.currency()?,
            normal_side: account.normal_side()?,
            debits: account.debits()?.minor_units(),
            credits: account.credits()?.minor_units(),
            closed: account.is_closed(),
            debits_pending: account.pending_on(Side::Debit),
            credits_pending: account.pending_on(Side::Credit),
        })
    }

    /// The row after `event`, given the row before it. There is none before the account is opened: without a currency
    /// a posting has no value, so events before that (no account has any) leave no row.
    #[must_use]
    pub fn fold(row: Option<Self>, event: &GlEvent) -> Option<Self> {
        match (row, event) {
            (Some(mut row), event) => {
                row.apply(event);
                Some(row)
            }
            (
                None,
                GlEvent::Opened {
                    currency,
                    normal_side,
                    ..
                },
            ) => Some(Self::new(*currency, *normal_side)),
            (None, _) => None,
        }
    }

    /// Takes one more event of the account in.
    pub fn apply(&mut self, event: &GlEvent) {
        match event {
            GlEvent::Opened {
                currency,
                normal_side,
                ..
            } => {
                self.currency = *currency;
                self.normal_side = *normal_side;
            }
            // 2^64 postings of less than 2^63 stay within 128 bits: this never saturates.
            GlEvent::Debited { minor_units, .. } => {
                self.debits = self.debits.saturating_add((*minor_units).into());
            }
            GlEvent::Credited { minor_units, .. } => {
                self.credits = self.credits.saturating_add((*minor_units).into());
            }
            GlEvent::Closed {} => self.closed = true,
            GlEvent::Charted(_) => {}
            GlEvent::LinePosted {
                side, minor_units, ..
            } => {
                let posted = match side {
                    Side::Debit => &mut self.debits,
                    Side::Credit => &mut self.credits,
                };
                *posted = posted.saturating_add((*minor_units).into());
            }
            GlEvent::LineHeld {
                side, minor_units, ..
            } => {
                let pending = self.pending_mut(*side);
                *pending = pending.saturating_add((*minor_units).into());
            }
            GlEvent::LineReleased {
                side, minor_units, ..
            } => {
                let pending = self.pending_mut(*side);
                *pending = pending.saturating_sub((*minor_units).into());
            }
        }
    }

    fn pending_mut(&mut self, side: Side) -> &mut i128 {
        match side {
            Side::Debit => &mut self.debits_pending,
            Side::Credit => &mut self.credits_pending,
        }
    }

    /// The balance less what is held on the side that lowers it: what can be spent. What is held on the other side
    /// has not come yet and does not count.
    #[must_use]
    pub fn available(&self) -> Total {
        let held = match self.normal_side {
            Side::Debit => self.credits_pending,
            Side::Credit => self.debits_pending,
        };
        let left = self.balance().minor_units().saturating_sub(held);
        Total::new(left, self.currency)
    }

    /// The balance, signed on the account's normal side.
    #[must_use]
    pub fn balance(&self) -> Total {
        let minor_units = match self.normal_side {
            Side::Debit => self.debits.saturating_sub(self.credits),
            Side::Credit => self.credits.saturating_sub(self.debits),
        };
        Total::new(minor_units, self.currency)
    }
}
