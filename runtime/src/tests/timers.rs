//! Timers, by a clock that the test sets.

mod alarm;
mod records;
mod troubles;

use std::sync::Arc;
use std::time::Duration;

use foldhouse_store::{EventStore, MemoryStore, Position, StreamQuery, Timestamp, Version};

use self::alarm::{Alarm, AlarmEvent, Arm, Boom, Disarm, Ring, Rung};
use super::manual_clock::ManualClock;
use super::{PATIENCE, start_with, until};
use crate::testing::given;
use crate::{
    AddressError, Aggregate, AggregateRef, CommandError, CommandMeta, CommandOptions,
    InvalidEvents, Runtime, TransactionError, is_timer_record,
};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix_micros(seconds * 1_000_000)
}

async fn start(store: &Arc<MemoryStore>, clock: &Arc<ManualClock>) -> Runtime {
    let clock = Arc::clone(clock);
    start_with(store, |builder| {
        builder
            .clock(clock)
            .timed_command::<Ring>()
            .timed_command::<Boom>()
    })
    .await
}

fn alarm(runtime: &Runtime, id: &str) -> AggregateRef<Alarm> {
    runtime.aggregate("acme", id).unwrap()
}

async fn rung(alarm: &AggregateRef<Alarm>) -> Vec<Rung> {
    alarm.query(|alarm| alarm.rung.clone()).await.unwrap()
}

fn names(rung: &[Rung]) -> Vec<&str> {
    rung.iter().map(|rung| rung.what.as_str()).collect()
}

#[test]
fn what_a_decision_schedules_and_cancels_can_be_tested() {
    given::<Alarm>([])
        .when(Arm::new("tea", at(5)))
        .then([AlarmEvent::Armed])
        .then_scheduled("tea", at(5), &Ring::new("tea"));
    given::<Alarm>([])
        .when(Disarm("tea".to_owned()))
        .then_cancelled("tea");
    given::<Alarm>([]).when(Ring::new("tea")).then_no_timers();
}

#[test]
#[should_panic(expected = "differs")]
fn a_timer_at_another_time_fails_the_test() {
    let _ = given::<Alarm>([])
        .when(Arm::new("tea", at(5)))
        .then_scheduled("tea", at(6), &Ring::new("tea"));
}

#[tokio::test]
async fn a_timer_fires_once_when_it_is_due_and_not_before() {
    let (store, clock) = (Arc::new(MemoryStore::new()), ManualClock::at(at(0)));
    let runtime = start(&store, &clock).await;
    let one = alarm(&runtime, "1");
    one.send(Arm::new("tea", at(10))).await.unwrap();
    clock.set(Timestamp::from_unix_micros(9_999_999));
    runtime.fire_due_timers().await;
    assert_eq!(rung(&one).await, []);
    let pending = runtime.timers(None, 10).await.unwrap();
    assert_eq!((pending.pending, pending.timers.len()), (1, 1));
    assert_eq!(pending.timers, one.timers().await.unwrap());
    let timer = &pending.timers[0];
    assert_eq!(
        (&*timer.name, &*timer.command, timer.due),
        ("tea", "ring", at(10))
    );
    assert_eq!((timer.failures, &timer.error), (0, &None));
    clock.set(at(11));
    runtime.fire_due_timers().await;
    assert_eq!(rung(&one).await, [Rung::new("tea", at(11))]);
    for _ in 0..3 {
        runtime.fire_due_timers().await;
    }
    assert_eq!(names(&rung(&one).await), ["tea"]);
    assert_eq!(runtime.timers(None, 10).await.unwrap().pending, 0);
    runtime.shutdown(PATIENCE).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_timer_fires_by_itself() {
    let (store, clock) = (Arc::new(MemoryStore::new()), ManualClock::at(at(0)));
    let runtime = start(&store, &clock).await;
    let one = alarm(&runtime, "1");
    one.send(Arm::new("tea", at(10))).await.unwrap();
    clock.set(at(10));
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(names(&rung(&one).await), ["tea"]);
}

#[tokio::test]
async fn timers_of_one_aggregate_fire_in_the_order_of_their_times() {
    let (store, clock) = (Arc::new(MemoryStore::new()), ManualClock::at(at(0)));
    let runtime = start(&store, &clock).await;
    let one = alarm(&runtime, "1");
    for (name, due) in [("c", 3), ("a", 1), ("d", 3), ("before 1970", -4), ("b", 2)] {
        one.send(Arm::new(name, at(due))).await.unwrap();
        alarm(&runtime, name)
            .send(Arm::new("other", at(2)))
            .await
            .unwrap();
    }
    clock.set(at(9));
    runtime.fire_due_timers().await;
    assert_eq!(
        names(&rung(&one).await),
        ["before 1970", "a", "b", "c", "d"]
    );
    assert_eq!(names(&rung(&alarm(&runtime, "a")).await), ["other"]);
}

#[tokio::test]
async fn a_timer_is_cancelled_replaced_and_scheduled_again_by_what_it_sends() {
    let (store, clock) = (Arc::new(MemoryStore::new()), ManualClock::at(at(0)));
    let runtime = start(&store, &clock).await;
    let one = alarm(&runtime, "1");
    one.send(Arm::new("cancelled", at(1))).await.unwrap();
    one.send(Arm::new("replaced", at(1))).await.unwrap();
    one.send(Arm::new("replaced", at(5))).await.unwrap();
    one.send(Disarm("cancelled".to_owned())).await.unwrap();
    one.send(Disarm("never there".to_owned())).await.unwrap();
    assert_eq!(runtime.timers(None, 10).await.unwrap().pending, 1);
    clock.set(at(2));
    runtime.fire_due_timers().await;
    assert_eq!(rung(&one).await, []);
    clock.set(at(5));
    runtime.fire_due_timers().await;
    assert_eq!(names(&rung(&one).await), ["replaced"]);
    // Each ring schedules the next one, under the name of the one that has fired.
    one.send(Arm::new("snooze", at(6))).await.unwrap();
    for second in 6..9 {
        clock.set(at(second));
        runtime.fire_due_timers().await;
    }
    assert_eq!(
        names(&rung(&one).await),
        ["replaced", "snooze", "snooze", "snooze"]
    );
    assert_eq!(one.timers().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_rejection_is_an_outcome_and_the_timer_does_not_fire_again() {
    let (store, clock) = (Arc::new(MemoryStore::new()), ManualClock::at(at(0)));
    let runtime = start(&store, &clock).await;
    let one = alarm(&runtime, "1");
    one.send(Arm::new("forbidden", at(1))).await.unwrap();
    one.send(Arm::new("nothing", at(1))).await.unwrap();
    clock.set(at(1));
    runtime.fire_due_timers().await;
    let version = one.version().await.unwrap();
    assert_eq!(version, Version::new(2));
    assert_eq!(runtime.timers(None, 10).await.unwrap().pending, 0);
    let head = store.head();
    runtime.fire_due_timers().await;
    assert_eq!(store.head(), head);
    // Two that were scheduled, two that have fired, and why one was rejected.
    let all = store
        .read_all(Position::BEFORE_FIRST, 100)
        .await
        .unwrap()
        .events;
    let records: Vec<_> = all.iter().filter(|event| is_timer_record(event)).collect();
    assert_eq!(records.len(), 4);
    let says_why = |payload: &[u8]| String::from_utf8_lossy(payload).contains("it is forbidden");
    assert_eq!(
        records
            .iter()
            .filter(|event| says_why(&event.payload.bytes))
            .count(),
        1
    );
}

#[tokio::test]
async fn who_asked_is_known_from_what_the_timer_has_done() {
    let (store, clock) = (Arc::new(MemoryStore::new()), ManualClock::at(at(0)));
    let runtime = start(&store, &clock).await;
    let one = alarm(&runtime, "1");
    let correlation = uuid::Uuid::from_u128(77);
    let meta = CommandMeta::new().correlation_id(correlation).user("ann");
    let options = CommandOptions::new().meta(meta);
    one.execute(Arm::new("tea", at(1)), options).await.unwrap();
    let id = one.timers().await.unwrap()[0].id;
    clock.set(at(1));
    runtime.fire_due_timers().await;
    let events = store
        .read_stream(StreamQuery::whole(one.stream().clone(), 10))
        .await
        .unwrap()
        .events;
    let rung = &events[1];
    assert_eq!(rung.correlation_id, Some(correlation));
    assert_eq!(rung.causation_id, Some(id));
    assert_eq!(rung.user.as_deref(), Some("ann"));
}

#[tokio::test]
async fn a_timer_outlives_the_runtime_and_a_lost_index_and_fires_in_the_next() {
    let (store, clock) = (Arc::new(MemoryStore::new()), ManualClock::at(at(0)));
    let runtime = start(&store, &clock).await;
    for number in 0..20 {
        let one = alarm(&runtime, &number.to_string());
        one.send(Arm::new("a", at(number + 1))).await.unwrap();
        one.send(Arm::new("b", at(number + 1))).await.unwrap();
        one.send(Disarm("a".to_owned())).await.unwrap();
    }
    clock.set(at(10));
    runtime.fire_due_timers().await;
    assert_eq!(runtime.timers(None, 10).await.unwrap().pending, 10);
    runtime.shutdown(PATIENCE).await.unwrap();
    for reset in [false, true] {
        if reset {
            use foldhouse_store::ReadModelStore;
            store.reset("~timers").await.unwrap();
        }
        let runtime = start(&store, &clock).await;
        let pending = runtime.timers(None, 100).await.unwrap();
        assert_eq!((pending.pending, pending.timers.len()), (10, 10));
        assert!(pending.timers.is_sorted_by_key(|timer| timer.due));
        runtime.shutdown(PATIENCE).await.unwrap();
    }
    clock.set(at(99));
    let runtime = start(&store, &clock).await;
    runtime.fire_due_timers().await;
    for number in 0..20 {
        let one = alarm(&runtime, &number.to_string());
        assert_eq!(names(&rung(&one).await), ["b"]);
    }
}

#[tokio::test]
async fn pending_timers_are_listed_in_pages() {
    let (store, clock) = (Arc::new(MemoryStore::new()), ManualClock::at(at(0)));
    let runtime = start(&store, &clock).await;
    for number in 0..25 {
        let one = alarm(&runtime, &(number % 7).to_string());
        let name = format!("timer {number}");
        one.send(Arm::new(&name, at(100 - number / 2)))
            .await
            .unwrap();
    }
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = runtime.timers(after, 4).await.unwrap();
        assert_eq!(page.pending, 25);
        assert!(page.timers.len() <= 4);
        all.extend(page.timers);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(all.len(), 25);
    assert!(all.is_sorted_by_key(|timer| timer.due));
    let of_one = alarm(&runtime, "3").timers().await.unwrap();
    assert!(
        of_one
            .iter()
            .all(|timer| timer.stream.aggregate_id() == "3")
    );
    assert_eq!(of_one.len(), 4);
}

#[tokio::test]
async fn the_steps_of_a_transaction_schedule_together_or_not_at_all() {
    let (store, clock) = (Arc::new(MemoryStore::new()), ManualClock::at(at(0)));
    let runtime = start(&store, &clock).await;
    let (one, two) = (alarm(&runtime, "1"), alarm(&runtime, "2"));
    let forbidden = runtime
        .transact((
            one.step(Arm::new("a", at(1))),
            two.step(Ring::new("forbidden")),
        ))
        .await;
    assert!(matches!(forbidden, Err(TransactionError::Rejected { .. })));
    assert_eq!(runtime.timers(None, 10).await.unwrap().pending, 0);
    let steps = (
        one.step(Arm::new("a", at(1))),
        two.step(Arm::new("b", at(1))),
        one.step(Disarm("a".to_owned())),
        one.step(Arm::new("c", at(2))),
    );
    runtime.transact(steps).await.unwrap();
    // A retry schedules nothing again.
    let id = runtime.new_command_id();
    for _ in 0..2 {
        let steps = (
            two.step(Arm::new("once", at(3))),
            one.step(Arm::new("once", at(3))),
        );
        runtime.transact_once(steps, id).await.unwrap();
    }
    assert_eq!(runtime.timers(None, 10).await.unwrap().pending, 4);
    clock.set(at(5));
    runtime.fire_due_timers().await;
    assert_eq!(names(&rung(&one).await), ["c", "once"]);
    assert_eq!(names(&rung(&two).await), ["b", "once"]);
}

/// Cancelling races with firing: whoever comes first on the aggregate's turn wins, and both agree on who that was.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_timer_never_fires_and_one_that_fired_is_not_cancelled() {
    let (store, clock) = (Arc::new(MemoryStore::new()), ManualClock::at(at(0)));
    let runtime = start_with(&store, |builder| {
        builder
            .clock(Arc::clone(&clock))
            .timed_command::<Ring>()
            .live_aggregates_max(2)
    })
    .await;
    let (mut fired, mut cancelled) = (0, 0);
    for round in 0..60 {
        let name = format!("round {round}");
        let alarms: Vec<_> = (0..6)
            .map(|number| alarm(&runtime, &format!("{round}-{number}")))
            .collect();
        for alarm in &alarms {
            alarm.send(Arm::new(&name, at(round))).await.unwrap();
        }
        clock.set(at(round));
        runtime.owner_timers_changed();
        for (number, alarm) in alarms.iter().enumerate() {
            for _ in 0..number * 3 {
                tokio::task::yield_now().await;
            }
            alarm.send(Disarm(name.clone())).await.unwrap();
            // Whatever had fired by then has fired; nothing does afterwards.
            let before = rung(alarm).await.len();
            runtime.fire_due_timers().await;
            assert_eq!(rung(alarm).await.len(), before);
            assert_eq!(alarm.timers().await.unwrap(), []);
            fired += before;
            cancelled += 1 - before;
        }
    }
    println!("{fired} fired, {cancelled} were cancelled");
    assert!(
        fired > 0 && cancelled > 0,
        "{fired} fired, {cancelled} were cancelled"
    );
}

#[tokio::test]
async fn on_a_fork_timers_do_not_fire_and_no_timer_is_cut_from_its_command() {
    let (store, clock) = (Arc::new(MemoryStore::new()), ManualClock::at(at(0)));
    let runtime = start(&store, &clock).await;
    let one = alarm(&runtime, "1");
    let mut ends = vec![0];
    for name in ["tea", "eggs"] {
        one.send(Arm::new(name, at(10))).await.unwrap();
        ends.push(store.head().get());
    }
    assert_eq!(ends, [0, 2, 4]);
    for position in 0..=4 {
        let fork = runtime.what_if(Position::new(position)).await.unwrap();
        assert_eq!(fork.forked_at().get(), position / 2 * 2);
    }
    let fork = runtime.what_if(store.head()).await.unwrap();
    clock.set(at(11));
    fork.runtime().fire_due_timers().await;
    runtime.fire_due_timers().await;
    assert_eq!(names(&rung(&one).await), ["tea", "eggs"]);
    assert_eq!(rung(&alarm(fork.runtime(), "1")).await, []);
    // What is pending there can be seen, and what is tried there goes on.
    assert_eq!(fork.runtime().timers(None, 10).await.unwrap().pending, 2);
    let there = alarm(fork.runtime(), "1");
    there.send(Disarm("tea".to_owned())).await.unwrap();
    assert_eq!(fork.runtime().timers(None, 10).await.unwrap().pending, 1);
    fork.discard(PATIENCE).await.unwrap();
    runtime.shutdown(PATIENCE).await.unwrap();
}
