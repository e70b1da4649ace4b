//! The format that hledger and Ledger share.
//!
//! - `reader`: the files, one within the other, and their entries
//! - `scope`: what directives have said for the entries behind them
//! - `directive`: the directives; `skipped_block`: what does not count
//! - `transaction`, `posting`: transactions
//! - `amounts`: amounts, costs, lots
//! - `comments`: comments and the tags in them

mod amounts;
mod comments;
mod directive;
mod posting;
mod reader;
mod scope;
mod transaction;

pub(super) use self::reader::read;
