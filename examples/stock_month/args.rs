use std::path::PathBuf;

use clap::Parser;

/// Buys, reserves, ships, returns, counts and transfers the goods of a shop for a month, posts their value in the general
/// ledger, and then goes through the journal to check that stock and ledger agree after every entry, to the cent.
///
/// Without --file the sales are made up. Exit code: 0 if they agree everywhere, 1 if they do not, 2 if the arguments or the
/// files do not fit.
#[derive(Clone, Debug, Parser)]
#[command(name = "stock_month")]
pub(crate) struct Args {
    /// Sells the baskets of this CSV file: a line for each product of a basket, with its timestamp, quantity and price.
    #[arg(long, value_name = "CSV")]
    pub(crate) file: Option<PathBuf>,
    /// How many days, from the first one of the file on.
    #[arg(long, default_value_t = 31, value_parser = clap::value_parser!(u32).range(1..=366))]
    pub(crate) days: u32,
    /// How many baskets are made up.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000), conflicts_with = "file")]
    pub(crate) baskets: u32,
    /// What the baskets are drawn from: the same seed, the same baskets.
    #[arg(long, default_value_t = 1, conflicts_with = "file")]
    pub(crate) seed: u64,
    /// How many baskets are sold at the same time. What they ship may be recorded later than it was, and then revalues what
    /// was shipped after it.
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=1_024))]
    pub(crate) callers: u32,
    /// Keeps the store in this directory, and goes on with what an earlier run of the same sales has left there.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Prints exactly one JSON object instead of the table.
    #[arg(long)]
    pub(crate) json: bool,
}
