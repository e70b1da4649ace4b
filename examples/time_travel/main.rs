//! Questions about the past: every row of a bank's books is a question with a known answer. The rows are posted to ledger
//! accounts, and then each account is asked for its balance at each row's version, at the moment at which it counts, at the
//! time at which it was recorded, and at both. Try `--help`.
#![allow(
    clippy::indexing_slicing,
    reason = "accounts are numbered by this program itself"
)]

mod args;
#[allow(dead_code, reason = "the example `postings` needs all of it")]
#[path = "../postings/bank_file.rs"]
mod bank_file;
mod books;
#[path = "../postings/entry.rs"]
mod entry;
mod long_account;
#[path = "../postings/own_account.rs"]
mod own_account;
mod post;
mod questions;
mod report;
mod story;

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use foldhouse::{EventStore, Runtime};
use foldhouse_aggregates::GlAccount;
use foldhouse_examples::{Directory, Failure, block_on, fail, finish, open_store, progress_bar};

use args::Args;
use books::{Account, Books};
use post::{Ledger, post_all};
use questions::{Asked, ask_about};
use report::{Counts, Report};

const DEADLINE: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    let args = Args::parse();
    finish("time_travel", job(&args), args.json)
}

fn job(args: &Args) -> Result<Report, Failure> {
    let books = match &args.file {
        Some(path) => Books::of_file(path)?,
        None => Books::made_up(args),
    };
    let mut told = foldhouse_examples::Findings::new("invalid row, left out");
    for what in &books.invalid {
        told.add(|| what.clone());
    }
    let directory = Directory::of(args.data.as_deref(), "time_travel")?;
    block_on(travel(books, args, directory.path()))
}

async fn travel(books: Books, args: &Args, directory: &Path) -> Result<Report, Failure> {
    let books = Arc::new(books);
    let store = open_store(directory)?;
    if store.head().get() != 0 {
        return Err(Failure::Usage(
            "the directory holds a store already; name a fresh one with --data".to_owned(),
        ));
    }
    let runtime = Runtime::builder(store.clone())
        .snapshots_of::<GlAccount>(long_account::SNAPSHOTS)
        .start()
        .await
        .map_err(fail)?;
    let ledger = Arc::new(Ledger::open(&runtime, &books).await?);
    post_all(&ledger, &books).await?;

    let mut asked = Asked::new()?;
    let bar = progress_bar(books.row_count() as u64, "rows asked about")?;
    for (account, handle) in books.accounts.iter().zip(&ledger.customers) {
        ask_about(&mut asked, &store, handle, account).await?;
        bar.inc(account.rows.len() as u64);
    }
    bar.finish_and_clear();
    if !args.json {
        let story = story::tell(&books, &ledger.customers).await?;
        write!(std::io::stdout().lock(), "{story}").map_err(fail)?;
    }
    let events = u64::from(args.events);
    let long_account = long_account::measure(&runtime, &store, events, &mut asked.wrong).await?;
    let counts = Counts {
        accounts: books.accounts.len() as u64,
        rows: books.row_count() as u64,
        invalid: books.invalid.len() as u64,
        back_dated: books.accounts.iter().map(back_dated).sum(),
    };
    drop(ledger);
    runtime.shutdown(DEADLINE).await.map_err(fail)?;
    store.close();
    Report::new(counts, &asked, long_account)
}

/// How many rows of an account count before one that is posted earlier.
fn back_dated(account: &Account) -> u64 {
    let mut latest = account.opened_at;
    let late = account.rows.iter().filter(|row| {
        let is_late = row.effective_at < latest;
        latest = latest.max(row.effective_at);
        is_late
    });
    late.count() as u64
}

#[cfg(test)]
mod tests;
