use std::sync::LazyLock;

use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use super::*;
use crate::upcasters::Upcasters;

/// A build of an aggregate: its events, its state, its upcasters, its samples.
macro_rules! build {
    ($name:ident, schema $schema:literal, $event:ty, $upcasters:expr, $samples:expr, $apply:expr) => {
        #[derive(Clone, Debug, Default, Serialize, Deserialize)]
        struct $name {
            cents: i64,
        }

        impl Aggregate for $name {
            const TYPE: &'static str = "till";
            const STATE_SCHEMA: u32 = $schema;
            type Event = $event;

            fn apply(&mut self, event: &$event) {
                let apply: fn(&mut i64, &$event) = $apply;
                apply(&mut self.cents, event);
            }

            fn upcasters() -> &'static Upcasters<$event> {
                static UPCASTERS: LazyLock<Upcasters<$event>> = LazyLock::new(|| $upcasters);
                &UPCASTERS
            }

            fn samples() -> Vec<$event> {
                $samples
            }
        }
    };
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum First {
    Opened,
    Paid { euros: i64, memo: Option<String> },
}

fn first_samples() -> Vec<First> {
    vec![
        First::Opened,
        First::Paid {
            euros: 5,
            memo: None,
        },
        First::Paid {
            euros: 7,
            memo: Some("rent".to_owned()),
        },
    ]
}

fn first_apply(cents: &mut i64, event: &First) {
    if let First::Paid { euros, .. } = event {
        *cents += euros * 100;
    }
}

build!(FirstBuild, schema 1, First, Upcasters::new(), first_samples(), first_apply);

fn check<A: Aggregate>(directory: &TempDir, mode: GoldenMode) -> Result<Vec<String>, GoldenError> {
    let written = GoldenEvents::<A>::new(directory.path())
        .mode(mode)
        .check()?;
    let mut names: Vec<_> = written
        .iter()
        .map(|file| file.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    names.sort();
    Ok(names)
}

fn problems<A: Aggregate>(directory: &TempDir) -> Vec<GoldenProblem> {
    check::<A>(directory, GoldenMode::WriteMissing)
        .unwrap_err()
        .problems
}

/// The directory that the first build left.
fn first_files() -> TempDir {
    let directory = TempDir::new().unwrap();
    let written = check::<FirstBuild>(&directory, GoldenMode::WriteMissing).unwrap();
    assert_eq!(
        written,
        ["Opened.v1.golden", "Paid.v1.golden", "state.golden"]
    );
    directory
}

fn text(directory: &TempDir, file: &str) -> String {
    std::fs::read_to_string(directory.path().join(file)).unwrap()
}

#[test]
fn files_are_written_once_say_what_the_bytes_say_and_hold_from_then_on() {
    let directory = first_files();
    let paid = text(&directory, "Paid.v1.golden");
    let expected = "\
aggregate till

event Paid, schema version 1: 82a56575726f7305a46d656d6fc0
    {
        euros: integer 5
        memo: nothing
    }

event Paid, schema version 1: 82a56575726f7307a46d656d6fa472656e74
    {
        euros: integer 7
        memo: text \"rent\"
    }
";
    assert!(paid.ends_with(expected), "{paid}");
    assert!(
        text(&directory, "Opened.v1.golden")
            .contains("event Opened, schema version 1: no payload\n")
    );
    assert!(text(&directory, "state.golden").contains("cents: integer 1200"));
    for mode in [
        GoldenMode::WriteMissing,
        GoldenMode::Check,
        GoldenMode::Update,
    ] {
        assert_eq!(check::<FirstBuild>(&directory, mode).unwrap(), [""; 0]);
    }
}

#[test]
fn where_nothing_may_be_written_a_missing_file_is_a_failure() {
    let directory = TempDir::new().unwrap();
    let error = check::<FirstBuild>(&directory, GoldenMode::Check).unwrap_err();
    assert!(
        error.to_string().contains("Paid.v1.golden is missing"),
        "{error}"
    );
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    // A state that misses an event, too.
    let directory = first_files();
    std::fs::remove_file(directory.path().join("state.golden")).unwrap();
    assert!(check::<FirstBuild>(&directory, GoldenMode::Check).is_err());
}

/// Names a build of `First`'s kind whose `Paid` has this shape, and what the first build's files tell of it.
macro_rules! changed_shape {
    ($name:ident, { $($paid:tt)* }, $sample:expr) => {{
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        enum Changed {
            Opened,
            Paid { $($paid)* },
        }
        use Changed::Paid;
        build!($name, schema 1, Changed, Upcasters::new(), vec![Changed::Opened, $sample], |_, _| {});
        problems::<$name>(&first_files())
    }};
}

fn is_changed_shape(problems: &[GoldenProblem], expected: &str) {
    let found = problems.iter().any(|problem| {
        matches!(problem, GoldenProblem::ShapeChanged { event_type, schema_version: 1, .. } if event_type == "Paid")
            && problem.to_string().contains(expected)
    });
    assert!(found, "{problems:?}");
}

#[test]
fn a_shape_that_changed_without_its_version_is_told_by_its_fields() {
    let added = changed_shape!(
        Added,
        { euros: i64, memo: Option<String>, #[serde(default)] till: u8 },
        Paid { euros: 5, memo: None, till: 1 }
    );
    is_changed_shape(&added, "+ till: integer");
    let removed = changed_shape!(Removed, { euros: i64 }, Paid { euros: 5 });
    is_changed_shape(&removed, "- memo: text");
    let renamed = changed_shape!(
        Renamed,
        { #[serde(alias = "euros")] amount: i64, memo: Option<String> },
        Paid { amount: 5, memo: Some("rent".to_owned()) }
    );
    is_changed_shape(&renamed, "+ amount: integer");
    let other_type = changed_shape!(
        OtherType,
        { euros: String, memo: Option<String> },
        Paid { euros: "5".to_owned(), memo: Some("rent".to_owned()) }
    );
    is_changed_shape(&other_type, "+ euros: text");
    assert!(
        other_type
            .iter()
            .any(|problem| matches!(problem, GoldenProblem::Unreadable { .. }))
    );
}

#[test]
fn a_field_whose_sample_is_not_changed_is_seen_in_the_stored_bytes() {
    // The samples show no new field, as it is left out where it is empty; the old bytes would lose one.
    let lost = changed_shape!(
        Lost,
        { euros: i64, #[serde(skip_serializing)] #[serde(default)] memo: Option<String> },
        Paid { euros: 5, memo: None }
    );
    is_changed_shape(&lost, "memo");
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    enum Kind {
        #[serde(alias = "Cash")]
        Coins,
    }
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    enum OldKind {
        Cash,
    }
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    enum Before {
        Paid { kind: OldKind },
    }
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    enum After {
        Paid { kind: Kind },
    }
    build!(BeforeBuild, schema 1, Before, Upcasters::new(), vec![Before::Paid { kind: OldKind::Cash }], |_, _| {});
    build!(AfterBuild, schema 1, After, Upcasters::new(), vec![After::Paid { kind: Kind::Coins }], |_, _| {});
    let directory = TempDir::new().unwrap();
    check::<BeforeBuild>(&directory, GoldenMode::WriteMissing).unwrap();
    is_changed_shape(
        &problems::<AfterBuild>(&directory),
        "-     kind: text \"Cash\"\n    +     kind: text \"Coins\"",
    );
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Second {
    Opened,
    #[serde(rename = "Paid")]
    Payment {
        cents: i64,
        memo: Option<String>,
    },
}

fn second_samples() -> Vec<Second> {
    vec![
        Second::Opened,
        Second::Payment {
            cents: 5,
            memo: Some("fee".to_owned()),
        },
    ]
}

fn second_apply(cents: &mut i64, event: &Second) {
    if let Second::Payment { cents: by, .. } = event {
        *cents += by;
    }
}

fn to_cents() -> Upcasters<Second> {
    Upcasters::new().on("Paid", 1, |fields| {
        let euros: i64 = fields.take("euros")?;
        fields.set("cents", &(euros * 100))
    })
}

build!(SecondBuild, schema 1, Second, to_cents(), second_samples(), second_apply);

#[test]
fn an_event_with_a_new_version_gets_a_file_of_its_own_and_the_old_one_stays() {
    let directory = first_files();
    let old = text(&directory, "Paid.v1.golden");
    // What the old events lead to did not change, so the states hold, and the new event is put behind them.
    assert_eq!(
        check::<SecondBuild>(&directory, GoldenMode::WriteMissing).unwrap(),
        ["Paid.v2.golden", "state.golden"]
    );
    assert_eq!(text(&directory, "Paid.v1.golden"), old);
    assert!(text(&directory, "state.golden").contains("cents: integer 1205"));
    assert_eq!(
        check::<SecondBuild>(&directory, GoldenMode::Check).unwrap(),
        [""; 0]
    );
    // Not even an update writes it anew: such events are in journals.
    check::<SecondBuild>(&directory, GoldenMode::Update).unwrap();
    assert_eq!(text(&directory, "Paid.v1.golden"), old);
    // The first build cannot read what the second one records.
    let problems = problems::<FirstBuild>(&directory);
    assert!(
        problems.iter().any(|problem| matches!(
            problem,
            GoldenProblem::Unreadable { schema_version: 2, error, .. } if error.contains("versions up to 1")
        )),
        "{problems:?}"
    );
}

#[test]
fn an_old_sample_that_an_upcaster_does_not_take_any_more_is_told() {
    build!(
        Broken, schema 1, Second,
        Upcasters::new().on("Paid", 1, |fields| fields.rename("amount", "cents")),
        second_samples(), second_apply
    );
    build!(Gone, schema 1, Second, Upcasters::new().version("Paid", 2), second_samples(), second_apply);
    let unreadable = |problems: Vec<GoldenProblem>| {
        let found = problems.iter().any(|problem| {
            matches!(
                problem,
                GoldenProblem::Unreadable {
                    schema_version: 1,
                    ..
                }
            ) && problem.to_string().contains("Paid.v1.golden")
        });
        assert!(found, "{problems:?}");
    };
    unreadable(problems::<Broken>(&first_files()));
    unreadable(problems::<Gone>(&first_files()));
}

#[test]
fn an_event_type_or_an_upcaster_without_a_sample_is_told() {
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    enum Many {
        #[serde(alias = "Began")]
        Opened,
        #[serde(rename = "Shut")]
        Closed,
    }
    build!(
        Forgetful, schema 1, Many,
        Upcasters::new().on("Opened", 1, |_| Ok(())),
        vec![Many::Opened], |_, _| {}
    );
    build!(None, schema 1, Many, Upcasters::new(), vec![], |_, _| {});
    let directory = TempDir::new().unwrap();
    let no_sample = |event_type: &str| GoldenProblem::NoSample {
        event_type: event_type.to_owned(),
    };
    let no_old_sample = GoldenProblem::NoOldSample {
        event_type: "Opened".to_owned(),
        schema_version: 1,
    };
    assert_eq!(
        problems::<Forgetful>(&directory),
        [no_sample("Shut"), no_old_sample]
    );
    // An alias is no event type, where there is a sample to tell.
    assert!(problems::<None>(&directory).contains(&no_sample("Shut")));
    GoldenEvents::<Forgetful>::new(TempDir::new().unwrap().path())
        .mode(GoldenMode::WriteMissing)
        .samples([Many::Opened, Many::Closed])
        .old_sample("Opened", 1, &Fields::none())
        .check()
        .unwrap();
}

#[test]
fn a_step_that_only_others_lead_to_needs_no_file_of_its_own() {
    build!(
        Renamed, schema 1, Second,
        Upcasters::new()
            .rename("Payed", "Paid")
            .on("Paid", 1, |fields| fields.rename("euros", "cents")),
        second_samples(), second_apply
    );
    let mut fields = Fields::none();
    fields.set("euros", &3).unwrap();
    fields.set("memo", "typo").unwrap();
    GoldenEvents::<Renamed>::new(TempDir::new().unwrap().path())
        .mode(GoldenMode::WriteMissing)
        .old_sample("Payed", 1, &fields)
        .check()
        .unwrap();
}

#[test]
fn an_apply_that_changed_its_meaning_is_told_until_the_state_schema_rises() {
    fn other_apply(cents: &mut i64, event: &First) {
        if let First::Paid { euros, .. } = event {
            *cents += euros * 101;
        }
    }
    build!(Changed, schema 1, First, Upcasters::new(), first_samples(), other_apply);
    build!(Raised, schema 2, First, Upcasters::new(), first_samples(), other_apply);
    let directory = first_files();
    let told = problems::<Changed>(&directory);
    assert!(
        matches!(
            &told[..],
            [GoldenProblem::StateChanged { event_type, difference, .. }]
                if event_type == "Paid" && difference == "    -     cents: integer 500\n    +     cents: integer 505"
        ),
        "{told:?}"
    );
    assert_eq!(
        check::<Raised>(&directory, GoldenMode::WriteMissing).unwrap(),
        ["state.golden"]
    );
    assert_eq!(
        check::<Raised>(&directory, GoldenMode::Check).unwrap(),
        [""; 0]
    );
    assert!(matches!(
        &problems::<Changed>(&directory)[..],
        [GoldenProblem::StateSchemaWentBack {
            state_schema: 1,
            before: 2,
            ..
        }]
    ));
    // Or where nothing of it was ever kept.
    let directory = first_files();
    assert_eq!(
        check::<Changed>(&directory, GoldenMode::Update).unwrap(),
        ["state.golden"]
    );
    assert_eq!(
        check::<Changed>(&directory, GoldenMode::Check).unwrap(),
        [""; 0]
    );
}

#[test]
fn an_upcaster_that_changed_its_meaning_is_told_by_the_state() {
    build!(
        Misread, schema 1, Second,
        Upcasters::new().on("Paid", 1, |fields| fields.rename("euros", "cents")),
        second_samples(), second_apply
    );
    let directory = first_files();
    check::<SecondBuild>(&directory, GoldenMode::WriteMissing).unwrap();
    assert!(matches!(
        &problems::<Misread>(&directory)[..],
        [GoldenProblem::StateChanged { .. }]
    ));
}

#[test]
fn edited_foreign_and_unreadable_files_are_told() {
    let directory = first_files();
    let state = directory.path().join("state.golden");
    let edited = text(&directory, "state.golden").replace("1200", "1201");
    std::fs::write(&state, edited).unwrap();
    assert!(matches!(
        &problems::<FirstBuild>(&directory)[..],
        [GoldenProblem::NotGolden { .. }]
    ));

    for (from, to) in [
        ("aggregate till", "aggregate other"),
        ("aggregate till", ""),
        ("schema version 1: 82", "schema version 1: 8x"),
        ("schema version 1: 82", "schema version 0x1: 82"),
        ("event", "<<<<<<< event"),
    ] {
        let directory = first_files();
        let paid = directory.path().join("Paid.v1.golden");
        std::fs::write(&paid, text(&directory, "Paid.v1.golden").replace(from, to)).unwrap();
        // Again and again: it is not written over.
        for _ in 0..2 {
            let told = problems::<FirstBuild>(&directory);
            assert!(
                matches!(&told[..], [GoldenProblem::NotGolden { file, .. }] if *file == paid),
                "{told:?}"
            );
        }
    }
}

#[test]
fn an_event_type_of_any_name_has_a_file() {
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    enum Odd {
        #[serde(rename = "../a b, schema version 7: ü")]
        Odd(u8),
    }
    build!(OddBuild, schema 1, Odd, Upcasters::new(), vec![Odd::Odd(1)], |_, _| {});
    let directory = TempDir::new().unwrap();
    let written = check::<OddBuild>(&directory, GoldenMode::WriteMissing).unwrap();
    assert!(written[0].starts_with("%2e%2e%2fa%20b"), "{written:?}");
    assert_eq!(
        check::<OddBuild>(&directory, GoldenMode::Check).unwrap(),
        [""; 0]
    );
}
