use std::iter::{Enumerate, Peekable};
use std::str::Lines;
use std::sync::Arc;

use super::cursor::Cursor;

/// The lines of a file, one after the other, with a look at the next one.
#[derive(Debug)]
pub(super) struct SourceLines<'t> {
    pub(super) file: Arc<str>,
    lines: Peekable<Enumerate<Lines<'t>>>,
}

impl<'t> SourceLines<'t> {
    pub(super) fn new(file: Arc<str>, text: &'t str) -> Self {
        // A byte order mark is not a part of the text.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        Self {
            file,
            lines: text.lines().enumerate().peekable(),
        }
    }

    pub(super) fn peek(&mut self) -> Option<&'t str> {
        self.lines.peek().map(|(_, text)| *text)
    }

    pub(super) fn next(&mut self) -> Option<Cursor<'t>> {
        self.next_with_text().map(|(cursor, _)| cursor)
    }

    pub(super) fn next_with_text(&mut self) -> Option<(Cursor<'t>, &'t str)> {
        let (index, text) = self.lines.next()?;
        let line = u32::try_from(index.saturating_add(1)).unwrap_or(u32::MAX);
        Some((Cursor::new(&self.file, line, text), text))
    }

    /// The next line, if it is indented and not blank: it belongs to what stands before it.
    pub(super) fn next_indented(&mut self) -> Option<Cursor<'t>> {
        if self.peek().is_some_and(is_indented) {
            self.next()
        } else {
            None
        }
    }

    /// Passes over what belongs to an entry that cannot be read.
    pub(super) fn skip_indented(&mut self) {
        while self.next_indented().is_some() {}
    }
}

/// Whether a line is a part of the entry before it.
pub(super) fn is_indented(line: &str) -> bool {
    line.starts_with([' ', '\t']) && !line.trim().is_empty()
}
