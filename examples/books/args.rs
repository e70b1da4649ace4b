use std::path::PathBuf;

use clap::{Parser, Subcommand};
use foldhouse_aggregates::plain_text::Dialect;

/// Plain-text books in and out: hledger, Ledger, Beancount.
#[derive(Clone, Debug, Parser)]
#[command(name = "books")]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) task: Task,
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Task {
    /// Posts a journal through actors and prints the balances.
    Import(ImportArgs),
    /// Writes a journal of made-up transactions to stdout, in a form that all three programs' readers share as far as they do.
    Generate(GenerateArgs),
}

/// Posts a journal through actors, each transaction to all its accounts or to none, and prints the balances.
///
/// A journal with errors is not posted at all. Exit code: 0 if all is well, 1 if the journal has errors or an assertion
/// fails, 2 if the arguments do not fit.
#[derive(Clone, Debug, Parser)]
pub(crate) struct ImportArgs {
    /// The journal. Its extension tells the format: .journal .hledger .j, .ledger .dat, .beancount .bean.
    pub(crate) file: PathBuf,
    /// The format, where the extension does not tell it: hledger, ledger or beancount.
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<Dialect>,
    /// The year of dates without one; this year if nothing is said.
    #[arg(long)]
    pub(crate) year: Option<i32>,
    /// Keeps the books in this directory. Transactions that are in them already are not posted again.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// The name of the books, of which a directory can hold several.
    #[arg(long, default_value = "main")]
    pub(crate) book: String,
    /// Writes `account,commodity,quantity` to this file, sorted, exact, without what is zero.
    #[arg(long, value_name = "CSV")]
    pub(crate) balances: Option<PathBuf>,
    /// Prints the accounts as a tree, with those below them in their balances.
    #[arg(long)]
    pub(crate) tree: bool,
    /// Prints exactly one JSON object instead of the balances.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Writes a journal of made-up transactions.
#[derive(Clone, Debug, Parser)]
pub(crate) struct GenerateArgs {
    /// How many transactions.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    pub(crate) transactions: u64,
    /// What they are drawn from: the same seed, the same journal.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
}
