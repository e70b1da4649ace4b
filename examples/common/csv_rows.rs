use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

/// Why a CSV file as a whole cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CsvError {
    /// It cannot be read.
    #[error("{} cannot be read: {source}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: csv::Error,
    },
    /// A column is missing.
    #[error("{} has no column {column:?}; expected {expected}", .path.display())]
    Column {
        /// The file.
        path: PathBuf,
        /// The column.
        column: &'static str,
        /// What the file should look like.
        expected: &'static str,
    },
}

/// The columns of a CSV file.
#[derive(Clone, Copy, Debug)]
pub struct Columns {
    /// Those that it must have.
    pub needed: &'static [&'static str],
    /// All of them, in words.
    pub expected: &'static str,
}

/// Gives each row of a file with its line number, or what is wrong with it.
///
/// # Errors
/// [`CsvError`] if the file as a whole cannot be used.
pub fn read_csv<Row: DeserializeOwned>(
    path: &Path,
    columns: Columns,
    mut take: impl FnMut(u64, Result<Row, String>),
) -> Result<(), CsvError> {
    let read_error = |source| CsvError::Read {
        path: path.to_owned(),
        source,
    };
    let bytes = std::fs::read(path).map_err(|error| read_error(error.into()))?;
    let mut reader = csv::ReaderBuilder::new()
        // The number of fields is checked here, row by row: the reader's own error does not tell the line.
        .flexible(true)
        .from_reader(bytes.as_slice());
    let headers = reader.headers().map_err(read_error)?.clone();
    let is_missing = |column: &&str| !headers.iter().any(|name| name == *column);
    if let Some(column) = columns.needed.iter().copied().find(is_missing) {
        return Err(CsvError::Column {
            path: path.to_owned(),
            column,
            expected: columns.expected,
        });
    }
    let mut record = csv::StringRecord::new();
    loop {
        let row = match reader.read_record(&mut record) {
            Ok(false) => return Ok(()),
            Ok(true) if record.len() != headers.len() => {
                let (found, expected) = (record.len(), headers.len());
                Err(format!("{found} fields, expected {expected}"))
            }
            Ok(true) => record
                .deserialize(Some(&headers))
                .map_err(|error| describe(&error)),
            Err(error) => Err(describe(&error)),
        };
        let line = record.position().map_or(0, |start| line_of(&bytes, start));
        take(line, row);
    }
}

/// The line that a record starts on. Behind a line that ends in CR LF the reader's own count is still on that line: it
/// passes over the LF only when it reads on.
fn line_of(bytes: &[u8], start: &csv::Position) -> u64 {
    let at = usize::try_from(start.byte()).unwrap_or(usize::MAX);
    start.line() + u64::from(bytes.get(at) == Some(&b'\n'))
}

fn describe(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::Deserialize { err, .. } => match err.field() {
            Some(field) => format!("column {}: {}", field + 1, err.kind()),
            None => err.kind().to_string(),
        },
        csv::ErrorKind::Utf8 { err, .. } => format!("not UTF-8: {err}"),
        _ => error.to_string(),
    }
}
