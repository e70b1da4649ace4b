//! What the command-line examples share.
//!
//! | file | idea |
//! |---|---|
//! | `failure.rs` | why a run came to no result, and its exit code |
//! | `report.rs` | prints a report as JSON or as a table |
//! | `directory.rs` | where the store is: kept, or removed at the end |
//! | `csv_rows.rs` | the rows of a CSV file, each with its line or what is wrong with it |
//! | `callers.rs` | many callers at the same time |
//! | `findings.rs` | counts what does not hold, and tells the first ones |
//! | `latency.rs` | the times of a histogram, in microseconds |
#![allow(clippy::print_stderr, reason = "for command-line programs")]

mod callers;
mod csv_rows;
mod directory;
mod failure;
mod findings;
mod latency;
mod report;

pub use callers::{at_the_same_time, block_on, progress_bar};
pub use csv_rows::{Columns, CsvError, read_csv};
pub use directory::{Directory, open_store};
pub use failure::{Failure, fail};
pub use findings::Findings;
pub use latency::{Latency, rate};
pub use report::{Report, finish, table};
