//! Makes reservations that end by themselves, ships some of them, and stays until no timer is pending; tells what it does
//! on stdout the moment it is done. What is reserved under a number follows from the number, and every life begins with
//! the first: all that an earlier one has sent is sent again.
//!
//! Usage: timer-child DIRECTORY RESERVATIONS BEGIN_UNIX_MICROS
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test's own child"
)]

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use foldhouse::{AggregateRef, JournalOptions, Runtime, Timestamp};
use foldhouse_aggregates::{Expire, InventoryItem, Quantity, Receive, Reserve, Ship};
use uuid::Uuid;

const ITEMS: u64 = 3;
/// One ends so long after the other.
const APART_MICROS: i64 = 4_000;

#[tokio::main(worker_threads = 2)]
async fn main() {
    let args: Vec<String> = std::env::args().collect();
    let reservations: u64 = args[2].parse().unwrap();
    let begin: i64 = args[3].parse().unwrap();
    // Small segments and frequent snapshots: a kill meets all that the store does.
    let options = JournalOptions::new().segment_bytes(256 << 10);
    let store = Arc::new(options.open(&args[1]).unwrap());
    let runtime = Runtime::builder(store.clone())
        .snapshot_every_events(20)
        .timed_command::<Expire>()
        .start()
        .await
        .unwrap();
    for number in 0..ITEMS {
        let receive = Receive::new(Quantity::new(1_000_000));
        let id = Uuid::from_u128(u128::from(1_000_000 + number));
        item(&runtime, number).send_once(receive, id).await.unwrap();
    }
    tell("ready");
    for number in 0..reservations {
        let item = item(&runtime, number);
        let id = |kind: u64| Uuid::from_u128(u128::from(2 * number + kind) + 1);
        let expires_at = begin + i64::try_from(number).unwrap() * APART_MICROS;
        let reserve = Reserve::new(Quantity::new(1)).until(Timestamp::from_unix_micros(expires_at));
        let reservation = item.send_once(reserve, id(0)).await.unwrap();
        if number % 3 == 0 {
            // Refused if it has expired meanwhile.
            let _ = item.send_once(Ship::new(reservation), id(1)).await;
        }
        tell(&format!("reserved {number}"));
    }
    let mut pending = u64::MAX;
    while pending > 0 {
        let now = runtime.timers(None, 1).await.unwrap().pending;
        if now != pending {
            tell(&format!("pending {now}"));
        }
        pending = now;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    runtime.shutdown(Duration::from_secs(60)).await.unwrap();
    store.close();
    tell("done");
}

fn item(runtime: &Runtime, number: u64) -> AggregateRef<InventoryItem> {
    let id = (number % ITEMS).to_string();
    runtime.aggregate("shop", &id).unwrap()
}

/// One write for each line: what the parent has read was done.
fn tell(line: &str) {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(format!("{line}\n").as_bytes()).unwrap();
    stdout.flush().unwrap();
}
