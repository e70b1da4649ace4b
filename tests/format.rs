//! What a released version wrote, every later build reads: `fixtures/format-1` is a store as version 0.1.0 left it, and
//! each further `fixtures/format-*` one as a later version did. `format-1b` has what came to format 1 after 0.1.0: heads
//! of appends, commands, and the closing mark.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use foldhouse_store::{
    Append, AppendError, Codec, CommandReply, CommandStamp, EventStore, EventStoreExt,
    ExpectedVersion, JournalOptions, JournalStore, NewEvent, Payload, Position, ReadModelStore,
    RecordedCommand, RecordedEvent, SnapshotCriteria, SnapshotStore, StreamId, Version, verify,
};
use uuid::Uuid;

use crate::format_reader::frames;

mod fill;

pub(crate) use fill::{fill, write};

fn fixture_directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

/// Every store that was frozen.
pub(crate) fn fixtures() -> Vec<PathBuf> {
    let entries = fs::read_dir(fixture_directory()).unwrap();
    let mut fixtures: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    fixtures.sort();
    for name in ["format-1", "format-1b"] {
        assert!(fixtures.iter().any(|path| path.ends_with(name)), "{name}");
    }
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

/// The segments of a store, in their order.
pub(crate) fn segment_paths(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory.join("journal")).unwrap();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|end| end == "segment"));
    paths.sort();
    paths
}

/// What a frozen store holds beside the events in its `events.txt`. Written down once, for each: what writes new stores
/// may change, these do not.
struct Frozen {
    segments: usize,
    /// How many of them have to be indexed again although there is an index.
    indexed_again: usize,
    /// The version that the stream `1000` is at.
    version: u64,
    commands: Vec<RecordedCommand>,
}

fn frozen(fixture: &Path) -> Frozen {
    match fixture.file_name().unwrap().to_str().unwrap() {
        "format-1" => Frozen {
            segments: 3,
            // The index of 0.1.0 knows no commands: its segments are indexed again, and all else in it stays.
            indexed_again: 2,
            version: 9,
            commands: Vec::new(),
        },
        "format-1b" => Frozen {
            segments: 2,
            indexed_again: 0,
            version: 6,
            commands: vec![
                command(0xc1, Codec::Json, br#"{"balance":"42.00"}"#, 5, 2),
                command(0xc2, Codec::Raw, b"nothing to do", 9, 0),
            ],
        },
        other => panic!("say here what {other} holds"),
    }
}

/// The time is that of the event at the position, and filled in from there.
fn command(
    id: u128,
    codec: Codec,
    reply: &'static [u8],
    position: u64,
    count: u32,
) -> RecordedCommand {
    RecordedCommand {
        id: Uuid::from_u128(id),
        fingerprint: [u8::try_from(id).unwrap(); 16],
        reply: CommandReply {
            codec,
            bytes: reply.into(),
        },
        position: Position::new(position),
        event_count: count,
        recorded_at: None,
    }
}

#[tokio::test]
async fn a_store_of_format_1_reads_and_goes_on() {
    for fixture in fixtures() {
        for with_index in [true, false] {
            reads_and_goes_on(&fixture, with_index).await;
        }
    }
}

async fn reads_and_goes_on(fixture: &Path, with_index: bool) {
    let frozen = frozen(fixture);
    let expected = fs::read_to_string(fixture.join("events.txt")).unwrap();
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    copy(fixture, directory.path());
    if !with_index {
        fs::remove_dir_all(directory.path().join("index")).unwrap();
    }
    let verified = verify(directory.path(), &mut |_| ()).unwrap();
    assert!(verified.is_whole(), "{:?}", verified.findings);
    let store = options().open(directory.path()).unwrap();
    assert_eq!(listing(&all_events(&store).await), expected);
    let report = store.recovery();
    assert_eq!(
        (
            report.segments,
            &report.index_moved_aside,
            &report.torn_tail
        ),
        (frozen.segments, &None, &None)
    );
    assert_eq!(
        report.segments_indexed_again,
        if with_index {
            frozen.indexed_again
        } else {
            frozen.segments - 1
        }
    );
    if with_index {
        has_its_snapshot_and_its_rows(&store).await;
    }
    let event = NewEvent::new(Uuid::from_u128(99), "Debited", Payload::default());
    let expects = ExpectedVersion::Exact(Version::new(frozen.version));
    let append = Append::to(stream("1000"), expects, [event]);
    let next = expected.lines().count() as u64 + 1;
    assert_eq!(store.append(append).await.unwrap().position.get(), next);
}

async fn has_its_snapshot_and_its_rows(store: &JournalStore) {
    let snapshot = store
        .load_snapshot(&stream("1000"), SnapshotCriteria::ALL)
        .await
        .unwrap();
    assert_eq!(
        snapshot.unwrap().payload.bytes,
        b"state at version 2".as_slice()
    );
    let rows = store.rows("balances", None, 10).await.unwrap();
    assert_eq!(rows, [(b"1000".to_vec(), b"42".to_vec())]);
    let checkpoint = store.checkpoint("balances").await.unwrap().unwrap();
    assert_eq!(
        (checkpoint.position.get(), checkpoint.model_version),
        (3, 7)
    );
}

#[tokio::test]
async fn a_command_that_a_frozen_store_recorded_is_remembered_with_its_reply() {
    let mut asked = 0;
    for fixture in fixtures() {
        for with_index in [true, false] {
            let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
            copy(&fixture, directory.path());
            if !with_index {
                fs::remove_dir_all(directory.path().join("index")).unwrap();
            }
            let read_only = options().open_read_only(directory.path()).unwrap();
            let store = options().open(directory.path()).unwrap();
            let events = all_events(&store).await;
            for mut expected in frozen(&fixture).commands {
                if expected.event_count > 0 {
                    let at = usize::try_from(expected.position.get()).unwrap() - 1;
                    expected.recorded_at = Some(events[at].recorded_at);
                }
                let recorded = store.command(expected.id).await.unwrap();
                assert_eq!(recorded.as_ref(), Some(&expected));
                let recorded = read_only.command(expected.id).await.unwrap();
                assert_eq!(recorded.as_ref(), Some(&expected));
                let again =
                    Append::check(stream("3000"), ExpectedVersion::Any).answering(CommandStamp {
                        id: expected.id,
                        fingerprint: expected.fingerprint,
                        reply: CommandReply::default(),
                    });
                let refused = store.append(again).await;
                assert!(
                    matches!(refused, Err(AppendError::Duplicate { command_id }) if command_id == expected.id),
                    "{refused:?}"
                );
                asked += 1;
            }
            let unknown = store.command(Uuid::from_u128(0xc3)).await.unwrap();
            assert_eq!(unknown, None);
        }
    }
    assert!(asked >= 4, "{asked}");
}

/// The kind and the flags of every record, a line for each frame.
fn record_kinds(directory: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    for path in segment_paths(directory) {
        let segment = fs::read(path).unwrap();
        for (at, body_bytes) in frames(&segment) {
            let mut body = &segment[at + 128..at + 128 + body_bytes];
            let mut line = Vec::new();
            while !body.is_empty() {
                let length = u32::from_le_bytes(body[..4].try_into().unwrap()) as usize;
                // An event's flags say what it carries, which is in the listing.
                line.push(match body[8] {
                    1 => "event".to_owned(),
                    kind => format!("{kind}/{}", body[9]),
                });
                body = &body[8 + length..];
            }
            lines.push(line.join(" "));
        }
    }
    lines
}

#[test]
fn the_second_frozen_store_has_every_kind_of_record_and_was_closed() {
    let fixture = fixture_directory().join("format-1b");
    let expected = [
        "128/0 event event",
        "event",
        "128/1 event event",
        "event",
        "event",
        "128/0 event event",
        "128/1",
        "129/0",
    ];
    assert_eq!(record_kinds(&fixture), expected);
    // The first ones were sealed, the others are in the active segment.
    assert_eq!(segment_paths(&fixture).len(), 2);
}

/// `FOLDHOUSE_FIXTURE=format-1c cargo test -p foldhouse-tests -- --ignored write_the_fixture`, once, before a release that
/// changes a format: into a new directory under `fixtures`, never over an old one.
#[tokio::test]
#[ignore = "writes a fixture of the current format"]
async fn write_the_fixture() {
    let Ok(name) = std::env::var("FOLDHOUSE_FIXTURE") else {
        println!("SKIPPED: FOLDHOUSE_FIXTURE names no new fixture");
        return;
    };
    let directory = fixture_directory().join(name);
    assert!(
        !directory.exists(),
        "a fixture that was released is never written again"
    );
    write(&directory).await;
}
