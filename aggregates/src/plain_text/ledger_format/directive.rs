use regex::RegexBuilder;

use super::posting::account_name;
use super::reader::Reader;
use super::scope::{Alias, Applied};
use crate::plain_text::cursor::Cursor;
use crate::plain_text::dates;
use crate::plain_text::dialect::Dialect;
use crate::plain_text::journal::{EntryKind, Open, Price};
use crate::plain_text::lines::SourceLines;
use crate::plain_text::problem::JournalError;

/// Reads a directive, with the lines that belong to it.
pub(super) fn directive<'t>(
    reader: &mut Reader<'_>,
    cursor: &mut Cursor<'t>,
    lines: &mut SourceLines<'t>,
) -> Result<(), JournalError> {
    let at = cursor.location();
    let start = cursor.clone();
    // An old way of writing directives.
    if !cursor.eat('!') {
        cursor.eat('@');
    }
    if cursor.peek() == Some('=') || cursor.peek() == Some('~') {
        return rule(reader, cursor, lines);
    }
    if cursor
        .rest()
        .strip_prefix('Y')
        .is_some_and(dates::begins_with_date)
    {
        cursor.eat('Y');
        return year(reader, cursor);
    }
    let word = cursor.take_while(|next| !next.is_whitespace());
    cursor.skip_spaces();
    let ledger = reader.dialect() == Dialect::Ledger;
    match word {
        "include" => reader.include(cursor),
        "account" => account(reader, cursor, lines),
        "commodity" => commodity(reader, cursor, lines),
        "alias" => alias(reader, cursor),
        "apply" => apply(reader, cursor),
        "end" => end(reader, cursor),
        "comment" => skip_to_end(cursor, lines, "comment"),
        "test" if ledger => skip_to_end(cursor, lines, "test"),
        "D" => default_commodity(reader, cursor),
        "P" => price(reader, cursor),
        "Y" | "year" => year(reader, cursor),
        "decimal-mark" if !ledger => decimal_mark(reader, cursor),
        "payee" | "tag" => {
            if ledger {
                check_sub_directives(lines)?;
            }
            lines.skip_indented();
            Ok(())
        }
        "N" => Ok(()),
        "C" if !ledger => {
            reader.note(at, "hledger does not use commodity conversions (`C`)");
            Ok(())
        }
        "A" | "bucket" if ledger => {
            let name = reader.scope.account(cursor.rest().trim());
            reader.scope.bucket = Some(reader.name(&name));
            Ok(())
        }
        "i" | "o" | "O" | "I" | "b" | "h" => Err(start.unsupported("a timeclock entry")),
        _ if starts_option(word) && ledger => {
            Err(start.unsupported(format!("the option {word} in a journal")))
        }
        "assert" | "check" | "capture" | "define" | "def" | "eval" | "expr" | "value"
        | "python" | "import" | "fixed" | "endfixed" | "C" | "A" | "bucket" => {
            Err(start.unsupported(format!("the directive `{word}`")))
        }
        _ => Err(start.expected("a transaction, a directive or a comment")),
    }
}

fn starts_option(word: &str) -> bool {
    word.starts_with("--")
}

/// `= QUERY` and `~ PERIOD`, with postings.
fn rule(
    reader: &mut Reader<'_>,
    cursor: &mut Cursor<'_>,
    lines: &mut SourceLines<'_>,
) -> Result<(), JournalError> {
    let automated = cursor.peek() == Some('=');
    if automated && reader.dialect() == Dialect::Ledger {
        return Err(cursor.unsupported("an automated transaction, which Ledger always applies"));
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

fn account(
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
                reader.scope.bucket = Some(std::sync::Arc::clone(&account));
            } else if !(line.eat_word("note") || line.peek() == Some(';')) {
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
fn commodity(
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
                let to = std::sync::Arc::clone(&commodity);
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
fn format(
    reader: &mut Reader<'_>,
    cursor: &mut Cursor<'_>,
) -> Result<std::sync::Arc<str>, JournalError> {
    let (commodity, decimals, mark) = sample(reader, cursor)?;
    reader.declare(&commodity, decimals, mark);
    Ok(commodity)
}

fn sample(
    reader: &mut Reader<'_>,
    cursor: &mut Cursor<'_>,
) -> Result<(std::sync::Arc<str>, u8, Option<char>), JournalError> {
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

fn default_commodity(reader: &mut Reader<'_>, cursor: &mut Cursor<'_>) -> Result<(), JournalError> {
    // A default of before must not add its commodity here.
    let (commodity, decimals, mark) = sample(reader, cursor)?;
    let shown =
        crate::decimal::Decimal::new(0, decimals).map_err(|error| cursor.problem(error.into()))?;
    reader.see_decimals(&crate::plain_text::amount::Amount::new(
        shown,
        std::sync::Arc::clone(&commodity),
    ));
    reader.scope.default_commodity = Some((commodity, mark));
    Ok(())
}

fn alias(reader: &mut Reader<'_>, cursor: &mut Cursor<'_>) -> Result<(), JournalError> {
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

fn apply(reader: &mut Reader<'_>, cursor: &mut Cursor<'_>) -> Result<(), JournalError> {
    if cursor.eat_word("account") {
        let parent = cursor.rest().trim().to_owned();
        if parent.is_empty() {
            return Err(cursor.expected("an account"));
        }
        reader.scope.parents.push(parent);
        reader.scope.applied.push(Applied::Account);
    } else if cursor.eat_word("tag") {
        reader.scope.applied.push(Applied::Tag);
    } else if cursor.eat_word("year") {
        let before = reader.scope.default_year;
        reader.scope.applied.push(Applied::Year(before));
        cursor.skip_spaces();
        year(reader, cursor)?;
    } else {
        return Err(cursor.unsupported("applying this"));
    }
    Ok(())
}

fn end(reader: &mut Reader<'_>, cursor: &mut Cursor<'_>) -> Result<(), JournalError> {
    let start = cursor.clone();
    if cursor.eat_word("aliases") {
        reader.scope.aliases.clear();
        return Ok(());
    }
    // In Ledger a bare `end` ends what was begun last.
    cursor.eat_word("apply");
    cursor.skip_spaces();
    let word = cursor.take_while(|next| !next.is_whitespace());
    let ends = |applied: &Applied| match word {
        "account" => *applied == Applied::Account,
        "tag" | "tags" => *applied == Applied::Tag,
        "year" => matches!(applied, Applied::Year(_)),
        _ => word.is_empty(),
    };
    let begun = reader.scope.applied.iter().rposition(ends);
    match begun.map(|index| reader.scope.applied.remove(index)) {
        Some(Applied::Account) => drop(reader.scope.parents.pop()),
        Some(Applied::Tag) => {}
        Some(Applied::Year(before)) => reader.scope.default_year = before,
        None => return Err(start.expected("the end of something that was begun")),
    }
    Ok(())
}

/// Passes over everything up to `end WORD`.
fn skip_to_end(
    start: &Cursor<'_>,
    lines: &mut SourceLines<'_>,
    word: &str,
) -> Result<(), JournalError> {
    let _ = start;
    while let Some(mut line) = lines.next() {
        if line.eat_word("end") {
            line.skip_spaces();
            if line.eat_word(word) {
                break;
            }
        }
    }
    // One that is never ended goes to the end of its file.
    Ok(())
}

fn price(reader: &mut Reader<'_>, cursor: &mut Cursor<'_>) -> Result<(), JournalError> {
    let at = cursor.location();
    let date = dates::date(cursor, reader.scope.default_year)?;
    cursor.skip_spaces();
    if cursor.peek().is_some_and(|next| next.is_ascii_digit()) {
        cursor.take_while(|next| next.is_ascii_digit() || next == ':');
        cursor.skip_spaces();
    }
    let commodity = reader.commodity(cursor)?;
    let commodity = commodity.ok_or_else(|| cursor.expected("a commodity"))?;
    cursor.skip_spaces();
    let amount = reader.amount(cursor)?;
    let price = Price {
        date,
        commodity,
        amount,
    };
    reader.add(at, EntryKind::Price(price));
    Ok(())
}

fn year(reader: &mut Reader<'_>, cursor: &mut Cursor<'_>) -> Result<(), JournalError> {
    let digits = cursor.take_while(|next| next.is_ascii_digit());
    match digits.parse() {
        Ok(year) if digits.len() >= 4 => reader.scope.default_year = Some(year),
        _ => return Err(cursor.expected("a year")),
    }
    Ok(())
}

fn decimal_mark(reader: &mut Reader<'_>, cursor: &mut Cursor<'_>) -> Result<(), JournalError> {
    match cursor.peek() {
        Some(mark @ ('.' | ',')) => reader.scope.decimal_mark = Some(mark),
        _ => return Err(cursor.expected("`.` or `,`")),
    }
    Ok(())
}

/// Those of a payee or a tag, which may check something in Ledger.
fn check_sub_directives(lines: &mut SourceLines<'_>) -> Result<(), JournalError> {
    while let Some(mut line) = lines.next_indented() {
        line.skip_spaces();
        if line.eat_word("assert") || line.eat_word("check") {
            return Err(line.unsupported("a check by an expression"));
        }
    }
    Ok(())
}
