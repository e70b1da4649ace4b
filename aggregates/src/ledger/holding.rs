use foldhouse::Position;

use super::date::BookDate;
use super::entry::{Entry, EntryKind, EntryLine};
use super::general_ledger::{Ledger, once_id};
use super::hold::{EndHold, GlHold, Hold, HoldEnd, HoldRejection, PlaceHold};
use super::ledger_error::LedgerError;
use super::lines::LineAction;
use super::names::{EntryId, HoldId};
use super::posting::{LineBalance, Posted, Writing, account_line};
use super::rejections::PostingRejection;
use crate::money::Money;

/// The answer to a hold that was placed or given back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// What the accounts have after it, in the order of its lines; none where it was given back.
    pub balances: Vec<LineBalance>,
    /// The position of its last event.
    pub position: Position,
}

/// How much of a hold is posted. What is not posted is given back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PostedPart {
    /// All of it.
    Full,
    /// This much, of a hold with one debit and one credit.
    Amount(Money),
    /// This much of each line, in their order; of a line with zero nothing.
    Lines(Vec<Money>),
}

impl Ledger {
    /// Holds amounts on all accounts of the hold, or on none: they count against the accounts' limits until the hold
    /// is posted, voided or has expired. Under one id it takes effect once.
    ///
    /// # Errors
    /// [`LedgerError::Line`] names the line and the account that refuse it, [`LedgerError::Fault`] what is wrong with
    /// the hold.
    pub async fn hold(&self, hold: Hold) -> Result<Held, LedgerError> {
        hold.check()?;
        let id = hold.id.clone();
        let handle = self.hold_of(&id)?;
        let once = once_id(handle.stream(), "place");
        let options = self.options_on(hold.date);
        let mut lines = Vec::with_capacity(hold.lines.len());
        for line in &hold.lines {
            let (account, step) = account_line(self, line, LineAction::Hold(id.clone()))?;
            lines.push(account.step(step));
        }
        let accounts: Vec<_> = hold.lines.iter().map(|line| line.account.clone()).collect();
        let place = PlaceHold {
            hold: Box::new(hold),
        };
        let steps = (handle.step(place), lines);
        let placed = Box::pin(self.runtime.transact_once_with(steps, once, options)).await;
        let placed = placed.map_err(|error| match &error {
            foldhouse::TransactionError::Rejected { step, .. } => {
                let index = step.checked_sub(1);
                let account = index.and_then(|index| accounts.get(index));
                match (account, error.rejection::<PostingRejection>()) {
                    (Some(account), Some(rejection)) => LedgerError::Line {
                        line: *step,
                        account: account.clone(),
                        rejection: rejection.clone(),
                    },
                    _ => error.into(),
                }
            }
            _ => LedgerError::from(error).of_hold(id),
        })?;
        let ((), balances) = placed.replies;
        let balances = accounts.into_iter().zip(balances);
        Ok(Held {
            balances: balances
                .map(|(account, balance)| LineBalance { account, balance })
                .collect(),
            position: placed.position,
        })
    }

    /// Posts a hold, in full or in part, as the entry `entry` on that day, and gives the rest back.
    ///
    /// # Errors
    /// [`LedgerError::Hold`] if it is missing, has ended or expired, or if the part is none of it; otherwise as for
    /// [`Ledger::post`].
    pub async fn post_hold(
        &self,
        hold: impl Into<HoldId>,
        entry: impl Into<EntryId>,
        date: BookDate,
        part: PostedPart,
    ) -> Result<Posted, LedgerError> {
        let (hold, id) = (hold.into(), entry.into());
        let end = HoldEnd::Posted { entry: id.clone() };
        let placed = self.hold_to_end(&hold, &end).await?;
        let mut entry = Entry::new(id.clone(), date).describe(placed.description.clone());
        entry.kind = EntryKind::HoldPosting { hold: hold.clone() };
        entry.lines = lines_of_part(&placed, part)?;
        entry.check()?;
        let mut writing = Writing::on(date);
        // First, so that what it gives back is there for the lines behind it.
        writing.end_hold(self, EndHold { hold, end }, &placed.lines)?;
        writing.enter(self, entry)?;
        let once = once_id(self.entry(&id)?.stream(), "post");
        let written = writing.write_once(self, once).await;
        self.answer(id, written).await
    }

    /// Gives back what a hold holds.
    ///
    /// # Errors
    /// [`LedgerError::Hold`] if it is missing or has ended.
    pub async fn void_hold(&self, hold: impl Into<HoldId>) -> Result<Held, LedgerError> {
        self.give_back(hold.into(), HoldEnd::Voided, "void").await
    }

    /// Gives back what a hold holds whose time is over. Whoever watches the clock calls it; before the time it is
    /// refused, and afterwards the hold cannot be posted any more, whether this was called or not.
    ///
    /// # Errors
    /// [`LedgerError::Hold`] if it is missing, has ended, or its time is not over.
    pub async fn expire_hold(&self, hold: impl Into<HoldId>) -> Result<Held, LedgerError> {
        self.give_back(hold.into(), HoldEnd::Expired, "expire")
            .await
    }

    async fn give_back(&self, hold: HoldId, end: HoldEnd, deed: &str) -> Result<Held, LedgerError> {
        let placed = self.hold_to_end(&hold, &end).await?;
        let once = once_id(self.hold_of(&hold)?.stream(), deed);
        let mut writing = Writing::now();
        writing.end_hold(self, EndHold { hold, end }, &placed.lines)?;
        let written = writing.write_once(self, once).await?;
        Ok(Held {
            balances: written.balances,
            position: written.position,
        })
    }

    /// A hold as it was placed, if it has not ended otherwise than by `end`. Both never change, so they may be read
    /// before the transaction that rests on them.
    async fn hold_to_end(&self, hold: &HoldId, end: &HoldEnd) -> Result<Hold, LedgerError> {
        let state = self.hold_of(hold)?.query(GlHold::clone).await?;
        let hold = hold.clone();
        if let Some(other) = state.end().filter(|other| *other != end) {
            let end = other.clone();
            return Err(HoldRejection::Ended { hold, end }.into());
        }
        let placed = state.hold().cloned();
        placed.ok_or_else(|| HoldRejection::NotPlaced { hold }.into())
    }
}

/// The lines of the entry that posts that part.
fn lines_of_part(hold: &Hold, part: PostedPart) -> Result<Vec<EntryLine>, HoldRejection> {
    let amounts = match part {
        PostedPart::Full => return Ok(hold.lines.clone()),
        PostedPart::Amount(amount) => vec![amount; 2],
        PostedPart::Lines(amounts) => amounts,
    };
    if amounts.len() != hold.lines.len() {
        return Err(HoldRejection::AmountCount {
            hold: hold.id.clone(),
            lines: hold.lines.len(),
            amounts: amounts.len(),
        });
    }
    let mut lines = Vec::with_capacity(amounts.len());
    for ((line, amount), number) in hold.lines.iter().zip(amounts).zip(1..) {
        let is_part = amount.currency() == line.amount.currency()
            && (0..=line.amount.minor_units()).contains(&amount.minor_units());
        if !is_part {
            return Err(HoldRejection::NotAPart {
                hold: hold.id.clone(),
                line: number,
                held: line.amount,
                amount,
            });
        }
        if !amount.is_zero() {
            lines.push(EntryLine {
                amount,
                ..line.clone()
            });
        }
    }
    Ok(lines)
}
