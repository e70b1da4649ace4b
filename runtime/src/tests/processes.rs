//! Processes, over the in-memory store.

mod transfer;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use foldhouse_store::{EventStore, MemoryStore, ReadModelStore, Timestamp};

use self::transfer::{
    Ask, Desk, DeskEvent, GiveBack, Note, REPAIRED, State, Transfer, Transfers, Wallet, wallet,
};
use super::manual_clock::ManualClock;
use super::{PATIENCE, start_with};
use crate::{ProcessRef, Runtime, StartProcessError};

async fn start(store: &Arc<MemoryStore>) -> (Runtime, ProcessRef<Transfers>) {
    let clock = ManualClock::at(Timestamp::from_unix_micros(0));
    let runtime = start_with(store, |builder| builder.clock(clock)).await;
    let process = runtime.run_process::<Transfers>().await.unwrap();
    (runtime, process)
}

async fn fill(runtime: &Runtime, id: &str, amount: u64) {
    let wallet = runtime.aggregate_of::<Wallet>(wallet(id)).unwrap();
    wallet.send(GiveBack { amount }).await.unwrap();
}

async fn money(runtime: &Runtime, id: &str) -> u64 {
    let wallet = runtime.aggregate_of::<Wallet>(wallet(id)).unwrap();
    wallet.query(|wallet| wallet.money).await.unwrap()
}

fn asked(key: &str, from: &str, to: &str, amount: u64) -> DeskEvent {
    DeskEvent::Asked {
        key: key.to_owned(),
        transfer: Transfer {
            from: from.to_owned(),
            to: to.to_owned(),
            amount,
        },
    }
}

async fn ask(runtime: &Runtime, event: DeskEvent) {
    let desk = runtime.aggregate::<Desk>("bank", "1").unwrap();
    desk.send(Ask(event)).await.unwrap();
}

async fn state(process: &ProcessRef<Transfers>, key: &str) -> State {
    let instance = process.instance("bank", key).unwrap();
    instance.query(State::clone).await.unwrap()
}

/// Waits until the process has read everything, and all that it could settle is settled.
async fn settled(runtime: &Runtime, process: &ProcessRef<Transfers>) {
    let waiting = std::time::Instant::now();
    loop {
        let head = runtime.store().head();
        assert!(process.wait_for(head, PATIENCE).await);
        tokio::task::yield_now().await;
        let status = process.status();
        if status.open == status.stuck && status.position == runtime.store().head() {
            return;
        }
        assert!(waiting.elapsed() < PATIENCE, "{status:?}");
    }
}

#[tokio::test]
async fn a_process_reacts_with_commands_and_hears_what_they_came_to() {
    let store = Arc::new(MemoryStore::new());
    let (runtime, process) = start(&store).await;
    fill(&runtime, "a", 100).await;
    ask(&runtime, asked("1", "a", "b", 30)).await;
    ask(&runtime, asked("2", "b", "a", 500)).await;
    ask(&runtime, asked("3", "a", "c", 13)).await;
    settled(&runtime, &process).await;
    assert_eq!(
        state(&process, "1").await.notes[2..],
        [Note::Done {
            from_has: 70,
            to_has: 30
        }]
    );
    assert_eq!(state(&process, "2").await.notes[1..], [Note::Refused]);
    assert_eq!(state(&process, "3").await.notes[2..], [Note::GivenBack]);
    assert_eq!(
        (money(&runtime, "a").await, money(&runtime, "b").await),
        (70, 30)
    );
    assert_eq!(money(&runtime, "c").await, 0);
    // Nothing waits any more, not even a timeout.
    assert_eq!(runtime.timers(None, 1).await.unwrap().pending, 0);
    let again = runtime.run_process::<Transfers>().await;
    assert!(matches!(
        again,
        Err(StartProcessError::AlreadyRunning { .. })
    ));
    runtime.shutdown(PATIENCE).await.unwrap();
}

#[tokio::test]
async fn what_is_read_again_is_known_and_changes_nothing() {
    let store = Arc::new(MemoryStore::new());
    for life in 0..4 {
        let (runtime, process) = start(&store).await;
        if life == 0 {
            fill(&runtime, "a", 100).await;
            for number in 0..20 {
                ask(&runtime, asked(&number.to_string(), "a", "b", 1)).await;
            }
        }
        settled(&runtime, &process).await;
        assert_eq!(
            (money(&runtime, "a").await, money(&runtime, "b").await),
            (80, 20)
        );
        let head = store.head();
        runtime.shutdown(PATIENCE).await.unwrap();
        assert_eq!(store.head(), head);
        if life % 2 == 1 {
            store.reset("~process:transfers").await.unwrap();
        }
    }
}

#[tokio::test]
async fn what_was_on_its_way_goes_on_in_the_next_runtime() {
    let store = Arc::new(MemoryStore::new());
    for round in 0..40 {
        let (runtime, process) = start(&store).await;
        fill(&runtime, "a", 10).await;
        for number in 0..5 {
            ask(&runtime, asked(&format!("{round}-{number}"), "a", "b", 2)).await;
        }
        for _ in 0..round * 3 {
            tokio::task::yield_now().await;
        }
        runtime.shutdown(PATIENCE).await.unwrap();
        drop(process);
    }
    let (runtime, process) = start(&store).await;
    settled(&runtime, &process).await;
    assert_eq!(
        (money(&runtime, "a").await, money(&runtime, "b").await),
        (0, 400)
    );
    for round in 0..40 {
        for number in 0..5 {
            let notes = state(&process, &format!("{round}-{number}")).await.notes;
            assert!(matches!(
                notes[..],
                [Note::Began(_), Note::Left { .. }, Note::Done { .. }]
            ));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_cannot_deal_with_an_event_waits_before_it_and_holds_up_no_other() {
    let store = Arc::new(MemoryStore::new());
    let (runtime, process) = start(&store).await;
    fill(&runtime, "a", 1_000).await;
    ask(&runtime, asked("1", "a", "b", 99)).await;
    for key in ["1", "2"] {
        ask(&runtime, asked(key, "a", "c", 5)).await;
        ask(
            &runtime,
            DeskEvent::Noticed {
                key: key.to_owned(),
            },
        )
        .await;
    }
    settled(&runtime, &process).await;
    assert_eq!(money(&runtime, "c").await, 5);
    assert_eq!(state(&process, "1").await.notes, []);
    let parked = process.parked();
    assert_eq!((parked.len(), process.status().parked), (1, 1));
    assert_eq!(
        parked[0].instance,
        *process.instance("bank", "1").unwrap().stream()
    );
    assert_eq!(&*parked[0].event_type, "Asked");
    assert!(parked[0].error.contains("nobody has 99"), "{parked:?}");
    process.retry_parked().await;
    assert_eq!(process.parked(), parked);
    // Also the next runtime knows it.
    runtime.shutdown(PATIENCE).await.unwrap();
    let (runtime, process) = start(&store).await;
    settled(&runtime, &process).await;
    process.retry_parked().await;
    assert_eq!(process.parked(), parked);
    REPAIRED.store(true, Ordering::SeqCst);
    process.retry_parked().await;
    assert_eq!(process.parked(), []);
    settled(&runtime, &process).await;
    // In order, and what it has missed, too: the second transfer took the place of the first before that was settled.
    let notes = state(&process, "1").await.notes;
    assert!(matches!(notes[0], Note::Began(Transfer { amount: 99, .. })));
    assert!(matches!(notes[1], Note::Began(Transfer { amount: 5, .. })));
    assert_eq!(notes[2], Note::Noticed);
}

#[tokio::test(start_paused = true)]
async fn a_command_that_fails_is_sent_again_and_its_instance_is_seen() {
    let store = Arc::new(MemoryStore::new());
    let (runtime, process) = start(&store).await;
    fill(&runtime, "a", 1_000).await;
    ask(&runtime, asked("1", "a", "b", 666)).await;
    ask(&runtime, asked("2", "a", "c", 5)).await;
    settled(&runtime, &process).await;
    assert_eq!(money(&runtime, "c").await, 5);
    let stuck = process.stuck();
    assert_eq!(stuck.len(), 1);
    let (step, command, stream) = stuck[0].waits_for.clone().unwrap();
    assert_eq!(
        (&*step, &*command, stream),
        ("bring", "pay-in", wallet("b"))
    );
    assert!(stuck[0].error.contains("it was told to panic"), "{stuck:?}");
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(process.stuck()[0].failures > stuck[0].failures);
    let instance = process.instance("bank", "1").unwrap();
    assert_eq!(instance.unsettled().await.unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_timeout_is_told_and_one_that_is_cancelled_is_not() {
    let store = Arc::new(MemoryStore::new());
    let clock = ManualClock::at(Timestamp::from_unix_micros(0));
    let runtime = start_with(&store, |builder| builder.clock(Arc::clone(&clock))).await;
    let process = runtime.run_process::<Transfers>().await.unwrap();
    fill(&runtime, "a", 1_000).await;
    ask(&runtime, asked("1", "a", "b", 666)).await;
    ask(&runtime, asked("2", "a", "c", 5)).await;
    settled(&runtime, &process).await;
    let instance = process.instance("bank", "1").unwrap();
    assert_eq!(instance.timeouts().await.unwrap().len(), 1);
    clock.set(Timestamp::from_unix_micros(20_000_000));
    runtime.fire_due_timers().await;
    assert_eq!(
        *state(&process, "1").await.notes.last().unwrap(),
        Note::Late
    );
    assert!(!state(&process, "2").await.notes.contains(&Note::Late));
}
