//! Every way in which the last write can be cut short, and damage that must never pass for one.

use std::io;
use std::sync::Arc;

use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestRng};

use crate::clock::Timestamp;
use crate::journal::disk::BlockReader;
use crate::journal::frame::{self, FrameFacts};
use crate::journal::scan::{Scanned, SegmentScan, Tail, judge_tail};
use crate::journal::segment::{BLOCK_BYTES, Hash, SegmentHeader};
use crate::position::Position;

const SECTOR: usize = 512;
const FILE_BYTES: usize = 32 << 10;
/// What is left of a file behind its frames.
const REST_BYTES: usize = 2 * BLOCK_BYTES;

/// A file in memory.
#[derive(Debug)]
struct Bytes(Vec<u8>);

impl BlockReader for Bytes {
    fn len_bytes(&self) -> io::Result<u64> {
        Ok(self.0.len() as u64)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = &self.0[self.0.len().min(usize::try_from(offset).unwrap())..];
        let len = rest.len().min(buffer.len());
        buffer[..len].copy_from_slice(&rest[..len]);
        Ok(len)
    }
}

fn header() -> SegmentHeader {
    SegmentHeader {
        store_id: [3; 16],
        number: 4,
        first_position: Position::new(100),
        capacity_bytes: FILE_BYTES as u64,
        created_at: Timestamp::from_unix_micros(5),
        previous_hash: [9; 32],
    }
}

/// A segment file, and where each frame in it starts and ends.
#[derive(Clone)]
struct Segment {
    bytes: Vec<u8>,
    frames: Vec<(usize, usize)>,
    last_hash: Hash,
}

impl Segment {
    fn new(bodies: &[&[u8]]) -> Self {
        let mut segment = Self {
            bytes: header().encode(),
            frames: Vec::new(),
            last_hash: header().previous_hash,
        };
        for (body, position) in bodies.iter().zip(100..) {
            segment.push(body, position);
        }
        if segment.bytes.len() < FILE_BYTES {
            segment.bytes.resize(segment.bytes.len() + REST_BYTES, 0);
        }
        segment
    }

    fn push(&mut self, body: &[u8], position: u64) {
        let facts = FrameFacts {
            record_count: 1,
            event_count: 1,
            first_position: Position::new(position),
            committed_at: Timestamp::from_unix_micros(1_000),
            previous_hash: self.last_hash,
        };
        let mut blocks = vec![0xff; frame::padded_bytes(body.len())];
        self.last_hash = frame::encode(&mut blocks, body, &facts);
        let start = self.bytes.len();
        self.bytes.extend(blocks);
        self.frames
            .push((start, start + frame::frame_bytes(body.len())));
    }

    /// How many frames hold, and what is behind them.
    fn judge(self) -> (usize, Tail) {
        let file: Arc<dyn BlockReader> = Arc::new(Bytes(self.bytes));
        let mut scan = SegmentScan::new(Arc::clone(&file), &header());
        let mut frames = 0;
        let why = loop {
            match scan.next_frame().unwrap() {
                Scanned::Frame(_) => frames += 1,
                Scanned::NoFrame(why) => break why,
                Scanned::NewerFormat(format) => panic!("format {format}"),
            }
        };
        let tail = judge_tail(&file, &scan.end(), why).unwrap();
        (frames, tail)
    }
}

fn dense(len: usize) -> Vec<u8> {
    (1..=251).cycle().take(len).collect()
}

/// Mostly zeros, in whole sectors and within them.
fn sparse(len: usize) -> Vec<u8> {
    let mut body = vec![0; len];
    for at in (0..len).step_by(1_700) {
        body[at] = 0x81;
    }
    body
}

/// Bodies of one block and of several, whose footers begin and end at, before and behind the borders of sectors.
fn bodies() -> Vec<Vec<u8>> {
    let around_a_border = (374..=386).step_by(2).chain([3_958, 3_960, 3_961, 8_056]);
    around_a_border
        .flat_map(|len| [dense(len), sparse(len)])
        .collect()
}

#[test]
fn a_write_cut_short_at_any_byte_is_never_taken_for_damage() {
    for body in bodies() {
        for before in [&[][..], &[b"before".as_slice()][..]] {
            let mut frames = before.to_vec();
            frames.push(&body);
            let whole = Segment::new(&frames);
            let (start, end) = *whole.frames.last().unwrap();
            let step = if end - start > 3_000 { 89 } else { 1 };
            let near_the_end = end - 20..end;
            let cuts =
                (start..end).filter(|cut| (cut - start) % step == 0 || near_the_end.contains(cut));
            for cut in cuts {
                let mut torn = whole.clone();
                torn.bytes[cut..end].fill(0);
                let is_whole = torn.bytes == whole.bytes;
                let (found, tail) = torn.judge();
                let what = format!("{} bytes, cut at {}", body.len(), cut - start);
                assert_eq!(found, before.len() + usize::from(is_whole), "{what}");
                assert!(!matches!(tail, Tail::Damaged(_)), "{what}: {tail:?}");
                assert_eq!(
                    tail == Tail::Clean,
                    cut == start || is_whole,
                    "{what}: {tail:?}"
                );
            }
        }
    }
}

#[test]
fn a_write_of_which_any_sectors_are_missing_is_never_taken_for_damage() {
    let mut random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    for body in bodies() {
        let whole = Segment::new(&[b"before", &body]);
        let (start, end) = whole.frames[1];
        let sectors = (end - start).div_ceil(SECTOR);
        let subsets: Vec<u64> = if sectors <= 8 {
            (0..1 << sectors).collect()
        } else {
            (0..100).map(|_| random.next_u64()).collect()
        };
        for kept in subsets {
            let mut torn = whole.clone();
            for sector in (0..sectors).filter(|sector| kept >> (sector % 64) & 1 == 0) {
                let at = start + sector * SECTOR;
                torn.bytes[at..end.min(at + SECTOR)].fill(0);
            }
            let is_whole = torn.bytes == whole.bytes;
            let (found, tail) = torn.judge();
            assert_eq!(found, 1 + usize::from(is_whole), "kept {kept:b}");
            assert!(
                !matches!(tail, Tail::Damaged(_)),
                "kept {kept:b} of {sectors}: {tail:?}"
            );
        }
    }
}

#[test]
fn a_torn_write_that_ends_with_the_segment_is_torn_and_a_whole_one_is_clean() {
    let body = dense(FILE_BYTES - BLOCK_BYTES - 136);
    let whole = Segment::new(&[&body]);
    assert_eq!(whole.bytes.len(), FILE_BYTES);
    assert_eq!(whole.clone().judge(), (1, Tail::Clean));
    for cut in (whole.frames[0].0 + 1..FILE_BYTES).step_by(509) {
        let mut torn = whole.clone();
        torn.bytes[cut..].fill(0);
        assert!(
            matches!(torn.judge(), (0, Tail::Torn { .. })),
            "cut at {cut}"
        );
    }
}

#[test]
fn a_torn_write_whose_payload_holds_a_whole_frame_is_torn() {
    // A journal that is kept in an event of another journal, or of this one.
    let mut other = Segment::new(&[]);
    other.bytes.truncate(BLOCK_BYTES);
    other.push(b"a frame within a payload", 500);
    let mut body = dense(BLOCK_BYTES - frame::FRAME_HEADER_BYTES);
    body.extend(&other.bytes[BLOCK_BYTES..]);
    body.extend(dense(3_000));
    let whole = Segment::new(&[b"before", &body]);
    let (start, end) = whole.frames[1];
    assert_eq!(whole.clone().judge(), (2, Tail::Clean));
    let mut torn = whole;
    torn.bytes[end - 1_000..end].fill(0);
    let end_offset = (start + 3 * BLOCK_BYTES) as u64;
    assert_eq!(torn.judge(), (1, Tail::Torn { end_offset }));
}

#[test]
fn a_flipped_bit_in_any_frame_is_damage() {
    for len in [380, 3_961] {
        let whole = Segment::new(&[&dense(300), &dense(len)]);
        for (frame, (start, end)) in whole.frames.iter().enumerate() {
            for bit in start * 8..end * 8 {
                if bit % 8 != (bit / 8) % 8 && bit / 8 > start + 160 {
                    continue; // One bit of each byte of the body, all of the header.
                }
                let mut flipped = whole.clone();
                flipped.bytes[bit / 8] ^= 1 << (bit % 8);
                let (found, tail) = flipped.judge();
                assert_eq!(found, frame, "bit {bit}");
                assert!(matches!(tail, Tail::Damaged(_)), "bit {bit}: {tail:?}");
            }
        }
    }
}

#[test]
fn a_flipped_bit_in_the_block_of_a_segment_header_is_noticed() {
    let block = header().encode();
    for bit in 0..block.len() * 8 {
        let mut flipped = block.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(SegmentHeader::decode(&flipped).is_err(), "bit {bit}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn damage_before_the_last_frame_is_never_cut_off(
        lens in prop::collection::vec(1_usize..6_000, 2..6),
        victim in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        len in 1_usize..5_000,
        fill in any::<u8>(),
    ) {
        let bodies: Vec<_> = lens.iter().map(|len| dense(*len)).collect();
        let whole = Segment::new(&bodies.iter().map(Vec::as_slice).collect::<Vec<_>>());
        let victim = victim.index(bodies.len() - 1);
        let (start, end) = whole.frames[victim];
        let at = start + at.index(end - start);
        let mut damaged = whole.clone();
        damaged.bytes[at..end.min(at + len)].fill(fill);
        if damaged.bytes != whole.bytes {
            let (found, tail) = damaged.judge();
            prop_assert_eq!(found, victim);
            prop_assert!(matches!(tail, Tail::Damaged(_)), "{:?}", tail);
        }
    }

    #[test]
    fn garbage_behind_the_last_frame_never_panics_nor_becomes_a_frame(
        garbage in prop::collection::vec(any::<u8>(), 1..5_000),
        at in 0_usize..3_000,
    ) {
        let mut segment = Segment::new(&[b"before"]);
        let start = segment.frames[0].0 + BLOCK_BYTES + at;
        segment.bytes[start..start + garbage.len()].copy_from_slice(&garbage);
        let (found, _) = segment.judge();
        prop_assert_eq!(found, 1);
    }
}
