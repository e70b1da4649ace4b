//! What the store takes: disk, file handles, memory, and time to open after a kill.
//!
//! What is the same on every machine is asserted in the quick tests. The rest is measured by
//!
//! ```text
//! cargo test --release -p foldhouse-tests -- --ignored bounds --nocapture
//! ```
//!
//! which needs some 4 GiB of disk, prints a table, and asserts only what no machine should miss.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use foldhouse_store::{
    Append, EventStore, EventStoreExt, ExpectedVersion, JournalOptions, JournalStore, NewEvent,
    Payload, Position, StreamId, StreamQuery,
};
use uuid::Uuid;

mod open_after_kill;

/// What one event carries in these measurements.
const PAYLOAD_BYTES: usize = 200;

fn stream(number: u64) -> StreamId {
    StreamId::new("acme", "gl-account", &number.to_string()).unwrap()
}

fn events(count: usize, payload_bytes: usize) -> Vec<NewEvent> {
    let payload: Vec<u8> = (0..=250).cycle().take(payload_bytes).collect();
    (0..count as u128)
        .map(|id| NewEvent::new(Uuid::from_u128(id), "Posted", Payload::raw(payload.clone())))
        .collect()
}

async fn append(store: &JournalStore, to: u64, count: usize, payload_bytes: usize) {
    let events = events(count, payload_bytes);
    let append = Append::to(stream(to), ExpectedVersion::Any, events);
    store.append(append).await.unwrap();
}

/// The bytes of the sealed segments' files, and of the index.
fn disk_bytes(directory: &Path) -> (u64, u64) {
    let sum = |directory: &Path, counts: &dyn Fn(&str) -> bool| {
        fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap())
            .filter(|entry| counts(&entry.file_name().to_string_lossy()))
            .map(|entry| entry.metadata().unwrap().len())
            .sum::<u64>()
    };
    let journal = directory.join("journal");
    let mut segments: Vec<String> = fs::read_dir(&journal)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| name.ends_with(".segment"))
        .collect();
    segments.sort();
    // The last one has its full length, whatever is in it.
    segments.pop();
    let sealed = |name: &str| segments.iter().any(|segment| segment == name);
    (
        sum(&journal, &sealed),
        sum(&directory.join("index"), &|_| true),
    )
}

/// Writes appends of so many events, one frame each, until so many segments are sealed; gives bytes of journal and index
/// for each event in sealed segments.
async fn bytes_per_event(events_per_frame: usize, streams: u64, segments: usize) -> (f64, f64) {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let options = || JournalOptions::new().segment_bytes(4 << 20);
    let store = options().open(directory.path()).unwrap();
    let sealed = |directory: &Path| {
        let names = fs::read_dir(directory.join("journal")).unwrap();
        let names = names.map(|name| name.unwrap().file_name());
        let is_segment = |name: &std::ffi::OsString| name.to_string_lossy().ends_with(".segment");
        names.filter(is_segment).count() - 1
    };
    let mut appends = 0_u64;
    while !appends.is_multiple_of(32) || sealed(directory.path()) < segments {
        append(&store, appends % streams, events_per_frame, PAYLOAD_BYTES).await;
        appends += 1;
    }
    store.close();
    let (journal, index) = disk_bytes(directory.path());
    // The active segment has the last events.
    let mut names: Vec<_> = fs::read_dir(directory.path().join("journal"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter_map(|name| name.strip_suffix(".segment")?.parse::<u64>().ok())
        .collect();
    names.sort_unstable();
    let events = (names.last().unwrap() - 1) as f64;
    (journal as f64 / events, index as f64 / events)
}

/// 200 bytes of payload, with a short name of stream and event type, in frames of a hundred: below 300 bytes all told. A
/// frame of one event takes a block of 4 KiB.
#[tokio::test]
async fn an_event_of_200_bytes_takes_less_than_300_on_disk_in_frames_of_a_hundred() {
    let (journal, index) = bytes_per_event(100, 50, 8).await;
    println!("frames of 100: {journal:.1} bytes an event in the journal, {index:.1} in the index");
    assert!(
        journal + index <= 300.0,
        "{journal:.1} bytes in the journal and {index:.1} in the index"
    );
    let (single, _) = bytes_per_event(1, 50, 1).await;
    println!("frames of one: {single:.1} bytes an event in the journal");
    // Besides the block: the event's share of the segment's header.
    assert!((4_096.0..4_110.0).contains(&single), "{single:.1} bytes");
}

/// The files below `directory` that this process has open.
fn open_files(directory: &Path) -> usize {
    let directory = directory.canonicalize().unwrap();
    fs::read_dir("/proc/self/fd")
        .unwrap()
        .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
        .filter(|target| target.starts_with(&directory))
        .count()
}

/// At most 64 segments are kept open for reading, besides one that each reader is just reading, and the fixed ones: lock,
/// journal directory, active segment, spare, and the index's own.
const OPEN_SEGMENTS_MAX: usize = 64;
const FIXED_FILES_MAX: usize = 12;

async fn file_handles(segments: u64) {
    const READERS: usize = 16;
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let store = JournalOptions::new()
        .segment_bytes(256 << 10)
        .recent_frames_bytes(0)
        .open(directory.path())
        .unwrap();
    let store = Arc::new(store);
    let mut most = 0;
    for number in 0..segments {
        // Two do not fit into one segment.
        append(&store, number % 10, 1, 120 << 10).await;
        append(&store, number % 10, 1, 120 << 10).await;
        most = most.max(open_files(directory.path()));
    }
    let bound = OPEN_SEGMENTS_MAX + READERS + FIXED_FILES_MAX;
    println!("{segments} segments written: at most {most} files open");
    assert!(most <= bound, "{most} files open while writing");
    let readers: Vec<_> = (0..READERS as u64)
        .map(|reader| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let mut read = 0;
                let mut after = Position::new(reader * 7);
                loop {
                    let page = store.read_all(after, 2).await.unwrap();
                    read += page.events.len();
                    let of_stream = StreamQuery::whole(stream(reader % 10), 3);
                    read += store.read_stream(of_stream).await.unwrap().events.len();
                    match page.next {
                        Some(next) => after = next,
                        None => return read,
                    }
                }
            })
        })
        .collect();
    let mut most = 0;
    while !readers.iter().all(tokio::task::JoinHandle::is_finished) {
        most = most.max(open_files(directory.path()));
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    for reader in readers {
        assert!(reader.await.unwrap() >= usize::try_from(segments).unwrap());
    }
    let kept = open_files(directory.path());
    println!(
        "{READERS} readers: at most {most} files open, {kept} afterwards; the bound is {bound}"
    );
    assert!(
        kept > OPEN_SEGMENTS_MAX / 2,
        "{kept}: too few were read to tell"
    );
    assert!(
        most.max(kept) <= bound,
        "{most} files open, {kept} afterwards"
    );
    store.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_of_many_segments_keep_few_files_open() {
    file_handles(100).await;
}

/// `cargo test --release -p foldhouse-tests -- --ignored bounds --nocapture`
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a campaign: 1,000 segments, 256 MiB"]
async fn readers_of_a_thousand_segments_keep_few_files_open() {
    file_handles(1_000).await;
}
