use std::collections::BTreeMap;

use foldhouse::Table;

use super::account_lines::{LineKey, LineRow, lines_until};
use super::date::BookDate;
use super::names::AccountId;
use super::terms::Side;

/// What is still open of a document on an account, an invoice that is not paid in full say.
///
/// The lines of a document are those whose entries have it as their first reference; lines without a reference stand
/// together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenItem {
    /// The document.
    pub reference: Option<String>,
    /// The day of its first line.
    pub since: BookDate,
    /// How many days ago that was.
    pub age_days: i64,
    /// What is open, in minor units of the account's currency, more on the side that was asked for; below zero it was
    /// overpaid.
    pub open: i128,
}

/// How much is open by age: the columns of an aged list of receivables or payables, in minor units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AgedTotals {
    /// Up to 30 days old.
    pub days_0_to_30: i128,
    /// 31 to 60 days old.
    pub days_31_to_60: i128,
    /// 61 to 90 days old.
    pub days_61_to_90: i128,
    /// Older.
    pub over_90_days: i128,
}

/// The documents that were open on an account at the end of that day, the oldest first. `side` is where they come up:
/// debit for receivables, credit for payables.
pub fn open_items(
    lines: &Table<LineKey, LineRow>,
    tenant: &str,
    account: &AccountId,
    side: Side,
    date: BookDate,
) -> Vec<OpenItem> {
    let mut items: BTreeMap<Option<&str>, (BookDate, i128)> = BTreeMap::new();
    for (key, line) in lines_until(lines, tenant, account, date) {
        let item = items.entry(line.reference.as_deref());
        let (_, open) = item.or_insert((key.date, 0));
        let amount = i128::from(line.amount.minor_units());
        *open = if line.side == side {
            open.saturating_add(amount)
        } else {
            open.saturating_sub(amount)
        };
    }
    let open = items.into_iter().filter(|(_, (_, open))| *open != 0);
    let mut open: Vec<_> = open
        .map(|(reference, (since, open))| OpenItem {
            reference: reference.map(str::to_owned),
            since,
            age_days: date.days_since(since),
            open,
        })
        .collect();
    open.sort_by(|a, b| (a.since, &a.reference).cmp(&(b.since, &b.reference)));
    open
}

/// The open items by age.
#[must_use]
pub fn aged(items: &[OpenItem]) -> AgedTotals {
    let mut totals = AgedTotals::default();
    for item in items {
        let column = match item.age_days {
            ..=30 => &mut totals.days_0_to_30,
            31..=60 => &mut totals.days_31_to_60,
            61..=90 => &mut totals.days_61_to_90,
            _ => &mut totals.over_90_days,
        };
        *column = column.saturating_add(item.open);
    }
    totals
}
