use std::time::{Duration, Instant};

use foldhouse::Runtime;
use foldhouse_aggregates::{Credit, Money};
use foldhouse_store::{SnapshotCriteria, SnapshotStore};

use crate::bench::{Bench, shut_down};
use crate::callers::{DEADLINE, Tally};
use crate::fill::{Fill, account, balance_minor};
use crate::latencies::Latencies;
use crate::ledger::CURRENCY;
use crate::meter::Meter;
use crate::report::{Micros, Report};
use crate::{Failure, fail};

/// Never a snapshot, and one behind every event.
const NEVER: u64 = u64::MAX;
const ALWAYS: u64 = 1;
/// Even if the time is over before.
const TIMES_MIN: u64 = 3;
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(10);

/// Brings an account with many events back, first from its events alone, then from a snapshot.
pub(crate) async fn measure(bench: &Bench) -> Result<Report, Failure> {
    let fill = Fill::write(bench, 1, bench.plan.events).await?;
    let mut hydrating = Hydrating {
        bench,
        fill,
        mismatches: 0,
    };
    let (events_only, from_snapshot) = (Latencies::new()?, Latencies::new()?);
    let meter = Meter::start()?;
    let times = hydrating.repeat(&events_only).await?;
    let metered = meter.stop()?;
    hydrating.take_snapshot().await?;
    hydrating.repeat(&from_snapshot).await?;

    let tally = Tally {
        acked: times * bench.plan.events,
        ..Tally::default()
    };
    let mut report = bench.report(tally, &metered);
    report.callers = 1;
    report.mismatches = hydrating.mismatches;
    report.latency = Micros::of(&events_only);
    let snapshot = Micros::of(&from_snapshot);
    report.details.extend([
        ("hydrations", crate::rate(times, 1.0)),
        ("snapshot_p50_us", snapshot.p50_us),
        ("snapshot_p99_us", snapshot.p99_us),
        ("snapshot_max_us", snapshot.max_us),
    ]);
    Ok(report)
}

struct Hydrating<'a> {
    bench: &'a Bench,
    fill: Fill,
    mismatches: u64,
}

impl Hydrating<'_> {
    /// Asks for the balance in one fresh runtime after the other; gives how often.
    async fn repeat(&mut self, latencies: &Latencies) -> Result<u64, Failure> {
        let end = Instant::now() + self.bench.plan.duration / 2;
        let mut recorder = latencies.recorder();
        let mut times = 0;
        while times < TIMES_MIN || Instant::now() < end {
            let runtime = self.runtime(NEVER).await?;
            let handle = account(&runtime, &self.fill.streams[0])?;
            let start = Instant::now();
            let found = balance_minor(&handle).await?;
            recorder.record(start.elapsed());
            if found != Some(self.fill.balances_minor[0]) {
                self.mismatches += 1;
                eprintln!(
                    "mismatch: hydrated to {found:?}, the events add up to {}",
                    self.fill.balances_minor[0]
                );
            }
            shut_down(&runtime).await?;
            times += 1;
        }
        Ok(times)
    }

    async fn take_snapshot(&mut self) -> Result<(), Failure> {
        let runtime = self.runtime(ALWAYS).await?;
        let handle = account(&runtime, &self.fill.streams[0])?;
        let credit = Credit::new(Money::new(1, CURRENCY));
        handle.send(credit).await.map_err(fail)?;
        self.fill.balances_minor[0] += 1;
        shut_down(&runtime).await?;
        // Saved in the background: a shutdown does not wait for it.
        tokio::time::timeout(DEADLINE, self.snapshot_is_kept())
            .await
            .map_err(|_| fail("no snapshot was kept"))?
    }

    async fn snapshot_is_kept(&self) -> Result<(), Failure> {
        let stream = &self.fill.streams[0];
        loop {
            let kept = self
                .bench
                .store
                .load_snapshot(stream, SnapshotCriteria::ALL)
                .await;
            if kept.map_err(fail)?.is_some() {
                return Ok(());
            }
            tokio::time::sleep(LOOK_AGAIN_AFTER).await;
        }
    }

    async fn runtime(&self, snapshot_every_events: u64) -> Result<Runtime, Failure> {
        Runtime::builder(self.bench.store.clone())
            .snapshot_every_events(snapshot_every_events)
            .start()
            .await
            .map_err(fail)
    }
}
