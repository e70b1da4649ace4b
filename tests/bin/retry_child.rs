//! Sends so many commands, each under an id of its own, and tells each answer on stdout the moment it has it:
//! `ack NUMBER POSITION VERSION BALANCE_MINOR`. What is sent under a number follows from the number, and every life begins
//! with the first: all that an earlier one has sent is sent again.
//!
//! Usage: retry-child DIRECTORY COMMANDS CALLERS
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test's own child"
)]

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use foldhouse::{AggregateRef, CommandOptions, JournalOptions, Runtime};
use foldhouse_aggregates::{
    Credit, Currency, Debit, GlAccount, Money, OpenAccount, OverdraftPolicy, Side,
};
use tokio::task::JoinSet;
use uuid::Uuid;

const ACCOUNTS: u64 = 10;

#[tokio::main(worker_threads = 2)]
async fn main() {
    let args: Vec<String> = std::env::args().collect();
    let commands: u64 = args[2].parse().unwrap();
    let callers: u64 = args[3].parse().unwrap();
    // Small segments and frequent snapshots: a kill meets all that the store does.
    let options = JournalOptions::new().segment_bytes(256 << 10);
    let store = Arc::new(options.open(&args[1]).unwrap());
    let runtime = Runtime::builder(store.clone())
        .snapshot_every_events(20)
        .start()
        .await
        .unwrap();
    for number in 0..ACCOUNTS {
        let open = OpenAccount::new(euro(), Side::Credit).overdraft(OverdraftPolicy::Unlimited);
        let id = Uuid::from_u128(u128::from(1_000_000 + number));
        account(&runtime, number).send_once(open, id).await.unwrap();
    }
    tell("ready");
    let next = Arc::new(AtomicU64::new(0));
    let mut running = JoinSet::new();
    for _ in 0..callers {
        let (runtime, next) = (runtime.clone(), next.clone());
        running.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= commands {
                    return;
                }
                tell(&send(&runtime, number).await);
            }
        });
    }
    while let Some(joined) = running.join_next().await {
        joined.unwrap();
    }
    runtime.shutdown(Duration::from_secs(60)).await.unwrap();
    store.close();
    tell("done");
}

/// Every third is a transfer, the others are single postings; the amount is the number and one.
async fn send(runtime: &Runtime, number: u64) -> String {
    let id = Uuid::from_u128(u128::from(number) + 1);
    let amount = Money::new(i64::try_from(number).unwrap() + 1, euro());
    let (from, to) = (number % ACCOUNTS, (number / ACCOUNTS + 1) % ACCOUNTS);
    let (position, version, balance) = if number.is_multiple_of(3) && from != to {
        let steps = (
            account(runtime, from).step(Debit::new(amount)),
            account(runtime, to).step(Credit::new(amount)),
        );
        let options = CommandOptions::new();
        let moved = runtime
            .transact_once_with(steps, id, options)
            .await
            .unwrap();
        (moved.position.get(), 0, moved.replies.1.balance)
    } else {
        let credit = Credit::new(amount);
        let options = CommandOptions::new();
        let posted = account(runtime, to).execute_once(credit, id, options).await;
        let posted = posted.unwrap();
        (
            posted.position.get(),
            posted.version.get(),
            posted.reply.balance,
        )
    };
    let balance = balance.minor_units();
    format!("ack {number} {position} {version} {balance}")
}

fn account(runtime: &Runtime, number: u64) -> AggregateRef<GlAccount> {
    runtime.aggregate("bank", &number.to_string()).unwrap()
}

fn euro() -> Currency {
    "EUR".parse().unwrap()
}

/// One write for each line: what the parent has read was answered.
fn tell(line: &str) {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(format!("{line}\n").as_bytes()).unwrap();
    stdout.flush().unwrap();
}
