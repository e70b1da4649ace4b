//! The worked example in `FORMAT.md` is what the encoders write, byte for byte.

use std::fmt::Write;

use uuid::Uuid;

use crate::clock::Timestamp;
use crate::event::{NewEvent, Payload};
use crate::journal::frame::{self, FrameFacts};
use crate::journal::record;
use crate::journal::segment::genesis_hash;
use crate::position::{Position, Version};
use crate::stream_id::StreamId;

const STORE_ID: u128 = 0x0011_2233_4455_6677_8899_aabb_ccdd_eeff;

/// How many bytes, and what they are.
const FIELDS: [(usize, &str); 34] = [
    (8, "magic FOLDFRM\\n"),
    (2, "format version 1"),
    (2, "length of the header, 128"),
    (4, "length of the body, B = 80"),
    (4, "records: 1"),
    (4, "events: 1"),
    (8, "position of the first event: 1"),
    (8, "committed at 1767323045000006"),
    (4, "sectors that are all zeros: 0"),
    (16, "reserved"),
    (32, "hash of the frame before: the genesis hash"),
    (32, "hash of this frame"),
    (4, "CRC-32 of the 124 bytes before"),
    (4, "record: L = 72"),
    (
        4,
        "CRC-32 of the position 01 00 00 00 00 00 00 00 and L bytes",
    ),
    (1, "kind: event"),
    (1, "flags: bit 3, a user"),
    (1, "codec: MessagePack"),
    (2, "schema version 1"),
    (8, "recorded at 1767323045000006"),
    (16, "event id"),
    (1, "version 1"),
    (
        3,
        "lengths of tenant, aggregate type, aggregate id: 4, 10, 4",
    ),
    (4, "acme"),
    (10, "gl-account"),
    (4, "1000"),
    (1, "length of the event type"),
    (7, "Debited"),
    (1, "length of the user"),
    (3, "ann"),
    (9, "payload, up to L bytes"),
    (8, "footer FOLDEND\\n"),
    (16, "padding: zeros..."),
    (0, "...up to byte 4095"),
];

fn example() -> Vec<u8> {
    let stream = StreamId::new("acme", "gl-account", "1000").unwrap();
    let id = Uuid::from_u128(0x0190_a5a0_0000_7000_8000_0000_0000_0001);
    let payload = Payload::message_pack(b"\x81\xa6amount\x05".as_slice());
    let mut event = NewEvent::new(id, "Debited", payload);
    event.user = Some("ann".into());
    let (position, at) = (
        Position::new(1),
        Timestamp::from_unix_micros(1_767_323_045_000_006),
    );
    let mut body = Vec::new();
    record::encode(&mut body, &stream, Version::new(1), at, &event);
    record::seal(&mut body, position);
    let facts = FrameFacts {
        record_count: 1,
        event_count: 1,
        first_position: position,
        committed_at: at,
        previous_hash: genesis_hash(&STORE_ID.to_be_bytes()),
    };
    let mut out = vec![0xff; frame::padded_bytes(body.len())];
    frame::encode(&mut out, &body, &facts);
    out
}

fn hex(bytes: &[u8]) -> String {
    let pairs: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    pairs.join(" ")
}

/// Offset, up to 16 bytes, and what they are.
fn annotated(bytes: &[u8]) -> String {
    let mut text = String::new();
    let mut at = 0;
    for (length, what) in FIELDS {
        let field = &bytes[at..at + length];
        let mut lines = field.chunks(16);
        let first = hex(lines.next().unwrap_or_default());
        writeln!(text, "{at:4}  {first:<47}  {what}").unwrap();
        for (line, more) in (1..).zip(lines) {
            writeln!(text, "{:4}  {}", at + 16 * line, hex(more)).unwrap();
        }
        at += length;
    }
    assert!(at > 128 && bytes[at..].iter().all(|byte| *byte == 0));
    text
}

#[test]
fn the_example_in_the_format_page_is_what_is_written() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/FORMAT.md");
    let page = std::fs::read_to_string(path).unwrap();
    let bytes = example();
    assert_eq!(bytes.len(), 4_096);
    let text = annotated(&bytes);
    assert!(page.contains(&text), "FORMAT.md should say\n{text}");
    let genesis = genesis_hash(&STORE_ID.to_be_bytes());
    let genesis = hex(&genesis).replace(' ', "");
    assert!(
        page.contains(&genesis),
        "FORMAT.md should say that the genesis hash is {genesis}"
    );
}
