//! Far more commands than the limits take: memory stays bounded, what is accepted is not lost, and what is refused has
//! left nothing.
//!
//! The campaign pushes a million, at the runtime's own limits and at low ones, and prints throughput with and without
//! overload. At its own limits a fast disk may keep up with one who pushes: then nothing is refused, and the campaign fails
//! because it has shown nothing.
//!
//! ```text
//! cargo test --release -p foldhouse-tests -- --ignored overload --nocapture --test-threads 1
//! ```

use std::collections::HashMap;
use std::process::Command;

/// The most that a runtime may hold for commands that are pushed at it, besides the callers' own tasks.
const GROWTH_KIB_MAX: u64 = 64 << 10;

/// Pushes in a process of its own; gives back its figures.
fn push(commands: u64, when_full: &str, limit: usize) -> HashMap<String, String> {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let child = Command::new(env!("CARGO_BIN_EXE_overload-child"))
        .arg(directory.path())
        .args([&commands.to_string(), when_full, &limit.to_string()])
        .output()
        .unwrap();
    let told = String::from_utf8(child.stdout).unwrap();
    println!("{when_full}, {commands} commands:\n{told}");
    let failed = String::from_utf8_lossy(&child.stderr);
    assert!(child.status.success(), "{when_full}: {failed}");
    let lines = told.lines().filter_map(|line| line.split_once(' '));
    let figures: HashMap<_, _> = lines
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    assert_eq!(figures["checked"], "yes");
    figures
}

fn number(figures: &HashMap<String, String>, name: &str) -> u64 {
    figures[name].parse().unwrap()
}

fn refuse(commands: u64, limit: usize) {
    let figures = push(commands, "refuse", limit);
    let (acked, refused) = (number(&figures, "acked"), number(&figures, "refused"));
    assert_eq!(acked + refused, commands);
    assert!(acked > 0 && refused > 0, "{acked} acked, {refused} refused");
    assert!(number(&figures, "tenfold_acked") > 0);
    assert!(number(&figures, "tenfold_growth_kib") <= GROWTH_KIB_MAX);
    assert!(number(&figures, "growth_kib") <= GROWTH_KIB_MAX);
}

fn wait(commands: u64, limit: usize) {
    let figures = push(commands, "wait", limit);
    assert_eq!(number(&figures, "acked"), commands);
    assert_eq!(number(&figures, "refused"), 0);
    assert!(number(&figures, "tenfold_acked") >= commands);
    assert_eq!(number(&figures, "tenfold_refused"), 0);
    assert!(number(&figures, "tenfold_growth_kib") <= GROWTH_KIB_MAX);
    assert!(number(&figures, "growth_kib") <= GROWTH_KIB_MAX);
}

#[test]
fn ten_times_overload_is_refused_and_leaves_nothing() {
    refuse(20_480, 512);
}

#[test]
fn ten_times_overload_waits_and_loses_nothing() {
    wait(20_480, 512);
}

#[test]
#[ignore = "a campaign: a million commands"]
fn overload_campaign_of_a_million_refused() {
    refuse(1_000_000, 0);
}

#[test]
#[ignore = "a campaign: a million commands"]
fn overload_campaign_of_a_million_that_wait() {
    wait(1_000_000, 0);
}

#[test]
#[ignore = "a campaign: a million commands"]
fn overload_campaign_of_a_million_refused_at_low_limits() {
    refuse(1_000_000, 512);
}

#[test]
#[ignore = "a campaign: a million commands"]
fn overload_campaign_of_a_million_that_wait_at_low_limits() {
    wait(1_000_000, 512);
}
