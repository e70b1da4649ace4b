//! A query gives what a look at every event would give, page by page, whatever it asks for.

use std::collections::BTreeSet;

use foldhouse_store::{Append, ExpectedVersion, NewEvent, Payload};
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::*;

const EVENTS: usize = 160;

/// A clock of whole seconds: one for each append.
#[derive(Debug, Default)]
struct Seconds(std::sync::atomic::AtomicI64);

impl Clock for Seconds {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_micros(
            self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst) * 1_000_000,
        )
    }

    fn new_id(&self) -> Uuid {
        Uuid::from_u128(7)
    }
}

fn second(number: i64) -> Timestamp {
    Timestamp::from_unix_micros(number * 1_000_000)
}

/// A store with events that differ in everything that can be asked for.
async fn store_of_variety() -> Arc<MemoryStore> {
    let store = Arc::new(MemoryStore::with_clock(Arc::new(Seconds::default())));
    let pick = |number: usize, by: usize, from: &[&'static str]| from[number * by / 3 % from.len()];
    for number in 0..EVENTS {
        let tenant = pick(number, 5, &["acme", "globex", "acme"]);
        let aggregate_type = pick(number, 7, &["account", "item"]);
        let stream = StreamId::new(tenant, aggregate_type, pick(number, 4, &["1", "2", "3"]));
        let event_type = pick(number, 11, &["Debited", "Credited", "Closed"]);
        let id = Uuid::from_u128(number as u128);
        let mut event = NewEvent::new(id, event_type, Payload::raw(vec![7; number]));
        event.correlation_id = (number % 4 != 0).then(|| Uuid::from_u128(number as u128 / 9));
        event.causation_id = (number % 5 == 0).then(|| Uuid::from_u128(number as u128 / 20));
        event.user = (number % 3 != 0).then(|| pick(number, 13, &["eve", "bob"]).into());
        event.effective_at = (number % 2 == 0).then(|| second((number * 37 % 50) as i64));
        if number % 6 == 0 {
            event
                .metadata
                .insert("channel".to_owned(), "import".to_owned());
        }
        let append = Append::to(stream.unwrap(), ExpectedVersion::Any, [event]);
        store.append(append).await.unwrap();
    }
    store
}

async fn everything(store: &MemoryStore) -> Vec<RecordedEvent> {
    let page = store.read_all(Position::BEFORE_FIRST, 10_000).await;
    page.unwrap().events
}

/// All pages of a query.
async fn all_pages(
    runtime: &Runtime,
    query: &EventQuery,
    examined_max: usize,
) -> Vec<RecordedEvent> {
    let mut events = Vec::new();
    let mut query = query.clone();
    for _ in 0..10_000 {
        let page = runtime.find_events(&query).await.unwrap();
        assert!(page.examined <= examined_max, "{}", page.examined);
        assert!(page.examined >= page.events.len());
        events.extend(page.events);
        let Some(next) = page.next else {
            return events;
        };
        query = query.after(next.to_string());
    }
    panic!("it does not end");
}

/// What a query has to give, by its own words.
fn expected(
    everything: &[RecordedEvent],
    tenant: Option<&str>,
    filter: &EventCondition,
    order: EventOrder,
) -> Vec<u64> {
    let of_tenant = |event: &&RecordedEvent| {
        tenant.is_none_or(|tenant| event.stream.tenant() == tenant) && filter.matches(event)
    };
    let mut events: Vec<&RecordedEvent> = everything.iter().filter(of_tenant).collect();
    match order {
        EventOrder::OldestFirst => {}
        EventOrder::NewestFirst => events.reverse(),
        EventOrder::EarliestEffective => {
            events.sort_by_key(|event| (event.effective_at, event.position));
        }
        EventOrder::LatestEffective => {
            events.sort_by_key(|event| (event.effective_at, event.position));
            events.reverse();
        }
    }
    events.iter().map(|event| event.position.get()).collect()
}

fn positions(events: &[RecordedEvent]) -> Vec<u64> {
    events.iter().map(|event| event.position.get()).collect()
}

fn any_condition() -> impl Strategy<Value = EventCondition> {
    let id = (0..22_u128).prop_map(Uuid::from_u128);
    let time = (0..EVENTS as i64 + 5).prop_map(second);
    prop_oneof![
        prop::sample::select(vec!["Debited", "Credited", "Closed", "None"])
            .prop_map(EventCondition::event_type),
        prop::collection::vec(prop::sample::select(vec!["Debited", "Closed"]), 0..3)
            .prop_map(EventCondition::event_types),
        prop::sample::select(vec!["account", "item", "none"])
            .prop_map(EventCondition::aggregate_type),
        prop::sample::select(vec!["acme", "globex"]).prop_map(EventCondition::tenant),
        prop::sample::select(vec!["acme/item/2", "globex/account/1", "acme/item/9"])
            .prop_map(|stream| EventCondition::stream(stream.parse().unwrap())),
        time.clone().prop_map(EventCondition::recorded_from),
        time.clone().prop_map(EventCondition::recorded_before),
        time.clone().prop_map(EventCondition::effective_from),
        time.prop_map(EventCondition::effective_before),
        id.clone().prop_map(EventCondition::correlation),
        id.prop_map(EventCondition::causation),
        prop::sample::select(vec!["eve", "bob", "mallory"]).prop_map(EventCondition::user),
        Just(EventCondition::metadata("channel", "import")),
    ]
}

fn any_filter() -> impl Strategy<Value = EventCondition> {
    any_condition().prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            3 => (inner.clone(), inner.clone()).prop_map(|(one, other)| one.and(other)),
            2 => (inner.clone(), inner.clone()).prop_map(|(one, other)| one.or(other)),
            1 => inner.prop_map(|one| !one),
        ]
    })
}

fn any_order() -> impl Strategy<Value = EventOrder> {
    prop::sample::select(vec![
        EventOrder::OldestFirst,
        EventOrder::NewestFirst,
        EventOrder::EarliestEffective,
        EventOrder::LatestEffective,
    ])
}

#[test]
fn whatever_is_asked_for_is_what_a_look_at_every_event_gives() {
    let tokio = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let (runtime, all) = tokio.block_on(async {
        let store = store_of_variety().await;
        (start(&store).await, everything(&store).await)
    });
    let tenants = prop::sample::select(vec![Some("acme"), Some("globex"), Some("nobody"), None]);
    let case = (any_filter(), any_order(), tenants, 1..30_usize, 1..60_usize);
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 150,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let found = std::cell::RefCell::new(BTreeSet::new());
    runner
        .run(&case, |(filter, order, tenant, limit, examined_max)| {
            // All that may match are needed for an order of its own.
            let examined_max = match order {
                EventOrder::OldestFirst | EventOrder::NewestFirst => examined_max,
                _ => EVENTS,
            };
            let query = match tenant {
                Some(tenant) => EventQuery::of_tenant(tenant),
                None => EventQuery::over_all_tenants(),
            };
            let query = query
                .filter(filter.clone())
                .order(order)
                .limit(limit)
                .examine_at_most(examined_max);
            let events = tokio.block_on(all_pages(&runtime, &query, examined_max));
            let expected = expected(&all, tenant, &filter, order);
            prop_assert_eq!(positions(&events), expected);
            found.borrow_mut().insert(events.len());
            Ok(())
        })
        .unwrap();
    assert!(
        found.borrow().len() > 20,
        "the filters find many numbers of events"
    );
}

#[tokio::test]
async fn what_is_recorded_while_pages_are_turned_does_not_come_in_between() {
    let store = store_of_variety().await;
    let runtime = start(&store).await;
    let all = everything(&store).await;
    for order in [
        EventOrder::OldestFirst,
        EventOrder::NewestFirst,
        EventOrder::EarliestEffective,
    ] {
        let query = EventQuery::of_tenant("acme").order(order).limit(7);
        let expected = expected(
            &all[..EVENTS],
            Some("acme"),
            &EventCondition::tenant("acme"),
            order,
        );
        let mut given = Vec::new();
        let mut next = Some(query.clone());
        while let Some(query) = next.take() {
            let page = runtime.find_events(&query).await.unwrap();
            given.extend(
                positions(&page.events)
                    .into_iter()
                    .filter(|at| *at <= EVENTS as u64),
            );
            next = page.next.map(|cursor| query.after(cursor));
            let stream = StreamId::new("acme", "account", "1").unwrap();
            let event = NewEvent::new(Uuid::nil(), "Debited", Payload::raw("late"));
            store
                .append(Append::to(stream, ExpectedVersion::Any, [event]))
                .await
                .unwrap();
        }
        assert_eq!(given, expected, "{order:?}");
    }
}

#[tokio::test]
async fn a_filter_that_nothing_passes_gives_empty_pages_that_go_on_and_end() {
    let store = store_of_variety().await;
    let runtime = start(&store).await;
    let mut query = EventQuery::of_tenant("acme")
        .filter(EventCondition::user("mallory"))
        .examine_at_most(30);
    let (mut pages, mut examined) = (0, 0);
    loop {
        let page = runtime.find_events(&query).await.unwrap();
        assert!(page.events.is_empty() && page.examined <= 30);
        (pages, examined) = (pages + 1, examined + page.examined);
        match page.next {
            Some(next) => query = query.after(next),
            None => break,
        }
    }
    assert!((3..=7).contains(&pages), "{pages}");
    assert!(examined <= EVENTS);
}

#[tokio::test]
async fn sorting_more_than_may_be_looked_at_is_refused_and_says_how_to_narrow_it() {
    let store = store_of_variety().await;
    let runtime = start(&store).await;
    let query = EventQuery::of_tenant("acme")
        .order(EventOrder::EarliestEffective)
        .examine_at_most(50);
    let error = runtime.find_events(&query).await.unwrap_err();
    assert_eq!(error, EventQueryError::TooBroadToSort { examined_max: 50 });
    let stream = StreamId::new("acme", "account", "1").unwrap();
    let narrowed = query.filter(EventCondition::stream(stream));
    assert!(
        !runtime
            .find_events(&narrowed)
            .await
            .unwrap()
            .events
            .is_empty()
    );
}

#[tokio::test]
async fn limits_that_do_not_fit_and_filters_that_are_too_large_are_refused() {
    let runtime = start(&Arc::new(MemoryStore::new())).await;
    let all = || EventQuery::of_tenant("acme");
    for query in [
        all().limit(0),
        all().limit(EVENT_QUERY_LIMIT_MAX + 1),
        all().examine_at_most(0),
        all().examine_at_most(EVENT_QUERY_EXAMINED_MAX + 1),
    ] {
        let error = runtime.find_events(&query).await.unwrap_err();
        assert!(matches!(error, EventQueryError::Limit { .. }), "{error}");
    }
    let wide = |count: usize| EventCondition::event_types((0..count).map(|name| name.to_string()));
    let deep = |depth: usize| {
        (0..depth).fold(EventCondition::user("eve"), |filter, number| {
            match number % 2 {
                0 => filter.and(EventCondition::user("bob")),
                _ => filter.or(EventCondition::user("bob")),
            }
        })
    };
    for filter in [
        wide(EVENT_CONDITIONS_MAX),
        deep(EVENT_CONDITION_DEPTH_MAX - 1),
    ] {
        runtime.find_events(&all().filter(filter)).await.unwrap();
    }
    for filter in [
        wide(EVENT_CONDITIONS_MAX + 1),
        deep(EVENT_CONDITION_DEPTH_MAX),
        wide(100_000),
        !deep(100_000),
        deep(100_000).and(EventCondition::user("eve")),
    ] {
        let error = runtime
            .find_events(&all().filter(filter))
            .await
            .unwrap_err();
        assert_eq!(error, EventQueryError::TooManyConditions);
    }
    // Taken back, it is what it was.
    let back = (0..100_001).fold(EventCondition::user("eve"), |filter, _| !filter);
    assert_eq!(back, !EventCondition::user("eve"));
}

#[tokio::test]
async fn a_page_of_large_events_holds_fewer() {
    let store = Arc::new(MemoryStore::new());
    let runtime = start(&store).await;
    let stream = StreamId::new("acme", "account", "1").unwrap();
    for number in 0..30 {
        let payload = Payload::raw(vec![1; 700_000]);
        let event = NewEvent::new(Uuid::from_u128(number), "Large", payload);
        store
            .append(Append::to(stream.clone(), ExpectedVersion::Any, [event]))
            .await
            .unwrap();
    }
    for order in [
        EventOrder::OldestFirst,
        EventOrder::NewestFirst,
        EventOrder::LatestEffective,
    ] {
        let query = EventQuery::of_tenant("acme").order(order).limit(1_000);
        let first = runtime.find_events(&query).await.unwrap();
        assert!(
            (8..=13).contains(&first.events.len()),
            "{}",
            first.events.len()
        );
        let all = all_pages(&runtime, &query, EVENTS).await;
        assert_eq!(all.len(), 30);
    }
}

#[tokio::test]
async fn a_cursor_of_one_tenants_query_does_not_serve_another_tenants() {
    let store = store_of_variety().await;
    let runtime = start(&store).await;
    let query = |tenant: &str| EventQuery::of_tenant(tenant.to_owned()).limit(3);
    let cursor = runtime
        .find_events(&query("acme"))
        .await
        .unwrap()
        .next
        .unwrap();
    let error = runtime
        .find_events(&query("globex").after(cursor.clone()))
        .await
        .unwrap_err();
    assert_eq!(error, EventQueryError::CursorOfAnotherTenant);
    let stolen = EventQuery::over_all_tenants().limit(3).after(cursor);
    let error = runtime.find_events(&stolen).await.unwrap_err();
    assert_eq!(error, EventQueryError::CursorOfAnotherTenant);
}
