use std::path::PathBuf;

use clap::Parser;

/// Reserves baskets of goods, each whole or not at all, ships them, and then goes through the journal to check that
/// nothing was ever oversold and that every basket is whole or absent.
///
/// Without --file the baskets are made up. Exit code: 0 if all of this holds, 1 if it does not, 2 if the arguments or the
/// files do not fit.
#[derive(Clone, Debug, Parser)]
#[command(name = "reservations")]
pub(crate) struct Args {
    /// Reserves the baskets of this CSV file: a line for each product of a basket.
    #[arg(long, value_name = "CSV")]
    pub(crate) file: Option<PathBuf>,
    /// How many baskets are made up.
    #[arg(long, default_value_t = 8_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000), conflicts_with = "file")]
    pub(crate) baskets: u32,
    /// How many products the baskets that are made up choose from; the first ones are in most of them.
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000), conflicts_with = "file")]
    pub(crate) products: u32,
    /// What the baskets are drawn from: the same seed, the same baskets.
    #[arg(long, default_value_t = 1, conflicts_with = "file")]
    pub(crate) seed: u64,
    /// How many customers reserve at the same time; each waits for its answer before it takes the next basket.
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub(crate) callers: u32,
    /// How much of each product is on the shelf in the beginning.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(0..=1_000_000_000_000))]
    pub(crate) stock: u64,
    /// How much of a product comes with one delivery; 0 for none. One is ordered when half of --stock or less is
    /// available, or somebody asked for more than is.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(0..=1_000_000_000_000))]
    pub(crate) replenish: u64,
    /// Keeps the store in this directory. One that holds a part of the same baskets already (an earlier run was killed,
    /// say) is gone on with: what was reserved is shipped, and what was not is tried.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Prints exactly one JSON object instead of the table.
    #[arg(long)]
    pub(crate) json: bool,
}
