//! What does not return is seen, and a shutdown does not wait for it longer than it was told to.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;

use super::counter::*;
use super::*;
use crate::*;

/// Does not return before it is told to.
pub(super) struct Hang(Mutex<mpsc::Receiver<()>>);

impl Command for Hang {
    type Aggregate = Counter;
    type Reply = ();
    type Rejection = Never;

    fn decide(&self, _: &Counter, _: &CommandContext) -> Decided<Self> {
        // Told, or let go by a test that failed.
        let _ = self.0.lock().unwrap().recv();
        Ok(Decision::nothing(()))
    }
}

pub(super) fn hang() -> (Hang, mpsc::Sender<()>) {
    let (let_go, told) = mpsc::channel();
    (Hang(Mutex::new(told)), let_go)
}

pub(super) async fn until_stuck(runtime: &Runtime, count: usize) -> Vec<StuckCommand> {
    tokio::time::timeout(PATIENCE, async {
        loop {
            let stuck = runtime.stuck();
            if stuck.len() == count {
                return stuck;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await
    .unwrap()
}

pub(super) const SOON: Duration = Duration::from_millis(40);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_decide_that_does_not_return_is_seen_with_its_stream_and_command_until_it_does() {
    let runtime = start_with(&Arc::new(MemoryStore::new()), |builder| {
        builder.stuck_after(SOON)
    })
    .await;
    let counter = counter(&runtime);
    counter.send(Add(1)).await.unwrap();
    assert!(runtime.stuck().is_empty());
    for by_transaction in [false, true] {
        let (hang, let_go) = hang();
        let (hangs, transacting) = (counter.clone(), runtime.clone());
        let hangs = tokio::spawn(async move {
            match by_transaction {
                true => transacting.transact(hangs.step(hang)).await.unwrap(),
                false => hangs.send(hang).await.unwrap(),
            }
        });
        let [stuck] = &until_stuck(&runtime, 1).await[..] else {
            panic!("one is stuck");
        };
        assert_eq!(&stuck.stream, counter.stream());
        assert_eq!(stuck.command, std::any::type_name::<Hang>());
        assert!(stuck.stuck_for >= SOON);
        // Others go on.
        let other: AggregateRef<Counter> = runtime.aggregate("acme", "2").unwrap();
        other.send(Add(1)).await.unwrap();
        let_go.send(()).unwrap();
        hangs.await.unwrap();
        until_stuck(&runtime, 0).await;
    }
    assert_eq!(counter.send(Add(1)).await.unwrap(), 2);
}

/// Its `apply` does not return while it is told not to.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
struct Door;

#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
enum DoorEvent {
    Opened,
}

static JAMMED: AtomicBool = AtomicBool::new(true);

impl Aggregate for Door {
    const TYPE: &'static str = "door";
    type Event = DoorEvent;

    fn apply(&mut self, _: &DoorEvent) {
        let jammed = std::time::Instant::now();
        while JAMMED.load(Ordering::SeqCst) && jammed.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

struct Open;

impl Command for Open {
    type Aggregate = Door;
    type Reply = ();
    type Rejection = Never;

    fn decide(&self, _: &Door, _: &CommandContext) -> Decided<Self> {
        Ok(Decision::event(DoorEvent::Opened, ()))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_apply_between_two_steps_of_a_transaction_that_does_not_return_is_seen() {
    let runtime = start_with(&Arc::new(MemoryStore::new()), |builder| {
        builder.stuck_after(SOON)
    })
    .await;
    let door: AggregateRef<Door> = runtime.aggregate("acme", "1").unwrap();
    let (hangs, transacting) = (door.clone(), runtime.clone());
    let hangs = tokio::spawn(async move {
        let steps = (hangs.step(Open), hangs.step(Open));
        transacting.dry_run(steps, CommandOptions::new()).await
    });
    let stuck = tokio::time::timeout(Duration::from_secs(5), until_stuck(&runtime, 1)).await;
    JAMMED.store(false, Ordering::SeqCst);
    hangs.await.unwrap().unwrap();
    assert_eq!(&stuck.unwrap()[0].stream, door.stream());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_runtime_does_not_see_what_hangs_in_another_one() {
    let store = Arc::new(MemoryStore::new());
    let mine = start_with(&store, |builder| builder.stuck_after(SOON)).await;
    let other = start_with(&store, |builder| builder.stuck_after(SOON)).await;
    let (hang, let_go) = hang();
    let hangs = counter(&other);
    let hangs = tokio::spawn(async move { hangs.send(hang).await });
    until_stuck(&other, 1).await;
    assert!(mine.stuck().is_empty());
    let_go.send(()).unwrap();
    hangs.await.unwrap().unwrap();
}

/// With one worker, which is the one that hangs: no timer of this tokio runtime fires any more.
#[test]
fn a_shutdown_ends_by_its_deadline_when_the_only_worker_is_stuck_and_names_the_stream() {
    let tokio = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let runtime = tokio.block_on(start_with(&Arc::new(MemoryStore::new()), |builder| {
        builder.stuck_after(SOON)
    }));
    let counter = counter(&runtime);
    let (hang, let_go) = hang();
    let hangs = counter.clone();
    let hangs = tokio.spawn(async move { hangs.send(hang).await });
    while runtime.stuck().is_empty() {
        std::thread::sleep(Duration::from_millis(1));
    }
    let deadline = Duration::from_millis(100);
    let error = tokio.block_on(runtime.shutdown(deadline)).unwrap_err();
    assert_eq!(error.left.streams_left, [counter.stream().clone()]);
    assert_eq!(error.left.aggregates_left, 1);
    assert_eq!(error.left.stuck[0].command, std::any::type_name::<Hang>());
    let text = error.to_string();
    assert!(
        text.contains("Hang on acme/counter/1 has not returned for"),
        "{text}"
    );
    let_go.send(()).unwrap();
    tokio.block_on(hangs).unwrap().unwrap();
    tokio.block_on(runtime.shutdown(PATIENCE)).unwrap();
}

#[tokio::test]
async fn the_watchdogs_thread_ends_with_its_runtime() {
    let runtime = start(&Arc::new(MemoryStore::new())).await;
    let directory = runtime.watched_directory();
    drop(runtime);
    while directory.strong_count() > 0 {
        tokio::task::yield_now().await;
    }
}
