//! How much disk the index takes beside the journal that it is of.

use std::fs;

use super::*;
use crate::event::Payload;
use crate::read_model::{Change, Checkpoint};
use crate::snapshot::Snapshot;

/// What 200 bytes of payload take in the journal, in frames of many events.
const EVENT_BYTES: u32 = 250;

/// How the events of a journal are spread over streams.
#[derive(Clone, Copy, Debug)]
enum Spread {
    /// Over so many streams, which all go on in every segment.
    Over(u64),
    /// Every event begins a stream.
    OneEach,
}

impl Spread {
    /// The streams of segment `number` of `events` events: who they are, and how many events each has in it.
    fn streams(self, number: u64, events: u64) -> Vec<(StreamId, Version, usize)> {
        match self {
            Self::Over(streams) => {
                let each = events / streams;
                let count = usize::try_from(each).unwrap();
                (0..streams)
                    .map(|n| (hashed(n), version(1 + number * each), count))
                    .collect()
            }
            Self::OneEach => (0..events)
                .map(|n| (hashed(number * events + n), version(1), 1))
                .collect(),
        }
    }
}

/// Ids come in no order.
fn hashed(number: u64) -> StreamId {
    stream(format!(
        "{:016x}",
        number.wrapping_mul(0x9E37_79B9_7F4A_7C15)
    ))
}

fn bytes_in(directory: &Path) -> u64 {
    let entries = fs::read_dir(directory).unwrap();
    entries
        .map(|entry| {
            let entry = entry.unwrap();
            let metadata = entry.metadata().unwrap();
            if metadata.is_dir() {
                bytes_in(&entry.path())
            } else {
                metadata.len()
            }
        })
        .sum()
}

/// Indexes `segments` segments of `segment_bytes`, and gives back the length of the index's files in hundredths of the
/// journal's.
fn percent_of_journal(spread: Spread, segments: u64, segment_bytes: u64) -> f64 {
    let directory = tempfile::tempdir().unwrap();
    let sidecar = open(directory.path());
    let mut journal_bytes = 0;
    let events = segment_bytes / u64::from(EVENT_BYTES);
    for number in 0..segments {
        let mut segment = Segment::with_events_of(
            EVENT_BYTES,
            number,
            1 + number * events,
            &spread.streams(number, events),
        );
        // A frame of 64 KiB.
        segment
            .frames
            .retain(|frame| frame.offset % (64 << 10) < 40 * EVENT_BYTES);
        segment.index(&sidecar).unwrap();
        journal_bytes += segment.mark.length_bytes;
    }
    sidecar.close().unwrap();
    let closed = bytes_in(&directory.path().join("index"));
    drop(open(directory.path()));
    let reopened = bytes_in(&directory.path().join("index"));
    let percent = |bytes: u64| bytes as f64 * 100.0 / journal_bytes as f64;
    println!(
        "{spread:?}: {} MiB of journal, the index {:.1} MiB, {:.1} MiB after opening again: {:.1} %",
        journal_bytes >> 20,
        closed as f64 / 1048576.0,
        reopened as f64 / 1048576.0,
        percent(reopened)
    );
    percent(closed.max(reopened))
}

const DEFAULT_SEGMENT_BYTES: u64 = 64 << 20;

#[test]
fn the_index_takes_less_than_a_quarter_of_the_journal() {
    for spread in [Spread::Over(10_000), Spread::Over(1)] {
        let percent = percent_of_journal(spread, 2, DEFAULT_SEGMENT_BYTES);
        assert!(percent < 25.0, "{spread:?}: {percent} %");
    }
}

/// Every entry carries the whole id of its stream, and sled fills its pages by half to two thirds. Nothing holds this
/// below a quarter, but it is bounded.
#[test]
fn an_index_in_which_every_event_begins_a_stream_takes_less_than_the_journal() {
    let percent = percent_of_journal(Spread::OneEach, 2, 16 << 20);
    assert!(percent < 100.0, "{percent} %");
}

/// Rewrites what is kept of `streams` aggregates and of one read model with a row for each, `rounds` times over, and
/// gives back the length of the index's files after each tenth of the rounds.
fn rewritten(streams: u64, rounds: u64) -> Vec<u64> {
    const SNAPSHOT_BYTES: usize = 2_000;
    const ROW_BYTES: usize = 100;
    let directory = tempfile::tempdir().unwrap();
    let sidecar = open(directory.path());
    let mut lengths = Vec::new();
    for round in 1..=rounds {
        let mut changes = Vec::new();
        for n in 0..streams {
            let seed = blake3::hash(&(round * streams + n).to_le_bytes());
            let bytes = |count: usize| seed.as_bytes().repeat(count / 32 + 1)[..count].to_vec();
            // A snapshot now and then, as in a typical run; the read model all the time.
            if (n + round) % 5 == 0 {
                let snapshot = Snapshot {
                    taken_at: crate::clock::Timestamp::default(),
                    stream: hashed(n),
                    version: version(round),
                    event_id: uuid::Uuid::from_u128(u128::from(round)),
                    state_schema: 1,
                    payload: Payload::raw(bytes(SNAPSHOT_BYTES)),
                };
                sidecar
                    .save_snapshot(&snapshot, std::num::NonZeroU16::MIN)
                    .unwrap();
            }
            changes.push(Change {
                key: hashed(n).as_str().as_bytes().to_vec(),
                value: Some(bytes(ROW_BYTES)),
            });
        }
        let checkpoint = Checkpoint {
            position: Position::new(round),
            model_version: 1,
        };
        sidecar.commit("balances", checkpoint, changes).unwrap();
        if round.is_multiple_of(rounds / 10) {
            sidecar.flush().unwrap();
            lengths.push(bytes_in(&directory.path().join("index")));
        }
    }
    sidecar.close().unwrap();
    drop(open(directory.path()));
    lengths.push(bytes_in(&directory.path().join("index")));
    let live = streams as f64 * (SNAPSHOT_BYTES + ROW_BYTES) as f64 / 1048576.0;
    let shown: Vec<String> = lengths
        .iter()
        .map(|bytes| format!("{:.1}", *bytes as f64 / 1048576.0))
        .collect();
    println!("{streams} streams, {live:.1} MiB rewritten {rounds} times: {shown:?} MiB");
    assert_eq!(blobs(directory.path()), 0);
    lengths
}

#[test]
fn rewriting_snapshots_and_read_models_over_and_over_does_not_make_the_index_grow() {
    let lengths = rewritten(500, 300);
    let half = lengths[4];
    assert!(
        lengths.iter().all(|length| *length <= 2 * half),
        "{lengths:?}"
    );
}

/// `cargo test --release -p foldhouse-store --lib -- --ignored --nocapture the_disk_of_what_is_rewritten`
#[test]
#[ignore = "a campaign of 1,000 rewrites; takes a minute"]
fn the_disk_of_what_is_rewritten_a_thousand_times() {
    rewritten(1_000, 1_000);
    rewritten(10_000, 100);
}

/// `cargo test --release -p foldhouse-store --lib -- --ignored --nocapture the_disk_that_the_index_takes`
#[test]
#[ignore = "a campaign over some GiB of journal; takes minutes"]
fn the_disk_that_the_index_takes() {
    for (segments, segment_bytes) in [
        (4, 16 << 20),
        (4, DEFAULT_SEGMENT_BYTES),
        (16, DEFAULT_SEGMENT_BYTES),
    ] {
        for spread in [
            Spread::Over(1),
            Spread::Over(1_000),
            Spread::Over(10_000),
            Spread::Over(60_000),
            Spread::OneEach,
        ] {
            percent_of_journal(spread, segments, segment_bytes);
        }
    }
}
