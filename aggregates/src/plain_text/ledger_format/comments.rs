use chrono::NaiveDate;

use crate::plain_text::cursor::Cursor;
use crate::plain_text::dates;
use crate::plain_text::journal::Tag;
use crate::plain_text::problem::JournalError;

/// Adds a line to a comment.
pub(super) fn append(comment: &mut String, line: &str) {
    let line = line.trim();
    if line.is_empty() {
        return;
    }
    if !comment.is_empty() {
        comment.push('\n');
    }
    comment.push_str(line);
}

/// The tags in a comment: `name: value`, and Ledger's `:name:name:`.
pub(super) fn tags(comment: &str) -> Vec<Tag> {
    let mut tags = Vec::new();
    for part in comment.split(['\n', ',']) {
        let part = part.trim();
        if let Some(names) = part
            .strip_prefix(':')
            .and_then(|part| part.strip_suffix(':'))
        {
            let names = names.split(':').filter(|name| is_tag_name(name));
            tags.extend(names.map(|name| tag(name, "")));
        } else if let Some((before, value)) = part.split_once(':') {
            let name = before
                .rsplit(char::is_whitespace)
                .next()
                .unwrap_or_default();
            if is_tag_name(name) {
                tags.push(tag(name, value.trim()));
            }
        }
    }
    tags
}

fn is_tag_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(char::is_whitespace)
}

fn tag(name: &str, value: &str) -> Tag {
    Tag {
        name: name.to_owned(),
        value: value.to_owned(),
    }
}

/// A posting's own date: `date:2026-01-31`, or `[2026-01-31]`.
pub(super) fn posting_date(
    cursor: &Cursor<'_>,
    default_year: Option<i32>,
) -> Result<Option<NaiveDate>, JournalError> {
    let text = cursor.rest();
    let bracketed = text.match_indices('[').find(|(at, _)| {
        let behind = text.get(at.saturating_add(1)..).unwrap_or_default();
        let inside = behind.split_once(']').map(|(inside, _)| inside);
        inside.is_some_and(|inside| {
            !inside.is_empty()
                && inside.starts_with(|next: char| next.is_ascii_digit() || next == '=')
                && inside.contains(['-', '/', '.'])
                && inside
                    .chars()
                    .all(|next| next.is_ascii_digit() || matches!(next, '-' | '/' | '.' | '='))
        })
    });
    if let Some((at, _)) = bracketed {
        let mut cursor = cursor.clone();
        cursor.skip(at.saturating_add(1));
        // Only a secondary date.
        if cursor.peek() == Some('=') {
            return Ok(None);
        }
        return dates::date(&mut cursor, default_year).map(Some);
    }
    let tagged = text.match_indices("date:").find(|(at, _)| {
        let before = text.get(..*at).unwrap_or_default();
        before.is_empty() || before.ends_with([' ', '\t', ',', ';'])
    });
    let Some((at, tag)) = tagged else {
        return Ok(None);
    };
    let mut cursor = cursor.clone();
    cursor.skip(at.saturating_add(tag.len()));
    cursor.skip_spaces();
    if cursor.is_at_end() || cursor.peek() == Some(',') {
        return Ok(None);
    }
    dates::date(&mut cursor, default_year).map(Some)
}
