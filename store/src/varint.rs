//! Unsigned LEB128: seven bits a byte, lowest first, the high bit set on all bytes but the last.

/// The most bytes that a `u64` takes.
pub(crate) const VARINT_BYTES_MAX: usize = 10;

/// Appends `value`.
pub(crate) fn put_varint(out: &mut Vec<u8>, value: u64) {
    let mut rest = value;
    loop {
        let [low, ..] = rest.to_le_bytes();
        rest >>= 7;
        if rest == 0 {
            out.push(low & 0x7f);
            return;
        }
        out.push(low | 0x80);
    }
}

/// Takes one value off the front of `bytes`.
///
/// `None` if the bytes end within it, if it does not fit a `u64`, or if it is longer than it need be: every number has
/// exactly one encoding, so that equal contents are equal bytes.
pub(crate) fn take_varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0_u64;
    for (index, byte) in bytes.iter().take(VARINT_BYTES_MAX).enumerate() {
        let bits = u64::from(byte & 0x7f);
        // The tenth byte holds the one bit that is left of 64.
        if index + 1 == VARINT_BYTES_MAX && bits > 1 {
            return None;
        }
        value |= bits << (7 * index);
        if byte & 0x80 == 0 {
            let overlong = index > 0 && bits == 0;
            return if overlong {
                None
            } else {
                Some((value, bytes.get(index + 1..)?))
            };
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_number_takes_as_many_bytes_as_it_needs() {
        for (value, length) in [
            (0, 1),
            (127, 1),
            (128, 2),
            (16_383, 2),
            (16_384, 3),
            (u64::MAX, VARINT_BYTES_MAX),
        ] {
            let mut bytes = Vec::new();
            put_varint(&mut bytes, value);
            assert_eq!(bytes.len(), length, "{value}");
            assert_eq!(take_varint(&bytes), Some((value, &[][..])));
        }
    }

    #[test]
    fn what_is_cut_short_too_large_or_overlong_is_refused() {
        assert_eq!(take_varint(&[]), None);
        assert_eq!(take_varint(&[0x80]), None);
        assert_eq!(take_varint(&[0xff; 9]), None);
        // One bit too many for 64, and an eleventh byte.
        let mut too_large = vec![0xff; 9];
        too_large.push(0x02);
        assert_eq!(take_varint(&too_large), None);
        let mut too_long = vec![0x80; 10];
        too_long.push(0x01);
        assert_eq!(take_varint(&too_long), None);
        // Zero in two bytes, one in three.
        assert_eq!(take_varint(&[0x80, 0x00]), None);
        assert_eq!(take_varint(&[0x81, 0x80, 0x00]), None);
    }

    proptest! {
        #[test]
        fn every_number_comes_back_and_leaves_the_rest(value: u64, rest: Vec<u8>) {
            let mut bytes = Vec::new();
            put_varint(&mut bytes, value);
            bytes.extend_from_slice(&rest);
            prop_assert_eq!(take_varint(&bytes), Some((value, &rest[..])));
        }

        #[test]
        fn whatever_is_read_is_what_would_have_been_written(bytes: Vec<u8>) {
            if let Some((value, rest)) = take_varint(&bytes) {
                let mut written = Vec::new();
                put_varint(&mut written, value);
                prop_assert_eq!(&bytes[..bytes.len() - rest.len()], &written[..]);
            }
        }
    }
}
