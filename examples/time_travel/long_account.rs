use std::sync::Arc;
use std::time::{Duration, Instant};

use foldhouse::{
    Aggregate, AsOf, CommandMeta, EventStore, JournalStore, Past, Runtime, SnapshotPolicy,
    SnapshotStore, StreamId, StreamQuery, Timestamp, Version,
};
use foldhouse_aggregates::{Credit, Currency, GlAccount, Money, OpenAccount, Side};
use foldhouse_examples::{Failure, Findings, Latency, fail};
use foldhouse_store::SnapshotCriteria;
use hdrhistogram::Histogram;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde::Serialize;

use crate::post::TENANT;

const ID: &str = "long";
/// After so many events a snapshot is taken, and so many are kept.
const SNAPSHOT_EVERY_EVENTS: u64 = 500;
const SNAPSHOTS_KEPT: u16 = 1_000;
/// One is skipped if too many are just being saved.
const SKIPPED_EVENTS_MAX: u64 = 4 * SNAPSHOT_EVERY_EVENTS;
/// How many moments are asked for, by each kind of question.
const QUESTIONS: usize = 300;
/// Every one of so many postings is back-dated.
const BACK_DATED_ONE_OF: u64 = 100;

/// How long any moment of one long account takes.
#[derive(Debug, Serialize)]
pub(crate) struct LongAccount {
    pub(crate) events: u64,
    pub(crate) without_snapshots_us: Latencies,
    /// The account's policy takes one every 500 events, and keeps them and the times of the events.
    pub(crate) with_snapshots_us: Latencies,
    /// The runtime's first question by effective time, of which it remembers nothing.
    pub(crate) first_effective_of_runtime_us: f64,
}

/// The snapshots that a ledger keeps whose past is asked about.
pub(crate) const SNAPSHOTS: SnapshotPolicy = SnapshotPolicy::new()
    .every_events(SNAPSHOT_EVERY_EVENTS)
    .keep_newest(SNAPSHOTS_KEPT)
    .keep_times();

/// By what is asked for.
#[derive(Debug, Serialize)]
pub(crate) struct Latencies {
    pub(crate) version: Latency,
    pub(crate) recorded: Latency,
    /// By a handle that was asked before: it knows when each event counts.
    pub(crate) effective: Latency,
    /// By a fresh handle: over a store it reads when all events count, over a runtime it is told.
    pub(crate) effective_by_fresh_handle: Latency,
}

/// Posts one unit so often, and asks for the balance at any moment: it is the number of postings.
pub(crate) async fn measure(
    runtime: &Runtime,
    store: &Arc<JournalStore>,
    events: u64,
    wrong: &mut Findings,
) -> Result<LongAccount, Failure> {
    let counts = post(runtime, events).await?;
    let recorded = recorded(store, events).await?;
    let fresh = || Past::<GlAccount>::in_events(store.clone(), TENANT, ID).map_err(fail);
    let without_snapshots_us = ask(fresh, &counts, &recorded, wrong).await?;
    let account = runtime.aggregate::<GlAccount>(TENANT, ID).map_err(fail)?;
    let from = kept_up_to(store, events).await?;
    if events >= SKIPPED_EVENTS_MAX && events - from.get() >= SKIPPED_EVENTS_MAX {
        wrong.add(|| format!("the long account's snapshots are not kept: the last is of {from}"));
    }
    let started = Instant::now();
    let middle = AsOf::Effective(Timestamp::from_unix_micros(
        *counts.last().unwrap_or(&0) / 2,
    ));
    account.past().state(middle).await.map_err(fail)?;
    let first_effective_of_runtime_us = started.elapsed().as_secs_f64() * 1e6;
    let with_snapshots_us = ask(|| Ok(account.past()), &counts, &recorded, wrong).await?;
    Ok(LongAccount {
        events,
        without_snapshots_us,
        with_snapshots_us,
        first_effective_of_runtime_us,
    })
}

/// Gives when each posting counts: the first at 2, and so on; a back-dated one before 500 others.
async fn post(runtime: &Runtime, events: u64) -> Result<Vec<i64>, Failure> {
    let account = runtime.aggregate::<GlAccount>(TENANT, ID).map_err(fail)?;
    let meta = |effective| CommandMeta::new().effective_at(Timestamp::from_unix_micros(effective));
    let open = OpenAccount::new(Currency::EUR, Side::Credit);
    account
        .execute(open, meta(i64::MIN / 2))
        .await
        .map_err(fail)?;
    let mut counts = Vec::new();
    let mut posting = Vec::new();
    for number in 2..=events {
        let at = i64::try_from(number).map_err(fail)? * 1_000;
        let is_late = number % BACK_DATED_ONE_OF == 0;
        let effective = if is_late { at - 500_500 } else { at };
        counts.push(effective);
        let account = account.clone();
        let credit = Credit::new(Money::new(1, Currency::EUR));
        posting.push(async move { account.execute(credit, meta(effective)).await });
        if posting.len() == 256 || number == events {
            // Sent in this order from one task, so decided in it.
            for posted in in_order(std::mem::take(&mut posting)).await {
                posted.map_err(fail)?;
            }
        }
    }
    Ok(counts)
}

/// Polls all of them in turn, so that they share their durable writes.
async fn in_order<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    let mut pinned: Vec<_> = futures
        .into_iter()
        .map(|future| (Box::pin(future), None))
        .collect();
    std::future::poll_fn(|context| {
        let mut is_ready = true;
        for (future, output) in &mut pinned {
            if output.is_none() {
                match future.as_mut().poll(context) {
                    std::task::Poll::Ready(ready) => *output = Some(ready),
                    std::task::Poll::Pending => is_ready = false,
                }
            }
        }
        if is_ready {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    pinned
        .into_iter()
        .filter_map(|(_, output)| output)
        .collect()
}

async fn recorded(store: &JournalStore, events: u64) -> Result<Vec<Timestamp>, Failure> {
    let mut times = Vec::new();
    let mut query = StreamQuery::whole(stream()?, 1_000);
    while (times.len() as u64) < events {
        let page = store.read_stream(query.clone()).await.map_err(fail)?;
        times.extend(page.events.iter().map(|event| event.recorded_at));
        query.from = Version::new(times.len() as u64 + 1);
    }
    Ok(times)
}

fn stream() -> Result<StreamId, Failure> {
    StreamId::new(TENANT, GlAccount::TYPE, ID).map_err(fail)
}

/// Up to where snapshots are kept, once those are saved that were taken.
async fn kept_up_to(store: &JournalStore, events: u64) -> Result<Version, Failure> {
    let stream = stream()?;
    let mut last = None;
    let waiting = Instant::now();
    while events >= SNAPSHOT_EVERY_EVENTS && waiting.elapsed() < Duration::from_secs(10) {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let kept = store.snapshots(&stream, SnapshotCriteria::ALL).await;
        let newest = kept.map_err(fail)?.first().map(|newest| newest.version);
        if newest.is_some() && last == newest {
            break;
        }
        last = newest;
    }
    Ok(last.unwrap_or(Version::EMPTY))
}

async fn ask(
    fresh: impl Fn() -> Result<Past<GlAccount>, Failure>,
    counts: &[i64],
    recorded: &[Timestamp],
    wrong: &mut Findings,
) -> Result<Latencies, Failure> {
    let mut random = StdRng::seed_from_u64(1);
    let mut answer =
        async |past: &Past<GlAccount>, as_of, expected: usize, into: &mut Histogram<u64>| {
            let start = Instant::now();
            let state = past.state(as_of).await.map_err(fail)?;
            let nanos = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
            into.record(nanos).map_err(fail)?;
            let postings = state.state.postings();
            if postings != expected as u64 {
                wrong.add(|| {
                    format!("the long account at {as_of}: {postings} postings, expected {expected}")
                });
            }
            Ok::<_, Failure>(())
        };
    let histogram = || Histogram::new(3).map_err(fail);
    let mut versions = histogram()?;
    let mut recordings = histogram()?;
    let mut effectives = histogram()?;
    let mut first_effectives = histogram()?;
    let kept = fresh()?;
    kept.state(AsOf::Effective(Timestamp::default()))
        .await
        .map_err(fail)?;
    for question in 0..QUESTIONS {
        let place = random.random_range(0..recorded.len());
        let past = fresh()?;
        let version = Version::new(place as u64 + 1);
        answer(&past, AsOf::Version(version), place, &mut versions).await?;
        let time = recorded[place];
        let known = recorded.partition_point(|recorded| *recorded <= time);
        answer(&past, AsOf::Recorded(time), known - 1, &mut recordings).await?;

        let by = counts[random.random_range(0..counts.len())];
        let counted = counts.iter().filter(|effective| **effective <= by).count();
        let by = AsOf::Effective(Timestamp::from_unix_micros(by));
        answer(&kept, by, counted, &mut effectives).await?;
        if question % 10 == 0 {
            answer(&past, by, counted, &mut first_effectives).await?;
        }
    }
    Ok(Latencies {
        version: Latency::of(&versions),
        recorded: Latency::of(&recordings),
        effective: Latency::of(&effectives),
        effective_by_fresh_handle: Latency::of(&first_effectives),
    })
}
