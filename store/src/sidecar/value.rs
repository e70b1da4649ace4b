//! What all values have in common: a limit, a checksum that binds them to their key, and a careful reader.

use crate::varint::take_varint;

/// The most bytes that one value may take. The engine moves a page of more than a quarter of its segment to a file of
/// its own, which it never syncs: many values share a page, so each has to stay small.
pub(super) const VALUE_BYTES_MAX: usize = 4_096;

/// What a value that is kept in parts gets room for on the word of its header alone.
pub(super) const UNSEEN_BYTES_MAX: usize = 1 << 20;

/// The bytes that [`seal`] adds.
pub(super) const SEAL_BYTES: usize = 4;

/// Appends the checksum (CRC-32 of key and value, little-endian): a value under a wrong key does not pass either.
pub(super) fn seal(key: &[u8], value: &mut Vec<u8>) {
    let sum = checksum(key, value);
    value.extend_from_slice(&sum.to_le_bytes());
}

/// The value without its checksum; `None` if that does not hold.
pub(super) fn unseal<'v>(key: &[u8], value: &'v [u8]) -> Option<&'v [u8]> {
    let (body, sum) = value.split_last_chunk::<SEAL_BYTES>()?;
    (checksum(key, body) == u32::from_le_bytes(*sum)).then_some(body)
}

/// How many values there are and the sum of their checksums, to tell later whether they are all there as they were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct CheckSum {
    pub(super) count: u64,
    pub(super) sum: u64,
}

impl CheckSum {
    /// Counts a sealed value in.
    pub(super) fn add(&mut self, value: &[u8]) {
        self.count = self.count.wrapping_add(1);
        self.sum = self.sum.wrapping_add(seal_of(value));
    }

    /// Counts a sealed value out that was counted in.
    pub(super) fn remove(&mut self, value: &[u8]) {
        self.count = self.count.wrapping_sub(1);
        self.sum = self.sum.wrapping_sub(seal_of(value));
    }
}

fn seal_of(value: &[u8]) -> u64 {
    value
        .last_chunk::<SEAL_BYTES>()
        .map_or(0, |sum| u64::from(u32::from_le_bytes(*sum)))
}

fn checksum(key: &[u8], body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(key);
    hasher.update(body);
    hasher.finalize()
}

/// Takes fields off the front of bytes. Every method gives `None` when the bytes do not hold what is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'v> {
    rest: &'v [u8],
}

impl<'v> Reader<'v> {
    pub(super) fn new(bytes: &'v [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*taken)
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub(super) fn varint(&mut self) -> Option<u64> {
        let (value, rest) = take_varint(self.rest)?;
        self.rest = rest;
        Some(value)
    }

    /// All that is left.
    pub(super) fn rest(self) -> &'v [u8] {
        self.rest
    }

    /// `None` unless everything has been taken.
    pub(super) fn end(self) -> Option<()> {
        self.rest.is_empty().then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_value_or_key_does_not_pass() {
        let mut value = b"value".to_vec();
        seal(b"key", &mut value);
        assert_eq!(unseal(b"key", &value), Some(&b"value"[..]));
        assert_eq!(unseal(b"kez", &value), None);
        for at in 0..value.len() {
            let mut changed = value.clone();
            changed[at] ^= 0x10;
            assert_eq!(unseal(b"key", &changed), None, "byte {at}");
        }
        assert_eq!(unseal(b"key", &value[..3]), None);
    }

    #[test]
    fn sums_tell_a_missing_and_a_changed_value_and_forget_what_is_taken_out() {
        let sealed = |text: &str| {
            let mut value = text.as_bytes().to_vec();
            seal(b"key", &mut value);
            value
        };
        let sum = |texts: &[&str]| {
            let mut sum = CheckSum::default();
            texts.iter().for_each(|text| sum.add(&sealed(text)));
            sum
        };
        assert_eq!(sum(&["a", "b"]), sum(&["b", "a"]));
        assert_ne!(sum(&["a", "b"]), sum(&["a"]));
        assert_ne!(sum(&["a", "b"]), sum(&["a", "c"]));
        let mut taken_out = sum(&["b", "a", "c"]);
        taken_out.remove(&sealed("a"));
        assert_eq!(taken_out, sum(&["b", "c"]));
    }

    #[test]
    fn a_reader_gives_nothing_beyond_the_end() {
        let mut reader = Reader::new(&[1, 2, 0]);
        assert_eq!(reader.u8(), Some(1));
        assert_eq!(reader.u32(), None);
        assert_eq!(reader.u16(), Some(2));
        assert_eq!(reader.u8(), None);
        assert_eq!(reader.varint(), None);
        assert_eq!(reader.end(), Some(()));
    }
}
