//! What a released version wrote, every later build reads: `fixtures/format-1` is a store as version 0.1.0 left it, and
//! each further `fixtures/format-*` one as a later version did.

use std::fmt::Write;
use std::fs;
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};

use foldhouse_store::{
    Append, Change, Checkpoint, Codec, EventStore, EventStoreExt, ExpectedVersion, JournalOptions,
    JournalStore, NewEvent, Payload, Position, ReadModelStore, RecordedEvent, Snapshot,
    SnapshotCriteria, SnapshotStore, StreamId, Timestamp, Version,
};
use uuid::Uuid;

/// Where [`write_the_fixture`] puts the next one: format 1 with records of what was appended together, and of closing.
const NEXT_FIXTURE: &str = "format-1b";

fn fixture_directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

/// Every store that was frozen.
pub(crate) fn fixtures() -> Vec<PathBuf> {
    let entries = fs::read_dir(fixture_directory()).unwrap();
    let mut fixtures: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    fixtures.sort();
    assert!(fixtures.iter().any(|path| path.ends_with("format-1")));
    fixtures
}

pub(crate) fn options() -> JournalOptions {
    JournalOptions::new().segment_bytes(256 << 10)
}

pub(crate) fn stream(id: &str) -> StreamId {
    StreamId::new("acme", "gl-account", id).unwrap()
}

/// One line for each event, with everything that it carries.
pub(crate) fn listing(events: &[RecordedEvent]) -> String {
    let mut text = String::new();
    for event in events {
        let RecordedEvent {
            position,
            stream,
            version,
            id,
            event_type,
            schema_version,
            ..
        } = event;
        let bytes = &event.payload.bytes;
        let sum: u64 = bytes
            .iter()
            .zip(1..)
            .map(|(byte, place)| u64::from(*byte) * place)
            .sum();
        writeln!(
            text,
            "{position} {stream} {version} {id} {event_type} {schema_version} {} {} {:?} {:?} {:?} {:?} {:?} {:?} {} {sum}",
            event.recorded_at,
            event.effective_at,
            event.correlation_id,
            event.causation_id,
            event.user,
            event.metadata,
            event.payload.codec,
            event.payload.key_id,
            bytes.len(),
        )
        .unwrap();
    }
    text
}

pub(crate) async fn all_events(store: &JournalStore) -> Vec<RecordedEvent> {
    let mut events = Vec::new();
    let mut after = Position::BEFORE_FIRST;
    loop {
        let page = store.read_all(after, 3).await.unwrap();
        events.extend(page.events);
        match page.next {
            Some(next) => after = next,
            None => return events,
        }
    }
}

pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[tokio::test]
async fn a_store_of_format_1_reads_and_goes_on() {
    for fixture in fixtures() {
        reads_and_goes_on(&fixture).await;
    }
}

async fn reads_and_goes_on(fixture: &Path) {
    let expected = fs::read_to_string(fixture.join("events.txt")).unwrap();
    for with_index in [true, false] {
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        copy(fixture, directory.path());
        if !with_index {
            fs::remove_dir_all(directory.path().join("index")).unwrap();
        }
        let store = options().open(directory.path()).unwrap();
        assert_eq!(listing(&all_events(&store).await), expected);
        let report = store.recovery();
        assert_eq!(
            (
                report.segments,
                &report.index_moved_aside,
                &report.torn_tail
            ),
            (3, &None, &None)
        );
        // The index of 0.1.0 knows no commands: its segments are indexed again, and all else in it stays.
        assert_eq!(report.segments_indexed_again, 2);
        let snapshot = store
            .load_snapshot(&stream("1000"), SnapshotCriteria::ALL)
            .await
            .unwrap();
        let rows = store.rows("balances", None, 10).await.unwrap();
        if with_index {
            assert_eq!(
                snapshot.unwrap().payload.bytes,
                b"state at version 2".as_slice()
            );
            assert_eq!(rows, [(b"1000".to_vec(), b"42".to_vec())]);
            let checkpoint = store.checkpoint("balances").await.unwrap().unwrap();
            assert_eq!(
                (checkpoint.position.get(), checkpoint.model_version),
                (3, 7)
            );
        }
        let event = NewEvent::new(Uuid::from_u128(99), "Debited", Payload::default());
        let append = Append::to(
            stream("1000"),
            ExpectedVersion::Exact(Version::new(9)),
            [event],
        );
        assert_eq!(store.append(append).await.unwrap().position.get(), 13);
    }
}

/// `cargo test -p foldhouse-tests -- --ignored write_the_fixture`, once, before a release that changes a format: into the
/// new directory [`NEXT_FIXTURE`], never over an old one.
#[tokio::test]
#[ignore = "writes the fixture of the current format"]
async fn write_the_fixture() {
    let directory = fixture_directory().join(NEXT_FIXTURE);
    assert!(
        !directory.exists(),
        "a fixture that was released is never written again"
    );
    let store = options().open(&directory).unwrap();
    fill(&store).await;
    fs::write(
        directory.join("events.txt"),
        listing(&all_events(&store).await),
    )
    .unwrap();
    store.close();
}

/// Appends twelve events in every shape, so that there are three segments, and keeps a snapshot and a row.
pub(crate) async fn fill(store: &JournalStore) {
    let append = |id: &str, events: Vec<NewEvent>| {
        store.append(Append::to(stream(id), ExpectedVersion::Any, events))
    };
    let mut full = NewEvent::new(
        Uuid::from_u128(2),
        "Credited",
        Payload::raw(b"opaque".as_slice()),
    );
    full.schema_version = 3;
    full.effective_at = Some(Timestamp::from_unix_micros(725_846_400_000_000));
    full.correlation_id = Some(Uuid::from_u128(0xc0));
    full.causation_id = Some(Uuid::from_u128(0xca));
    full.user = Some("Zoë".into());
    full.metadata
        .insert("purpose".to_owned(), "household".to_owned());
    full.metadata.insert("empty".to_owned(), String::new());
    full.payload.key_id = std::num::NonZeroU32::new(17);
    let plain = |id, payload| NewEvent::new(Uuid::from_u128(id), "Debited", payload);
    append(
        "1000",
        vec![plain(1, Payload::message_pack(vec![0xc0])), full],
    )
    .await
    .unwrap();
    let json = Payload {
        codec: Codec::Json,
        key_id: None,
        bytes: b"{}".as_slice().into(),
    };
    append("2000", vec![plain(3, json)]).await.unwrap();
    for id in 4..=10 {
        // Large enough that the journal has two sealed segments.
        let bytes: Vec<u8> = (0..=250).cycle().take(70_000).collect();
        append("1000", vec![plain(id, Payload::raw(bytes))])
            .await
            .unwrap();
    }
    let both = Append::to(
        stream("2000"),
        ExpectedVersion::Exact(Version::new(1)),
        [plain(11, Payload::default())],
    )
    .and(
        stream("3000"),
        ExpectedVersion::NoStream,
        [plain(12, Payload::default())],
    );
    store.append(both).await.unwrap();
    let snapshot = Snapshot {
        stream: stream("1000"),
        version: Version::new(2),
        event_id: Uuid::from_u128(2),
        taken_at: Timestamp::from_unix_micros(1_767_225_600_000_000),
        state_schema: 1,
        payload: Payload::raw(b"state at version 2".as_slice()),
    };
    store
        .save_snapshot(snapshot, NonZeroU16::MIN)
        .await
        .unwrap();
    let checkpoint = Checkpoint {
        position: Position::new(3),
        model_version: 7,
    };
    let row = Change {
        key: b"1000".to_vec(),
        value: Some(b"42".to_vec()),
    };
    store
        .commit("balances", checkpoint, vec![row])
        .await
        .unwrap();
}
