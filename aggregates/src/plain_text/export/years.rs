//! The years that a format has.

use chrono::{Datelike, NaiveDate};

use super::ExportError;
use crate::plain_text::booking::Booked;
use crate::plain_text::dialect::Dialect;
use crate::plain_text::journal::{EntryKind, Journal};
use crate::plain_text::problem::Problem;

/// Years beyond are written with a sign, which no program reads.
const LAST: i32 = 9999;

/// Ledger's dates are Boost's, Beancount's are Python's.
fn first(dialect: Dialect) -> i32 {
    match dialect {
        Dialect::Hledger => 0,
        Dialect::Ledger => 1400,
        Dialect::Beancount => 1,
    }
}

/// Refuses a date that the format's program would not read.
pub(super) fn check(journal: &Journal, booked: &Booked, to: Dialect) -> Result<(), ExportError> {
    let first = first(to);
    let transactions = booked
        .transactions
        .iter()
        .filter_map(|it| Some((it.date, journal.entries.get(it.entry)?)));
    let entries = journal.entries.iter();
    let dated = entries.filter_map(|entry| Some((date(&entry.kind)?, entry)));
    for (date, entry) in transactions.chain(dated) {
        let year = date.year();
        if !(first..=LAST).contains(&year) {
            let problem = Problem::NoSuchYear {
                dialect: to,
                year,
                first,
                last: LAST,
            };
            return Err(problem.at(&entry.at).into());
        }
    }
    Ok(())
}

/// The date that an entry is written with; transactions have theirs where they are booked.
fn date(kind: &EntryKind) -> Option<NaiveDate> {
    match kind {
        EntryKind::Price(price) => Some(price.date),
        EntryKind::Open(open) => open.date,
        EntryKind::Close { date, .. } => Some(*date),
        EntryKind::Commodity { date, .. } => *date,
        EntryKind::Balance(balance) => Some(balance.date),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::plain_text::{
        Dialect, ExportError, MemoryFiles, ReadOptions, book, export_journal, read_journal,
    };

    fn export(text: &str, to: Dialect) -> Result<(), ExportError> {
        let files = MemoryFiles::new([("main.journal", text)]);
        let options = ReadOptions::default();
        let main = Path::new("main.journal");
        let journal = read_journal(main, Dialect::Hledger, options, &files).unwrap();
        let booked = book(&journal).unwrap();
        export_journal(&journal, &booked, to, &mut Vec::new())
    }

    #[test]
    fn a_date_that_a_format_does_not_have_is_refused_where_it_stands() {
        let price = "; units\nP 0000-01-01 kt 1000 t\n";
        assert!(export(price, Dialect::Hledger).is_ok());
        let refused = export(price, Dialect::Ledger).unwrap_err().to_string();
        assert_eq!(
            refused,
            "main.journal:2:3: ledger has no year 0: it takes 1400 to 9999; leave it out, or write another format"
        );
        let refused = export(price, Dialect::Beancount).unwrap_err().to_string();
        assert!(
            refused.contains("beancount has no year 0: it takes 1 to 9999"),
            "{refused}"
        );
    }

    #[test]
    fn a_transaction_of_long_ago_is_refused_where_the_program_would_not_read_it() {
        let old = "1399-12-31 a horse\n  expenses:stable  1 EUR\n  assets:chest\n";
        assert!(export(old, Dialect::Beancount).is_ok());
        assert!(export(old, Dialect::Ledger).is_err());
        assert!(export(&old.replace("1399", "1400"), Dialect::Ledger).is_ok());
    }
}
