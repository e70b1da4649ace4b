//! A read model in a database of your own: balances in SQLite, whose transaction keeps rows and checkpoint together, so
//! that each posting counts once, wherever the process is killed. Try `--help`.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line program"
)]

mod balances;
mod check;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use foldhouse::{AggregateRef, EventStore, JournalOptions, JournalStore, Runtime};
use foldhouse_aggregates::{
    Credit, Currency, Debit, GlAccount, Money, OpenAccount, OverdraftPolicy, Side,
};
use foldhouse_examples::{Directory, Failure, block_on, fail};

use balances::SqlBalances;
use check::mismatches;

/// Posts to accounts, keeps their balances in SQLite, and compares both.
///
/// Kill it and run it again with the same directory: nothing is lost, and nothing counted twice.
#[derive(Clone, Debug, Parser)]
#[command(name = "sqlite")]
struct Args {
    /// Where journal and database are, or will be; a directory that is thrown away if nothing is said.
    #[arg(long)]
    data: Option<PathBuf>,
    /// How many postings to record.
    #[arg(long, default_value_t = 10_000)]
    postings: u64,
}

const ACCOUNTS: u64 = 20;
const DEADLINE: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    let args = Args::parse();
    let directory = Directory::of(args.data.as_deref(), "sqlite");
    let outcome = directory.and_then(|directory| run(directory.path(), args.postings));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(directory: &Path, postings: u64) -> Result<(), Failure> {
    block_on(async {
        let store = open(directory)?;
        post(directory, &store, postings).await?;
        let (compared, wrong) = mismatches(&store, &database(directory)).await?;
        store.close();
        println!(
            "{compared} balances in SQLite compared with the journal, {} differ",
            wrong.len()
        );
        match wrong.first() {
            None => Ok(()),
            Some(wrong) => Err(fail(wrong)),
        }
    })
}

fn open(directory: &Path) -> Result<Arc<JournalStore>, Failure> {
    std::fs::create_dir_all(directory).map_err(fail)?;
    let options = JournalOptions::new().segment_bytes(4 << 20);
    options
        .open(directory.join("journal"))
        .map(Arc::new)
        .map_err(fail)
}

fn database(directory: &Path) -> PathBuf {
    directory.join("balances.sqlite")
}

/// Records postings while SQLite follows, until it has them all.
async fn post(directory: &Path, store: &Arc<JournalStore>, postings: u64) -> Result<(), Failure> {
    let runtime = Runtime::builder(store.clone())
        .start()
        .await
        .map_err(fail)?;
    let model = SqlBalances::open(&database(directory)).map_err(fail)?;
    let in_sqlite = runtime.project_external(model).await.map_err(fail)?;
    println!(
        "the journal ends at {}, SQLite at {}",
        store.head(),
        in_sqlite.position()
    );
    let euro: Currency = "EUR".parse().map_err(fail)?;
    let mut accounts = Vec::new();
    for account in 0..ACCOUNTS {
        let account = runtime
            .aggregate::<GlAccount>("bank", &account.to_string())
            .map_err(fail)?;
        // It is open already if the directory was used before.
        let open = OpenAccount::new(euro, Side::Credit).overdraft(OverdraftPolicy::Unlimited);
        let _ = account.send(open).await;
        accounts.push(account);
    }
    for (number, account) in (0..postings).zip(accounts.iter().cycle()) {
        post_one(account, number, euro).await?;
    }
    in_sqlite
        .wait_for(store.head(), DEADLINE)
        .await
        .map_err(fail)?;
    runtime.shutdown(DEADLINE).await.map_err(fail)?;
    Ok(())
}

async fn post_one(
    account: &AggregateRef<GlAccount>,
    number: u64,
    euro: Currency,
) -> Result<(), Failure> {
    let minor_units = i64::try_from(number * 7 % 1_000 + 1).map_err(fail)?;
    let money = Money::new(minor_units, euro);
    if number.is_multiple_of(3) {
        account
            .send(Debit::new(money))
            .await
            .map(drop)
            .map_err(fail)
    } else {
        account
            .send(Credit::new(money))
            .await
            .map(drop)
            .map_err(fail)
    }
}
