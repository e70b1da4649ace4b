//! Automated and periodic transactions: what Ledger applies, and what nobody applies unless asked to.

use regex::RegexBuilder;

use super::reader::Reader;
use crate::plain_text::cursor::Cursor;
use crate::plain_text::dialect::Dialect;
use crate::plain_text::journal::{EntryKind, Rule};
use crate::plain_text::lines::SourceLines;
use crate::plain_text::problem::JournalError;

/// `= QUERY` and `~ PERIOD`, with postings.
pub(super) fn rule(
    reader: &mut Reader<'_>,
    cursor: &mut Cursor<'_>,
    lines: &mut SourceLines<'_>,
) -> Result<(), JournalError> {
    let automated = cursor.peek() == Some('=');
    if automated && reader.dialect() == Dialect::Ledger {
        return applied_rule(reader, cursor, lines);
    }
    let text = if automated {
        "an automated transaction does not count (hledger wants --auto for it)"
    } else if reader.dialect() == Dialect::Hledger {
        "a periodic transaction does not count (hledger wants --forecast for it)"
    } else {
        "a periodic transaction does not count (Ledger wants --budget for it)"
    };
    reader.note(cursor.location(), text);
    lines.skip_indented();
    Ok(())
}

/// Ledger always applies its automated transactions. Those that look for accounts by a regular expression are taken.
fn applied_rule(
    reader: &mut Reader<'_>,
    cursor: &mut Cursor<'_>,
    lines: &mut SourceLines<'_>,
) -> Result<(), JournalError> {
    let at = cursor.location();
    cursor.eat('=');
    cursor.skip_spaces();
    let start = cursor.clone();
    let others = || start.unsupported("an automated transaction with anything but one `/account/`");
    if !cursor.eat('/') {
        return Err(others());
    }
    let pattern = cursor.take_until('/')?;
    cursor.skip_spaces();
    if !(cursor.is_at_end() || cursor.peek() == Some(';')) {
        return Err(others());
    }
    let accounts = RegexBuilder::new(pattern).case_insensitive(true).build();
    let accounts = accounts.map_err(|_| start.expected("a regular expression"))?;
    let mut postings = Vec::new();
    while let Some(mut line) = lines.next_indented() {
        line.skip_spaces();
        if line.peek() == Some(';') {
            continue;
        }
        let place = line.clone();
        let posting = reader.rule_posting(&mut line)?;
        let is_plain = posting.amount.is_some()
            && posting.cost.is_none()
            && posting.assertion.is_none()
            && !posting.account.contains(['$', '%']);
        if !is_plain {
            return Err(place.unsupported("this posting in an automated transaction"));
        }
        postings.push(posting);
    }
    let rule = Rule { accounts, postings };
    reader.add(at, EntryKind::Rule(Box::new(rule)));
    Ok(())
}
