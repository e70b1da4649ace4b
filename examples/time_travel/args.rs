use std::path::PathBuf;

use clap::Parser;

/// Posts to ledger accounts, then asks for the balance of each row's account at the row's version and at the row's moment
/// in effective time, in recorded time and in both, and compares every answer with what is known without the ledger.
///
/// Without --file it makes postings up, some of them back-dated. Exit code: 0 if every answer is right, 1 if one is not, 2
/// if the arguments or the files do not fit.
#[derive(Clone, Debug, Parser)]
#[command(name = "time_travel")]
pub(crate) struct Args {
    /// Posts the transactions of this CSV file and takes the balance in each row for the answer.
    #[arg(long, value_name = "CSV")]
    pub(crate) file: Option<PathBuf>,
    /// How many accounts the made-up postings go to.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100_000), conflicts_with = "file")]
    pub(crate) accounts: u32,
    /// How many postings are made up.
    #[arg(long, default_value_t = 4_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000), conflicts_with = "file")]
    pub(crate) postings: u32,
    /// What they are drawn from: the same seed, the same postings.
    #[arg(long, default_value_t = 1, conflicts_with = "file")]
    pub(crate) seed: u64,
    /// How many events the long account has, of which any moment is asked for.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) events: u32,
    /// Keeps the store in this directory, which must not hold one.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Prints exactly one JSON object instead of the story and the table.
    #[arg(long)]
    pub(crate) json: bool,
}
