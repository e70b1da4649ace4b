//! Posts until it is killed, or a given number of times, and tells each acknowledgement on stdout the moment it has it:
//! `ack ACCOUNT VERSION POSITION CHANGE_MINOR COMMAND_ID`.
//!
//! Usage: crash-child DIRECTORY SEED CALLERS [POSTINGS]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test's own child"
)]

use std::io::Write;
use std::sync::Arc;

use foldhouse::{CommandOptions, JournalOptions, Runtime};
use foldhouse_aggregates::{
    Balances, Credit, Currency, Debit, GlAccount, Money, OpenAccount, OverdraftPolicy, Side,
};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::task::JoinSet;
use uuid::Uuid;

const ACCOUNTS: u32 = 20;

#[tokio::main(worker_threads = 2)]
async fn main() {
    let args: Vec<String> = std::env::args().collect();
    let seed: u64 = args[2].parse().unwrap();
    let callers: u64 = args[3].parse().unwrap();
    let postings: u64 = args.get(4).map_or(u64::MAX, |count| count.parse().unwrap());
    // Small segments and frequent snapshots: a kill meets all that the store does.
    let options = JournalOptions::new().segment_bytes(512 << 10);
    let store = Arc::new(options.open(&args[1]).unwrap());
    let runtime = Runtime::builder(store.clone())
        .snapshot_every_events(50)
        .start()
        .await
        .unwrap();
    let _balances = runtime.project(Balances).await.unwrap();
    let euro: Currency = "EUR".parse().unwrap();
    for account in 0..ACCOUNTS {
        let account = runtime
            .aggregate::<GlAccount>("bank", &account.to_string())
            .unwrap();
        // It is open already if an earlier child was killed.
        let open = OpenAccount::new(euro, Side::Credit).overdraft(OverdraftPolicy::Unlimited);
        let _ = account.send(open).await;
    }
    tell("ready");
    let mut running = JoinSet::new();
    for caller in 0..callers {
        let runtime = runtime.clone();
        running.spawn(async move {
            let mut random = StdRng::seed_from_u64(seed.rotate_left(32) ^ caller);
            for _ in 0..postings {
                let number = random.random_range(0..ACCOUNTS);
                let account = runtime
                    .aggregate::<GlAccount>("bank", &number.to_string())
                    .unwrap();
                let amount: i64 = random.random_range(1..=10_000);
                let command_id = Uuid::from_u128(random.random());
                let options = CommandOptions::new().command_id(command_id);
                let money = Money::new(amount, euro);
                let (change, committed) = if random.random_bool(0.5) {
                    (
                        amount,
                        account.execute(Credit::new(money), options).await.unwrap(),
                    )
                } else {
                    (
                        -amount,
                        account.execute(Debit::new(money), options).await.unwrap(),
                    )
                };
                let (version, position) = (committed.version, committed.position);
                tell(&format!(
                    "ack {number} {version} {position} {change} {command_id}"
                ));
            }
        });
    }
    while let Some(joined) = running.join_next().await {
        joined.unwrap();
    }
    runtime
        .shutdown(std::time::Duration::from_secs(30))
        .await
        .unwrap();
    store.close();
    tell("done");
}

/// One write for each line: what the parent has read was acknowledged.
fn tell(line: &str) {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(format!("{line}\n").as_bytes()).unwrap();
    stdout.flush().unwrap();
}
