use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::bench::{Bench, shut_down};
use crate::callers::{Tally, for_each};
use crate::fill::{Fill, account, balance_minor};
use crate::meter::{Meter, resident_bytes};
use crate::report::Report;
use crate::{Failure, rate};

/// Brings accounts to life by a query each, and looks how much more memory the process takes then.
pub(crate) async fn measure(bench: &Bench) -> Result<Report, Failure> {
    let accounts = bench.plan.aggregates;
    // Straight into the store: a runtime that had done it would leave memory behind, which the accounts would then use.
    let fill = Arc::new(Fill::write(bench, accounts, 2 * accounts as u64).await?);
    let runtime = bench.runtime().await?;
    let wrong = Arc::new(AtomicU64::new(0));
    let before = resident_bytes()?;
    let meter = Meter::start()?;
    let (all, found_wrong, owner) = (Arc::clone(&fill), Arc::clone(&wrong), runtime.clone());
    for_each(accounts, move |number| {
        let (fill, wrong, runtime) = (Arc::clone(&all), Arc::clone(&found_wrong), owner.clone());
        async move {
            let found = balance_minor(&account(&runtime, &fill.streams[number])?).await?;
            if found != Some(fill.balances_minor[number]) {
                wrong.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        }
    })
    .await?;
    let metered = meter.stop()?;
    let after = resident_bytes()?;
    shut_down(&runtime).await?;

    let tally = Tally {
        acked: accounts as u64,
        ..Tally::default()
    };
    let mut report = bench.report(tally, &metered);
    report.mismatches = wrong.load(Ordering::Relaxed);
    let grown = after.saturating_sub(before);
    let per_aggregate = rate(grown, rate(accounts as u64, 1.0));
    report.details.extend([
        ("bytes_per_aggregate", per_aggregate),
        ("resident_bytes", rate(after, 1.0)),
    ]);
    Ok(report)
}
