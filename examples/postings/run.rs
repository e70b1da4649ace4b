use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use foldhouse::{EventStore, FrameSize, Runtime, raw_log_limit};
use foldhouse_examples::{
    Failure, Findings, Latency, at_the_same_time, fail, open_store, progress_bar, rate,
};
use hdrhistogram::Histogram;
use indicatif::ProgressBar;

use crate::checks::{DEADLINE, ReadModels, check_entries, check_live, check_rehydrated};
use crate::ledger::{Ledger, Posted};
use crate::prepare::prepare;
use crate::report::Report;
use crate::workload::Workload;

/// How the workload is run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) callers: u32,
    pub(crate) with_read_models: bool,
    /// How long the disk alone is measured; a test has no use for it.
    pub(crate) raw_log_time: Option<Duration>,
}

/// What one caller saw.
#[derive(Debug)]
struct Tally {
    accepted: u64,
    rejected: u64,
    mismatches: Findings,
    latency_nanos: Histogram<u64>,
}

impl Tally {
    fn new() -> Result<Self, Failure> {
        let latency_nanos = Histogram::new(3).map_err(fail)?;
        Ok(Self {
            accepted: 0,
            rejected: 0,
            mismatches: Findings::new("mismatch"),
            latency_nanos,
        })
    }

    fn add(&mut self, other: &Self) -> Result<(), Failure> {
        self.accepted += other.accepted;
        self.rejected += other.rejected;
        self.mismatches.take_over(&other.mismatches);
        self.latency_nanos.add(&other.latency_nanos).map_err(fail)
    }
}

/// Posts everything, closes, reopens, and checks every balance. Gives back the balances beside the report.
pub(crate) async fn run(
    workload: Workload,
    settings: Settings,
    directory: &Path,
) -> Result<(Report, Vec<(String, i128)>), Failure> {
    let workload = Arc::new(workload);
    let store = open_store(directory)?;
    let runtime = Runtime::builder(store.clone())
        .start()
        .await
        .map_err(fail)?;
    let models = if settings.with_read_models {
        Some(ReadModels::start(&runtime).await?)
    } else {
        None
    };
    let ledger = Arc::new(Ledger::new(&runtime, &workload)?);
    let found = prepare(&store, &ledger, &workload).await?;
    let frames_before = store.frame_sizes().len();

    let start = Instant::now();
    let Tally {
        accepted,
        rejected,
        mut mismatches,
        latency_nanos,
    } = post(&ledger, &workload, settings.callers).await?;
    let seconds = start.elapsed().as_secs_f64();

    check_live(&ledger, models.as_ref(), &workload, &mut mismatches, &store).await?;
    let by_read_model = models.map(|models| models.proof());
    let head_position = store.head().get();
    let frames = store.frame_sizes().split_off(frames_before);
    drop(ledger);
    runtime.shutdown(DEADLINE).await.map_err(fail)?;
    store.close();
    let raw_log_per_second = match settings.raw_log_time {
        Some(time) => raw_log(directory, &frames, time, accepted)?,
        None => 0.0,
    };

    let start = Instant::now();
    let store = open_store(directory)?;
    let reopen_seconds = start.elapsed().as_secs_f64();
    let mut rehydrated = Findings::new("mismatch");
    let ids_and_balances = check_rehydrated(&store, &workload, &mut rehydrated).await?;
    let all_accepted = found + accepted;
    let proof = check_entries(&store, all_accepted, by_read_model, &mut rehydrated).await?;
    if store.head().get() != head_position {
        rehydrated.add(|| {
            format!(
                "the head was {head_position} and is {} after reopening",
                store.head()
            )
        });
    }
    store.close();
    let report = Report {
        postings: workload.postings(),
        accepted: all_accepted,
        rejected,
        invalid: workload.invalid().len() as u64,
        mismatches: mismatches.count(),
        rehydrated_mismatches: rehydrated.count(),
        accounts: workload.customers() as u64,
        seconds,
        postings_per_second: rate(accepted + rejected, seconds),
        latency_us: Latency::of(&latency_nanos),
        raw_log_per_second,
        head_position,
        reopen_seconds,
        entries: proof.entries,
        trial_balance_checks: proof.checks,
        unbalanced: proof.unbalanced,
    };
    Ok((report, ids_and_balances))
}

/// What the disk alone takes: so many postings a second, in frames of the same sizes.
fn raw_log(
    directory: &Path,
    frames: &[FrameSize],
    time: Duration,
    postings: u64,
) -> Result<f64, Failure> {
    let limit = raw_log_limit(directory, frames, time).map_err(fail)?;
    let events: u64 = frames.iter().map(|frame| u64::from(frame.events)).sum();
    // Events a second over events a posting.
    Ok(limit.events_per_second() * rate(postings, 1.0) / rate(events.max(1), 1.0))
}

async fn post(
    ledger: &Arc<Ledger>,
    workload: &Arc<Workload>,
    callers: u32,
) -> Result<Tally, Failure> {
    let bar = progress_bar(workload.postings(), "postings")?;
    let tallies = at_the_same_time(callers, |caller| {
        let (ledger, workload, bar) = (Arc::clone(ledger), Arc::clone(workload), bar.clone());
        async move { call(&ledger, &workload, caller, &bar).await }
    })
    .await?;
    let mut tally = Tally::new()?;
    for of_caller in &tallies {
        tally.add(of_caller)?;
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
                    tally.mismatches.add(|| {
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
