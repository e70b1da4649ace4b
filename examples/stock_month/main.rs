//! A month of a shop in both domains: goods are bought, reserved, shipped, returned, counted, transferred and revalued, while
//! a follower of the journal posts every movement's value in the general ledger. Afterwards a check that reads the journal by
//! itself shows that after each entry the ledger's stock account has what the stock was worth after the entry's movement.
//! Kill it at any time and start it again with the same `--data`. Try `--help`.

mod args;
mod check;
mod layers;
mod month;
mod report;
mod shop;

use std::process::ExitCode;

use clap::Parser;
use foldhouse_examples::{Directory, Failure, block_on, finish};

use args::Args;
use month::Month;
use report::Report;

fn main() -> ExitCode {
    let args = Args::parse();
    finish("stock_month", job(&args), args.json)
}

fn job(args: &Args) -> Result<Report, Failure> {
    let month = match &args.file {
        Some(path) => Month::of_file(path, args.days)?,
        None => Month::made_up(args)?,
    };
    let directory = Directory::of(args.data.as_deref(), "stock-month")?;
    block_on(report::run(&month, args, directory.path()))
}

#[cfg(test)]
mod tests;
