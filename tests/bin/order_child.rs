//! Places orders, lets the process of the example `order_process` fulfil them, and stays until all of them have ended;
//! tells what it does on stdout the moment it is done. Every life places the same orders, each once.
//!
//! Usage: order-child DIRECTORY ORDERS
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    dead_code,
    reason = "a test's own child"
)]

#[path = "../../examples/order_process/fulfilment.rs"]
mod fulfilment;
#[path = "../../examples/order_process/shop.rs"]
mod shop;

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use foldhouse::{JournalOptions, Runtime};

#[tokio::main(worker_threads = 2)]
async fn main() {
    let args: Vec<String> = std::env::args().collect();
    let orders: u64 = args[2].parse().unwrap();
    // Small segments and frequent snapshots: a kill meets all that the store does.
    let options = JournalOptions::new().segment_bytes(256 << 10);
    let store = Arc::new(options.open(&args[1]).unwrap());
    let runtime = Runtime::builder(store.clone())
        .snapshot_every_events(20)
        .start()
        .await
        .unwrap();
    let process = runtime
        .run_process::<fulfilment::Fulfilment>()
        .await
        .unwrap();
    shop::fill(&runtime).await.unwrap();
    for number in 0..orders {
        shop::place(&runtime, number).await.unwrap();
        tell(&format!("placed {number}"));
    }
    let mut shown = process.status();
    while !shop::is_at_rest(&shown) {
        tokio::time::sleep(Duration::from_millis(2)).await;
        let status = process.status();
        if status.position != shown.position {
            tell(&format!("at {}", status.position));
        }
        shown = status;
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
