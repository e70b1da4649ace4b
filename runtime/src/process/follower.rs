use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use foldhouse_store::{Position, ReadError, RecordedEvent, StreamId};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::ProcessManager;
use super::courier::Courier;
use super::instance::{ISSUED, Instance};
use super::live::{Live, ParkedInstance};
use super::rows::{Parked, Rows};
use super::tell::{TellEvent, telling_id};
use crate::aggregate_ref::AggregateRef;
use crate::command::CommandMeta;
use crate::command_options::CommandOptions;
use crate::directory::Directory;
use crate::meters::ProcessMeters;
use crate::refusal::panic_message;
use crate::shared::Shared;
use crate::timer::is_timer_record;

/// Events of one read.
const PAGE_EVENTS: usize = 512;
/// So many instances are told at a time.
const TOLD_AT_A_TIME: usize = 64;
/// How long an instance waits before it is told again what it could not deal with; then it is parked.
const TELL_AGAIN_AFTER: [Duration; 3] = [
    Duration::from_millis(10),
    Duration::from_millis(100),
    Duration::from_secs(1),
];
/// How long the process waits before it reads again what it could not.
const READ_AGAIN_AFTER: Duration = Duration::from_secs(1);
/// Its place is kept every so many events, if there is nothing else to keep.
const KEEP_EVERY_EVENTS: u64 = 1_000;

/// Reads all events in order, and tells each to the instance that it concerns.
pub(super) struct Follower<P> {
    shared: Arc<Shared>,
    live: Arc<Live>,
    rows: Rows,
    courier: Courier<P>,
    head: watch::Receiver<Position>,
    meters: ProcessMeters,
}

/// Events of one instance, in order.
type ByInstance = BTreeMap<StreamId, Vec<RecordedEvent>>;

/// How telling an instance came out.
enum Told {
    All,
    /// It cannot deal with this one.
    Parked(Parked),
    /// The store or the runtime has no room, or ends: to be told again.
    Later(String),
}

impl<P: ProcessManager> Follower<P> {
    pub(super) fn new(
        shared: Arc<Shared>,
        live: Arc<Live>,
        rows: Rows,
        mut courier: Courier<P>,
    ) -> Self {
        for instance in &rows.open {
            courier.add(instance);
        }
        let follower = Self {
            head: shared.store.watch_head(),
            meters: ProcessMeters::register(&[("process", P::NAME)]),
            shared,
            live,
            rows,
            courier,
        };
        follower.show();
        follower
    }

    /// Goes on until the runtime closes.
    pub(super) async fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        tokio::select! {
            biased;
            () = shared.until_closing() => {}
            () = self.follow() => {}
        }
        // What is not kept is read again by the next one.
        if self.rows.has_changes() || self.rows.unkept() > 0 {
            let _ = self.rows.keep(&*shared.store).await;
        }
    }

    async fn follow(&mut self) {
        // A later build may deal with what an earlier one could not.
        let mut wants_retry = !self.rows.parked.is_empty();
        loop {
            let stepped = match wants_retry {
                true => {
                    let retried = self.retry_parked().await;
                    let progress = &self.live.progress;
                    self.show();
                    progress.send_modify(|progress| progress.retries += 1);
                    retried.map(|()| true)
                }
                false => self.step().await,
            };
            wants_retry = false;
            let has_more = match stepped {
                Ok(has_more) => {
                    self.fails(None);
                    has_more
                }
                Err(error) => {
                    tracing::error!(process = P::NAME, position = %self.rows.position, error, "a process does not come further");
                    self.fails(Some(error));
                    tokio::time::sleep(READ_AGAIN_AFTER).await;
                    continue;
                }
            };
            for instance in self.courier.done() {
                self.rows.closed(&instance);
            }
            self.courier.start();
            self.show();
            if has_more {
                tokio::task::yield_now().await;
                continue;
            }
            let position = self.rows.position;
            tokio::select! {
                biased;
                moved = self.head.wait_for(|head| *head > position) => {
                    if moved.is_err() {
                        return;
                    }
                }
                done = self.courier.next() => {
                    if let Some(instance) = done {
                        self.rows.closed(&instance);
                    }
                }
                () = self.live.retry.notified() => wants_retry = true,
            }
        }
    }

    fn fails(&self, error: Option<String>) {
        let failing: Option<Arc<str>> = error.map(Arc::from);
        self.live.progress.send_if_modified(|progress| {
            let changed = progress.failing != failing;
            progress.failing = failing;
            changed
        });
    }

    /// Lets its references see how far it is.
    fn show(&self) {
        let parked = self.rows.parked.iter();
        self.live.seen().parked = parked
            .map(|(instance, parked)| ParkedInstance {
                instance: instance.clone(),
                position: Position::new(parked.position),
                event_type: parked.event_type.as_str().into(),
                error: parked.error.as_str().into(),
            })
            .collect();
        self.live.progress.send_modify(|progress| {
            progress.position = self.rows.position;
            progress.open = self.rows.open.len();
        });
        self.meters
            .show(&self.live.status(self.shared.store.head()));
    }

    /// Reads a page and tells it. True if there is more.
    async fn step(&mut self) -> Result<bool, String> {
        let store = Arc::clone(&self.shared.store);
        let page = store.read_all(self.rows.position, PAGE_EVENTS).await;
        let page = page.map_err(|error| error.to_string())?;
        let mut told = ByInstance::new();
        for event in &page.events {
            if event.stream.aggregate_type() == P::NAME && *event.event_type == *ISSUED {
                self.rows.opened(&event.stream);
                self.courier.add(&event.stream);
            }
            if let Some(instance) = instance_of::<P>(event)?
                && !self.rows.parked.contains_key(&instance)
            {
                told.entry(instance).or_default().push(event.clone());
            }
        }
        let has_told = !told.is_empty();
        for (instance, parked) in self.tell(told).await? {
            self.rows.park(&instance, parked);
        }
        if let Some(last) = page.events.last() {
            self.rows.position = last.position;
        }
        let has_more = page.next.is_some();
        let is_due = self.rows.has_changes() || has_told || self.rows.unkept() >= KEEP_EVERY_EVENTS;
        if is_due {
            self.rows
                .keep(&*store)
                .await
                .map_err(|error| error.to_string())?;
        }
        Ok(has_more)
    }

    /// Tells many instances at a time, each its events in order. Gives those that could not deal with one.
    async fn tell(&self, told: ByInstance) -> Result<Vec<(StreamId, Parked)>, String> {
        let mut telling = JoinSet::new();
        let (mut parked, mut later) = (Vec::new(), None);
        let mut told = told.into_iter();
        loop {
            while telling.len() < TOLD_AT_A_TIME
                && let Some((instance, events)) = told.next()
            {
                let shared = Arc::clone(&self.shared);
                telling.spawn(async move {
                    let told = tell_all::<P>(&shared, &instance, events).await;
                    (instance, told)
                });
            }
            match telling.join_next().await {
                None => break,
                Some(Ok((_, Told::All))) => {}
                Some(Ok((instance, Told::Parked(why)))) => parked.push((instance, why)),
                Some(Ok((_, Told::Later(why)))) => later = Some(why),
                Some(Err(error)) => later = Some(error.to_string()),
            }
        }
        later.map_or(Ok(parked), Err)
    }

    /// Tells parked instances what they have missed, up to where the process is.
    async fn retry_parked(&mut self) -> Result<(), String> {
        let store = Arc::clone(&self.shared.store);
        let positions = self.rows.parked.values().map(|parked| parked.position);
        let from = positions.min().unwrap_or(u64::MAX);
        let mut after = Position::new(from.saturating_sub(1));
        let mut again: BTreeMap<StreamId, Option<Parked>> = BTreeMap::new();
        for instance in self.rows.parked.keys() {
            // Its panics may have had the runtime leave it alone.
            self.shared.restarts.revive(instance);
            again.insert(instance.clone(), None);
        }
        while after < self.rows.position {
            let page = store.read_all(after, PAGE_EVENTS).await;
            let page = page.map_err(|error: ReadError| error.to_string())?;
            let mut told = ByInstance::new();
            for event in &page.events {
                after = event.position;
                if event.position > self.rows.position {
                    break;
                }
                if let Some(instance) = instance_of::<P>(event)?
                    && again.get(&instance).is_some_and(Option::is_none)
                {
                    told.entry(instance).or_default().push(event.clone());
                }
            }
            for (instance, parked) in self.tell(told).await? {
                again.insert(instance, Some(parked));
            }
            if page.events.is_empty() {
                break;
            }
        }
        for (instance, parked) in again {
            match parked {
                None => self.rows.release(&instance),
                Some(parked) => self.rows.park(&instance, parked),
            }
        }
        self.rows
            .keep(&*store)
            .await
            .map_err(|error| error.to_string())?;
        Ok(())
    }
}

impl<P> Drop for Follower<P> {
    fn drop(&mut self) {
        self.live
            .progress
            .send_modify(|progress| progress.has_ended = true);
    }
}

/// The instance that an event concerns.
fn instance_of<P: ProcessManager>(event: &RecordedEvent) -> Result<Option<StreamId>, String> {
    if is_timer_record(event) {
        return Ok(None);
    }
    let at = event.position;
    // Unwind safe: it is a function of the event alone.
    let key = catch_unwind(AssertUnwindSafe(|| P::key(event)))
        .map_err(|panic| format!("key panicked on event {at}: {}", panic_message(panic)))?;
    key.map(|key| StreamId::new(event.stream.tenant(), P::NAME, &key))
        .transpose()
        .map_err(|error| format!("event {at} has a key that is none: {error}"))
}

async fn tell_all<P: ProcessManager>(
    shared: &Arc<Shared>,
    instance: &StreamId,
    events: Vec<RecordedEvent>,
) -> Told {
    let Ok(slot) = Directory::slot::<Instance<P>>(shared, instance.clone()) else {
        return Told::Later(format!("another aggregate is called {}", P::NAME));
    };
    let instance = AggregateRef::new(slot);
    for event in events {
        let mut failures = 0;
        loop {
            let options = CommandOptions::new()
                .command_id(telling_id(P::NAME, event.id))
                .meta(meta_of(&event));
            let tell = TellEvent::<P> {
                event: event.clone(),
                process: PhantomData,
            };
            let Err(error) = instance.execute(tell, options).await else {
                break;
            };
            if error.is_retry_safe() || matches!(error, crate::CommandError::Unknown { .. }) {
                return Told::Later(error.to_string());
            }
            match TELL_AGAIN_AFTER.get(failures) {
                Some(pause) => tokio::time::sleep(*pause).await,
                None => {
                    let error = error.to_string();
                    tracing::error!(
                        process = P::NAME, instance = %instance.stream(), position = %event.position, error,
                        "an instance is parked"
                    );
                    return Told::Parked(Parked {
                        position: event.position.get(),
                        event_type: event.event_type.to_string(),
                        error,
                    });
                }
            }
            failures += 1;
        }
    }
    Told::All
}

/// Who asked for the event, and that it caused what the instance does.
fn meta_of(event: &RecordedEvent) -> CommandMeta {
    CommandMeta {
        correlation_id: event.correlation_id,
        causation_id: Some(event.id),
        user: event.user.clone(),
        ..CommandMeta::default()
    }
}
