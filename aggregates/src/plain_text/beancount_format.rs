//! Beancount's format.

use std::path::Path;

use super::journal::Journal;
use super::location::Location;
use super::problem::{JournalError, Problem};
use super::source_files::SourceFiles;

pub(super) fn read(path: &Path, _files: &dyn SourceFiles) -> Result<Journal, Vec<JournalError>> {
    let at = Location {
        file: path.to_string_lossy().into(),
        line: 1,
        column: 1,
    };
    Err(vec![
        Problem::Unsupported {
            what: "beancount".to_owned(),
        }
        .at(&at),
    ])
}
