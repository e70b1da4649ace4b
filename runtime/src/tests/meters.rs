//! Each measure moves when it should, and at no other time.

use std::collections::BTreeMap;
use std::sync::Mutex;

use foldhouse_store::{Append, ExpectedVersion, NewEvent, Payload};
use metrics::{
    Counter as CounterHandle, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName,
    LocalRecorderGuard, Metadata as MeterMetadata, Recorder, SharedString, Unit,
};

use super::counter::*;
use super::held_store::{HeldStore, not_recorded};
use super::*;
use crate::*;

/// What was measured, by name.
#[derive(Default)]
struct Measured {
    meters: Mutex<BTreeMap<String, Arc<Measure>>>,
    described: Mutex<BTreeMap<String, Option<Unit>>>,
}

#[derive(Debug, Default)]
struct Measure {
    /// Of a counter or a gauge.
    value: Mutex<f64>,
    /// Of a histogram.
    samples: Mutex<Vec<f64>>,
}

impl Measured {
    /// For runtimes that are started on this thread until the guard goes. Those of other tests have other threads.
    fn listen() -> (&'static Self, LocalRecorderGuard<'static>) {
        let measured: &'static Self = Box::leak(Box::default());
        (measured, metrics::set_default_local_recorder(measured))
    }

    fn measure(&self, key: &Key) -> Arc<Measure> {
        let mut meters = self.meters.lock().unwrap();
        Arc::clone(meters.entry(key.name().to_owned()).or_default())
    }

    fn value(&self, name: &'static str) -> f64 {
        *self
            .measure(&Key::from_static_name(name))
            .value
            .lock()
            .unwrap()
    }

    fn samples(&self, name: &'static str) -> Vec<f64> {
        let measure = self.measure(&Key::from_static_name(name));
        measure.samples.lock().unwrap().clone()
    }

    /// The counters and gauges of this list that are not zero.
    fn values(&self, names: &[&'static str]) -> Vec<(&'static str, f64)> {
        let values = names.iter().map(|name| (*name, self.value(name)));
        values.filter(|(_, value)| *value != 0.0).collect()
    }
}

impl Recorder for Measured {
    fn describe_counter(&self, key: KeyName, unit: Option<Unit>, _: SharedString) {
        let name = key.as_str().to_owned();
        self.described.lock().unwrap().insert(name, unit);
    }
    fn describe_gauge(&self, key: KeyName, unit: Option<Unit>, what: SharedString) {
        self.describe_counter(key, unit, what);
    }
    fn describe_histogram(&self, key: KeyName, unit: Option<Unit>, what: SharedString) {
        self.describe_counter(key, unit, what);
    }
    fn register_counter(&self, key: &Key, _: &MeterMetadata<'_>) -> CounterHandle {
        CounterHandle::from_arc(self.measure(key))
    }
    fn register_gauge(&self, key: &Key, _: &MeterMetadata<'_>) -> Gauge {
        Gauge::from_arc(self.measure(key))
    }
    fn register_histogram(&self, key: &Key, _: &MeterMetadata<'_>) -> Histogram {
        Histogram::from_arc(self.measure(key))
    }
}

impl CounterFn for Measure {
    fn increment(&self, value: u64) {
        *self.value.lock().unwrap() += f64::from(u32::try_from(value).unwrap());
    }
    fn absolute(&self, _: u64) {
        unreachable!("no counter is set")
    }
}

impl GaugeFn for Measure {
    fn increment(&self, value: f64) {
        *self.value.lock().unwrap() += value;
    }
    fn decrement(&self, value: f64) {
        *self.value.lock().unwrap() -= value;
    }
    fn set(&self, value: f64) {
        *self.value.lock().unwrap() = value;
    }
}

impl HistogramFn for Measure {
    fn record(&self, value: f64) {
        self.samples.lock().unwrap().push(value);
    }
}

const OUTCOMES: [&str; 6] = [
    "foldhouse_commands_total",
    "foldhouse_transactions_total",
    "foldhouse_rejections_total",
    "foldhouse_conflicts_total",
    "foldhouse_overloads_total",
    "foldhouse_failures_total",
];

#[tokio::test]
async fn commands_and_transactions_are_counted_by_what_they_came_to() {
    let (measured, _guard) = Measured::listen();
    let store = HeldStore::new();
    let runtime = start_with(&store, |builder| {
        builder.commands_in_flight_per_aggregate_max(1)
    })
    .await;
    let (counter, other) = (counter(&runtime), runtime.aggregate("acme", "2").unwrap());
    assert_eq!(measured.values(&OUTCOMES), []);

    counter.send(Add(3)).await.unwrap();
    counter.send_each(vec![Add(1), Add(LIMIT)]).await;
    let values = measured.values(&OUTCOMES);
    let [
        commands,
        transactions,
        rejections,
        conflicts,
        overloads,
        failures,
    ] = OUTCOMES;
    assert_eq!(values, [(commands, 3.0), (rejections, 1.0)]);

    let steps = (counter.step(Add(1)), other.step(Add(LIMIT + 1)));
    runtime.transact(steps).await.unwrap_err();
    runtime.transact(other.step(Add(1))).await.unwrap();
    let values = measured.values(&OUTCOMES);
    let so_far = [(commands, 3.0), (transactions, 2.0), (rejections, 2.0)];
    assert_eq!(values, so_far);

    // Somebody appends beside the runtime.
    let event = NewEvent::new(SystemClock.new_id(), "Broken", Payload::default());
    let append = Append::to(counter.stream().clone(), ExpectedVersion::Any, [event]);
    store.inner.append(append).await.unwrap();
    counter.send(Add(1)).await.unwrap_err();
    assert_eq!(measured.value(conflicts), 1.0);

    store.hold();
    let waiting = other.clone();
    let waiting = tokio::spawn(async move { waiting.send(Add(1)).await });
    settle().await;
    let options = CommandOptions::new().when_full(WhenFull::Refuse);
    other.execute(Add(1), options).await.unwrap_err();
    assert_eq!(measured.value(overloads), 1.0);
    store.fail_one(not_recorded());
    waiting.await.unwrap().unwrap_err();
    assert_eq!(measured.value(failures), 1.0);
    assert_eq!(
        (measured.value(commands), measured.value(rejections)),
        (6.0, 2.0)
    );
}

#[tokio::test]
async fn what_is_in_flight_is_what_is_not_answered() {
    let (measured, _guard) = Measured::listen();
    let store = HeldStore::new();
    let runtime = start(&store).await;
    let counter = counter(&runtime);
    let permits = || measured.value("foldhouse_permits_in_use");
    counter.send(Add(1)).await.unwrap();
    assert_eq!(permits(), 0.0);
    store.hold();
    let sending = counter.clone();
    let sending = tokio::spawn(async move { sending.send(Add(1)).await });
    let transacting = (runtime.clone(), counter.clone());
    let transacting = tokio::spawn(async move {
        let (runtime, counter) = transacting;
        runtime.transact(counter.step(Add(1))).await
    });
    settle().await;
    assert_eq!(permits(), 2.0);
    store.let_go();
    sending.await.unwrap().unwrap();
    transacting.await.unwrap().unwrap();
    assert_eq!(permits(), 0.0);
}

#[tokio::test]
async fn the_first_of_each_64_decisions_is_timed() {
    let (measured, _guard) = Measured::listen();
    let runtime = start(&Arc::new(MemoryStore::new())).await;
    let counter = counter(&runtime);
    let timed = || measured.samples("foldhouse_decide_seconds").len();
    counter.send(Add(1)).await.unwrap();
    assert_eq!(timed(), 1);
    for _ in 1..64 {
        runtime.transact(counter.step(Add(1))).await.unwrap();
    }
    assert_eq!(timed(), 1);
    runtime.transact(counter.step(Add(1))).await.unwrap();
    assert_eq!(timed(), 2);
}

#[tokio::test]
async fn what_waits_in_a_mailbox_is_seen_by_the_actor_that_looks() {
    let (measured, _guard) = Measured::listen();
    let runtime = start(&Arc::new(MemoryStore::new())).await;
    let counter = counter(&runtime);
    // Nothing is there yet: all of them wait until it is hydrated.
    let sending = (0..5).map(|_| {
        let counter = counter.clone();
        tokio::spawn(async move { counter.send(Add(1)).await })
    });
    for sent in sending.collect::<Vec<_>>() {
        sent.await.unwrap().unwrap();
    }
    assert_eq!(measured.samples("foldhouse_mailbox_depth"), [5.0]);
    // It is idle now.
    counter.send(Add(1)).await.unwrap();
    assert_eq!(measured.samples("foldhouse_mailbox_depth"), [5.0]);
}

#[tokio::test]
async fn hydrations_snapshots_and_live_aggregates_are_counted() {
    let (measured, _guard) = Measured::listen();
    let store = Arc::new(MemoryStore::new());
    let lives = [
        "foldhouse_live_aggregates",
        "foldhouse_hydrations_total",
        "foldhouse_snapshot_hits_total",
        "foldhouse_snapshots_saved_total",
    ];
    let [live, hydrations, hits, saved] = lives;
    let first = start_with(&store, |builder| builder.snapshot_every_events(3)).await;
    for _ in 0..4 {
        counter(&first).send(Add(1)).await.unwrap();
    }
    while measured.value(saved) == 0.0 {
        tokio::task::yield_now().await;
    }
    let found = measured.values(&lives);
    assert_eq!(found, [(live, 1.0), (hydrations, 1.0), (saved, 1.0)]);
    first.shutdown(PATIENCE).await.unwrap();
    assert_eq!(measured.value(live), 0.0);

    let second = start(&store).await;
    counter(&second).send(Add(1)).await.unwrap();
    let found = measured.values(&lives);
    let expected = [(live, 1.0), (hydrations, 2.0), (hits, 1.0), (saved, 1.0)];
    assert_eq!(found, expected);
    assert_eq!(measured.samples("foldhouse_hydrate_seconds").len(), 2);
}

#[tokio::test]
async fn an_actor_that_fails_is_counted_and_so_is_its_restart_for_what_waits() {
    let (measured, _guard) = Measured::listen();
    let store = HeldStore::new();
    let runtime = start(&store).await;
    let counter = counter(&runtime);
    let lives = ["foldhouse_actor_failures_total", "foldhouse_restarts_total"];
    let sending = |command: Panic| {
        let counter = counter.clone();
        tokio::spawn(async move { counter.send(command).await })
    };
    // Both wait until it is hydrated, and the second one for the actor behind the first one's.
    let (panicked, waited) = (sending(Panic::InDecide), sending(Panic::InDecide));
    panicked.await.unwrap().unwrap_err();
    waited.await.unwrap().unwrap_err();
    settle().await;
    let [failures, restarts] = lives;
    assert_eq!(measured.values(&lives), [(failures, 2.0), (restarts, 1.0)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_parked_and_what_is_stuck_is_shown_until_it_is_over() {
    let (measured, _guard) = Measured::listen();
    let runtime = start_with(&HeldStore::new(), |builder| {
        builder
            .restarts_max(0, PATIENCE)
            .stuck_after(super::watchdog::SOON)
    })
    .await;
    let (parked, stuck) = ("foldhouse_parked_aggregates", "foldhouse_stuck_commands");
    let counter = counter(&runtime);
    counter.send(Panic::InDecide).await.unwrap_err();
    until(|| measured.value(parked) == 1.0).await;
    assert_eq!(runtime.parked().len(), 1);
    assert!(counter.revive());
    assert_eq!(measured.value(parked), 0.0);

    let (hang, let_go) = super::watchdog::hang();
    let hangs = tokio::spawn(async move { counter.send(hang).await });
    super::watchdog::until_stuck(&runtime, 1).await;
    until(|| measured.value(stuck) == 1.0).await;
    let_go.send(()).unwrap();
    hangs.await.unwrap().unwrap();
    until(|| measured.value(stuck) == 0.0).await;
}

/// Stops at the third event.
struct Stuck;

impl Projection for Stuck {
    const NAME: &'static str = "stuck";
    type Key = u64;
    type Row = u64;

    fn apply(
        &self,
        event: &RecordedEvent,
        table: &mut Table<u64, u64>,
    ) -> Result<(), ProjectionError> {
        if event.position.get() == 3 {
            return Err(ProjectionError::new("told to fail"));
        }
        table.insert(0, event.position.get());
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn the_lag_of_a_projection_is_seen_while_it_is_parked_too() {
    let (measured, _guard) = Measured::listen();
    let runtime = start(&Arc::new(MemoryStore::new())).await;
    let counter = counter(&runtime);
    let stuck = runtime.project(Stuck).await.unwrap();
    let lag = || measured.value("foldhouse_projection_lag_events");
    for position in 1..=2 {
        counter.send(Add(1)).await.unwrap();
        let position = Position::new(position);
        stuck.wait_for(position, PATIENCE).await.unwrap();
    }
    assert_eq!(lag(), 0.0);
    assert_eq!(measured.value("foldhouse_projection_lag_seconds"), 0.0);
    counter.send(Add(1)).await.unwrap();
    let parked = stuck.wait_for(Position::new(3), PATIENCE).await;
    assert!(matches!(parked, Err(WaitError::Parked { .. })));
    assert_eq!(lag(), 1.0);
    // The first time, and three more.
    assert_eq!(measured.value("foldhouse_projection_failures_total"), 4.0);
    for _ in 0..5 {
        counter.send(Add(1)).await.unwrap();
    }
    settle().await;
    assert_eq!(lag(), 6.0);
    assert!(measured.value("foldhouse_projection_lag_seconds") > 0.0);
}

#[tokio::test]
async fn everything_that_is_measured_is_described_with_its_unit() {
    let (measured, _guard) = Measured::listen();
    let runtime = start(&Arc::new(MemoryStore::new())).await;
    let _stuck = runtime.project(Stuck).await.unwrap();
    let described = measured.described.lock().unwrap();
    let meters = measured.meters.lock().unwrap();
    assert!(meters.len() > 15 && meters.keys().all(|name| described[name].is_some()));
    for (name, unit) in described.iter() {
        let ending = match unit {
            Some(Unit::Seconds) => "_seconds",
            _ => "",
        };
        assert!(
            name.starts_with("foldhouse_") && name.ends_with(ending),
            "{name}"
        );
    }
}

#[tokio::test]
async fn what_is_tried_out_on_a_fork_is_not_measured() {
    let (measured, _guard) = Measured::listen();
    let runtime = start(&Arc::new(MemoryStore::new())).await;
    counter(&runtime).send(Add(1)).await.unwrap();
    let fork = runtime.what_if(Position::new(1)).await.unwrap();
    let _rows = fork.runtime().project(Stuck).await.unwrap();
    for _ in 0..5 {
        counter(fork.runtime()).send(Add(1)).await.unwrap();
    }
    assert_eq!(measured.value("foldhouse_commands_total"), 1.0);
    assert!(
        !measured
            .meters
            .lock()
            .unwrap()
            .contains_key("foldhouse_projection_lag_events")
    );
}
