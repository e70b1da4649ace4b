//! A process over stock and accounts, killed again and again: every order ends once, whole or compensated.

use std::path::Path;
use std::process::Command;

use foldhouse::JournalStore;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::killed;

#[allow(dead_code, reason = "some of it only the child needs")]
#[path = "../examples/order_process/fulfilment.rs"]
mod fulfilment;
#[allow(dead_code, reason = "some of it only the child needs")]
#[path = "../examples/order_process/shop.rs"]
mod shop;

#[test]
fn ten_kills_and_every_order_ends_once_whole_or_compensated() {
    kill_campaign(300, 10, 1);
}

/// `cargo test --release -p foldhouse-tests -- --ignored order_kill_campaign`
#[test]
#[ignore = "a campaign of 200 kills; takes minutes"]
fn order_kill_campaign_of_two_hundred() {
    for seed in 2..12 {
        kill_campaign(600, 20, seed);
    }
}

fn kill_campaign(orders: u64, kills: usize, seed: u64) {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mut random = StdRng::seed_from_u64(seed);
    for life in 0..=kills {
        // Most of the kills fall where the process is at work, behind the last order that is placed.
        let kill_after = (life < kills).then(|| random.random_range(1..orders * 3 / 2));
        run_child(directory.path(), orders, kill_after);
        if life == kills / 2 {
            // What is kept of the process is only derived: it reads from the first event on again.
            std::fs::remove_dir_all(directory.path().join("index")).unwrap();
        }
    }
    let store = JournalStore::open(directory.path()).unwrap();
    let tokio = tokio::runtime::Runtime::new().unwrap();
    let books = tokio.block_on(shop::Books::read(&store)).unwrap();
    assert_eq!(books.findings(), Vec::<String>::new());
    assert_eq!(books.placed, orders);
    assert_eq!(books.fulfilled + books.cancelled, orders);
    assert!(books.fulfilled > 0 && books.cancelled > 0, "{books:?}");
    println!(
        "{kills} kills, {orders} orders: {} fulfilled, {} cancelled, each once",
        books.fulfilled, books.cancelled
    );
}

/// Kills the child once it has told so much.
fn run_child(directory: &Path, orders: u64, kill_after: Option<u64>) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_order-child"));
    child.arg(directory).arg(orders.to_string());
    killed::run(&mut child, kill_after, |_| true);
}
