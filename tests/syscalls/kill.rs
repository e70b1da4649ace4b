//! Runs the store child and kills it on entering a system call of choice.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// What the child is told to do.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Life {
    /// Run the whole script on a new store.
    Script,
    /// Open the store that is there, and close it.
    Open,
}

/// How a child ended.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ended {
    /// What it had told of.
    pub(crate) stdout: String,
    /// The system call that it was killed at, and the name of the thread that was about to make it.
    pub(crate) killed_at: Option<(String, String)>,
    /// How many calls of each kind it had entered.
    pub(crate) calls: BTreeMap<String, u64>,
}

/// Runs a child until it enters its `number`-th system call of that kind, `any` for whatever kind; to its end if it
/// makes fewer, or with 0.
pub(crate) fn run_and_kill_at(directory: &Path, life: Life, kind: &str, number: u64) -> Ended {
    let output = Command::new(env!("CARGO_BIN_EXE_syscall-killer"))
        .args([kind, &number.to_string()])
        .arg(env!("CARGO_BIN_EXE_store-child"))
        .arg(directory)
        .arg(match life {
            Life::Script => "script",
            Life::Open => "open",
        })
        .output()
        .unwrap();
    let mut ended = Ended {
        stdout: String::from_utf8(output.stdout).unwrap(),
        ..Ended::default()
    };
    let stderr = String::from_utf8_lossy(&output.stderr);
    for line in stderr.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        match words.as_slice() {
            ["killed", kind, thread @ ..] => {
                ended.killed_at = Some(((*kind).to_owned(), thread.join(" ")));
            }
            [kind, count] if count.parse::<u64>().is_ok() => {
                ended
                    .calls
                    .insert((*kind).to_owned(), count.parse().unwrap());
            }
            _ => panic!("{life:?}, {kind} number {number}: {stderr}"),
        }
    }
    let ran_to_its_end = ended.stdout.ends_with("closed\n");
    assert!(
        ran_to_its_end || ended.killed_at.is_some(),
        "{life:?}, {kind} number {number}: the child ended by itself: {stderr}"
    );
    ended
}

/// Whether processes can be traced here; says so if not.
pub(crate) fn tracing_works() -> bool {
    let traced = Command::new(env!("CARGO_BIN_EXE_syscall-killer"))
        .args(["any", "0", "/bin/echo", "traced"])
        .output()
        .unwrap();
    let works =
        traced.stdout == b"traced\n" && String::from_utf8_lossy(&traced.stderr).contains(' ');
    if !works {
        println!(
            "skipped: a process cannot be traced here (another system than Linux on x86-64, or ptrace is not allowed): {}",
            String::from_utf8_lossy(&traced.stderr)
        );
    }
    works
}
