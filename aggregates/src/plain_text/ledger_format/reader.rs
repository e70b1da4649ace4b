use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::directive::directive;
use super::scope::Scope;
use crate::plain_text::amount::Amount;
use crate::plain_text::cursor::Cursor;
use crate::plain_text::dates::begins_with_date;
use crate::plain_text::dialect::Dialect;
use crate::plain_text::journal::{Entry, EntryKind, Journal, Note, Tolerances};
use crate::plain_text::lines::{SourceLines, is_indented};
use crate::plain_text::location::Location;
use crate::plain_text::names::Names;
use crate::plain_text::problem::{JournalError, Problem};
use crate::plain_text::reading::{
    INCLUDE_DEPTH_MAX, JOURNAL_ERRORS_MAX, JOURNAL_FILES_MAX, ReadOptions, read_source,
};
use crate::plain_text::source_files::SourceFiles;

/// Reads the files of one journal.
pub(super) struct Reader<'f> {
    files: &'f dyn SourceFiles,
    journal: Journal,
    errors: Vec<JournalError>,
    /// The files that are being read, each within the one before it.
    including: Vec<(PathBuf, PathBuf)>,
    names: Names,
    pub(super) scope: Scope,
    /// Decimal marks, by commodity, as declared.
    marks: HashMap<Arc<str>, char>,
    /// Decimals, by commodity, as declared.
    declared: BTreeMap<Arc<str>, u8>,
    /// Other names of commodities (Ledger).
    pub(super) commodity_aliases: HashMap<String, Arc<str>>,
}

/// Reads a journal of hledger's or Ledger's.
pub(in crate::plain_text) fn read(
    path: &Path,
    dialect: Dialect,
    options: ReadOptions,
    files: &dyn SourceFiles,
) -> Result<Journal, Vec<JournalError>> {
    let mut reader = Reader {
        files,
        journal: Journal {
            dialect,
            entries: Vec::new(),
            decimals: BTreeMap::new(),
            tolerances: Tolerances::default(),
            notes: Vec::new(),
            files: Vec::new(),
        },
        errors: Vec::new(),
        including: Vec::new(),
        names: Names::default(),
        scope: Scope {
            default_year: options.default_year,
            ..Scope::default()
        },
        marks: HashMap::new(),
        declared: BTreeMap::new(),
        commodity_aliases: HashMap::new(),
    };
    if let Err(error) = reader.file(path, None) {
        reader.errors.push(error);
    }
    if !reader.errors.is_empty() {
        return Err(reader.errors);
    }
    let declared = std::mem::take(&mut reader.declared);
    reader.journal.decimals.extend(declared);
    Ok(reader.journal)
}

impl Reader<'_> {
    pub(super) fn dialect(&self) -> Dialect {
        self.journal.dialect
    }

    pub(super) fn name(&mut self, name: &str) -> Arc<str> {
        self.names.get(name)
    }

    pub(super) fn commodity_named(&mut self, name: &str) -> Arc<str> {
        match self.commodity_aliases.get(name) {
            Some(commodity) => Arc::clone(commodity),
            None => self.names.get(name),
        }
    }

    pub(super) fn add(&mut self, at: Location, kind: EntryKind) {
        self.journal.entries.push(Entry { at, kind });
    }

    pub(super) fn note(&mut self, location: Location, text: impl Into<String>) {
        let text = text.into();
        self.journal.notes.push(Note { location, text });
    }

    /// Counts the decimals of an amount that stands in a posting.
    pub(super) fn see_decimals(&mut self, amount: &Amount) {
        let decimals = amount.quantity.decimals();
        match self.journal.decimals.get_mut(&amount.commodity) {
            Some(most) => *most = decimals.max(*most),
            None => {
                let commodity = Arc::clone(&amount.commodity);
                self.journal.decimals.insert(commodity, decimals);
            }
        }
    }

    /// A commodity is declared with so many decimals, and the mark before them.
    pub(super) fn declare(&mut self, commodity: &Arc<str>, decimals: u8, mark: Option<char>) {
        self.declared.insert(Arc::clone(commodity), decimals);
        if let Some(mark) = mark {
            self.marks.insert(Arc::clone(commodity), mark);
        }
    }

    pub(super) fn decimal_mark_of(&self, commodity: &str) -> Option<char> {
        let of_default = || {
            let (default, mark) = self.scope.default_commodity.as_ref()?;
            if commodity.is_empty() || commodity == &**default {
                *mark
            } else {
                None
            }
        };
        self.scope
            .decimal_mark
            .or_else(|| self.marks.get(commodity).copied())
            .or_else(of_default)
    }

    /// Reads a file, which may include others.
    fn file(&mut self, path: &Path, from: Option<&Location>) -> Result<(), JournalError> {
        let text = read_source(path, from, self.files)?;
        let file: Arc<str> = path.to_string_lossy().into();
        self.journal.files.push(Arc::clone(&file));
        let canonical = self.files.canonical(path);
        self.including.push((path.to_owned(), canonical));
        let mut lines = SourceLines::new(file, &text);
        while let Some((mut cursor, line)) = lines.next_with_text() {
            if let Err(error) = self.entry(&mut cursor, line, &mut lines) {
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

    fn entry<'t>(
        &mut self,
        cursor: &mut Cursor<'t>,
        line: &'t str,
        lines: &mut SourceLines<'t>,
    ) -> Result<(), JournalError> {
        if self.is_comment_or_blank(line) {
            return Ok(());
        }
        if is_indented(line) {
            cursor.skip_spaces();
            return Err(cursor.expected("a transaction, a directive or a comment, not indented"));
        }
        if begins_with_date(line) {
            return self.transaction(cursor, lines);
        }
        directive(self, cursor, lines)
    }

    fn is_comment_or_blank(&self, line: &str) -> bool {
        let trimmed = line.trim_start();
        match self.dialect() {
            Dialect::Hledger => trimmed.is_empty() || trimmed.starts_with([';', '#', '*']),
            _ => {
                trimmed.is_empty()
                    || line.starts_with([';', '#', '*', '%', '|'])
                    || trimmed.starts_with(';')
            }
        }
    }

    /// Reads the files that an `include` names.
    pub(super) fn include(&mut self, cursor: &mut Cursor<'_>) -> Result<(), JournalError> {
        let at = cursor.location();
        let wanted = cursor.rest().trim();
        let wanted = wanted
            .strip_prefix('"')
            .and_then(|wanted| wanted.strip_suffix('"'))
            .unwrap_or(wanted);
        if wanted.is_empty() {
            return Err(cursor.expected("a file"));
        }
        self.check_format(cursor, wanted)?;
        let paths = self.included_paths(wanted, &at)?;
        cursor.skip_to_end();
        for path in paths {
            let canonical = self.files.canonical(&path);
            let name = || path.to_string_lossy().into_owned();
            if self.including.iter().any(|(_, open)| *open == canonical) {
                return Err(Problem::IncludeCycle { path: name() }.at(&at));
            }
            let too_much = |what, limit| Problem::TooMuch { what, limit }.at(&at);
            if self.including.len() >= INCLUDE_DEPTH_MAX {
                return Err(too_much("files within each other", INCLUDE_DEPTH_MAX));
            }
            if self.journal.files.len() >= JOURNAL_FILES_MAX {
                return Err(too_much("files", JOURNAL_FILES_MAX));
            }
            let outer = self.scope.clone();
            self.file(&path, Some(&at))?;
            // In Ledger directives hold beyond the end of their file.
            if self.dialect() == Dialect::Hledger {
                self.scope = outer;
            }
        }
        Ok(())
    }

    /// hledger reads other formats by a file's prefix or extension.
    fn check_format(&self, cursor: &Cursor<'_>, wanted: &str) -> Result<(), JournalError> {
        if self.dialect() != Dialect::Hledger {
            return Ok(());
        }
        let is_other = |name: &str| {
            let others = ["csv", "ssv", "tsv", "rules", "timeclock", "timedot"];
            others.contains(&name)
        };
        let prefix = wanted.split_once(':').map(|(prefix, _)| prefix);
        let extension = Path::new(wanted).extension().and_then(|it| it.to_str());
        match prefix.into_iter().chain(extension).find(|it| is_other(it)) {
            Some(format) => Err(cursor.unsupported(format!("an included file in {format} format"))),
            None => Ok(()),
        }
    }

    fn included_paths(&self, wanted: &str, at: &Location) -> Result<Vec<PathBuf>, JournalError> {
        let current = self.including.last();
        let directory = current.and_then(|(path, _)| path.parent());
        let path = directory.unwrap_or(Path::new("")).join(wanted);
        if !wanted.contains(['*', '?', '[']) {
            return Ok(vec![path]);
        }
        let pattern = path.to_string_lossy();
        let unreadable = |reason: String| {
            let path = pattern.to_string();
            Problem::Unreadable { path, reason }.at(at)
        };
        let mut paths = self
            .files
            .matching(&pattern)
            .map_err(|error| unreadable(error.to_string()))?;
        paths.retain(|path| {
            let canonical = self.files.canonical(path);
            current.is_none_or(|(_, current)| *current != canonical)
        });
        if paths.is_empty() {
            return Err(unreadable("no file matches".to_owned()));
        }
        Ok(paths)
    }
}
