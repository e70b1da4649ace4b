use super::account::GlAccount;
use super::date::BookDate;
use super::entry::{Entry, EntryKind, EntryLine};
use super::general_ledger::{Ledger, once_id};
use super::ledger_error::{LedgerError, Moved};
use super::names::{AccountId, EntryId};
use super::posting::{Posted, Writing};
use super::rejections::PostingRejection;
use crate::money::Money;

/// How often an amount is worked out anew because the accounts moved meanwhile.
pub(super) const ATTEMPTS_MAX: u32 = 16;

impl Ledger {
    /// Transfers as much as both accounts' limits let through, and no more than `amount`, from the account that is
    /// credited to the one that is debited: TigerBeetle's balancing transfer. What is held is not available. The
    /// entry's lines tell how much it was.
    ///
    /// The amount is right at the moment at which it is posted. Under one id it takes effect once.
    ///
    /// # Errors
    /// [`LedgerError::Nothing`] if nothing is available, [`LedgerError::Contended`] if the accounts move faster than
    /// the amount can be worked out; otherwise as for [`Ledger::post`].
    pub async fn transfer_up_to(
        &self,
        id: impl Into<EntryId>,
        date: BookDate,
        debited: impl Into<AccountId>,
        credited: impl Into<AccountId>,
        amount: Money,
    ) -> Result<Posted, LedgerError> {
        let mut entry = Entry::new(id, date)
            .debit(debited, amount)
            .credit(credited, amount);
        entry.check()?;
        entry.kind = EntryKind::UpTo { amount };
        for _ in 0..ATTEMPTS_MAX {
            match self.try_up_to(entry.clone()).await {
                Err(error) if has_moved(&error) => {}
                outcome => return outcome,
            }
        }
        Err(LedgerError::Contended {
            attempts: ATTEMPTS_MAX,
        })
    }

    async fn try_up_to(&self, mut entry: Entry) -> Result<Posted, LedgerError> {
        let handle = self.entry(&entry.id)?;
        let recorded = handle.query(|state| state.entry().cloned()).await?;
        let (moves, limiting) = match recorded.as_ref().and_then(|entry| entry.lines.first()) {
            // A retry: the very same steps get the recorded answer.
            Some(line) => (line.amount, None),
            None => self.available(&entry.lines).await?,
        };
        for line in &mut entry.lines {
            line.amount = moves;
        }
        if recorded.is_some_and(|recorded| recorded != entry) {
            let entry = entry.id;
            return Err(LedgerError::EntryIdTaken { entry });
        }
        let id = entry.id.clone();
        let mut writing = Writing::on(entry.date);
        for (index, line) in entry.lines.iter().enumerate() {
            let (side, limits) = (line.side, limiting == Some(index));
            let account = self.account(&line.account)?;
            // With less room the account itself refuses the line.
            writing.require_account(account.require(move |account: &GlAccount| {
                let has_more = limits && account.room(side) != Some(moves);
                if has_more { Err(Moved) } else { Ok(()) }
            }));
        }
        writing.enter(self, entry)?;
        let once = once_id(handle.stream(), "post");
        let written = writing.write_once(self, once).await;
        self.answer(id, written).await
    }

    /// How much of the lines' amount is available now, and which line's account limits it.
    async fn available(&self, lines: &[EntryLine]) -> Result<(Money, Option<usize>), LedgerError> {
        let mut least = None;
        let mut limiting = None;
        for (index, line) in lines.iter().enumerate() {
            let side = line.side;
            let handle = self.account(&line.account)?;
            let room = handle.query(move |account| account.room(side)).await?;
            let room = room.ok_or_else(|| LedgerError::Line {
                line: index.saturating_add(1),
                account: line.account.clone(),
                rejection: PostingRejection::NotOpen,
            })?;
            let before: Money = least.unwrap_or(line.amount);
            if room.minor_units() < before.minor_units() {
                limiting = Some(index);
                least = Some(Money::new(room.minor_units(), before.currency()));
            } else {
                least = Some(before);
            }
        }
        match least {
            Some(least) if least.is_positive() => Ok((least, limiting)),
            _ => Err(LedgerError::Nothing {
                what: "nothing is available to be transferred".to_owned(),
            }),
        }
    }
}

/// Whether the accounts have moved since they were asked, so that the amount is to be worked out anew.
fn has_moved(error: &LedgerError) -> bool {
    match error {
        LedgerError::Contended { .. } => true,
        LedgerError::Line { rejection, .. } => matches!(
            rejection,
            PostingRejection::Overdrawn { .. }
                | PostingRejection::OverdrawnByHolds { .. }
                | PostingRejection::AboveMaximum { .. }
        ),
        _ => false,
    }
}
