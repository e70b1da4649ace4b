//! `store/FORMAT.md` is enough to write a reader from: `format_reader.py` was written from it alone, and reads what the
//! store reads.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::format::{all_events, copy, fill, fixtures, listing, options, segment_paths};

const BLOCK_BYTES: usize = 4_096;

/// What the Python reader says of a store; `None`, loudly, where there is no Python.
fn python(directory: &Path) -> Option<Output> {
    let reader = Path::new(env!("CARGO_MANIFEST_DIR")).join("format_reader.py");
    // No cache of compiled files in the source tree.
    let run = Command::new("python3")
        .arg("-B")
        .arg(reader)
        .arg(directory)
        .env("PYTHONIOENCODING", "utf-8")
        .output();
    match run {
        Ok(output) => Some(output),
        Err(error) => {
            println!(
                "SKIPPED: python3 does not run here ({error}); FORMAT.md was not put to the test"
            );
            None
        }
    }
}

fn python_lists(directory: &Path, expected: &str) {
    let Some(output) = python(directory) else {
        return;
    };
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaint}");
    assert_eq!(complaint, "", "the reader finds fault with a sound store");
    assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
}

fn last_segment(directory: &Path) -> PathBuf {
    segment_paths(directory).pop().unwrap()
}

/// Where the frames of a segment start, and the length of each body.
pub(crate) fn frames(segment: &[u8]) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut at = BLOCK_BYTES;
    while segment.get(at..at + 8) == Some(b"FOLDFRM\n") {
        let body = u32::from_le_bytes(segment[at + 12..at + 16].try_into().unwrap()) as usize;
        found.push((at, body));
        at += (128 + body + 8).next_multiple_of(BLOCK_BYTES);
    }
    found
}

/// A frame laid out by hand, as `FORMAT.md` says.
fn frame(
    records: &[Vec<u8>],
    events: u32,
    position: u64,
    committed_at: &[u8],
    before: &[u8],
) -> Vec<u8> {
    let body = records.concat();
    let mut frame = b"FOLDFRM\n\x01\0\x80\0".to_vec();
    frame.extend_from_slice(&u32::try_from(body.len()).unwrap().to_le_bytes());
    frame.extend_from_slice(&u32::try_from(records.len()).unwrap().to_le_bytes());
    frame.extend_from_slice(&events.to_le_bytes());
    frame.extend_from_slice(&position.to_le_bytes());
    frame.extend_from_slice(committed_at);
    // These bodies are short and without a sector of zeros.
    frame.extend_from_slice(&[0; 20]);
    frame.extend_from_slice(before);
    let rest = [&body[..], b"FOLDEND\n"].concat();
    let hash = blake3::hash(&[&frame[..], &rest].concat());
    frame.extend_from_slice(hash.as_bytes());
    let crc = crc32fast::hash(&frame).max(1);
    frame.extend_from_slice(&crc.to_le_bytes());
    frame.extend_from_slice(&rest);
    frame
}

fn record(position: u64, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap().to_le_bytes();
    let crc = crc32fast::hash(&[&position.to_le_bytes()[..], content].concat());
    [&length[..], &crc.to_le_bytes(), content].concat()
}

#[tokio::test]
async fn a_reader_written_from_the_format_page_lists_every_frozen_store_and_a_new_one() {
    for fixture in fixtures() {
        let expected = fs::read_to_string(fixture.join("events.txt")).unwrap();
        python_lists(&fixture, &expected);
    }
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let store = options().open(directory.path()).unwrap();
    fill(&store).await;
    let expected = listing(&all_events(&store).await);
    assert_eq!(expected.lines().count(), 9);
    // Beside the writer, and after it.
    python_lists(directory.path(), &expected);
    store.close();
    python_lists(directory.path(), &expected);
}

#[tokio::test]
async fn records_that_a_reader_need_not_know_are_skipped() {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    copy(&fixtures()[0], directory.path());
    let path = last_segment(directory.path());
    let mut segment = fs::read(&path).unwrap();
    let (at, body) = *frames(&segment).last().unwrap();
    let last = segment[at..at + 128 + body + 8].to_vec();
    // The last event once more, at the next position, as the next version of its stream and with an id of its own.
    let first_bytes = u32::from_le_bytes(last[128..132].try_into().unwrap()) as usize;
    let mut content = last[128 + 8 + first_bytes + 8..128 + body].to_vec();
    assert_eq!(content[29], 1, "the version");
    content[29] = 2;
    content[28] = 13;
    let optional = |kind: u8| record(13, &[kind, 0xff, 0xee, 0xdd]);
    let records = [optional(128), record(13, &content), optional(255)];
    let with_event = frame(&records, 1, 13, &last[32..40], &last[92..124]);
    let at = at + (128 + body + 8).next_multiple_of(BLOCK_BYTES);
    segment[at..at + with_event.len()].copy_from_slice(&with_event);
    let without = frame(
        &[record(14, &[200, 1])],
        0,
        14,
        &last[32..40],
        &with_event[92..124],
    );
    let at = at + BLOCK_BYTES;
    segment[at..at + without.len()].copy_from_slice(&without);
    fs::write(&path, &segment).unwrap();

    let store = options().open(directory.path()).unwrap();
    let events = all_events(&store).await;
    assert_eq!(store.recovery().torn_tail, None);
    assert_eq!((events.len(), events[12].version.get()), (13, 2));
    store.close();
    python_lists(directory.path(), &listing(&events));
}

#[test]
fn the_reader_tells_a_torn_write_from_damage() {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    copy(&fixtures()[0], directory.path());
    let path = last_segment(directory.path());
    let whole = fs::read(&path).unwrap();
    let all = frames(&whole);
    let (last, body) = *all.last().unwrap();
    let (large, large_body) = all[0];
    let end = last + 128 + body + 8;
    let zeroed = |from: usize, to: usize| {
        let mut segment = whole.clone();
        segment[from..to].fill(0);
        segment
    };
    let flipped = |at: usize| {
        let mut segment = whole.clone();
        segment[at] ^= 1;
        segment
    };
    assert!(large_body > 60_000 && all.len() > 1);
    for (name, segment, is_torn) in [
        ("the footer is cut short", zeroed(end - 3, end), true),
        ("only the header was written", zeroed(last + 128, end), true),
        ("a bit of the last frame", flipped(last + 140), false),
        ("a bit of a frame before it", flipped(large + 9_000), false),
        (
            "sectors of a frame before it",
            zeroed(large + 8_192, large + 9_216),
            false,
        ),
        (
            "a header before a whole frame",
            zeroed(large, large + 512),
            false,
        ),
    ] {
        fs::write(&path, segment).unwrap();
        let Some(output) = python(directory.path()) else {
            return;
        };
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.success(), is_torn, "{name}: {complaint}");
        assert_eq!(
            complaint.starts_with("torn write at"),
            is_torn,
            "{name}: {complaint}"
        );
        assert_eq!(
            complaint.contains("Damage"),
            !is_torn,
            "{name}: {complaint}"
        );
        // The store says the same.
        assert_eq!(options().open(directory.path()).is_ok(), is_torn, "{name}");
    }
}
