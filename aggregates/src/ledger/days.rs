use foldhouse::{Projection, ProjectionError, RecordedEvent, Table, decode_event};
use serde::{Deserialize, Serialize};

use super::account::GlAccount;
use super::balances::AccountBalance;
use super::chart::AccountKind;
use super::date::BookDate;
use super::entry::EntryKind;
use super::events::GlEvent;
use super::journal_entry::{EntryEvent, JournalEntry};
use super::names::AccountId;
use super::terms::Side;
use crate::currency::Currency;
use crate::memo::Memo;

/// The read model of what came to each account on each day. It answers for the balances of any date
/// ([`balances_on`](crate::balances_on)), and all statements are made of it.
///
/// What is posted counts on the entry's date, what is held on the hold's, and what is given back on the day on which
/// it was given back. There is a row for each account, and one for each day on which something came to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LedgerDays;

/// What a row of [`LedgerDays`] is about. Persisted with its field names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DayKey {
    /// The tenant.
    pub tenant: Box<str>,
    /// The account.
    pub account: AccountId,
    /// The day; none for the account itself, which comes first.
    pub day: Option<BookDate>,
    /// Whether it is of closing entries, which the income statement passes over.
    pub closing: bool,
}

/// A row of [`LedgerDays`]. Persisted with its names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DayRow {
    /// An account.
    Account(ChartRow),
    /// What came to it on a day.
    Day(Turnover),
}

/// An account as the chart shows it. Persisted with its field names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChartRow {
    /// Its currency.
    pub currency: Currency,
    /// The side on which its balance counts as positive.
    pub normal_side: Side,
    /// What it stands for; none for one that was opened beside any chart.
    pub kind: Option<AccountKind>,
    /// Its name for people.
    pub name: Option<Memo>,
    /// The account that it is summed up under.
    pub parent: Option<AccountId>,
    /// Whether it only sums up the accounts below it.
    pub control: bool,
    /// Whether it is closed.
    pub closed: bool,
}

/// What came to each side of an account, in minor units. Persisted with its field names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turnover {
    /// Posted on the debit side.
    pub debits: i128,
    /// Posted on the credit side.
    pub credits: i128,
    /// Held on the debit side, less what was given back.
    pub debits_pending: i128,
    /// Held on the credit side, less what was given back.
    pub credits_pending: i128,
}

impl Turnover {
    /// What that side has more than the other, posted.
    #[must_use]
    pub fn balance_on(&self, side: Side) -> i128 {
        match side {
            Side::Debit => self.debits.saturating_sub(self.credits),
            Side::Credit => self.credits.saturating_sub(self.debits),
        }
    }

    /// Takes another one in. 2^64 amounts of 63 bits stay within 128 bits: this never saturates.
    pub(super) fn add(&mut self, other: &Self) {
        self.debits = self.debits.saturating_add(other.debits);
        self.credits = self.credits.saturating_add(other.credits);
        self.debits_pending = self.debits_pending.saturating_add(other.debits_pending);
        self.credits_pending = self.credits_pending.saturating_add(other.credits_pending);
    }

    pub(super) fn posted(side: Side, minor_units: i64) -> Self {
        let mut turnover = Self::default();
        match side {
            Side::Debit => turnover.debits = minor_units.into(),
            Side::Credit => turnover.credits = minor_units.into(),
        }
        turnover
    }

    fn held(side: Side, minor_units: i128) -> Self {
        let mut turnover = Self::default();
        match side {
            Side::Debit => turnover.debits_pending = minor_units,
            Side::Credit => turnover.credits_pending = minor_units,
        }
        turnover
    }
}

impl ChartRow {
    /// The account's balance row with that turnover.
    pub(super) fn with(&self, turnover: &Turnover) -> AccountBalance {
        AccountBalance {
            debits: turnover.debits,
            credits: turnover.credits,
            closed: self.closed,
            debits_pending: turnover.debits_pending,
            credits_pending: turnover.credits_pending,
            ..AccountBalance::new(self.currency, self.normal_side)
        }
    }
}

type DayTable = Table<DayKey, DayRow>;

impl Projection for LedgerDays {
    const NAME: &'static str = "gl-days";
    type Key = DayKey;
    type Row = DayRow;

    fn apply(&self, event: &RecordedEvent, table: &mut DayTable) -> Result<(), ProjectionError> {
        let tenant = event.stream.tenant();
        if let Some(decoded) = decode_event::<JournalEntry>(event) {
            if let EntryEvent::Posted { entry } = decoded? {
                let closing = entry.kind == EntryKind::Closing;
                for line in &entry.lines {
                    let turnover = Turnover::posted(line.side, line.amount.minor_units());
                    let key = DayKey {
                        tenant: tenant.into(),
                        account: line.account.clone(),
                        day: Some(entry.date),
                        closing,
                    };
                    add(table, key, turnover);
                }
            }
        } else if let Some(decoded) = decode_event::<GlAccount>(event) {
            let account = DayKey {
                tenant: tenant.into(),
                account: event.stream.aggregate_id().into(),
                day: None,
                closing: false,
            };
            apply_account(table, account, &decoded?, BookDate::of(event.effective_at));
        }
        Ok(())
    }
}

fn apply_account(table: &mut DayTable, account: DayKey, event: &GlEvent, day: BookDate) {
    let turnover = match event {
        GlEvent::Opened {
            currency,
            normal_side,
            ..
        } => {
            let row = ChartRow {
                currency: *currency,
                normal_side: *normal_side,
                kind: None,
                name: None,
                parent: None,
                control: false,
                closed: false,
            };
            table.insert(account, DayRow::Account(row));
            return;
        }
        GlEvent::Charted(place) => {
            table.change(&account, |row| {
                if let DayRow::Account(row) = row {
                    row.kind = Some(place.kind);
                    row.name.clone_from(&place.name);
                    row.parent.clone_from(&place.parent);
                    row.control = place.control;
                }
            });
            return;
        }
        GlEvent::Closed {} => {
            table.change(&account, |row| {
                if let DayRow::Account(row) = row {
                    row.closed = true;
                }
            });
            return;
        }
        GlEvent::Debited { minor_units, .. } => Turnover::posted(Side::Debit, *minor_units),
        GlEvent::Credited { minor_units, .. } => Turnover::posted(Side::Credit, *minor_units),
        GlEvent::LineHeld {
            side, minor_units, ..
        } => Turnover::held(*side, (*minor_units).into()),
        GlEvent::LineReleased {
            side, minor_units, ..
        } => Turnover::held(*side, i128::from(*minor_units).saturating_neg()),
        // The entry has it, and knows whether it is a closing one.
        GlEvent::LinePosted { .. } => return,
    };
    let day = Some(day);
    add(table, DayKey { day, ..account }, turnover);
}

fn add(table: &mut DayTable, key: DayKey, turnover: Turnover) {
    let added = table.change(&key, |row| {
        if let DayRow::Day(day) = row {
            day.add(&turnover);
        }
    });
    if added.is_none() {
        table.insert(key, DayRow::Day(turnover));
    }
}
