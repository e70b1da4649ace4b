use std::path::PathBuf;

use clap::Parser;

/// Posts to many accounts at once, durably, then reopens the store and checks every balance.
///
/// Without --file it simulates concurrent postings. Exit code: 0 if every balance holds, 1 if one does not, 2 if the
/// arguments or the files do not fit.
#[derive(Clone, Debug, Parser)]
#[command(name = "postings")]
pub(crate) struct Args {
    /// How many accounts the simulation posts to.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000), conflicts_with = "file")]
    pub(crate) accounts: u32,
    /// How many callers post at the same time; each waits for its answer before it posts again.
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub(crate) callers: u32,
    /// How many postings the simulation makes.
    #[arg(long, default_value_t = 200_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000_000), conflicts_with = "file")]
    pub(crate) postings: u64,
    /// What the simulated amounts and accounts are drawn from: the same seed, the same postings.
    #[arg(long, default_value_t = 1, conflicts_with = "file")]
    pub(crate) seed: u64,
    /// Posts the transactions of this CSV file instead, in file order per account and concurrently across accounts,
    /// and checks the balance of each row.
    #[arg(long, value_name = "CSV")]
    pub(crate) file: Option<PathBuf>,
    /// Keeps the store in this directory. With --file, a directory that holds a part of the file already (an earlier
    /// run was killed, say) is checked and gone on with.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Writes `account_id,balance_minor` to this file, sorted by account.
    #[arg(long, value_name = "CSV")]
    pub(crate) balances: Option<PathBuf>,
    /// Runs without the balances read model, to see what following the journal costs on this machine.
    #[arg(long)]
    pub(crate) no_read_model: bool,
    /// Prints exactly one JSON object instead of the table.
    #[arg(long)]
    pub(crate) json: bool,
}
