use chrono::NaiveDate;

use super::cursor::Cursor;
use super::problem::JournalError;

/// Reads `2026-01-31`, with `/` or `.` too, or a date without its year where one is known.
pub(super) fn date(
    cursor: &mut Cursor<'_>,
    default_year: Option<i32>,
) -> Result<NaiveDate, JournalError> {
    let start = cursor.clone();
    let text = cursor.take_while(|next| next.is_ascii_digit() || matches!(next, '-' | '/' | '.'));
    let invalid = || start.expected("a date");
    let parts: Vec<&str> = text.split(['-', '/', '.']).collect();
    let number = |part: &str| part.parse::<u32>().map_err(|_| invalid());
    let (year, month, day) = match parts.as_slice() {
        [year, month, day] if year.len() >= 4 => {
            let year = year.parse().map_err(|_| invalid())?;
            (year, number(month)?, number(day)?)
        }
        [month, day] => {
            let year = default_year.ok_or_else(|| {
                start.expected("a date with its year, as no directive before it tells the year")
            })?;
            (year, number(month)?, number(day)?)
        }
        _ => return Err(invalid()),
    };
    NaiveDate::from_ymd_opt(year, month, day).ok_or_else(invalid)
}

/// Whether a line begins with something like a date.
pub(super) fn begins_with_date(line: &str) -> bool {
    line.starts_with(|next: char| next.is_ascii_digit())
}
