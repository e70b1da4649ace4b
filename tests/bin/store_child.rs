//! Runs the script of `script.rs` on a store of its own and tells each step on stdout the moment it is done: `done STEP`.
//! What the tests kill to see what is left.
//!
//! Usage: store-child DIRECTORY script|open
//!
//! `open` opens the store that an earlier child has left, and closes it.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::cast_possible_truncation,
    dead_code,
    unreachable_pub,
    reason = "a test's own child; the tests use the rest of the script"
)]

#[path = "../script.rs"]
mod script;

use std::io::Write;
use std::path::Path;

use foldhouse_store::JournalStore;

use script::Step;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let directory = Path::new(&args[1]);
    tell(script::BEGIN);
    let store = script::options().open(directory).unwrap();
    tell("open");
    if args[2] == "open" {
        store.close();
        tell("closed");
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .max_blocking_threads(2)
        .build()
        .unwrap();
    runtime.block_on(run(directory, store));
    tell("closed");
}

async fn run(directory: &Path, mut store: JournalStore) {
    for (number, step) in script::steps().into_iter().enumerate() {
        match step {
            Step::CloseAndOpen => {
                store.close();
                store = script::options().open(directory).unwrap();
            }
            step => script::take(&store, step).await,
        }
        tell(&format!("done {number}"));
    }
    store.close();
}

/// One write for each line: what the parent has read was done.
fn tell(line: &str) {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(format!("{line}\n").as_bytes()).unwrap();
    stdout.flush().unwrap();
}
