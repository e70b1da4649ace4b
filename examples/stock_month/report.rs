use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use foldhouse::{EventStore, Runtime, Store};
use foldhouse_examples::{Failure, fail, open_store, rate};
use serde::Serialize;

use super::args::Args;
use super::check::Check;
use super::month::Month;
use super::shop::{Shop, keep_books};

const PATIENCE: Duration = Duration::from_secs(600);

/// What came of a month.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) days: u64,
    pub(crate) baskets: u64,
    /// Rows of the file that make no sense or are beyond the month.
    pub(crate) rows_left_out: u64,
    pub(crate) deliveries: u64,
    pub(crate) movements: u64,
    /// How often a movement that was recorded late changed what later ones have cost.
    pub(crate) revaluations: u64,
    pub(crate) entries: u64,
    /// At how many positions stock and ledger were compared, and at how many they differ.
    pub(crate) compared: u64,
    pub(crate) mismatches: u64,
    /// What the stock is worth, and what its account has, in minor units.
    pub(crate) valuation_minor: i64,
    pub(crate) stock_account_minor: i64,
    pub(crate) entries_per_second: f64,
    pub(crate) seconds: f64,
}

impl foldhouse_examples::Report for Report {
    fn holds(&self) -> bool {
        self.mismatches == 0 && self.valuation_minor == self.stock_account_minor
    }

    fn rows(&self) -> Vec<(&'static str, String)> {
        vec![
            ("days", self.days.to_string()),
            ("baskets sold", self.baskets.to_string()),
            ("rows left out", self.rows_left_out.to_string()),
            ("deliveries", self.deliveries.to_string()),
            ("movements", self.movements.to_string()),
            ("revaluations", self.revaluations.to_string()),
            ("entries", self.entries.to_string()),
            ("compared", self.compared.to_string()),
            ("mismatches", self.mismatches.to_string()),
            ("valuation", self.valuation_minor.to_string()),
            ("stock account", self.stock_account_minor.to_string()),
            (
                "entries a second",
                format!("{:.0}", self.entries_per_second),
            ),
            ("time", format!("{:.3} s", self.seconds)),
        ]
    }
}

/// Lives through the month, closes, reopens, and checks the journal.
pub(crate) async fn run(month: &Month, args: &Args, directory: &Path) -> Result<Report, Failure> {
    let store = open_store(directory)?;
    let started = Instant::now();
    let runtime = Runtime::builder(Arc::clone(&store) as Arc<dyn Store>)
        .start()
        .await
        .map_err(fail)?;
    let books = keep_books(&runtime, Arc::clone(&store) as Arc<dyn Store>).await?;
    let shop = Shop::new(&runtime);
    shop.sell(month, args.callers, |_| ()).await?;
    let head = store.head();
    books.wait_for(head, PATIENCE).await.map_err(fail)?;
    let seconds = started.elapsed().as_secs_f64();
    runtime.shutdown(PATIENCE).await.map_err(fail)?;
    store.close();
    let store = open_store(directory)?;
    let check = Check::of_journal(&*store).await?;
    store.close();
    let done = shop.done();
    Ok(Report {
        days: month.days.len() as u64,
        baskets: done.baskets.load(Ordering::Relaxed),
        rows_left_out: month.left_out,
        deliveries: done.deliveries.load(Ordering::Relaxed),
        movements: check.movements,
        revaluations: check.revaluations,
        entries: check.entries,
        compared: check.compared,
        mismatches: check.findings.count(),
        valuation_minor: check.valuation,
        stock_account_minor: check.stock_account,
        entries_per_second: rate(check.entries, seconds),
        seconds,
    })
}
