//! Where the records of timers are seen, and where not.

use super::*;
use crate::EventQuery;

#[tokio::test]
async fn a_query_over_all_tenants_gives_what_aggregates_recorded_and_no_record_of_a_timer() {
    let (store, clock) = (Arc::new(MemoryStore::new()), ManualClock::at(at(0)));
    let runtime = start(&store, &clock).await;
    let one = alarm(&runtime, "1");
    for number in 1..=3 {
        one.send(Arm::new(&format!("tea {number}"), at(number)))
            .await
            .unwrap();
    }
    // In pages of one, so that pages of nothing but records come, too.
    let mut found = Vec::new();
    let mut query = EventQuery::over_all_tenants().limit(1).examine_at_most(1);
    loop {
        let page = runtime.find_events(&query).await.unwrap();
        found.extend(page.events);
        let Some(next) = page.next else { break };
        query = query.after(next);
    }
    assert_eq!(found.len(), 3);
    assert!(found.iter().all(|event| event.stream == *one.stream()));
    assert_eq!(store.head(), Position::new(6));
    // Who looks for them finds them.
    let own = EventQuery::of_tenant("~foldhouse");
    let records = runtime.find_events(&own).await.unwrap().events;
    assert_eq!(records.len(), 3);
    assert!(records.iter().all(is_timer_record));
}

#[tokio::test]
async fn nobody_has_an_aggregate_among_the_runtimes_own_records() {
    let (store, clock) = (Arc::new(MemoryStore::new()), ManualClock::at(at(0)));
    let runtime = start(&store, &clock).await;
    let refused = runtime.aggregate::<Alarm>("~foldhouse", "all");
    assert!(matches!(refused, Err(AddressError::Reserved { .. })));
    assert_eq!(Alarm::TYPE, "alarm");
}

#[tokio::test]
async fn a_runtime_without_timers_leaves_no_trace_of_them() {
    let (store, clock) = (Arc::new(MemoryStore::new()), ManualClock::at(at(0)));
    let runtime = start(&store, &clock).await;
    let one = alarm(&runtime, "1");
    one.send(Ring::new("tea")).await.unwrap();
    runtime.fire_due_timers().await;
    assert_eq!(store.head(), Position::new(1));
    use foldhouse_store::ReadModelStore;
    assert_eq!(store.checkpoint("~timers").await.unwrap(), None);
    let weak = Arc::downgrade(&store);
    runtime.shutdown(PATIENCE).await.unwrap();
    drop((runtime, one, store));
    until(|| weak.strong_count() == 0).await;
}
