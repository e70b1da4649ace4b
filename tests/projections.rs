//! Projections whose process is killed at any instant, compared with a fresh replay.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use foldhouse::{
    EventStore, JournalOptions, JournalStore, Position, Projection, ProjectionRef, ProjectionState,
    RecordedEvent, Runtime,
};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

#[allow(dead_code, unreachable_pub, reason = "some of it only the child needs")]
mod models;

use models::{InParts, PARTS, SetsAside, Total, Totals, fails, posting};

/// After this many kills a new journal is begun, so that checking stays quick.
const KILLS_PER_STORE: u32 = 10;
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn after_ten_kills_projections_show_each_event_once() {
    kill_campaign(10, 1);
}

/// `cargo test --release -p foldhouse-tests -- --ignored projections::two_hundred`
#[test]
#[ignore = "a campaign of 200 kills; takes minutes"]
fn two_hundred_kills_leave_projections_that_show_each_event_once() {
    kill_campaign(200, 2);
}

fn kill_campaign(kills: u32, seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let mut directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mut seen = Seen::default();
    for kill in 0..kills {
        if kill % KILLS_PER_STORE == 0 {
            directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        }
        let lifetime = Duration::from_micros(random.random_range(0..250_000));
        run_and_kill(directory.path(), random.random(), lifetime);
        let context = format!("seed {seed}, kill {kill}");
        check(directory.path(), &context, &mut seen);
    }
    println!("{kills} kills: {seen:?}");
    assert!(
        seen.events > 0 && seen.letters > 0,
        "too little was tested: {seen:?}"
    );
    assert!(
        seen.kept > kills / 4,
        "hardly anything was ever kept: {seen:?}"
    );
}

/// What the campaign came to.
#[derive(Debug, Default)]
struct Seen {
    events: u64,
    letters: usize,
    /// How often a model was found that was not to be made from the first event.
    kept: u32,
    /// How often the one that is rebuilt was found in its second place.
    second_place: u32,
}

fn run_and_kill(directory: &Path, seed: u64, lifetime: Duration) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_projection-child"))
        .arg(directory)
        .arg(seed.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    if !seed.is_multiple_of(5) {
        let mut line = String::new();
        let stdout = child.stdout.as_mut().unwrap();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n", "the child did not come up");
    }
    std::thread::sleep(lifetime);
    child.kill().unwrap();
    child.wait().unwrap();
}

fn check(directory: &Path, context: &str, seen: &mut Seen) {
    let options = JournalOptions::new().segment_bytes(512 << 10);
    let store = Arc::new(options.open(directory).unwrap());
    let tokio = tokio::runtime::Runtime::new().unwrap();
    tokio.block_on(async {
        let events = all_events(&store).await;
        seen.events += events.len() as u64;
        for side in ["sets-aside", "sets-aside\u{0}b"] {
            let kept = foldhouse_store::ReadModelStore::checkpoint(&*store, side).await;
            let counts = kept
                .unwrap()
                .is_some_and(|kept| kept.position > Position::BEFORE_FIRST);
            seen.second_place += u32::from(counts && side.ends_with('b'));
        }
        let runtime = Runtime::builder(store.clone()).start().await.unwrap();
        let sets_aside = runtime.project(SetsAside).await.unwrap();
        seen.kept += u32::from(sets_aside.position() > Position::BEFORE_FIRST);
        // Wherever it was when it could be stopped, and then with all events.
        for _ in 0..2 {
            let position = stop(&sets_aside).await;
            let expected = replay(&events, position, |event| !fails(event));
            assert_eq!(totals(&sets_aside), expected, "{context}, at {position}");
            let letters = sets_aside.dead_letters();
            let letters: Vec<_> = letters.iter().map(|letter| letter.position).collect();
            assert_eq!(
                letters,
                set_aside(&events, position),
                "{context}, at {position}"
            );
            seen.letters = seen.letters.max(letters.len());
            sets_aside.resume();
            sets_aside.wait_for(store.head(), PATIENCE).await.unwrap();
        }
        let in_parts = runtime.project_partitioned(InParts, PARTS).await.unwrap();
        in_parts.wait_for(store.head(), PATIENCE).await.unwrap();
        let merged = in_parts.parts().iter().flat_map(totals).collect::<Totals>();
        let expected = replay(&events, store.head(), |_| true);
        assert_eq!(merged, expected, "{context}, in parts");
        runtime.shutdown(PATIENCE).await.unwrap();
    });
    store.close();
}

async fn stop<P: Projection>(projection: &ProjectionRef<P>) -> Position {
    projection.pause();
    while projection.status().state != ProjectionState::Paused {
        assert_ne!(projection.status().state, ProjectionState::Stopped);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    projection.position()
}

fn totals<P: Projection<Key = String, Row = Total>>(projection: &ProjectionRef<P>) -> Totals {
    projection.read(|table| {
        table
            .iter()
            .map(|(key, row)| (key.clone(), row.clone()))
            .collect()
    })
}

async fn all_events(store: &JournalStore) -> Vec<RecordedEvent> {
    let mut events = Vec::new();
    let mut after = Position::BEFORE_FIRST;
    loop {
        let page = store.read_all(after, 10_000).await.unwrap();
        events.extend(page.events);
        match page.next {
            Some(next) => after = next,
            None => return events,
        }
    }
}

/// The totals that the events up to a position come to.
fn replay(
    events: &[RecordedEvent],
    up_to: Position,
    counts: impl Fn(&RecordedEvent) -> bool,
) -> Totals {
    let mut totals = Totals::new();
    for event in events
        .iter()
        .filter(|event| event.position <= up_to && counts(event))
    {
        if let Some(minor_units) = posting(event).unwrap() {
            let total = totals
                .entry(event.stream.aggregate_id().to_owned())
                .or_default();
            total.postings += 1;
            total.minor_units += minor_units;
        }
    }
    totals
}

/// The positions of the postings that cannot be applied.
fn set_aside(events: &[RecordedEvent], up_to: Position) -> Vec<Position> {
    let events = events
        .iter()
        .filter(|event| event.position <= up_to && fails(event));
    let postings = events.filter(|event| posting(event).unwrap().is_some());
    postings.map(|event| event.position).collect()
}
