use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::plain_text::amount::Amount;
use crate::plain_text::cursor::Cursor;
use crate::plain_text::dates::begins_with_date;
use crate::plain_text::dialect::Dialect;
use crate::plain_text::journal::{Entry, EntryKind, Journal, LotOrder, Note, Tag, Tolerances};
use crate::plain_text::lines::SourceLines;
use crate::plain_text::location::Location;
use crate::plain_text::names::Names;
use crate::plain_text::problem::{JournalError, Problem};
use crate::plain_text::reading::{
    INCLUDE_DEPTH_MAX, JOURNAL_ERRORS_MAX, JOURNAL_FILES_MAX, read_source,
};
use crate::plain_text::source_files::SourceFiles;

/// The most lines of one string.
const STRING_LINES_MAX: usize = 1_000;

/// Reads the files of one journal.
pub(super) struct Reader<'f> {
    files: &'f dyn SourceFiles,
    pub(super) journal: Journal,
    errors: Vec<JournalError>,
    including: Vec<(PathBuf, PathBuf)>,
    names: Names,
    /// What accounts begin with.
    pub(super) roots: [String; 5],
    /// Tags of `pushtag`.
    pub(super) tags: Vec<String>,
    /// Metadata of `pushmeta`.
    pub(super) metadata: Vec<Tag>,
    /// For accounts that are opened without their own.
    pub(super) lot_order: LotOrder,
}

/// Reads a journal of Beancount's.
pub(in crate::plain_text) fn read(
    path: &Path,
    files: &dyn SourceFiles,
) -> Result<Journal, Vec<JournalError>> {
    let roots = ["Assets", "Liabilities", "Equity", "Income", "Expenses"];
    let mut reader = Reader {
        files,
        journal: Journal {
            dialect: Dialect::Beancount,
            entries: Vec::new(),
            decimals: BTreeMap::new(),
            tolerances: Tolerances::default(),
            notes: Vec::new(),
            files: Vec::new(),
        },
        errors: Vec::new(),
        including: Vec::new(),
        names: Names::default(),
        roots: roots.map(str::to_owned),
        tags: Vec::new(),
        metadata: Vec::new(),
        lot_order: LotOrder::default(),
    };
    if let Err(error) = reader.file(path, None) {
        reader.errors.push(error);
    }
    if !reader.errors.is_empty() {
        return Err(reader.errors);
    }
    // Where an account says nothing, the option counts, wherever it stands.
    let default = reader.lot_order;
    for entry in &mut reader.journal.entries {
        if let EntryKind::Open(open) = &mut entry.kind {
            open.booking.get_or_insert(default);
        }
    }
    Ok(reader.journal)
}

impl Reader<'_> {
    pub(super) fn name(&mut self, name: &str) -> Arc<str> {
        self.names.get(name)
    }

    pub(super) fn add(&mut self, at: Location, kind: EntryKind) {
        self.journal.entries.push(Entry { at, kind });
    }

    pub(super) fn note(&mut self, location: Location, text: impl Into<String>) {
        let text = text.into();
        self.journal.notes.push(Note { location, text });
    }

    pub(super) fn see_decimals(&mut self, amount: &Amount) {
        let decimals = amount.quantity.decimals();
        let commodity = Arc::clone(&amount.commodity);
        let most = self.journal.decimals.entry(commodity).or_default();
        *most = decimals.max(*most);
    }

    fn file(&mut self, path: &Path, from: Option<&Location>) -> Result<(), JournalError> {
        let text = read_source(path, from, self.files)?;
        let file: Arc<str> = path.to_string_lossy().into();
        self.journal.files.push(Arc::clone(&file));
        let canonical = self.files.canonical(path);
        self.including.push((path.to_owned(), canonical));
        let mut lines = SourceLines::new(file, &text);
        while let Some((cursor, line)) = lines.next_with_text() {
            if let Err(error) = self.line(cursor, line, &mut lines) {
                self.errors.push(error);
                lines.skip_indented();
            }
            if self.errors.len() >= JOURNAL_ERRORS_MAX {
                break;
            }
        }
        self.including.pop();
        Ok(())
    }

    fn line<'t>(
        &mut self,
        mut cursor: Cursor<'t>,
        line: &'t str,
        lines: &mut SourceLines<'t>,
    ) -> Result<(), JournalError> {
        if line.trim().is_empty() || line.trim_start().starts_with(';') {
            return Ok(());
        }
        // Headings of outlines.
        if line.starts_with(['*', ':', '#', '!', '&', '?', '%']) {
            return Ok(());
        }
        if !has_open_string(line) {
            return self.entry(&mut cursor, lines);
        }
        // A string goes on over several lines.
        let mut text = line.to_owned();
        for _ in 0..STRING_LINES_MAX {
            let Some((_, next)) = lines.next_with_text() else {
                break;
            };
            text.push('\n');
            text.push_str(next);
            if !has_open_string(&text) {
                break;
            }
        }
        let Location { file, line, .. } = cursor.location();
        self.entry(&mut Cursor::new(&file, line, &text), lines)
    }

    fn entry<'t>(
        &mut self,
        cursor: &mut Cursor<'_>,
        lines: &mut SourceLines<'t>,
    ) -> Result<(), JournalError> {
        let rest = cursor.rest();
        if begins_with_date(rest) {
            return self.dated(cursor, lines);
        }
        if rest.starts_with(char::is_whitespace) {
            cursor.skip_spaces();
            return Err(cursor.expected("an entry that begins with its date, not indented"));
        }
        self.undated(cursor)
    }

    /// Reads the files that an `include` names.
    pub(super) fn include(&mut self, wanted: &str, at: &Location) -> Result<(), JournalError> {
        let current = self.including.last();
        let directory = current.and_then(|(path, _)| path.parent());
        let path = directory.unwrap_or(Path::new("")).join(wanted);
        let pattern = path.to_string_lossy();
        let unreadable = |reason: String| {
            let path = pattern.to_string();
            Problem::Unreadable { path, reason }.at(at)
        };
        let paths = if wanted.contains(['*', '?', '[']) {
            self.files
                .matching(&pattern)
                .map_err(|error| unreadable(error.to_string()))?
        } else {
            vec![path.clone()]
        };
        if paths.is_empty() {
            return Err(unreadable("no file matches".to_owned()));
        }
        for path in paths {
            let canonical = self.files.canonical(&path);
            if self.including.iter().any(|(_, open)| *open == canonical) {
                let path = path.to_string_lossy().into_owned();
                return Err(Problem::IncludeCycle { path }.at(at));
            }
            let too_much = |what, limit| Problem::TooMuch { what, limit }.at(at);
            if self.including.len() >= INCLUDE_DEPTH_MAX {
                return Err(too_much("files within each other", INCLUDE_DEPTH_MAX));
            }
            if self.journal.files.len() >= JOURNAL_FILES_MAX {
                return Err(too_much("files", JOURNAL_FILES_MAX));
            }
            self.file(&path, Some(at))?;
        }
        Ok(())
    }
}

/// Whether a string is begun and not ended.
fn has_open_string(text: &str) -> bool {
    let mut open = false;
    let mut chars = text.chars();
    while let Some(next) = chars.next() {
        match next {
            '"' => open = !open,
            '\\' if open => drop(chars.next()),
            ';' if !open => return false,
            _ => {}
        }
    }
    open
}
