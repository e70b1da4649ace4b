use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::{Duration, Instant};

use foldhouse::{
    Aggregate, AsOf, CommandMeta, EventStore, JournalStore, Past, Runtime, SnapshotStore, StreamId,
    StreamQuery, Timestamp, Version,
};
use foldhouse_aggregates::{Credit, Currency, GlAccount, Money, OpenAccount, Side};
use foldhouse_examples::{Failure, Findings, Latency, fail};
use foldhouse_store::{Payload, Snapshot, SnapshotCriteria};
use hdrhistogram::Histogram;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde::Serialize;

use crate::post::TENANT;

const ID: &str = "long";
/// How far apart the kept snapshots are.
const SNAPSHOT_EVERY_EVENTS: u64 = 500;
/// After so many events an actor keeps a snapshot, if nothing else is said.
const SNAPSHOTS_OF_ACTOR_EVENTS: u64 = 1_000;
/// How many moments are asked for, by each kind of question.
const QUESTIONS: usize = 300;
/// Every one of so many postings is back-dated.
const BACK_DATED_ONE_OF: u64 = 100;

/// How long any moment of one long account takes.
#[derive(Debug, Serialize)]
pub(crate) struct LongAccount {
    pub(crate) events: u64,
    pub(crate) without_snapshots_us: Latencies,
    /// One is kept every 500 events.
    pub(crate) with_snapshots_us: Latencies,
}

/// By what is asked for.
#[derive(Debug, Serialize)]
pub(crate) struct Latencies {
    pub(crate) version: Latency,
    pub(crate) recorded: Latency,
    /// By a handle that was asked before: it knows when each event counts.
    pub(crate) effective: Latency,
    /// By a fresh handle, which reads all events.
    pub(crate) effective_at_first: Latency,
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
    keep_snapshots(store, events).await?;
    let fresh = || Ok(fresh()?.with_snapshots(store.clone()));
    let last = AsOf::Version(Version::new(events));
    let from = fresh()?.state(last).await.map_err(fail)?.snapshot;
    if events >= SNAPSHOTS_OF_ACTOR_EVENTS && events - from.get() >= SNAPSHOT_EVERY_EVENTS {
        wrong.add(|| {
            format!("the long account's kept snapshots are not used: it began with {from}")
        });
    }
    let with_snapshots_us = ask(fresh, &counts, &recorded, wrong).await?;
    Ok(LongAccount {
        events,
        without_snapshots_us,
        with_snapshots_us,
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

/// As a retention policy would leave them.
async fn keep_snapshots(store: &Arc<JournalStore>, events: u64) -> Result<(), Failure> {
    let past = Past::<GlAccount>::in_events(store.clone(), TENANT, ID).map_err(fail)?;
    let state_schema = state_schema(store, events).await?;
    let mut version = SNAPSHOT_EVERY_EVENTS;
    while version <= events {
        let at = past
            .state(AsOf::Version(Version::new(version)))
            .await
            .map_err(fail)?;
        let query = StreamQuery::since(stream()?, at.version, 1);
        let page = store.read_stream(query).await.map_err(fail)?;
        let event = page
            .events
            .first()
            .ok_or_else(|| fail("an event is not there"))?;
        let state = rmp_serde::to_vec_named(&at.state).map_err(fail)?;
        let snapshot = Snapshot {
            stream: stream()?,
            version: at.version,
            event_id: event.id,
            taken_at: event.recorded_at,
            state_schema,
            payload: Payload::message_pack(state),
        };
        store
            .save_snapshot(snapshot, NonZeroU16::MAX)
            .await
            .map_err(fail)?;
        version += SNAPSHOT_EVERY_EVENTS;
    }
    Ok(())
}

/// What the account's own snapshots carry. Its actor keeps only one, so all of its own must have been kept before others are
/// put beside it.
async fn state_schema(store: &JournalStore, events: u64) -> Result<u32, Failure> {
    let stream = stream()?;
    let mut last = None;
    let waiting = Instant::now();
    while events >= SNAPSHOTS_OF_ACTOR_EVENTS && waiting.elapsed() < Duration::from_secs(10) {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let kept = store.snapshots(&stream, SnapshotCriteria::ALL).await;
        let newest = kept.map_err(fail)?.first().copied();
        if let Some(newest) = newest
            && last == Some(newest.version)
        {
            return Ok(newest.state_schema);
        }
        last = newest.map(|newest| newest.version);
    }
    Ok(GlAccount::STATE_SCHEMA)
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
        effective_at_first: Latency::of(&first_effectives),
    })
}
