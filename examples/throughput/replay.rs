use std::time::Instant;

use foldhouse::EventStore;
use foldhouse_aggregates::Balances;

use crate::bench::{Bench, shut_down};
use crate::callers::{DEADLINE, Tally};
use crate::fill::Fill;
use crate::meter::Meter;
use crate::report::Report;
use crate::{Failure, fail, rate};

/// Reads all events into the balances read model, from the first to the last, over and over until the time is over.
pub(crate) async fn measure(bench: &Bench) -> Result<Report, Failure> {
    let fill = Fill::write(bench, bench.plan.aggregates, bench.plan.events).await?;
    let head = bench.store.head();
    let meter = Meter::start()?;
    let runtime = bench.runtime().await?;
    let start = Instant::now();
    let balances = runtime
        .project_partitioned(Balances, bench.plan.partitions)
        .await
        .map_err(fail)?;
    balances.wait_for(head, DEADLINE).await.map_err(fail)?;
    let seconds = start.elapsed().as_secs_f64();
    let metered = meter.stop()?;

    let mut mismatches = 0;
    for (stream, expected_minor) in fill.streams.iter().zip(&fill.balances_minor) {
        // One row, as all events of a stream are in one part.
        let rows = balances.rows(stream);
        let found = rows.first().map(|row| row.balance().minor_units());
        if rows.len() > 1 || found != Some(i128::from(*expected_minor)) {
            mismatches += 1;
            eprintln!("mismatch: {stream}: the row says {found:?}, the events {expected_minor}");
        }
    }
    drop(balances);
    shut_down(&runtime).await?;
    let tally = Tally {
        acked: head.get(),
        ..Tally::default()
    };
    let mut report = bench.report(tally, &metered);
    report.mismatches = mismatches;
    report.callers = 1;
    report.acked_per_second = rate(head.get(), seconds);
    Ok(report)
}
