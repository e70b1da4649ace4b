use foldhouse::{Aggregate, Command, CommandContext, Decided, Decision, IdempotentCommand};
use serde::{Deserialize, Serialize};

use super::date::BookDate;
use super::entry::{Entry, EntryFault};
use super::names::EntryId;
use super::record_samples::entry_samples;

/// A journal entry in the books: what was posted, and what became of it.
///
/// Its rules: it is posted once and never changes. It is reversed at most once, and corrected at most once; each points
/// at the entry that does it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalEntry {
    entry: Option<Box<Entry>>,
    reversed_by: Option<EntryId>,
    corrected_by: Option<EntryId>,
}

/// What happens to a [`JournalEntry`]. This is the persisted contract: names never change, and never their meaning.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EntryEvent {
    /// It was posted, with the lines of all its accounts.
    Posted {
        /// What was posted.
        entry: Box<Entry>,
    },
    /// Another entry has taken it back.
    Reversed {
        /// That entry.
        by: EntryId,
        /// The day on which that one counts.
        date: BookDate,
    },
    /// Another entry stands in its place.
    Corrected {
        /// That entry.
        by: EntryId,
    },
}

/// Why an entry is not recorded, reversed or corrected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EntryRejection {
    /// An entry with this id is in the books, the same or another one; nothing was posted again.
    #[error("an entry {entry} is already posted; look at it, or give yours another id")]
    AlreadyPosted {
        /// The id.
        entry: EntryId,
    },
    /// There is no such entry.
    #[error("there is no entry {entry} in the books")]
    NotPosted {
        /// The id.
        entry: EntryId,
    },
    /// It was taken back before.
    #[error("entry {entry} is already reversed, by {by}")]
    AlreadyReversed {
        /// The entry.
        entry: EntryId,
        /// The entry that reversed it.
        by: EntryId,
    },
    /// Another entry stands in its place already.
    #[error("entry {entry} is already corrected, by {by}; correct that one")]
    AlreadyCorrected {
        /// The entry.
        entry: EntryId,
        /// The entry that corrects it.
        by: EntryId,
    },
    /// It is wrong in itself.
    #[error(transparent)]
    Fault(#[from] EntryFault),
}

impl Aggregate for JournalEntry {
    const TYPE: &'static str = "gl-entry";

    type Event = EntryEvent;

    fn apply(&mut self, event: &EntryEvent) {
        match event {
            EntryEvent::Posted { entry } => self.entry = Some(entry.clone()),
            EntryEvent::Reversed { by, .. } => self.reversed_by = Some(by.clone()),
            EntryEvent::Corrected { by } => self.corrected_by = Some(by.clone()),
        }
    }

    fn samples() -> Vec<EntryEvent> {
        entry_samples()
    }
}

impl JournalEntry {
    /// What was posted; `None` if nothing was.
    #[must_use]
    pub fn entry(&self) -> Option<&Entry> {
        self.entry.as_deref()
    }

    /// The entry that took it back.
    #[must_use]
    pub fn reversed_by(&self) -> Option<&EntryId> {
        self.reversed_by.as_ref()
    }

    /// The entry that stands in its place.
    #[must_use]
    pub fn corrected_by(&self) -> Option<&EntryId> {
        self.corrected_by.as_ref()
    }
}

/// Records an entry; a step of posting it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RecordEntry {
    /// The entry.
    pub entry: Box<Entry>,
}

impl Command for RecordEntry {
    type Aggregate = JournalEntry;
    type Reply = ();
    type Rejection = EntryRejection;

    fn decide(&self, state: &JournalEntry, _: &CommandContext) -> Decided<Self> {
        if state.entry.is_some() {
            return Err(EntryRejection::AlreadyPosted {
                entry: self.entry.id.clone(),
            });
        }
        self.entry.check()?;
        let entry = self.entry.clone();
        Ok(Decision::event(EntryEvent::Posted { entry }, ()))
    }
}

impl IdempotentCommand for RecordEntry {
    const NAME: &'static str = "record-entry";
}

/// Marks an entry as taken back by another one, or as corrected by one; a step of posting that one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MarkEntry {
    /// The entry that is marked.
    pub entry: EntryId,
    /// The entry that does it.
    pub by: EntryId,
    /// The day on which that one counts.
    pub date: BookDate,
    /// What it does to it.
    pub mark: EntryMark,
}

/// What an entry does to the one that it points at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum EntryMark {
    /// Takes it back.
    Reversed,
    /// Stands in its place.
    Corrected,
}

impl Command for MarkEntry {
    type Aggregate = JournalEntry;
    type Reply = ();
    type Rejection = EntryRejection;

    fn decide(&self, state: &JournalEntry, _: &CommandContext) -> Decided<Self> {
        let entry = self.entry.clone();
        if state.entry.is_none() {
            return Err(EntryRejection::NotPosted { entry });
        }
        let by = self.by.clone();
        match self.mark {
            EntryMark::Reversed => match state.reversed_by.clone() {
                Some(by) => Err(EntryRejection::AlreadyReversed { entry, by }),
                None => {
                    let date = self.date;
                    Ok(Decision::event(EntryEvent::Reversed { by, date }, ()))
                }
            },
            EntryMark::Corrected => match state.corrected_by.clone() {
                Some(by) => Err(EntryRejection::AlreadyCorrected { entry, by }),
                None => Ok(Decision::event(EntryEvent::Corrected { by }, ())),
            },
        }
    }
}

impl IdempotentCommand for MarkEntry {
    const NAME: &'static str = "mark-entry";
}
