//! Ten million events, a kill, and what opening and reading them takes: each in a process of its own.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Kills the child if the test ends otherwise.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn child(measurement: &str, directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bounds-child"));
    command.arg(measurement).arg(directory);
    command
}

/// Fills a store, and kills the one who writes with SIGKILL in the midst of writing more.
fn fill_and_kill(directory: &Path, events: u64, streams: u64, events_per_append: u64) {
    let mut writing = Killed(
        child("fill", directory)
            .args([events, streams, events_per_append].map(|number| number.to_string()))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap(),
    );
    let mut line = String::new();
    let mut told = BufReader::new(writing.0.stdout.take().unwrap());
    told.read_line(&mut line).unwrap();
    assert!(line.starts_with("filled "), "the writer said {line:?}");
    drop(writing);
}

/// The figures that a measurement prints.
fn measure(measurement: &str, directory: &Path, streams: u64) -> HashMap<String, u64> {
    let output = child(measurement, directory)
        .arg(streams.to_string())
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(output.status.success(), "{measurement} failed: {output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .filter_map(|line| {
            let (name, value) = line.split_once(' ')?;
            Some((name.to_owned(), value.parse().ok()?))
        })
        .collect()
}

const PARTS: [&str; 7] = [
    "open_ms",
    "headers_ms",
    "active_segment_ms",
    "index_open_ms",
    "index_check_ms",
    "segments_again_ms",
    "read_models_ms",
];

fn print_parts(what: &str, figures: &HashMap<String, u64>) {
    print!(
        "{what}: {} events, {} segments, {} read again;",
        figures["events"], figures["segments"], figures["again"]
    );
    for part in PARTS {
        print!(" {part} {}", figures[part]);
    }
    println!(" rss_open_kib {}", figures["rss_open_kib"]);
}

fn bounds_of(events: u64, streams: u64) {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    fill_and_kill(directory.path(), events, streams, 1_000);
    let after_kill = measure("open", directory.path(), streams);
    print_parts("open after a kill", &after_kill);
    assert!(
        after_kill["events"] >= events,
        "acknowledged events are gone"
    );
    let again = measure("open", directory.path(), streams);
    print_parts("open again", &again);
    assert_eq!(again["events"], after_kill["events"]);
    assert_eq!(again["again"], 0, "closing finishes the index");

    let (journal, index) = super::disk_bytes(directory.path());
    let events_there = again["events"] as f64;
    println!(
        "disk: {:.1} bytes an event in sealed segments, {:.1} in the index",
        journal as f64 / events_there,
        index as f64 / events_there
    );
    let touched = measure("touch", directory.path(), streams);
    let added = touched["rss_touch_added_kib"] as f64 * 1_024.0 / streams as f64;
    println!("memory: {added:.0} bytes for each of {streams} streams that was touched");
    for reading in ["read-all", "read-streams"] {
        let read = measure(reading, directory.path(), streams);
        println!(
            "{reading}: {} events in {} ms; rss open {} KiB, at most {} KiB while reading",
            read["read_events"], read["read_ms"], read["rss_open_kib"], read["rss_read_max_kib"]
        );
        assert_eq!(read["read_events"], again["events"]);
    }
}

/// `cargo test --release -p foldhouse-tests -- --ignored bounds --nocapture`
#[test]
#[ignore = "a campaign: 10,000,000 events, 3 GiB"]
fn bounds_of_ten_million_events() {
    bounds_of(10_000_000, 10_000);
}

/// The same way with few events, so that the measuring itself is tested.
#[test]
fn a_store_opens_after_a_kill_and_gives_what_it_holds() {
    bounds_of(20_000, 100);
}
