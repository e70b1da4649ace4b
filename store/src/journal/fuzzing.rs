//! Doors to the journal's decoders for `crate::fuzzing`.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a broken promise must be seen"
)]

mod scan;

use bytes::Bytes;

pub use scan::segment_scan;

use crate::bytes_io::Fields;
use crate::clock::Timestamp;
use crate::event::{NewEvent, RecordedEvent};
use crate::journal::frame::{self, FRAME_HEADER_BYTES, FrameFacts, FrameHeader, HeaderCheck};
use crate::journal::names::Names;
use crate::journal::record::{self, RawRecord};
use crate::position::{Position, Version};
use crate::stream_id::StreamId;

/// Any bytes where a frame should start: as they are, with the header's checksum put right, and made whole.
pub fn frame(data: &[u8]) {
    look_at_frame(data);
    let mut bytes = data.to_vec();
    if bytes.len() < FRAME_HEADER_BYTES {
        return;
    }
    bytes[..8].copy_from_slice(b"FOLDFRM\n");
    seal_header(&mut bytes);
    look_at_frame(&bytes);
    let header = match FrameHeader::check(&bytes) {
        HeaderCheck::Sound(header) => header,
        HeaderCheck::NewerFormat(format) => return assert!(format > 1),
        HeaderCheck::NotAHeader => panic!("a header with the right checksum is not sound"),
    };
    // Made whole: the body is what is there.
    let Some(body) = bytes.get(FRAME_HEADER_BYTES..) else {
        return;
    };
    let facts = FrameFacts {
        record_count: header.record_count,
        event_count: header.event_count,
        first_position: header.first_position,
        committed_at: header.committed_at,
        previous_hash: header.previous_hash,
    };
    frame_round_trip_of(body, &facts);
}

fn look_at_frame(data: &[u8]) {
    let HeaderCheck::Sound(header) = FrameHeader::check(data) else {
        return;
    };
    let frame = data.get(..header.frame_bytes()).unwrap_or(data);
    let (_, _) = (header.is_torn(frame), header.next_position());
    assert!(header.padded_bytes() >= header.frame_bytes());
    if header.is_intact(frame) {
        assert_eq!(frame::body(frame).len(), header.body_bytes());
    }
}

fn seal_header(bytes: &mut [u8]) {
    let crc = crc32fast::hash(&bytes[..124]).max(1);
    bytes[124..128].copy_from_slice(&crc.to_le_bytes());
}

/// A frame reads back as it was laid out, and no flipped bit of it passes.
pub fn frame_round_trip(body: &[u8], numbers: (u32, u32, u64, i64), previous_hash: [u8; 32]) {
    let (record_count, event_count, first_position, committed_at) = numbers;
    let facts = FrameFacts {
        record_count,
        event_count,
        first_position: Position::new(first_position),
        committed_at: Timestamp::from_unix_micros(committed_at),
        previous_hash,
    };
    frame_round_trip_of(body, &facts);
}

fn frame_round_trip_of(body: &[u8], facts: &FrameFacts) {
    let mut bytes = vec![0xff; frame::padded_bytes(body.len())];
    let hash = frame::encode(&mut bytes, body, facts);
    let HeaderCheck::Sound(header) = FrameHeader::check(&bytes) else {
        panic!("an encoded header is not sound");
    };
    let frame = &bytes[..header.frame_bytes()];
    assert!(header.is_intact(frame) && frame::body(frame) == body && header.hash == hash);
    assert_eq!(
        (
            header.record_count,
            header.event_count,
            header.first_position
        ),
        (facts.record_count, facts.event_count, facts.first_position)
    );
    assert_eq!(
        (header.committed_at, header.previous_hash),
        (facts.committed_at, facts.previous_hash)
    );
    let bit = body.iter().fold(header.hash[0] as usize, |sum, byte| {
        sum * 31 % 99_991 + *byte as usize
    });
    let bit = bit % (frame.len() * 8);
    let mut flipped = frame.to_vec();
    flipped[bit / 8] ^= 1 << (bit % 8);
    let passes = matches!(FrameHeader::check(&flipped), HeaderCheck::Sound(header)
        if flipped.len() == header.frame_bytes() && header.is_intact(&flipped));
    assert!(!passes, "bit {bit} of a frame was flipped and not noticed");
}

/// Any bytes as the body of a frame: its records, and each decoded as an event.
pub fn record(data: &[u8]) {
    let body = Bytes::copy_from_slice(data);
    let mut names = Names::default();
    let mut fields = Fields::new(&body);
    while let Some(raw) = RawRecord::next(&mut fields) {
        let _ = (raw.is_intact(Position::new(1)), raw.is_foreign());
        look_at_record(&body, raw.content, &mut names);
    }
    look_at_record(&body, &body, &mut names);
}

fn look_at_record(body: &Bytes, content: &[u8], names: &mut Names) {
    let position = Position::new(7);
    let place = record::decode_place(content);
    let Some(event) = record::decode(body, content, position, names) else {
        return;
    };
    let (parts, version) = place.expect("an event has a place");
    assert_eq!(version, event.version);
    assert_eq!(parts.to_stream_id().as_ref(), Some(&event.stream));
    let again = NewEvent {
        id: event.id,
        event_type: event.event_type.clone(),
        schema_version: event.schema_version,
        effective_at: (event.effective_at != event.recorded_at).then_some(event.effective_at),
        correlation_id: event.correlation_id,
        causation_id: event.causation_id,
        user: event.user.clone(),
        metadata: event.metadata.clone(),
        payload: event.payload.clone(),
    };
    let read = record_round_trip(
        &event.stream,
        event.version.get(),
        event.recorded_at,
        &again,
    );
    assert_eq!(RecordedEvent { position, ..read }, event);
}

/// An event reads back from its record as it went in.
pub fn record_round_trip(
    stream: &StreamId,
    version: u64,
    recorded_at: Timestamp,
    event: &NewEvent,
) -> RecordedEvent {
    let position = Position::new(7);
    let mut bytes = Vec::new();
    record::encode(
        &mut bytes,
        stream,
        Version::new(version),
        recorded_at,
        event,
    );
    record::seal(&mut bytes, position);
    assert!(bytes.len() <= record::encoded_bytes_max(stream, event));
    let bytes = Bytes::from(bytes);
    let mut fields = Fields::new(&bytes);
    let raw = RawRecord::next(&mut fields).expect("a record was encoded");
    assert!(fields.rest().is_empty() && raw.is_event() && raw.is_intact(position));
    let read = record::decode(&bytes, raw.content, position, &mut Names::default())
        .expect("an encoded event is decoded");
    assert_eq!((&read.stream, read.version.get()), (stream, version));
    assert_eq!(read.recorded_at, recorded_at);
    assert_eq!(read.effective_at, event.effective_at.unwrap_or(recorded_at));
    assert_eq!((read.id, &read.event_type), (event.id, &event.event_type));
    assert_eq!(
        (&read.metadata, &read.payload),
        (&event.metadata, &event.payload)
    );
    assert_eq!(
        (&read.user, read.schema_version),
        (&event.user, event.schema_version)
    );
    assert_eq!(
        (read.correlation_id, read.causation_id),
        (event.correlation_id, event.causation_id)
    );
    read
}
