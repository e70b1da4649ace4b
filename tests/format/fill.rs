//! A new store with records of every kind and shape.

use std::fs;
use std::num::{NonZeroU16, NonZeroU32};
use std::path::Path;

use foldhouse_store::{
    Append, Change, Checkpoint, Codec, CommandReply, CommandStamp, EventStoreExt, ExpectedVersion,
    JournalStore, NewEvent, Payload, Position, ReadModelStore, Snapshot, SnapshotStore, Timestamp,
    Version,
};
use uuid::Uuid;

use super::{all_events, listing, options, stream};

/// Writes a store into `directory`, and what it holds into `events.txt` there.
pub(crate) async fn write(directory: &Path) {
    let store = options().open(directory).unwrap();
    fill(&store).await;
    let events = listing(&all_events(&store).await);
    fs::write(directory.join("events.txt"), events).unwrap();
    store.close();
    // Neither holds anything that a reader needs.
    for name in ["lock", "journal/spare"] {
        let path = directory.join(name);
        if path.exists() {
            fs::remove_file(path).unwrap();
        }
    }
}

/// Appends nine events in every shape, so that there are two segments, and keeps a snapshot and a row.
pub(crate) async fn fill(store: &JournalStore) {
    append_the_first_segment(store).await;
    append_the_second_segment(store).await;
    keep_a_snapshot_and_a_row(store).await;
}

async fn append_the_first_segment(store: &JournalStore) {
    append(
        store,
        "1000",
        vec![plain(1, Payload::message_pack(vec![0xc0])), full(2)],
    )
    .await;
    let json = Payload {
        codec: Codec::Json,
        key_id: None,
        bytes: b"{}".as_slice().into(),
    };
    append(store, "2000", vec![plain(3, json)]).await;
    let events = [plain(4, Payload::default()), plain(5, Payload::default())];
    let reply = CommandReply {
        codec: Codec::Json,
        bytes: br#"{"balance":"42.00"}"#.as_slice().into(),
    };
    let commanded = Append::to(stream("1000"), ExpectedVersion::Any, events);
    let commanded = commanded.answering(stamp(0xc1, reply));
    store.append(commanded).await.unwrap();
    append(store, "1000", vec![large(6)]).await;
}

/// Begins with an event that does not fit into the first one any more.
async fn append_the_second_segment(store: &JournalStore) {
    append(store, "1000", vec![large(7)]).await;
    let both = Append::to(
        stream("2000"),
        ExpectedVersion::Exact(Version::new(1)),
        [plain(8, Payload::default())],
    )
    .and(
        stream("3000"),
        ExpectedVersion::NoStream,
        [plain(9, Payload::default())],
    );
    store.append(both).await.unwrap();
    let reply = CommandReply {
        codec: Codec::Raw,
        bytes: b"nothing to do".as_slice().into(),
    };
    let without_events = Append::check(stream("3000"), ExpectedVersion::Exact(Version::new(1)))
        .answering(stamp(0xc2, reply));
    store.append(without_events).await.unwrap();
}

async fn append(store: &JournalStore, id: &str, events: Vec<NewEvent>) {
    let append = Append::to(stream(id), ExpectedVersion::Any, events);
    store.append(append).await.unwrap();
}

fn plain(id: u128, payload: Payload) -> NewEvent {
    NewEvent::new(Uuid::from_u128(id), "Debited", payload)
}

/// Two of these are too large for one segment.
fn large(id: u128) -> NewEvent {
    let bytes: Vec<u8> = (0..=250).cycle().take(120_000).collect();
    plain(id, Payload::raw(bytes))
}

/// An event with everything that one can carry.
fn full(id: u128) -> NewEvent {
    let mut full = NewEvent::new(
        Uuid::from_u128(id),
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
    full.payload.key_id = NonZeroU32::new(17);
    full
}

fn stamp(id: u8, reply: CommandReply) -> CommandStamp {
    CommandStamp {
        id: Uuid::from_u128(id.into()),
        fingerprint: [id; 16],
        reply,
    }
}

async fn keep_a_snapshot_and_a_row(store: &JournalStore) {
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
