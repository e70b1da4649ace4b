#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a broken promise must be seen"
)]

use super::SNAPSHOT_BYTES_MAX;
use super::kept::{Header, PartKeys};
use super::reading::join_parts;
use crate::position::Version;
use crate::sidecar::engine::Bytes;
use crate::sidecar::value::seal;

/// The most that a claim of length may cost before the bytes are there.
const PARTS_MAX: usize = 64;

/// Any header of a snapshot, with its checksum put right, and any parts behind it.
pub fn snapshot(data: &[u8]) {
    let stream = "acme/gl-account/1000".parse().expect("a stream id");
    let key = b"acme/gl-account/1000\0";
    let (header_bytes, rest) = match data.split_first() {
        Some((bytes, rest)) => (usize::from(*bytes), rest),
        None => return,
    };
    let (value, state) = rest.split_at_checked(header_bytes).unwrap_or((rest, &[]));
    let mut value = value.to_vec();
    seal(key, &mut value);
    let Some(header) = Header::decode(key, &value) else {
        return;
    };
    assert_eq!(
        header.encode(key),
        value,
        "what is read is what would have been written"
    );
    let Ok(length) = usize::try_from(header.length) else {
        return;
    };
    if length > SNAPSHOT_BYTES_MAX {
        return;
    }
    let keys = PartKeys::of(&stream, Version::new(5));
    let part_bytes = state.len().div_ceil(PARTS_MAX).max(1);
    let mut parts = (0_u32..)
        .zip(state.chunks(part_bytes))
        .map(|(part, bytes)| (Bytes::from(keys.key(part)), Bytes::from(bytes)));
    let joined = join_parts(&keys, header.parts, length, || Ok(parts.next()));
    let joined = joined.expect("nothing was read from a disk");
    assert!(joined.len() <= length && state.starts_with(&joined));
    assert!(
        joined.capacity() <= (2 << 20) + 4 * state.len(),
        "a claim of length was believed"
    );
    let _ = header.hash(key, &joined);
}
