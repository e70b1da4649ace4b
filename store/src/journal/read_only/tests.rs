use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::SystemTime;

use super::*;
use crate::append::Append;
use crate::error::AppendError;
use crate::event::RecordedEvent;
use crate::event_store::{EventStore, EventStoreExt, StreamQuery};
use crate::journal::JournalOptions;
use crate::journal::faulty_disk::{Faults, Step};
use crate::journal::test_support::{
    SEGMENT_BYTES, all_events, answer, append, event, open, options, segment_files, stream, submit,
};
use crate::position::ExpectedVersion;

/// What a frame with one event of 20,000 bytes takes.
const FRAME_BYTES: u64 = 20_480;

fn open_read_only(directory: &Path) -> Result<ReadOnlyJournal, OpenError> {
    options().open_read_only(directory)
}

/// Everything that a reader gives, in pages.
fn events_of(journal: &ReadOnlyJournal) -> Vec<RecordedEvent> {
    let mut events: Vec<RecordedEvent> = Vec::new();
    loop {
        let after = events
            .last()
            .map_or(Position::default(), |event| event.position);
        let page = journal.reader.read_all(after, journal.head(), 100).unwrap();
        events.extend(page.events);
        if page.next.is_none() {
            return events;
        }
    }
}

/// Every file below a directory, its content and when it was changed last.
fn all_files(directory: &Path) -> Vec<(PathBuf, Vec<u8>, SystemTime)> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(all_files(&path));
        } else {
            let changed = path.metadata().unwrap().modified().unwrap();
            files.push((path.clone(), std::fs::read(&path).unwrap(), changed));
        }
    }
    files.sort();
    files
}

fn flip(file: &Path, offset: u64) {
    let file = std::fs::File::options()
        .read(true)
        .write(true)
        .open(file)
        .unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).unwrap();
    file.write_all_at(&[byte[0] ^ 8], offset).unwrap();
}

fn damage(error: OpenError) -> Damage {
    match error {
        OpenError::Corrupt(damage) => damage,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_reader_beside_a_writer_sees_after_a_refresh_all_that_was_acked_before_it() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path(), &Arc::default());
    append(&store, "a", 10).unwrap();
    let reader = open_read_only(directory.path()).unwrap();
    for number in 0..60 {
        append(&store, &format!("{}", number % 7), 20_000).unwrap();
        if number % 5 == 0 {
            assert_eq!(reader.refresh().unwrap(), store.head());
        }
    }
    assert!(segment_files(directory.path()).len() > 4);
    assert!(reader.head() < store.head(), "it shows nothing unasked");
    let mut follows_head = reader.watch_head();
    assert_eq!(reader.refresh().unwrap(), store.head());
    assert!(follows_head.has_changed().unwrap());
    assert_eq!(*follows_head.borrow_and_update(), store.head());
    let events = all_events(&store, 100);
    assert_eq!(events_of(&reader), events);
    let late = open_read_only(directory.path()).unwrap();
    assert_eq!(events_of(&late), events);
    store.close();
    drop(store);
    assert_eq!(reader.refresh().unwrap(), late.head());
    assert_eq!(events_of(&reader), events);
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_are_read_as_the_writer_reads_them() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path(), &Arc::default());
    let reader = open_read_only(directory.path()).unwrap();
    for number in 0..40 {
        append(&store, &format!("{}", number % 3), 20_000).unwrap();
        if number == 20 {
            reader.refresh().unwrap();
        }
    }
    reader.refresh().unwrap();
    for id in ["0", "1", "2", "unknown"] {
        let id = stream(id);
        assert_eq!(
            reader.stream_version(&id).await.unwrap(),
            store.stream_version(&id).await.unwrap()
        );
        let query = StreamQuery::whole(id, 5);
        assert_eq!(
            reader.read_stream(query.clone()).await.unwrap(),
            store.read_stream(query).await.unwrap()
        );
    }
    let listed = reader.streams("acme", "gl-account", None, 2).await.unwrap();
    assert_eq!(listed, [stream("0"), stream("1")]);
}

#[tokio::test]
async fn an_append_is_refused_and_says_why() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path(), &Arc::default());
    let reader = open_read_only(directory.path()).unwrap();
    let refused = reader
        .append(Append::to(stream("a"), ExpectedVersion::Any, [event(1)]))
        .await
        .unwrap_err();
    assert!(
        matches!(refused, AppendError::ReadOnly { .. }),
        "{refused:?}"
    );
    assert!(refused.to_string().contains("nothing was recorded"));
    append(&store, "a", 1).unwrap();
}

#[test]
fn a_directory_without_a_journal_is_refused_and_nothing_is_created() {
    let directory = tempfile::tempdir().unwrap();
    for path in [directory.path().to_owned(), directory.path().join("typo")] {
        let error = open_read_only(&path).unwrap_err();
        assert!(matches!(error, OpenError::NoJournal { .. }), "{error:?}");
    }
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn a_torn_write_is_the_end_for_now_and_what_is_written_in_its_place_is_read() {
    // Cut behind the first block, and in the last one.
    for torn_bytes in [4_096, 8_192, 16_384] {
        let directory = tempfile::tempdir().unwrap();
        let faults = Arc::<Faults>::default();
        let store = open(directory.path(), &faults);
        append(&store, "a", 10).unwrap();
        let reader = open_read_only(directory.path()).unwrap();
        faults.fail_next_write_after(torn_bytes);
        append(&store, "a", 20_000).unwrap_err();
        store.close();
        drop(store);
        let before = all_files(directory.path());
        assert_eq!(reader.refresh().unwrap().get(), 1, "{torn_bytes}");
        assert_eq!(open_read_only(directory.path()).unwrap().head().get(), 1);
        assert!(
            all_files(directory.path()) == before,
            "a reader changed a file"
        );

        let store = open(directory.path(), &Arc::default());
        assert!(store.recovery().torn_tail.is_some(), "{torn_bytes}");
        assert_eq!(reader.refresh().unwrap().get(), 1);
        append(&store, "b", 30_000).unwrap();
        append(&store, "a", 10).unwrap();
        assert_eq!(reader.refresh().unwrap().get(), 3);
        assert_eq!(events_of(&reader), all_events(&store, 100));
    }
}

#[test]
fn a_write_under_way_is_not_seen_before_it_is_whole() {
    let directory = tempfile::tempdir().unwrap();
    let faults = Arc::<Faults>::default();
    let store = open(directory.path(), &faults);
    append(&store, "a", 10).unwrap();
    let reader = open_read_only(directory.path()).unwrap();
    faults.hold_writes();
    let waiting = submit(
        &store,
        Append::to(stream("a"), ExpectedVersion::Any, [event(50_000)]),
    );
    faults.wait_for_held_write();
    assert_eq!(reader.refresh().unwrap().get(), 1);
    faults.release_writes();
    answer(&waiting).unwrap();
    assert_eq!(reader.refresh().unwrap().get(), 2);
}

#[test]
fn an_empty_segment_that_is_replaced_by_a_larger_one_is_followed() {
    let directory = tempfile::tempdir().unwrap();
    drop(open(directory.path(), &Arc::default()));
    let reader = open_read_only(directory.path()).unwrap();
    let larger = JournalOptions::new().segment_bytes(4 * SEGMENT_BYTES);
    let store = larger.open(directory.path()).unwrap();
    for _ in 0..30 {
        append(&store, "a", 20_000).unwrap();
    }
    assert_eq!(segment_files(directory.path()).len(), 1);
    assert_eq!(reader.refresh().unwrap().get(), 30);
    assert_eq!(events_of(&reader), all_events(&store, 100));
}

#[test]
fn damage_anywhere_is_named_and_never_taken_for_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path(), &Arc::default());
    for _ in 0..30 {
        append(&store, "a", 20_000).unwrap();
    }
    let reader = open_read_only(directory.path()).unwrap();
    store.close();
    drop(store);
    let files = segment_files(directory.path());
    let last = files.last().unwrap().clone();
    let last_frame = reader.follower.lock().unwrap().end().offset - FRAME_BYTES;
    for (file, offset) in [
        (&files[0], 4_096 + 200),
        (&files[1], 4_096 + FRAME_BYTES * 3 + 60),
        (&last, 4_096 + 200),
        (&last, last_frame + 9_000),
    ] {
        flip(file, offset);
        let damage = damage(open_read_only(directory.path()).unwrap_err());
        assert_eq!(damage.file.file_name(), file.file_name());
        assert_eq!(
            damage.offset,
            (offset - 4_096) / FRAME_BYTES * FRAME_BYTES + 4_096
        );
        flip(file, offset);
    }
    // The second one is missing.
    std::fs::rename(&files[1], directory.path().join("aside")).unwrap();
    damage(open_read_only(directory.path()).unwrap_err());
    std::fs::rename(directory.path().join("aside"), &files[1]).unwrap();
    assert_eq!(
        events_of(&open_read_only(directory.path()).unwrap()).len(),
        30
    );
}

#[test]
fn damage_in_what_is_new_fails_a_refresh_and_leaves_the_rest_readable() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path(), &Arc::default());
    append(&store, "a", 20_000).unwrap();
    let reader = open_read_only(directory.path()).unwrap();
    for _ in 0..3 {
        append(&store, "a", 20_000).unwrap();
    }
    let file = segment_files(directory.path()).pop().unwrap();
    flip(&file, 4_096 + FRAME_BYTES * 2 + 300);
    let damage = damage(reader.refresh().unwrap_err());
    assert_eq!(
        (damage.offset, damage.position.get()),
        (4_096 + FRAME_BYTES * 2, 3)
    );
    assert_eq!((reader.head().get(), events_of(&reader).len()), (1, 1));
    flip(&file, 4_096 + FRAME_BYTES * 2 + 300);
    assert_eq!(reader.refresh().unwrap().get(), 4);
    assert_eq!(events_of(&reader), all_events(&store, 100));
}

#[test]
fn a_reader_gives_a_prefix_at_every_moment_while_others_write() {
    let directory = tempfile::tempdir().unwrap();
    let faults = Arc::<Faults>::default();
    let store = open(directory.path(), &faults);
    let writing = AtomicBool::new(true);
    let refreshes = AtomicU64::new(0);
    let seen = std::thread::scope(|scope| {
        let reading = scope.spawn(|| {
            let reader = open_read_only(directory.path()).unwrap();
            while writing.load(Ordering::Relaxed) {
                let before = reader.head();
                let head = reader.refresh().unwrap();
                assert!(head >= before);
                if head > before && refreshes.fetch_add(1, Ordering::Relaxed).is_multiple_of(16) {
                    // Whoever comes anew, too.
                    assert!(open_read_only(directory.path()).unwrap().head() >= head);
                }
            }
            reader.refresh().unwrap();
            events_of(&reader)
        });
        let writers: Vec<_> = (0..4)
            .map(|writer: usize| {
                let (store, refreshes) = (&store, &refreshes);
                scope.spawn(move || {
                    // On a busy machine the reader may come late: they write until it has seen something.
                    for number in 0.. {
                        if number >= 120 && refreshes.load(Ordering::Relaxed) > 3 {
                            break;
                        }
                        let bytes = [100, 9_000, 40_000][(writer + number) % 3];
                        append(store, &writer.to_string(), bytes).unwrap();
                    }
                })
            })
            .collect();
        for writer in writers {
            writer.join().unwrap();
        }
        writing.store(false, Ordering::Relaxed);
        reading.join().unwrap()
    });
    faults.wait_for_step(Step::Truncate);
    assert!(seen == all_events(&store, 100));
}

/// How much of the machine's memory this process takes now, in bytes.
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = status.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4_096
}

/// `cargo test --release -p foldhouse-store --lib -- --ignored --nocapture a_reader_of_a_million_events`
#[test]
#[ignore = "a measurement; writes a million events"]
fn a_reader_of_a_million_events_states_its_time_and_memory() {
    for streams in [10_000_u64, 1_000_000] {
        let directory = tempfile::tempdir().unwrap();
        let store = JournalOptions::new().open(directory.path()).unwrap();
        for batch in 0..1_000_u64 {
            let mut append = Append::default();
            for number in 0..1_000 {
                let id = stream(&((batch * 1_000 + number) % streams).to_string());
                append = append.and(id, ExpectedVersion::Any, [event(200)]);
            }
            answer(&submit(&store, append)).unwrap();
        }
        store.close();
        drop(store);
        let before = resident_bytes();
        let start = std::time::Instant::now();
        let reader = open_read_only(directory.path()).unwrap();
        let (seconds, bytes) = (start.elapsed().as_secs_f64(), resident_bytes() - before);
        println!(
            "{} events in {streams} streams and {} segments: open for reading in {seconds:.2} s, {} MiB",
            reader.head(),
            segment_files(directory.path()).len(),
            bytes >> 20
        );
        assert_eq!(reader.head().get(), 1_000_000);
        assert!(
            bytes < 512 << 20,
            "{bytes} bytes for an index of a million events"
        );
    }
}
