//! Pushes far more commands at a runtime than its limits take, and prints what came of it, one `name value` line for each
//! figure. First the same number with few callers, for the peak; then with as many callers as may have a command in flight,
//! and with ten times as many; then with a caller for each command, all at once; at last with those again, but let in a few at a time, for
//! what such callers come to without overload. Last of all the peak and ten times the limit in turns, each for a second after
//! another: the machine changes its speed within a run, so only neighbours compare.
//!
//! Usage: overload-child DIRECTORY COMMANDS refuse|wait LIMIT (0: the runtime's own limits)
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a measurement's own child"
)]

use std::fmt::Display;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use foldhouse::{
    AggregateRef, CommandError, CommandOptions, Committed, EventStore, JournalOptions,
    JournalStore, Runtime, WhenFull,
};
use foldhouse_aggregates::{
    Credit, Currency, GlAccount, Money, OpenAccount, Posting, PostingRejection, Side,
};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

const ACCOUNTS: u64 = 1_000;
/// Enough for the peak, and far below every limit.
const PEAK_CALLERS: u64 = 1_024;
/// The runtime's own limit on the commands in flight.
const OWN_LIMIT: u64 = 16_384;
/// Until all callers have begun, and the first rush is over; and how long is measured then.
const SETTLING: Duration = Duration::from_millis(400);
const TURN: Duration = Duration::from_millis(600);

#[tokio::main(worker_threads = 2)]
async fn main() {
    let args: Vec<String> = std::env::args().collect();
    let commands: u64 = args[2].parse().unwrap();
    let when_full = match args[3].as_str() {
        "refuse" => WhenFull::Refuse,
        "wait" => WhenFull::Wait,
        other => panic!("no such choice: {other}"),
    };
    let limit: usize = args[4].parse().unwrap();
    let store = Arc::new(JournalOptions::new().open(&args[1]).unwrap());
    let mut builder = Runtime::builder(store.clone()).when_full(when_full);
    if limit > 0 {
        builder = builder
            .commands_in_flight_max(limit)
            .commands_in_flight_per_aggregate_max(limit);
    }
    let runtime = builder.start().await.unwrap();
    let bench = Bench::new(store, runtime).await;
    let before_kib = rss_kib();
    let peak = bench.without_overload(commands).await;
    say("peak_per_second", peak);
    say("peak_growth_kib", rss_kib().saturating_sub(before_kib));
    // What takes less memory comes first: what is given back would hide what the next one takes.
    let in_flight = if limit > 0 { limit as u64 } else { OWN_LIMIT };
    let crowd = |callers: u64| Crowd {
        callers,
        commands_each: commands.div_ceil(callers),
        at_once: callers,
    };
    let full = bench.push(crowd(in_flight)).await;
    say("full_growth_kib", full.growth_kib);
    say("full_per_second", full.per_second);
    let tenfold = bench.push(crowd(10 * in_flight)).await;
    say("tenfold_growth_kib", tenfold.growth_kib);
    say("tenfold_acked", tenfold.acked);
    say("tenfold_refused", tenfold.refused);
    say("tenfold_per_second", tenfold.per_second);
    let all_at_once = crowd(commands);
    let pushed = bench.push(all_at_once).await;
    say("growth_kib", pushed.growth_kib);
    say("acked", pushed.acked);
    say("refused", pushed.refused);
    let let_in = bench
        .push(Crowd {
            at_once: PEAK_CALLERS,
            ..all_at_once
        })
        .await;
    say("let_in_per_second", let_in.per_second);
    say("overloaded_per_second", pushed.per_second);
    say("ratio_to_peak", pushed.ratio_to(peak));
    say("ratio", pushed.ratio_to(let_in.per_second));
    let turns = u64::clamp(commands / 100_000, 1, 9);
    let (few, many) = bench.in_turns(turns, 10 * in_flight).await;
    let ratios = few.iter().zip(&many).map(|(few, many)| many / few);
    say("turns", turns);
    say(
        "turns_peak_per_second",
        format!("{:.0}", median(few.iter().copied())),
    );
    say(
        "turns_tenfold_per_second",
        format!("{:.0}", median(many.iter().copied())),
    );
    say(
        "turns_tenfold_ratio_to_peak",
        format!("{:.3}", median(ratios)),
    );
    bench.check().await;
    say("checked", "yes");
}

fn median(figures: impl Iterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.collect();
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

fn say(name: &str, value: impl Display) {
    println!("{name} {value}");
}

type Answer = Result<Committed<Posting>, CommandError<PostingRejection>>;

/// Who pushes.
#[derive(Clone, Copy)]
struct Crowd {
    callers: u64,
    /// How many commands each sends, one when the last one is answered.
    commands_each: u64,
    /// How many callers send at a time.
    at_once: u64,
}

struct Pushed {
    acked: u64,
    refused: u64,
    growth_kib: u64,
    per_second: u64,
}

impl Pushed {
    fn ratio_to(&self, per_second: u64) -> String {
        format!("{:.3}", self.per_second as f64 / per_second as f64)
    }
}

/// Callers that stay from turn to turn.
struct Standing {
    begin: watch::Sender<()>,
    sends: Arc<AtomicBool>,
    /// How many of them send.
    busy: Arc<AtomicU64>,
}

struct Bench {
    store: Arc<JournalStore>,
    runtime: Runtime,
    accounts: Vec<AggregateRef<GlAccount>>,
    /// The sum of all that was acknowledged, in minor units, which is also how many were.
    acked: Arc<AtomicU64>,
    refused: Arc<AtomicU64>,
}

impl Bench {
    async fn new(store: Arc<JournalStore>, runtime: Runtime) -> Self {
        let mut accounts = Vec::new();
        for number in 0..ACCOUNTS {
            let account = runtime.aggregate("bank", &number.to_string()).unwrap();
            accounts.push(account);
        }
        let opened: JoinSet<()> = accounts
            .iter()
            .cloned()
            .map(|account: AggregateRef<GlAccount>| async move {
                let open = OpenAccount::new(euro(), Side::Credit);
                let wait = CommandOptions::new().when_full(WhenFull::Wait);
                account.execute(open, wait).await.unwrap();
            })
            .collect();
        opened.join_all().await;
        Self {
            store,
            runtime,
            accounts,
            acked: Arc::default(),
            refused: Arc::default(),
        }
    }

    fn account(&self, number: u64) -> AggregateRef<GlAccount> {
        let at = usize::try_from(number % ACCOUNTS).unwrap();
        self.accounts[at].clone()
    }

    /// Each caller sends its next command when it has the answer to its last one.
    async fn without_overload(&self, commands: u64) -> u64 {
        let started = Instant::now();
        let mut callers = JoinSet::new();
        let each = commands / PEAK_CALLERS;
        for caller in 0..PEAK_CALLERS {
            let accounts: Vec<_> = (0..8)
                .map(|at| self.account(caller * 31 + at * 127))
                .collect();
            let acked = self.acked.clone();
            callers.spawn(async move {
                for number in 0..each {
                    let account = &accounts[usize::try_from(number % 8).unwrap()];
                    let wait = CommandOptions::new().when_full(WhenFull::Wait);
                    account.execute(credit(), wait).await.unwrap();
                    acked.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        callers.join_all().await;
        per_second(each * PEAK_CALLERS, started.elapsed())
    }

    /// All callers are there, at a gate, before the first one sends; then so many are let in at once, and another one for
    /// each that has its last answer. What is told as the runtime's is the memory that comes on top of the callers' own:
    /// nothing of a caller's is given back before the last one has its answer.
    async fn push(&self, crowd: Crowd) -> Pushed {
        let acked_before = self.acked.load(Ordering::Relaxed);
        let refused_before = self.refused.load(Ordering::Relaxed);
        let gate = Arc::new(Semaphore::new(0));
        let gone = Arc::new(Semaphore::new(0));
        let arrived = Arc::new(AtomicU64::new(0));
        let mut callers = JoinSet::new();
        for number in 0..crowd.callers {
            let account = self.account(number);
            let (acked, refused) = (self.acked.clone(), self.refused.clone());
            let (gate, gone, arrived) = (gate.clone(), gone.clone(), arrived.clone());
            callers.spawn(async move {
                arrived.fetch_add(1, Ordering::Relaxed);
                gate.acquire().await.unwrap().forget();
                for _ in 0..crowd.commands_each {
                    let answer = account.execute(credit(), CommandOptions::new()).await;
                    note(answer, &acked, &refused);
                }
                gate.add_permits(1);
                gone.add_permits(1);
            });
        }
        while arrived.load(Ordering::Relaxed) < crowd.callers {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let before_kib = rss_kib();
        let peak = Peak::watch();
        let started = Instant::now();
        gate.add_permits(usize::try_from(crowd.at_once).unwrap());
        let all = u32::try_from(crowd.callers).unwrap();
        gone.acquire_many(all).await.unwrap().forget();
        let elapsed = started.elapsed();
        let acked = self.acked.load(Ordering::Relaxed) - acked_before;
        let refused = self.refused.load(Ordering::Relaxed) - refused_before;
        let growth_kib = peak.kib().saturating_sub(before_kib);
        callers.join_all().await;
        Pushed {
            acked,
            refused,
            growth_kib,
            per_second: per_second(acked, elapsed),
        }
    }

    /// What few callers come to a second, and what `callers` do, turn by turn.
    async fn in_turns(&self, turns: u64, callers: u64) -> (Vec<f64>, Vec<f64>) {
        let (mut few, mut many) = (Vec::new(), Vec::new());
        let (peak, tenfold) = (self.standing(PEAK_CALLERS), self.standing(callers));
        for _ in 0..turns {
            few.push(self.acked_per_second(&peak).await);
            many.push(self.acked_per_second(&tenfold).await);
        }
        (few, many)
    }

    /// Callers who send, each its next command when it has the answer to its last one, while they are told to.
    fn standing(&self, callers: u64) -> Standing {
        let (begin, told) = watch::channel(());
        let sends = Arc::new(AtomicBool::new(false));
        let busy = Arc::new(AtomicU64::new(0));
        for number in 0..callers {
            let account = self.account(number);
            let (acked, refused) = (self.acked.clone(), self.refused.clone());
            let (mut told, sends, busy) = (told.clone(), sends.clone(), busy.clone());
            tokio::spawn(async move {
                while told.changed().await.is_ok() {
                    busy.fetch_add(1, Ordering::SeqCst);
                    while sends.load(Ordering::Relaxed) {
                        let answer = account.execute(credit(), CommandOptions::new()).await;
                        note(answer, &acked, &refused);
                    }
                    busy.fetch_sub(1, Ordering::SeqCst);
                }
            });
        }
        Standing { begin, sends, busy }
    }

    async fn acked_per_second(&self, callers: &Standing) -> f64 {
        callers.sends.store(true, Ordering::SeqCst);
        let _ = callers.begin.send(());
        tokio::time::sleep(SETTLING).await;
        let (before, started) = (self.acked.load(Ordering::Relaxed), Instant::now());
        tokio::time::sleep(TURN).await;
        let acked = self.acked.load(Ordering::Relaxed) - before;
        let per_second = acked as f64 / started.elapsed().as_secs_f64();
        callers.sends.store(false, Ordering::SeqCst);
        while callers.busy.load(Ordering::SeqCst) > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        per_second
    }

    /// What was acknowledged is there, and nothing else.
    async fn check(&self) {
        let mut sum = 0;
        for account in &self.accounts {
            let balance = account.query(|account| account.balance()).await.unwrap();
            sum += u64::try_from(balance.unwrap().minor_units()).unwrap();
        }
        let acked = self.acked.load(Ordering::Relaxed);
        assert_eq!(sum, acked, "the books hold something else than was told");
        assert_eq!(self.store.head().get(), ACCOUNTS + acked);
        self.runtime
            .shutdown(Duration::from_secs(60))
            .await
            .unwrap();
        self.store.close();
    }
}

fn note(answer: Answer, acked: &AtomicU64, refused: &AtomicU64) {
    match answer {
        Ok(_) => acked.fetch_add(1, Ordering::Relaxed),
        Err(CommandError::Overloaded { .. }) => refused.fetch_add(1, Ordering::Relaxed),
        Err(other) => panic!("{other}"),
    };
}

fn euro() -> Currency {
    "EUR".parse().unwrap()
}

fn credit() -> Credit {
    Credit::new(Money::new(1, euro()))
}

fn per_second(count: u64, elapsed: Duration) -> u64 {
    let millis = u64::try_from(elapsed.as_millis()).unwrap().max(1);
    count * 1_000 / millis
}

/// What this process holds in memory now.
fn rss_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib = line.unwrap().split_whitespace().nth(1).unwrap();
    kib.parse().unwrap()
}

/// The most that it held while this lives.
struct Peak {
    most_kib: Arc<AtomicU64>,
    ended: Arc<AtomicBool>,
}

impl Peak {
    fn watch() -> Self {
        let (most_kib, ended) = (
            Arc::new(AtomicU64::new(0)),
            Arc::new(AtomicBool::new(false)),
        );
        let (most, end) = (most_kib.clone(), ended.clone());
        std::thread::spawn(move || {
            while !end.load(Ordering::Relaxed) {
                most.fetch_max(rss_kib(), Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(10));
            }
        });
        Self { most_kib, ended }
    }

    fn kib(&self) -> u64 {
        self.ended.store(true, Ordering::Relaxed);
        self.most_kib.load(Ordering::Relaxed)
    }
}
