use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use foldhouse::{EventStore, JournalStore, Runtime};
use foldhouse_aggregates::{Quantity, Receive};
use foldhouse_examples::{
    Failure, Findings, Latency, at_the_same_time, fail, open_store, progress_bar, rate,
};
use hdrhistogram::Histogram;
use indicatif::ProgressBar;

use crate::args::Args;
use crate::basket::{Basket, Baskets};
use crate::check::{Check, Trace};
use crate::report::Report;
use crate::warehouse::{Reserved, Warehouse};

const DEADLINE: Duration = Duration::from_secs(60);
/// How many products are put on the shelf at the same time.
const STOCKERS: u32 = 1_024;

/// The baskets, and what their callers were told.
#[derive(Debug)]
struct Work {
    all: Baskets,
    /// What an earlier run has left.
    traces: HashMap<String, Trace>,
    next: AtomicUsize,
    reserved: Vec<AtomicBool>,
}

/// What one caller saw.
#[derive(Debug)]
struct Tally {
    reserved: u64,
    refused: u64,
    /// Baskets that an earlier run had reserved.
    found: u64,
    latency_nanos: Histogram<u64>,
}

impl Tally {
    fn new() -> Result<Self, Failure> {
        Ok(Self {
            reserved: 0,
            refused: 0,
            found: 0,
            latency_nanos: Histogram::new(3).map_err(fail)?,
        })
    }

    fn add(&mut self, other: &Self) -> Result<(), Failure> {
        self.reserved += other.reserved;
        self.refused += other.refused;
        self.found += other.found;
        self.latency_nanos.add(&other.latency_nanos).map_err(fail)
    }
}

/// Reserves and ships everything, closes, reopens, and checks the journal.
pub(crate) async fn run(all: Baskets, args: &Args, directory: &Path) -> Result<Report, Failure> {
    let store = open_store(directory)?;
    let before = Check::of_journal(&store).await?;
    check_directory(&all, &before)?;
    let runtime = Runtime::builder(store.clone())
        .start()
        .await
        .map_err(fail)?;
    let (warehouse, docks) = Warehouse::open(&runtime, &all.products, args.stock, args.replenish)?;
    put_on_the_shelf(&warehouse, &all, &before, args.stock).await?;
    let work = Arc::new(Work {
        traces: before.baskets,
        next: AtomicUsize::new(0),
        reserved: all.baskets.iter().map(|_| AtomicBool::new(false)).collect(),
        all,
    });

    let start = Instant::now();
    let tally = serve(&warehouse, &work, args.callers).await?;
    let seconds = start.elapsed().as_secs_f64();

    let deliveries = warehouse.deliveries();
    docks.close(warehouse).await?;
    let head_position = store.head().get();
    runtime.shutdown(DEADLINE).await.map_err(fail)?;
    store.close();

    let store = open_store(directory)?;
    let mut check = Check::of_journal(&store).await?;
    check.compare(&work.all, |number| {
        work.reserved[number].load(Ordering::Relaxed)
    });
    let mismatches = check_items(&store, &work.all, &check).await?;
    store.close();
    Ok(Report {
        baskets: work.all.baskets.len() as u64 + work.all.invalid,
        reserved: tally.reserved + tally.found,
        refused: tally.refused,
        invalid: work.all.invalid,
        oversold: check.oversold.count(),
        partial: check.partial.count(),
        seconds,
        baskets_per_second: rate(tally.reserved + tally.refused, seconds),
        found: tally.found,
        invalid_rows: work.all.invalid_rows.len() as u64,
        lines: work
            .all
            .baskets
            .iter()
            .map(|basket| basket.lines.len() as u64)
            .sum(),
        products: work.all.products.len() as u64,
        deliveries,
        mismatches: mismatches.count(),
        latency_us: Latency::of(&tally.latency_nanos),
        head_position,
    })
}

/// A directory that is gone on with must hold nothing but lines of these baskets.
fn check_directory(all: &Baskets, before: &Check) -> Result<(), Failure> {
    let by_id: HashMap<_, _> = all
        .baskets
        .iter()
        .map(|basket| (&*basket.id, basket))
        .collect();
    for (id, trace) in &before.baskets {
        let is_ours = by_id
            .get(&**id)
            .is_some_and(|basket| trace.belongs_to(all, basket));
        if !is_ours {
            return Err(Failure::Usage(format!(
                "basket {id} in the directory is not one of these baskets; name a fresh directory with --data"
            )));
        }
    }
    Ok(())
}

/// Receives the first stock of every product that has none yet.
async fn put_on_the_shelf(
    warehouse: &Arc<Warehouse>,
    all: &Baskets,
    before: &Check,
    stock: u64,
) -> Result<(), Failure> {
    if stock == 0 {
        return Ok(());
    }
    let is_new = |(_, product): &(usize, &String)| !before.stock.contains_key(*product);
    let new = all.products.iter().enumerate().filter(is_new);
    let new: Arc<[usize]> = new.map(|(number, _)| number).collect();
    at_the_same_time(STOCKERS, |first| {
        let (warehouse, new) = (Arc::clone(warehouse), Arc::clone(&new));
        async move {
            for product in new.iter().skip(first as usize).step_by(STOCKERS as usize) {
                let receive = Receive::new(Quantity::new(stock));
                let received = warehouse.item(*product).send(receive).await;
                received.map(drop).map_err(fail)?;
            }
            Ok(())
        }
    })
    .await
    .map(drop)
}

async fn serve(
    warehouse: &Arc<Warehouse>,
    work: &Arc<Work>,
    callers: u32,
) -> Result<Tally, Failure> {
    let bar = progress_bar(work.all.baskets.len() as u64, "baskets")?;
    let tallies = at_the_same_time(callers, |_| {
        let (warehouse, work, bar) = (Arc::clone(warehouse), Arc::clone(work), bar.clone());
        async move { call(&warehouse, &work, &bar).await }
    })
    .await?;
    let mut tally = Tally::new()?;
    for of_caller in &tallies {
        tally.add(of_caller)?;
    }
    bar.finish_and_clear();
    Ok(tally)
}

/// One customer after the other: takes the next basket, reserves it, and has it shipped.
async fn call(warehouse: &Warehouse, work: &Work, bar: &ProgressBar) -> Result<Tally, Failure> {
    let mut tally = Tally::new()?;
    loop {
        let number = work.next.fetch_add(1, Ordering::Relaxed);
        let Some(basket) = work.all.baskets.get(number) else {
            return Ok(tally);
        };
        let start = Instant::now();
        if let Some(trace) = work.traces.get(&basket.id) {
            go_on(warehouse, &work.all, basket, trace).await?;
            tally.found += 1;
            work.reserved[number].store(true, Ordering::Relaxed);
        } else if let Reserved::Whole(reservations) = warehouse.reserve(basket).await? {
            warehouse.ship(basket, &reservations).await?;
            tally.reserved += 1;
            work.reserved[number].store(true, Ordering::Relaxed);
        } else {
            tally.refused += 1;
        }
        let nanos = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        tally.latency_nanos.record(nanos).map_err(fail)?;
        bar.inc(1);
    }
}

/// Ships what an earlier run has reserved and not shipped. What it has left in pieces stays so, for the check to find.
async fn go_on(
    warehouse: &Warehouse,
    all: &Baskets,
    basket: &Basket,
    trace: &Trace,
) -> Result<(), Failure> {
    match trace.reservations(all, basket) {
        Some(reservations) if !trace.is_shipped() => warehouse.ship(basket, &reservations).await,
        _ => Ok(()),
    }
}

/// Hydrates every item of a store that was just opened, and compares its stock with that of the check.
async fn check_items(
    store: &Arc<JournalStore>,
    all: &Baskets,
    check: &Check,
) -> Result<Findings, Failure> {
    let mut mismatches = Findings::new("mismatch");
    let runtime = Runtime::builder(store.clone())
        .start()
        .await
        .map_err(fail)?;
    let (warehouse, docks) = Warehouse::open(&runtime, &all.products, 0, 0)?;
    for (number, product) in all.products.iter().enumerate() {
        let level = warehouse.item(number).query(|item| item.level());
        let level = level.await.map_err(fail)?;
        let (on_hand, promised) = (level.on_hand.get().into(), level.reserved.get().into());
        let in_journal = check.stock.get(product).copied().unwrap_or_default();
        if (on_hand, promised) != (in_journal.on_hand, in_journal.promised) {
            mismatches
                .add(|| format!("{product}: the item says {level:?}, the journal {in_journal:?}"));
        }
    }
    docks.close(warehouse).await?;
    runtime.shutdown(DEADLINE).await.map_err(fail)?;
    Ok(mismatches)
}
