//! The inputs that the fuzzers start from: real frames, records and values.

use std::fs;
use std::num::NonZeroU32;
use std::path::Path;

use bytes::Bytes;
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::event::{Codec, NewEvent, Payload};
use crate::journal::{JournalOptions, JournalStore};
use crate::{Append, EventStoreExt, ExpectedVersion, StreamId};

fn stream(id: &str) -> StreamId {
    StreamId::new("acme", "gl-account", id).unwrap()
}

fn events() -> Vec<NewEvent> {
    let plain = NewEvent::new(
        Uuid::from_u128(1),
        "Debited",
        Payload::message_pack(vec![0xc0]),
    );
    let mut full = NewEvent::new(Uuid::from_u128(2), "Credited", Payload::raw(vec![0; 700]));
    full.effective_at = Some(Timestamp::from_unix_micros(725_846_400_000_000));
    full.correlation_id = Some(Uuid::from_u128(3));
    full.causation_id = Some(Uuid::from_u128(4));
    full.user = Some("Zoë".into());
    full.metadata
        .insert("purpose".to_owned(), "household".to_owned());
    full.metadata.insert("empty".to_owned(), String::new());
    full.payload.key_id = NonZeroU32::new(17);
    let mut json = NewEvent::new(Uuid::from_u128(5), "Noted", Payload::default());
    json.payload = Payload {
        codec: Codec::Json,
        key_id: None,
        bytes: Bytes::from_static(b"{}"),
    };
    vec![plain, full, json]
}

async fn filled(directory: &Path) -> JournalStore {
    let store = JournalOptions::new()
        .segment_bytes(256 << 10)
        .open(directory)
        .unwrap();
    for event in events() {
        let append = Append::to(stream("1000"), ExpectedVersion::Any, [event]);
        store.append(append).await.unwrap();
    }
    store
        .append(Append::to(
            stream("2000"),
            ExpectedVersion::Any,
            events().into_iter().map(|mut event| {
                event.id = Uuid::from_u128(event.id.as_u128() + 100);
                event
            }),
        ))
        .await
        .unwrap();
    store
}

/// `cargo test -p foldhouse-store --lib -- --ignored write_the_seeds`, then fuzz and `cargo +nightly fuzz cmin TARGET`.
#[tokio::test]
#[ignore = "writes into fuzz/corpus"]
async fn write_the_seeds() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let put = |target: &str, name: &str, parts: &[&[u8]]| {
        let directory = corpus.join(target);
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join(format!("seed-{name}")), parts.concat()).unwrap();
    };
    let directory = tempfile::tempdir().unwrap();
    let store = filled(directory.path()).await;
    store.close();
    drop(store);
    let segment = directory
        .path()
        .join("journal/00000000000000000001.segment");
    let segment = fs::read(segment).unwrap();
    // Four frames: three of one record in a block each, and one of three.
    let frames = &segment[4_096..5 * 4_096];
    put("segment_scan", "raw", &[&[0], frames]);
    put("segment_scan", "repaired", &[&[1], frames]);
    put(
        "segment_scan",
        "torn",
        &[&[2, 2, 2, 0, 1, 0, 0, 0, 9, 1, 5, 2, 6, 3, 7]],
    );
    for (number, frame) in frames.chunks(4_096).enumerate() {
        let body_bytes = u32::from_le_bytes(frame[12..16].try_into().unwrap()) as usize;
        put(
            "frame",
            &number.to_string(),
            &[&frame[..128 + body_bytes + 8]],
        );
        put(
            "record",
            &number.to_string(),
            &[&frame[128..128 + body_bytes]],
        );
        put(
            "record",
            &format!("content-{number}"),
            &[&frame[136..128 + body_bytes]],
        );
    }
    let samples = crate::sidecar::fuzzing::samples(directory.path());
    for (number, (target, input)) in samples.iter().enumerate() {
        put(target, &number.to_string(), &[input]);
    }
}
