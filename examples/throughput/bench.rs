use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use foldhouse::{EventStore, JournalOptions, JournalStore, Runtime, raw_log_limit};

use crate::callers::{self, DEADLINE, Load, Tally};
use crate::latencies::Latencies;
use crate::meter::{Meter, Metered};
use crate::report::{Micros, RawLog, Report, Written};
use crate::{Failure, Plan, fail};

/// The disk is measured as long as the callers were, within these bounds.
const RAW_LOG_TIME_MIN: Duration = Duration::from_millis(50);
const RAW_LOG_TIME_MAX: Duration = Duration::from_secs(2);

/// The store's own default, but in tests, which write too little for it.
const SEGMENT_BYTES: u64 = if cfg!(test) { 2 << 20 } else { 64 << 20 };

/// A fresh store, and what is to be measured on it.
#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) store: Arc<JournalStore>,
    pub(crate) plan: Plan,
    directory: PathBuf,
}

/// What was found when a workload was over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Checked {
    pub(crate) mismatches: u64,
    /// How many events the store must hold.
    pub(crate) events: u64,
}

/// A workload of callers.
pub(crate) trait Measurable: Load + Sized {
    /// Makes what the callers need, before anything is measured.
    async fn prepare(bench: &Bench, runtime: &Runtime) -> Result<Arc<Self>, Failure>;

    /// Compares what is there with what was acknowledged.
    async fn check(&self) -> Result<Checked, Failure>;
}

impl Bench {
    pub(crate) fn open(directory: &Path, plan: Plan) -> Result<Self, Failure> {
        let options = JournalOptions::new()
            .log_frame_sizes(true)
            .segment_bytes(SEGMENT_BYTES);
        let usage = |what: String| Failure::Usage(format!("{}: {what}", directory.display()));
        let store = options
            .open(directory)
            .map_err(|error| usage(error.to_string()))?;
        if store.head().get() > 0 {
            return Err(usage(
                "it holds a store already; a measurement needs a fresh one, name another with --data".to_owned(),
            ));
        }
        if store.write_mode() != foldhouse_store::WriteMode::Direct {
            eprintln!(
                "the file system of {} refuses O_DIRECT; the figures are those of {:?} writes",
                directory.display(),
                store.write_mode()
            );
        }
        Ok(Self {
            store: Arc::new(store),
            plan,
            directory: directory.to_owned(),
        })
    }

    /// A runtime that is set up in the usual way.
    pub(crate) async fn runtime(&self) -> Result<Runtime, Failure> {
        let builder = Runtime::builder(self.store.clone());
        builder.start().await.map_err(fail)
    }

    /// A report in which nothing is measured but the time.
    pub(crate) fn report(&self, tally: Tally, metered: &Metered) -> Report {
        Report::new(&self.plan, self.store.write_mode(), tally, metered)
    }
}

pub(crate) async fn shut_down(runtime: &Runtime) -> Result<(), Failure> {
    runtime.shutdown(DEADLINE).await.map(drop).map_err(fail)
}

/// Measures callers, then the disk alone with frames of the same sizes, and checks what the callers left.
pub(crate) async fn closed_loop<L: Measurable>(bench: &Bench) -> Result<Report, Failure> {
    let runtime = bench.runtime().await?;
    let load = L::prepare(bench, &runtime).await?;
    let frames_before = bench.store.frame_sizes().len();
    let events_before = bench.store.head().get();
    let latencies = Latencies::new()?;
    let meter = Meter::start()?;
    let tally = callers::run(&load, &bench.plan, &latencies).await?;
    let metered = meter.stop()?;
    let events = bench.store.head().get() - events_before;

    let checked = load.check().await?;
    let frames = bench.store.frame_sizes().split_off(frames_before);
    shut_down(&runtime).await?;
    let mut report = bench.report(tally, &metered);
    report.mismatches = checked.mismatches;
    if bench.store.head().get() != checked.events {
        report.mismatches += 1;
        let head = bench.store.head();
        eprintln!(
            "mismatch: the store holds {head} events, acknowledged were {}",
            checked.events
        );
    }
    let time = metered.wall.clamp(RAW_LOG_TIME_MIN, RAW_LOG_TIME_MAX);
    let raw_log = raw_log_limit(&bench.directory, &frames, time).map_err(fail)?;
    report.set_written(&Written { events, frames });
    report.set_raw_log(&RawLog {
        events_per_second: raw_log.events_per_second(),
        events_per_ack: crate::rate(events, tally.acked.max(1) as f64),
    });
    report.latency = Micros::of(&latencies);
    Ok(report)
}
