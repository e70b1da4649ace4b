//! The store's process is killed on entering every system call that it makes, and what it leaves is checked.
//!
//! A write that has begun completes although its process is killed, so that between two calls nothing happens to the
//! files that another moment would show: a kill at each call is a kill at every moment that there is.

pub(crate) mod check;
mod kill;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use tempfile::TempDir;

use check::{Index, Told, check};
use kill::{Ended, Life, run_and_kill_at, tracing_works};

/// How many children run at a time.
const WORKERS: usize = 2;

/// The calls that change the disk, or that it hangs on what others see; the sample takes more of these.
const CHANGING: [&str; 12] = [
    "pwrite64",
    "write",
    "fsync",
    "fdatasync",
    "sync_file_range",
    "rename",
    "ftruncate",
    "openat",
    "mkdir",
    "unlink",
    "flock",
    "close",
];

#[test]
fn a_kill_at_any_system_call_loses_nothing_that_was_acked_and_leaves_nothing_half_done() {
    if !tracing_works() {
        return;
    }
    let calls = run_to_the_end(Life::Script, &scratch()).calls;
    let mut sites = Vec::new();
    for (kind, count) in &calls {
        let samples = if CHANGING.contains(&kind.as_str()) {
            7
        } else {
            2
        };
        sites.extend(spread(*count, samples).map(|number| (kind.clone(), number)));
    }
    let table = Table::default();
    each(&sites, |(kind, number)| {
        table.count(&kill_and_check(kind, *number));
    });
    let kills = table.print();
    assert!(kills >= 80, "{kills} kills: too little was tested");
}

/// `cargo test --release -p foldhouse-tests -- --ignored --nocapture every_system_call_of_the_script`
#[test]
#[ignore = "a campaign of some 1,500 kills; takes minutes"]
fn a_kill_at_every_system_call_of_the_script() {
    if !tracing_works() {
        return;
    }
    let calls = run_to_the_end(Life::Script, &scratch()).calls;
    let table = Table::default();
    for kind in calls.keys() {
        let next = AtomicU64::new(1);
        each(&[(); WORKERS], |()| {
            // Until a child comes to its end without having made that many.
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let ended = kill_and_check(kind, number);
                table.count(&ended);
                if ended.killed_at.is_none() {
                    return;
                }
            }
        });
    }
    let kills = table.print();
    let made: u64 = calls.values().sum();
    println!(
        "a run that is not killed makes {made} calls of {} kinds",
        calls.len()
    );
    // The numbers differ a little from run to run: threads wait for each other or do not need to.
    assert!(kills * 10 > made * 9, "{kills} kills of {made} calls");
}

#[test]
fn a_kill_while_opening_what_a_kill_has_left_loses_nothing_either() {
    if !tracing_works() {
        return;
    }
    let table = Table::default();
    let scenes = scenes(&[("pwrite64", 25), ("rename", 6)]);
    for (base, told) in &scenes {
        let calls = run_to_the_end(Life::Open, &copy_of(base.path())).calls;
        let mut sites = Vec::new();
        for (kind, count) in &calls {
            let samples = match kind.as_str() {
                "rename" | "pwrite64" => 4,
                changing if CHANGING.contains(&changing) => 2,
                _ => continue,
            };
            sites.extend(spread(*count, samples).map(|number| (kind.clone(), number)));
        }
        each(&sites, |(kind, number)| {
            table.count(&kill_the_opening(base.path(), told, kind, *number));
        });
    }
    let kills = table.print();
    assert!(kills >= 20, "{kills} kills: too little was tested");
    assert!(
        table.left_generating() > 0,
        "no kill left a page table of sled's that is half written"
    );
}

/// `cargo test --release -p foldhouse-tests -- --ignored --nocapture every_system_call_of_an_opening`
#[test]
#[ignore = "a campaign of some 2,000 kills; takes minutes"]
fn a_kill_at_every_system_call_of_an_opening() {
    if !tracing_works() {
        return;
    }
    let table = Table::default();
    let kinds = [
        ("mkdir", 3),
        ("pwrite64", 5),
        ("pwrite64", 25),
        ("rename", 3),
        ("rename", 6),
        ("fdatasync", 6),
        ("sync_file_range", 9),
        // The store was closed.
        ("any", u64::MAX),
    ];
    let scenes = scenes(&kinds);
    for (base, told) in &scenes {
        let next = AtomicU64::new(1);
        each(&[(); WORKERS], |()| {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let ended = kill_the_opening(base.path(), told, "any", number);
                table.count(&ended);
                if ended.killed_at.is_none() {
                    return;
                }
            }
        });
    }
    let kills = table.print();
    println!("the opening of {} stores, each at every call", scenes.len());
    assert!(kills > 500 && table.left_generating() > 0);
}

#[test]
fn an_acked_append_that_is_not_there_would_be_noticed() {
    if !tracing_works() {
        return;
    }
    let [(base, told)] = &scenes(&[("pwrite64", 25)])[..] else {
        panic!("one was asked for");
    };
    // As if the child had acked without writing: twice, since the append under way may be there.
    let lying = Told {
        done: told.done + 4,
    };
    let directory = copy_of(base.path());
    let checked =
        std::panic::catch_unwind(|| check(directory.path(), &lying, Index::Kept, "a lie"));
    assert!(checked.is_err());
    check(base.path(), told, Index::Kept, "the truth");
}

pub(crate) fn scratch() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

fn run_to_the_end(life: Life, directory: &TempDir) -> Ended {
    let ended = run_and_kill_at(directory.path(), life, "any", 0);
    assert_eq!(ended.killed_at, None);
    ended
}

fn kill_and_check(kind: &str, number: u64) -> Ended {
    let directory = scratch();
    let ended = run_and_kill_at(directory.path(), Life::Script, kind, number);
    let context = format!("killed at {kind} number {number}");
    check(
        directory.path(),
        &Told::of(&ended.stdout),
        Index::Kept,
        &context,
    );
    ended
}

/// Kills the opening of a copy of the store in `base`, then the opening of what that has left, then checks.
fn kill_the_opening(base: &Path, told: &Told, kind: &str, number: u64) -> Ended {
    let directory = copy_of(base);
    let mut ended = run_and_kill_at(directory.path(), Life::Open, kind, number);
    let left_generating = has_generating(directory.path());
    if left_generating {
        ended.calls.insert(GENERATING.to_owned(), 1);
    }
    // Somewhere else, with another opening's worth of kills over all numbers.
    run_and_kill_at(directory.path(), Life::Open, "any", number * 7 % 400 + 1);
    let context = format!(
        "{} opened, killed at {kind} number {number}",
        base.display()
    );
    let report = check(directory.path(), told, Index::MayBeMovedAside, &context);
    if let Some((_, why)) = report.index_moved_aside {
        println!(
            "the index was moved aside, {why}: killed at {kind} number {number}, after step {}",
            told.done
        );
    }
    ended
}

const GENERATING: &str = "snap.*.generating";

fn has_generating(directory: &Path) -> bool {
    let Ok(entries) = fs::read_dir(directory.join("index")) else {
        return false;
    };
    entries
        .map(|entry| entry.unwrap().file_name())
        .any(|name| name.to_string_lossy().ends_with(".generating"))
}

/// Stores that were killed in the middle of the script at these calls.
fn scenes(sites: &[(&str, u64)]) -> Vec<(TempDir, Told)> {
    let scene = |(kind, number): &(&str, u64)| {
        let directory = scratch();
        let ended = run_and_kill_at(directory.path(), Life::Script, kind, *number);
        (directory, Told::of(&ended.stdout))
    };
    sites.iter().map(scene).collect()
}

pub(crate) fn copy_of(base: &Path) -> TempDir {
    let directory = scratch();
    copy(base, directory.path());
    directory
}

pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target: PathBuf = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// `samples` numbers from 1 to `count`, both included, at equal distances.
pub(crate) fn spread(count: u64, samples: u64) -> impl Iterator<Item = u64> {
    let samples = samples.min(count);
    (0..samples).map(move |sample| match samples {
        1 => 1,
        _ => 1 + sample * (count - 1) / (samples - 1),
    })
}

/// Runs `work` for each item, a few at a time.
pub(crate) fn each<T: Sync>(items: &[T], work: impl Fn(&T) + Sync) {
    let next = Mutex::new(items.iter());
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                loop {
                    let item = next.lock().unwrap().next();
                    match item {
                        Some(item) => work(item),
                        None => return,
                    }
                }
            });
        }
    });
}

/// How often a child was killed at which call, by thread.
#[derive(Debug, Default)]
struct Table {
    kills: Mutex<BTreeMap<(String, String), u64>>,
    ran_to_the_end: AtomicU64,
    left_generating: AtomicU64,
}

impl Table {
    fn count(&self, ended: &Ended) {
        let left = u64::from(ended.calls.contains_key(GENERATING));
        self.left_generating.fetch_add(left, Ordering::Relaxed);
        match &ended.killed_at {
            None => {
                self.ran_to_the_end.fetch_add(1, Ordering::Relaxed);
            }
            Some((kind, thread)) => {
                // Threads of one kind are numbered.
                let thread = thread.trim_end_matches(|c: char| c.is_ascii_digit() || c == '-');
                let key = (kind.clone(), thread.to_owned());
                *self.kills.lock().unwrap().entry(key).or_default() += 1;
            }
        }
    }

    fn left_generating(&self) -> u64 {
        self.left_generating.load(Ordering::Relaxed)
    }

    /// Prints it, and gives back how many kills there were.
    fn print(&self) -> u64 {
        let kills = self.kills.lock().unwrap();
        let mut by_kind: BTreeMap<&str, Vec<(&str, u64)>> = BTreeMap::new();
        for ((kind, thread), count) in kills.iter() {
            by_kind.entry(kind).or_default().push((thread, *count));
        }
        for (kind, threads) in by_kind {
            let sum: u64 = threads.iter().map(|(_, count)| count).sum();
            println!("{kind:>20} {sum:>5}  {threads:?}");
        }
        let sum = kills.values().sum();
        println!(
            "{sum} kills, {} children ran to their end, {} left {GENERATING}",
            self.ran_to_the_end.load(Ordering::Relaxed),
            self.left_generating()
        );
        sum
    }
}
