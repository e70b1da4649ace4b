use foldhouse::{AggregateRef, Condition, Position, Step, TransactionError};
use uuid::Uuid;

use super::account::GlAccount;
use super::balances::AccountBalance;
use super::book::{GlBook, NumberEntry};
use super::date::BookDate;
use super::entry::{Entry, EntryFault, EntryKind, EntryLine};
use super::general_ledger::{Ledger, once_id};
use super::hold::EndHold;
use super::journal_entry::{EntryRejection, MarkEntry, RecordEntry};
use super::ledger_error::{LedgerError, Moved};
use super::lines::{AccountLine, LineAction};
use super::names::{AccountId, EntryId, HoldId};
use super::rejections::PostingRejection;

/// The answer to an entry that was posted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Posted {
    /// Its number: the entries of a book are numbered from 1 without a gap.
    pub number: u64,
    /// What the accounts have after it, in the order of its lines.
    pub balances: Vec<LineBalance>,
    /// The position of its last event; a read model that has reached it shows the entry.
    pub position: Position,
}

/// What an account has after a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineBalance {
    /// The account.
    pub account: AccountId,
    /// What it has, posted and pending.
    pub balance: AccountBalance,
}

impl Ledger {
    /// Posts an entry to all its accounts, or to none.
    ///
    /// Posting it again under its id gives the same answer and takes effect once, also after a crash or a lost reply
    /// (for as long as the store remembers command ids; after that it is refused as [`LedgerError::Entry`], and
    /// still takes effect once).
    ///
    /// # Errors
    /// [`LedgerError::Line`] names the line and the account that refuse it, [`LedgerError::Fault`] what is wrong with
    /// the entry, [`LedgerError::Book`] the fiscal period that is closed.
    pub async fn post(&self, entry: Entry) -> Result<Posted, LedgerError> {
        entry.check()?;
        // Closing entries also come from books that are imported.
        if !matches!(entry.kind, EntryKind::Ordinary | EntryKind::Closing) {
            return Err(EntryFault::NotOrdinary.into());
        }
        let once = once_id(self.entry(&entry.id)?.stream(), "post");
        let entry_id = entry.id.clone();
        let mut writing = Writing::on(entry.date);
        writing.enter(self, entry)?;
        let written = writing.write_once(self, once).await;
        self.answer(entry_id, written).await
    }

    /// Posts entries of one day in this order, all of them or none. Each of them is in the books once, whatever happens; who
    /// does not know whether they are posts each by itself.
    pub(crate) async fn post_together(&self, entries: Vec<Entry>) -> Result<(), LedgerError> {
        let Some(date) = entries.first().map(|entry| entry.date) else {
            return Ok(());
        };
        let mut writing = Writing::on(date);
        for entry in entries {
            entry.check()?;
            writing.enter(self, entry)?;
        }
        writing.write(self, None).await.map(drop)
    }

    /// The answer to the entry that was written, or why not.
    ///
    /// An entry that is in the books already, but whose command id is forgotten, may be refused by whichever rule is
    /// asked first, an account's limit say. That would tell its caller that it was not posted; so it is looked up.
    pub(super) async fn answer(
        &self,
        entry: EntryId,
        written: Result<Written, LedgerError>,
    ) -> Result<Posted, LedgerError> {
        let error = match written {
            Ok(written) => return written.posted(),
            Err(error) => error.of_entry(entry.clone()),
        };
        let refused = matches!(error, LedgerError::Line { .. } | LedgerError::Book(_));
        let handle = self.entry(&entry)?;
        if refused && handle.query(|state| state.entry().is_some()).await? {
            return Err(EntryRejection::AlreadyPosted { entry }.into());
        }
        Err(error)
    }
}

type BookCondition = Condition<GlBook, (), Moved>;
type AccountCondition = Condition<GlAccount, (), Moved>;

/// All that one transaction writes into the books. The events stand in this order in the journal, so that a reader
/// knows an entry's number before its lines.
pub(super) struct Writing {
    /// The day on which it counts; that of its recording, if there is none.
    date: Option<BookDate>,
    book_conditions: Vec<BookCondition>,
    account_conditions: Vec<AccountCondition>,
    numbers: Vec<Step<NumberEntry>>,
    records: Vec<Step<RecordEntry>>,
    marks: Vec<Step<MarkEntry>>,
    ends: Vec<Step<EndHold>>,
    lines: Vec<Step<AccountLine>>,
    /// The account of each step in `lines`, and which line it is; a line that releases a hold is told by no answer.
    places: Vec<Place>,
}

struct Place {
    line: usize,
    account: AccountId,
    releases: bool,
}

/// What was written.
pub(super) struct Written {
    pub(super) numbers: Vec<u64>,
    pub(super) balances: Vec<LineBalance>,
    pub(super) position: Position,
}

impl Writing {
    pub(super) fn on(date: BookDate) -> Self {
        Self {
            date: Some(date),
            ..Self::now()
        }
    }

    /// What counts when it is recorded.
    pub(super) fn now() -> Self {
        Self {
            date: None,
            book_conditions: Vec::new(),
            account_conditions: Vec::new(),
            numbers: Vec::new(),
            records: Vec::new(),
            marks: Vec::new(),
            ends: Vec::new(),
            lines: Vec::new(),
            places: Vec::new(),
        }
    }

    pub(super) fn require_book(&mut self, condition: BookCondition) {
        self.book_conditions.push(condition);
    }

    pub(super) fn require_account(&mut self, condition: AccountCondition) {
        self.account_conditions.push(condition);
    }

    /// The whole entry: its number, its record and its lines.
    pub(super) fn enter(&mut self, ledger: &Ledger, mut entry: Entry) -> Result<(), LedgerError> {
        if entry.soft_close_override.is_none() {
            entry.soft_close_override = ledger.soft_close_override().map(str::to_owned);
        }
        let number = NumberEntry {
            entry: entry.id.clone(),
            date: entry.date,
            soft_close_override: entry.soft_close_override.clone(),
        };
        self.numbers.push(ledger.book()?.step(number));
        for (line, index) in entry.lines.iter().zip(1..) {
            self.line(ledger, index, line, LineAction::Post(entry.id.clone()))?;
        }
        let record = RecordEntry {
            entry: Box::new(entry),
        };
        let handle = ledger.entry(&record.entry.id)?;
        self.records.push(handle.step(record));
        Ok(())
    }

    pub(super) fn mark(&mut self, ledger: &Ledger, mark: MarkEntry) -> Result<(), LedgerError> {
        self.marks.push(ledger.entry(&mark.entry)?.step(mark));
        Ok(())
    }

    pub(super) fn end_hold(
        &mut self,
        ledger: &Ledger,
        end: EndHold,
        lines: &[EntryLine],
    ) -> Result<(), LedgerError> {
        for (line, index) in lines.iter().zip(1..) {
            self.line(ledger, index, line, LineAction::Release(end.hold.clone()))?;
        }
        self.ends.push(ledger.hold_of(&end.hold)?.step(end));
        Ok(())
    }

    fn line(
        &mut self,
        ledger: &Ledger,
        index: usize,
        line: &EntryLine,
        action: LineAction,
    ) -> Result<(), LedgerError> {
        let releases = matches!(action, LineAction::Release(_));
        let (handle, step) = account_line(ledger, line, action)?;
        self.lines.push(handle.step(step));
        self.places.push(Place {
            line: index,
            account: line.account.clone(),
            releases,
        });
        Ok(())
    }

    /// Writes all of it, or nothing; again under the same id it takes effect once.
    pub(super) async fn write_once(
        self,
        ledger: &Ledger,
        once: Uuid,
    ) -> Result<Written, LedgerError> {
        self.write(ledger, Some(once)).await
    }

    async fn write(self, ledger: &Ledger, once: Option<Uuid>) -> Result<Written, LedgerError> {
        let options = match self.date {
            Some(date) => ledger.options_on(date),
            None => ledger.options(),
        };
        let before_lines = [
            self.book_conditions.len(),
            self.account_conditions.len(),
            self.numbers.len(),
            self.records.len(),
            self.marks.len(),
            self.ends.len(),
        ];
        let first_line = before_lines.into_iter().fold(0, usize::saturating_add);
        let places = self.places;
        let steps = (
            self.book_conditions,
            self.account_conditions,
            self.numbers,
            self.records,
            self.marks,
            self.ends,
            self.lines,
        );
        // Boxed, because the futures of callers hold it.
        let runtime = &ledger.runtime;
        let written = match once {
            Some(id) => Box::pin(runtime.transact_once_with(steps, id, options)).await,
            None => Box::pin(runtime.transact_with(steps, options)).await,
        };
        let written = written.map_err(|error| line_error(error, first_line, &places))?;
        let (_, _, numbers, _, _, _, balances) = written.replies;
        let balances = places.into_iter().zip(balances);
        Ok(Written {
            numbers,
            balances: balances
                .filter(|(place, _)| !place.releases)
                .map(|(place, balance)| LineBalance {
                    account: place.account,
                    balance,
                })
                .collect(),
            position: written.position,
        })
    }
}

impl Written {
    /// As the answer to the one entry, or the last one, that was written.
    pub(super) fn posted(self) -> Result<Posted, LedgerError> {
        let number = self.numbers.last().copied();
        Ok(Posted {
            number: number.ok_or_else(|| LedgerError::Nothing {
                what: "there was no entry".to_owned(),
            })?,
            balances: self.balances,
            position: self.position,
        })
    }
}

/// The step of one line, and its account.
pub(super) fn account_line(
    ledger: &Ledger,
    line: &EntryLine,
    action: LineAction,
) -> Result<(AggregateRef<GlAccount>, AccountLine), LedgerError> {
    let step = AccountLine {
        action,
        side: line.side,
        amount: line.amount,
    };
    Ok((ledger.account(&line.account)?, step))
}

/// The refusal with the line and the account that it is about.
fn line_error(error: TransactionError, first_line: usize, places: &[Place]) -> LedgerError {
    let TransactionError::Rejected { step, .. } = &error else {
        return error.into();
    };
    let place = step
        .checked_sub(first_line)
        .and_then(|index| places.get(index));
    match (place, error.rejection::<PostingRejection>()) {
        (Some(place), Some(rejection)) => LedgerError::Line {
            line: place.line,
            account: place.account.clone(),
            rejection: rejection.clone(),
        },
        _ => error.into(),
    }
}

impl LedgerError {
    /// With a reused command id told as that entry's.
    pub(super) fn of_entry(self, entry: EntryId) -> Self {
        match self {
            Self::Transaction(TransactionError::CommandIdReused { .. }) => {
                Self::EntryIdTaken { entry }
            }
            other => other,
        }
    }

    /// With a reused command id told as that hold's.
    pub(super) fn of_hold(self, hold: HoldId) -> Self {
        match self {
            Self::Transaction(TransactionError::CommandIdReused { .. }) => {
                Self::HoldIdTaken { hold }
            }
            other => other,
        }
    }
}
