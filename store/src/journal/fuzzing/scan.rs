use std::io;
use std::sync::Arc;

use crate::bytes_io::Fields;
use crate::clock::Timestamp;
use crate::journal::disk::BlockReader;
use crate::journal::frame::{self, FrameFacts, FrameHeader, HeaderCheck};
use crate::journal::live_index::LiveSegment;
use crate::journal::record::{self, RawRecord};
use crate::journal::recovery::scan_frames;
use crate::journal::scan::{ScanEnd, SegmentScan, Tail, judge_tail};
use crate::journal::segment::{BLOCK_BYTES, Hash, SegmentHeader, genesis_hash};
use crate::position::{Position, Version};
use crate::stream_id::StreamId;

const IMAGE_BYTES_MAX: usize = 256 << 10;

#[derive(Debug)]
struct Image(Vec<u8>);

impl BlockReader for Image {
    fn len_bytes(&self) -> io::Result<u64> {
        Ok(self.0.len() as u64)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        let there = self.0.get(from..).unwrap_or_default();
        let read = there.len().min(buffer.len());
        buffer[..read].copy_from_slice(&there[..read]);
        Ok(read)
    }
}

/// A segment: any bytes behind its header, the same with every checksum put right, or whole frames to which something
/// happened.
pub fn segment_scan(data: &[u8]) {
    let Some((kind, rest)) = data.split_first() else {
        return;
    };
    match kind % 3 {
        0 => drop(scanned(image_of(rest))),
        1 => look_at_repaired(rest),
        _ => look_at_what_happened(rest),
    }
}

fn header_of(image: &[u8]) -> SegmentHeader {
    let store_id = [7; 16];
    SegmentHeader {
        store_id,
        number: 0,
        first_position: Position::new(1),
        capacity_bytes: image.len() as u64,
        created_at: Timestamp::from_unix_micros(0),
        previous_hash: genesis_hash(&store_id),
    }
}

/// Bytes behind a segment header, with zeros up to a block and one block more.
fn image_of(bytes: &[u8]) -> Vec<u8> {
    let bytes = bytes.get(..IMAGE_BYTES_MAX).unwrap_or(bytes);
    let mut image = vec![0; BLOCK_BYTES];
    image.extend_from_slice(bytes);
    image.resize(image.len().next_multiple_of(BLOCK_BYTES) + BLOCK_BYTES, 0);
    let header = header_of(&image).encode();
    assert_eq!(SegmentHeader::decode(&header), Ok(header_of(&image)));
    image[..BLOCK_BYTES].copy_from_slice(&header);
    image
}

/// What opening a store makes of the image; `None` if a record of a whole frame is refused.
fn scanned(image: Vec<u8>) -> Option<(ScanEnd, Tail)> {
    let header = header_of(&image);
    let file: Arc<dyn BlockReader> = Arc::new(Image(image));
    let mut scan = SegmentScan::new(Arc::clone(&file), &header);
    let segment = LiveSegment::new(0, header.first_position);
    let found = scan_frames(&mut scan, &header, &segment, |_| ());
    let end = scan.end();
    assert!(end.offset.is_multiple_of(BLOCK_BYTES as u64) && end.offset <= header.capacity_bytes);
    for stream in segment.read().streams.values() {
        assert!(stream.last_version() >= stream.first_version);
    }
    let tail = judge_tail(&file, &end, found.ok()?).expect("an image is read");
    if let Tail::Torn { end_offset } = tail {
        assert!(end_offset > end.offset && end_offset <= header.capacity_bytes);
    }
    Some((end, tail))
}

/// A walk over blocks that start like frames makes real frames of them, whatever their bodies hold.
fn look_at_repaired(bytes: &[u8]) {
    let mut image = image_of(bytes);
    let mut hash = header_of(&image).previous_hash;
    let mut position = Position::new(1);
    let mut offset = BLOCK_BYTES;
    while let Some(start) = image.get(offset..offset + 16)
        && start.starts_with(b"FOLDFRM\n")
    {
        let body_bytes = usize::from(u16::from_le_bytes([start[12], start[13]])).max(1);
        let padded = frame::padded_bytes(body_bytes);
        if offset + padded > image.len() {
            break;
        }
        let mut body = image[offset + 128..offset + 128 + body_bytes].to_vec();
        let (records, events) = seal_records(&mut body, position);
        let facts = FrameFacts {
            record_count: records,
            event_count: events,
            first_position: position,
            committed_at: Timestamp::from_unix_micros(0),
            previous_hash: hash,
        };
        hash = frame::encode(&mut image[offset..offset + padded], &body, &facts);
        position = Position::new(position.get() + u64::from(events));
        offset += padded;
    }
    if let Some((end, tail)) = scanned(image) {
        assert!(
            end.offset >= offset as u64,
            "the scan stopped before frames that hold"
        );
        assert!(end.last_hash == hash || end.offset > offset as u64);
        drop(tail);
    }
}

/// Gives every record that can be walked to its checksum; tells how many there are, and how many are events.
fn seal_records(body: &mut [u8], first: Position) -> (u32, u32) {
    let (mut records, mut events, mut at) = (0, 0, 0);
    loop {
        let mut fields = Fields::new(&body[at..]);
        let Some(raw) = RawRecord::next(&mut fields) else {
            return (records, events);
        };
        let (is_event, end) = (raw.is_event(), body.len() - fields.rest().len());
        if is_event {
            let position = Position::new(first.get() + u64::from(events));
            record::seal(&mut body[at..end], position);
            events += 1;
        }
        records += 1;
        at = end;
    }
}

/// Whole frames, of which one is then changed. The bytes are: number of frames, which one, what happens, where, to how
/// many bytes; then the lengths and contents of their payloads.
fn look_at_what_happened(script: &[u8]) {
    let mut fields = Fields::new(script);
    let mut byte = || usize::from(fields.u8().unwrap_or_default());
    let (frames, which, what) = (1 + byte() % 4, byte(), byte() % 4);
    let (from, bytes) = (byte() << 8 | byte(), 1 + (byte() << 8 | byte()));
    let which = which % frames;
    let mut image = vec![0; BLOCK_BYTES];
    let mut hash = genesis_hash(&[7; 16]);
    let mut starts = vec![(image.len(), hash)];
    for number in 1..=frames as u64 {
        let payload = 64 * byte() + byte();
        let fill = u8::try_from(byte()).unwrap_or_default();
        let whole = frame_with(number, payload, fill, hash);
        let HeaderCheck::Sound(header) = FrameHeader::check(&whole) else {
            panic!("an encoded frame has no header");
        };
        hash = header.hash;
        image.extend_from_slice(&whole);
        starts.push((image.len(), hash));
    }
    let mut image = image_of(&image[BLOCK_BYTES..]);
    let frame_start = starts[which].0;
    let HeaderCheck::Sound(header) = FrameHeader::check(&image[frame_start..]) else {
        panic!("an encoded frame has no header");
    };
    let frame_bytes = header.frame_bytes();
    let from = from % frame_bytes;
    let part = frame_start + from..frame_start + frame_bytes.min(from + bytes);
    let before = image.clone();
    match what {
        0 => image[frame_start + from..frame_start + frame_bytes].fill(0),
        1 => image[frame_start + from] ^= 1 << (bytes % 8),
        2 => image[part]
            .iter_mut()
            .for_each(|byte| *byte = byte.wrapping_mul(3) ^ 0x55),
        _ => {
            let sectors =
                frame_start + from / 512 * 512..part.end.next_multiple_of(512).min(image.len());
            image[sectors].fill(0);
        }
    }
    let is_changed = image != before;
    let is_last = which + 1 == frames;
    let (end, tail) = scanned(image).expect("the frames hold whole records");
    let expected_end = if is_changed { which } else { frames };
    assert_eq!(
        (end.offset as usize, end.last_hash),
        starts[expected_end],
        "a frame was lost or a broken one taken"
    );
    match tail {
        Tail::Clean => assert!(!is_changed || is_last && (what == 0 && from == 0 || what == 3)),
        Tail::Torn { .. } => assert!(
            is_changed && is_last,
            "damage before a whole frame was taken for a torn write"
        ),
        Tail::Damaged(why) => assert!(
            is_changed && (!is_last || what == 1 || what == 2),
            "a torn write was taken for damage: {why}"
        ),
    }
}

fn frame_with(number: u64, payload_bytes: usize, fill: u8, previous_hash: Hash) -> Vec<u8> {
    let stream = StreamId::new("acme", "gl-account", "1000").expect("a stream id");
    let payload = crate::event::Payload::raw(vec![fill; payload_bytes]);
    let event = crate::event::NewEvent::new(
        uuid::Uuid::from_u128(u128::from(number)),
        "Debited",
        payload,
    );
    let (position, at) = (Position::new(number), Timestamp::from_unix_micros(0));
    let mut body = Vec::new();
    record::encode(&mut body, &stream, Version::new(number), at, &event);
    record::seal(&mut body, position);
    let facts = FrameFacts {
        record_count: 1,
        event_count: 1,
        first_position: position,
        committed_at: at,
        previous_hash,
    };
    let mut out = vec![0; frame::padded_bytes(body.len())];
    frame::encode(&mut out, &body, &facts);
    out
}
