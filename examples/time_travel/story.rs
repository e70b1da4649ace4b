use std::fmt::Write;

use foldhouse::{AggregateRef, AsOf, HistoryQuery, Timestamp};
use foldhouse_aggregates::GlAccount;
use foldhouse_examples::{Failure, fail};

use crate::books::{Account, Books};

/// How many lines of a statement are told.
const LINES: usize = 8;

/// A statement of one account by value date, what makes up its balance, and what became known late.
pub(crate) async fn tell(
    books: &Books,
    customers: &[AggregateRef<GlAccount>],
) -> Result<String, Failure> {
    let accounts = books.accounts.iter().zip(customers);
    // The one with most to tell.
    let most = accounts.max_by_key(|(books, _)| books.rows.len());
    let Some((account, handle)) = most else {
        return Ok(String::new());
    };
    let mut story = String::new();
    statement(&mut story, account, handle).await?;
    explanation(&mut story, account, handle).await?;
    what_came_late(&mut story, account, handle).await?;
    Ok(story)
}

fn balance(account: &GlAccount) -> Option<foldhouse_aggregates::Money> {
    account.balance()
}

fn shown(balance: Option<foldhouse_aggregates::Money>) -> String {
    balance.map_or_else(|| "not open".to_owned(), |money| money.to_string())
}

fn day(at: Timestamp) -> String {
    at.to_string().chars().take(10).collect()
}

async fn statement(
    story: &mut String,
    account: &Account,
    handle: &AggregateRef<GlAccount>,
) -> Result<(), Failure> {
    let mut moments: Vec<_> = account.rows.iter().map(|row| row.effective_at).collect();
    moments.sort_unstable();
    let last = moments.last().copied().unwrap_or_default();
    let first = moments
        .iter()
        .rev()
        .nth(LINES)
        .copied()
        .unwrap_or(account.opened_at);
    let (from, to) = (AsOf::Effective(first), AsOf::Effective(last));
    let query = HistoryQuery::between(from, to).limit(LINES);
    let page = handle.past().history(&query, balance).await.map_err(fail)?;
    let mut line = |text: String| writeln!(story, "{text}").map_err(fail);
    line(format!(
        "Account {}: the last {LINES} postings by the day on which they count",
        account.id
    ))?;
    line(format!(
        "  {:<58} {:>16}",
        "opening balance",
        shown(page.opening)
    ))?;
    for change in &page.changes {
        let event = &change.event;
        let late = event.recorded_at.unix_micros() - event.effective_at.unix_micros();
        line(format!(
            "  {} {:<9} version {:<4} {:<18} {:<11} {:>16}",
            day(event.effective_at),
            event.event_type,
            event.version.get(),
            event.user.as_deref().unwrap_or_default(),
            if late > 0 { "" } else { "ahead" },
            shown(change.after),
        ))?;
    }
    line(format!(
        "  {:<58} {:>16}\n",
        "closing balance",
        shown(page.closing)
    ))
}

async fn explanation(
    story: &mut String,
    account: &Account,
    handle: &AggregateRef<GlAccount>,
) -> Result<(), Failure> {
    // How often it was overdrawn is a figure, too.
    let is_overdrawn =
        |account: &GlAccount| balance(account).is_some_and(|money| money.minor_units() < 0);
    let query = HistoryQuery::between(AsOf::BEGINNING, AsOf::Now);
    let changes = handle
        .past()
        .explain(&query, is_overdrawn)
        .await
        .map_err(fail)?;
    let figure = handle.past().explain(&query, balance).await.map_err(fail)?;
    let evidence = handle.past().evidence(AsOf::Now).await.map_err(fail)?;
    let mut line = |text: String| writeln!(story, "{text}").map_err(fail);
    line(format!(
        "Its balance of {} is made up of {} events; it went below zero or back {} times",
        shown(figure.closing),
        figure.changes.len(),
        changes.changes.len(),
    ))?;
    line(format!("  account {}, evidence: {evidence}\n", account.id))
}

/// What the books said half way through, and what they say now of the same day.
async fn what_came_late(
    story: &mut String,
    account: &Account,
    handle: &AggregateRef<GlAccount>,
) -> Result<(), Failure> {
    let past = handle.past();
    let half = foldhouse::Version::new(account.rows.len() as u64 / 2);
    let query = HistoryQuery::between(AsOf::BEGINNING, AsOf::Version(half));
    let page = past.history(&query, |_| ()).await.map_err(fail)?;
    let Some(last) = page.changes.last() else {
        return Ok(());
    };
    let (recorded, effective) = (last.event.recorded_at, last.event.effective_at);
    let then = AsOf::Bitemporal {
        recorded,
        effective,
    };
    let now = AsOf::Effective(effective);
    let compared = past.compare(then, now).await.map_err(fail)?;
    let query = HistoryQuery::between(then, now);
    let late = past.history(&query, balance).await.map_err(fail)?;
    let mut line = |text: String| writeln!(story, "{text}").map_err(fail);
    line(format!(
        "On {} the books had {} for that day when version {half} was recorded; now they have {}",
        day(effective),
        shown(balance(&compared.before.state)),
        shown(balance(&compared.after.state)),
    ))?;
    for difference in &compared.differences.fields {
        line(format!("  {difference}"))?;
    }
    line(format!(
        "  {} events were recorded after that and count by then\n",
        late.changes.len()
    ))
}
