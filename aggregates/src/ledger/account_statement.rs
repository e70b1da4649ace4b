use foldhouse::Table;

use super::account_lines::{LineKey, LineRow, PostedLine, lines_until};
use super::date::BookDate;
use super::days::{ChartRow, DayKey, DayRow, Turnover};
use super::names::AccountId;
use crate::total::Total;

/// What came to an account from one day to another, line by line with the balance after each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountStatement {
    /// The account.
    pub account: AccountId,
    /// The account as the chart shows it.
    pub chart: ChartRow,
    /// The balance before the first day, signed on the normal side as all here.
    pub opening: Total,
    /// The lines, by date and entry number.
    pub lines: Vec<StatementLine>,
    /// What came to the debit side.
    pub debits: Total,
    /// What came to the credit side.
    pub credits: Total,
    /// The balance at the end of the last day.
    pub closing: Total,
}

/// A line of an [`AccountStatement`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatementLine {
    /// The day on which it counts.
    pub date: BookDate,
    /// The number of its entry.
    pub number: u64,
    /// The line as it was posted.
    pub line: PostedLine,
    /// The account's balance after it, in the order of the statement.
    pub balance: Total,
}

/// The statement of an account of the chart from the first to the last day; `None` if there is no such account.
///
/// Read both tables when they have come to the same position, or the newest lines may be missing.
pub fn account_statement(
    days: &Table<DayKey, DayRow>,
    lines: &Table<LineKey, LineRow>,
    tenant: &str,
    account: &AccountId,
    first: BookDate,
    last: BookDate,
) -> Option<AccountStatement> {
    let key = DayKey {
        tenant: tenant.into(),
        account: account.clone(),
        day: None,
        closing: false,
    };
    let Some(DayRow::Account(chart)) = days.get(&key) else {
        return None;
    };
    let balance = |turnover: &Turnover| chart.with(turnover).balance();
    let mut statement = AccountStatement {
        account: account.clone(),
        chart: chart.clone(),
        opening: Total::zero(chart.currency),
        lines: Vec::new(),
        debits: Total::zero(chart.currency),
        credits: Total::zero(chart.currency),
        closing: Total::zero(chart.currency),
    };
    let mut before = Turnover::default();
    let mut within = Turnover::default();
    for (key, line) in lines_until(lines, tenant, account, last) {
        let posted = Turnover::posted(line.side, line.amount.minor_units());
        if key.date < first {
            before.add(&posted);
            continue;
        }
        within.add(&posted);
        let mut all = before;
        all.add(&within);
        statement.lines.push(StatementLine {
            date: key.date,
            number: key.number,
            line: line.clone(),
            balance: balance(&all),
        });
    }
    statement.opening = balance(&before);
    statement.debits = Total::new(within.debits, chart.currency);
    statement.credits = Total::new(within.credits, chart.currency);
    before.add(&within);
    statement.closing = balance(&before);
    Some(statement)
}

/// The general ledger report: the statements of all accounts of a tenant that have a balance or a line, by account.
pub fn general_ledger_report(
    days: &Table<DayKey, DayRow>,
    lines: &Table<LineKey, LineRow>,
    tenant: &str,
    first: BookDate,
    last: BookDate,
) -> Vec<AccountStatement> {
    let begin = DayKey {
        tenant: tenant.into(),
        account: AccountId::new(""),
        day: None,
        closing: false,
    };
    let rows = days.range(begin..);
    rows.take_while(|(key, _)| *key.tenant == *tenant)
        .filter(|(_, row)| matches!(row, DayRow::Account(_)))
        .filter_map(|(key, _)| account_statement(days, lines, tenant, &key.account, first, last))
        .filter(|statement| !statement.lines.is_empty() || !statement.opening.is_zero())
        .collect()
}
