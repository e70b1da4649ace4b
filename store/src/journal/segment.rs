//! A segment file: a header block, then frames, then zeros up to its capacity (format version 1).
//!
//! Header, at offset 0, in a block of its own of [`BLOCK_BYTES`]; numbers are little-endian:
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 8 | magic `FOLDSEG\n` |
//! | 8 | 2 | format version, 1 |
//! | 10 | 2 | length of this header, 160 |
//! | 12 | 4 | 0 |
//! | 16 | 16 | store id |
//! | 32 | 8 | number of the segment, from 0 |
//! | 40 | 8 | position of its first event |
//! | 48 | 8 | capacity in bytes, this block included; one without events may have grown beyond it |
//! | 56 | 8 | created at, microseconds since 1970 |
//! | 64 | 32 | hash of the last frame of the segment before; in segment 0 the genesis hash |
//! | 96 | 32 | 0, reserved |
//! | 128 | 32 | BLAKE3 of the 128 bytes before |
//!
//! The genesis hash is BLAKE3 in key derivation mode, context `foldhouse 2026 journal genesis`, over the store id.

use crate::bytes_io::Fields;
use crate::clock::Timestamp;
use crate::position::Position;

/// Frames start at multiples of this, and no two share such a block: a write never touches a block that holds data
/// which was acked before (a torn rewrite of a shared block would lose it).
pub(crate) const BLOCK_BYTES: usize = 4096;
/// The first frame of a segment.
pub(crate) const FIRST_FRAME_OFFSET: u64 = BLOCK_BYTES as u64;
/// The format that this build writes.
pub(crate) const FORMAT_VERSION: u16 = 1;

const MAGIC: [u8; 8] = *b"FOLDSEG\n";
const HEADER_BYTES: u16 = 160;
const HASHED_BYTES: usize = 128;

/// A BLAKE3 hash.
pub(crate) type Hash = [u8; 32];

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) store_id: [u8; 16],
    pub(crate) number: u64,
    pub(crate) first_position: Position,
    pub(crate) capacity_bytes: u64,
    pub(crate) created_at: Timestamp,
    pub(crate) previous_hash: Hash,
}

/// Why a header block is not one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum BadHeader {
    Damaged(&'static str),
    NewerFormat(u16),
}

impl SegmentHeader {
    pub(crate) fn file_name(&self) -> String {
        file_name(self.first_position)
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut block = Vec::with_capacity(BLOCK_BYTES);
        block.extend_from_slice(&MAGIC);
        block.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
        block.extend_from_slice(&HEADER_BYTES.to_le_bytes());
        block.extend_from_slice(&[0; 4]);
        block.extend_from_slice(&self.store_id);
        block.extend_from_slice(&self.number.to_le_bytes());
        block.extend_from_slice(&self.first_position.get().to_le_bytes());
        block.extend_from_slice(&self.capacity_bytes.to_le_bytes());
        block.extend_from_slice(&self.created_at.unix_micros().to_le_bytes());
        block.extend_from_slice(&self.previous_hash);
        block.resize(HASHED_BYTES, 0);
        let hash = blake3::hash(&block);
        block.extend_from_slice(hash.as_bytes());
        block.resize(BLOCK_BYTES, 0);
        block
    }

    pub(crate) fn decode(block: &[u8]) -> Result<Self, BadHeader> {
        let cut_short = BadHeader::Damaged("the segment header is cut short");
        Self::decode_fields(block).unwrap_or(Err(cut_short))
    }

    fn decode_fields(block: &[u8]) -> Option<Result<Self, BadHeader>> {
        let mut fields = Fields::new(block);
        if fields.array::<8>()? != MAGIC {
            return Some(Err(BadHeader::Damaged("there is no segment header")));
        }
        let format = fields.u16()?;
        let hashed = block.get(..HASHED_BYTES)?;
        let hash: Hash = Fields::new(block.get(HASHED_BYTES..)?).array()?;
        let rest_is_zero = block
            .get(usize::from(HEADER_BYTES)..)?
            .iter()
            .all(|byte| *byte == 0);
        // Every format has its version and its hash here: a flipped bit must not pass for a newer one.
        if *blake3::hash(hashed).as_bytes() != hash {
            return Some(Err(BadHeader::Damaged(
                "the segment header does not match its hash",
            )));
        }
        if format > FORMAT_VERSION {
            return Some(Err(BadHeader::NewerFormat(format)));
        }
        if !rest_is_zero {
            return Some(Err(BadHeader::Damaged(
                "what stands behind the segment header is not zeros",
            )));
        }
        fields.bytes(6)?;
        Some(Ok(Self {
            store_id: fields.array()?,
            number: fields.u64()?,
            first_position: Position::new(fields.u64()?),
            capacity_bytes: fields.u64()?,
            created_at: Timestamp::from_unix_micros(fields.i64()?),
            previous_hash: fields.array()?,
        }))
    }
}

/// The name of the segment whose first event has this position.
pub(crate) fn file_name(first_position: Position) -> String {
    format!("{:020}.segment", first_position.get())
}

/// The first position that a segment's file name tells; `None` for files that are not segments.
pub(crate) fn parse_file_name(name: &str) -> Option<Position> {
    let digits = name.strip_suffix(".segment")?;
    let well_formed = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
    well_formed
        .then(|| digits.parse().ok().map(Position::new))
        .flatten()
}

/// What the first frame of a store has for the hash of the frame before it.
pub(crate) fn genesis_hash(store_id: &[u8; 16]) -> Hash {
    blake3::derive_key("foldhouse 2026 journal genesis", store_id)
}

/// How many bytes `bytes` take in whole blocks.
pub(crate) fn in_blocks(bytes: usize) -> usize {
    bytes.next_multiple_of(BLOCK_BYTES)
}
