//! Cutting off a write that did not complete.

use std::io;

use crate::error::OpenError;
use crate::journal::block_buffer::BlockBuffer;
use crate::journal::disk::{BlockWriter, Disk};
use crate::journal::frame::SECTOR_BYTES;
use crate::journal::recovery::{TornTail, io_error, path_of};
use crate::journal::scan::ScanEnd;
use crate::journal::segment::{BLOCK_BYTES, SegmentHeader};

/// Overwrites the end of the journal, from `end` to `end_offset`, with zeros.
pub(in crate::journal) fn cut_off(
    disk: &dyn Disk,
    header: &SegmentHeader,
    end: &ScanEnd,
    end_offset: u64,
) -> Result<TornTail, OpenError> {
    let name = header.file_name();
    let bytes = end_offset - end.offset;
    zero(disk, &name, end.offset, bytes).map_err(io_error("cutting off an incomplete write"))?;
    Ok(TornTail {
        file: path_of(&name),
        offset: end.offset,
        bytes,
    })
}

/// The power can go here, too. The first sector goes last and by itself: until then a sound header says how much is
/// missing, and a half of it with nothing behind it is recognised as the rest of this (see `judge_tail`).
fn zero(disk: &dyn Disk, name: &str, offset: u64, bytes: u64) -> io::Result<()> {
    let mut first_sector = [0; SECTOR_BYTES];
    disk.open_reader(name)?.read_at(offset, &mut first_sector)?;
    let mut buffer = BlockBuffer::default();
    let blocks = buffer.zeroed(usize::try_from(bytes).unwrap_or_default());
    if let Some(kept) = blocks.get_mut(..SECTOR_BYTES) {
        kept.copy_from_slice(&first_sector);
    }
    let mut file: Box<dyn BlockWriter> = disk.open_writer(name)?;
    file.write_durably(offset, blocks)?;
    file.write_durably(offset, buffer.zeroed(BLOCK_BYTES))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::clock::Timestamp;
    use crate::journal::frame::{self, FrameFacts};
    use crate::journal::power_disk::{Change, Content, PowerDisk, Writes};
    use crate::journal::scan::{Scanned, SegmentScan, Tail, judge_tail};
    use crate::position::Position;

    const FILE_BYTES: usize = 5 * BLOCK_BYTES;

    fn header() -> SegmentHeader {
        SegmentHeader {
            store_id: [3; 16],
            number: 0,
            first_position: Position::new(1),
            capacity_bytes: FILE_BYTES as u64,
            created_at: Timestamp::from_unix_micros(5),
            previous_hash: [9; 32],
        }
    }

    /// A segment with one frame of which `torn_at` bytes were written, and the length of the whole one.
    fn torn_segment(body: &[u8], torn_at: usize) -> (Vec<u8>, usize) {
        let mut bytes = header().encode().to_vec();
        let mut frame = vec![0; frame::padded_bytes(body.len())];
        let facts = FrameFacts {
            record_count: 1,
            event_count: 1,
            first_position: Position::new(1),
            committed_at: Timestamp::from_unix_micros(6),
            previous_hash: header().previous_hash,
        };
        frame::encode(&mut frame, body, &facts);
        let len = frame::frame_bytes(body.len());
        bytes.extend(&frame[..torn_at.min(len)]);
        bytes.resize(FILE_BYTES, 0);
        (bytes, len)
    }

    fn judge(content: &Content) -> (ScanEnd, Tail) {
        let disk = PowerDisk::of(content.clone(), Writes::Durable);
        let file = disk.open_reader(&header().file_name()).unwrap();
        let mut scan = SegmentScan::new(Arc::clone(&file), &header());
        let Scanned::NoFrame(found) = scan.next_frame().unwrap() else {
            panic!("a torn frame passed for a whole one");
        };
        let end = scan.end();
        (end, judge_tail(&file, &end, found).unwrap())
    }

    /// Cuts the tail off, and gives back what was written to do so.
    fn writes_of_cutting_off(content: &Content) -> Vec<Change> {
        let (end, tail) = judge(content);
        let Tail::Torn { end_offset } = tail else {
            panic!("{tail:?}");
        };
        let disk = PowerDisk::of(content.clone(), Writes::Durable);
        cut_off(&disk, &header(), &end, end_offset).unwrap();
        disk.changes()
    }

    #[test]
    fn a_cut_off_that_is_itself_cut_short_at_any_byte_leaves_a_torn_tail_and_no_damage() {
        for body in [vec![0x5a; 100], vec![0x5a; 9_000], vec![0; 1_500]] {
            let (_, len) = torn_segment(&body, 0);
            for torn_at in [
                1,
                60,
                127,
                128,
                129,
                200,
                len / 2,
                len - 9,
                len - 8,
                len - 1,
            ] {
                let (bytes, _) = torn_segment(&body, torn_at);
                let mut content = Content::with(&header().file_name(), bytes);
                for write in writes_of_cutting_off(&content) {
                    let Change::Write { file, offset, data } = &write else {
                        panic!("{write:?}");
                    };
                    for cut in (0..520).chain((520..data.len()).step_by(97)) {
                        let mut found = content.clone();
                        found.apply(&Change::Write {
                            file: *file,
                            offset: *offset,
                            data: data[..cut].to_vec(),
                        });
                        let (_, tail) = judge(&found);
                        assert!(
                            !matches!(tail, Tail::Damaged(_)),
                            "torn at {torn_at} of {len}, cut off up to {cut}: {tail:?}"
                        );
                    }
                    content.apply(&write);
                }
                assert_eq!(judge(&content).1, Tail::Clean);
            }
        }
    }

    #[test]
    fn a_whole_frame_without_its_first_byte_is_damage_and_no_half_cut_off() {
        for body in [vec![0x5a; 100], vec![0x5a; 9_000]] {
            let (mut bytes, _) = torn_segment(&body, usize::MAX);
            bytes[BLOCK_BYTES] = 0;
            let (_, tail) = judge(&Content::with(&header().file_name(), bytes));
            assert!(matches!(tail, Tail::Damaged(_)), "{tail:?}");
        }
    }
}
