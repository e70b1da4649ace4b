//! The past of real ledgers, read from a real journal: beside the process that writes, from a backup, and on a fork.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use foldhouse::{
    AsOf, BackupOptions, CommandMeta, EventStore, JournalOptions, JournalStore, Past, Position,
    Runtime, Timestamp, Version, position_recorded_by, read_model_at,
};
use foldhouse_aggregates::{
    Balances, Credit, Currency, Debit, GlAccount, Money, OpenAccount, OverdraftPolicy, Side,
    TrialBalance,
};
use tempfile::TempDir;

const DEADLINE: Duration = Duration::from_secs(30);
const CUSTOMERS: u64 = 3;

fn eur(minor_units: i64) -> Money {
    Money::new(minor_units, Currency::EUR)
}

fn options() -> JournalOptions {
    JournalOptions::new().segment_bytes(1 << 20)
}

fn journal() -> (Arc<JournalStore>, TempDir) {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    (
        Arc::new(options().open(directory.path()).unwrap()),
        directory,
    )
}

async fn open_accounts(runtime: &Runtime) {
    let early = || CommandMeta::new().effective_at(Timestamp::from_unix_micros(0));
    for customer in 0..CUSTOMERS {
        let account = runtime.aggregate::<GlAccount>("bank", &customer.to_string());
        let open = OpenAccount::new(Currency::EUR, Side::Credit);
        let open = open.overdraft(OverdraftPolicy::Unlimited);
        account.unwrap().execute(open, early()).await.unwrap();
    }
    let cash = runtime.aggregate::<GlAccount>("bank", "cash").unwrap();
    let open = OpenAccount::new(Currency::EUR, Side::Debit);
    cash.execute(open, early()).await.unwrap();
}

/// A deposit into one account in turn: of so much, counting at its number, or long before that for every fifth.
async fn deposit(runtime: &Runtime, number: u64) {
    let customer = (number % CUSTOMERS).to_string();
    let customer = runtime.aggregate::<GlAccount>("bank", &customer).unwrap();
    let cash = runtime.aggregate::<GlAccount>("bank", "cash").unwrap();
    let amount = eur(i64::try_from(number).unwrap() + 1);
    let effective = if number.is_multiple_of(5) {
        number / 2
    } else {
        number
    };
    let effective = Timestamp::from_unix_micros(i64::try_from(effective).unwrap() + 1);
    let steps = (
        customer.step(Credit::new(amount)),
        cash.step(Debit::new(amount)),
    );
    let meta = CommandMeta::new().effective_at(effective).user("teller");
    runtime.transact_with(steps, meta).await.unwrap();
}

/// What an account has by an effective time, from the rule above alone.
fn expected(customer: u64, deposits: u64, by: u64) -> i64 {
    let numbers = (0..deposits).filter(|number| number % CUSTOMERS == customer);
    let counting = numbers.filter(|number| {
        let effective = if number.is_multiple_of(5) {
            number / 2
        } else {
            *number
        };
        effective < by
    });
    counting
        .map(|number| i64::try_from(number).unwrap() + 1)
        .sum()
}

fn by(effective: u64) -> AsOf {
    AsOf::Effective(Timestamp::from_unix_micros(
        i64::try_from(effective).unwrap(),
    ))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_auditor_beside_the_process_that_writes_gets_the_same_answers() {
    const DEPOSITS: u64 = 600;
    let (store, directory) = journal();
    let runtime = Runtime::builder(store.clone())
        .snapshot_every_events(70)
        .start()
        .await
        .unwrap();
    open_accounts(&runtime).await;
    let auditor = Arc::new(options().open_read_only(directory.path()).unwrap());
    let writer = tokio::spawn({
        let runtime = runtime.clone();
        async move {
            for number in 0..DEPOSITS {
                deposit(&runtime, number).await;
            }
        }
    });
    let mut looks = 0;
    let kept: Vec<_> = (0..CUSTOMERS)
        .map(|customer| {
            let id = customer.to_string();
            let audited = Past::<GlAccount>::in_events(auditor.clone(), "bank", &id).unwrap();
            (
                audited,
                runtime.aggregate::<GlAccount>("bank", &id).unwrap().past(),
            )
        })
        .collect();
    loop {
        let is_done = writer.is_finished();
        caught_up(&store, auditor.refresh().unwrap()).await;
        for (customer, (audited, live)) in (0..).zip(&kept) {
            let version = audited.version(AsOf::Now).await.unwrap();
            let deposits = version.get() - 1;
            // The how manieth deposits of all these are, is known from the rule.
            let all = deposits * CUSTOMERS;
            for effective in [1, all / 3 + 1, all + 1] {
                let expected = expected(customer, all, effective);
                let moment = match by(effective) {
                    AsOf::Effective(effective) if !is_done => AsOf::Bitemporal {
                        recorded: recorded_at(&auditor, audited, version).await,
                        effective,
                    },
                    moment => moment,
                };
                for (whose, past) in [("auditor", audited), ("live", live)] {
                    let state = past.state(moment).await.unwrap().state;
                    let balance = state.balance().unwrap().minor_units();
                    assert_eq!(balance, expected, "{whose}: {moment}");
                }
            }
            let at = AsOf::Version(version);
            let evidence = audited.evidence(at).await.unwrap();
            assert_eq!(evidence, live.evidence(at).await.unwrap());
        }
        looks += 1;
        if is_done {
            break;
        }
    }
    assert!(looks > 2, "it was over too soon");
    writer.await.unwrap();
    runtime.shutdown(DEADLINE).await.unwrap();

    // A backup bears the same witness.
    let copy: PathBuf = directory.path().join("backup");
    store.backup(&copy, BackupOptions::default()).unwrap();
    let copy = Arc::new(options().open_read_only(&copy).unwrap());
    let copied = Past::<GlAccount>::in_events(copy, "bank", "1").unwrap();
    for moment in [AsOf::Now, by(77), AsOf::Position(Position::new(500))] {
        let evidence = kept[1].1.evidence(moment).await.unwrap();
        assert_eq!(evidence, copied.evidence(moment).await.unwrap());
        assert!(evidence.events > 1);
    }
}

/// An auditor may see a frame that is durable before the process that wrote it has taken notice of that.
async fn caught_up(store: &JournalStore, head: Position) {
    let mut head_of_writer = store.watch_head();
    let come_to = head_of_writer.wait_for(|reached| *reached >= head);
    let come = tokio::time::timeout(DEADLINE, come_to).await;
    come.expect("the writer acknowledges what is durable")
        .unwrap();
}

async fn recorded_at(
    journal: &Arc<foldhouse::ReadOnlyJournal>,
    past: &Past<GlAccount>,
    version: Version,
) -> Timestamp {
    let query = foldhouse::StreamQuery::since(past.stream().clone(), version, 1);
    let page = journal.read_stream(query).await.unwrap();
    page.events[0].recorded_at
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_trial_balance_of_then_of_now_and_of_what_if_all_balance() {
    let (store, _directory) = journal();
    let runtime = Runtime::builder(store.clone()).start().await.unwrap();
    open_accounts(&runtime).await;
    for number in 0..60 {
        deposit(&runtime, number).await;
    }
    let then = store.head();
    for number in 60..100 {
        deposit(&runtime, number).await;
    }
    let debits = |rows: Vec<_>| {
        let trial_balance = TrialBalance::of(rows).unwrap();
        let [section] = trial_balance.sections.as_slice() else {
            panic!("{trial_balance:?}");
        };
        assert!(section.is_balanced());
        section.debit_balances.minor_units()
    };
    let at = async |position| {
        let model = read_model_at(&*store, Balances, position).await.unwrap();
        let rows = model.table.iter();
        debits(
            rows.map(|(stream, row)| (stream.aggregate_id().to_owned(), *row))
                .collect(),
        )
    };
    assert_eq!(at(then).await, (1..=60).sum::<i128>());
    assert_eq!(at(store.head()).await, (1..=100).sum::<i128>());
    // By the time at which it was recorded, too.
    let page = store
        .read_all(Position::new(then.get() - 1), 1)
        .await
        .unwrap();
    let recorded = position_recorded_by(&*store, page.events[0].recorded_at)
        .await
        .unwrap();
    assert_eq!(recorded, then);

    // What if the till had paid out 1,000 right then? Half an entry is not forked.
    let head = store.head();
    let fork = runtime
        .what_if(Position::new(then.get() + 1))
        .await
        .unwrap();
    assert_eq!(fork.forked_at(), then);
    let customer = fork.aggregate::<GlAccount>("bank", "0").unwrap();
    let cash = fork.aggregate::<GlAccount>("bank", "cash").unwrap();
    let steps = (
        customer.step(Debit::new(eur(1_000))),
        cash.step(Credit::new(eur(1_000))),
    );
    fork.runtime().transact(steps).await.unwrap();
    let balances = fork.runtime().project(Balances).await.unwrap();
    balances
        .wait_for(fork.runtime().store().head(), DEADLINE)
        .await
        .unwrap();
    let rows = balances.read(|rows| {
        let rows = rows.iter();
        rows.map(|(stream, row)| (stream.aggregate_id().to_owned(), *row))
            .collect()
    });
    // The customer's account is overdrawn: its balance stands on the left.
    let of_customer: i128 = (0..60)
        .filter(|number| number % 3 == 0)
        .map(|number| number + 1)
        .sum();
    assert_eq!(debits(rows), 1_830 - 1_000 + (1_000 - of_customer));
    let compared = fork
        .compare_all::<GlAccount>("bank", None, 10)
        .await
        .unwrap();
    let changed: Vec<_> = compared
        .iter()
        .map(|one| one.stream.aggregate_id())
        .collect();
    assert_eq!(changed, ["0", "cash"]);
    assert_eq!(compared[0].changed.fields[0].path, "debits");
    fork.discard(DEADLINE).await.unwrap();
    assert_eq!(store.head(), head);
    runtime.shutdown(DEADLINE).await.unwrap();
}
