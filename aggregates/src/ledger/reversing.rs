use super::date::BookDate;
use super::entry::{Entry, EntryKind, EntryLine};
use super::general_ledger::{Ledger, once_id};
use super::journal_entry::{EntryMark, EntryRejection, JournalEntry, MarkEntry};
use super::ledger_error::LedgerError;
use super::names::EntryId;
use super::posting::{Posted, Writing};

/// The day on which a reversal counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReversalDate {
    /// The day of the entry that it takes back; its fiscal period must still take postings.
    Original,
    /// This day.
    On(BookDate),
}

impl Ledger {
    /// Takes an entry back by another one, under the id `by`, with the same lines on the other sides. The two point at
    /// each other. An entry is reversed at most once.
    ///
    /// # Errors
    /// [`LedgerError::Entry`] if it is missing or reversed already; otherwise as for [`Ledger::post`].
    pub async fn reverse(
        &self,
        entry: impl Into<EntryId>,
        by: impl Into<EntryId>,
        date: ReversalDate,
    ) -> Result<Posted, LedgerError> {
        let (entry, by) = (entry.into(), by.into());
        let original = self.entry_to_reverse(&entry, &by).await?;
        let reversal = reversal(&original, by.clone(), date);
        let mut writing = Writing::on(reversal.date);
        writing.mark(self, mark(&entry, &reversal, EntryMark::Reversed))?;
        writing.enter(self, reversal)?;
        let once = once_id(self.entry(&by)?.stream(), "post");
        let written = writing.write_once(self, once).await;
        self.answer(by, written).await
    }

    /// Takes an entry back and posts `correction` in its place, both or neither. The reversal has the correction's id
    /// with `:reversal` behind it. Gives the correction's number, and the balances after each line of both.
    ///
    /// # Errors
    /// As for [`Ledger::reverse`] and [`Ledger::post`]; a line of the reversal is told as such a line of an entry.
    pub async fn correct(
        &self,
        entry: impl Into<EntryId>,
        mut correction: Entry,
        date: ReversalDate,
    ) -> Result<Posted, LedgerError> {
        let entry = entry.into();
        correction.check()?;
        let id = correction.id.clone();
        let reversal_id = EntryId::new(format!("{id}:reversal"));
        let original = self.entry_to_reverse(&entry, &reversal_id).await?;
        correction.kind = EntryKind::Correction { of: entry.clone() };
        let mut reversal = reversal(&original, reversal_id, date);
        reversal.soft_close_override = correction.soft_close_override.clone();
        let mut writing = Writing::on(correction.date);
        writing.mark(self, mark(&entry, &reversal, EntryMark::Reversed))?;
        writing.mark(self, mark(&entry, &correction, EntryMark::Corrected))?;
        writing.enter(self, reversal)?;
        writing.enter(self, correction)?;
        let once = once_id(self.entry(&id)?.stream(), "post");
        let written = writing.write_once(self, once).await;
        self.answer(id, written).await
    }

    /// An entry as it was posted, if it is not reversed by another one than `by`. Both never change, so they may be
    /// read before the transaction that rests on them; and a rule of an account does not hide that it is reversed.
    async fn entry_to_reverse(&self, entry: &EntryId, by: &EntryId) -> Result<Entry, LedgerError> {
        let state = self.entry(entry)?.query(JournalEntry::clone).await?;
        let entry = entry.clone();
        if let Some(other) = state.reversed_by().filter(|other| *other != by) {
            let by = other.clone();
            return Err(EntryRejection::AlreadyReversed { entry, by }.into());
        }
        let posted = state.entry().cloned();
        posted.ok_or_else(|| EntryRejection::NotPosted { entry }.into())
    }
}

fn reversal(original: &Entry, id: EntryId, date: ReversalDate) -> Entry {
    let date = match date {
        ReversalDate::Original => original.date,
        ReversalDate::On(date) => date,
    };
    let mut reversal = Entry::new(id, date);
    reversal.description = original.description.clone();
    reversal.references = original.references.clone();
    reversal.tags = original.tags.clone();
    reversal.lines = original.lines.iter().map(EntryLine::reversed).collect();
    reversal.kind = EntryKind::Reversal {
        of: original.id.clone(),
    };
    reversal
}

fn mark(entry: &EntryId, by: &Entry, mark: EntryMark) -> MarkEntry {
    MarkEntry {
        entry: entry.clone(),
        by: by.id.clone(),
        date: by.date,
        mark,
    }
}
