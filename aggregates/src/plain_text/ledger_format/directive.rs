use super::declarations::{account, alias, commodity, default_commodity};
use super::reader::Reader;
use super::rules::rule;
use super::scope::Applied;
use crate::plain_text::cursor::Cursor;
use crate::plain_text::dates;
use crate::plain_text::dialect::Dialect;
use crate::plain_text::journal::{EntryKind, Price};
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
        "decimal-mark" => {
            reader.note(
                at,
                "Ledger does not know this directive of hledger's, and passes over it",
            );
            Ok(())
        }
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
        "--no-pager" | "--no-color" if ledger => Ok(()),
        "--decimal-comma" if ledger => {
            reader.scope.decimal_mark = Some(',');
            Ok(())
        }
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
