//! A shop whose baskets are reserved whole or not at all: one transaction over all products of a basket, while other
//! baskets reserve the same ones. Then they are shipped, and what runs short is ordered. Afterwards a check that reads
//! the journal by itself shows that nothing was oversold at any position, and that no basket is there in part. Try
//! `--help`.
#![allow(clippy::print_stderr, reason = "a command-line program")]
#![allow(
    clippy::indexing_slicing,
    reason = "products and baskets are numbered by this program itself"
)]

mod args;
mod basket;
mod basket_file;
mod check;
mod generated;
mod report;
mod run;
mod warehouse;

use std::process::ExitCode;

use clap::Parser;
use foldhouse_examples::{Directory, Failure, block_on, finish};

use args::Args;
use report::Report;

fn main() -> ExitCode {
    let args = Args::parse();
    finish("reservations", job(&args), args.json)
}

fn job(args: &Args) -> Result<Report, Failure> {
    let baskets = match &args.file {
        Some(path) => basket_file::read(path).map_err(|error| Failure::Usage(error.to_string()))?,
        None => generated::generate(args),
    };
    for what in &baskets.invalid_rows {
        eprintln!("invalid row, its basket is left out: {what}");
    }
    let directory = Directory::of(args.data.as_deref(), "reservations")?;
    block_on(run::run(baskets, args, directory.path()))
}

#[cfg(test)]
mod tests;
