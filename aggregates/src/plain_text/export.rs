//! Journals written out again, in any of the formats, so that their programs read the same balances.
//!
//! What is written is complete: amounts that were inferred, what rules and pads have posted, and costs such that every
//! transaction balances to the last digit. Balance assertions are kept within one format; in another one they would
//! mean something else, and stand as comments.

mod beancount;
mod exact;
mod ledger;
mod names;
mod years;

use std::io::{self, Write};

use super::booking::Booked;
use super::dialect::Dialect;
use super::journal::Journal;
use super::problem::JournalError;

/// Why a journal cannot be written in a format.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The format has no form for something; it says for what, and where it stands.
    #[error(transparent)]
    NotExpressible(#[from] JournalError),
    /// Two names become one in the format.
    #[error(
        "{first:?} and {second:?} would both be written as {written:?}: rename one of them first"
    )]
    SameName {
        /// The one.
        first: String,
        /// The other.
        second: String,
        /// What both would be.
        written: String,
    },
    /// A name has no form in the format.
    #[error("{name:?} cannot be written in the format of {dialect}: {why}")]
    Name {
        /// The name.
        name: String,
        /// The format.
        dialect: Dialect,
        /// What it lacks, and what to do.
        why: &'static str,
    },
    /// It could not be written.
    #[error("the journal cannot be written: {0}")]
    Write(#[from] io::Error),
}

/// Writes a journal in a format.
///
/// ```
/// use std::path::Path;
/// use foldhouse_aggregates::plain_text::{
///     Dialect, MemoryFiles, ReadOptions, book, export_journal, read_journal,
/// };
///
/// let files = MemoryFiles::new([("main.journal", "2026-01-31 rent\n  expenses:home  800 EUR\n  assets:bank\n")]);
/// let journal = read_journal(Path::new("main.journal"), Dialect::Hledger, ReadOptions::default(), &files).unwrap();
/// let booked = book(&journal).unwrap();
///
/// let mut written = Vec::new();
/// export_journal(&journal, &booked, Dialect::Beancount, &mut written)?;
/// assert!(String::from_utf8(written).unwrap().contains("  Assets:Bank  -800 EUR\n"));
/// # Ok::<(), foldhouse_aggregates::plain_text::ExportError>(())
/// ```
///
/// # Errors
/// [`ExportError`]: nothing is left out that would change a balance.
pub fn export_journal(
    journal: &Journal,
    booked: &Booked,
    to: Dialect,
    out: &mut dyn Write,
) -> Result<(), ExportError> {
    years::check(journal, booked, to)?;
    match to {
        Dialect::Hledger | Dialect::Ledger => ledger::write(journal, booked, to, out),
        Dialect::Beancount => beancount::write(journal, booked, out),
    }
}
