//! A real file system of 64 MiB, filled to the last byte and given room again.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use foldhouse_store::{AppendError, EventStore, JournalStore, OpenError};
use tempfile::TempDir;

use super::journal::{
    self, Answer, Attempt, Workload, all_events, check, check_events, check_streams,
};
use super::tree::Tree;
use super::volume::{DurableWrites, Volume};

const DISK_BYTES: u64 = 64 << 20;
/// What is given back each time: room for a few segments.
const BALLAST_BYTES: usize = 768 << 10;
/// What is left for the store before anything is given back.
const FIRST_ROOM_BYTES: usize = 6 << 20;

/// A file system of a fixed size, until this is dropped.
#[derive(Debug)]
struct SmallDisk {
    point: PathBuf,
    /// Goes last: nothing may be mounted in it any more.
    _directory: TempDir,
}

fn run(program: &str, arguments: &[&str]) -> Result<(), String> {
    let output = Command::new(program).args(arguments).output();
    let output = output.map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{program} {arguments:?}: {}", said.trim()))
}

impl SmallDisk {
    /// ext4 over a loop device, or tmpfs where that cannot be had.
    fn new() -> Result<Self, String> {
        let directory =
            tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).map_err(|error| error.to_string())?;
        let point = directory.path().join("mounted");
        fs::create_dir(&point).map_err(|error| error.to_string())?;
        let on_loop = Self::mount_loop(&directory.path().join("disk"), &point);
        on_loop.or_else(|why| {
            println!("no ext4 on a loop device ({why}); a tmpfs of the same size instead");
            let size = format!("size={DISK_BYTES}");
            run(
                "mount",
                &["-t", "tmpfs", "-o", &size, "tmpfs", &text(&point)],
            )
        })?;
        Ok(Self {
            point,
            _directory: directory,
        })
    }

    fn mount_loop(image: &Path, point: &Path) -> Result<(), String> {
        let file = File::create(image).map_err(|error| error.to_string())?;
        file.set_len(DISK_BYTES)
            .map_err(|error| error.to_string())?;
        // No blocks set apart for root: full is full.
        run("mkfs.ext4", &["-q", "-F", "-m", "0", &text(image)])?;
        run("mount", &["-o", "loop", &text(image), &text(point)])
    }

    fn ballast(&self, number: usize) -> PathBuf {
        self.point.join(format!("ballast-{number}"))
    }

    /// Takes all room but what the store starts with and what is given back later.
    fn load(&self, pieces: usize) {
        for number in 0..pieces {
            write_zeros(&self.ballast(number), BALLAST_BYTES).expect("there is room");
        }
        let spare = self.point.join("room");
        write_zeros(&spare, FIRST_ROOM_BYTES).expect("there is room");
        let mut rest = 0;
        while write_zeros(&self.point.join(format!("rest-{rest}")), BALLAST_BYTES).is_ok() {
            rest += 1;
        }
        fs::remove_file(spare).expect("it is there");
    }

    fn give_room(&self, number: usize) {
        fs::remove_file(self.ballast(number)).expect("it is there");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let point = text(&self.point);
        if run("umount", &[&point]).is_err()
            && let Err(why) = run("umount", &["-l", &point])
        {
            println!("left mounted: {why}");
        }
    }
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

fn write_zeros(path: &Path, bytes: usize) -> std::io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(&vec![0; bytes])?;
    file.sync_all()
}

/// Opens the store on a disk that may be full. The index needs some room to open: until there is, the error says so.
fn open(disk: &SmallDisk, given: &mut usize) -> JournalStore {
    loop {
        match journal::open(&disk.point) {
            Ok(store) => return store,
            Err(error) => {
                assert!(matches!(error, OpenError::Io(_)), "{error:?}");
                assert!(error.to_string().contains("No space left"), "{error}");
                println!("not opened on a full disk: {error}");
                disk.give_room(*given);
                *given += 1;
            }
        }
    }
}

fn fill_and_free(times: usize) {
    let disk = match SmallDisk::new() {
        Ok(disk) => disk,
        Err(why) => return println!("SKIPPED: no small file system can be mounted here: {why}"),
    };
    disk.load(times);
    // Only its log is used.
    let acks = Volume::of(Tree::default(), DurableWrites::Honest);
    let mut workload = Workload::new(&acks, 3);
    let runtime = journal::runtime();
    let (mut given, mut reopened) = (0, 0);
    let mut store = open(&disk, &mut given);
    while given < times {
        let refused = workload.append_until_refused(&store);
        for attempt in refused {
            let Answer::Refused(error) = &attempt.answer else {
                continue;
            };
            // What was to follow a refused append of its own round finds another version.
            if matches!(error, AppendError::Conflict { .. }) {
                continue;
            }
            assert!(matches!(error, AppendError::NotRecorded(_)), "{error:?}");
            assert!(error.to_string().contains("no room"), "{error}");
        }
        runtime.block_on(async {
            let events = all_events(&store).await.expect("reads go on");
            check_events(&events, workload.witness(), usize::MAX).expect("nothing is lost");
            let streams = check_streams(&store, &events, workload.witness()).await;
            streams.expect("reads through the index go on");
        });
        if given % 8 == 2 {
            let head = store.head();
            store.close();
            store = open(&disk, &mut given);
            assert_eq!(store.head(), head);
            reopened += 1;
        }
        if given < times {
            disk.give_room(given);
            given += 1;
        }
        let before = store.head();
        workload.append_until_refused(&store);
        assert!(
            store.head() > before,
            "given room {given} times, it does not go on"
        );
    }
    let head = store.head();
    store.close();
    drop(store);
    fs::remove_file(disk.point.join("rest-0")).expect("it is there");
    let witness = workload.into_witness();
    check(&disk.point, &witness, usize::MAX).expect("nothing is lost");
    let acked = witness
        .attempts
        .iter()
        .filter(|attempt| Attempt::is_acked(attempt))
        .count();
    println!(
        "filled and given room {given} times, {reopened} times opened while full: {acked} appends acked up to {head}"
    );
}

#[test]
fn a_full_disk_loses_nothing_and_takes_appends_again_when_there_is_room() {
    fill_and_free(4);
}

/// `cargo test --release -p foldhouse-tests -- --ignored --nocapture a_disk_filled_and_freed_fifty_times`
#[test]
#[ignore = "a campaign of minutes; can hang in sled, whose flush may wait for ever after a write that found no room"]
fn a_disk_filled_and_freed_fifty_times_loses_nothing() {
    fill_and_free(50);
}
