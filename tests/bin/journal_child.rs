//! What the tests of locks, readers, backups and restores need a second process for, which they kill.
//!
//! Usage: journal-child hold DIRECTORY | write DIRECTORY | backup FROM TO | restore FROM TO UNTIL
//!
//! `hold` keeps the directory open for writing until its stdin ends; `write` appends until it is killed and tells each
//! acked position. Both tell `ready` when they have it, or `refused` and why not.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test's own child"
)]

use std::io::{Read, Write};
use std::sync::Arc;

use foldhouse_store::{
    Append, BackupOptions, EventStoreExt, ExpectedVersion, JournalOptions, JournalStore, NewEvent,
    Payload, StreamId, backup, restore,
};

const WRITERS: u64 = 4;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args[0].as_str() {
        "hold" => {
            let _store = open(&args[1]);
            std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
        }
        "write" => write(open(&args[1])),
        "backup" => drop(backup(&args[1], &args[2], BackupOptions::new()).unwrap()),
        "restore" => drop(restore(&args[1], &args[2], args[3].parse().unwrap()).unwrap()),
        other => panic!("{other} is not known"),
    }
}

fn open(directory: &str) -> JournalStore {
    match JournalOptions::new()
        .segment_bytes(256 << 10)
        .open(directory)
    {
        Ok(store) => {
            tell("ready");
            store
        }
        Err(error) => {
            tell(&format!("refused: {error}"));
            std::process::exit(1);
        }
    }
}

fn write(store: JournalStore) {
    let store = Arc::new(store);
    let tokio = tokio::runtime::Runtime::new().unwrap();
    for writer in 0..WRITERS {
        let store = Arc::clone(&store);
        tokio.spawn(async move {
            for number in 0.. {
                let stream = StreamId::new("acme", "account", &writer.to_string()).unwrap();
                let payload = vec![0x5a; [50, 5_000, 30_000][number % 3]];
                let event = NewEvent::new(store.clock().new_id(), "Noted", Payload::raw(payload));
                let append = Append::to(stream, ExpectedVersion::Any, [event]);
                let appended = store.append(append).await.unwrap();
                tell(&format!("ack {}", appended.position));
            }
        });
    }
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

/// One write for each line: what the parent has read was acknowledged.
fn tell(line: &str) {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(format!("{line}\n").as_bytes()).unwrap();
    stdout.flush().unwrap();
}
