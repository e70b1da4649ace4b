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
mod workload;

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use tempfile::TempDir;

use args::Args;
use bank_file::BankFile;
use report::Report;
use workload::Workload;

/// Why a run came to no result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The caller can change it: exit code 2.
    #[error("{0}")]
    Usage(String),
    /// It went wrong on the way: exit code 1.
    #[error("{0}")]
    Run(String),
}

pub(crate) fn fail(error: impl std::fmt::Display) -> Failure {
    Failure::Run(error.to_string())
}

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
            ExitCode::from(if matches!(failure, Failure::Usage(_)) {
                2
            } else {
                1
            })
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
    let directory = Directory::of(args)?;
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
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        // Whoever reads has seen enough.
        Err(closed) if closed.kind() == ErrorKind::BrokenPipe => {}
        written => written.map_err(fail)?,
    }
    Ok(report)
}

/// Where the store is.
enum Directory {
    Kept(PathBuf),
    /// Removed at the end.
    Temporary(TempDir),
}

impl Directory {
    fn of(args: &Args) -> Result<Self, Failure> {
        if let Some(directory) = &args.data {
            return Ok(Self::Kept(directory.clone()));
        }
        // Not the system's temporary directory: that is often in memory, where nothing is durable and no figure true.
        let parent = if Path::new("target").is_dir() {
            "target"
        } else {
            "."
        };
        let builder = tempfile::Builder::new()
            .prefix("postings-")
            .tempdir_in(parent);
        let explain = |error| {
            Failure::Usage(format!(
                "no directory can be made in {parent}, name one with --data: {error}"
            ))
        };
        builder.map(Self::Temporary).map_err(explain)
    }

    fn path(&self) -> &Path {
        match self {
            Self::Kept(path) => path,
            Self::Temporary(directory) => directory.path(),
        }
    }
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
