use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::channel;

use uuid::Uuid;

use super::*;
use crate::append::{Append, Appended};
use crate::event::{NewEvent, Payload};
use crate::event_store::{EventStore, EventStoreExt, StreamQuery};
use crate::journal::frame::{FrameHeader, HeaderCheck};
use crate::position::ExpectedVersion;
use crate::stream_id::StreamId;

const SEGMENT_BYTES: u64 = 256 << 10;

fn options() -> JournalOptions {
    JournalOptions::new().segment_bytes(SEGMENT_BYTES)
}

fn stream(id: &str) -> StreamId {
    StreamId::new("acme", "gl-account", id).unwrap()
}

fn event(bytes: usize) -> NewEvent {
    static NEXT_ID: AtomicU64 = AtomicU64::new(1);
    let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
    NewEvent::new(
        Uuid::from_u128(u128::from(id)),
        "Debited",
        Payload::raw(vec![0x5a; bytes]),
    )
}

/// Appends one event of that size and waits for the ack.
fn append(store: &JournalStore, id: &str, bytes: usize) -> Result<Appended, AppendError> {
    let (sender, receiver) = channel();
    let append = Append::to(stream(id), ExpectedVersion::Any, [event(bytes)]);
    store.submit(
        append,
        Box::new(move |outcome| sender.send(outcome).unwrap()),
    );
    receiver.recv().unwrap()
}

fn all_events(store: &JournalStore) -> Vec<crate::RecordedEvent> {
    let mut events = Vec::new();
    let mut after = Position::BEFORE_FIRST;
    loop {
        let page = store.reader.read_all(after, store.head(), 1_000).unwrap();
        events.extend(page.events);
        match page.next {
            Some(next) => after = next,
            None => return events,
        }
    }
}

fn segment_files(directory: &Path) -> Vec<PathBuf> {
    let names = fs::read_dir(directory.join(JOURNAL_DIRECTORY)).unwrap();
    let mut paths: Vec<_> = names.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| {
        path.extension()
            .is_some_and(|extension| extension == "segment")
    });
    paths.sort();
    paths
}

/// The offset of each frame in a segment file.
fn frame_offsets(path: &Path) -> Vec<u64> {
    let bytes = fs::read(path).unwrap();
    let mut offsets = Vec::new();
    let mut at = 4096;
    while let HeaderCheck::Sound(header) = FrameHeader::check(&bytes[at.min(bytes.len())..]) {
        offsets.push(at as u64);
        at += header.padded_bytes();
    }
    offsets
}

fn overwrite(path: &Path, offset: u64, bytes: &[u8]) {
    OpenOptions::new()
        .write(true)
        .open(path)
        .unwrap()
        .write_all_at(bytes, offset)
        .unwrap();
}

fn flip_bit(path: &Path, offset: u64) {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).unwrap();
    file.write_all_at(&[byte[0] ^ 4], offset).unwrap();
}

/// A store with `count` acked events of 300 bytes in frames of one event, closed.
fn written(directory: &Path, count: usize) {
    let store = options().open(directory).unwrap();
    for _ in 0..count {
        append(&store, "1000", 300).unwrap();
    }
}

fn corrupt(directory: &Path) -> Damage {
    match options().open(directory) {
        Err(OpenError::Corrupt(damage)) => damage,
        other => panic!("expected damage to be found, got {other:?}"),
    }
}

use crate::error::{AppendError, Damage, InvalidAppend};

#[test]
fn what_was_acked_is_there_after_reopening_over_many_segments() {
    let directory = tempfile::tempdir().unwrap();
    let store = options().open(directory.path()).unwrap();
    for number in 0..400 {
        append(&store, &format!("{}", number % 7), 1_000).unwrap();
    }
    let before = all_events(&store);
    assert_eq!(before.len(), 400);
    drop(store);
    assert!(segment_files(directory.path()).len() > 5);
    let store = options().open(directory.path()).unwrap();
    assert_eq!(all_events(&store), before);
    assert_eq!(store.recovery().head, Position::new(400));
    let appended = append(&store, "0", 10).unwrap();
    assert_eq!(
        (appended.position.get(), appended.versions[0].get()),
        (401, 59)
    );
}

#[tokio::test]
async fn a_stream_reads_the_same_from_memory_from_the_index_and_after_reopening() {
    let directory = tempfile::tempdir().unwrap();
    let store = options().open(directory.path()).unwrap();
    for number in 0..300 {
        append(&store, &format!("{}", number % 3), 2_000).unwrap();
    }
    let query = StreamQuery::whole(stream("1"), 1_000);
    let before = store.read_stream(query.clone()).await.unwrap();
    assert_eq!(before.events.len(), 100);
    store.close();
    let store = options().open(directory.path()).unwrap();
    assert_eq!(store.recovery().segments_indexed_again, 0);
    assert_eq!(store.read_stream(query.clone()).await.unwrap(), before);
    store.close();
    fs::remove_dir_all(directory.path().join("index")).unwrap();
    let store = options().open(directory.path()).unwrap();
    assert!(store.recovery().segments_indexed_again > 0);
    assert_eq!(store.read_stream(query).await.unwrap(), before);
}

#[test]
fn a_second_opener_gets_a_clear_error() {
    let directory = tempfile::tempdir().unwrap();
    let store = options().open(directory.path()).unwrap();
    assert!(matches!(
        options().open(directory.path()),
        Err(OpenError::Locked { .. })
    ));
    drop(store);
    options().open(directory.path()).unwrap();
}

/// A process that is being started holds copies of all descriptors for a moment; this holds one for longer.
#[test]
fn a_closed_store_can_be_opened_again_while_a_copy_of_its_lock_is_about() {
    let directory = tempfile::tempdir().unwrap();
    let store = options().open(directory.path()).unwrap();
    let held = store.lock.lock().unwrap().as_ref().unwrap().try_clone();
    store.close();
    options().open(directory.path()).unwrap();
    drop(held.unwrap());
}

/// Makes it look like a crash: whoever closed the store would have noted how far the journal had come.
fn forget_clean_close(directory: &Path) {
    fs::remove_dir_all(directory.join("index")).unwrap();
}

#[test]
fn a_torn_last_frame_is_cut_off_and_reported() {
    for cut in [0, 1, 127, 128, 200, 511, 512, 513, 4_000] {
        let directory = tempfile::tempdir().unwrap();
        let store = options().open(directory.path()).unwrap();
        append(&store, "1000", 300).unwrap();
        append(&store, "1000", 5_000).unwrap();
        test_support::die(store);
        let path = &segment_files(directory.path())[0];
        let torn_at = frame_offsets(path)[1];
        let zeros = vec![0; 8_192 - cut];
        overwrite(path, torn_at + cut as u64, &zeros);
        forget_clean_close(directory.path());
        let store = options().open(directory.path()).unwrap();
        let report = store.recovery();
        assert_eq!(report.head, Position::new(1), "cut at {cut}");
        assert_eq!(report.torn_tail.is_some(), cut > 0, "cut at {cut}");
        assert_eq!(
            append(&store, "1000", 10).unwrap().position,
            Position::new(2)
        );
        drop(store);
        assert_eq!(
            options()
                .open(directory.path())
                .unwrap()
                .recovery()
                .torn_tail,
            None
        );
    }
}

#[test]
fn a_sector_missing_from_the_last_frame_is_a_torn_write_too() {
    let directory = tempfile::tempdir().unwrap();
    let store = options().open(directory.path()).unwrap();
    append(&store, "1000", 5_000).unwrap();
    test_support::die(store);
    let path = &segment_files(directory.path())[0];
    for sector in [0, 3, 8] {
        let at = frame_offsets(path)[0];
        overwrite(path, at + sector * 512, &[0; 512]);
        forget_clean_close(directory.path());
        let store = options().open(directory.path()).unwrap();
        assert!(store.recovery().torn_tail.is_some(), "sector {sector}");
        append(&store, "1000", 5_000).unwrap();
        test_support::die(store);
    }
}

#[test]
fn a_flipped_bit_in_the_last_frame_is_damage_and_is_never_cut_off() {
    let directory = tempfile::tempdir().unwrap();
    written(directory.path(), 3);
    let path = &segment_files(directory.path())[0];
    let at = frame_offsets(path)[2];
    for offset in [0, 9, 12, 13, 14, 60, 126, 128, 200, 480] {
        flip_bit(path, at + offset);
        let damage = corrupt(directory.path());
        assert_eq!(
            (damage.offset, damage.position),
            (at, Position::new(3)),
            "byte {offset}"
        );
        flip_bit(path, at + offset);
    }
    assert_eq!(
        options().open(directory.path()).unwrap().recovery().head,
        Position::new(3)
    );
}

#[test]
fn a_flipped_bit_before_the_last_frame_is_damage_with_its_place_named() {
    let directory = tempfile::tempdir().unwrap();
    written(directory.path(), 3);
    let path = &segment_files(directory.path())[0];
    let at = frame_offsets(path)[1];
    overwrite(path, at, &[0; 4096]);
    let damage = corrupt(directory.path());
    assert_eq!((damage.offset, damage.position), (at, Position::new(2)));
    assert!(damage.what.contains("a whole frame follows"), "{damage}");
}

#[test]
fn a_missing_segment_and_a_swapped_one_are_found() {
    let directory = tempfile::tempdir().unwrap();
    written(directory.path(), 200);
    let paths = segment_files(directory.path());
    assert!(paths.len() >= 3);
    let aside = directory.path().join("aside");
    fs::rename(&paths[1], &aside).unwrap();
    assert!(corrupt(directory.path()).what.contains("missing"));
    fs::copy(&paths[0], &paths[1]).unwrap();
    corrupt(directory.path());
    fs::rename(&aside, &paths[1]).unwrap();
    options().open(directory.path()).unwrap();
}

#[test]
fn a_frame_of_another_store_is_not_taken() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    written(one.path(), 3);
    written(other.path(), 3);
    let (one_path, other_path) = (
        &segment_files(one.path())[0],
        &segment_files(other.path())[0],
    );
    let at = frame_offsets(one_path)[2];
    let foreign = fs::read(other_path).unwrap();
    let at_usize = usize::try_from(at).unwrap();
    overwrite(one_path, at, &foreign[at_usize..at_usize + 4096]);
    assert_eq!(corrupt(one.path()).position, Position::new(3));
}

#[test]
fn a_newer_format_is_refused_by_name() {
    let directory = tempfile::tempdir().unwrap();
    written(directory.path(), 1);
    let path = &segment_files(directory.path())[0];
    overwrite(path, 8, &2_u16.to_le_bytes());
    // By itself it is a flipped bit.
    assert_eq!(corrupt(directory.path()).offset, 0);
    let hash = blake3::hash(&fs::read(path).unwrap()[..128]);
    overwrite(path, 128, hash.as_bytes());
    let refused = options().open(directory.path());
    assert!(matches!(
        refused,
        Err(OpenError::NewerFormat {
            found: 2,
            newest: 1,
            ..
        })
    ));
}

#[tokio::test]
async fn a_closed_store_refuses_and_lets_go_of_its_directory() {
    let directory = tempfile::tempdir().unwrap();
    let store = options().open(directory.path()).unwrap();
    append(&store, "1000", 10).unwrap();
    store.close();
    assert!(matches!(
        append(&store, "1000", 10),
        Err(AppendError::NotRecorded(_))
    ));
    let read = store.read_all(Position::BEFORE_FIRST, 10).await;
    assert!(matches!(read, Err(ReadError::Closed)));
    let reopened = options().open(directory.path()).unwrap();
    assert_eq!(all_events(&reopened).len(), 1);
}

#[test]
fn an_event_of_the_largest_size_fits_into_the_smallest_segment() {
    let directory = tempfile::tempdir().unwrap();
    let store = options().open(directory.path()).unwrap();
    let largest = usize::try_from(SEGMENT_BYTES / 2).unwrap() - "Debited".len();
    append(&store, "1000", 10).unwrap();
    append(&store, "1000", largest).unwrap();
    append(&store, "1000", largest).unwrap();
    let refused = append(&store, "1000", largest + 1);
    assert!(matches!(
        refused,
        Err(AppendError::Invalid(InvalidAppend::EventTooLarge { .. }))
    ));
    assert_eq!(all_events(&store).len(), 3);
}

#[tokio::test]
async fn readers_that_keep_up_and_readers_that_start_over_see_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let store = Arc::new(
        options()
            .recent_frames_bytes(8 << 10)
            .open(directory.path())
            .unwrap(),
    );
    let reader = Arc::clone(&store);
    let following = tokio::spawn(async move {
        let (mut head, mut seen) = (reader.watch_head(), Vec::new());
        while seen.len() < 500 {
            let after = Position::new(seen.len() as u64);
            let page = reader.read_all(after, 64).await.unwrap();
            if page.events.is_empty() {
                head.wait_for(|head| *head > after).await.unwrap();
            }
            seen.extend(page.events);
        }
        seen
    });
    for number in 0..500 {
        let id = format!("{}", number % 11);
        let append = Append::to(stream(&id), ExpectedVersion::Any, [event(700)]);
        store.append(append).await.unwrap();
    }
    assert_eq!(following.await.unwrap(), all_events(&store));
}
