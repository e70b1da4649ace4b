//! A child that is killed once it has told enough.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

/// Runs it, and kills it when so many of its lines counted. Lines that are in the pipe when it dies were told, too. One that
/// is not to be killed must end well, and say `done` before.
pub(crate) fn run(
    command: &mut Command,
    kill_after: Option<u64>,
    mut counts: impl FnMut(&str) -> bool,
) {
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let (mut told, mut is_done) = (0, false);
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        is_done |= line == "done";
        told += u64::from(counts(&line));
        if Some(told) == kill_after {
            child.kill().unwrap();
        }
    }
    let status = child.wait().unwrap();
    // One that was done before the kill had nothing left to do.
    assert!(
        kill_after.is_some() || (is_done && status.success()),
        "{status}"
    );
}
