use super::comments;
use super::reader::Reader;
use super::transaction::status;
use crate::plain_text::cursor::Cursor;
use crate::plain_text::dialect::Dialect;
use crate::plain_text::journal::{Posting, PostingKind};
use crate::plain_text::problem::JournalError;

impl Reader<'_> {
    /// Reads a posting, from its first character on.
    pub(super) fn posting(
        &mut self,
        cursor: &mut Cursor<'_>,
        year: Option<i32>,
    ) -> Result<Posting, JournalError> {
        let status = status(cursor);
        let at = cursor.location();
        let name = account_name(cursor, self.dialect())?;
        let bracketed = |open: char, close: char| {
            let inner = name.strip_prefix(open)?.strip_suffix(close)?;
            Some(inner.trim())
        };
        let (name, kind) = if let Some(inner) = bracketed('(', ')') {
            (inner, PostingKind::Virtual)
        } else if let Some(inner) = bracketed('[', ']') {
            (inner, PostingKind::BalancedVirtual)
        } else if self.dialect() == Dialect::Ledger && bracketed('<', '>').is_some() {
            return Err(cursor.unsupported("a deferred posting in angle brackets"));
        } else {
            (name, PostingKind::Real)
        };
        if name.is_empty() {
            return Err(cursor.expected("an account"));
        }
        let account = self.scope.account(name);
        let account = self.name(&account);
        let figures = self.figures(cursor)?;
        let mut posting = Posting {
            at,
            account,
            kind,
            status,
            date: None,
            amount: figures.amount,
            lot: figures.lot,
            cost: figures.cost,
            assertion: figures.assertion,
            comment: String::new(),
        };
        if cursor.eat(';') {
            comments::append(&mut posting.comment, cursor.rest());
            posting.date = comments::posting_date(cursor, year)?;
        }
        Ok(posting)
    }
}

/// An account's name: up to two spaces, a tab, the end, or in hledger a comment. Single spaces belong to it.
pub(super) fn account_name<'t>(
    cursor: &mut Cursor<'t>,
    dialect: Dialect,
) -> Result<&'t str, JournalError> {
    let rest = cursor.rest();
    let mut end = rest.len();
    let mut chars = rest.char_indices().peekable();
    while let Some((at, next)) = chars.next() {
        let is_end = match next {
            ';' => dialect == Dialect::Hledger,
            '\t' => true,
            space if space.is_whitespace() => match chars.peek() {
                Some((_, behind)) => behind.is_whitespace(),
                None => true,
            },
            _ => false,
        };
        if is_end {
            end = at;
            break;
        }
    }
    let name = rest.get(..end).unwrap_or_default().trim_end();
    if name.is_empty() {
        return Err(cursor.expected("an account"));
    }
    cursor.skip(end);
    Ok(name)
}
