use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use foldhouse::{
    EventStore, JournalOptions, JournalStore, ProjectionRef, Runtime, StreamQuery, raw_log_limit,
};
use foldhouse_aggregates::{Balances, OverdraftPolicy};
use hdrhistogram::Histogram;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::task::JoinSet;

use crate::ledger::{Ledger, Posted, TENANT, change_minor};
use crate::report::{Latency, Report};
use crate::workload::{Kind, Workload};
use crate::{Failure, fail, rate};

/// How many mismatches are told one by one.
const TOLD_MAX: u64 = 20;
/// How many accounts are opened at the same time.
const OPENERS: usize = 1_024;
const DEADLINE: Duration = Duration::from_secs(60);
const RAW_LOG_TIME: Duration = Duration::from_secs(1);

/// What one caller saw.
#[derive(Debug)]
struct Tally {
    accepted: u64,
    rejected: u64,
    mismatches: u64,
    latency_nanos: Histogram<u64>,
}

impl Tally {
    fn new() -> Result<Self, Failure> {
        let latency_nanos = Histogram::new(3).map_err(fail)?;
        Ok(Self {
            accepted: 0,
            rejected: 0,
            mismatches: 0,
            latency_nanos,
        })
    }

    fn add(&mut self, other: &Self) -> Result<(), Failure> {
        self.accepted += other.accepted;
        self.rejected += other.rejected;
        self.mismatches += other.mismatches;
        self.latency_nanos.add(&other.latency_nanos).map_err(fail)
    }

    fn mismatch(&mut self, what: impl FnOnce() -> String) {
        self.mismatches += 1;
        if self.mismatches <= TOLD_MAX {
            eprintln!("mismatch: {}", what());
        }
    }
}

/// Posts everything, closes, reopens, and checks every balance. Gives back the balances beside the report.
pub(crate) async fn run(
    workload: Workload,
    callers: u32,
    with_read_model: bool,
    directory: &Path,
) -> Result<(Report, Vec<(String, i64)>), Failure> {
    let workload = Arc::new(workload);
    let store = open(directory)?;
    let runtime = Runtime::builder(store.clone())
        .start()
        .await
        .map_err(fail)?;
    let balances = if with_read_model {
        Some(runtime.project(Balances).await.map_err(fail)?)
    } else {
        None
    };
    let ledger = Arc::new(Ledger::new(&runtime, &workload)?);
    let mut tally = Tally::new()?;
    tally.accepted = prepare(&store, &ledger, &workload).await?;
    let frames_before = store.frame_sizes().len();

    let start = Instant::now();
    let posted = post(&ledger, &workload, callers).await?;
    let seconds = start.elapsed().as_secs_f64();
    let posted_count = posted.accepted + posted.rejected;
    tally.add(&posted)?;

    check_live(&ledger, balances.as_ref(), &workload, &mut tally, &store).await?;
    let head_position = store.head().get();
    let frames = store.frame_sizes().split_off(frames_before);
    runtime.shutdown(DEADLINE).await.map_err(fail)?;
    store.close();
    let raw_log = raw_log_limit(directory, &frames, RAW_LOG_TIME).map_err(fail)?;

    let start = Instant::now();
    let store = open(directory)?;
    let reopen_seconds = start.elapsed().as_secs_f64();
    let mut rehydrated = Tally::new()?;
    let ids_and_balances = check_rehydrated(&store, &workload, &mut rehydrated).await?;
    if store.head().get() != head_position {
        rehydrated.mismatch(|| {
            format!(
                "the head was {head_position} and is {} after reopening",
                store.head()
            )
        });
    }
    store.close();
    let report = Report {
        postings: workload.postings(),
        accepted: tally.accepted,
        rejected: tally.rejected,
        invalid: workload.invalid().len() as u64,
        mismatches: tally.mismatches,
        rehydrated_mismatches: rehydrated.mismatches,
        accounts: workload.accounts() as u64,
        seconds,
        postings_per_second: rate(posted_count, seconds),
        latency_us: Latency::of(&tally.latency_nanos),
        raw_log_per_second: raw_log.events_per_second(),
        head_position,
        reopen_seconds,
    };
    Ok((report, ids_and_balances))
}

fn open(directory: &Path) -> Result<Arc<JournalStore>, Failure> {
    let options = JournalOptions::new().log_frame_sizes(true);
    let store = options
        .open(directory)
        .map_err(|error| Failure::Usage(format!("{}: {error}", directory.display())))?;
    if let Some(torn) = &store.recovery().torn_tail {
        eprintln!(
            "an earlier run was interrupted: {} bytes that were never acknowledged were cut off",
            torn.bytes
        );
    }
    Ok(Arc::new(store))
}

/// Opens the accounts that are not open, and takes what an earlier run has posted into the sums. Gives back how much.
async fn prepare(
    store: &JournalStore,
    ledger: &Arc<Ledger>,
    workload: &Workload,
) -> Result<u64, Failure> {
    let is_new = store.head().get() == 0;
    let mut found = 0;
    match &workload.kind {
        Kind::Simulated { .. } if !is_new => {
            return Err(Failure::Usage(
                "the directory holds a store already; a simulation needs a fresh one: name another with --data".to_owned(),
            ));
        }
        Kind::Simulated { .. } => {
            open_accounts(ledger, workload, OverdraftPolicy::Forbidden).await?
        }
        Kind::Bank { .. } if is_new => {
            open_accounts(ledger, workload, OverdraftPolicy::Unlimited).await?
        }
        Kind::Bank { file, .. } => {
            for (account, bank_account) in file.accounts.iter().enumerate() {
                let recorded = recorded_changes(store, ledger, account).await?;
                if recorded.is_empty() {
                    ledger.open(account, OverdraftPolicy::Unlimited).await?;
                }
                let rows = &bank_account.rows;
                for (index, (change_minor, transaction_id)) in
                    recorded.into_iter().skip(1).enumerate()
                {
                    let row = rows.get(index).filter(|row| {
                        row.change_minor == change_minor
                            && transaction_id.as_deref() == Some(&row.transaction_id)
                    });
                    let row = row.ok_or_else(|| {
                        Failure::Usage(format!(
                            "posting {} to account {} in the directory is not from this file; name a fresh one with --data",
                            index + 1,
                            bank_account.id
                        ))
                    })?;
                    workload.note(&crate::workload::Posting {
                        account,
                        change_minor,
                        row: Some(row),
                    });
                    found += 1;
                }
            }
        }
    }
    Ok(found)
}

async fn open_accounts(
    ledger: &Arc<Ledger>,
    workload: &Workload,
    overdraft: OverdraftPolicy,
) -> Result<(), Failure> {
    let accounts = workload.accounts();
    let mut running = JoinSet::new();
    for first in 0..accounts.min(OPENERS) {
        let ledger = Arc::clone(ledger);
        running.spawn(async move {
            for account in (first..accounts).step_by(OPENERS) {
                ledger.open(account, overdraft).await?;
            }
            Ok::<_, Failure>(())
        });
    }
    while let Some(joined) = running.join_next().await {
        joined.map_err(fail)??;
    }
    Ok(())
}

/// What the events of an account added to its balance, and the transactions that they are from.
async fn recorded_changes(
    store: &JournalStore,
    ledger: &Ledger,
    account: usize,
) -> Result<Vec<(i64, Option<String>)>, Failure> {
    let mut changes = Vec::new();
    let mut query = StreamQuery::whole(ledger.stream(account).clone(), 1_000);
    loop {
        let page = store.read_stream(query.clone()).await.map_err(fail)?;
        for event in &page.events {
            changes.push((
                change_minor(event)?,
                event.metadata.get("transaction_id").cloned(),
            ));
        }
        match page.next {
            Some(next) => query.from = next,
            None => return Ok(changes),
        }
    }
}

async fn post(
    ledger: &Arc<Ledger>,
    workload: &Arc<Workload>,
    callers: u32,
) -> Result<Tally, Failure> {
    let bar = progress_bar(workload.postings())?;
    let mut running = JoinSet::new();
    for caller in 0..callers {
        let (ledger, workload, bar) = (Arc::clone(ledger), Arc::clone(workload), bar.clone());
        running.spawn(async move { call(&ledger, &workload, caller, &bar).await });
    }
    let mut tally = Tally::new()?;
    while let Some(joined) = running.join_next().await {
        tally.add(&joined.map_err(fail)??)?;
    }
    bar.finish_and_clear();
    Ok(tally)
}

/// One caller: posts, waits for the answer, posts again.
async fn call(
    ledger: &Ledger,
    workload: &Workload,
    caller: u32,
    bar: &ProgressBar,
) -> Result<Tally, Failure> {
    let mut tally = Tally::new()?;
    for posting in workload.postings_of(caller) {
        let start = Instant::now();
        let posted = ledger.post(&posting).await?;
        let nanos = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        tally.latency_nanos.record(nanos).map_err(fail)?;
        match posted {
            Posted::Rejected => tally.rejected += 1,
            Posted::Accepted { balance_minor } => {
                tally.accepted += 1;
                workload.note(&posting);
                if let Some(row) = posting.row.filter(|row| row.balance_minor != balance_minor) {
                    tally.mismatch(|| {
                        format!(
                            "line {}: the balance is {balance_minor}, the file says {}",
                            row.line, row.balance_minor
                        )
                    });
                }
            }
        }
        bar.inc(1);
    }
    Ok(tally)
}

/// On a terminal only: indicatif draws nothing where stderr is none.
fn progress_bar(postings: u64) -> Result<ProgressBar, Failure> {
    let template = "{bar:40} {pos}/{len} postings, {per_sec}, {eta} left";
    let style = ProgressStyle::with_template(template).map_err(fail)?;
    Ok(ProgressBar::new(postings).with_style(style))
}

/// Checks the actors and the read model against the sums kept on the side.
async fn check_live(
    ledger: &Ledger,
    balances: Option<&ProjectionRef<Balances>>,
    workload: &Workload,
    tally: &mut Tally,
    store: &JournalStore,
) -> Result<(), Failure> {
    if let Some(balances) = balances {
        balances
            .wait_for(store.head(), DEADLINE)
            .await
            .map_err(fail)?;
    }
    for account in 0..workload.accounts() {
        let expected = workload.sum_minor(account);
        let (in_actor, _) = ledger.balance(account).await?;
        let in_model = balances.map(|balances| {
            let row = balances.get(ledger.stream(account));
            row.map(|row| row.balance().minor_units())
        });
        let model_holds = in_model.is_none_or(|balance| balance == Some(i128::from(expected)));
        if in_actor != expected || !model_holds {
            tally.mismatch(|| format!(
                "account {}: the postings add up to {expected}, the account says {in_actor}, the read model {in_model:?}",
                workload.account_id(account)
            ));
        }
    }
    Ok(())
}

/// Rehydrates every account of a store that was just opened, and checks its balance and that no posting is lost or
/// doubled.
async fn check_rehydrated(
    store: &Arc<JournalStore>,
    workload: &Arc<Workload>,
    tally: &mut Tally,
) -> Result<Vec<(String, i64)>, Failure> {
    let runtime = Runtime::builder(store.clone())
        .start()
        .await
        .map_err(fail)?;
    let ledger = Ledger::new(&runtime, workload)?;
    let mut found = Vec::with_capacity(workload.accounts());
    for account in 0..workload.accounts() {
        let (balance_minor, version) = ledger.balance(account).await?;
        let expected = workload.expected_minor(account);
        let expected_version = workload.count(account) + 1;
        if balance_minor != expected || version.get() != expected_version {
            tally.mismatch(|| format!(
                "account {} of {TENANT} after reopening: balance {balance_minor} at version {version}, \
                 expected {expected} at version {expected_version}",
                workload.account_id(account)
            ));
        }
        found.push((workload.account_id(account), balance_minor));
    }
    runtime.shutdown(DEADLINE).await.map_err(fail)?;
    Ok(found)
}
