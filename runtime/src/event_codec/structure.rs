//! A look at a MessagePack payload before serde reads it.
//!
//! serde believes what a payload says of itself: a list of so many values is made room for before the first of them is
//! read, and an enum within an enum is read one call deeper without being counted by rmp. A few bytes could so take any
//! amount of memory, or the whole stack. Behind this look every length and count is one whose bytes are really there, so
//! that reading takes memory in proportion to the payload, and no value nests too deep.

use std::fmt;

use smallvec::SmallVec;

use super::NESTING_DEPTH_MAX;

/// Why a payload is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unsound {
    TooDeep,
    CutShort,
    Trailing { bytes: usize },
    Reserved,
}

impl fmt::Display for Unsound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooDeep => write!(f, "its values nest deeper than {NESTING_DEPTH_MAX}"),
            Self::CutShort => f.write_str("it says that it holds more than is there"),
            Self::Trailing { bytes } => write!(f, "{bytes} bytes follow the value"),
            Self::Reserved => {
                f.write_str("it holds the byte c1, which MessagePack has no meaning for")
            }
        }
    }
}

/// Whether `payload` is one whole value that nests no deeper than it could be read back.
///
/// rmp counts the depth when it reads, not when it writes, and not through enums: what it writes would be recorded, and
/// the stream could never be read again.
pub(super) fn check(payload: &[u8]) -> Result<(), Unsound> {
    let mut rest = payload;
    // How many values are still to come at each level.
    let mut open: SmallVec<[u64; 16]> = SmallVec::new();
    // Of those, how many there are in all: each takes a byte at least.
    let mut to_come: u64 = 1;
    loop {
        let value = Value::take(&mut rest)?;
        to_come = to_come - 1 + value.values;
        if to_come > rest.len() as u64 {
            return Err(Unsound::CutShort);
        }
        if value.nests && open.len() >= NESTING_DEPTH_MAX {
            return Err(Unsound::TooDeep);
        }
        if value.values > 0 {
            open.push(value.values);
        }
        if to_come == 0 {
            break;
        }
        // The next value belongs to the innermost level; one that is complete counts no more.
        while let Some(values) = open.last_mut() {
            if *values > 0 {
                *values -= 1;
                break;
            }
            open.pop();
        }
    }
    match rest.len() {
        0 => Ok(()),
        bytes => Err(Unsound::Trailing { bytes }),
    }
}

/// What the head of a value says, its own bytes skipped.
struct Value {
    /// How many values it holds.
    values: u64,
    nests: bool,
}

impl Value {
    fn take(rest: &mut &[u8]) -> Result<Self, Unsound> {
        let marker = *take(rest, 1)?.first().ok_or(Unsound::CutShort)?;
        let (length_bytes, skip, values) = match marker {
            0x80..=0x8f => (0, 0, u64::from(marker & 0x0f) * 2),
            0x90..=0x9f => (0, 0, u64::from(marker & 0x0f)),
            0xa0..=0xbf => (0, usize::from(marker & 0x1f), 0),
            0xc1 => return Err(Unsound::Reserved),
            0xc4 | 0xd9 => (1, 0, 0),
            0xc5 | 0xda => (2, 0, 0),
            0xc6 | 0xdb => (4, 0, 0),
            0xc7 => (1, 1, 0),
            0xc8 => (2, 1, 0),
            0xc9 => (4, 1, 0),
            0xcc | 0xd0 => (0, 1, 0),
            0xcd | 0xd1 => (0, 2, 0),
            0xca | 0xce | 0xd2 => (0, 4, 0),
            0xcb | 0xcf | 0xd3 => (0, 8, 0),
            0xd4..=0xd8 => (0, 1 + (1 << (marker - 0xd4)), 0),
            0xdc | 0xde => (2, 0, 0),
            0xdd | 0xdf => (4, 0, 0),
            _ => (0, 0, 0),
        };
        let length = take(rest, length_bytes)?
            .iter()
            .fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        let (skip, values) = match marker {
            0xdc | 0xdd => (0, length),
            0xde | 0xdf => (0, length * 2),
            _ => {
                let length = usize::try_from(length).unwrap_or(usize::MAX);
                (length.saturating_add(skip), values)
            }
        };
        take(rest, skip)?;
        Ok(Self {
            values,
            nests: matches!(marker, 0x80..=0x9f | 0xdc..=0xdf),
        })
    }
}

fn take<'a>(rest: &mut &'a [u8], bytes: usize) -> Result<&'a [u8], Unsound> {
    let (taken, behind) = rest.split_at_checked(bytes).ok_or(Unsound::CutShort)?;
    *rest = behind;
    Ok(taken)
}

#[cfg(test)]
mod tests;
