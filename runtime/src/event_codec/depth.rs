use smallvec::SmallVec;

use super::NESTING_DEPTH_MAX;

/// Whether the values in a MessagePack payload nest deeper than they could be read back.
///
/// rmp counts the depth when it reads, not when it writes: what it writes would be recorded, and the stream could never
/// be read again.
pub(super) fn is_too_deep(payload: &[u8]) -> bool {
    // Each level takes a byte at least, and most events are not much longer.
    payload.len() > NESTING_DEPTH_MAX && !fits(payload)
}

/// Whether it is read to its end without nesting too deep. What is not MessagePack does not fit.
fn fits(mut rest: &[u8]) -> bool {
    // How many values are still to come at each level.
    let mut open: SmallVec<[u64; 16]> = SmallVec::new();
    while let Some((&marker, behind)) = rest.split_first() {
        rest = behind;
        let (length_bytes, skip, values) = match marker {
            0x80..=0x8f => (0, 0, u64::from(marker & 0x0f) * 2),
            0x90..=0x9f => (0, 0, u64::from(marker & 0x0f)),
            0xa0..=0xbf => (0, usize::from(marker & 0x1f), 0),
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
        let Some((length, behind)) = rest.split_at_checked(length_bytes) else {
            return false;
        };
        let length = length
            .iter()
            .fold(0u64, |number, byte| number << 8 | u64::from(*byte));
        let (skip, values) = match marker {
            0xdc | 0xdd => (0, length),
            0xde | 0xdf => (0, length * 2),
            _ => (
                skip.saturating_add(usize::try_from(length).unwrap_or(usize::MAX)),
                values,
            ),
        };
        let Some((_, behind)) = behind.split_at_checked(skip) else {
            return false;
        };
        rest = behind;
        let nests = matches!(marker, 0x80..=0x9f | 0xdc..=0xdf);
        if nests && open.len() >= NESTING_DEPTH_MAX {
            return false;
        }
        open.push(values);
        while let Some(values) = open.last_mut() {
            if *values > 0 {
                *values -= 1;
                break;
            }
            open.pop();
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde::de::IgnoredAny;
    use serde::{Deserialize, Serialize};

    #[derive(Clone, Debug, Serialize, Deserialize)]
    enum Any {
        Nothing,
        Bool(bool),
        Number(i64),
        Real(f32),
        Wide(f64),
        Big(u128),
        Text(String),
        #[serde(with = "bytes")]
        Bytes(Vec<u8>),
        List(Vec<Any>),
        Map(std::collections::BTreeMap<u16, Any>),
        Maybe(Option<Box<Any>>),
    }

    mod bytes {
        pub(super) fn serialize<S: serde::Serializer>(
            bytes: &[u8],
            to: S,
        ) -> Result<S::Ok, S::Error> {
            to.serialize_bytes(bytes)
        }

        pub(super) fn deserialize<'de, D: serde::Deserializer<'de>>(
            from: D,
        ) -> Result<Vec<u8>, D::Error> {
            serde::Deserialize::deserialize(from)
        }
    }

    fn any_value() -> impl Strategy<Value = Any> {
        let leaf = prop_oneof![
            Just(Any::Nothing),
            any::<bool>().prop_map(Any::Bool),
            any::<i64>().prop_map(Any::Number),
            (-200i64..200).prop_map(Any::Number),
            any::<f32>().prop_map(Any::Real),
            any::<f64>().prop_map(Any::Wide),
            any::<u128>().prop_map(Any::Big),
            ".{0,300}".prop_map(Any::Text),
            proptest::collection::vec(any::<u8>(), 0..300).prop_map(Any::Bytes),
        ];
        leaf.prop_recursive(40, 60, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..20).prop_map(Any::List),
                proptest::collection::btree_map(any::<u16>(), inner.clone(), 0..20)
                    .prop_map(Any::Map),
                inner.prop_map(|inner| Any::Maybe(Some(Box::new(inner)))),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_fits_is_what_rmp_reads(value in any_value(), wraps in 0usize..70) {
            let value = (0..wraps).fold(value, |inner, _| Any::List(vec![inner]));
            let payload = rmp_serde::to_vec_named(&value).unwrap();
            let mut reader = rmp_serde::Deserializer::from_read_ref(&payload);
            reader.set_max_depth(NESTING_DEPTH_MAX + 1);
            let read = IgnoredAny::deserialize(&mut reader);
            prop_assert_eq!(fits(&payload), read.is_ok());
        }
    }
}
