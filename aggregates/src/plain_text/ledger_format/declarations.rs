//! What is said about accounts and commodities: their names, and how amounts are written.

use std::sync::Arc;

use regex::RegexBuilder;

use super::posting::account_name;
use super::reader::Reader;
use super::scope::Alias;
use crate::decimal::Decimal;
use crate::plain_text::amount::Amount;
use crate::plain_text::cursor::Cursor;
use crate::plain_text::dialect::Dialect;
use crate::plain_text::journal::{EntryKind, Open};
use crate::plain_text::lines::SourceLines;
use crate::plain_text::problem::JournalError;

pub(super) fn account(
    reader: &mut Reader<'_>,
    cursor: &mut Cursor<'_>,
    lines: &mut SourceLines<'_>,
) -> Result<(), JournalError> {
    let at = cursor.location();
    let written = account_name(cursor, reader.dialect())?;
    let name = reader.scope.account(written);
    let account = reader.name(&name);
    if reader.dialect() == Dialect::Ledger {
        while let Some(mut line) = lines.next_indented() {
            line.skip_spaces();
            if line.eat_word("alias") {
                let old = line.rest().trim().to_owned();
                let new = name.clone();
                reader.scope.aliases.push(Alias::Whole { old, new });
            } else if line.eat_word("default") {
                reader.scope.bucket = Some(Arc::clone(&account));
            } else if !(line.eat_word("note") || line.eat_word("check") || line.peek() == Some(';'))
            {
                return Err(line.unsupported("this property of an account"));
            }
        }
    }
    lines.skip_indented();
    let open = Open {
        date: None,
        account,
        commodities: Vec::new(),
        booking: None,
    };
    reader.add(at, EntryKind::Open(open));
    Ok(())
}

/// `commodity 1,000.00 EUR`, or with its format on a line of its own.
pub(super) fn commodity(
    reader: &mut Reader<'_>,
    cursor: &mut Cursor<'_>,
    lines: &mut SourceLines<'_>,
) -> Result<(), JournalError> {
    let at = cursor.location();
    let text = cursor.rest();
    let has_format = text
        .split(';')
        .next()
        .unwrap_or_default()
        .contains(|next: char| next.is_ascii_digit())
        && !text.starts_with('"');
    let commodity = if has_format
        || text.starts_with('"') && text.trim_end().ends_with(|it: char| it.is_ascii_digit())
    {
        format(reader, cursor)?
    } else {
        let symbol = reader.commodity(cursor)?;
        let symbol = symbol.ok_or_else(|| cursor.expected("a commodity"))?;
        cursor.skip_spaces();
        if !(cursor.is_at_end() || cursor.peek() == Some(';')) {
            return Err(cursor.expected("a comment or nothing"));
        }
        symbol
    };
    while let Some(mut line) = lines.next_indented() {
        line.skip_spaces();
        if line.eat_word("format") {
            line.skip_spaces();
            let formatted = format(reader, &mut line)?;
            if formatted != commodity {
                return Err(line.expected("a format of the same commodity"));
            }
        } else if reader.dialect() == Dialect::Ledger {
            if line.eat_word("alias") {
                let alias = line.rest().trim().trim_matches('"').to_owned();
                let to = Arc::clone(&commodity);
                reader.commodity_aliases.insert(alias, to);
            } else if line.eat_word("default") {
                return Err(line.unsupported("a default commodity, set in this way"));
            } else if !(line.eat_word("note")
                || line.eat_word("nomarket")
                || line.peek() == Some(';'))
            {
                return Err(line.unsupported("this property of a commodity"));
            }
        }
    }
    let date = None;
    reader.add(at, EntryKind::Commodity { date, commodity });
    Ok(())
}

/// An amount that shows how those of its commodity are written.
fn format(reader: &mut Reader<'_>, cursor: &mut Cursor<'_>) -> Result<Arc<str>, JournalError> {
    let (commodity, decimals, mark) = sample(reader, cursor)?;
    reader.declare(&commodity, decimals, mark);
    Ok(commodity)
}

fn sample(
    reader: &mut Reader<'_>,
    cursor: &mut Cursor<'_>,
) -> Result<(Arc<str>, u8, Option<char>), JournalError> {
    let text = cursor.rest().split(';').next().unwrap_or_default();
    let amount = reader.written(cursor)?.amount;
    let is_mark = |next: &char| matches!(next, '.' | ',');
    let outside_quotes = text.split('"').step_by(2);
    let last = outside_quotes.flat_map(str::chars).filter(is_mark).last();
    let decimals = amount.quantity.decimals();
    // `1.` and `1.00` tell the mark; in `1,000.` the last one is it as well. `1,000,000` tells that it is the other.
    let mark = match (last, decimals) {
        (Some(mark), 1..) => Some(mark),
        (Some(mark), 0) if ends_number(text, mark) => Some(mark),
        (Some(','), 0) => Some('.'),
        (Some(_), 0) => Some(','),
        (None, _) => None,
    };
    Ok((amount.commodity, decimals, mark))
}

/// Whether no digit stands behind the last such mark.
fn ends_number(text: &str, mark: char) -> bool {
    let behind = text.rsplit_once(mark).map(|(_, behind)| behind);
    behind.is_some_and(|behind| !behind.starts_with(|next: char| next.is_ascii_digit()))
}

pub(super) fn default_commodity(
    reader: &mut Reader<'_>,
    cursor: &mut Cursor<'_>,
) -> Result<(), JournalError> {
    // A default of before must not add its commodity here.
    let (commodity, decimals, mark) = sample(reader, cursor)?;
    let shown = Decimal::new(0, decimals).map_err(|error| cursor.problem(error.into()))?;
    reader.see_decimals(&Amount::new(shown, Arc::clone(&commodity)));
    reader.scope.default_commodity = Some((commodity, mark));
    Ok(())
}

pub(super) fn alias(reader: &mut Reader<'_>, cursor: &mut Cursor<'_>) -> Result<(), JournalError> {
    if cursor.eat('/') {
        let pattern = cursor.take_until('/')?;
        let compiled = RegexBuilder::new(pattern).case_insensitive(true).build();
        let old = compiled.map_err(|_| cursor.expected("a regular expression before it"))?;
        cursor.skip_spaces();
        if !cursor.eat('=') {
            return Err(cursor.expected("`=`"));
        }
        let new = replacement(cursor.rest().trim());
        reader.scope.aliases.push(Alias::Pattern { old, new });
        return Ok(());
    }
    let old = cursor.take_until('=')?.trim().to_owned();
    let new = cursor.rest().trim().to_owned();
    if old.is_empty() || new.is_empty() {
        return Err(cursor.expected("an alias like `alias OLD = NEW`"));
    }
    reader.scope.aliases.push(match reader.dialect() {
        Dialect::Ledger => Alias::Whole { old, new },
        _ => Alias::Plain { old, new },
    });
    Ok(())
}

/// `\1` as the library for regular expressions writes it, `${1}`.
fn replacement(text: &str) -> String {
    let mut replaced = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(next) = chars.next() {
        match (next, chars.peek()) {
            ('\\', Some(digit)) if digit.is_ascii_digit() => {
                replaced.push_str("${");
                replaced.push(*digit);
                replaced.push('}');
                chars.next();
            }
            ('$', _) => replaced.push_str("$$"),
            _ => replaced.push(next),
        }
    }
    replaced
}
