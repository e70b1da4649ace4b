//! Stock and ledger over a month in which the process is killed again and again: they agree after every entry, to the cent.

use std::path::Path;
use std::process::Command;

use foldhouse::JournalStore;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::killed;

#[allow(dead_code, reason = "some of it only the example needs")]
#[path = "../examples/stock_month/args.rs"]
mod args;
#[allow(dead_code, reason = "some of it only the example needs")]
#[path = "../examples/stock_month/check.rs"]
mod check;
#[path = "../examples/stock_month/layers.rs"]
mod layers;
#[allow(dead_code, reason = "some of it only the child needs")]
#[path = "../examples/stock_month/month.rs"]
mod month;
#[allow(dead_code, reason = "some of it only the child needs")]
#[path = "../examples/stock_month/shop.rs"]
mod shop;

#[test]
fn eight_kills_and_stock_and_ledger_agree_after_every_entry() {
    kill_campaign(120, 8, 1);
}

/// `cargo test --release -p foldhouse-tests -- --ignored stock_kill_campaign`
#[test]
#[ignore = "a campaign of 100 kills; takes minutes"]
fn stock_kill_campaign_of_a_hundred() {
    for seed in 2..7 {
        kill_campaign(600, 20, seed);
    }
}

fn kill_campaign(baskets: u64, kills: usize, seed: u64) {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mut random = StdRng::seed_from_u64(seed);
    for life in 0..=kills {
        let kill_after = (life < kills).then(|| random.random_range(1..baskets));
        run_child(directory.path(), baskets, kill_after);
        if life == kills / 2 {
            // How far the posting has come is only derived: it goes through all movements again, and posts none twice.
            std::fs::remove_dir_all(directory.path().join("index")).unwrap();
        }
    }
    let store = JournalStore::open(directory.path()).unwrap();
    let tokio = tokio::runtime::Runtime::new().unwrap();
    let check = tokio.block_on(check::Check::of_journal(&store)).unwrap();
    assert_eq!(check.findings.count(), 0, "{check:?}");
    assert_eq!(check.valuation, check.stock_account);
    assert!(check.compared > baskets, "{check:?}");
    println!(
        "{kills} kills, {baskets} baskets: {} movements, {} entries, stock and ledger compared at {} positions",
        check.movements, check.entries, check.compared
    );
}

/// Kills the child once it has told so much.
fn run_child(directory: &Path, baskets: u64, kill_after: Option<u64>) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_stock-child"));
    child.arg(directory).arg(baskets.to_string());
    killed::run(&mut child, kill_after, |_| true);
}
