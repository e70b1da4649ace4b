use std::collections::BTreeMap;

use super::*;

#[derive(Serialize)]
enum Status {
    Open,
    Limited { minor_units: i64 },
    Named(String),
    Pair(u8, u8),
}

#[derive(Serialize)]
struct Account {
    owner: Option<&'static str>,
    debits: i128,
    credits: u128,
    status: Status,
    lines: Vec<u16>,
    holds: BTreeMap<(u8, &'static str), i64>,
}

fn account() -> Account {
    Account {
        owner: None,
        debits: i128::MAX,
        credits: u128::MAX,
        status: Status::Open,
        lines: vec![1, 2],
        holds: BTreeMap::from([((7, "x"), 5)]),
    }
}

fn lines(differences: &Differences) -> Vec<String> {
    differences.fields.iter().map(ToString::to_string).collect()
}

#[test]
fn what_is_the_same_does_not_differ_and_what_is_another_is_named_by_its_path() {
    assert!(differences(&account(), &account()).unwrap().is_empty());
    let after = Account {
        owner: Some("ada"),
        debits: i128::MIN,
        credits: 3,
        status: Status::Limited { minor_units: -5 },
        lines: vec![],
        holds: BTreeMap::from([((7, "x"), 6), ((8, "y"), 1)]),
    };
    assert_eq!(
        lines(&differences(&account(), &after).unwrap()),
        [
            "owner: null -> ada".to_owned(),
            format!("debits: {} -> {}", i128::MAX, i128::MIN),
            format!("credits: {} -> 3", u128::MAX),
            "status: Open -> (absent)".to_owned(),
            "lines[0]: 1 -> (absent)".to_owned(),
            "lines[1]: 2 -> (absent)".to_owned(),
            "holds.7,x: 5 -> 6".to_owned(),
            "status.Limited.minor_units: (absent) -> -5".to_owned(),
            "lines: (absent) -> (empty)".to_owned(),
            "holds.8,y: (absent) -> 1".to_owned(),
        ]
    );
}

#[test]
fn variants_with_content_and_values_without_fields_have_paths_of_their_own() {
    let named = differences(&Status::Named("a".into()), &Status::Named("b".into())).unwrap();
    assert_eq!(lines(&named), ["Named: a -> b"]);
    let pair = differences(&Status::Pair(1, 2), &Status::Pair(1, 3)).unwrap();
    assert_eq!(lines(&pair), ["Pair[1]: 2 -> 3"]);
    assert_eq!(lines(&differences(&1, &2).unwrap()), ["1 -> 2"]);
    assert!(differences(&f64::NAN, &f64::NAN).unwrap().is_empty());
}

#[test]
fn more_differences_than_are_listed_are_counted() {
    let many = vec![1u8; DIFFERENCES_MAX + 7];
    let found = differences(&vec![0u8; DIFFERENCES_MAX + 7], &many).unwrap();
    assert_eq!((found.fields.len(), found.omitted), (DIFFERENCES_MAX, 7));
}

#[test]
fn what_nests_too_deep_or_fails_is_an_error_and_no_crash() {
    #[derive(Serialize)]
    struct Nested(Option<Box<Nested>>);
    let nest = |depth| (0..depth).fold(Nested(None), |inner, _| Nested(Some(Box::new(inner))));
    assert!(differences(&nest(20), &nest(20)).unwrap().is_empty());
    let deep = differences(&nest(100_000 / 50), &nest(1));
    assert_eq!(deep, Err(UnserializableState::TooDeep));

    struct Failing;
    impl Serialize for Failing {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("no"))
        }
    }
    let failed = differences(&Failing, &1);
    assert_eq!(failed, Err(UnserializableState::Failed("no".into())));
}
