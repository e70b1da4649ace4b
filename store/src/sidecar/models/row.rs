//! How the value of a row is kept: whole, or in parts. The bytes are described in `models.rs`.

use super::super::engine::Bytes;
use super::super::value::{Reader, SEAL_BYTES, UNSEEN_BYTES_MAX, VALUE_BYTES_MAX, seal, unseal};
use super::{Prefix, ROW_BYTES_MAX};
use crate::error::Fault;

/// The kind of a row's key.
pub(super) const ROWS: u8 = 1;
/// The kind of a part's key.
pub(super) const PARTS: u8 = 2;

const FORMAT_SMALL: u8 = 1;
const FORMAT_LARGE: u8 = 2;
const HASH_BYTES: usize = 32;
const SMALL_BYTES_MAX: usize = VALUE_BYTES_MAX - 1 - SEAL_BYTES;

/// The key of a part.
pub(super) fn part_key(prefix: &Prefix, row: &[u8], part: u32) -> Vec<u8> {
    // Keys of rows are limited to far less; a longer one would only share its parts.
    let length = u16::try_from(row.len()).unwrap_or(u16::MAX);
    let mut rest = Vec::with_capacity(row.len() + 6);
    rest.extend_from_slice(&length.to_be_bytes());
    rest.extend_from_slice(row);
    rest.extend_from_slice(&part.to_be_bytes());
    prefix.key(PARTS, &rest)
}

/// What is kept under a row's own key.
pub(super) struct Row(Vec<u8>);

/// A row's own value as it was read.
pub(super) enum Parsed<'v> {
    Small(&'v [u8]),
    Large {
        length: usize,
        hash: [u8; HASH_BYTES],
    },
}

impl Row {
    pub(super) fn of(key: &[u8], value: &[u8]) -> Self {
        let mut stored = Vec::new();
        if value.len() <= SMALL_BYTES_MAX {
            stored.reserve_exact(value.len() + 1 + SEAL_BYTES);
            stored.push(FORMAT_SMALL);
            stored.extend_from_slice(value);
        } else {
            let length = u32::try_from(value.len()).unwrap_or(u32::MAX);
            stored.push(FORMAT_LARGE);
            stored.extend_from_slice(&length.to_le_bytes());
            stored.extend_from_slice(blake3::hash(value).as_bytes());
        }
        seal(key, &mut stored);
        Self(stored)
    }

    pub(super) fn into_value(self) -> Vec<u8> {
        self.0
    }

    /// The parts of `value`; none if it is kept whole.
    pub(super) fn parts<'v>(
        &self,
        value: &'v [u8],
    ) -> impl Iterator<Item = (u32, &'v [u8])> + use<'v> {
        let large = self.0.first() == Some(&FORMAT_LARGE);
        let parted = if large { value } else { &[] };
        (0_u32..).zip(parted.chunks(VALUE_BYTES_MAX))
    }

    /// `None` if it cannot be read.
    pub(super) fn parse<'v>(key: &[u8], stored: &'v [u8]) -> Option<Parsed<'v>> {
        let mut reader = Reader::new(unseal(key, stored)?);
        match reader.u8()? {
            FORMAT_SMALL => Some(Parsed::Small(reader.rest())),
            FORMAT_LARGE => {
                let length = usize::try_from(reader.u32()?).ok()?;
                let hash = reader.array()?;
                reader.end()?;
                (length <= ROW_BYTES_MAX).then_some(Parsed::Large { length, hash })
            }
            _ => None,
        }
    }
}

/// How many parts there are to a row.
pub(super) fn part_count(row: &Parsed<'_>) -> u32 {
    match row {
        Parsed::Small(_) => 0,
        // Limited to a few thousand.
        Parsed::Large { length, .. } => {
            u32::try_from(length.div_ceil(VALUE_BYTES_MAX)).unwrap_or(u32::MAX)
        }
    }
}

/// Puts a large row together; `None` if it is not what was written.
pub(super) fn join(
    length: usize,
    hash: [u8; HASH_BYTES],
    part: impl Fn(u32) -> Result<Option<Bytes>, Fault>,
) -> Result<Option<Vec<u8>>, Fault> {
    let mut value = Vec::with_capacity(length.min(UNSEEN_BYTES_MAX));
    for number in 0.. {
        if value.len() >= length {
            break;
        }
        match part(number)? {
            Some(bytes) if !bytes.is_empty() => value.extend_from_slice(&bytes),
            _ => return Ok(None),
        }
    }
    let whole = value.len() == length && *blake3::hash(&value).as_bytes() == hash;
    Ok(whole.then_some(value))
}
