use std::collections::BTreeMap;
use std::time::Duration;

use foldhouse::ProjectionRef;

use super::balancing::ATTEMPTS_MAX;
use super::book::GlBook;
use super::date::BookDate;
use super::dated_balances::{DatedBalance, balances_on};
use super::days::LedgerDays;
use super::entry::{ENTRY_LINES_MAX, Entry, EntryKind, EntryLine};
use super::general_ledger::{Ledger, once_id};
use super::ledger_error::{LedgerError, Moved};
use super::names::{AccountId, EntryId};
use super::period::{PeriodRejection, PeriodStatus};
use super::posting::{Posted, Writing};
use super::terms::Side;
use crate::money::Money;
use crate::total::Total;

/// How long the read model may take to come up to the last event.
const CATCH_UP_MAX: Duration = Duration::from_secs(60);

impl Ledger {
    /// Carries what income and expense accounts have at the end of that day, the last of a fiscal year, forward into
    /// retained earnings: they stand at zero then, and the new year begins from there. Then close its periods for good.
    ///
    /// All fiscal periods up to that day must be soft-closed or closed, so that nothing is posted into them beside it;
    /// its own entries override the soft close. Only accounts in the currency of `retained` are carried forward. More
    /// accounts than fit one entry take several, with `:2`, `:3` and so on behind the id. Called again it posts what
    /// has come since, and nothing if nothing has.
    ///
    /// # Errors
    /// [`LedgerError::Book`] if a period is still open or the day is in none, [`LedgerError::Behind`] if the read model
    /// does not come up in a minute; otherwise as for [`Ledger::post`].
    pub async fn carry_forward(
        &self,
        days: &ProjectionRef<LedgerDays>,
        id: impl Into<EntryId>,
        year_end: BookDate,
        retained: impl Into<AccountId>,
    ) -> Result<Vec<Posted>, LedgerError> {
        let (id, retained) = (id.into(), retained.into());
        let mut posted = Vec::new();
        let mut moved = 0_u32;
        let mut part = 1_u32;
        while moved < ATTEMPTS_MAX {
            let id = match part {
                1 => id.clone(),
                _ => EntryId::new(format!("{id}:{part}")),
            };
            let handle = self.entry(&id)?;
            if handle.query(|entry| entry.entry().is_some()).await? {
                part = part.saturating_add(1);
                continue;
            }
            match self.carry_part(days, id, year_end, &retained).await {
                Ok(Some(entry)) => posted.push(entry),
                Ok(None) => return Ok(posted),
                Err(LedgerError::Contended { .. }) => moved = moved.saturating_add(1),
                Err(error) => return Err(error),
            }
        }
        Err(LedgerError::Contended { attempts: moved })
    }

    /// One entry that carries forward as many accounts as fit it; `None` if there is nothing left.
    async fn carry_part(
        &self,
        days: &ProjectionRef<LedgerDays>,
        id: EntryId,
        year_end: BookDate,
        retained: &AccountId,
    ) -> Result<Option<Posted>, LedgerError> {
        let book = self.book()?;
        let seen = book
            .query(move |book| entries_until(book, year_end))
            .await?;
        let seen = seen?;
        let position = self.runtime.store().head();
        let caught_up = days.wait_for(position, CATCH_UP_MAX).await;
        caught_up.map_err(|error| LedgerError::behind(position, &error))?;
        let balances = days.read(|table| balances_on(table, self.tenant(), year_end));
        let lines = closing_lines(&balances, retained)?;
        if lines.is_empty() {
            return Ok(None);
        }
        let mut entry = Entry::new(id.clone(), year_end)
            .describe("Income and expense carried forward")
            .override_soft_close("carry-forward");
        entry.kind = EntryKind::Closing;
        entry.lines = lines;
        entry.check()?;
        let mut writing = Writing::on(year_end);
        writing.require_book(book.require(move |book: &GlBook| {
            match entries_until(book, year_end) {
                Ok(entries) if entries == seen => Ok(()),
                _ => Err(Moved),
            }
        }));
        writing.enter(self, entry)?;
        let once = once_id(self.entry(&id)?.stream(), "post");
        let written = writing.write_once(self, once).await;
        self.answer(id, written).await.map(Some)
    }
}

/// How many entries count up to that day, if all periods up to it are closed at least softly.
fn entries_until(book: &GlBook, year_end: BookDate) -> Result<u64, LedgerError> {
    let mut entries = 0_u64;
    let mut last = None;
    let periods = book.periods().iter();
    for period in periods.take_while(|period| period.first <= year_end) {
        if period.status == PeriodStatus::Open {
            let rejection = PeriodRejection::StillOpen {
                first: period.first,
                last: period.last,
            };
            return Err(LedgerError::Book(rejection.into()));
        }
        entries = entries.saturating_add(period.entries);
        last = Some(period.last);
    }
    if last.is_some_and(|last| year_end <= last) {
        return Ok(entries);
    }
    let rejection = PeriodRejection::NoPeriod { date: year_end };
    Err(LedgerError::Book(rejection.into()))
}

/// The lines that bring income and expense accounts to zero, and retained earnings to what they had.
fn closing_lines(
    balances: &[DatedBalance],
    retained: &AccountId,
) -> Result<Vec<EntryLine>, LedgerError> {
    let accounts: BTreeMap<_, _> = balances
        .iter()
        .map(|balance| (&balance.account, balance))
        .collect();
    let Some(target) = accounts.get(retained) else {
        return Err(LedgerError::Nothing {
            what: format!("there is no account {retained} to carry forward into"),
        });
    };
    let currency = target.chart.currency;
    let line = |account: &AccountId, debits_more: i128| {
        let size = Total::new(debits_more.saturating_abs(), currency);
        let amount: Money = size
            .to_money()
            .map_err(|_| LedgerError::Overflow { currency })?;
        Ok::<_, LedgerError>(if debits_more > 0 {
            EntryLine::credit(account.clone(), amount)
        } else {
            EntryLine::debit(account.clone(), amount)
        })
    };
    let mut lines = Vec::new();
    let mut carried = 0_i128;
    for balance in balances {
        let carries = balance.chart.currency == currency
            && balance
                .chart
                .kind
                .is_some_and(|kind| kind.is_of_income_statement());
        let debits_more = balance.turnover.balance_on(Side::Debit);
        if carries && debits_more != 0 && lines.len() < ENTRY_LINES_MAX.saturating_sub(1) {
            lines.push(line(&balance.account, debits_more)?);
            carried = carried.saturating_add(debits_more);
        }
    }
    if carried != 0 {
        lines.push(line(retained, carried.saturating_neg())?);
    }
    Ok(lines)
}
