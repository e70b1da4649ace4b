//! Plain-text accounting: journals of hledger, Ledger and Beancount, read, booked, posted through actors, written.
//!
//! It is what a user's books come in by and go out by: [`read_journal`] reads the files, [`book`] infers what was left
//! out and checks what must hold, [`BookAccount`] takes what they post.
//!
//! ```
//! use std::path::Path;
//! use foldhouse_aggregates::plain_text::{Dialect, MemoryFiles, ReadOptions, book, read_journal};
//!
//! let text = "
//! 2026-01-31 * rent
//!     expenses:home    800.00 EUR
//!     assets:bank
//! ";
//! let files = MemoryFiles::new([("main.journal", text)]);
//! let journal = read_journal(Path::new("main.journal"), Dialect::Hledger, ReadOptions::default(), &files).unwrap();
//! let booked = book(&journal).unwrap();
//!
//! let balances = booked.balances().unwrap();
//! let rows = balances.iter().map(|((account, commodity), quantity)| format!("{account} {quantity} {commodity}"));
//! assert_eq!(rows.collect::<Vec<_>>(), ["assets:bank -800.00 EUR", "expenses:home 800.00 EUR"]);
//! ```
//!
//! # What holds
//! - Quantities are [`Decimal`](crate::Decimal)s: exact, or an error.
//! - What is not supported is an error with its file, line and column. Only what has no effect on balances by the rules
//!   of the format itself (periodic transactions, say) is passed over, and told as a [`Note`].
//! - Files are read through [`SourceFiles`] alone.

mod amount;
mod arithmetic;
mod beancount_format;
mod book_account;
mod booking;
mod cursor;
mod dates;
mod dialect;
mod export;
mod journal;
mod ledger_format;
mod lines;
mod location;
mod names;
mod numeral;
mod problem;
mod reading;
mod source_files;
mod sums;

pub use amount::{Amount, Assertion, Cost, Lot};
pub use book_account::{
    BookAccount, BookEvent, BookLine, BookPosting, BookRejection, PostToBook, book_account_id,
};
pub use booking::{BookBalances, Booked, BookedPosting, BookedTransaction, book};
pub use dialect::{Dialect, UnknownDialect};
pub use export::{ExportError, export_journal};
pub use journal::{
    Balance, Entry, EntryKind, Journal, LotOrder, Note, Open, Posting, PostingKind, Price, Rule,
    Status, Tag, Tolerances, Transaction,
};
pub use location::Location;
pub use problem::{Found, JournalError, Problem};
pub use reading::{
    INCLUDE_DEPTH_MAX, JOURNAL_ERRORS_MAX, JOURNAL_FILES_MAX, ReadOptions, read_journal,
};
pub use source_files::{DiskFiles, MemoryFiles, SOURCE_FILE_BYTES_MAX, SourceFiles};
