//! The main job of foldhouse: many callers post to many accounts, every posting is durable before it is acknowledged,
//! and afterwards every balance is checked against books that were kept on the side. Try `--help`.
#![allow(clippy::print_stderr, reason = "a command-line program")]
#![allow(
    clippy::indexing_slicing,
    reason = "accounts are numbered by this program itself"
)]

mod args;
mod bank_file;
mod ledger;
mod report;
mod run;
#[path = "../support.rs"]
mod support;
mod workload;

use std::path::Path;
use std::process::ExitCode;

use clap::Parser;

use args::Args;
use bank_file::BankFile;
use report::Report;
pub(crate) use support::{Directory, Failure, fail, print, rate};
use workload::Workload;

fn main() -> ExitCode {
    let args = Args::parse();
    match job(&args) {
        Ok(report) => {
            if report.holds() {
                ExitCode::SUCCESS
            } else {
                ExitCode::from(1)
            }
        }
        Err(failure) => {
            eprintln!("postings: {failure}");
            failure.exit_code()
        }
    }
}

fn job(args: &Args) -> Result<Report, Failure> {
    let workload = match &args.file {
        Some(path) => {
            Workload::bank(BankFile::read(path).map_err(|error| Failure::Usage(error.to_string()))?)
        }
        None => Workload::simulated(args),
    };
    for what in workload.invalid() {
        eprintln!("invalid row, left out: {what}");
    }
    let directory = Directory::of(args.data.as_deref(), "postings")?;
    let tokio = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(fail)?;
    let (report, mut balances) = tokio.block_on(Box::pin(run::run(
        workload,
        args.callers,
        !args.no_read_model,
        directory.path(),
    )))?;
    if let Some(path) = &args.balances {
        write_balances(path, &mut balances)
            .map_err(|error| Failure::Run(format!("{}: {error}", path.display())))?;
    }
    let text = if args.json {
        serde_json::to_string(&report).map_err(fail)?
            + "
"
    } else {
        report.table()
    };
    print(&text)?;
    Ok(report)
}

/// Sorted by account: by number where the ids are numbers.
fn write_balances(path: &Path, balances: &mut [(String, i64)]) -> Result<(), csv::Error> {
    balances.sort_by_cached_key(|(id, _)| (id.parse::<u64>().unwrap_or(u64::MAX), id.clone()));
    let mut writer = csv::Writer::from_path(path)?;
    writer.write_record(["account_id", "balance_minor"])?;
    for (id, balance_minor) in balances {
        writer.write_record([id.as_str(), &balance_minor.to_string()])?;
    }
    writer.flush()?;
    Ok(())
}
