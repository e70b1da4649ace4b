use proptest::prelude::*;

use super::*;

fn decimal(text: &str) -> Decimal {
    text.parse().unwrap()
}

#[test]
fn the_standard_units_are_all_there_and_exact_in_their_base() {
    let units = Units::standard();
    assert_eq!(units.names().count(), STANDARD.len() + 6);
    for (quantity, from, to, expected) in [
        ("1", "lb", "g", "453.59237"),
        ("16", "oz", "lb", "1"),
        ("1", "mi", "km", "1.609344"),
        ("36", "in", "yd", "1"),
        ("2.5", "kg", "g", "2500"),
        ("1", "t", "mg", "1000000000"),
        ("1.5", "h", "min", "90"),
        ("1", "d", "s", "86400"),
        ("1", "gross", "dozen", "12"),
        ("0.75", "m3", "hl", "7.5"),
    ] {
        let converted = units.convert(decimal(quantity), from, to).unwrap();
        assert_eq!(converted, decimal(expected), "{quantity} {from}");
    }
}

#[test]
fn what_has_no_end_is_refused_and_not_rounded() {
    let units = Units::standard();
    for (from, to) in [("g", "lb"), ("piece", "dozen"), ("s", "h"), ("km", "mi")] {
        let converted = units.convert(decimal("1"), from, to);
        assert!(
            matches!(converted, Err(UnitError::Inexact { .. })),
            "{from}"
        );
    }
    assert_eq!(units.convert_whole(24, "piece", "dozen"), Ok(2));
    assert!(matches!(
        units.convert_whole(18, "piece", "dozen"),
        Err(UnitError::Inexact { .. })
    ));
    // Half of a dozen is exact as a decimal, but not whole.
    assert_eq!(
        units.convert(decimal("18"), "piece", "dozen"),
        Ok(decimal("1.5"))
    );
}

#[test]
fn a_unit_means_one_thing() {
    let mut units = Units::standard();
    units.define("box", decimal("12"), "piece").unwrap();
    let again = units.define("box", decimal("10"), "piece");
    assert!(matches!(again, Err(UnitError::AlreadyDefined { .. })));
    let of_nothing = units.define("crate", decimal("6"), "bottle");
    assert!(matches!(of_nothing, Err(UnitError::Unknown { .. })));
    let none = units.define("crate", decimal("0"), "piece");
    assert!(matches!(none, Err(UnitError::Factor { .. })));
    let kinds = units.convert(decimal("1"), "kg", "l");
    assert!(matches!(kinds, Err(UnitError::DifferentKinds { .. })));
}

proptest! {
    #[test]
    fn there_and_back_is_the_same_quantity(mantissa in -1_000_000_000_i64..1_000_000_000, decimals in 0_u8..4) {
        let units = Units::standard();
        let quantity = Decimal::new(mantissa.into(), decimals).unwrap();
        for (large, small) in [("lb", "g"), ("mi", "in"), ("d", "s"), ("gross", "piece"), ("gal", "ml")] {
            let there = units.convert(quantity, large, small).unwrap();
            prop_assert_eq!(units.convert(there, small, large).unwrap(), quantity);
        }
    }
}
