//! The main job of foldhouse: many callers post to many accounts, each posting a journal entry over a customer's account
//! and the bank's own, all or nothing, and durable before it is acknowledged. Afterwards every balance is checked against
//! books that were kept on the side, and the trial balance behind every single entry. Try `--help`.
#![allow(clippy::print_stderr, reason = "a command-line program")]
#![allow(
    clippy::indexing_slicing,
    reason = "accounts are numbered by this program itself"
)]

mod args;
mod bank_file;
mod checks;
mod entry;
mod ledger;
mod own_account;
mod prepare;
mod report;
mod run;
mod trial_balance;
mod workload;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use foldhouse_examples::{Directory, Failure, block_on, finish};

use args::Args;
use bank_file::BankFile;
use report::Report;
use run::Settings;
use workload::Workload;

const RAW_LOG_TIME: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let args = Args::parse();
    finish("postings", job(&args, Some(RAW_LOG_TIME)), args.json)
}

fn job(args: &Args, raw_log_time: Option<Duration>) -> Result<Report, Failure> {
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
    let settings = Settings {
        callers: args.callers,
        with_read_models: !args.no_read_model,
        raw_log_time,
    };
    let run = run::run(workload, settings, directory.path());
    let (report, mut balances) = block_on(run)?;
    if let Some(path) = &args.balances {
        write_balances(path, &mut balances)
            .map_err(|error| Failure::Run(format!("{}: {error}", path.display())))?;
    }
    Ok(report)
}

/// Sorted by account: by number where the ids are numbers.
fn write_balances(path: &Path, balances: &mut [(String, i128)]) -> Result<(), csv::Error> {
    balances.sort_by_cached_key(|(id, _)| (id.parse::<u64>().unwrap_or(u64::MAX), id.clone()));
    let mut writer = csv::Writer::from_path(path)?;
    writer.write_record(["account_id", "balance_minor"])?;
    for (id, balance_minor) in balances {
        writer.write_record([id.as_str(), &balance_minor.to_string()])?;
    }
    writer.flush()?;
    Ok(())
}

#[cfg(test)]
mod tests;
