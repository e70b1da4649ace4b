//! What keeps a timer from firing, and does not keep the others from it.

use super::*;

#[tokio::test(start_paused = true)]
async fn an_unknown_command_is_seen_and_fires_when_it_is_known_again() {
    let (store, clock) = (Arc::new(MemoryStore::new()), ManualClock::at(at(0)));
    let unknowing = start_with(&store, |builder| builder.clock(Arc::clone(&clock))).await;
    let one = alarm(&unknowing, "1");
    one.send(Arm::new("tea", at(1))).await.unwrap();
    clock.set(at(1));
    unknowing.fire_due_timers().await;
    let timer = one.timers().await.unwrap().remove(0);
    assert_eq!((timer.failures, timer.due), (1, at(1)));
    assert!(timer.try_at > at(1));
    assert!(timer.error.unwrap().contains("timed_command"));
    clock.set(at(2));
    unknowing.fire_due_timers().await;
    assert_eq!(one.timers().await.unwrap()[0].failures, 2);
    unknowing.shutdown(PATIENCE).await.unwrap();
    let runtime = start(&store, &clock).await;
    clock.set(at(100));
    runtime.fire_due_timers().await;
    assert_eq!(names(&rung(&alarm(&runtime, "1")).await), ["tea"]);
}

#[tokio::test(start_paused = true)]
async fn one_that_panics_does_not_hold_up_the_others_and_is_tried_again() {
    let (store, clock) = (Arc::new(MemoryStore::new()), ManualClock::at(at(0)));
    let runtime = start(&store, &clock).await;
    let one = alarm(&runtime, "1");
    one.send(Arm::new("boom", at(1))).await.unwrap();
    one.send(Arm::new("tea", at(2))).await.unwrap();
    clock.set(at(3));
    runtime.fire_due_timers().await;
    assert_eq!(names(&rung(&one).await), ["tea"]);
    let timer = one.timers().await.unwrap().remove(0);
    assert!(timer.error.unwrap().contains("boom was told to panic"));
    one.send(Disarm("boom".to_owned())).await.unwrap();
    assert_eq!(one.timers().await.unwrap(), []);
}

#[tokio::test]
async fn a_clock_that_goes_back_fires_nothing_twice() {
    let (store, clock) = (Arc::new(MemoryStore::new()), ManualClock::at(at(100)));
    let runtime = start(&store, &clock).await;
    let one = alarm(&runtime, "1");
    one.send(Arm::new("a", at(50))).await.unwrap();
    runtime.fire_due_timers().await;
    clock.set(at(10));
    one.send(Arm::new("b", at(50))).await.unwrap();
    runtime.fire_due_timers().await;
    assert_eq!(names(&rung(&one).await), ["a"]);
    clock.set(at(100));
    runtime.fire_due_timers().await;
    assert_eq!(names(&rung(&one).await), ["a", "b"]);
}

#[tokio::test]
async fn timers_that_cannot_be_recorded_are_refused_and_leave_nothing() {
    let (store, clock) = (Arc::new(MemoryStore::new()), ManualClock::at(at(0)));
    let runtime = start(&store, &clock).await;
    let one = alarm(&runtime, "1");
    let long = "x".repeat(128);
    for arm in [
        Arm::new("", at(1)),
        Arm::new(&long, at(1)),
        Arm::new("a\0b", at(1)),
        Arm::new("silent", at(1)),
        Arm::new("huge", at(1)),
        Arm::new("many", at(1)),
    ] {
        let refused = one.send(arm.clone()).await;
        assert!(
            matches!(refused, Err(CommandError::InvalidEvents { .. })),
            "{arm:?}: {refused:?}"
        );
        let refused = runtime
            .transact((
                alarm(&runtime, "2").step(Arm::new("b", at(1))),
                one.step(arm),
            ))
            .await;
        assert!(matches!(
            refused,
            Err(TransactionError::InvalidEvents { .. })
        ));
    }
    let silent = one.send(Arm::new("silent", at(1))).await;
    assert!(matches!(
        silent,
        Err(CommandError::InvalidEvents {
            error: InvalidEvents::TimersWithoutEvents { .. },
            ..
        })
    ));
    assert_eq!(store.head(), Position::BEFORE_FIRST);
    one.send(Arm::new(&long[1..], at(1))).await.unwrap();
    assert_eq!(one.timers().await.unwrap().len(), 1);
}

#[tokio::test]
async fn one_aggregate_with_many_timers_that_are_due_does_not_hide_those_of_others() {
    let (store, clock) = (Arc::new(MemoryStore::new()), ManualClock::at(at(0)));
    let runtime = start(&store, &clock).await;
    let (one, two) = (alarm(&runtime, "1"), alarm(&runtime, "2"));
    for number in 0..400 {
        let name = format!("{number:03}");
        one.send(Arm::new(&name, at(1))).await.unwrap();
    }
    two.send(Arm::new("tea", at(2))).await.unwrap();
    clock.set(at(3));
    runtime.owner_timers_changed();
    while rung(&two).await.is_empty() {
        tokio::task::yield_now().await;
    }
    assert!(rung(&one).await.len() < 100);
    runtime.fire_due_timers().await;
    let rung = rung(&one).await;
    assert_eq!(rung.len(), 400);
    assert!(names(&rung).is_sorted());
}
