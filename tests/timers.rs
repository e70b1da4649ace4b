//! Timers over the journal: they fire once, over restarts and kills; and how much a million of them takes.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use foldhouse::{
    Aggregate, AggregateRef, Clock, Command as DomainCommand, CommandContext, Decided, Decision,
    EventStore, IdempotentCommand, JournalOptions, JournalStore, Never, Position, RecordedEvent,
    Runtime, SystemClock, Timestamp, decode_event, is_timer_record,
};
use foldhouse_aggregates::{Expire, InventoryEvent, InventoryItem, ReservationId};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde::{Deserialize, Serialize};

use crate::killed;

const PATIENCE: Duration = Duration::from_secs(60);

fn directory() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

#[test]
fn eight_kills_and_every_timer_fires_once_and_none_too_early() {
    kill_campaign(500, 8, 1);
}

/// `cargo test --release -p foldhouse-tests -- --ignored timer_kill_campaign`
#[test]
#[ignore = "a campaign of 100 kills; takes minutes"]
fn timer_kill_campaign_of_a_hundred() {
    for seed in 2..12 {
        kill_campaign(2_000, 10, seed);
    }
}

/// Reserves the same in every life of a child that is killed, then once in one that is not.
fn kill_campaign(reservations: u64, kills: usize, seed: u64) {
    let directory = directory();
    let mut random = StdRng::seed_from_u64(seed);
    let begin = SystemClock.now();
    for life in 0..=kills {
        let kill_after = (life < kills).then(|| random.random_range(1..reservations));
        run_child(directory.path(), reservations, begin, kill_after);
    }
    check_stock(directory.path(), reservations);
}

/// Kills the child once it has told so much.
fn run_child(directory: &Path, reservations: u64, begin: Timestamp, kill_after: Option<u64>) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_timer-child"));
    child
        .arg(directory)
        .args([reservations.to_string(), begin.unix_micros().to_string()]);
    killed::run(&mut child, kill_after, |_| true);
}

#[derive(Debug, Default)]
struct Life {
    reserved: u32,
    shipped: u32,
    expired: u32,
    expires_at: Timestamp,
    expired_at: Timestamp,
}

/// Each reservation was made once, and either shipped or expired, once, and not too early.
fn check_stock(directory: &Path, reservations: u64) {
    let store = JournalStore::open(directory).unwrap();
    let events = all_events(&store);
    let mut lives: BTreeMap<ReservationId, Life> = BTreeMap::new();
    for event in &events {
        let Some(decoded) = decode_event::<InventoryItem>(event) else {
            continue;
        };
        match decoded.unwrap() {
            InventoryEvent::Reserved { reservation, .. } => {
                lives.entry(reservation).or_default().reserved += 1;
            }
            InventoryEvent::ExpirySet {
                reservation,
                expires_at,
            } => lives.get_mut(&reservation).unwrap().expires_at = expires_at,
            InventoryEvent::Shipped { reservation, .. } => {
                lives.get_mut(&reservation).unwrap().shipped += 1;
            }
            InventoryEvent::Expired { reservation, .. } => {
                let life = lives.get_mut(&reservation).unwrap();
                life.expired += 1;
                life.expired_at = event.recorded_at;
            }
            _ => {}
        }
    }
    assert_eq!(lives.len() as u64, reservations);
    for (reservation, life) in &lives {
        assert_eq!(life.reserved, 1, "{reservation}: {life:?}");
        assert_eq!(life.shipped + life.expired, 1, "{reservation}: {life:?}");
        assert!(
            life.expired == 0 || life.expired_at >= life.expires_at,
            "{reservation}: {life:?}"
        );
    }
    let count = |event_type: &str| {
        let records = events.iter().filter(|event| is_timer_record(event));
        records
            .filter(|event| *event.event_type == *event_type)
            .count()
    };
    let shipped = lives.values().filter(|life| life.shipped == 1).count();
    let scheduled = count("TimerScheduled");
    assert_eq!(scheduled as u64, reservations);
    assert_eq!(count("TimerCancelled"), shipped);
    assert_eq!(count("TimerFired"), scheduled - shipped);
    assert!(
        shipped > 0 && shipped < scheduled,
        "{shipped} of {scheduled}"
    );
    println!("{reservations} reservations: {shipped} shipped, the others expired, each once");
}

fn all_events(store: &JournalStore) -> Vec<RecordedEvent> {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let (mut events, mut after) = (Vec::new(), Some(Position::BEFORE_FIRST));
        while let Some(from) = after {
            let page = store.read_all(from, 1_000).await.unwrap();
            events.extend(page.events);
            after = page.next;
        }
        events
    })
}

#[derive(Clone, Default, Serialize, Deserialize)]
struct Reminders(u64);

#[derive(Clone, Debug, Serialize, Deserialize)]
enum ReminderEvent {
    Asked { reminders: u64 },
    Reminded,
}

impl Aggregate for Reminders {
    const TYPE: &'static str = "reminders";
    type Event = ReminderEvent;
    fn apply(&mut self, event: &ReminderEvent) {
        if let ReminderEvent::Reminded = event {
            self.0 += 1;
        }
    }
}

/// Schedules so many reminders, a microsecond apart.
struct Ask {
    from: u64,
    reminders: u64,
    at: Timestamp,
}

impl DomainCommand for Ask {
    type Aggregate = Reminders;
    type Reply = ();
    type Rejection = Never;
    fn decide(&self, _: &Reminders, _: &CommandContext) -> Decided<Self> {
        let Self {
            from,
            reminders,
            at,
        } = *self;
        let asked = Decision::event(ReminderEvent::Asked { reminders }, ());
        Ok((from..from + reminders).fold(asked, |decision, number| {
            let micros = at.unix_micros() + i64::try_from(number).unwrap();
            let at = Timestamp::from_unix_micros(micros);
            decision.schedule(number.to_string(), at, Remind { number })
        }))
    }
}

#[derive(Serialize, Deserialize)]
struct Remind {
    number: u64,
}

impl DomainCommand for Remind {
    type Aggregate = Reminders;
    type Reply = ();
    type Rejection = Never;
    fn decide(&self, _: &Reminders, _: &CommandContext) -> Decided<Self> {
        Ok(Decision::event(ReminderEvent::Reminded, ()))
    }
}

impl IdempotentCommand for Remind {
    const NAME: &'static str = "remind";
}

struct Remembering {
    store: Arc<JournalStore>,
    runtime: Runtime,
}

impl Remembering {
    async fn begin(directory: &Path) -> Self {
        let store = Arc::new(JournalOptions::new().open(directory).unwrap());
        let builder = Runtime::builder(store.clone());
        let runtime = builder
            .timed_command::<Remind>()
            .timed_command::<Expire>()
            .start();
        let runtime = runtime.await.unwrap();
        Self { store, runtime }
    }

    fn of(&self, number: u64) -> AggregateRef<Reminders> {
        let id = number.to_string();
        self.runtime.aggregate("acme", &id).unwrap()
    }

    async fn end(self) {
        self.runtime.shutdown(PATIENCE).await.unwrap();
        self.store.close();
    }
}

fn resident_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib / 1024
}

/// `cargo test --release -p foldhouse-tests -- --ignored --nocapture a_million_pending_timers`
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a million timers; prints what they take"]
async fn a_million_pending_timers_are_cheap() {
    const TIMERS: u64 = 1_000_000;
    const AGGREGATES: u64 = 1_000;
    let directory = directory();
    let hour = 3_600_000_000;
    let at = Timestamp::from_unix_micros(SystemClock.now().unix_micros() + hour);
    let life = Remembering::begin(directory.path()).await;
    let before = resident_mib();
    let started = Instant::now();
    for round in 0..TIMERS / AGGREGATES / 100 {
        let mut asked = tokio::task::JoinSet::new();
        for number in 0..AGGREGATES {
            let reminders = life.of(number);
            let from = round * 100;
            asked.spawn(async move {
                let ask = Ask {
                    from,
                    reminders: 100,
                    at,
                };
                reminders.send(ask).await.unwrap();
            });
        }
        while let Some(asked) = asked.join_next().await {
            asked.unwrap();
        }
    }
    let scheduled = started.elapsed();
    let pending = life.runtime.timers(None, 10).await.unwrap().pending;
    assert_eq!(pending, TIMERS);
    let indexed = started.elapsed();
    println!("scheduled {TIMERS} in {scheduled:.1?}, in the index after {indexed:.1?}");
    println!(
        "resident: {before} MiB before, {} MiB with all",
        resident_mib()
    );
    life.end().await;
    for (fired_before, round) in [(0, "with the index"), (1, "without")] {
        if round == "without" {
            std::fs::remove_dir_all(directory.path().join("index")).unwrap();
        }
        let started = Instant::now();
        let life = Remembering::begin(directory.path()).await;
        let opened = started.elapsed();
        let soon = Timestamp::from_unix_micros(SystemClock.now().unix_micros() + 1_000);
        let reminders = life.of(AGGREGATES);
        let ask = Ask {
            from: 0,
            reminders: 1,
            at: soon,
        };
        reminders.send(ask).await.unwrap();
        while reminders.query(|reminders| reminders.0).await.unwrap() == fired_before {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let fired = started.elapsed() - opened;
        println!(
            "start {round}: open {opened:.1?}, a new timer fired {fired:.1?} after that, resident {} MiB",
            resident_mib()
        );
        assert_eq!(life.runtime.timers(None, 1).await.unwrap().pending, TIMERS);
        life.end().await;
    }
}
