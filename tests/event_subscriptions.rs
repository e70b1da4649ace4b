//! Subscriptions and queries over the journal, while its segments are being filled, sealed and indexed, and the process
//! ends and starts again.

use std::sync::Arc;
use std::time::Duration;

use foldhouse::{
    Clock, EventCondition, EventOrder, EventQuery, EventScope, EventStore, EventStoreExt,
    ExpectedVersion, JournalOptions, JournalStore, Position, RecordedEvent, Runtime, StartAt,
    StreamId, SystemClock,
};
use foldhouse_store::{Append, NewEvent, Payload};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use uuid::Uuid;

const WRITERS: u64 = 4;
const APPENDS: u64 = 150;
const LIVES: u64 = 3;
/// Longer than anything takes that is not stuck.
const PATIENCE: Duration = Duration::from_secs(60);

fn open(directory: &std::path::Path) -> Arc<JournalStore> {
    let options = JournalOptions::new().segment_bytes(512 << 10);
    Arc::new(options.open(directory).unwrap())
}

/// One to three events of one append, to a stream and of types by chance.
fn append(random: &mut StdRng) -> Append {
    let tenant = ["acme", "globex"][random.random_range(0..2)];
    let id = random.random_range(0..6).to_string();
    let stream = StreamId::new(tenant, "account", &id).unwrap();
    let correlation = Uuid::from_u128(random.random_range(0..40));
    let events = (0..random.random_range(1..=3)).map(|_| {
        let event_type = match random.random_range(0..40) {
            0 => "Closed",
            1..20 => "Debited",
            _ => "Credited",
        };
        let payload = vec![7; random.random_range(100..3_000)];
        let mut event = NewEvent::new(SystemClock.new_id(), event_type, Payload::raw(payload));
        event.correlation_id = Some(correlation);
        event
    });
    let events: Vec<_> = events.collect();
    Append::to(stream, ExpectedVersion::Any, events)
}

async fn pause(random: &mut StdRng) {
    match random.random_range(0..30) {
        0 => tokio::time::sleep(Duration::from_millis(random.random_range(0..4))).await,
        1..8 => tokio::task::yield_now().await,
        _ => {}
    }
}

/// Reads on behind `position` until the runtime ends, at a random pace, with subscriptions that end anywhere.
async fn follow(
    runtime: Runtime,
    scope: EventScope,
    mut position: Position,
    seed: u64,
) -> (Vec<RecordedEvent>, Position) {
    let mut random = StdRng::seed_from_u64(seed);
    let mut given = Vec::new();
    loop {
        let mut events = runtime.subscribe(scope.clone(), StartAt::After(position));
        for _ in 0..random.random_range(1..300) {
            pause(&mut random).await;
            let patience = Duration::from_micros(random.random_range(100..20_000));
            match tokio::time::timeout(patience, events.next()).await {
                Ok(Ok(Some(event))) => given.push(event),
                Ok(Ok(None)) => return (given, events.position()),
                Ok(Err(error)) => panic!("{error}"),
                Err(_given_up) => {}
            }
        }
        position = events.position();
    }
}

fn scopes() -> Vec<(EventScope, EventCondition)> {
    let stream: StreamId = "acme/account/3".parse().unwrap();
    vec![
        (EventScope::all(), EventCondition::aggregate_type("account")),
        (EventScope::tenant("acme"), EventCondition::tenant("acme")),
        (
            EventScope::category("globex", "account"),
            EventCondition::tenant("globex"),
        ),
        (
            EventScope::event_type("Closed"),
            EventCondition::event_type("Closed"),
        ),
        (
            EventScope::stream(stream.clone()),
            EventCondition::stream(stream),
        ),
    ]
}

/// Everything in the journal.
async fn everything(store: &JournalStore) -> Vec<RecordedEvent> {
    let (mut events, mut after) = (Vec::new(), Position::BEFORE_FIRST);
    while after < store.head() {
        let page = store.read_all(after, 1_000).await.unwrap();
        events.extend(page.events);
        after = events
            .last()
            .map_or(after, |event: &RecordedEvent| event.position);
    }
    events
}

async fn all_pages(runtime: &Runtime, query: EventQuery) -> Vec<RecordedEvent> {
    let (mut events, mut next) = (Vec::new(), Some(query.clone()));
    while let Some(asked) = next {
        let page = runtime.find_events(&asked).await.unwrap();
        events.extend(page.events);
        next = page.next.map(|cursor| query.clone().after(cursor));
    }
    events
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn over_several_lives_every_subscriber_gets_every_event_of_its_scope_once() {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let scopes = scopes();
    let mut given = vec![(Vec::new(), Position::BEFORE_FIRST); scopes.len()];
    for life in 0..LIVES {
        let store = open(directory.path());
        let runtime = Runtime::builder(store.clone()).start().await.unwrap();
        let followers: Vec<_> = (0..)
            .zip(scopes.iter().zip(&given))
            .map(|(number, ((scope, _), (_, position)))| {
                let seed = life * 100 + number;
                tokio::spawn(follow(runtime.clone(), scope.clone(), *position, seed))
            })
            .collect();
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let store = Arc::clone(&store);
                tokio::spawn(async move {
                    let mut random = StdRng::seed_from_u64(life * 1_000 + writer);
                    for _ in 0..APPENDS {
                        store.append(append(&mut random)).await.unwrap();
                        pause(&mut random).await;
                    }
                })
            })
            .collect();
        for writer in writers {
            writer.await.unwrap();
        }
        runtime.shutdown(PATIENCE).await.unwrap();
        for (follower, (events, position)) in followers.into_iter().zip(&mut given) {
            let (more, at) = tokio::time::timeout(PATIENCE, follower)
                .await
                .unwrap()
                .unwrap();
            events.extend(more);
            *position = at;
        }
        drop(runtime);
        store.close();
    }
    let store = open(directory.path());
    let everything = everything(&store).await;
    assert!(
        std::fs::read_dir(directory.path().join("journal"))
            .unwrap()
            .count()
            > 4
    );
    for ((scope, filter), (events, _)) in scopes.iter().zip(&given) {
        let expected: Vec<_> = everything
            .iter()
            .filter(|event| filter.matches(event))
            .cloned()
            .collect();
        assert_eq!(*events, expected, "{scope:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_query_finds_all_that_was_recorded_before_it_while_segments_are_sealed_and_indexed() {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let store = open(directory.path());
    let runtime = Runtime::builder(store.clone()).start().await.unwrap();
    let writing = tokio::spawn({
        let store = Arc::clone(&store);
        async move {
            let mut random = StdRng::seed_from_u64(7);
            for _ in 0..4 * APPENDS {
                store.append(append(&mut random)).await.unwrap();
                pause(&mut random).await;
            }
        }
    });
    let mut is_last = false;
    while !is_last {
        is_last = writing.is_finished();
        let head = store.head();
        let all = everything(&store).await;
        for (filter, order) in [
            (
                EventCondition::event_type("Closed"),
                EventOrder::OldestFirst,
            ),
            (
                EventCondition::event_types(["Closed", "Debited"]),
                EventOrder::NewestFirst,
            ),
            (
                EventCondition::correlation(Uuid::from_u128(9)),
                EventOrder::NewestFirst,
            ),
            (
                EventCondition::correlation(Uuid::from_u128(11)),
                EventOrder::EarliestEffective,
            ),
        ] {
            let query = EventQuery::of_tenant("acme")
                .filter(filter.clone())
                .order(order);
            let mut found = all_pages(&runtime, query).await;
            found.sort_unstable_by_key(|event| event.position);
            found.retain(|event| event.position <= head);
            let expected: Vec<_> = all
                .iter()
                .filter(|event| event.position <= head && event.stream.tenant() == "acme")
                .filter(|event| filter.matches(event))
                .cloned()
                .collect();
            assert_eq!(found, expected, "{filter:?}");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    writing.await.unwrap();
    runtime.shutdown(PATIENCE).await.unwrap();
}
