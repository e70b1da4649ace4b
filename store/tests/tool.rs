//! The command line tool, end to end.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use foldhouse_store::{
    Append, Appended, Consent, EventStoreExt, ExpectedVersion, JournalOptions, JournalStore,
    NewEvent, Payload, Position, StreamId, repair, verify,
};

#[path = "tool/copies.rs"]
mod copies;
#[path = "tool/events.rs"]
mod events;

const EVENTS: u64 = 150;

fn options() -> JournalOptions {
    JournalOptions::new().segment_bytes(256 << 10)
}

/// A store with several segments.
fn written() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let store = options().open(directory.path()).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for _ in 0..EVENTS {
        append(&runtime, &store, 1);
    }
    drop(store);
    directory
}

/// Appends so many events together.
fn append(runtime: &tokio::runtime::Runtime, store: &JournalStore, count: usize) -> Appended {
    let stream = StreamId::new("acme", "gl-account", "1000").unwrap();
    let event = |_| {
        let id = store.clock().new_id();
        NewEvent::new(id, "Debited", Payload::raw(vec![0x5a; 3_000]))
    };
    let append = Append::to(stream, ExpectedVersion::Any, (0..count).map(event));
    runtime.block_on(store.append(append)).unwrap()
}

fn segments(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory.join("journal")).unwrap();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| {
        path.extension()
            .is_some_and(|extension| extension == "segment")
    });
    paths.sort();
    paths
}

/// Flips a bit in the third frame of the second segment; gives back the position that is damaged.
fn damage(directory: &Path) -> u64 {
    let path = &segments(directory)[1];
    let name = path.file_stem().unwrap().to_str().unwrap();
    let mut bytes = fs::read(path).unwrap();
    bytes[4_096 * 3 + 200] ^= 1;
    fs::write(path, bytes).unwrap();
    name.parse::<u64>().unwrap() + 2
}

fn tool(arguments: &[&str], directory: &Path, answer: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_foldhouse-store"))
        .args(arguments)
        .arg(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // Whoever does not ask has closed its end.
    let _ = stdin.write_all(answer.as_bytes());
    drop(stdin);
    child.wait_with_output().unwrap()
}

fn text(output: &Output) -> String {
    let out = String::from_utf8_lossy(&output.stdout);
    format!("{out}{}", String::from_utf8_lossy(&output.stderr))
}

fn all_files(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(all_files(&path));
        } else {
            files.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
    files
}

#[test]
fn verify_tells_whether_a_store_is_whole_and_how_it_was_found_out() {
    let directory = written();
    let whole = tool(&["verify"], directory.path(), "");
    assert_eq!(whole.status.code(), Some(0), "{}", text(&whole));
    assert!(text(&whole).contains("150 events of 1 streams up to position 150: whole"));
    let report = verify(directory.path(), &mut |_| ()).unwrap();
    let json = tool(&["verify", "--json"], directory.path(), "");
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["whole"], true);
    assert_eq!(json["head"], EVENTS);
    let hash: String = report
        .last_hash
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(json["last_hash"], hash);
    assert!(text(&whole).contains(&hash));

    let position = damage(directory.path());
    let damaged = tool(&["verify"], directory.path(), "");
    assert_eq!(damaged.status.code(), Some(1));
    let named = format!("at offset 12288 (position {position})");
    assert!(text(&damaged).contains(&named), "{}", text(&damaged));
    let json = tool(&["verify", "--json"], directory.path(), "");
    assert_eq!(json.status.code(), Some(1));
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["findings"][0]["offset"], 12_288);
    assert_eq!(json["findings"][0]["position"], position);
}

#[test]
fn what_cannot_be_looked_at_ends_with_2_and_says_why() {
    let directory = written();
    let elsewhere = directory.path().join("nowhere");
    let store = options().open(directory.path()).unwrap();
    for (arguments, place, what) in [
        (&["verify"][..], &*elsewhere, "no such directory"),
        (&["repair", "--yes"], &*elsewhere, "no such directory"),
        (
            &["verify"],
            &*directory.path().join("journal"),
            "no `journal`",
        ),
        (
            &["repair"],
            directory.path(),
            "open for writing by another process",
        ),
        (&["mend"], directory.path(), "unrecognized subcommand"),
        (
            &["verify", "--fast"],
            directory.path(),
            "unexpected argument",
        ),
    ] {
        let output = tool(arguments, place, "");
        assert_eq!(
            output.status.code(),
            Some(2),
            "{arguments:?}: {}",
            text(&output)
        );
        assert!(
            text(&output).contains(what),
            "{arguments:?}: {}",
            text(&output)
        );
    }
    let in_use = tool(&["verify"], directory.path(), "");
    assert_eq!(in_use.status.code(), Some(0), "{}", text(&in_use));
    assert!(text(&in_use).contains("in use"), "{}", text(&in_use));
    drop(store);
}

#[test]
fn repair_changes_nothing_without_a_yes_and_moves_aside_with_one() {
    let directory = written();
    let position = damage(directory.path());
    let before = all_files(directory.path());
    for answer in ["", "no\n", "y\n"] {
        let refused = tool(&["repair"], directory.path(), answer);
        assert_eq!(refused.status.code(), Some(1), "{}", text(&refused));
        assert!(text(&refused).contains(&format!("positions {position} to {EVENTS}")));
        assert_eq!(all_files(directory.path()), before);
    }
    let done = tool(&["repair"], directory.path(), "yes\n");
    assert_eq!(done.status.code(), Some(0), "{}", text(&done));
    assert!(
        text(&done).contains("to journal.damaged-1/"),
        "{}",
        text(&done)
    );
    assert!(text(&done).contains(&format!("holds up to position {}", position - 1)));
    let verified = tool(&["verify"], directory.path(), "");
    assert_eq!(verified.status.code(), Some(0), "{}", text(&verified));
    let store = options().open(directory.path()).unwrap();
    assert_eq!(store.recovery().head, Position::new(position - 1));
    drop(store);
    let again = tool(&["repair", "--yes"], directory.path(), "");
    assert_eq!(again.status.code(), Some(0));
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let (path, target) = (
            entry.as_ref().unwrap().path(),
            to.join(entry.unwrap().file_name()),
        );
        if path.is_dir() {
            fs::create_dir_all(&target).unwrap();
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

/// Repairs `directory` in a process that is killed when it makes the n-th of these calls; tells whether it got that far.
fn repair_and_kill(directory: &Path, call: &str, number: usize) -> bool {
    let inject = format!("inject={call}:signal=KILL:when={number}");
    let status = Command::new("strace")
        .args([
            "-f",
            "-qq",
            "-o",
            "/dev/null",
            "-e",
            &format!("trace={call}"),
            "-e",
            &inject,
        ])
        .arg(env!("CARGO_BIN_EXE_foldhouse-store"))
        .args(["repair", "--yes"])
        .arg(directory)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    status.code() != Some(0)
}

#[test]
fn a_repair_that_is_killed_at_any_call_loses_nothing_and_can_be_repeated() {
    let has_strace = Command::new("strace").arg("-V").output();
    if has_strace.is_err() {
        eprintln!("SKIPPED: strace is not installed");
        return;
    }
    let damaged = written();
    let position = damage(damaged.path());
    let originals: Vec<_> = segments(damaged.path())
        .iter()
        .map(|path| fs::read(path).unwrap())
        .collect();
    let mut kills = 0;
    for call in [
        "rename,renameat,renameat2",
        "link,linkat",
        "mkdir,mkdirat",
        "fsync",
        "write",
        "copy_file_range",
        "openat",
    ] {
        for number in 1.. {
            let directory = tempfile::tempdir().unwrap();
            copy(damaged.path(), directory.path());
            if !repair_and_kill(directory.path(), call, number) {
                break;
            }
            kills += 1;
            let files = all_files(directory.path());
            for original in &originals {
                let is_there = files.values().any(|bytes| bytes == original);
                assert!(is_there, "{call} {number}: a file of the journal is gone");
            }
            let report = repair(directory.path(), &mut |_| (), &mut |_| Consent::Given).unwrap();
            assert_eq!(report.head.get(), position - 1, "{call} {number}");
            assert!(verify(directory.path(), &mut |_| ()).unwrap().is_whole());
            let store = options().open(directory.path()).unwrap();
            assert_eq!(store.recovery().head.get(), position - 1, "{call} {number}");
        }
    }
    println!("{kills} kills");
    assert!(kills > 20, "{kills}");
}
