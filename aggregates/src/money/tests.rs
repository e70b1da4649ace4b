use proptest::prelude::*;

use super::*;
use crate::currency::Currency::{CLF, CZK, EUR, JPY, KWD};

fn any_money() -> impl Strategy<Value = Money> {
    let minor_units = prop_oneof![
        any::<i64>(),
        -1_000i64..1_000,
        Just(i64::MIN),
        Just(i64::MAX),
    ];
    (minor_units, proptest::sample::select(Currency::all()))
        .prop_map(|(minor_units, currency)| Money::new(minor_units, currency))
}

#[test]
fn money_is_written_with_all_decimals_of_its_currency() {
    for (minor_units, currency, text) in [
        (-123_450, CZK, "-1234.50 CZK"),
        (5, CZK, "0.05 CZK"),
        (-5, EUR, "-0.05 EUR"),
        (0, CZK, "0.00 CZK"),
        (1_234, JPY, "1234 JPY"),
        (0, JPY, "0 JPY"),
        (1_234, KWD, "1.234 KWD"),
        (1_234, CLF, "0.1234 CLF"),
        (i64::MIN, CZK, "-92233720368547758.08 CZK"),
    ] {
        assert_eq!(Money::new(minor_units, currency).to_string(), text);
        assert_eq!(text.parse(), Ok(Money::new(minor_units, currency)));
    }
}

#[test]
fn a_width_pads_money_to_the_right_column_and_a_precision_never_cuts_figures_off() {
    let amount = Money::new(1_250, CZK);
    assert_eq!(format!("{amount:>12}|"), "   12.50 CZK|");
    assert_eq!(format!("{amount:12}|"), "   12.50 CZK|");
    assert_eq!(format!("{amount:<12}|"), "12.50 CZK   |");
    assert_eq!(format!("{amount:.2}"), "12.50 CZK");
}

#[test]
fn decimals_may_be_left_out_when_money_is_read() {
    assert_eq!("1234.5 CZK".parse(), Ok(Money::new(123_450, CZK)));
    assert_eq!("1234 CZK".parse(), Ok(Money::new(123_400, CZK)));
    assert_eq!("-0 CZK".parse(), Ok(Money::zero(CZK)));
    assert_eq!("007.1 KWD".parse(), Ok(Money::new(7_100, KWD)));
}

#[test]
fn more_decimals_than_the_currency_has_are_refused_even_zeros() {
    for (text, decimals, currency) in [
        ("1.005 CZK", 3, CZK),
        ("1.000 CZK", 3, CZK),
        ("1.0 JPY", 1, JPY),
        ("0.12345 CLF", 5, CLF),
    ] {
        let refused = MoneyError::TooManyDecimals { decimals, currency };
        assert_eq!(text.parse::<Money>(), Err(refused));
    }
    let message = "1.005 CZK".parse::<Money>().unwrap_err().to_string();
    assert_eq!(
        message,
        "the amount has 3 decimals, but CZK has 2: round it first"
    );
}

#[test]
fn a_text_that_is_no_amount_is_refused() {
    for text in [
        "",
        " ",
        "1",
        "CZK",
        "1CZK",
        " CZK",
        "- CZK",
        ". CZK",
        "1. CZK",
        ".5 CZK",
        "+1 CZK",
        "--1 CZK",
        "1,5 CZK",
        "1 000 CZK",
        "1e3 CZK",
        "1.-5 CZK",
        "1.2.3 CZK",
        "١ CZK",
    ] {
        let refused = text.parse::<Money>().unwrap_err();
        assert!(
            matches!(
                refused,
                MoneyError::NotAnAmount { .. } | MoneyError::UnknownCurrency(_)
            ),
            "{text:?}: {refused}"
        );
    }
    assert!(matches!(
        "1 czk".parse::<Money>(),
        Err(MoneyError::UnknownCurrency(_))
    ));
    assert!(matches!(
        "1  CZK".parse::<Money>(),
        Err(MoneyError::UnknownCurrency(_))
    ));
}

#[test]
fn an_error_repeats_only_the_beginning_of_a_long_text() {
    let Err(MoneyError::NotAnAmount { text }) = "x".repeat(1_000_000).parse::<Money>() else {
        panic!("a row of x is not an amount");
    };
    assert_eq!(text.len(), ERROR_TEXT_CHARS_MAX);
}

#[test]
fn an_amount_beyond_64_bits_is_refused_wherever_it_would_arise() {
    let overflow = Err(MoneyError::Overflow { currency: CZK });
    let (least, most) = (Money::new(i64::MIN, CZK), Money::new(i64::MAX, CZK));
    let one = Money::new(1, CZK);
    assert_eq!(most.checked_add(one), overflow);
    assert_eq!(least.checked_sub(one), overflow);
    assert_eq!(least.checked_neg(), overflow);
    assert_eq!("92233720368547758.08 CZK".parse(), overflow);
    assert_eq!("-92233720368547758.09 CZK".parse(), overflow);
    assert_eq!("99999999999999999999999999 CZK".parse(), overflow);
    assert_eq!(
        Total::new(i128::from(i64::MAX) + 1, CZK).to_money(),
        overflow
    );
}

#[test]
fn amounts_of_two_currencies_do_not_add_up() {
    let (left, right) = (Money::new(100, CZK), Money::new(100, EUR));
    let mismatch = MoneyError::CurrencyMismatch {
        left: left.into(),
        right: right.into(),
    };
    assert_eq!(left.checked_add(right), Err(mismatch.clone()));
    assert_eq!(left.checked_sub(right), Err(mismatch.clone()));
    assert_eq!(
        mismatch.to_string(),
        "1.00 CZK and 1.00 EUR do not add up: convert one into the other's currency first"
    );
}

#[test]
fn the_minor_unit_left_over_goes_to_the_share_that_lost_most_then_to_the_earlier() {
    let split = |minor_units, ratios: &[u32]| -> Vec<i64> {
        let shares = Money::new(minor_units, CZK).allocate(ratios).unwrap();
        shares.into_iter().map(Money::minor_units).collect()
    };
    assert_eq!(split(100, &[1, 1, 1]), [34, 33, 33]);
    assert_eq!(split(-100, &[1, 1, 1]), [-34, -33, -33]);
    assert_eq!(split(5, &[3, 7]), [2, 3]);
    assert_eq!(split(10, &[1, 0, 2]), [3, 0, 7]);
    assert_eq!(split(1, &[0, 1, 1]), [0, 1, 0]);
    assert_eq!(split(0, &[1, 1]), [0, 0]);
    assert_eq!(split(i64::MIN, &[u32::MAX]), [i64::MIN]);
}

#[test]
fn an_allocation_to_nobody_is_refused() {
    let amount = Money::new(100, CZK);
    for ratios in [&[][..], &[0, 0]] {
        assert_eq!(
            amount.allocate(ratios),
            Err(MoneyError::NoShares { amount })
        );
    }
}

#[test]
fn money_is_persisted_with_field_names() {
    let bytes = rmp_serde::to_vec_named(&Money::new(5, CZK)).unwrap();
    assert_eq!(bytes, b"\x82\xabminor_units\x05\xa8currency\xa3CZK");
}

proptest! {
    #[test]
    fn what_money_writes_it_reads_back(amount in any_money()) {
        prop_assert_eq!(amount.to_string().parse(), Ok(amount));
    }

    #[test]
    fn reading_any_text_never_panics(text in "\\PC{0,40}", number in "-?[0-9]{0,22}[.]?[0-9]{0,6}") {
        let _ = text.parse::<Money>();
        for currency in [CZK, JPY, CLF] {
            if let Ok(amount) = format!("{number} {currency}").parse::<Money>() {
                prop_assert_eq!(amount.to_string().parse(), Ok(amount));
            }
        }
    }

    #[test]
    fn money_survives_serde(amount in any_money()) {
        let named = rmp_serde::to_vec_named(&amount).unwrap();
        prop_assert_eq!(rmp_serde::from_slice::<Money>(&named).unwrap(), amount);
        let compact = rmp_serde::to_vec(&amount).unwrap();
        prop_assert_eq!(rmp_serde::from_slice::<Money>(&compact).unwrap(), amount);
    }

    #[test]
    fn adding_and_subtracting_are_exact_or_refused(left in any::<i64>(), right in any::<i64>()) {
        let (left_money, right_money) = (Money::new(left, CZK), Money::new(right, CZK));
        let sum = left_money.checked_add(right_money).ok().map(|sum| i128::from(sum.minor_units()));
        let exact_sum = i128::from(left) + i128::from(right);
        prop_assert_eq!(sum, i64::try_from(exact_sum).ok().map(i128::from));
        let gap = left_money.checked_sub(right_money).ok().map(|gap| i128::from(gap.minor_units()));
        let exact_gap = i128::from(left) - i128::from(right);
        prop_assert_eq!(gap, i64::try_from(exact_gap).ok().map(i128::from));
    }

    #[test]
    fn an_allocation_loses_nothing_and_no_share_is_a_minor_unit_off(
        amount in any_money(),
        ratios in prop::collection::vec(prop_oneof![Just(0u32), 1u32..20, any::<u32>()], 1..12),
    ) {
        prop_assume!(ratios.iter().any(|ratio| *ratio > 0));
        let whole: i128 = ratios.iter().map(|ratio| i128::from(*ratio)).sum();
        let shares = amount.allocate(&ratios).unwrap();
        prop_assert_eq!(shares.len(), ratios.len());
        let sum: i128 = shares.iter().map(|share| i128::from(share.minor_units())).sum();
        prop_assert_eq!(sum, i128::from(amount.minor_units()));
        for (share, ratio) in shares.iter().zip(&ratios) {
            let off = i128::from(share.minor_units()) * whole
                - i128::from(amount.minor_units()) * i128::from(*ratio);
            prop_assert!(off.abs() < whole, "{share} for {ratio} of {whole}");
        }
    }
}
