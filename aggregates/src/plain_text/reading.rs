use std::path::Path;
use std::sync::Arc;

use super::beancount_format;
use super::dialect::Dialect;
use super::journal::Journal;
use super::ledger_format;
use super::location::Location;
use super::problem::{JournalError, Problem};
use super::source_files::SourceFiles;

/// After so many errors reading stops.
pub const JOURNAL_ERRORS_MAX: usize = 100;
/// How deep files include each other at most.
pub const INCLUDE_DEPTH_MAX: usize = 64;
/// The most files of one journal.
pub const JOURNAL_FILES_MAX: usize = 10_000;

/// What a journal does not say itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReadOptions {
    /// The year of dates without one, where no directive tells it. Without it they are errors.
    pub default_year: Option<i32>,
}

/// Reads a journal and all that it includes.
///
/// Nothing that may change a balance is left out: what is not supported is an error at its place. After an error reading
/// goes on with the next entry, so that all of them come in one list.
///
/// ```
/// use std::path::Path;
/// use foldhouse_aggregates::plain_text::{Dialect, MemoryFiles, ReadOptions, read_journal};
///
/// let files = MemoryFiles::new([("main.journal", "2026-01-31 rent\n  home  800 EUR\n  bank\n")]);
/// let journal = read_journal(Path::new("main.journal"), Dialect::Hledger, ReadOptions::default(), &files);
/// assert_eq!(journal.unwrap().entries.len(), 1);
///
/// let files = MemoryFiles::new([("main.journal", "2026-01-32 rent\n  home  800 EUR\n  bank\n")]);
/// let errors = read_journal(Path::new("main.journal"), Dialect::Hledger, ReadOptions::default(), &files).unwrap_err();
/// assert_eq!(errors[0].to_string(), "main.journal:1:1: expected a date, found \"2026-01-32 rent\"");
/// ```
///
/// # Errors
/// All that is wrong, [`JOURNAL_ERRORS_MAX`] at most, each with its file, line and column.
pub fn read_journal(
    path: &Path,
    dialect: Dialect,
    options: ReadOptions,
    files: &dyn SourceFiles,
) -> Result<Journal, Vec<JournalError>> {
    match dialect {
        Dialect::Hledger | Dialect::Ledger => ledger_format::read(path, dialect, options, files),
        Dialect::Beancount => beancount_format::read(path, files),
    }
}

/// Reads one file's text.
pub(super) fn read_source(
    path: &Path,
    from: Option<&Location>,
    files: &dyn SourceFiles,
) -> Result<String, JournalError> {
    let name: Arc<str> = path.to_string_lossy().into();
    files.read(path).map_err(|error| {
        let problem = Problem::Unreadable {
            path: name.to_string(),
            reason: error.to_string(),
        };
        let start = Location {
            file: name,
            line: 1,
            column: 1,
        };
        problem.at(from.unwrap_or(&start))
    })
}
