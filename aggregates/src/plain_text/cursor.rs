use std::sync::Arc;

use super::location::Location;
use super::problem::{Found, JournalError, Problem};

/// How much an error repeats of what it found, in characters.
const FOUND_CHARS_MAX: usize = 40;

/// A place in one line, from which reading goes on.
#[derive(Clone, Debug)]
pub(super) struct Cursor<'t> {
    file: Arc<str>,
    line: u32,
    text: &'t str,
    /// In bytes, at the start of a character.
    at: usize,
}

impl<'t> Cursor<'t> {
    pub(super) fn new(file: &Arc<str>, line: u32, text: &'t str) -> Self {
        Self {
            file: Arc::clone(file),
            line,
            text,
            at: 0,
        }
    }

    pub(super) fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.rest().is_empty()
    }

    pub(super) fn skip(&mut self, bytes: usize) {
        self.at = self.at.saturating_add(bytes).min(self.text.len());
    }

    pub(super) fn skip_to_end(&mut self) {
        self.at = self.text.len();
    }

    /// The next character is passed over if it is this one.
    pub(super) fn eat(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        if found {
            self.skip(wanted.len_utf8());
        }
        found
    }

    pub(super) fn eat_text(&mut self, wanted: &str) -> bool {
        let found = self.rest().starts_with(wanted);
        if found {
            self.skip(wanted.len());
        }
        found
    }

    /// The next word is passed over if it is this one.
    pub(super) fn eat_word(&mut self, wanted: &str) -> bool {
        let found = self
            .rest()
            .strip_prefix(wanted)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace));
        if found {
            self.skip(wanted.len());
        }
        found
    }

    pub(super) fn take_while(&mut self, belongs: impl Fn(char) -> bool) -> &'t str {
        let rest = self.rest();
        let end = rest.find(|next| !belongs(next)).unwrap_or(rest.len());
        self.skip(end);
        rest.get(..end).unwrap_or_default()
    }

    /// Up to this character, which is passed over and left out.
    pub(super) fn take_until(&mut self, end: char) -> Result<&'t str, JournalError> {
        match self.rest().split_once(end) {
            Some((text, _)) => {
                self.skip(text.len().saturating_add(end.len_utf8()));
                Ok(text)
            }
            None => {
                self.skip_to_end();
                Err(self.expected(format!("`{end}`")))
            }
        }
    }

    pub(super) fn skip_spaces(&mut self) -> bool {
        !self.take_while(char::is_whitespace).is_empty()
    }

    pub(super) fn location(&self) -> Location {
        let before = self.text.get(..self.at).unwrap_or_default();
        let column = before.chars().count().saturating_add(1);
        Location {
            file: Arc::clone(&self.file),
            line: self.line,
            column: u32::try_from(column).unwrap_or(u32::MAX),
        }
    }

    /// Something else belongs here.
    pub(super) fn expected(&self, expected: impl Into<String>) -> JournalError {
        let rest = self.rest().trim_end();
        let found = if rest.is_empty() {
            Found::End
        } else {
            Found::Text(rest.chars().take(FOUND_CHARS_MAX).collect())
        };
        self.problem(Problem::Syntax {
            expected: expected.into(),
            found,
        })
    }

    pub(super) fn unsupported(&self, what: impl Into<String>) -> JournalError {
        self.problem(Problem::Unsupported { what: what.into() })
    }

    pub(super) fn problem(&self, problem: Problem) -> JournalError {
        problem.at(&self.location())
    }
}
