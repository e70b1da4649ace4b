//! Orders over stock and accounts that know nothing of each other: a process reserves the goods, debits the customer,
//! credits the sales and ships; where the debit is refused it gives the goods back. Kill it at any time and start it again
//! with the same `--data`: every order ends once, whole or compensated. Try `--help`.

mod fulfilment;
mod shop;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Parser;
use foldhouse::{Runtime, Store};
use foldhouse_examples::{Directory, Failure, block_on, fail, finish, open_store};
use serde::Serialize;

use fulfilment::Fulfilment;
use shop::{Books, fill, is_at_rest, place};

/// Places orders and lets a process fulfil them; then goes through the journal to check that each ended once, whole or
/// compensated. Exit code: 0 if that holds, 1 if it does not, 2 if the arguments do not fit.
#[derive(Clone, Debug, Parser)]
#[command(name = "order_process")]
struct Args {
    /// How many orders are placed.
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    orders: u64,
    /// Keeps the store in this directory, and goes on with what an earlier run has left there.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Prints exactly one JSON object instead of the table.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Report {
    orders: u64,
    fulfilled: u64,
    /// Those that were refused, and left nothing behind.
    cancelled: u64,
    /// What does not hold.
    findings: Vec<String>,
    seconds: f64,
}

impl foldhouse_examples::Report for Report {
    fn holds(&self) -> bool {
        self.findings.is_empty() && self.fulfilled + self.cancelled == self.orders
    }

    fn rows(&self) -> Vec<(&'static str, String)> {
        vec![
            ("orders", self.orders.to_string()),
            ("fulfilled", self.fulfilled.to_string()),
            ("cancelled", self.cancelled.to_string()),
            ("findings", self.findings.join("; ")),
            ("time", format!("{:.3} s", self.seconds)),
        ]
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    finish("order_process", job(&args), args.json)
}

fn job(args: &Args) -> Result<Report, Failure> {
    let directory = Directory::of(args.data.as_deref(), "order-process")?;
    let store = open_store(directory.path())?;
    let report = block_on(run(Arc::clone(&store) as Arc<dyn Store>, args.orders));
    store.close();
    report
}

async fn run(store: Arc<dyn Store>, orders: u64) -> Result<Report, Failure> {
    let started = Instant::now();
    let runtime = Runtime::builder(Arc::clone(&store))
        .start()
        .await
        .map_err(fail)?;
    let process = runtime.run_process::<Fulfilment>().await.map_err(fail)?;
    fill(&runtime).await.map_err(fail)?;
    for number in 0..orders {
        place(&runtime, number).await.map_err(fail)?;
    }
    while !is_at_rest(&process.status()) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let seconds = started.elapsed().as_secs_f64();
    runtime
        .shutdown(Duration::from_secs(60))
        .await
        .map_err(fail)?;
    let books = Books::read(&*store).await.map_err(fail)?;
    Ok(Report {
        orders: books.placed,
        fulfilled: books.fulfilled,
        cancelled: books.cancelled,
        findings: books.findings(),
        seconds,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_order_ends_once_and_some_of_them_are_cancelled() {
        let args = Args {
            orders: 120,
            data: None,
            json: true,
        };
        let report = job(&args).unwrap();
        assert!(foldhouse_examples::Report::holds(&report), "{report:?}");
        assert_eq!(report.orders, 120);
        assert!(report.fulfilled > 0 && report.cancelled > 0, "{report:?}");
    }
}
