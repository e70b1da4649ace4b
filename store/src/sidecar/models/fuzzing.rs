#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a broken promise must be seen"
)]

use super::row::join;
use super::{Parsed, Progress, StoredRow, part_count};
use crate::sidecar::engine::Bytes;
use crate::sidecar::value::VALUE_BYTES_MAX;

/// Any key and sealed value of a checkpoint: what is read is what would have been written.
pub(in crate::sidecar) fn checkpoint(key: &[u8], value: &[u8]) {
    if let Some(progress) = Progress::decode(key, value) {
        assert_eq!(progress.encode(key), value);
    }
}

/// Any key and sealed value of a row, and its parts cut from the key.
pub(in crate::sidecar) fn row(key: &[u8], value: &[u8]) {
    let Some(parsed) = StoredRow::parse(key, value) else {
        return;
    };
    match parsed {
        Parsed::Small(small) => {
            if value.len() > VALUE_BYTES_MAX {
                return; // No writer keeps so much in one value; a reader may.
            }
            let stored = StoredRow::of(key, small);
            assert_eq!(stored.parts(small).count(), 0);
            assert_eq!(stored.into_value(), value);
        }
        Parsed::Large { length, hash } => {
            let parts = part_count(&parsed);
            assert!(parts as usize * 4_096 >= length);
            let part = |number: u32| Ok((number < 3 && !key.is_empty()).then(|| Bytes::from(key)));
            let joined = join(length, hash, part).expect("nothing was read from a disk");
            assert!(joined.is_none_or(
                |value| value.len() == length && value.capacity() <= (2 << 20) + 4 * length
            ));
        }
    }
}
