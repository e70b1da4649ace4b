//! Beancount's format.
//!
//! - `reader`: the files, one within the other, and their entries
//! - `directive`: entries with a date, and options
//! - `transaction`: transactions and their postings
//! - `tokens`: the words of a line

mod directive;
mod reader;
mod tokens;
mod transaction;

pub(super) use self::reader::read;
