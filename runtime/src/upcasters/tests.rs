use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use super::*;
use crate::aggregate::Aggregate;
use crate::event_codec::{EventCodecError, Events, decode_event, decode_events, version_to_record};
use crate::fold::fold;
use crate::testing::recorded;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Movement {
    #[serde(rename = "Debited")]
    DebitOfTheAccount {
        minor_units: i64,
        currency: String,
    },
    Credited {
        minor_units: i64,
    },
    FeeTaken(i64),
    Closed,
    Noted(String),
    Untouched {
        a: u8,
    },
    Withdrawn {
        minor_units: i64,
    },
    Late {},
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Account {
    seen: Vec<Movement>,
}

/// Makes an aggregate of these events whose upcasters are these.
macro_rules! aggregate {
    ($name:ident, $upcasters:expr) => {
        #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
        struct $name(Account);

        impl Aggregate for $name {
            const TYPE: &'static str = "account";
            type Event = Movement;

            fn apply(&mut self, event: &Movement) {
                self.0.seen.push(event.clone());
            }

            fn upcasters() -> &'static Upcasters<Movement> {
                static UPCASTERS: LazyLock<Upcasters<Movement>> = LazyLock::new(|| $upcasters);
                &UPCASTERS
            }
        }
    };
}

#[derive(Deserialize)]
struct DebitedV1 {
    amount: i64,
}

#[derive(Serialize, Deserialize)]
struct DebitedV2 {
    minor_units: i64,
}

#[derive(Deserialize)]
struct ChargedV1 {
    amount: i64,
    fee: i64,
}

aggregate!(
    Evolved,
    Upcasters::new()
        .rename("Taken", "Debited")
        .convert("Debited", 1, |old: DebitedV1| Ok(DebitedV2 {
            minor_units: old.amount * 100
        }))
        .on("Debited", 2, |fields| fields
            .set_default("currency", &"EUR"))
        .split("Transferred", 2, |mut old| {
            let amount: i64 = old.fields.get("amount")?;
            let mut credited = Fields::none();
            credited.set("minor_units", &(amount * 100))?;
            Ok(vec![
                OldEvent::new("Debited", 1, old.fields),
                OldEvent::new("Credited", 1, credited),
            ])
        })
        .from("Charged", 1, |old: ChargedV1| Ok([
            Movement::Credited {
                minor_units: old.amount
            },
            Movement::FeeTaken(old.fee)
        ]))
        .split("Pinged", 1, |_| Ok(Vec::new()))
        .on("Closed", 1, |fields| {
            *fields = Fields::none();
            Ok(())
        })
        .version("Late", 3)
        .skip("Gossip")
        .skip_newer("Noted")
);

fn fields(pairs: &[(&str, i64)]) -> Fields {
    let mut fields = Fields::none();
    for (name, value) in pairs {
        fields.set(name, value).unwrap();
    }
    fields
}

fn read_as<A: Aggregate>(
    event_type: &str,
    version: u16,
    fields: &Fields,
) -> Result<Events<A::Event>, EventCodecError> {
    decode_events::<A>(&recorded::<A>(event_type, version, fields)).unwrap()
}

fn read(event_type: &str, version: u16, pairs: &[(&str, i64)]) -> Vec<Movement> {
    read_as::<Evolved>(event_type, version, &fields(pairs))
        .unwrap()
        .to_vec()
}

fn debited(minor_units: i64) -> Movement {
    Movement::DebitOfTheAccount {
        minor_units,
        currency: "EUR".to_owned(),
    }
}

#[test]
fn an_event_goes_through_every_version_behind_its_own_over_structs_and_fields() {
    assert_eq!(read("Debited", 1, &[("amount", 5)]), [debited(500)]);
    assert_eq!(read("Debited", 2, &[("minor_units", 5)]), [debited(5)]);
    let mut today = fields(&[("minor_units", 7)]);
    today.set("currency", &"CHF").unwrap();
    assert_eq!(
        read_as::<Evolved>("Debited", 3, &today).unwrap()[..],
        [Movement::DebitOfTheAccount {
            minor_units: 7,
            currency: "CHF".to_owned()
        }]
    );
}

#[test]
fn an_event_becomes_several_in_order_each_from_its_own_version_on() {
    // No step starts from version 1: it is taken as 2.
    for version in [1, 2] {
        assert_eq!(
            read("Transferred", version, &[("amount", 3)]),
            [debited(300), Movement::Credited { minor_units: 300 }]
        );
    }
    assert_eq!(
        read("Charged", 1, &[("amount", 9), ("fee", 1)]),
        [Movement::Credited { minor_units: 9 }, Movement::FeeTaken(1)]
    );
}

#[test]
fn an_event_becomes_none_by_a_step_or_because_it_is_skipped() {
    assert_eq!(read("Pinged", 1, &[]), []);
    assert_eq!(read("Gossip", 9, &[("anything", 1)]), []);
    // One that is skipped is not even looked at.
    let mut garbled = recorded::<Evolved>("Gossip", 1, &Fields::none());
    garbled.payload.bytes = vec![0xc1].into();
    assert!(decode_event::<Evolved>(&garbled).is_none());
}

#[test]
fn a_renamed_type_is_read_at_the_same_version_of_the_other() {
    assert_eq!(read("Taken", 1, &[("amount", 5)]), [debited(500)]);
    assert_eq!(read("Taken", 2, &[("minor_units", 5)]), [debited(5)]);
}

#[test]
fn a_variant_without_fields_can_come_from_one_that_had_some() {
    assert_eq!(read("Closed", 1, &[("reason", 4)]), [Movement::Closed]);
    assert_eq!(read("Closed", 2, &[]), [Movement::Closed]);
}

#[test]
fn a_type_of_which_nothing_is_declared_is_read_as_ever() {
    assert_eq!(
        read("Untouched", 1, &[("a", 1)]),
        [Movement::Untouched { a: 1 }]
    );
    let mut late = fields(&[("a", 1)]);
    late.remove("a").unwrap();
    for version in [1, 2, 3] {
        assert_eq!(
            read_as::<Evolved>("Late", version, &late).unwrap()[..],
            [Movement::Late {}]
        );
    }
}

#[test]
fn events_are_recorded_with_the_version_that_their_steps_lead_to() {
    let version = |event: Movement, event_type| version_to_record::<Evolved>(&event, event_type);
    assert_eq!(version(debited(1), "Debited"), Ok(3));
    assert_eq!(version(Movement::Late {}, "Late"), Ok(3));
    assert_eq!(version(Movement::Untouched { a: 1 }, "Untouched"), Ok(1));
    assert_eq!(version(Movement::Noted(String::new()), "Noted"), Ok(1));
}

#[test]
fn an_event_of_a_newer_version_or_an_unknown_type_is_told_with_what_is_known() {
    let newer = |event_type, version| {
        read_as::<Evolved>(
            event_type,
            version,
            &fields(&[("a", 1), ("minor_units", 1)]),
        )
        .unwrap_err()
    };
    for (event_type, found, known) in [("Debited", 4, 3), ("Untouched", 2, 1), ("Late", 4, 3)] {
        let error = newer(event_type, found);
        assert_eq!(
            error,
            EventCodecError::NewerSchema {
                event_type: event_type.to_owned(),
                found,
                known
            }
        );
        let text = error.to_string();
        assert!(
            text.contains("skip_newer") && text.contains(event_type),
            "{text}"
        );
    }
    assert!(matches!(
        newer("Invented", 1),
        EventCodecError::UnknownType { .. }
    ));
    // Declared to be passed over, and only if it is newer.
    assert_eq!(read("Noted", 2, &[("other", 1)]), []);
    let noted = Fields::of("hello").unwrap();
    assert_eq!(
        read_as::<Evolved>("Noted", 1, &noted).unwrap()[..],
        [Movement::Noted("hello".to_owned())]
    );
}

#[test]
fn a_single_event_is_read_as_one_and_several_are_not_cut_down_to_one() {
    let one = recorded::<Evolved>("Debited", 1, &fields(&[("amount", 1)]));
    assert_eq!(
        decode_event::<Evolved>(&one).unwrap().unwrap(),
        debited(100)
    );
    let several = recorded::<Evolved>("Transferred", 2, &fields(&[("amount", 1)]));
    assert_eq!(
        decode_event::<Evolved>(&several).unwrap().unwrap_err(),
        EventCodecError::Several {
            event_type: "Transferred".to_owned(),
            events: 2
        }
    );
    let none = recorded::<Evolved>("Pinged", 1, &Fields::none());
    assert!(decode_event::<Evolved>(&none).is_none());
}

#[test]
fn a_state_is_folded_from_what_the_events_are_today() {
    let mut state = Evolved::default();
    for (event_type, pairs) in [
        ("Pinged", &[][..]),
        ("Transferred", &[("amount", 1)]),
        ("Taken", &[("amount", 2)]),
    ] {
        fold(
            &mut state,
            &recorded::<Evolved>(event_type, 1, &fields(pairs)),
        )
        .unwrap();
    }
    assert_eq!(
        state.0.seen,
        [
            debited(100),
            Movement::Credited { minor_units: 100 },
            debited(200)
        ]
    );
}

aggregate!(
    Failing,
    Upcasters::new()
        .on("Debited", 1, |_| panic!("told to"))
        .on("Credited", 1, |_| Err("no rate for that day".into()))
        .from("Untouched", 1, |old: ChargedV1| Ok([Movement::FeeTaken(
            old.fee
        )]))
        .split("Noted", 1, |old| Ok(vec![old.clone(), old]))
        .rename("Withdrawn", "Closed")
        .rename("Closed", "Withdrawn")
        .split("Late", 1, |old| Ok(vec![
            OldEvent::new(
                "Late", 2, old.fields
            );
            UPCAST_EVENTS_MAX + 1
        ]))
        .split("FeeTaken", 1, |old| Ok(vec![
            OldEvent::new(
                "FeeTaken", 2, old.fields
            );
            UPCAST_EVENTS_MAX
        ]))
);

#[test]
fn an_upcaster_that_fails_or_panics_is_an_error_that_names_its_type_and_version() {
    let error = |event_type| {
        read_as::<Failing>(event_type, 1, &Fields::none())
            .unwrap_err()
            .to_string()
    };
    let panicked = error("Debited");
    assert!(
        panicked.contains("Debited from schema version 1"),
        "{panicked}"
    );
    assert!(panicked.contains("panicked: told to"), "{panicked}");
    assert!(error("Credited").contains("no rate for that day"));
    // The old content is not what the upcaster takes it for.
    assert!(error("Untouched").contains("Untouched from schema version 1"));
    let mut state = Failing::default();
    let event = recorded::<Failing>("Debited", 1, &Fields::none());
    let unreadable = fold(&mut state, &event).unwrap_err().to_string();
    assert!(
        unreadable.contains("event 1 of stream golden/account/1 (type Debited, schema 1)"),
        "{unreadable}"
    );
}

#[test]
fn upcasters_that_lead_in_a_circle_or_to_too_much_come_to_an_end() {
    for event_type in ["Noted", "Withdrawn", "Closed", "Late"] {
        let error = read_as::<Failing>(event_type, 1, &Fields::none()).unwrap_err();
        assert!(
            matches!(&error, EventCodecError::UpcastWithoutEnd { event_type: found, .. } if found == event_type),
            "{error}"
        );
    }
    let most = read_as::<Failing>("FeeTaken", 1, &Fields::of(&3).unwrap()).unwrap();
    assert_eq!(most.len(), UPCAST_EVENTS_MAX);
}

#[test]
fn a_type_that_would_be_lost_when_it_is_read_is_not_recorded() {
    for (event, event_type) in [
        (Movement::Withdrawn { minor_units: 1 }, "Withdrawn"),
        (Movement::Closed, "Closed"),
    ] {
        assert!(matches!(
            version_to_record::<Failing>(&event, event_type),
            Err(EventCodecError::Retired { .. })
        ));
    }
}

#[test]
fn declarations_that_contradict_each_other_are_told_before_anything_is_read_or_written() {
    let on = |fields: &mut Fields| fields.set("a", &1);
    let contradictions: [(Upcasters<Movement>, &str); 7] = [
        (
            Upcasters::new().on("Noted", 1, on).on("Noted", 1, on),
            "two steps",
        ),
        (Upcasters::new().on("Noted", 0, on), "version 0"),
        (Upcasters::new().on("Noted", u16::MAX, on), "version 65535"),
        (
            Upcasters::new().version("Noted", 2).on("Noted", 2, on),
            "its version is 2",
        ),
        (
            Upcasters::new().rename("Noted", "A").rename("Noted", "B"),
            "renamed twice",
        ),
        (
            Upcasters::new().skip("Noted").on("Noted", 1, on),
            "only one",
        ),
        (Upcasters::new().version("Noted", 0), "count from 1"),
    ];
    for (upcasters, what) in contradictions {
        let error = upcasters.version_to_record("Untouched").unwrap_err();
        assert!(error.to_string().contains(what), "{error}");
        assert!(error.to_string().contains("Noted"), "{error}");
    }
}

aggregate!(
    Contradictory,
    Upcasters::new().version("Late", 2).version("Late", 3)
);

#[test]
fn contradictory_upcasters_read_nothing() {
    assert!(matches!(
        read_as::<Contradictory>("Untouched", 1, &fields(&[("a", 1)])),
        Err(EventCodecError::Upcasters { .. })
    ));
}

#[test]
fn fields_keep_what_is_not_touched_and_say_what_is_missing() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Wide {
        big: i128,
        bytes: uuid::Uuid,
        float: f32,
        inner: Option<Vec<u8>>,
    }
    let wide = Wide {
        big: i128::MIN,
        bytes: uuid::Uuid::from_u128(7),
        float: 0.1,
        inner: Some(vec![1, 200]),
    };
    let payload = rmp_serde::to_vec_named(&wide).unwrap();
    let mut fields = Fields::recorded(payload.clone().into());
    fields.set("more", &1).unwrap();
    assert!(fields.remove("more").unwrap());
    assert!(!fields.remove("more").unwrap());
    // Every byte, after it was taken apart and put together again.
    assert_eq!(fields.clone().into_payload().unwrap(), payload);
    assert_eq!(fields.read::<Wide>().unwrap(), wide);

    let text = |error: UpcastError| error.to_string();
    assert_eq!(
        text(fields.get::<i64>("none").unwrap_err()),
        "there is no field none"
    );
    assert!(text(fields.get::<String>("float").unwrap_err()).starts_with("field float: "));
    assert!(text(fields.rename("big", "float").unwrap_err()).contains("there already"));
    fields.rename("absent", "float").unwrap();
    assert_eq!(fields.take::<f32>("float").unwrap(), 0.1);
    assert_eq!(fields.names().unwrap(), ["big", "bytes", "inner"]);
    let mut single = Fields::of("text").unwrap();
    assert!(text(single.set("a", &1).unwrap_err()).contains("no named fields"));
    assert_eq!(single.read::<String>().unwrap(), "text");
}

#[test]
fn fields_within_fields_are_taken_changed_and_set_again() {
    let mut event = Fields::none();
    event.set("amount", &fields(&[("euros", 3)])).unwrap();
    let mut amount: Fields = event.take("amount").unwrap();
    amount.rename("euros", "units").unwrap();
    event.set("amount", &amount).unwrap();
    assert_eq!(event.to_string(), r#"{"amount": {"units": 3}}"#);
}

#[test]
fn garbled_payloads_of_old_versions_are_errors_and_no_panics() {
    for bytes in [
        &[0xc1][..],
        &[0xdf, 255, 255, 255, 255],
        &[0x91; 5_000],
        &[0x80, 0x80],
    ] {
        for event_type in ["Debited", "Transferred", "Charged", "Taken"] {
            let mut event = recorded::<Evolved>(event_type, 1, &Fields::none());
            event.payload.bytes = bytes.to_vec().into();
            let error = decode_events::<Evolved>(&event).unwrap().unwrap_err();
            assert!(matches!(error, EventCodecError::Upcast { .. }), "{error}");
        }
    }
}
