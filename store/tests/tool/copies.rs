//! `backup` and `restore`, end to end.

use std::fs;
use std::path::Path;
use std::process::Output;

use foldhouse_store::{EventStore, JournalStore, Position, Timestamp, verify};
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::{EVENTS, all_files, append, damage, options, segments, text, tool, written};

/// `backup` or `restore` with its two directories.
fn copy_tool(command: &str, flags: &[&str], from: &Path, to: &Path) -> Output {
    let arguments = [&[command], flags, &[from.to_str().unwrap()]].concat();
    tool(&arguments, to, "")
}

fn done(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{}", text(output));
    text(output)
}

fn done_json(output: &Output) -> Value {
    assert_eq!(output.status.code(), Some(0), "{}", text(output));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn head(directory: &Path) -> u64 {
    let report = verify(directory, &mut |_| ()).unwrap();
    assert!(report.is_whole(), "{:?}", report.findings);
    report.head.get()
}

/// A new directory, and the name of one in it that is not there yet.
fn new_place() -> (TempDir, std::path::PathBuf) {
    let parent = tempfile::tempdir().unwrap();
    let place = parent.path().join("copy");
    (parent, place)
}

/// When the event at `position` was recorded.
fn recorded_at(store: &JournalStore, runtime: &Runtime, position: u64) -> Timestamp {
    let page = store.read_all(Position::new(position - 1), 1);
    runtime.block_on(page).unwrap().events[0].recorded_at
}

#[test]
fn a_backup_has_everything_and_a_second_one_copies_only_what_is_new() {
    let source = written();
    let before = all_files(source.path());
    let (_parent, to) = new_place();
    let first = done_json(&copy_tool("backup", &["--json"], source.path(), &to));
    let count = segments(source.path()).len();
    assert!(count > 2, "{count}");
    assert_eq!(first["head"], EVENTS);
    assert_eq!(first["segments"], count);
    assert_eq!(first["segments_kept"], 0);
    assert_eq!(first["segments_linked"], 0);
    assert_eq!(head(&to), EVENTS);
    assert_eq!(all_files(source.path()), before, "the source was changed");

    let store = options().open(source.path()).unwrap();
    append(&Runtime::new().unwrap(), &store, 2);
    // Beside the program that has it open.
    let second = done_json(&copy_tool("backup", &["--json"], source.path(), &to));
    assert_eq!(second["head"], EVENTS + 2);
    assert_eq!(second["segments_kept"], count - 1);
    let bytes = |report: &Value| report["bytes_copied"].as_u64().unwrap();
    assert!(bytes(&second) * 2 < bytes(&first), "{second} {first}");
    assert_eq!(head(&to), EVENTS + 2);

    let in_words = done(&copy_tool("backup", &[], source.path(), &to));
    let kept = format!("{count} segments, {} of them kept", count - 1);
    assert!(in_words.contains(&kept), "{in_words}");
    assert!(
        in_words.contains("everything up to position 152"),
        "{in_words}"
    );
}

#[test]
#[cfg(unix)]
fn a_backup_with_links_shares_the_full_segments() {
    use std::os::unix::fs::MetadataExt;
    let source = written();
    let (_parent, to) = new_place();
    let report = done_json(&copy_tool(
        "backup",
        &["--link", "--json"],
        source.path(),
        &to,
    ));
    let count = segments(source.path()).len();
    assert_eq!(report["segments_linked"], count - 1);
    let inode = |path: &Path| fs::metadata(path).unwrap().ino();
    for (index, (ours, theirs)) in segments(source.path())
        .iter()
        .zip(segments(&to))
        .enumerate()
    {
        assert_eq!(
            inode(ours) == inode(&theirs),
            index < count - 1,
            "{}",
            ours.display()
        );
    }
    assert_eq!(head(&to), EVENTS);
}

#[test]
fn a_store_is_restored_up_to_its_head_a_position_or_a_time() {
    let source = written();
    let runtime = Runtime::new().unwrap();
    let store = options().open(source.path()).unwrap();
    let at = recorded_at(&store, &runtime, 100);
    let last_at = (100..=EVENTS)
        .take_while(|position| recorded_at(&store, &runtime, *position) == at)
        .last()
        .unwrap();
    drop(store);
    let just_before = Timestamp::from_unix_micros(at.unix_micros() - 1);
    for (until, position) in [
        (None, EVENTS),
        (Some("head".to_owned()), EVENTS),
        (Some("60".to_owned()), 60),
        (Some("0".to_owned()), 0),
        (Some(at.to_string()), last_at),
        (Some("2001-01-01T01:00:00+01:00".to_owned()), 0),
        (Some("2999-12-31T23:59:59Z".to_owned()), EVENTS),
    ] {
        let (_parent, to) = new_place();
        let flags = match &until {
            Some(until) => vec!["--json", "--until", until],
            None => vec!["--json"],
        };
        let report = done_json(&copy_tool("restore", &flags, source.path(), &to));
        assert_eq!(report["position"], position, "{until:?}");
        assert_eq!(report["append_left_out"], Value::Null);
        assert_eq!(report["last_recorded_at"].is_string(), position > 0);
        assert_eq!(head(&to), position, "{until:?}");
    }
    let (_parent, to) = new_place();
    let until = ["--json", "--until", &just_before.to_string()];
    let report = done_json(&copy_tool("restore", &until, source.path(), &to));
    assert!(
        report["position"].as_u64().unwrap() < 100,
        "an event that was recorded later is in it: {report}"
    );
}

#[test]
fn a_restored_store_goes_on_and_one_within_an_append_ends_before_it() {
    let source = written();
    let runtime = Runtime::new().unwrap();
    let store = options().open(source.path()).unwrap();
    append(&runtime, &store, 3);
    drop(store);
    let (_parent, to) = new_place();
    let restored = done(&copy_tool(
        "restore",
        &["--until", "152"],
        source.path(),
        &to,
    ));
    assert!(restored.contains("everything up to position 150, recorded at "));
    assert!(restored.contains("positions 151 to 153"), "{restored}");
    let store = options().open(&to).unwrap();
    assert_eq!(append(&runtime, &store, 1).position.get(), EVENTS + 1);
}

#[test]
fn a_copy_that_cannot_be_tried_ends_with_2_and_leaves_nothing() {
    let source = written();
    let store = source.path();
    let empty = tempfile::tempdir().unwrap();
    let taken = tempfile::tempdir().unwrap();
    let _open = options().open(taken.path()).unwrap();
    for (command, flags, from, to, what) in [
        ("backup", &[][..], empty.path(), None, "no journal in"),
        ("restore", &[], empty.path(), None, "no journal in"),
        (
            "restore",
            &[],
            &*store.join("nowhere"),
            None,
            "no journal in",
        ),
        (
            "backup",
            &[],
            store,
            Some(store),
            "the store to be copied itself",
        ),
        (
            "backup",
            &[],
            store,
            Some(taken.path()),
            "in use by another",
        ),
        (
            "restore",
            &["--until", "soon"],
            store,
            None,
            "\"soon\" is no point",
        ),
        (
            "restore",
            &["--until", "2026-03-31"],
            store,
            None,
            "takes head, a position",
        ),
        (
            "restore",
            &["--until", "99999999999999999999"],
            store,
            None,
            "is no point",
        ),
        ("restore", &["--link"], store, None, "unexpected argument"),
        (
            "backup",
            &["--until", "3"],
            store,
            None,
            "unexpected argument",
        ),
    ] {
        let (_parent, place) = new_place();
        let output = copy_tool(command, flags, from, to.unwrap_or(&place));
        let said = text(&output);
        assert_eq!(output.status.code(), Some(2), "{command} {flags:?}: {said}");
        assert!(said.contains(what), "{command} {flags:?}: {said}");
        assert!(output.stdout.is_empty(), "{command} {flags:?}: {said}");
        assert!(!place.exists(), "{command} {flags:?}");
    }
    let nothing: Vec<_> = fs::read_dir(empty.path()).unwrap().collect();
    assert!(nothing.is_empty(), "{nothing:?}");
    let alone = tool(&["backup"], store, "");
    assert_eq!(alone.status.code(), Some(2));
    assert!(text(&alone).contains("<TO>"), "{}", text(&alone));
}

#[test]
fn a_copy_that_is_refused_for_what_lies_there_ends_with_1_and_changes_nothing() {
    let (source, other) = (written(), written());
    let full = tempfile::tempdir().unwrap();
    fs::write(full.path().join("letter.txt"), "dear").unwrap();
    let (_parent, new) = new_place();
    for (command, flags, to, what) in [
        ("backup", &[][..], full.path(), "holds \"letter.txt\""),
        ("restore", &[], full.path(), "holds \"letter.txt\""),
        ("restore", &["--json"], other.path(), "nothing was changed"),
        ("backup", &[], other.path(), "a backup of another store"),
        (
            "restore",
            &["--until", "151"],
            &new,
            "the store ends at position 150",
        ),
    ] {
        let before = listing(to);
        let output = copy_tool(command, flags, source.path(), to);
        let said = text(&output);
        assert_eq!(output.status.code(), Some(1), "{command}: {said}");
        assert!(said.contains(what), "{command}: {said}");
        assert!(output.stdout.is_empty(), "{command}: {said}");
        assert_eq!(listing(to), before, "{command}");
    }
}

/// All that is there but the lock, which has no content.
fn listing(directory: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    if !directory.exists() {
        return Vec::new();
    }
    let mut files: Vec<_> = all_files(directory).into_iter().collect();
    files.retain(|(path, _)| path.file_name().unwrap() != "lock");
    files
}

#[test]
fn a_damaged_store_gives_no_backup_and_can_be_restored_up_to_the_damage() {
    let source = written();
    let position = damage(source.path());
    for command in ["backup", "restore"] {
        let (_parent, to) = new_place();
        let output = copy_tool(command, &[], source.path(), &to);
        let said = text(&output);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(
            said.contains(&format!("at offset 12288 (position {position})")),
            "{said}"
        );
        assert!(!to.join("journal").exists(), "{command}");
    }
    let (_parent, to) = new_place();
    let until = (position - 1).to_string();
    done(&copy_tool(
        "restore",
        &["--until", &until],
        source.path(),
        &to,
    ));
    assert_eq!(head(&to), position - 1);
}

#[test]
fn the_help_says_what_each_command_does() {
    let help = done(&tool(&["help"], Path::new("backup"), ""));
    assert!(help.contains("Run it again"), "{help}");
    let help = done(&tool(&[], Path::new("--help"), ""));
    for line in [
        "verify   Check every byte",
        "repair   Make a damaged journal open again",
        "backup   Copy a store",
        "restore  Make a new store",
        "Exit codes: 0",
    ] {
        assert!(help.contains(line), "{help}");
    }
}
