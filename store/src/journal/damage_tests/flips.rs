//! Every bit of frames and records, flipped.

use std::sync::Arc;

use super::support::{Files, MemoryDisk, MemoryFile, Place, Subject, frames, read};
use crate::bytes_io::Fields;
use crate::journal::disk::BlockReader;
use crate::journal::frame::{self, SECTOR_BYTES};
use crate::journal::record::RawRecord;
use crate::journal::scan::{Scanned, SegmentScan, Tail, judge_tail};
use crate::journal::segment::{BLOCK_BYTES, SegmentHeader};

/// One frame with its neighbour in a small segment of its own, so that a flip costs microseconds.
struct Cut {
    file: MemoryFile,
    header: SegmentHeader,
    place: Place,
}

impl Cut {
    /// `with_next`: whether the frame behind it comes along.
    fn new(bytes: &[u8], places: &[Place], index: usize, with_next: bool) -> Self {
        let place = &places[index];
        let whole = SegmentHeader::decode(&bytes[..BLOCK_BYTES]).unwrap();
        let end = match places.get(index + 1).filter(|_| with_next) {
            Some(next) => next.padded_end,
            None => place.padded_end,
        };
        let len = BLOCK_BYTES + end - place.start;
        let header = SegmentHeader {
            first_position: place.header.first_position,
            previous_hash: place.header.previous_hash,
            capacity_bytes: (len + BLOCK_BYTES) as u64,
            ..whole
        };
        let mut image = header.encode();
        image.extend_from_slice(&bytes[place.start..end]);
        image.resize(len + BLOCK_BYTES, 0);
        let place = Place {
            start: BLOCK_BYTES,
            end: BLOCK_BYTES + place.end - place.start,
            padded_end: BLOCK_BYTES + place.padded_end - place.start,
            header: place.header.clone(),
        };
        Self {
            file: MemoryFile(Arc::new(std::sync::Mutex::new(image))),
            header,
            place,
        }
    }

    fn flip(&self, bit: usize) {
        self.file.0.lock().unwrap()[bit / 8] ^= 1 << (bit % 8);
    }

    /// How many frames a scan takes, and what it makes of the rest.
    fn judge(&self) -> (usize, Tail) {
        let file: Arc<dyn BlockReader> = Arc::new(self.file.clone());
        let mut scan = SegmentScan::new(Arc::clone(&file), &self.header);
        let mut taken = 0;
        let why = loop {
            match scan.next_frame().unwrap() {
                Scanned::Frame(_) => taken += 1,
                Scanned::NoFrame(why) => break why,
                Scanned::NewerFormat(format) => panic!("format {format}"),
            }
        };
        (taken, judge_tail(&file, &scan.end(), why).unwrap())
    }

    /// Whether the bit is the only one that is set in its sector: what is left looks like a sector that never came.
    fn is_lonely(&self, bit: usize) -> bool {
        let image = self.file.0.lock().unwrap();
        let sector = bit / 8 / SECTOR_BYTES * SECTOR_BYTES;
        let end = self.place.end.min(sector + SECTOR_BYTES);
        let set: u32 = image[sector..end]
            .iter()
            .map(|byte| byte.count_ones())
            .sum();
        set == 1 && image[bit / 8] >> (bit % 8) & 1 == 1
    }

    /// Flips one bit of the frame and says whether the damage was noticed.
    fn check(&self, bit: usize, is_last: bool) {
        let is_lonely = bit / 8 < self.place.end && self.is_lonely(bit);
        let whole = self.judge();
        assert_eq!(whole, (2 - usize::from(is_last), Tail::Clean));
        self.flip(bit);
        let (taken, tail) = self.judge();
        self.flip(bit);
        if bit / 8 >= self.place.end {
            // Padding: no event is harmed, and verifying tells.
            assert_eq!((taken, tail), whole, "bit {bit}");
            return;
        }
        assert_eq!(taken, 0, "bit {bit} of the frame went unnoticed");
        assert!(
            matches!(tail, Tail::Damaged(_)) || is_last && is_lonely,
            "bit {bit}: {tail:?}"
        );
    }
}

/// Flips bits of as many frames as there are, `step` apart; gives back how many flips that were.
fn flip_frames(subject: &Subject, frames_max: usize, step: usize) -> (usize, u64) {
    let (mut done, mut flips) = (0, 0);
    for bytes in subject.files.values() {
        let places = frames(bytes);
        for index in 0..places.len() {
            if done == frames_max {
                return (done, flips);
            }
            for with_next in [true, false] {
                let cut = Cut::new(bytes, &places, index, with_next);
                let is_last = !with_next || index + 1 == places.len();
                let bits = (cut.place.start * 8..cut.place.end * 8)
                    .skip(done % step)
                    .step_by(step);
                // Padding harms nobody, so a few of its bits do.
                let padding = (cut.place.end * 8..cut.place.padded_end * 8).step_by(257 * step);
                for bit in bits.chain(padding) {
                    cut.check(bit, is_last);
                    flips += 1;
                }
            }
            done += 1;
        }
    }
    (done, flips)
}

/// Every bit of the records: each is noticed by the checksum of its record alone, which is all that a read of one stream
/// looks at.
fn flip_records(subject: &Subject, records_max: usize, step: usize) -> (usize, u64) {
    let (mut done, mut flips) = (0, 0);
    for bytes in subject.files.values() {
        for place in frames(bytes) {
            let mut body = frame::body(&bytes[place.start..place.end]).to_vec();
            let mut position = place.header.first_position;
            let mut start = 0;
            while start < body.len() && done < records_max {
                let mut fields = Fields::new(&body[start..]);
                let raw = RawRecord::next(&mut fields).unwrap();
                let end = body.len() - fields.rest().len();
                if raw.is_event() {
                    assert!(raw.is_intact(position));
                    for bit in (start * 8..end * 8).skip(done % step).step_by(step) {
                        body[bit / 8] ^= 1 << (bit % 8);
                        let mut fields = Fields::new(&body[start..]);
                        let raw = RawRecord::next(&mut fields);
                        let noticed = raw.is_none_or(|raw| !raw.is_intact(position));
                        assert!(noticed, "bit {bit} of the record at position {position}");
                        body[bit / 8] ^= 1 << (bit % 8);
                        flips += 1;
                    }
                    position = position.next();
                    done += 1;
                }
                start = end;
            }
        }
    }
    (done, flips)
}

/// Verifying a whole journal names the place of a flip.
fn flip_and_verify(subject: &Subject, step: usize) -> u64 {
    let disk = MemoryDisk::new(&subject.files);
    let mut flips = 0;
    for (name, bytes) in &subject.files {
        for (index, place) in frames(bytes).into_iter().enumerate() {
            for bit in (place.start * 8..place.padded_end * 8)
                .skip(index % step)
                .step_by(step)
            {
                let flip = || disk.files[name].0.lock().unwrap()[bit / 8] ^= 1 << (bit % 8);
                flip();
                let walked = disk.walk();
                flip();
                let is_padding = bit / 8 >= place.end;
                let at = if is_padding { place.end } else { place.start };
                let found = walked.report.findings.first().unwrap_or_else(|| {
                    panic!("bit {bit} of {name} went unnoticed");
                });
                assert!(found.file.ends_with(name), "{found}");
                assert_eq!(found.offset, at as u64, "bit {bit} of {name}: {found}");
                assert_eq!(found.position, place.header.first_position, "{found}");
                assert_eq!(walked.first_break.is_none(), is_padding, "{found}");
                flips += 1;
            }
        }
    }
    flips
}

/// Every bit flipped in real files, and the store opened: noticed, or every answer is the same.
fn flip_and_open(subject: &Subject, flips: usize) {
    let names = subject.names();
    let mut noticed = 0;
    for number in 0..flips {
        let name = &names[number % names.len()];
        let mut files: Files = subject.files.clone();
        let bytes = files.get_mut(name).unwrap();
        let places = frames(bytes);
        let place = &places[number * 7 % places.len()];
        let bits = (place.padded_end - place.start) * 8;
        let bit = place.start * 8 + number * 7_919 % bits;
        bytes[bit / 8] ^= 1 << (bit % 8);
        // The index is gone: every sealed segment is read.
        let directory = subject.with(&files);
        std::fs::remove_dir_all(directory.path().join("index")).unwrap();
        match read(directory.path()) {
            Err(damage) => {
                assert!(damage.file.ends_with(name), "{damage}");
                assert_eq!(damage.offset, place.start as u64, "{damage}");
                assert_eq!(damage.position, place.header.first_position, "{damage}");
                noticed += 1;
            }
            Ok(events) => {
                assert!(bit / 8 >= place.end, "bit {bit} of {name} went unnoticed");
                assert!(events == subject.events, "another history");
            }
        }
    }
    println!("{noticed} of {flips} flips kept the store from opening, the others were harmless");
}

#[test]
fn a_flipped_bit_of_any_frame_or_record_is_noticed() {
    let subject = Subject::new(40);
    // All bits of a few, some of all.
    let (done, flips) = flip_frames(&subject, 2, 1);
    assert!(done == 2 && flips > 10_000);
    flip_frames(&subject, 1_000, 997);
    flip_records(&subject, 3, 1);
    flip_records(&subject, 1_000, 211);
}

#[test]
fn a_flipped_bit_is_named_with_its_place_by_verifying_and_opening() {
    let subject = Subject::new(100);
    assert!(subject.files.len() > 1);
    assert!(flip_and_verify(&subject, 20_011) >= 100);
    flip_and_open(&subject, 12);
}

#[test]
fn a_flipped_bit_of_a_segment_header_is_noticed_with_and_without_the_index() {
    let subject = Subject::new(100);
    for (number, (name, whole)) in subject.files.iter().enumerate() {
        for bit in [3, 70, 90, 140, 300, 420, 600, 1_100, 1_279, 1_300, 32_767] {
            let mut files = subject.files.clone();
            files.get_mut(name).unwrap()[bit / 8] ^= 1 << (bit % 8);
            let walked = MemoryDisk::new(&files).walk();
            let found = &walked.report.findings[0];
            assert!(found.file.ends_with(name) && found.offset == 0, "{found}");
            let directory = subject.with(&files);
            if number % 2 == 0 {
                std::fs::remove_dir_all(directory.path().join("index")).unwrap();
            }
            let damage = read(directory.path()).unwrap_err();
            assert!(damage.file.ends_with(name), "{damage}");
            let at = SegmentHeader::decode(&whole[..BLOCK_BYTES]).unwrap();
            assert_eq!((damage.offset, damage.position), (0, at.first_position));
        }
    }
}

/// `cargo test --release -p foldhouse-store --lib every_bit -- --ignored --nocapture`
#[test]
#[ignore = "a campaign of minutes"]
fn every_bit_of_a_thousand_frames_and_records() {
    let subject = Subject::of_small_frames(1_000);
    let (done, flips) = flip_frames(&subject, 1_000, 1);
    println!("{done} frames: {flips} flipped bits, all noticed");
    assert_eq!(done, 1_000);
    let (done, flips) = flip_records(&subject, 1_000, 1);
    println!("{done} records: {flips} flipped bits, all noticed by the record's own checksum");
    assert_eq!(done, 1_000);
    let small = Subject::new(100);
    println!(
        "{} flips verified, each with its place",
        flip_and_verify(&small, 199)
    );
    flip_and_open(&small, 400);
}

#[test]
fn the_frames_that_tests_damage_are_those_of_the_store() {
    let subject = Subject::new(40);
    let events: u32 = subject
        .files
        .values()
        .flat_map(|bytes| frames(bytes))
        .map(|place| place.header.event_count)
        .sum();
    assert_eq!(events, 40);
}
