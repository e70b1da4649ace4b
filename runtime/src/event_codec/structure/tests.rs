use proptest::prelude::*;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::*;

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
    pub(super) fn serialize<S: serde::Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
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
            proptest::collection::btree_map(any::<u16>(), inner.clone(), 0..20).prop_map(Any::Map),
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
        prop_assert_eq!(check(&payload).is_ok(), read.is_ok());
    }
}

#[test]
fn what_is_not_one_whole_value_is_named() {
    for (payload, expected) in [
        (&b""[..], Unsound::CutShort),
        (b"\xc1", Unsound::Reserved),
        (b"\xc0\xc0", Unsound::Trailing { bytes: 1 }),
        (b"\x91\xc0\x01\x02", Unsound::Trailing { bytes: 2 }),
        (b"\xdd\xff\xff\xff\xff\xc0", Unsound::CutShort),
        (b"\xdf\xff\xff\xff\xff\xc0\xc0", Unsound::CutShort),
        (b"\xc6\xff\xff\xff\xff0123456789", Unsound::CutShort),
        (b"\xdb\xff\xff\xff\xff0123456789", Unsound::CutShort),
        (b"\xc9\xff\xff\xff\xff\x010123456789", Unsound::CutShort),
        (b"\xc7\x02\x01a", Unsound::CutShort),
        (b"\x92\xc0", Unsound::CutShort),
        (b"\x82\xa1a\x01\xa1b", Unsound::CutShort),
        (b"\xcb\0\0\0\0\0\0\0", Unsound::CutShort),
        (b"\xdd\xff\xff", Unsound::CutShort),
    ] {
        assert_eq!(check(payload), Err(expected), "{payload:x?}");
    }
}

#[test]
fn lists_of_nothing_are_sound_up_to_the_limit_of_depth() {
    let nested = |depth: usize| [vec![0x91; depth - 1], vec![0x90]].concat();
    assert_eq!(check(&nested(NESTING_DEPTH_MAX)), Ok(()));
    assert_eq!(check(&nested(NESTING_DEPTH_MAX + 1)), Err(Unsound::TooDeep));
    // Siblings do not nest.
    let wide = [vec![0xdc, 0x01, 0x00], vec![0x80; 256]].concat();
    assert_eq!(check(&wide), Ok(()));
}
