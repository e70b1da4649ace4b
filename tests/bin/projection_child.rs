//! Posts until it is killed, with projections that follow, set events aside and are rebuilt all the while. It says `ready`
//! when they run.
//!
//! Usage: projection-child DIRECTORY SEED
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test's own child"
)]
#![allow(missing_docs, reason = "a test's own child")]

use std::sync::Arc;

use foldhouse::{JournalOptions, Runtime};
use foldhouse_aggregates::{
    Credit, Currency, Debit, GlAccount, Money, OpenAccount, OverdraftPolicy, Side,
};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

#[path = "../projections/models.rs"]
#[allow(dead_code, unreachable_pub, reason = "some of it only the test needs")]
mod models;

use models::{InParts, PARTS, SetsAside, TENANT};

const ACCOUNTS: u32 = 20;
const CALLERS: u64 = 8;

#[tokio::main(worker_threads = 2)]
async fn main() {
    let args: Vec<String> = std::env::args().collect();
    let seed: u64 = args[2].parse().unwrap();
    let options = JournalOptions::new().segment_bytes(512 << 10);
    let store = Arc::new(options.open(&args[1]).unwrap());
    let runtime = Runtime::builder(store.clone()).start().await.unwrap();
    let sets_aside = runtime.project(SetsAside).await.unwrap();
    let _in_parts = runtime.project_partitioned(InParts, PARTS).await.unwrap();
    let euro: Currency = "EUR".parse().unwrap();
    for account in 0..ACCOUNTS {
        let id = account.to_string();
        let account = runtime.aggregate::<GlAccount>(TENANT, &id).unwrap();
        let open = OpenAccount::new(euro, Side::Credit).overdraft(OverdraftPolicy::Unlimited);
        let _ = account.send(open).await;
    }
    println!("ready");
    for caller in 0..CALLERS {
        let runtime = runtime.clone();
        tokio::spawn(async move {
            let mut random = StdRng::seed_from_u64(seed ^ caller);
            loop {
                let id = random.random_range(0..ACCOUNTS).to_string();
                let account = runtime.aggregate::<GlAccount>(TENANT, &id).unwrap();
                let money = Money::new(random.random_range(1..=10_000), euro);
                if random.random_bool(0.5) {
                    account.send(Credit::new(money)).await.unwrap();
                } else {
                    account.send(Debit::new(money)).await.unwrap();
                }
            }
        });
    }
    loop {
        sets_aside.rebuild().await.unwrap();
    }
}
