use std::collections::BTreeMap;

use foldhouse::Table;

use super::date::BookDate;
use super::days::{ChartRow, DayKey, DayRow, Turnover};
use super::names::AccountId;
use super::trial_balance::TrialBalance;
use crate::money::MoneyError;
use crate::total::Total;

/// What an account has, or what came to it, by the entries of some days.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatedBalance {
    /// The account.
    pub account: AccountId,
    /// The account as the chart shows it.
    pub chart: ChartRow,
    /// What came to each side, closing entries included.
    pub turnover: Turnover,
    /// What of it came by closing entries.
    pub closing: Turnover,
}

impl DatedBalance {
    /// The balance, signed on the account's normal side.
    #[must_use]
    pub fn balance(&self) -> Total {
        self.chart.with(&self.turnover).balance()
    }
}

/// What every account of a tenant had at the end of that day. It reads every row of the tenant.
pub fn balances_on(
    days: &Table<DayKey, DayRow>,
    tenant: &str,
    date: BookDate,
) -> Vec<DatedBalance> {
    balances_between(days, tenant, None, date)
}

/// What came to every account of a tenant from the first to the last day. It reads every row of the tenant.
pub fn turnovers_between(
    days: &Table<DayKey, DayRow>,
    tenant: &str,
    first: BookDate,
    last: BookDate,
) -> Vec<DatedBalance> {
    balances_between(days, tenant, Some(first), last)
}

fn balances_between(
    days: &Table<DayKey, DayRow>,
    tenant: &str,
    first: Option<BookDate>,
    last: BookDate,
) -> Vec<DatedBalance> {
    let begin = DayKey {
        tenant: tenant.into(),
        account: AccountId::new(""),
        day: None,
        closing: false,
    };
    let rows = days.range(begin..);
    let mut balances: Vec<DatedBalance> = Vec::new();
    for (key, row) in rows.take_while(|(key, _)| *key.tenant == *tenant) {
        match row {
            DayRow::Account(chart) => balances.push(DatedBalance {
                account: key.account.clone(),
                chart: chart.clone(),
                turnover: Turnover::default(),
                closing: Turnover::default(),
            }),
            DayRow::Day(day) if key.day >= first && key.day <= Some(last) => {
                // An account stands before its days.
                let Some(balance) = balances.last_mut() else {
                    continue;
                };
                balance.turnover.add(day);
                if key.closing {
                    balance.closing.add(day);
                }
            }
            DayRow::Day(_) => {}
        }
    }
    balances
}

/// The same with what stands below each account added to it: what control accounts show. An account in another
/// currency than the one above it is not added to that.
#[must_use]
pub fn rolled_up(balances: &[DatedBalance]) -> Vec<DatedBalance> {
    let mut sums: BTreeMap<AccountId, DatedBalance> = balances
        .iter()
        .map(|balance| (balance.account.clone(), balance.clone()))
        .collect();
    for balance in balances {
        let mut parent = balance.chart.parent.clone();
        // A parent is there before its children and never changes, so there is no circle; the bound is for a foreign
        // history.
        for _ in 0..balances.len() {
            let Some(above) = parent.and_then(|id| sums.get_mut(&id)) else {
                break;
            };
            if above.chart.currency == balance.chart.currency {
                above.turnover.add(&balance.turnover);
                above.closing.add(&balance.closing);
            }
            parent = above.chart.parent.clone();
        }
    }
    sums.into_values().collect()
}

/// The trial balance at the end of that day.
///
/// # Errors
/// [`MoneyError::Overflow`] if a sum exceeds 128 bits of minor units.
pub fn trial_balance_on(
    days: &Table<DayKey, DayRow>,
    tenant: &str,
    date: BookDate,
) -> Result<TrialBalance, MoneyError> {
    let balances = balances_on(days, tenant, date).into_iter();
    TrialBalance::of(balances.map(|balance| {
        let row = balance.chart.with(&balance.turnover);
        (balance.account.as_str().to_owned(), row)
    }))
}
