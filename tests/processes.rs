//! Several processes at one store: the lock, a reader beside a writer that dies, backups and restores that are killed.

use std::io::{BufRead, BufReader, Lines};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use foldhouse_store::{
    Append, BackupOptions, EventStore, EventStoreExt, ExpectedVersion, JournalOptions,
    JournalStore, NewEvent, OpenError, Payload, Position, ReadOnlyJournal, RecordedEvent, StreamId,
    Until, backup, restore,
};
use tempfile::TempDir;

/// A child that is killed, whatever becomes of the test.
struct Process {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    _stdin: Option<ChildStdin>,
}

impl Process {
    fn start(args: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_journal-child"))
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            lines: BufReader::new(child.stdout.take().unwrap()).lines(),
            _stdin: child.stdin.take(),
            child,
        }
    }

    fn line(&mut self) -> String {
        self.lines.next().unwrap().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn directory() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn options() -> JournalOptions {
    JournalOptions::new().segment_bytes(256 << 10)
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let tokio = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    tokio.block_on(future)
}

fn events_of(store: &impl EventStore) -> Vec<RecordedEvent> {
    let mut events: Vec<RecordedEvent> = Vec::new();
    loop {
        let after = events
            .last()
            .map_or(Position::default(), |event| event.position);
        let page = block_on(store.read_all(after, 1_000)).unwrap();
        events.extend(page.events);
        if page.next.is_none() {
            return events;
        }
    }
}

fn read_only(directory: &Path) -> ReadOnlyJournal {
    options().open_read_only(directory).unwrap()
}

fn write(store: &JournalStore, events: usize) {
    for number in 0..events {
        let stream = StreamId::new("acme", "account", &(number % 3).to_string()).unwrap();
        let event = NewEvent::new(
            store.clock().new_id(),
            "Noted",
            Payload::raw(vec![0x5a; 20_000]),
        );
        block_on(store.append(Append::to(stream, ExpectedVersion::Any, [event]))).unwrap();
    }
}

#[test]
fn a_second_process_is_refused_until_the_first_is_gone_even_if_it_was_killed() {
    let directory = directory();
    let path = directory.path();
    let mut holder = Process::start(&["hold", text(path)]);
    assert_eq!(holder.line(), "ready");
    let refused = options().open(path).unwrap_err();
    assert!(
        matches!(&refused, OpenError::Locked { directory } if directory == path),
        "{refused:?}"
    );
    assert!(
        refused.to_string().contains("already open for writing"),
        "{refused}"
    );
    let mut second = Process::start(&["hold", text(path)]);
    assert!(second.line().starts_with("refused: "));
    // Reading only is not refused.
    assert_eq!(read_only(path).head().get(), 0);
    holder.child.kill().unwrap(); // With SIGKILL: nothing of it can tidy up.
    holder.child.wait().unwrap();
    let store = options().open(path).unwrap();
    let mut third = Process::start(&["hold", text(path)]);
    assert!(third.line().starts_with("refused: "), "the other way round");
    store.close();
    let mut fourth = Process::start(&["hold", text(path)]);
    assert_eq!(fourth.line(), "ready");
}

#[test]
fn a_reader_and_backups_follow_writers_that_are_killed_and_started_again() {
    let directory = directory();
    let (books, copy) = (
        directory.path().join("books"),
        directory.path().join("copy"),
    );
    drop(options().open(&books).unwrap());
    let reader = read_only(&books);
    for life in 0..5 {
        let mut writer = Process::start(&["write", text(&books)]);
        assert_eq!(writer.line(), "ready");
        for acks in 1..=60 {
            let line = writer.line();
            let position: u64 = line.strip_prefix("ack ").unwrap().parse().unwrap();
            if acks % 10 == 0 {
                assert!(
                    reader.refresh().unwrap().get() >= position,
                    "life {life}, {line}"
                );
            }
            if acks == 30 {
                let report = backup(&books, &copy, BackupOptions::new()).unwrap();
                assert!(report.head.get() >= position, "life {life}, {line}");
            }
        }
        drop(writer);
        reader.refresh().unwrap();
    }
    let in_copy = events_of(&read_only(&copy));
    let store = options().open(&books).unwrap();
    assert_eq!(reader.refresh().unwrap(), store.head());
    let events = events_of(&store);
    assert!(events.len() >= 300);
    assert!(events_of(&reader) == events);
    assert!(in_copy == events[..in_copy.len()]);
}

/// Runs a child under strace until it enters its `n`-th call of that kind, which kills it; false if it never does.
fn killed_at(call: &str, n: u32, args: &[&str]) -> bool {
    let status = Command::new("strace")
        .args(["-f", "-qq", "-o", "/dev/null", "-e"])
        .arg(format!("trace={call}"))
        .arg("-e")
        .arg(format!("inject={call}:signal=KILL:when={n}"))
        .arg(env!("CARGO_BIN_EXE_journal-child"))
        .args(args)
        .status()
        .unwrap();
    !status.success()
}

fn strace_is_there() -> bool {
    let mut strace = Command::new("strace");
    let is_there = strace.arg("-V").stdout(Stdio::null()).status().is_ok();
    if !is_there {
        println!("skipped: strace is not installed, so no kill can be placed");
    }
    is_there
}

const CALLS: [&str; 5] = ["write", "fsync", "rename", "ftruncate", "mkdir"];

#[test]
fn a_backup_killed_at_any_call_that_changes_the_disk_is_found_unfinished_and_run_again() {
    if !strace_is_there() {
        return;
    }
    let directory = directory();
    let books = directory.path().join("books");
    let store = options().open(&books).unwrap();
    write(&store, 30);
    let events = events_of(&store);
    let mut kills = 0;
    for call in CALLS {
        for n in 1.. {
            let to = directory.path().join(format!("{call}-{n}"));
            if !killed_at(call, n, &["backup", text(&books), text(&to)]) {
                break;
            }
            kills += 1;
            // It is whole, or nothing that opens.
            match options().open_read_only(&to) {
                Ok(copy) => assert!(events_of(&copy) == events, "killed at {call} {n}"),
                Err(OpenError::NoJournal { .. }) => {}
                Err(other) => panic!("killed at {call} {n}: {other}"),
            }
            backup(&books, &to, BackupOptions::new()).unwrap();
            assert!(events_of(&read_only(&to)) == events, "killed at {call} {n}");
            std::fs::remove_dir_all(&to).unwrap();
        }
    }
    println!("{kills} kills of a backup");
    assert!(kills > 10);
}

#[test]
fn an_update_of_a_backup_killed_at_any_call_leaves_one_of_before_or_later() {
    if !strace_is_there() {
        return;
    }
    let directory = directory();
    let (books, to) = (
        directory.path().join("books"),
        directory.path().join("copy"),
    );
    let store = options().open(&books).unwrap();
    write(&store, 15);
    let (mut kills, mut held) = (0, 0);
    for call in CALLS {
        for n in 1.. {
            backup(&books, &to, BackupOptions::new()).unwrap();
            held = held.max(store.head().get());
            write(&store, 14); // At least one more segment.
            if !killed_at(call, n, &["backup", text(&books), text(&to)]) {
                break;
            }
            kills += 1;
            let copy = read_only(&to);
            assert!(copy.head().get() >= held, "killed at {call} {n}");
            let events = events_of(&store);
            let in_copy = events_of(&copy);
            assert!(in_copy == events[..in_copy.len()], "killed at {call} {n}");
        }
    }
    println!("{kills} kills of an update");
    assert!(kills > 5);
    backup(&books, &to, BackupOptions::new()).unwrap();
    assert!(events_of(&options().open(&to).unwrap()) == events_of(&store));
}

#[test]
fn a_restore_killed_at_any_call_that_changes_the_disk_leaves_nothing_that_opens_half() {
    if !strace_is_there() {
        return;
    }
    let directory = directory();
    let books = directory.path().join("books");
    let store = options().open(&books).unwrap();
    write(&store, 30);
    let events = events_of(&store);
    let mut kills = 0;
    for call in CALLS {
        for n in 1.. {
            let to = directory.path().join(format!("{call}-{n}"));
            if !killed_at(call, n, &["restore", text(&books), text(&to), "27"]) {
                break;
            }
            kills += 1;
            match options().open_read_only(&to) {
                Ok(copy) => assert!(events_of(&copy) == events[..27], "killed at {call} {n}"),
                Err(OpenError::NoJournal { .. }) => {}
                Err(other) => panic!("killed at {call} {n}: {other}"),
            }
            let _ = std::fs::remove_dir_all(&to);
        }
    }
    println!("{kills} kills of a restore");
    assert!(kills > 10);
    let to = directory.path().join("after");
    restore(&books, &to, Until::Position(Position::new(27))).unwrap();
    assert!(events_of(&read_only(&to)) == events[..27]);
}
