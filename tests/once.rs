//! Commands and transactions under an id, over the journal: they take effect once, over restarts, kills and retries.

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use foldhouse::{
    AggregateRef, CommandError, CommandOptions, EventStore, JournalOptions, JournalStore, Position,
    Runtime,
};
use foldhouse_aggregates::{
    Credit, Currency, Debit, GlAccount, Money, OpenAccount, OverdraftPolicy, Posting, Side,
};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::killed;

const PATIENCE: Duration = Duration::from_secs(60);

fn id(number: u64) -> Uuid {
    Uuid::from_u128(u128::from(number))
}

fn euro(minor_units: i64) -> Money {
    let euro: Currency = "EUR".parse().unwrap();
    Money::new(minor_units, euro)
}

fn options() -> CommandOptions {
    CommandOptions::new()
}

fn account(runtime: &Runtime, number: u64) -> AggregateRef<GlAccount> {
    runtime.aggregate("bank", &number.to_string()).unwrap()
}

/// One life of store and runtime over a directory.
struct Life {
    store: Arc<JournalStore>,
    runtime: Runtime,
}

impl Life {
    /// Small segments and frequent snapshots, so that a little work meets all that the store does.
    async fn begin(directory: &Path, commands_remembered: usize) -> Self {
        let options = JournalOptions::new()
            .segment_bytes(256 << 10)
            .commands_remembered(commands_remembered);
        let store = Arc::new(options.open(directory).unwrap());
        let runtime = Runtime::builder(store.clone())
            .snapshot_every_events(2)
            .start()
            .await
            .unwrap();
        Self { store, runtime }
    }

    async fn end(self) {
        self.runtime.shutdown(PATIENCE).await.unwrap();
        self.store.close();
    }

    async fn open_account(&self, number: u64) {
        let euro: Currency = "EUR".parse().unwrap();
        let open = OpenAccount::new(euro, Side::Credit).overdraft(OverdraftPolicy::Unlimited);
        let account = account(&self.runtime, number);
        account
            .send_once(open, id(1_000_000 + number))
            .await
            .unwrap();
    }

    async fn balance(&self, number: u64) -> i64 {
        let account = account(&self.runtime, number);
        let balance = account.query(|account| account.balance()).await.unwrap();
        balance.unwrap().minor_units()
    }
}

fn directory() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

#[tokio::test]
async fn a_retry_after_a_restart_takes_effect_once_also_over_snapshots_and_without_the_index() {
    let directory = directory();
    let life = Life::begin(directory.path(), 1 << 20).await;
    life.open_account(1).await;
    life.open_account(2).await;
    let mut first = Vec::new();
    let one = account(&life.runtime, 1);
    for number in 1..=20 {
        let credit = Credit::new(euro(10));
        let sent = one.execute_once(credit, id(number), options());
        first.push(sent.await.unwrap());
    }
    let steps = |runtime: &Runtime| {
        (
            account(runtime, 1).step(Debit::new(euro(50))),
            account(runtime, 2).step(Credit::new(euro(50))),
        )
    };
    let moved = life
        .runtime
        .transact_once_with(steps(&life.runtime), id(100), options());
    let moved = moved.await.unwrap();
    let head = life.store.head();
    life.end().await;
    for round in 0..3 {
        if round == 2 {
            std::fs::remove_dir_all(directory.path().join("index")).unwrap();
        }
        let life = Life::begin(directory.path(), 1 << 20).await;
        life.open_account(1).await;
        for (number, first) in (1..).zip(&first) {
            let account = account(&life.runtime, 1);
            let retry = account.execute_once(Credit::new(euro(10)), id(number), options());
            assert_eq!(retry.await.unwrap(), *first);
            let outcome = account.outcome::<Credit>(id(number)).await.unwrap();
            assert_eq!(outcome.as_ref(), Some(first));
        }
        let retry = life
            .runtime
            .transact_once_with(steps(&life.runtime), id(100), options());
        assert_eq!(retry.await.unwrap(), moved);
        let outcome = life.runtime.outcome(id(100)).await.unwrap().unwrap();
        assert_eq!(
            outcome.reply::<(Posting, Posting)>().unwrap(),
            moved.replies
        );
        let other = account(&life.runtime, 1)
            .send_once(Credit::new(euro(11)), id(1))
            .await;
        assert!(matches!(other, Err(CommandError::CommandIdReused { .. })));
        assert_eq!((life.balance(1).await, life.balance(2).await), (150, 50));
        assert_eq!(life.store.head(), head);
        life.end().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_at_once_take_effect_once_over_the_journal() {
    let directory = directory();
    let life = Life::begin(directory.path(), 1 << 20).await;
    life.open_account(1).await;
    for number in 1..=20 {
        let mut senders = JoinSet::new();
        for _ in 0..64 {
            let account = account(&life.runtime, 1);
            let credit = Credit::new(euro(1));
            senders.spawn(async move { account.execute_once(credit, id(number), options()).await });
        }
        let answers = senders.join_all().await;
        let first = answers[0].as_ref().unwrap();
        assert!(
            answers
                .iter()
                .all(|answer| answer.as_ref().unwrap() == first)
        );
    }
    assert_eq!(life.balance(1).await, 20);
    assert_eq!(life.store.head(), Position::new(21));
    life.end().await;
}

/// Ids are forgotten by whole segments, so some more than asked for are remembered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_sent_within_the_retention_is_remembered_and_what_was_sent_long_before_is_not() {
    const COMMANDS: u64 = 6_000;
    const REMEMBERED: u64 = 500;
    let directory = directory();
    let remembered = usize::try_from(REMEMBERED).unwrap();
    let life = Life::begin(directory.path(), remembered).await;
    life.open_account(1).await;
    let mut senders = JoinSet::new();
    for sender in 0..64 {
        let account = account(&life.runtime, 1);
        senders.spawn(async move {
            for number in (sender..COMMANDS).step_by(64) {
                let credit = Credit::new(euro(1));
                account.send_once(credit, id(number + 1)).await.unwrap();
            }
        });
    }
    senders.join_all().await;
    // The newest have numbers near the last: the senders take turns.
    for number in COMMANDS - REMEMBERED / 2..COMMANDS {
        let account = account(&life.runtime, 1);
        account
            .send_once(Credit::new(euro(1)), id(number + 1))
            .await
            .unwrap();
    }
    let all = i64::try_from(COMMANDS).unwrap();
    assert_eq!(life.balance(1).await, all);
    life.end().await;
    // Opened again, the store has indexed all segments but the last.
    let life = Life::begin(directory.path(), remembered).await;
    let account = account(&life.runtime, 1);
    assert_eq!(account.outcome::<Credit>(id(1)).await.unwrap(), None);
    account
        .send_once(Credit::new(euro(1)), id(1))
        .await
        .unwrap();
    assert_eq!(life.balance(1).await, all + 1);
    life.end().await;
}

#[test]
fn eight_kills_and_every_command_takes_effect_once() {
    kill_campaign(600, 8, 1);
}

/// `cargo test --release -p foldhouse-tests -- --ignored retry_kill_campaign`
#[test]
#[ignore = "a campaign of 100 kills; takes minutes"]
fn retry_kill_campaign_of_a_hundred() {
    for seed in 2..12 {
        kill_campaign(5_000, 10, seed);
    }
}

/// Position, version and balance, as they were told.
type Told = [i64; 3];

/// Sends the same commands in every life of a child that is killed, then once in one that is not.
fn kill_campaign(commands: u64, kills: usize, seed: u64) {
    let directory = directory();
    let mut random = StdRng::seed_from_u64(seed);
    let mut told: HashMap<u64, Told> = HashMap::new();
    let mut repeated = 0;
    for life in 0..=kills {
        let kill_after = (life < kills).then(|| random.random_range(1..commands));
        for (number, answer) in run_child(directory.path(), commands, kill_after) {
            match told.insert(number, answer) {
                None => {}
                Some(before) => {
                    repeated += 1;
                    assert_eq!(before, answer, "command {number} was answered in two ways");
                }
            }
        }
    }
    assert_eq!(
        told.len() as u64,
        commands,
        "the last life answers everything"
    );
    assert!(
        repeated > 0,
        "nothing was ever sent again: nothing was tested"
    );
    println!("{kills} kills, {commands} commands, {repeated} retries: each took effect once");
    check_books(directory.path(), commands);
}

/// Kills the child once it has told so many answers; gives back what it told.
fn run_child(directory: &Path, commands: u64, kill_after: Option<u64>) -> Vec<(u64, Told)> {
    let mut child = Command::new(env!("CARGO_BIN_EXE_retry-child"));
    child
        .arg(directory)
        .args([commands.to_string(), "16".to_owned()]);
    let mut told = Vec::new();
    killed::run(&mut child, kill_after, |line| {
        let answer = parse(line);
        told.extend(answer);
        answer.is_some()
    });
    told
}

/// `None` for another line, and for the last one of a child that was killed while it wrote it.
fn parse(line: &str) -> Option<(u64, Told)> {
    let mut fields = line.strip_prefix("ack ")?.split(' ');
    let number = fields.next()?.parse().ok()?;
    let mut told = || fields.next()?.parse().ok();
    Some((number, [told()?, told()?, told()?]))
}

/// The events of each command are there once, in number and in sum.
fn check_books(directory: &Path, commands: u64) {
    let tokio = tokio::runtime::Runtime::new().unwrap();
    tokio.block_on(async {
        let life = Life::begin(directory, 1 << 20).await;
        let (mut events, mut sum) = (0, 0);
        for account in 0..10 {
            events += self::account(&life.runtime, account)
                .version()
                .await
                .unwrap()
                .get();
            sum += life.balance(account).await;
        }
        let is_transfer =
            |number: u64| number.is_multiple_of(3) && number % 10 != (number / 10 + 1) % 10;
        let transfers = (0..commands).filter(|number| is_transfer(*number)).count() as u64;
        assert_eq!(events, 10 + commands + transfers);
        // A transfer adds nothing, a posting its number and one.
        let posted = (0..commands).filter(|number| !is_transfer(*number));
        assert_eq!(
            sum,
            i64::try_from(posted.map(|number| number + 1).sum::<u64>()).unwrap()
        );
        assert_eq!(life.store.head().get(), events);
        life.end().await;
    });
}
