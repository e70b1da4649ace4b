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

/// The row of the balances read model: what one account has on each side.
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
        }
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
        }
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
