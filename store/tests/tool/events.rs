//! `foldhouse-store events`: what is printed is what was asked for.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use foldhouse_store::{
    Append, Codec, EventStoreExt, ExpectedVersion, JournalStore, NewEvent, Payload, StreamId,
    Timestamp,
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{damage, options, written};

const EVENTS: u64 = 120;

fn payload(number: u64) -> Payload {
    match number % 4 {
        // {"amount": 7}
        0 => Payload::message_pack(b"\x81\xa6amount\x07".to_vec()),
        1 => Payload {
            codec: Codec::Json,
            key_id: None,
            bytes: r#"{"amount":"2.50"}"#.into(),
        },
        2 => Payload::raw(vec![0xab, 0x01]),
        _ => Payload {
            key_id: std::num::NonZeroU32::new(9),
            ..Payload::message_pack(vec![0xff; 3_000])
        },
    }
}

/// A store with events of which no two are alike.
fn varied() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let store = options().open(directory.path()).unwrap();
    let tokio = tokio::runtime::Runtime::new().unwrap();
    for number in 0..EVENTS {
        let tenant = ["acme", "globex"][usize::from(number % 3 == 0)];
        let stream = StreamId::new(tenant, "account", &(number % 5).to_string()).unwrap();
        let event_type = ["Debited", "Credited", "Closed"][usize::try_from(number % 3).unwrap()];
        let mut event = NewEvent::new(store.clock().new_id(), event_type, payload(number));
        event.correlation_id = Some(Uuid::from_u128(u128::from(number / 10)));
        event.causation_id = (number % 2 == 0).then(|| Uuid::from_u128(u128::from(number / 30)));
        event.user = (number % 7 == 0).then(|| "eve".into());
        event.effective_at = Some(Timestamp::from_unix_micros(number as i64 * 86_400_000_000));
        if number % 9 == 0 {
            event
                .metadata
                .insert("channel".to_owned(), "a=b".to_owned());
        }
        append(&tokio, &store, stream, event);
    }
    store.close();
    directory
}

fn append(
    tokio: &tokio::runtime::Runtime,
    store: &JournalStore,
    stream: StreamId,
    event: NewEvent,
) {
    let append = Append::to(stream, ExpectedVersion::Any, [event]);
    tokio.block_on(store.append(append)).unwrap();
}

fn tool(directory: &std::path::Path, arguments: &[&str]) -> std::process::Output {
    Command::new(env!("CARGO_BIN_EXE_foldhouse-store"))
        .arg("events")
        .arg(directory)
        .args(arguments)
        .output()
        .unwrap()
}

fn found(directory: &std::path::Path, arguments: &[&str]) -> Vec<Value> {
    let output = tool(directory, arguments);
    assert!(output.status.success(), "{output:?}");
    let lines = String::from_utf8(output.stdout).unwrap();
    lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn positions(events: &[Value]) -> Vec<u64> {
    events
        .iter()
        .map(|event| event["position"].as_u64().unwrap())
        .collect()
}

fn those(is_wanted: impl Fn(u64) -> bool) -> Vec<u64> {
    (0..EVENTS)
        .filter(|number| is_wanted(*number))
        .map(|number| number + 1)
        .collect()
}

#[test]
fn every_condition_gives_just_its_events() {
    let directory = varied();
    let find = |arguments: &[&str]| positions(&found(directory.path(), arguments));
    let id = |number: u128| Uuid::from_u128(number).to_string();
    assert_eq!(find(&[]), those(|_| true));
    assert_eq!(find(&["--type", "Closed"]), those(|n| n % 3 == 2));
    assert_eq!(
        find(&["--type", "Closed", "--type", "Debited"]),
        those(|n| n % 3 != 1)
    );
    assert_eq!(find(&["--tenant", "globex"]), those(|n| n % 3 == 0));
    assert_eq!(find(&["--aggregate-type", "item"]), those(|_| false));
    assert_eq!(
        find(&["--stream", "acme/account/2"]),
        those(|n| n % 3 != 0 && n % 5 == 2)
    );
    assert_eq!(find(&["--correlation", &id(4)]), those(|n| n / 10 == 4));
    assert_eq!(
        find(&["--correlation", &id(4), "--tenant", "acme"]),
        those(|n| n / 10 == 4 && n % 3 != 0)
    );
    assert_eq!(
        find(&["--causation", &id(1)]),
        those(|n| n % 2 == 0 && n / 30 == 1)
    );
    assert_eq!(find(&["--user", "eve"]), those(|n| n % 7 == 0));
    assert_eq!(find(&["--metadata", "channel=a=b"]), those(|n| n % 9 == 0));
    assert_eq!(
        find(&["--from", "11", "--until", "20"]),
        (11..=20).collect::<Vec<_>>()
    );
    assert_eq!(
        find(&[
            "--effective-from",
            "1970-01-11T00:00:00Z",
            "--effective-until",
            "1970-01-12T01:00:00+01:00"
        ]),
        [11, 12]
    );
    let mut last = find(&["--newest-first", "--limit", "3", "--user", "eve"]);
    last.reverse();
    assert_eq!(last, those(|n| n % 7 == 0)[15..]);
}

#[test]
fn times_of_recording_bound_what_is_found_on_both_sides() {
    let directory = varied();
    let all = found(directory.path(), &[]);
    let at = |position: usize| all[position - 1]["recorded_at"].as_str().unwrap();
    let between = found(directory.path(), &["--from", at(30), "--until", at(60)]);
    let expected: Vec<u64> = all
        .iter()
        .filter(|event| (at(30)..=at(60)).contains(&event["recorded_at"].as_str().unwrap()))
        .map(|event| event["position"].as_u64().unwrap())
        .collect();
    assert!(expected.contains(&30) && expected.contains(&60));
    assert_eq!(positions(&between), expected);
    assert!(found(directory.path(), &["--from", "2999-01-01T00:00:00Z"]).is_empty());
    assert!(found(directory.path(), &["--until", "1999-01-01T00:00:00Z"]).is_empty());
}

#[test]
fn an_event_is_shown_with_all_its_facts_and_its_payload_as_far_as_it_can_be_read() {
    let directory = varied();
    let all = found(directory.path(), &["--limit", "4"]);
    assert_eq!(all[0]["payload"], json!({"amount": 7}));
    assert_eq!(all[1]["payload"], json!({"amount": "2.50"}));
    assert_eq!(all[2]["payload_hex"], "ab01");
    assert_eq!(all[3]["payload_hex"], "ff".repeat(3_000));
    let first = &all[0];
    assert_eq!(first["stream"], "globex/account/0");
    assert_eq!(first["version"], 1);
    assert_eq!(first["type"], "Debited");
    assert_eq!(first["user"], "eve");
    assert_eq!(first["metadata"], json!({"channel": "a=b"}));
    assert_eq!(first["correlation_id"], Uuid::nil().to_string());
    assert_eq!(first["effective_at"], "1970-01-01T00:00:00.000000Z");
    assert!(all[1].get("user").is_none() && all[1].get("causation_id").is_none());
}

#[test]
fn whoever_reads_only_the_first_lines_breaks_nothing() {
    let directory = varied();
    let mut child = Command::new(env!("CARGO_BIN_EXE_foldhouse-store"))
        .arg("events")
        .arg(directory.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut out = BufReader::with_capacity(64, child.stdout.take().unwrap());
    out.read_line(&mut line).unwrap();
    drop(out);
    let output = child.wait_with_output().unwrap();
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{output:?}"
    );
}

#[test]
fn damage_is_told_with_code_1_and_what_cannot_be_tried_with_code_2() {
    let directory = written();
    let position = damage(directory.path());
    let output = tool(directory.path(), &["--type", "Debited"]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains(&format!("position {position}")), "{told}");
    for arguments in [
        &["--correlation", "no id"][..],
        &["--metadata", "channel"],
        &["--effective-from", "4711"],
        &["--stream", "a/b"],
    ] {
        assert_eq!(tool(directory.path(), arguments).status.code(), Some(2));
    }
    let nowhere = tool(&directory.path().join("nowhere"), &[]);
    assert_eq!(nowhere.status.code(), Some(2));
}
