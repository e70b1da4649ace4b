use proptest::prelude::*;

use super::*;

fn decimal(text: &str) -> Decimal {
    text.parse().unwrap()
}

#[test]
fn sums_and_products_are_exact() {
    assert_eq!(
        decimal("0.1").checked_add(decimal("0.2")).unwrap(),
        decimal("0.3")
    );
    assert_eq!(
        decimal("1.10")
            .checked_mul(decimal("3"))
            .unwrap()
            .to_string(),
        "3.30"
    );
    assert_eq!(
        decimal("1")
            .checked_sub(decimal("0.0001"))
            .unwrap()
            .to_string(),
        "0.9999"
    );
}

#[test]
fn numbers_are_equal_by_value_and_keep_their_decimals() {
    assert_eq!(decimal("1.50"), decimal("1.5"));
    assert!(decimal("1.49") < decimal("1.5"));
    assert!(decimal("-2") < decimal("-1.999"));
    assert_eq!(decimal("1.50").to_string(), "1.50");
    assert_eq!(decimal("-0.05").to_string(), "-0.05");
    assert_eq!(decimal("100.00").normalized().to_string(), "100");
}

#[test]
fn numbers_far_apart_are_still_compared_by_value() {
    let huge = Decimal::whole(i128::MAX);
    assert!(huge > decimal("0.0000000000000000000000000001"));
    assert!(Decimal::whole(i128::MIN) < decimal("0.0000000000000000000000000001"));
}

#[test]
fn rounding_is_half_to_even_or_half_away_from_zero() {
    for (text, even, up) in [
        ("0.125", "0.12", "0.13"),
        ("0.135", "0.14", "0.14"),
        ("-0.125", "-0.12", "-0.13"),
        ("0.1249", "0.12", "0.12"),
    ] {
        assert_eq!(decimal(text).rounded(2).to_string(), even);
        assert_eq!(decimal(text).rounded_half_up(2).to_string(), up);
    }
    assert_eq!(decimal("7").rounded(2).to_string(), "7");
}

#[test]
fn a_quotient_is_exact_where_it_ends_and_rounded_where_not() {
    let quotient = |left: &str, right: &str| {
        let quotient = decimal(left).checked_div(decimal(right), 10);
        quotient.map(|quotient| quotient.to_string())
    };
    assert_eq!(quotient("1", "8").unwrap(), "0.125");
    assert_eq!(quotient("2", "3").unwrap(), "0.6666666667");
    assert_eq!(quotient("-2", "3").unwrap(), "-0.6666666667");
    assert_eq!(quotient("1", "0"), Err(DecimalError::DivisionByZero));
}

#[test]
fn what_does_not_fit_is_an_error() {
    let most = Decimal::whole(i128::MAX);
    assert_eq!(most.checked_add(decimal("1")), Err(DecimalError::Overflow));
    assert_eq!(most.checked_mul(decimal("10")), Err(DecimalError::Overflow));
    assert_eq!(
        Decimal::whole(i128::MIN).checked_neg(),
        Err(DecimalError::Overflow)
    );
    assert_eq!(
        format!("0.{}", "1".repeat(29)).parse::<Decimal>(),
        Err(DecimalError::Overflow)
    );
    for text in ["", "-", ".", "1e3", "1,5", " 1", "1 ", "--1", "1.2.3"] {
        assert!(
            matches!(
                text.parse::<Decimal>(),
                Err(DecimalError::NotANumber { .. })
            ),
            "{text:?}"
        );
    }
}

#[test]
fn a_number_is_persisted_as_its_digits() {
    let bytes = rmp_serde::to_vec(&decimal("-12.50")).unwrap();
    assert_eq!(bytes, b"\xa6-12.50");
    assert_eq!(
        rmp_serde::from_slice::<Decimal>(&bytes)
            .unwrap()
            .to_string(),
        "-12.50"
    );
}

fn any_decimal() -> impl Strategy<Value = Decimal> {
    (-1_000_000_000_000_i64..1_000_000_000_000, 0_u8..8)
        .prop_map(|(mantissa, decimals)| Decimal::new(mantissa.into(), decimals).unwrap())
}

proptest! {
    #[test]
    fn what_is_written_is_read_back_digit_by_digit(number in any_decimal()) {
        let back: Decimal = number.to_string().parse().unwrap();
        prop_assert_eq!((back.mantissa(), back.decimals()), (number.mantissa(), number.decimals()));
    }

    #[test]
    fn what_is_added_and_taken_away_is_gone(left in any_decimal(), right in any_decimal()) {
        let there = left.checked_add(right).unwrap();
        prop_assert_eq!(there.checked_sub(right).unwrap(), left);
        prop_assert_eq!(there, right.checked_add(left).unwrap());
    }

    #[test]
    fn a_rounded_number_is_off_by_half_a_step_at_most(number in any_decimal(), decimals in 0_u8..8) {
        let off = number.checked_sub(number.rounded(decimals)).unwrap().checked_abs().unwrap();
        prop_assert!(off <= Decimal::new(5, decimals + 1).unwrap());
    }
}
