//! What `bounds` measures in processes of their own, so that each figure is of one thing alone.
//!
//! - `bounds-child fill DIRECTORY EVENTS STREAMS EVENTS_PER_APPEND` says `filled` when so many events are acknowledged, and
//!   goes on writing until it is killed.
//! - `bounds-child open|touch|read-all|read-streams DIRECTORY STREAMS` opens the store, does that to it, and prints one
//!   `name value` line for each figure.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a measurement's own child"
)]

use std::collections::VecDeque;
use std::fmt::Display;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use foldhouse_store::{
    Append, AppendError, Appended, EventStore, ExpectedVersion, JournalOptions, JournalStore,
    NewEvent, Payload, Position, StreamId, StreamQuery,
};
use tokio::sync::oneshot;

const PAYLOAD_BYTES: usize = 200;
/// Appends in flight: enough that the disk never waits for this process.
const IN_FLIGHT: usize = 16;
const PAGE_EVENTS: usize = 1_000;

#[tokio::main(worker_threads = 2)]
async fn main() {
    let args: Vec<String> = std::env::args().collect();
    let directory = Path::new(&args[2]);
    let number = |at: usize| -> u64 { args[at].parse().unwrap() };
    match args[1].as_str() {
        "fill" => fill(directory, number(3), number(4), number(5)).await,
        "open" => drop(open(directory)),
        "touch" => touch(&open(directory), number(3)).await,
        "read-all" => read_all(&open(directory)).await,
        "read-streams" => read_streams(&open(directory), number(3)).await,
        other => panic!("no such measurement: {other}"),
    }
}

fn say(name: &str, value: impl Display) {
    println!("{name} {value}");
}

fn stream(number: u64) -> StreamId {
    StreamId::new("acme", "gl-account", &number.to_string()).unwrap()
}

/// Memory of this process in KiB: what it holds now, and the most that it ever held.
fn memory_kib() -> (u64, u64) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    (field("VmRSS:"), field("VmHWM:"))
}

fn open(directory: &Path) -> Arc<JournalStore> {
    say("rss_before_kib", memory_kib().0);
    let started = Instant::now();
    let store = JournalOptions::new().open(directory).unwrap();
    say("open_ms", started.elapsed().as_millis());
    say("rss_open_kib", memory_kib().0);
    say("rss_open_peak_kib", memory_kib().1);
    say("events", store.head());
    let times = store.recovery().times;
    for (part, time) in [
        ("headers_ms", times.headers),
        ("active_segment_ms", times.active_segment),
        ("index_open_ms", times.index_open),
        ("index_check_ms", times.index_check),
        ("segments_again_ms", times.segments_again),
        ("read_models_ms", times.read_models),
    ] {
        say(part, time.as_millis());
    }
    say("segments", store.recovery().segments);
    say("again", store.recovery().segments_indexed_again);
    say("moved", store.recovery().index_moved_aside.is_some());
    Arc::new(store)
}

async fn fill(directory: &Path, events: u64, streams: u64, events_per_append: u64) {
    let store = JournalOptions::new().open(directory).unwrap();
    let ids: Vec<StreamId> = (0..streams).map(stream).collect();
    let payload: Vec<u8> = (0..=250).cycle().take(PAYLOAD_BYTES).collect();
    let payload = Payload::raw(payload);
    let mut in_flight: VecDeque<oneshot::Receiver<Result<Appended, AppendError>>> = VecDeque::new();
    let (mut submitted, mut told) = (0, false);
    let started = Instant::now();
    loop {
        let mut append = Append::default();
        let parts = events_per_append.min(streams);
        for part in 0..parts {
            let id = &ids[usize::try_from((submitted + part) % streams).unwrap()];
            let count = events_per_append / parts + u64::from(part < events_per_append % parts);
            let event = || NewEvent::new(store.clock().new_id(), "Posted", payload.clone());
            append = append.and(
                id.clone(),
                ExpectedVersion::Any,
                (0..count).map(|_| event()),
            );
        }
        submitted += events_per_append;
        store.ready().await;
        let (settled, outcome) = oneshot::channel();
        store.submit(append, Box::new(move |outcome| drop(settled.send(outcome))));
        in_flight.push_back(outcome);
        if in_flight.len() >= IN_FLIGHT {
            let acked = in_flight.pop_front().unwrap().await.unwrap().unwrap();
            if !told && acked.position.get() >= events {
                told = true;
                say("filled", started.elapsed().as_millis());
            }
        }
    }
}

/// Asks for the version of every stream: what is kept in memory for it afterwards is what touching costs.
async fn touch(store: &JournalStore, streams: u64) {
    let before = memory_kib().0;
    for number in 0..streams {
        // A check goes the way of an append, and so remembers the version.
        let check = Append::check(stream(number), ExpectedVersion::StreamExists);
        let (settled, outcome) = oneshot::channel();
        store.ready().await;
        store.submit(check, Box::new(move |outcome| drop(settled.send(outcome))));
        if number % 1_000 == 999 || number + 1 == streams {
            outcome.await.unwrap().unwrap();
        }
    }
    say("rss_touched_kib", memory_kib().0);
    say("rss_touch_added_kib", memory_kib().0.saturating_sub(before));
}

async fn read_all(store: &JournalStore) {
    let started = Instant::now();
    let (mut after, mut events, mut peak) = (Position::BEFORE_FIRST, 0, 0);
    loop {
        let page = store.read_all(after, PAGE_EVENTS).await.unwrap();
        events += page.events.len();
        peak = peak.max(memory_kib().0);
        match page.next {
            Some(next) => after = next,
            None => break,
        }
    }
    say("read_events", events);
    say("read_ms", started.elapsed().as_millis());
    say("rss_read_max_kib", peak);
}

async fn read_streams(store: &JournalStore, streams: u64) {
    let started = Instant::now();
    let (mut events, mut peak) = (0, 0);
    for number in 0..streams {
        let mut next = Some(StreamQuery::whole(stream(number), PAGE_EVENTS));
        while let Some(query) = next.take() {
            let page = store.read_stream(query.clone()).await.unwrap();
            events += page.events.len();
            next = page
                .next
                .map(|from| StreamQuery::since(query.stream, from, PAGE_EVENTS));
        }
        if number % 64 == 0 {
            peak = peak.max(memory_kib().0);
        }
    }
    say("read_events", events);
    say("read_ms", started.elapsed().as_millis());
    say("rss_read_max_kib", peak);
}
