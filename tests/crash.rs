use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use foldhouse::{
    EventStore, JournalOptions, JournalStore, Position, RecordedEvent, Runtime, decode_event,
    event_id,
};
use foldhouse_aggregates::{Balances, GlAccount, GlEvent};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use uuid::Uuid;

/// After this many kills the books are closed and new ones begun, so that checking them stays quick.
const KILLS_PER_STORE: u32 = 10;

#[test]
fn twenty_kills_lose_no_acked_posting_and_double_none() {
    kill_campaign(20, 1);
}

/// `cargo test --release -p foldhouse-tests -- --ignored kill_campaign`
#[test]
#[ignore = "a campaign of 200 kills; takes minutes"]
fn kill_campaign_of_two_hundred() {
    kill_campaign(200, 2);
}

/// A random instant seldom falls between two particular system calls, and a write that has begun completes although its
/// process is killed. So this kills on entering the n-th call of each kind that changes the disk, from the creation of
/// the store on.
#[test]
fn a_kill_at_any_system_call_that_changes_the_disk_loses_no_acked_posting() {
    if !strace_is_there() {
        println!("skipped: strace is not installed, so no kill can be placed");
        return;
    }
    let calls = [
        ("pwrite64", 40),
        ("write", 12),
        ("fsync", 10),
        ("rename", 4),
        ("ftruncate", 4),
    ];
    let (mut kills, mut acked_in_all) = (0, 0);
    for (call, last) in calls {
        for n in 1..=last {
            let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
            let Some(acks) = run_and_kill_at(directory.path(), call, n) else {
                break; // It makes fewer calls of this kind.
            };
            kills += 1;
            acked_in_all += acks.len();
            check(
                directory.path(),
                &acks,
                &format!("killed at {call} number {n}"),
            );
        }
    }
    println!("{kills} kills at system calls, {acked_in_all} acked postings, all there");
    assert!(
        kills > 40 && acked_in_all > 0,
        "{kills} kills, {acked_in_all} acks: too little was tested"
    );
}

fn strace_is_there() -> bool {
    Command::new("strace")
        .arg("-V")
        .stdout(Stdio::null())
        .status()
        .is_ok()
}

/// Runs a child until one of its threads enters its `n`-th call of that kind; `None` if none does.
fn run_and_kill_at(directory: &Path, call: &str, n: u32) -> Option<Vec<Ack>> {
    let mut strace = Command::new("strace")
        .args(["-f", "-qq", "-o", "/dev/null", "-e"])
        .arg(format!("trace={call}"))
        .arg("-e")
        .arg(format!("inject={call}:signal=KILL:when={n}"))
        .arg(env!("CARGO_BIN_EXE_crash-child"))
        .arg(directory)
        .args(["1", "1", "60"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = follow(strace.stdout.take().unwrap());
    let lines: Vec<String> = lines.iter().collect();
    let status = strace.wait().unwrap();
    let was_killed = !status.success();
    was_killed.then(|| lines.iter().filter_map(|line| Ack::parse(line)).collect())
}

/// A posting whose acknowledgement came out of the child before it was killed.
#[derive(Debug)]
struct Ack {
    account: String,
    version: u64,
    position: u64,
    change_minor: i64,
    command_id: Uuid,
}

impl Ack {
    /// `None` for the last line of a child that was killed while writing it.
    fn parse(line: &str) -> Option<Self> {
        let mut fields = line.strip_prefix("ack ")?.split(' ');
        let ack = Self {
            account: fields.next()?.to_owned(),
            version: fields.next()?.parse().ok()?,
            position: fields.next()?.parse().ok()?,
            change_minor: fields.next()?.parse().ok()?,
            command_id: fields.next()?.parse().ok()?,
        };
        fields.next().is_none().then_some(ack)
    }
}

fn kill_campaign(kills: u32, seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let (mut acked_in_all, mut torn_tails) = (0, 0);
    let mut directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mut acks = Vec::new();
    for kill in 0..kills {
        if kill % KILLS_PER_STORE == 0 {
            directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
            acks.clear();
        }
        let lifetime = Duration::from_micros(random.random_range(0..150_000));
        let callers = if random.random_bool(0.5) { 1 } else { 32 };
        let new_acks = run_and_kill(directory.path(), random.random(), callers, lifetime);
        acked_in_all += new_acks.len();
        acks.extend(new_acks);
        torn_tails += u32::from(check(
            directory.path(),
            &acks,
            &format!("seed {seed}, kill {kill}"),
        ));
    }
    println!(
        "{kills} kills, {acked_in_all} acked postings, all there; {torn_tails} torn tails cut off"
    );
    assert!(
        acked_in_all > 0,
        "no posting was acked in any life: nothing was tested"
    );
}

/// Starts a child, kills it `lifetime` after it is ready (or while it starts, for every fifth), gives back what it acked.
fn run_and_kill(directory: &Path, seed: u64, callers: u32, lifetime: Duration) -> Vec<Ack> {
    let (mut child, lines) = start_child(directory, seed, callers);
    if seed.is_multiple_of(5) {
        std::thread::sleep(lifetime / 4);
    } else {
        assert_eq!(
            lines.recv().as_deref(),
            Ok("ready"),
            "the child did not come up"
        );
        std::thread::sleep(lifetime);
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // What was in the pipe when it died was acknowledged, too.
    lines.iter().filter_map(|line| Ack::parse(&line)).collect()
}

fn start_child(directory: &Path, seed: u64, callers: u32) -> (Child, Receiver<String>) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_crash-child"))
        .arg(directory)
        .args([seed.to_string(), callers.to_string()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = follow(child.stdout.take().unwrap());
    (child, lines)
}

/// Reads lines in a thread of its own, so that the child never waits for us.
fn follow(stdout: ChildStdout) -> Receiver<String> {
    let (sender, lines) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    lines
}

/// Opens the store that a killed child has left and checks everything that was promised. True if a torn write was cut off.
fn check(directory: &Path, acks: &[Ack], context: &str) -> bool {
    let store = Arc::new(
        JournalOptions::new()
            .segment_bytes(512 << 10)
            .open(directory)
            .unwrap(),
    );
    let tokio = tokio::runtime::Runtime::new().unwrap();
    tokio.block_on(async {
        let events = all_events(&store).await;
        let balances = check_history(&events, context);
        check_acks(&events, acks, context);
        check_actors(&store, &balances, context).await;
    });
    let torn = store.recovery().torn_tail.is_some();
    store.close();
    torn
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

/// No gap in positions and versions, no event twice; gives back the balances that the history adds up to.
fn check_history(events: &[RecordedEvent], context: &str) -> HashMap<String, i64> {
    let mut versions: HashMap<&str, u64> = HashMap::new();
    let mut ids = std::collections::HashSet::new();
    let mut balances = HashMap::new();
    for (position, event) in (1..).zip(events) {
        assert_eq!(
            event.position.get(),
            position,
            "{context}: a gap in the positions"
        );
        let version = versions.entry(event.stream.as_str()).or_default();
        *version += 1;
        assert_eq!(
            event.version.get(),
            *version,
            "{context}: a gap in {}",
            event.stream
        );
        assert!(
            ids.insert(event.id),
            "{context}: event {} is there twice",
            event.id
        );
        *balances
            .entry(event.stream.aggregate_id().to_owned())
            .or_default() += change_minor(event);
    }
    balances
}

fn change_minor(event: &RecordedEvent) -> i64 {
    match decode_event::<GlAccount>(event).unwrap().unwrap() {
        GlEvent::Credited { minor_units, .. } => minor_units,
        GlEvent::Debited { minor_units, .. } => -minor_units,
        _ => 0,
    }
}

fn check_acks(events: &[RecordedEvent], acks: &[Ack], context: &str) {
    for ack in acks {
        let at = usize::try_from(ack.position).unwrap() - 1;
        let event = events
            .get(at)
            .unwrap_or_else(|| panic!("{context}: {ack:?} is lost"));
        let found = (
            event.stream.aggregate_id(),
            event.version.get(),
            change_minor(event),
            event.id,
        );
        let id = event_id(ack.command_id, &event.stream, 0);
        let told = (ack.account.as_str(), ack.version, ack.change_minor, id);
        assert_eq!(
            found, told,
            "{context}: position {} holds something else",
            ack.position
        );
    }
}

/// What actors and the read model make of it, from snapshots, index and checkpoints as the child left them.
async fn check_actors(store: &Arc<JournalStore>, balances: &HashMap<String, i64>, context: &str) {
    let runtime = Runtime::builder(store.clone()).start().await.unwrap();
    let model = runtime.project(Balances).await.unwrap();
    model
        .wait_for(store.head(), Duration::from_secs(30))
        .await
        .unwrap();
    for (id, expected) in balances {
        let account = runtime.aggregate::<GlAccount>("bank", id).unwrap();
        let in_actor =
            account.query(|account| account.balance().map(|balance| balance.minor_units()));
        assert_eq!(
            in_actor.await.unwrap(),
            Some(*expected),
            "{context}: account {id}"
        );
        let row = model.get(account.stream()).unwrap();
        assert_eq!(
            row.balance().minor_units(),
            i128::from(*expected),
            "{context}: read model of {id}"
        );
    }
    runtime.shutdown(Duration::from_secs(30)).await.unwrap();
}
