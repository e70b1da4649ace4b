//! Power cuts below the journal, on every machine. The tests crate does the same with a real file system below the whole
//! store, the index included.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::channel;

use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};
use uuid::Uuid;

use super::opening::lock;
use super::power_disk::{Content, PowerDisk, Writes};
use super::test_support::{all_events, answer, event_of, options, stream};
use super::*;
use crate::append::Append;
use crate::event_store::EventStore;
use crate::position::ExpectedVersion;

const APPENDS: usize = 90;

/// An append that was acked: the ids and payload sizes of its events, and the step of the disk after which it was.
struct Acked {
    step: usize,
    last_position: u64,
    events: Vec<(Uuid, Vec<u8>)>,
}

fn open_on(disk: &PowerDisk, index: &Path) -> Result<JournalStore, OpenError> {
    let lock = lock(index).unwrap();
    JournalStore::start_on(Arc::new(disk.clone()), index, &options(), lock)
}

/// Fills some segments over two lives of the store.
fn run(disk: &PowerDisk, random: &mut TestRng) -> Vec<Acked> {
    let index = tempfile::tempdir().unwrap();
    let mut acked = Vec::new();
    for _ in 0..2 {
        let store = open_on(disk, index.path()).unwrap();
        for _ in 0..APPENDS / 2 {
            acked.push(append(&store, disk, random));
        }
        store.close();
    }
    acked
}

/// Appends to one or two streams at once.
fn append(store: &JournalStore, disk: &PowerDisk, random: &mut TestRng) -> Acked {
    let mut event = || {
        let mut payload = vec![0; random.next_u32() as usize % 12_000];
        if !random.next_u32().is_multiple_of(4) {
            random.fill_bytes(&mut payload);
        }
        event_of(payload)
    };
    let (first, second) = (event(), event());
    let told = |event: &crate::event::NewEvent| (event.id, event.payload.bytes.to_vec());
    let mut events = vec![told(&first)];
    let mut append = Append::to(stream("a"), ExpectedVersion::Any, [first]);
    if random.next_u32().is_multiple_of(3) {
        events.push(told(&second));
        append = append.and(stream("b"), ExpectedVersion::Any, [second]);
    }
    let (sender, receiver) = channel();
    let (steps, acking) = (channel(), disk.clone());
    let settled = move |outcome| {
        // Here, on the committing thread: not one step later.
        steps.0.send(acking.ack()).unwrap();
        drop(sender.send(outcome));
    };
    store.submit(append, Box::new(settled));
    let appended = answer(&receiver).unwrap();
    Acked {
        step: steps.1.recv().unwrap(),
        last_position: appended.position.get(),
        events,
    }
}

/// What is wrong with the store that a cut left, if anything is.
fn check(content: Content, acked: &[Acked], cut_at: usize) -> Result<(), String> {
    let index = tempfile::tempdir().unwrap();
    let disk = PowerDisk::of(content, Writes::Durable);
    let store = open_on(&disk, index.path()).map_err(|error| error.to_string())?;
    let events = all_events(&store, 1_000);
    let found: HashMap<_, _> = events.iter().map(|event| (event.id, event)).collect();
    for append in acked {
        let count = append.events.len() as u64;
        let mut there = 0;
        for ((id, payload), position) in
            append.events.iter().zip(append.last_position + 1 - count..)
        {
            let Some(event) = found.get(id) else { continue };
            if event.position.get() != position || event.payload.bytes != *payload {
                return Err(format!(
                    "event {id} at position {position} is not what was written"
                ));
            }
            there += 1;
        }
        if there != 0 && there != count || there == 0 && append.step < cut_at {
            return Err(format!(
                "of the append up to position {}, acked at step {}, {there} of {count} events are there",
                append.last_position, append.step
            ));
        }
    }
    let next = test_support::append(&store, "a", 10).map_err(|error| error.to_string())?;
    let expected = events.len() as u64 + 1;
    if next.position.get() != expected {
        return Err(format!(
            "it goes on at {}, not at {expected}",
            next.position
        ));
    }
    Ok(())
}

/// Cuts one run at many moments; gives back what was wrong after each.
fn cut(writes: Writes, cuts: usize) -> Vec<String> {
    let mut random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let disk = PowerDisk::of(Content::default(), writes);
    let acked = run(&disk, &mut random);
    let mut losses = Vec::new();
    for number in 0..cuts {
        let at = random.next_u32() as usize % (disk.steps() + 1);
        let content = disk.cut(at, &mut random);
        if let Err(what) = check(content, &acked, at) {
            losses.push(format!("cut {number}, at step {at}: {what}"));
        }
    }
    losses
}

#[test]
fn a_power_cut_at_any_moment_loses_no_acked_append_and_leaves_none_in_part() {
    let losses = cut(Writes::Durable, 150);
    assert!(losses.is_empty(), "{losses:#?}");
}

/// `cargo test --release -p foldhouse-store --lib -- --ignored two_thousand_power_cuts`
#[test]
#[ignore = "a campaign of 2,000 cuts; takes minutes"]
fn two_thousand_power_cuts_lose_no_acked_append_and_leave_none_in_part() {
    let losses = cut(Writes::Durable, 2_000);
    assert!(losses.is_empty(), "{losses:#?}");
}

#[test]
fn a_disk_whose_writes_are_only_cached_is_caught() {
    let losses = cut(Writes::Cached, 20);
    assert!(losses.len() > 5, "{losses:#?}");
}
