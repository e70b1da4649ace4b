//! How much foldhouse takes: callers that each wait for a durable answer before they go on, beside what the disk alone
//! takes for frames of the same sizes in the same run. Every workload checks what it leaves behind. Try `--help`.
#![allow(clippy::print_stderr, reason = "a command-line program")]
#![allow(
    clippy::indexing_slicing,
    reason = "accounts and items are numbered by this program itself"
)]

mod args;
mod bench;
mod callers;
mod fill;
mod hydrate;
mod idle;
mod latencies;
mod ledger;
mod meter;
mod postings;
mod replay;
mod report;
mod reservations;
#[cfg(test)]
mod tests;
mod transfers;

use std::process::ExitCode;

use clap::Parser;

use args::{Args, Plan, Workload};
use bench::Bench;
use foldhouse_examples::{Directory, block_on, finish};
pub(crate) use foldhouse_examples::{Failure, fail, rate};
use report::Report;

fn main() -> ExitCode {
    let args = Args::parse();
    finish("throughput", job(&args), args.json)
}

pub(crate) fn job(args: &Args) -> Result<Report, Failure> {
    let plan = args.plan()?;
    let directory = Directory::of(args.data.as_deref(), "throughput")?;
    block_on(async {
        let bench = Bench::open(directory.path(), plan)?;
        let report = measure(&bench).await?;
        bench.store.close();
        Ok(report)
    })
}

async fn measure(bench: &Bench) -> Result<Report, Failure> {
    match bench.plan.workload {
        Workload::Single | Workload::Many | Workload::Hot => {
            bench::closed_loop::<postings::Postings>(bench).await
        }
        Workload::Transfer | Workload::TransferHot => {
            bench::closed_loop::<transfers::Transfers>(bench).await
        }
        Workload::Reservations => bench::closed_loop::<reservations::Reservations>(bench).await,
        Workload::Replay => replay::measure(bench).await,
        Workload::Hydrate => hydrate::measure(bench).await,
        Workload::Idle => idle::measure(bench).await,
    }
}
