//! Lives through the month of the example `stock_month`; tells each basket on stdout the moment it is sold, and then how far
//! the books have come. Every life has the same month, each deed of it once.
//!
//! Usage: stock-child DIRECTORY BASKETS
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    dead_code,
    reason = "a test's own child"
)]

#[path = "../../examples/stock_month/args.rs"]
mod args;
#[path = "../../examples/stock_month/month.rs"]
mod month;
#[path = "../../examples/stock_month/shop.rs"]
mod shop;

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use foldhouse::{EventStore, JournalOptions, ProjectionState, Runtime};

#[tokio::main(worker_threads = 2)]
async fn main() {
    let args: Vec<String> = std::env::args().collect();
    // Small segments and frequent snapshots: a kill meets all that the store does.
    let options = JournalOptions::new().segment_bytes(512 << 10);
    let store = Arc::new(options.open(&args[1]).unwrap());
    let runtime = Runtime::builder(store.clone())
        .snapshot_every_events(20)
        .start()
        .await
        .unwrap();
    let month = ["stock_month", "--baskets", &args[2], "--days", "10"];
    let month = month::Month::made_up(&args::Args::parse_from(month)).unwrap();
    let books = shop::keep_books(&runtime, store.clone()).await.unwrap();
    let shop = shop::Shop::new(&runtime);
    let tell_basket = |basket: &month::Basket| tell(&format!("sold {}", basket.id));
    shop.sell(&month, 8, tell_basket).await.unwrap();
    let mut shown = books.status().position;
    while shown < store.head() {
        tokio::time::sleep(Duration::from_millis(2)).await;
        let status = books.status();
        let is_parked = matches!(status.state, ProjectionState::Parked(_));
        assert!(!is_parked, "{status:?}");
        if status.position != shown {
            tell(&format!("posted up to {}", status.position));
        }
        shown = status.position;
    }
    runtime.shutdown(Duration::from_secs(60)).await.unwrap();
    store.close();
    tell("done");
}

/// One write for each line: what the parent has read was done.
fn tell(line: &str) {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(format!("{line}\n").as_bytes()).unwrap();
    stdout.flush().unwrap();
}
