use super::account::GlAccount;
use super::balancing::ATTEMPTS_MAX;
use super::date::BookDate;
use super::entry::{Entry, EntryFault, EntryKind, EntryLine};
use super::exchange::Exchange;
use super::general_ledger::{Ledger, once_id};
use super::ledger_error::{LedgerError, Moved};
use super::names::{AccountId, EntryId};
use super::posting::{Posted, Writing};
use super::rejections::PostingRejection;
use super::terms::Side;
use crate::currency::Currency;
use crate::money::Money;
use crate::total::Total;

/// The pair of accounts over which a foreign currency is exchanged, as [`Entry::exchange`] uses it: one in the foreign
/// currency, and one in the book's for what it cost. Every foreign currency has a pair of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConversionPair {
    /// The account in the foreign currency: what it has more on the credit side is what the book holds of it.
    pub foreign: AccountId,
    /// The account in the book's currency: what it has more on the debit side is what that cost.
    pub cost: AccountId,
}

impl Ledger {
    /// Values what the book holds of a foreign currency at a day's rate: the difference to what it cost, or to what it
    /// was valued at last, is an unrealised gain or loss. It is posted between the pair's cost account and `gains`, so
    /// nothing moves in the foreign currency.
    ///
    /// It values what is posted when it is called. Under one id it takes effect once.
    ///
    /// # Errors
    /// [`LedgerError::Nothing`] if the value has not changed, [`LedgerError::Overflow`] if it does not fit,
    /// [`LedgerError::Contended`] if the accounts move faster than it can be worked out; otherwise as for
    /// [`Ledger::post`].
    pub async fn revalue(
        &self,
        id: impl Into<EntryId>,
        date: BookDate,
        pair: &ConversionPair,
        rate: Exchange,
        gains: impl Into<AccountId>,
    ) -> Result<Posted, LedgerError> {
        let (id, gains) = (id.into(), gains.into());
        let mut entry = Entry::new(id, date).describe("Unrealised gain or loss");
        entry.kind = EntryKind::Revaluation { rate };
        for _ in 0..ATTEMPTS_MAX {
            match self.try_revalue(entry.clone(), pair, rate, &gains).await {
                Err(LedgerError::Contended { .. }) => {}
                outcome => return outcome,
            }
        }
        Err(LedgerError::Contended {
            attempts: ATTEMPTS_MAX,
        })
    }

    async fn try_revalue(
        &self,
        mut entry: Entry,
        pair: &ConversionPair,
        rate: Exchange,
        gains: &AccountId,
    ) -> Result<Posted, LedgerError> {
        let handle = self.entry(&entry.id)?;
        let recorded = handle.query(|state| state.entry().cloned()).await?;
        let (foreign, base) = rate.currencies();
        let held = self.seen(&pair.foreign, Side::Credit, 1, foreign).await?;
        let cost = self.seen(&pair.cost, Side::Debit, 2, base).await?;
        match recorded {
            // A retry: the very same steps get the recorded answer.
            Some(recorded) => {
                let same = recorded.kind == entry.kind
                    && recorded.date == entry.date
                    && lines_of(&recorded) == [&pair.cost, gains];
                if !same {
                    let entry = entry.id;
                    return Err(LedgerError::EntryIdTaken { entry });
                }
                entry = recorded;
            }
            None => entry.lines = gain_lines(rate, held, cost, pair, gains)?,
        }
        entry.check()?;
        let id = entry.id.clone();
        let mut writing = Writing::on(entry.date);
        let seen = [
            (&pair.foreign, Side::Credit, held),
            (&pair.cost, Side::Debit, cost),
        ];
        for (account, side, seen) in seen {
            let account = self.account(account)?;
            writing.require_account(account.require(move |account: &GlAccount| {
                if account.balance_on(side) == seen {
                    Ok(())
                } else {
                    Err(Moved)
                }
            }));
        }
        writing.enter(self, entry)?;
        let once = once_id(handle.stream(), "post");
        let written = writing.write_once(self, once).await;
        self.answer(id, written).await
    }

    /// What an account of the pair has more on that side, in minor units.
    async fn seen(
        &self,
        account: &AccountId,
        side: Side,
        line: usize,
        currency: Currency,
    ) -> Result<i128, LedgerError> {
        let handle = self.account(account)?;
        let seen = handle.query(move |account| (account.currency(), account.balance_on(side)));
        let (found, balance) = seen.await?;
        let rejection = match found {
            Some(found) if found == currency => return Ok(balance),
            Some(found) => PostingRejection::WrongCurrency {
                account: found,
                amount: Money::zero(currency),
            },
            None => PostingRejection::NotOpen,
        };
        Err(LedgerError::Line {
            line,
            account: account.clone(),
            rejection,
        })
    }
}

fn lines_of(entry: &Entry) -> Vec<&AccountId> {
    entry.lines.iter().map(|line| &line.account).collect()
}

/// The lines that bring the cost account to what is held at the rate.
fn gain_lines(
    rate: Exchange,
    held: i128,
    cost: i128,
    pair: &ConversionPair,
    gains: &AccountId,
) -> Result<Vec<EntryLine>, LedgerError> {
    let (_, currency) = rate.currencies();
    let overflow = LedgerError::Overflow { currency };
    if !rate.given.is_positive() {
        return Err(EntryFault::NotPositive {
            line: 1,
            account: pair.foreign.clone(),
            amount: rate.given,
        }
        .into());
    }
    let value = rate.convert_minor(held).ok_or(overflow.clone())?;
    let gain = value.checked_sub(cost).ok_or(overflow.clone())?;
    let size = gain.checked_abs().ok_or(overflow.clone())?;
    let amount = Total::new(size, currency).to_money();
    let amount = amount.map_err(|_| overflow)?;
    if amount.is_zero() {
        return Err(LedgerError::Nothing {
            what: format!("{} is valued at this rate already", pair.foreign),
        });
    }
    let debit = EntryLine::debit(pair.cost.clone(), amount);
    let credit = EntryLine::credit(gains.clone(), amount);
    Ok(if gain > 0 {
        vec![debit, credit]
    } else {
        vec![debit.reversed(), credit.reversed()]
    })
}
