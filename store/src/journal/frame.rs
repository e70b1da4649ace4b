//! A frame: everything that one group commit made durable, in one write (format version 1).
//!
//! A frame starts at a multiple of 4096 and is padded with zeros to one. Numbers are little-endian:
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 8 | magic `FOLDFRM\n` |
//! | 8 | 2 | format version, 1 |
//! | 10 | 2 | length of this header, 128 |
//! | 12 | 4 | length of the body in bytes |
//! | 16 | 4 | number of records in the body |
//! | 20 | 4 | number of events among them |
//! | 24 | 8 | position of the first event |
//! | 32 | 8 | committed at, microseconds since 1970-01-01T00:00:00Z |
//! | 40 | 4 | how many of the frame's 512-byte sectors, up to the end of the footer, are all zeros |
//! | 44 | 16 | 0, reserved |
//! | 60 | 32 | hash of the frame before (chained over segments; see the segment header) |
//! | 92 | 32 | BLAKE3 of the 92 bytes before, followed by the body and the footer |
//! | 124 | 4 | CRC-32 (IEEE) of the 124 bytes before; 1 in place of 0 |
//! | 128 | body | records |
//! | 128 + body | 8 | footer `FOLDEND\n` |
//!
//! The CRC makes the header's lengths trustworthy on their own, the footer and the number of zero sectors tell a write
//! that did not complete (sectors still hold the zeros that the segment was filled with) from damage to one that did.

use crate::bytes_io::Fields;
use crate::clock::Timestamp;
use crate::journal::segment::{FORMAT_VERSION, Hash, in_blocks};
use crate::position::Position;

pub(crate) const FRAME_HEADER_BYTES: usize = 128;
pub(crate) const FRAME_FOOTER: [u8; 8] = *b"FOLDEND\n";
pub(crate) const SECTOR_BYTES: usize = 512;

const MAGIC: [u8; 8] = *b"FOLDFRM\n";
const ZERO_SECTORS_AT: usize = 40;
const HASHED_HEADER_BYTES: usize = 92;
const CRC_AT: usize = 124;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    pub(crate) body_bytes: u32,
    pub(crate) record_count: u32,
    pub(crate) event_count: u32,
    pub(crate) first_position: Position,
    pub(crate) committed_at: Timestamp,
    pub(crate) zero_sectors: u32,
    pub(crate) previous_hash: Hash,
    pub(crate) hash: Hash,
}

/// What a frame says of itself before it is hashed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FrameFacts {
    pub(crate) record_count: u32,
    pub(crate) event_count: u32,
    pub(crate) first_position: Position,
    pub(crate) committed_at: Timestamp,
    pub(crate) previous_hash: Hash,
}

/// What stands at the front of some bytes where a frame should start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum HeaderCheck {
    Sound(FrameHeader),
    NewerFormat(u16),
    NotAHeader,
}

/// The bytes that a frame with that much body takes on disk.
pub(crate) fn padded_bytes(body_bytes: usize) -> usize {
    in_blocks(frame_bytes(body_bytes))
}

/// Header, body and footer, without padding.
pub(crate) fn frame_bytes(body_bytes: usize) -> usize {
    FRAME_HEADER_BYTES
        .saturating_add(body_bytes)
        .saturating_add(FRAME_FOOTER.len())
}

/// Lays the frame out in `out`, which is exactly [`padded_bytes`] long, and gives back its hash.
pub(crate) fn encode(out: &mut [u8], body: &[u8], facts: &FrameFacts) -> Hash {
    let end = frame_bytes(body.len());
    let (frame, padding) = out.split_at_mut(end.min(out.len()));
    padding.fill(0);
    let Some((header, rest)) = frame.split_first_chunk_mut::<FRAME_HEADER_BYTES>() else {
        return Hash::default();
    };
    header.fill(0);
    put(header, 0, &MAGIC);
    put(header, 8, &FORMAT_VERSION.to_le_bytes());
    put(header, 10, &[128, 0]);
    put(
        header,
        12,
        &u32::try_from(body.len()).unwrap_or(u32::MAX).to_le_bytes(),
    );
    put(header, 16, &facts.record_count.to_le_bytes());
    put(header, 20, &facts.event_count.to_le_bytes());
    put(header, 24, &facts.first_position.get().to_le_bytes());
    put(header, 32, &facts.committed_at.unix_micros().to_le_bytes());
    put(header, 60, &facts.previous_hash);
    put(rest, 0, body);
    put(rest, body.len(), &FRAME_FOOTER);
    // The header's own sector holds the magic, so the fields still open do not change the count.
    let zero_sectors = count_zero_sectors(frame);
    put(frame, ZERO_SECTORS_AT, &zero_sectors.to_le_bytes());
    let hash = hash_of(frame);
    put(frame, HASHED_HEADER_BYTES, &hash);
    let crc = header_crc(frame);
    put(frame, CRC_AT, &crc.to_le_bytes());
    hash
}

fn put(out: &mut [u8], at: usize, bytes: &[u8]) {
    if let Some(field) = out.get_mut(at..at + bytes.len()) {
        field.copy_from_slice(bytes);
    }
}

fn hash_of(frame: &[u8]) -> Hash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(frame.get(..HASHED_HEADER_BYTES).unwrap_or_default());
    hasher.update(frame.get(FRAME_HEADER_BYTES..).unwrap_or_default());
    *hasher.finalize().as_bytes()
}

fn header_crc(header: &[u8]) -> u32 {
    crc32fast::hash(header.get(..CRC_AT).unwrap_or_default()).max(1)
}

/// How many sectors of `frame` (the last one may be short) are all zeros.
pub(crate) fn count_zero_sectors(frame: &[u8]) -> u32 {
    let zero = frame
        .chunks(SECTOR_BYTES)
        .filter(|sector| is_zero(sector))
        .count();
    u32::try_from(zero).unwrap_or(u32::MAX)
}

pub(crate) fn is_zero(bytes: &[u8]) -> bool {
    // Almost every sector shows in its first bytes that it is not zero. Those of a fresh segment are, all of them: a look
    // at so many at a time is one that the processor takes in a few steps.
    const AT_A_TIME: usize = 64;
    let (chunks, rest) = bytes.as_chunks::<AT_A_TIME>();
    let any_bit = |bytes: &[u8]| bytes.iter().fold(0, |bits, byte| bits | byte);
    chunks.iter().all(|chunk| any_bit(chunk) == 0) && any_bit(rest) == 0
}

/// Whether `footer` stops somewhere and is zeros from there on. No single flipped bit makes it look like that.
fn is_cut_short(footer: &[u8]) -> bool {
    let there = footer.iter().rposition(|byte| *byte != 0);
    let there = footer.get(..there.map_or(0, |last| last + 1));
    footer != FRAME_FOOTER && there.is_some_and(|there| FRAME_FOOTER.starts_with(there))
}

impl FrameHeader {
    /// Reads the header at the front of `bytes`; the lengths of a sound one can be trusted.
    pub(crate) fn check(bytes: &[u8]) -> HeaderCheck {
        Self::decode(bytes).unwrap_or(HeaderCheck::NotAHeader)
    }

    fn decode(bytes: &[u8]) -> Option<HeaderCheck> {
        let header = bytes.get(..FRAME_HEADER_BYTES)?;
        let crc = Fields::new(header.get(CRC_AT..)?).u32()?;
        let mut fields = Fields::new(header);
        if fields.array::<8>()? != MAGIC || crc != header_crc(header) {
            return None;
        }
        let format = fields.u16()?;
        if format > FORMAT_VERSION {
            return Some(HeaderCheck::NewerFormat(format));
        }
        fields.bytes(2)?;
        let body_bytes = fields.u32()?;
        let record_count = fields.u32()?;
        let event_count = fields.u32()?;
        let first_position = Position::new(fields.u64()?);
        let committed_at = Timestamp::from_unix_micros(fields.i64()?);
        let zero_sectors = fields.u32()?;
        fields.bytes(16)?;
        Some(HeaderCheck::Sound(Self {
            body_bytes,
            record_count,
            event_count,
            first_position,
            committed_at,
            zero_sectors,
            previous_hash: fields.array()?,
            hash: fields.array()?,
        }))
    }

    pub(crate) fn body_bytes(&self) -> usize {
        usize::try_from(self.body_bytes).unwrap_or(usize::MAX)
    }

    /// Header, body and footer, without padding.
    pub(crate) fn frame_bytes(&self) -> usize {
        frame_bytes(self.body_bytes())
    }

    pub(crate) fn padded_bytes(&self) -> usize {
        padded_bytes(self.body_bytes())
    }

    /// The position behind the frame's last event.
    pub(crate) fn next_position(&self) -> Position {
        Position::new(
            self.first_position
                .get()
                .saturating_add(u64::from(self.event_count)),
        )
    }

    /// Whether `frame`, from the header to the footer, is what was written.
    pub(crate) fn is_intact(&self, frame: &[u8]) -> bool {
        frame.len() == self.frame_bytes()
            && frame.ends_with(&FRAME_FOOTER)
            && hash_of(frame) == self.hash
    }

    /// Whether a frame that is not intact looks like a write that did not complete: its end, or whole sectors of it,
    /// are still the zeros from before.
    pub(crate) fn is_torn(&self, frame: &[u8]) -> bool {
        let footer_at = frame.len().saturating_sub(FRAME_FOOTER.len());
        is_cut_short(frame.get(footer_at..).unwrap_or_default())
            || count_zero_sectors(frame) > self.zero_sectors
    }
}

/// The body of a frame.
pub(crate) fn body(frame: &[u8]) -> &[u8] {
    let end = frame.len().saturating_sub(FRAME_FOOTER.len());
    frame.get(FRAME_HEADER_BYTES..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame_of(body: &[u8]) -> Vec<u8> {
        let facts = FrameFacts {
            record_count: 2,
            event_count: 2,
            first_position: Position::new(41),
            committed_at: Timestamp::from_unix_micros(1_000),
            previous_hash: [7; 32],
        };
        let mut out = vec![0xff; padded_bytes(body.len())];
        encode(&mut out, body, &facts);
        out
    }

    fn sound(bytes: &[u8]) -> FrameHeader {
        match FrameHeader::check(bytes) {
            HeaderCheck::Sound(header) => header,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_frame_reads_back_and_is_intact() {
        for len in [0, 1, 375, 376, 377, 3_960, 3_961, 100_000] {
            let body_in: Vec<u8> = (1..=251).cycle().take(len).collect();
            let bytes = frame_of(&body_in);
            assert_eq!(bytes.len() % 4096, 0);
            let header = sound(&bytes);
            let frame = &bytes[..header.frame_bytes()];
            assert!(header.is_intact(frame) && body(frame) == body_in);
            assert_eq!(header.next_position(), Position::new(43));
            assert!(is_zero(&bytes[header.frame_bytes()..]));
        }
    }

    #[test]
    fn every_flipped_bit_of_a_frame_is_noticed_and_taken_for_damage() {
        let bytes = frame_of(&[0x5a; 900]);
        let whole = sound(&bytes);
        for bit in 0..whole.frame_bytes() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            match FrameHeader::check(&flipped) {
                HeaderCheck::NotAHeader => {}
                HeaderCheck::Sound(header) => {
                    let frame = &flipped[..header.frame_bytes()];
                    assert!(
                        !header.is_intact(frame) && !header.is_torn(frame),
                        "bit {bit}"
                    );
                }
                HeaderCheck::NewerFormat(_) => panic!("bit {bit} passed for a newer format"),
            }
        }
    }

    #[test]
    fn a_frame_whose_end_or_any_sector_is_missing_is_taken_for_torn() {
        let mut body_in = vec![0x5a; 4_000];
        body_in[600..2_400].fill(0);
        let bytes = frame_of(&body_in);
        let header = sound(&bytes);
        assert_eq!(
            header.zero_sectors, 2,
            "zeros of the payload itself are accounted for"
        );
        let end = header.frame_bytes();
        for cut in FRAME_HEADER_BYTES..end {
            let mut torn = bytes[..end].to_vec();
            torn[cut..].fill(0);
            assert!(
                !header.is_intact(&torn) && header.is_torn(&torn),
                "cut at {cut}"
            );
        }
        for sector in (1..end.div_ceil(512)).filter(|sector| !(2..4).contains(sector)) {
            let mut torn = bytes[..end].to_vec();
            let sector_end = end.min((sector + 1) * 512);
            torn[sector * 512..sector_end].fill(0);
            assert!(header.is_torn(&torn), "sector {sector}");
        }
    }
}
