use std::collections::BTreeMap;

use foldhouse::Table;

use super::chart::AccountKind;
use super::date::BookDate;
use super::dated_balances::{DatedBalance, balances_on, turnovers_between};
use super::days::{DayKey, DayRow};
use super::names::AccountId;
use crate::currency::Currency;
use crate::memo::Memo;
use crate::money::MoneyError;
use crate::total::Total;

/// A line of a financial statement: an account, signed on the side on which its kind grows. A contra account is below
/// zero.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatementItem {
    /// The account.
    pub account: AccountId,
    /// Its name for people.
    pub name: Option<Memo>,
    /// Its amount.
    pub amount: Total,
}

/// What was earned and what it cost from one day to another, in one currency. Closing entries do not count: they
/// would make every closed year nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IncomeStatement {
    /// The currency.
    pub currency: Currency,
    /// What was earned, by account.
    pub income: Vec<StatementItem>,
    /// What it cost, by account.
    pub expenses: Vec<StatementItem>,
    /// All that was earned.
    pub total_income: Total,
    /// All that it cost.
    pub total_expenses: Total,
    /// What is left: the profit, or the loss below zero.
    pub net: Total,
}

/// What is owned and owed at the end of a day, in one currency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BalanceSheet {
    /// The currency.
    pub currency: Currency,
    /// What is owned, by account.
    pub assets: Vec<StatementItem>,
    /// What is owed, by account.
    pub liabilities: Vec<StatementItem>,
    /// What belongs to the owners, by account.
    pub equity: Vec<StatementItem>,
    /// What was earned and is not carried forward into equity yet.
    pub current_earnings: Total,
    /// All that is owned.
    pub total_assets: Total,
    /// All that is owed.
    pub total_liabilities: Total,
    /// All that belongs to the owners, with the current earnings.
    pub total_equity: Total,
    /// Assets less liabilities and equity; zero if the books balance.
    pub difference: Total,
}

/// The income statements of a tenant from the first to the last day, one for each currency. Only accounts of the chart
/// stand in them, and those to which nothing came are left out.
///
/// # Errors
/// [`MoneyError::Overflow`] if a sum exceeds 128 bits of minor units.
pub fn income_statement(
    days: &Table<DayKey, DayRow>,
    tenant: &str,
    first: BookDate,
    last: BookDate,
) -> Result<Vec<IncomeStatement>, MoneyError> {
    let balances = turnovers_between(days, tenant, first, last);
    by_currency(&balances)
        .into_iter()
        .map(|(currency, balances)| {
            let income = section(&balances, AccountKind::Income, false);
            let expenses = section(&balances, AccountKind::Expense, false);
            let total_income = total(currency, &income)?;
            let total_expenses = total(currency, &expenses)?;
            Ok(IncomeStatement {
                currency,
                income,
                expenses,
                total_income,
                total_expenses,
                net: total_income.checked_sub(total_expenses)?,
            })
        })
        .collect()
}

/// The balance sheets of a tenant at the end of that day, one for each currency. Only accounts of the chart stand in
/// them, and those with nothing are left out.
///
/// # Errors
/// [`MoneyError::Overflow`] if a sum exceeds 128 bits of minor units.
pub fn balance_sheet(
    days: &Table<DayKey, DayRow>,
    tenant: &str,
    date: BookDate,
) -> Result<Vec<BalanceSheet>, MoneyError> {
    let balances = balances_on(days, tenant, date);
    by_currency(&balances)
        .into_iter()
        .map(|(currency, balances)| sheet(currency, &balances))
        .collect()
}

fn sheet(currency: Currency, balances: &[&DatedBalance]) -> Result<BalanceSheet, MoneyError> {
    let sum = |kind| section(balances, kind, true);
    let (assets, liabilities) = (sum(AccountKind::Asset), sum(AccountKind::Liability));
    let equity = sum(AccountKind::Equity);
    let earned = total(currency, &sum(AccountKind::Income))?;
    let current_earnings = earned.checked_sub(total(currency, &sum(AccountKind::Expense))?)?;
    let total_assets = total(currency, &assets)?;
    let total_liabilities = total(currency, &liabilities)?;
    let total_equity = total(currency, &equity)?.checked_add(current_earnings)?;
    let claims = total_liabilities.checked_add(total_equity)?;
    Ok(BalanceSheet {
        currency,
        assets,
        liabilities,
        equity,
        current_earnings,
        total_assets,
        total_liabilities,
        total_equity,
        difference: total_assets.checked_sub(claims)?,
    })
}

fn by_currency(balances: &[DatedBalance]) -> BTreeMap<Currency, Vec<&DatedBalance>> {
    let mut currencies: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for balance in balances
        .iter()
        .filter(|balance| balance.chart.kind.is_some())
    {
        let of_currency = currencies.entry(balance.chart.currency).or_default();
        of_currency.push(balance);
    }
    currencies
}

fn section(
    balances: &[&DatedBalance],
    kind: AccountKind,
    with_closing: bool,
) -> Vec<StatementItem> {
    let side = kind.normal_side();
    let of_kind = balances
        .iter()
        .filter(|balance| balance.chart.kind == Some(kind));
    let items = of_kind.map(|balance| {
        let all = balance.turnover.balance_on(side);
        let minor_units = if with_closing {
            all
        } else {
            all.saturating_sub(balance.closing.balance_on(side))
        };
        StatementItem {
            account: balance.account.clone(),
            name: balance.chart.name.clone(),
            amount: Total::new(minor_units, balance.chart.currency),
        }
    });
    items.filter(|item| !item.amount.is_zero()).collect()
}

fn total(currency: Currency, items: &[StatementItem]) -> Result<Total, MoneyError> {
    let amounts = items.iter().map(|item| item.amount);
    amounts
        .into_iter()
        .try_fold(Total::zero(currency), Total::checked_add)
}
