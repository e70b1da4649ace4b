use foldhouse::{Projection, ProjectionError, RecordedEvent, Table, decode_event};
use serde::{Deserialize, Serialize};

use super::book::{BookEvent, GlBook};
use super::date::BookDate;
use super::entry::{Entry, EntryKind};
use super::journal_entry::{EntryEvent, JournalEntry};
use super::names::{AccountId, EntryId};
use super::terms::Side;
use crate::money::Money;

/// The read model of every line that was posted, by account and date: account statements, the general ledger report
/// and the open items are made of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AccountLines;

/// The place of a line: by account, date, entry number and its place in the entry. Persisted with its field names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LineKey {
    /// The tenant.
    pub tenant: Box<str>,
    /// The account.
    pub account: AccountId,
    /// The day on which the entry counts.
    pub date: BookDate,
    /// The entry's number.
    pub number: u64,
    /// Which line of the entry, from 1.
    pub line: u32,
}

/// A line as it was posted. Persisted with its field names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PostedLine {
    /// Its entry.
    pub entry: EntryId,
    /// The entry's description.
    pub description: String,
    /// The entry's first reference.
    pub reference: Option<String>,
    /// On which side.
    pub side: Side,
    /// How much.
    pub amount: Money,
    /// What kind of entry it belongs to.
    pub kind: EntryKind,
}

/// A row of [`AccountLines`]. Persisted with its names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LineRow {
    /// An entry has this number, and its lines come next.
    Numbered(u64),
    /// A line.
    Line(PostedLine),
}

impl Projection for AccountLines {
    const NAME: &'static str = "gl-lines";
    type Key = LineKey;
    type Row = LineRow;

    fn apply(
        &self,
        event: &RecordedEvent,
        table: &mut Table<LineKey, LineRow>,
    ) -> Result<(), ProjectionError> {
        let tenant = event.stream.tenant();
        if let Some(decoded) = decode_event::<GlBook>(event) {
            if let BookEvent::EntryNumbered {
                number,
                entry,
                date,
                ..
            } = decoded?
            {
                table.insert(number_key(tenant, &entry, date), LineRow::Numbered(number));
            }
        } else if let Some(decoded) = decode_event::<JournalEntry>(event)
            && let EntryEvent::Posted { entry } = decoded?
        {
            post(tenant, &entry, table)?;
        }
        Ok(())
    }
}

fn post(
    tenant: &str,
    entry: &Entry,
    table: &mut Table<LineKey, LineRow>,
) -> Result<(), ProjectionError> {
    let numbered = table.remove(&number_key(tenant, &entry.id, entry.date));
    let Some(LineRow::Numbered(number)) = numbered else {
        return Err(ProjectionError::new(format!(
            "entry {} was posted without a number",
            entry.id
        )));
    };
    for (line, place) in entry.lines.iter().zip(1..) {
        let key = LineKey {
            tenant: tenant.into(),
            account: line.account.clone(),
            date: entry.date,
            number,
            line: place,
        };
        let row = PostedLine {
            entry: entry.id.clone(),
            description: entry.description.clone(),
            reference: entry.references.first().cloned(),
            side: line.side,
            amount: line.amount,
            kind: entry.kind.clone(),
        };
        table.insert(key, LineRow::Line(row));
    }
    Ok(())
}

/// Where the number of an entry waits for its lines, which come with the same append.
fn number_key(tenant: &str, entry: &EntryId, date: BookDate) -> LineKey {
    LineKey {
        tenant: tenant.into(),
        // No account has a control character.
        account: format!("\0{entry}").into(),
        date,
        number: 0,
        line: 0,
    }
}

/// The lines of an account up to a day, oldest first.
pub(super) fn lines_until<'t>(
    lines: &'t Table<LineKey, LineRow>,
    tenant: &str,
    account: &AccountId,
    last: BookDate,
) -> impl Iterator<Item = (&'t LineKey, &'t PostedLine)> {
    let begin = LineKey {
        tenant: tenant.into(),
        account: account.clone(),
        date: BookDate::FIRST,
        number: 0,
        line: 0,
    };
    let end = LineKey {
        date: last,
        number: u64::MAX,
        line: u32::MAX,
        ..begin.clone()
    };
    lines.range(begin..=end).filter_map(|(key, row)| match row {
        LineRow::Line(line) => Some((key, line)),
        LineRow::Numbered(_) => None,
    })
}
