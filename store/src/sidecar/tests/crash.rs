use std::env;
use std::num::NonZeroU16;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::*;
use crate::clock::Timestamp;
use crate::event::Payload;
use crate::event_store::Direction;
use crate::read_model::{Change, Checkpoint};
use crate::snapshot::{Snapshot, SnapshotCriteria};

const STREAMS: u64 = 60;
const SNAPSHOTS_KEPT: NonZeroU16 = NonZeroU16::MIN.saturating_add(2);
const DIRECTORY: &str = "FOLDHOUSE_INDEX_TO_BE_KILLED";

/// The same for everybody: what segment `number` holds.
fn segment(number: u64) -> Segment {
    let count = |segment: u64, id: u64| (segment + id) % 3 + 1;
    let before = |id: u64| (0..number).map(|segment| count(segment, id)).sum::<u64>();
    let first_position = 1 + (0..STREAMS).map(before).sum::<u64>();
    let streams: Vec<_> = (0..STREAMS)
        .map(|id| {
            let count = usize::try_from(count(number, id)).unwrap();
            (stream(id), version(before(id) + 1), count)
        })
        .collect();
    Segment::new(number, first_position, &streams)
}

fn snapshot(number: u64) -> Snapshot {
    let seed = u8::try_from(number % 251).unwrap();
    Snapshot {
        stream: stream("snapshot"),
        version: version(number),
        event_id: uuid::Uuid::from_u128(u128::from(number)),
        taken_at: Timestamp::from_unix_micros(7),
        state_schema: 1,
        payload: Payload::raw(vec![seed; 20_000 + usize::from(seed) * 100]),
    }
}

/// Writes until something fails.
fn write(sidecar: &Sidecar) -> Result<(), Fault> {
    let indexed = sidecar.indexed_segments()?.len() as u64;
    for number in indexed.. {
        segment(number).index(sidecar)?;
        sidecar.save_snapshot(&snapshot(number), SNAPSHOTS_KEPT)?;
        let changes = (0..40_u64)
            .map(|row| Change {
                key: row.to_be_bytes().to_vec(),
                value: Some(
                    number
                        .to_be_bytes()
                        .repeat(if row == 7 { 2_000 } else { 3 }),
                ),
            })
            .collect();
        let checkpoint = Checkpoint {
            position: Position::new(number),
            model_version: 1,
        };
        sidecar.commit("p", checkpoint, changes)?;
    }
    Ok(())
}

/// Not a test of its own: it is started by the one below.
#[test]
fn the_process_that_is_killed() {
    if let Some(directory) = env::var_os(DIRECTORY) {
        write(&open(Path::new(&directory))).unwrap();
    }
}

/// Not a test of its own: it is started by the one below.
#[test]
fn the_process_that_finds_the_disk_full() {
    if let Some(directory) = env::var_os(DIRECTORY) {
        let sidecar = open(Path::new(&directory));
        let fault = write(&sidecar).unwrap_err();
        assert!(fault.to_string().contains("see to the disk"), "{fault}");
        // And again, and it still can be closed.
        assert!(segment(9_999).index(&sidecar).is_err());
        assert!(sidecar.close().is_err());
    }
}

/// Everything that is there is as it was written, and nothing is there in part.
fn check(sidecar: &Sidecar) -> u64 {
    let marks = sidecar.indexed_segments().unwrap();
    let segments: Vec<Segment> = (0..marks.len() as u64).map(segment).collect();
    assert!(segments.iter().map(|s| &s.mark).eq(&marks));
    for id in 0..STREAMS {
        let id = stream(id);
        let wanted: Vec<Place> = segments.iter().flat_map(|s| s.places_of(&id)).collect();
        let found = sidecar
            .places(
                &id,
                version(1),
                version(u64::MAX),
                Direction::Forward,
                usize::MAX,
            )
            .unwrap();
        assert_eq!(found, wanted);
    }
    assert_eq!(sidecar.damaged_segments().unwrap(), []);
    let account = stream("snapshot");
    let listed = sidecar
        .snapshots_of(&account, SnapshotCriteria::ALL)
        .unwrap();
    assert!(listed.len() <= usize::from(SNAPSHOTS_KEPT.get()));
    // A snapshot is kept and the oldest removed in one step.
    for (kept, older) in listed.iter().zip(listed.iter().skip(1)) {
        assert_eq!(kept.version, older.version.next());
    }
    for kept in listed {
        let criteria = SnapshotCriteria::of(kept.version);
        let found = sidecar.load_snapshot(&account, criteria).unwrap().unwrap();
        assert_eq!(found, snapshot(kept.version.get()));
    }
    let rows = sidecar.rows("p", None, usize::MAX).unwrap();
    match sidecar.checkpoint("p").unwrap() {
        None => assert_eq!(rows, []),
        Some(checkpoint) => {
            let number = checkpoint.position.get().to_be_bytes();
            assert_eq!(rows.len(), 40);
            assert!(
                rows.iter()
                    .all(|(_, value)| value.chunks(8).all(|part| part == number))
            );
        }
    }
    assert_eq!(sidecar.damaged_projections().unwrap(), Vec::<String>::new());
    marks.len() as u64
}

#[test]
fn a_kill_at_any_time_leaves_what_was_indexed_and_nothing_in_part() {
    let directory = tempfile::tempdir().unwrap();
    drop(open(directory.path()));
    let mut indexed = 0;
    for round in 0..12 {
        let mut child = Command::new(env::current_exe().unwrap())
            .args([
                "--exact",
                "sidecar::tests::crash::the_process_that_is_killed",
            ])
            .env(DIRECTORY, directory.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Some kills hit the opening, most of them the work.
        let until = Instant::now() + Duration::from_millis(5 + round * 23);
        while Instant::now() < until {
            assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
            std::thread::sleep(Duration::from_millis(1));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let sidecar = open(directory.path());
        let now = check(&sidecar);
        assert!(now >= indexed, "{now} {indexed}");
        indexed = now;
    }
    assert!(indexed > 0);
}

#[test]
fn a_full_disk_is_a_fault_and_leaves_what_was_indexed() {
    for limit_blocks in [3_000, 5_500, 8_200] {
        let directory = tempfile::tempdir().unwrap();
        drop(open(directory.path()));
        // A limit on the length of files stands in for the disk.
        let mut child = Command::new("sh")
            .args(["-c", r#"trap "" XFSZ; ulimit -f "$0" && exec "$@""#])
            .arg(limit_blocks.to_string())
            .arg(env::current_exe().unwrap())
            .args([
                "--exact",
                "sidecar::tests::crash::the_process_that_finds_the_disk_full",
            ])
            .env(DIRECTORY, directory.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let until = Instant::now() + Duration::from_secs(60);
        let status = loop {
            match child.try_wait().unwrap() {
                Some(status) => break status,
                None if Instant::now() > until => {
                    child.kill().unwrap();
                    panic!("it hangs");
                }
                None => std::thread::sleep(Duration::from_millis(5)),
            }
        };
        assert!(status.success(), "{status}");
        assert!(check(&open(directory.path())) > 0);
    }
}
